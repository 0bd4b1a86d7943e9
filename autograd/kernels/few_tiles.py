"""3x3 convolutions of few tiles, of one small image say, by Winograd's way with transformed weights that are kept.

Where tiles are few, the transform of the weights is much of the work. But one image after the other goes through the
same weights: so what they are transformed to is kept for the next call (`kept.py`). Of fewer than 64 tiles
`winograd.py` makes chunks that are too small for two threads.

    gather tiles (s * s, T, C) -> transform -> per part: products (T, C) @ (C, o) at each place -> back -> (T, o)

with tiles of m x m outputs that see s x s inputs, s = m + 2. Of fewer than 16 tiles of 4x4 those of 2x2 are made: BLAS
gets four times as many rows, and transformed weights, which come from beyond the inner cache, take 16/9 of the memory
of the weights in place of 4 times as much.

The calling thread transforms the tiles. Then the outputs are shared out, o at a time, so that each weight is read by
one core, and a thread has one long call of NumPy and some short ones: whenever it needs the interpreter's lock while
the other has it, it sleeps for some 40 us.

Arrays are NHWC, weights (3, 3, C, O), all float32. Cuts depend on shapes alone: the same bits for any number of
threads.
"""

from collections.abc import Iterator
from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import numpy as np

from .blas import one_blas_thread
from .channels import in_each_row
from .chunks import Chunk, Kind, Plan
from .memory import Scratch
from .runs import best_item
from .stacks import by_rows
from .threads import share
from .tiles import Tiles, counts
from .transforms import MOST_KEPT, Product, kept_weights, matrices, products, run
from .window import Window

__all__ = ["conv2d", "pays"]

Array = np.ndarray[Any, Any]

_LARGE = 16  # tiles of 4x4 outputs, from which on they take less time than those of 2x2
_PART = 64  # outputs of a part, about


def pays(images: int, window: Window, channels: int, outputs: int) -> bool:
    """Whether it is faster than im2col with weights that are kept, for what `winograd.fits`, judged by shape alone.

    The figures are in `docs/performance.md`. With weights that are new in each call it takes up to 1.3 times im2col's
    time with AVX-512, up to twice with AVX2.
    """
    tiles = _count(images, window, 4)
    pairs = channels * outputs
    if not 4 <= tiles < 64 or min(channels, outputs) < 64 or pairs > MOST_KEPT:
        return False
    m = _size(images, window)
    useful = images * prod(window.out) / (m * m * _count(images, window, m))  # of the outputs that tiles have
    return useful >= 0.7 and (tiles >= _LARGE or pairs >= 1 << 14)


def _count(images: int, window: Window, m: int) -> int:
    """The number of tiles of m x m outputs."""
    return images * prod(counts(window.out, m))


def _size(images: int, window: Window) -> int:
    """m, the rows and columns of outputs that a tile has."""
    return 4 if _count(images, window, 4) >= _LARGE else 2


def conv2d(x: Array, w: Array, b: Array | None, window: Window) -> Array:
    """The 2-D convolution (cross-correlation) of x with w, plus b, for what `winograd.fits`.

    x (N, H, W, C), w (3, 3, C, O), b (O,) or None -> (N, OH, OW, O), all float32. The error is that of `winograd`, or
    less: 0.5e-6 of the largest output by tiles of 2x2, at 128 channels.

    >>> from autograd.kernels.window import resolve
    >>> window = resolve("conv2d", size=(4, 4), kernel=3, stride=1, padding=0)
    >>> x, w = np.ones((1, 4, 4, 1), np.float32), np.ones((3, 3, 1, 1), np.float32)
    >>> conv2d(x, w, None, window)[0, :, :, 0]
    array([[9., 9.],
           [9., 9.]], dtype=float32)
    """
    plan = _plan(len(x), window, *w.shape[2:])
    weights = kept_weights.of(w, plan.m, plan.pieces)[:, :, None]  # (parts, s * s, C, o) -> (parts, s * s, 1, C, o)
    with Scratch() as scratch, one_blas_thread():
        buffers = scratch.views(_Buffers, plan.all.kind)
        buffers.tiles.read(x, plan.all, scratch)
        out = buffers.new_out()
        # (O,) -> (parts, o)
        biases: list[Any] = [None] * plan.pieces if b is None else list(b.reshape(plan.pieces, -1))
        # all that a part needs is made before, so that the threads begin with a long call
        todo = [_Todo(*each) for each in zip(buffers.parts, weights, biases, buffers.by_part(out), strict=True)]
        share(_multiply, todo, blas=True)
        return buffers.cut_off(out)


