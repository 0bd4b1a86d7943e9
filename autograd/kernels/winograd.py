"""3x3 convolutions of stride 1 with a quarter of the products: Winograd's F(4x4, 3x3), in float32.

A tile of 4x4 outputs sees 6x6 inputs. Transformed by constant matrices (d -> B' d B, w -> G w G'), both need one
product at each of the 36 places in the place of 9 for each of the 16 outputs, 36 against 144; A' m A leads back.
Per place the products of all tiles, channels and outputs are one matrix product, so a convolution is

    gather tiles (36, T, C) -> transform -> 36 products (T, C) @ (C, O) -> transform back -> store tiles (T, O)

where each transform is two matrix products (`transforms.py`, with the papers), so BLAS does all of the arithmetic.
64 -> 128 channels take 0.31 to 0.52 of im2col's time.

Arrays are NHWC, weights (3, 3, C, O). Cuts depend on shapes alone and sums are taken in a fixed order: the same bits
on each run and for any number of threads.
"""

from collections.abc import Iterator
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

from .channels import in_each_row
from .chunks import Chunk, Kind, Plan, Step, cut, even
from .lanes import Lanes
from .memory import Scratch
from .runs import best_item
from .stacks import by_rows
from .threads import share
from .tiles import Tiles, counts
from .transforms import MOST_KEPT, PAIRS, kept_weights, matrices, products, run, transform, transformed_weights
from .window import Window

__all__ = ["conv2d", "conv2d_and_weight_grad", "conv2d_weight_grad", "fits", "keeping_pays", "pays"]

Array = np.ndarray[Any, Any]

_TILES = 64  # in a chunk, at least: at 128 channels its buffers take some MB, and stay in the outer cache
_MOST_TO_KEEP = 256  # tiles: a transform of 64 -> 128 channels is a fourth of the work for 64, a twelfth for 256
_NUMBERS = 1 << 12  # tiles times channels, at least: so that calls of NumPy are long with few channels, too


def fits(window: Window, groups: int, *dtypes: np.dtype[Any]) -> bool:
    """Whether this way can be taken at all: 3x3, stride 1, no dilation, padding of 2 at most, one group, float32."""
    return (
        window.kernel == (3, 3)
        and window.stride == window.dilation == (1, 1)
        and max(map(max, window.padding)) <= 2  # so that every tile sees some of the image
        and groups == 1
        and all(dtype == np.float32 for dtype in dtypes)
    )


def pays(images: int, window: Window, channels: int, outputs: int) -> bool:
    """Whether it is faster than im2col, judged by shape alone: see `docs/performance.md` for the figures."""
    rows, columns = counts(window.out, 4)
    useful = window.out[0] * window.out[1] / (16 * rows * columns)  # of the outputs that tiles have
    fewest = min(channels, outputs)
    return images * rows * columns >= 64 and fewest >= 16 and useful >= (0.7 if fewest >= 32 else 0.9)


def keeping_pays(images: int, window: Window, channels: int, outputs: int) -> bool:
    """Whether the transform of the weights is much of the work, and what is kept of them not too large."""
    return images * prod(counts(window.out, 4)) <= _MOST_TO_KEEP and channels * outputs <= MOST_KEPT


def conv2d(x: Array, w: Array, b: Array | None, window: Window, keeps: bool = False) -> Array:
    """The 2-D convolution (cross-correlation) of x with w, plus b, for what `fits`.

    x (N, H, W, C), w (3, 3, C, O), b (O,) or None -> (N, OH, OW, O), all float32. The error is about that of a
    plain float32 sum: 2e-6 of the largest output at 128 channels. `keeps` has transformed weights kept for the
    next call with the same weights (`kept.py`).

    >>> from autograd.kernels.window import resolve
    >>> window = resolve("conv2d", size=(4, 4), kernel=3, stride=1, padding=0)
    >>> x, w = np.ones((1, 4, 4, 1), np.float32), np.ones((3, 3, 1, 1), np.float32)
    >>> conv2d(x, w, None, window)[0, :, :, 0].round(4)
    array([[9., 9.],
           [9., 9.]], dtype=float32)
    """
    channels, outputs = w.shape[2:]
    weights = kept_weights.of(w, 4, 1)[0] if keeps else _transformed(w)  # (36, C, O)
    out = np.empty((len(x), *window.out, outputs), np.float32)

    def work(steps: Iterator[Step]) -> None:
        with Scratch() as scratch:
            for step in steps:
                buffers = scratch.views(_Buffers, step.kind)
                buffers.tiles.read(x, step, scratch)
                buffers.convolve(weights, out[step.images, step.rows], b)

    share(work, _plan(len(x), window, channels, outputs).steps(), blas=True)
    return out


