"""Cutting a batch of images into chunks whose scratch stays in the cache.

Cuts depend on shapes alone, never on the number of threads: so the bits of a result do not depend on it either.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

__all__ = ["Chunk", "Kind", "Plan", "Step", "cut", "even"]

_MOST_PARTS = 64  # so that what is put aside of them takes no more memory for a larger batch, see `Lanes`
_MOST_KEPT = 256  # steps of a plan: 0.07 MB; to make one takes 2 us, and its work 100 and more


class Chunk(NamedTuple):
    """Some rows of a batch: rows of one image, or all rows of some images."""

    images: slice
    rows: slice


class Kind:
    """What chunks of one size at the same border have in common; a key, equal to itself alone.

    plan    what the kernel has worked out for all chunks
    images  how many there are
    rows    of the output, in the kernel's unit
    above   rows of zeros, `real` rows of the input, and `below` rows of zeros are what it sees
    """

    __slots__ = ("above", "below", "images", "plan", "real", "rows")

    def __init__(self, plan: Any, images: int, rows: int, above: int, real: int, below: int) -> None:
        self.plan = plan
        self.images = images
        self.rows = rows
        self.above = above
        self.real = real
        self.below = below


@dataclass(slots=True)  # 72 bytes, a NamedTuple of as many 88
class Step:
    """A chunk's images, its rows in the output and in the input (`seen`), its pixels in the output (N*OH*OW), and its
    kind.
    """

    images: slice
    rows: slice
    seen: slice
    pixels: slice
    kind: Kind


class Plan:
    """What follows from shapes alone: the steps of a kernel, which are kept unless there are many.

    A kernel's own plan says by `chunks()` how the work is cut. Row r of a chunk sees `span` rows of the input from
    r * stride - top on, and is `unit` rows of the output; `height` is the input's, `out` the output's (OH, OW).
    """

    def __init__(self, height: int, top: int, stride: int, span: int, out: tuple[int, int], unit: int = 1) -> None:
        self._geometry = height, top, stride, span, out, unit
        self._kinds: dict[tuple[int, ...], Kind] = {}
        self._rows: dict[tuple[int, int], slice] = {}  # shared by steps
        self._steps: list[Step] | None = None
        self._parts: list[list[Step]] | None = None

    def chunks(self) -> Iterable[Chunk]:
        """The chunks, the same each time."""
        raise NotImplementedError(f"{type(self).__name__}: chunks is not defined; it says how the work is cut")

    def steps(self) -> list[Step]:
        """The steps of all chunks: made anew where they are more than `_MOST_KEPT`, for they would take megabytes."""
        if self._steps is not None:
            return self._steps
        steps = [self._step(chunk) for chunk in self.chunks()]
        if len(steps) <= _MOST_KEPT:
            self._steps = steps
        return steps

    def parts(self) -> list[list[Step]]:
        """The steps in at most 64 parts of those that follow each other, as equal as they can be."""
        if self._parts is not None:
            return self._parts
        steps = self.steps()
        parts = [steps[part] for part in even(len(steps), max(-(-len(steps) // _MOST_PARTS), 1))]
        if steps is self._steps:
            self._parts = parts
        return parts

    def _step(self, chunk: Chunk) -> Step:
        height, top, stride, span, (out_rows, out_width), unit = self._geometry
        images, rows = chunk
        count = rows.stop - rows.start
        seen = (count - 1) * stride + span
        first = rows.start * stride - top  # negative in the padding
        start, stop = (min(max(row, 0), height) for row in (first, first + seen))
        above = min(max(-first, 0), seen)
        sizes = (images.stop - images.start, count, above, stop - start, seen - above - (stop - start))
        kind = self._kinds.get(sizes)
        if kind is None:
            kind = self._kinds[sizes] = Kind(self, *sizes)
        first, last = unit * rows.start, min(unit * rows.stop, out_rows)
        # rows of one image, or all rows of some: one after the other in memory
        pixels = slice(out_width * (images.start * out_rows + first),
                       out_width * ((images.stop - 1) * out_rows + last))
        return Step(images, self._shared(first, last), self._shared(start, stop), pixels, kind)

    def _shared(self, start: int, stop: int) -> slice:
        return self._rows.setdefault((start, stop), slice(start, stop))


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
