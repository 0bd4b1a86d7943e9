"""Cutting a batch of images into chunks whose scratch stays in the cache.

Cuts depend on shapes alone, never on the number of threads: so the bits of a result do not depend on it either.
"""

from collections.abc import Iterator
from typing import NamedTuple

__all__ = ["Chunk", "cut", "even"]


class Chunk(NamedTuple):
    """Some rows of a batch: rows of one image, or all rows of some images."""

    images: slice
    rows: slice


def cut(images: int, height: int, most_rows: int) -> Iterator[Chunk]:
    """Cut `images` images of `height` rows each into chunks of at most about `most_rows` rows, at least one.

    >>> [(c.images.stop - c.images.start, c.rows.stop - c.rows.start) for c in cut(3, height=4, most_rows=8)]
    [(1, 4), (2, 4)]
    >>> [(c.images.stop - c.images.start, c.rows.stop - c.rows.start) for c in cut(1, height=4, most_rows=3)]
    [(1, 2), (1, 2)]
    """
    if most_rows >= height:
        for some in even(images, most_rows // height):
            yield Chunk(some, slice(0, height))
        return
    for n in range(images):
        for some in even(height, max(most_rows, 1)):
            yield Chunk(slice(n, n + 1), some)


def even(total: int, most: int) -> Iterator[slice]:
    """Cut 0 .. total into the fewest slices of at most `most`, as equal as they can be.

    >>> list(even(5, 3))
    [slice(0, 2, None), slice(2, 5, None)]
    """
    pieces = -(-total // most)
    for i in range(pieces):
        yield slice(total * i // pieces, total * (i + 1) // pieces)