def conv2d_weight_grad(x: Array, dout: Array, window: Window) -> Array:
    """The gradient of sum(dout * conv2d(x, w)) with respect to w, for what `fits`.

    x (N, H, W, C), dout (N, OH, OW, O) -> (3, 3, C, O), all float32. The transpose of the steps of `conv2d`: the sum
    over all tiles is taken among transformed numbers, and transformed back once at the end.
    """
    return _weight_grad(x, dout, window)


def conv2d_and_weight_grad(x: Array, w: Array, dout: Array, window: Window) -> tuple[Array, Array]:
    """conv2d(x, w) and the gradient of sum(dout * conv2d(x, w)) with respect to w: x is transformed once for both.

    x (N, H, W, C), w (3, 3, C, O), dout (N, OH, OW, O) -> (N, OH, OW, O), (3, 3, C, O), all float32.
    """
    out = np.empty((len(x), *window.out, w.shape[3]), np.float32)
    return out, _weight_grad(x, dout, window, (w, out))


def _weight_grad(x: Array, dout: Array, window: Window, convolve: tuple[Array, Array] | None = None) -> Array:
    """The gradient by the weights; with `convolve` (w, out) conv2d(x, w) is written to out on the way."""
    channels, outputs = x.shape[3], dout.shape[3]
    plan = _plan(len(x), window, channels, outputs)
    product_of = None if convolve is None else (_transformed(convolve[0]), convolve[1])  # (36, C, O)
    parts = plan.parts()
    lanes = Lanes(len(parts), (36, channels, outputs), np.float32)
    if not parts:
        return np.zeros((3, 3, channels, outputs), np.float32)

    def work(numbers: Iterator[int]) -> None:
        with Scratch() as scratch:

            def weigh(step: Step, product: Array) -> None:
                buffers = scratch.views(_Buffers, step.kind)
                buffers.tiles.read(x, step, scratch)
                buffers.weigh(dout[step.images, step.rows], product)  # first: to convolve them uses their memory
                if product_of is not None:
                    buffers.convolve(product_of[0], product_of[1][step.images, step.rows])

            for number in numbers:
                lanes.sum_up(number, parts[number], weigh, scratch)

    share(work, range(len(parts)), blas=True)
    return _weights_back(lanes.sums)


def _weights_back(sums: Array) -> Array:
    """The sum of lanes (lanes, 36, C, O), transformed back: -> (3, 3, C, O)."""
    _, _, channels, outputs = sums.shape
    lanes = sums.reshape(len(sums), 6, 6, channels * outputs)  # (lanes, 36, C, O) -> (lanes, 6, 6, C*O)
    out = np.empty((3, 3, channels * outputs), np.float32)

    def work(parts: Iterator[slice]) -> None:
        for part in parts:
            # in place: nobody else reads it, and a sum over an axis takes 8 times as long
            total = lanes[0, ..., part]
            for lane in lanes[1:]:
                total += lane[..., part]
            transform(matrices(4).weights.T, total, out[..., part])

    share(work, list(even(channels * outputs, PAIRS)))
    return out.reshape(3, 3, channels, outputs)  # (3, 3, C*O) -> (3, 3, C, O)


def _transformed(w: Array) -> Array:
    """w (3, 3, C, O) -> (36, C, O)."""
    return transformed_weights(w, 4)[0]


