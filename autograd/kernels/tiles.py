"""The tiles of images that Winograd's convolutions see, gathered and transformed a chunk at a time."""

from math import prod
from typing import Any

import numpy as np

from .chunks import Kind, Step
from .memory import Scratch
from .padded import Padded
from .runs import run_of
from .transforms import matrices, products, run

__all__ = ["Tiles", "counts"]

Array = np.ndarray[Any, Any]


def counts(out: tuple[int, int], m: int) -> tuple[int, int]:
    """The rows and the columns of tiles of m x m outputs that cover an output image (OH, OW).

    >>> counts((8, 9), 4)
    (2, 3)
    """
    return -(-out[0] // m), -(-out[1] // m)


class Tiles:
    """A thread's buffer for the tiles that chunks of one kind see, and the views of it: see `Scratch.views`.

    A tile of m x m outputs sees s x s inputs, s = m + 2, and tiles overlap. Rows of a chunk are rows of tiles; its plan
    has the window and the channels.

    places  (s * s, T, C), the T transformed tiles, see `read`
    """

    def __init__(self, kind: Kind, scratch: Scratch, m: int) -> None:
        plan, s = kind.plan, m + 2
        shape = (kind.images, kind.rows, counts(plan.window.out, m)[1])
        gathered = scratch.array("tiles", (s, s, *shape, plan.channels), np.float32)
        self._padded = Padded(kind, scratch, m * shape[2] + 2, np.float32)
        self._gathered = gathered.view(run_of(gathered.dtype, plan.channels))  # (.., C) -> (.., 1)
        n, h, w, c = self._padded.array.strides
        # (images, m rows + 2, m columns + 2, C) -> (s, s, images, rows, columns, 1), a view: tiles overlap
        strides = (h, w, n, m * h, m * w, c)
        self._overlapping = np.ndarray(self._gathered.shape, self._gathered.dtype, self._padded.array, 0, strides)
        # (s, s, images, rows, columns, C) -> (s * s, T, C)
        self.places: Array = gathered.reshape(s * s, prod(shape), plan.channels)
        self._by_axis = gathered.reshape(s, s, prod(shape) * plan.channels)  # .. -> (s, s, T*C)
        self._matrix = matrices(m).tiles

    def prepare(self, unused: Array) -> None:
        """Says where what is between the two products of a transform lies: s * s * T * C numbers, or more."""
        self._forth = products(self._matrix, self._by_axis, unused, out=self._by_axis)

    def read(self, x: Array, step: Step, scratch: Scratch) -> None:
        """Gathers the tiles that a chunk of images x (N, H, W, C) sees, and transforms them in place."""
        self._padded.fill(x, step, scratch)
        self._gathered[...] = self._overlapping
        run(self._forth)