class _Part(NamedTuple):
    """Buffers for some outputs, and their views."""

    tiles: Array  # (s * s, stack, T / stack, C), of all parts
    places: Array  # (s * s, stack, T / stack, o)
    back: tuple[Product, Product]
    results: Array  # (m, m, T*o)
    items: Array  # (images, rows, m, columns, m, o), these as they are best copied, or 1 in place of o


class _Todo(NamedTuple):
    """A part, with its arguments."""

    part: _Part
    weights: Array  # (s * s, 1, C, o)
    b: Array | None  # (o,)
    out: Array  # as the items


def _multiply(todo: Iterator[_Todo]) -> None:
    for part, weights, b, out in todo:
        np.matmul(part.tiles, weights, part.places)
        run(part.back)
        if b is not None:
            in_each_row(np.add, part.results, b, part.results)
        out[...] = part.items


class _Plan(Plan):
    """What follows from shapes alone; `all` is its only step."""

    def __init__(self, images: int, window: Window, channels: int, outputs: int) -> None:
        self.m = m = _size(images, window)
        super().__init__(window.size[0], window.padding[0][0], stride=m, span=m + 2, out=window.out, unit=m)
        self.window, self.channels, self.outputs = window, channels, outputs
        self.pieces = _pieces(outputs)
        self.all = self._step(Chunk(slice(0, images), slice(0, counts(window.out, m)[0])))


_plan = lru_cache(maxsize=1024)(_Plan)


def _pieces(outputs: int) -> int:
    """How many parts of equal size the outputs are cut into."""
    parts = max(outputs // _PART, 1)
    return parts if outputs % parts == 0 else 1


class _Buffers:
    """A thread's buffers for convolutions of one kind, and the views of them: see `Scratch.views`."""

    def __init__(self, kind: Kind, scratch: Scratch) -> None:
        plan = kind.plan
        m, s, parts = plan.m, plan.m + 2, plan.pieces
        rows, columns = counts(plan.window.out, m)
        each = plan.outputs // parts
        count = kind.images * rows * columns
        self.tiles = Tiles(kind, scratch, m)
        self.tiles.prepare(scratch.array("between", (s * s * count * plan.channels,), np.float32))
        stack = by_rows(self.tiles.places, plan.channels * each)
        places = scratch.array("products", (parts, s * s, count, each), np.float32)
        between = scratch.array("half", (parts, m, s, count * each), np.float32)
        results = scratch.array("results", (parts, m, m, count * each), np.float32)
        of_part, self._item = best_item((kind.images, rows, m, columns, m, each), np.dtype(np.float32))
        self._by_part = *of_part[:-1], parts, of_part[-1]
        self.parts = []
        for i in range(parts):
            by_place = places[i].reshape(s, s, count * each)  # (s * s, T, o) -> (s, s, T*o)
            back = products(matrices(m).back, by_place, between[i], results[i])
            # (m, m, T*o) -> (m, m, images, rows, columns, o) -> (images, rows, m, columns, m, o)
            by_tile = results[i].reshape(m, m, kind.images, rows, columns, each).transpose(2, 3, 0, 4, 1, 5)
            items = by_tile.view(self._item)  # (.., o) -> (.., 1), or as they are
            self.parts.append(_Part(stack, by_rows(places[i], plan.channels * each), back, results[i], items))
        self._out = kind.images, *plan.window.out, plan.outputs
        self._whole = kind.images, m * rows, m * columns, plan.outputs

    def new_out(self) -> Array:
        """A new array for the outputs of whole tiles."""
        return np.empty(self._whole, np.float32)

    def by_part(self, out: Array) -> Array:
        """A view of `new_out`, (parts, images, rows, m, columns, m, o), or 1 in place of o: as the parts' items."""
        # (images, m rows, m columns, O) -> (images, rows, m, columns, m, parts, o or 1) -> (parts, ..)
        return out.view(self._item).reshape(self._by_part).transpose(5, 0, 1, 2, 3, 4, 6)

    def cut_off(self, out: Array) -> Array:
        """The outputs of the image, without those that tiles have beyond it."""
        if self._out == self._whole:
            return out
        _, height, width, _ = self._out
        return out[:, :height, :width].copy()