class _Plan(Plan):
    """What follows from shapes alone, worked out once for a network that asks for the same in every step.

    Rows of its chunks are rows of tiles.
    """

    def __init__(self, images: int, window: Window, channels: int, outputs: int) -> None:
        super().__init__(window.size[0], window.padding[0][0], stride=4, span=6, out=window.out, unit=4)
        self.window, self.channels, self.outputs = window, channels, outputs
        self.columns = counts(window.out, 4)[1]
        self._images, self._tiles = images, max(_TILES, _NUMBERS // max(channels, outputs))

    def chunks(self) -> Iterator[Chunk]:
        return _cut(self._images, self.window, self._tiles)


_plan = lru_cache(maxsize=1024)(_Plan)


def _cut(images: int, window: Window, tiles: int) -> Iterator[Chunk]:
    """Chunks of about that many tiles at the most, two or more where there are rows; their rows are rows of tiles."""
    rows, columns = counts(window.out, 4)
    tiles = min(tiles, -(-images * rows * columns // 2))  # two chunks at least, for two threads
    return cut(images, rows, max(tiles // columns, 1))


class _Buffers:
    """A thread's buffers for the tiles of chunks of one kind, and the views of them: see `Scratch.views`.

    T tiles see 6x6 inputs and have 4x4 outputs.
    """

    def __init__(self, kind: Kind, scratch: Scratch) -> None:
        plan = kind.plan
        channels, outputs, columns = plan.channels, plan.outputs, plan.columns
        count = kind.images * kind.rows * columns
        self.tiles = Tiles(kind, scratch, 4)  # before the others: in another order steps took 1.02 of the time
        places = scratch.array("products", (6, 6, count * outputs), np.float32)
        results = scratch.array("results", (4, 4, count * outputs), np.float32)
        between = scratch.array("between", (36 * count * max(channels, outputs),), np.float32)
        # What is between the two products of a transform lies in memory that is not in use then and is in the cache,
        # where there is enough: ResNet-20's step took 0.98 of the time.
        self.tiles.prepare(places if outputs >= channels else between)
        inputs = self.tiles.places  # (36, T, C)
        self._back = products(matrices(4).back, places, inputs if 3 * channels >= 2 * outputs else between, results)
        self._spread = products(matrices(4).back.T, results, between, places)
        places = places.reshape(36, count, outputs)  # (6, 6, T*O) -> (36, T, O)
        self._stack, self._stack_out = (by_rows(a, channels * outputs) for a in (inputs, places))
        # (36, T, C) -> (36, C, T) -> (36, stack, C / stack, T), which times (36, 1, T, O) is (36, stack, C / stack, O)
        self._weighing = by_rows(inputs.swapaxes(1, 2), count * outputs), places[:, None]
        self._each = count * outputs  # multiplications for a row of these
        self._lay_out(kind, scratch, results)

    def _lay_out(self, kind: Kind, scratch: Scratch, results: Array) -> None:
        """Prepares the copies between results (4, 4, T*O) and images, run by run."""
        rows, columns, outputs = kind.rows, kind.plan.columns, kind.plan.outputs
        self._by_tile, item = best_item((kind.images, rows, 4, columns, 4, outputs), results.dtype)
        # (4, 4, T*O) -> (4, 4, images, rows, columns, O)
        by_place = results.reshape(4, 4, kind.images, rows, columns, outputs)
        by_tile = by_place.transpose(2, 3, 0, 4, 1, 5)  # (4, 4, images, ..) -> (images, rows, 4, columns, 4, O)
        self._results = results
        self._items, self._item = by_tile.view(item), item  # (.., O) -> (.., 1), or as they are
        self._whole = scratch.array("whole", (kind.images, 4 * rows, 4 * columns, outputs), np.float32)

    def convolve(self, weights: Array, out: Array, b: Array | None = None) -> None:
        """Writes the tiles times weights (36, C, O), plus b, to out (images, rows, OW, O); the tiles are gone then."""
        # (36, stack, T / stack, C) @ (36, 1, C, O) -> (36, stack, T / stack, O)
        np.matmul(self._stack, weights[:, None], self._stack_out)
        run(self._back)
        if b is not None:  # here: a sum that is written tile by tile takes 1.4 to 2 times as long as sum and copy
            in_each_row(np.add, self._results, b, self._results)
        is_whole = out.shape == self._whole.shape
        target = out if is_whole else self._whole
        self._tiles_of(target)[...] = self._items
        if not is_whole:
            out[...] = target[:, : out.shape[1], : out.shape[2]]

    def weigh(self, dout: Array, product: Array) -> None:
        """Writes the tiles times those of dout (images, rows, OW, O), summed over tiles, to product (36, C, O)."""
        if dout.shape != self._whole.shape or not dout.flags.c_contiguous:  # with zeros beyond its edge
            self._whole[:, dout.shape[1] :] = 0
            self._whole[:, :, dout.shape[2] :] = 0
            self._whole[:, : dout.shape[1], : dout.shape[2]] = dout
            dout = self._whole
        self._items[...] = self._tiles_of(dout)
        run(self._spread)
        np.matmul(*self._weighing, by_rows(product, self._each))

    def _tiles_of(self, image: Array) -> Array:
        """A view of images (images, 4 rows, 4 columns, O) by tile, in items that are best copied."""
        # (images, 4 rows, 4 columns, O) -> (.., 1) or as they are -> (images, rows, 4, columns, 4, 1)
        return image.view(self._item).reshape(self._by_tile)
