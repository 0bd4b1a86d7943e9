"""3x3 convolutions of stride 1 with a quarter of the products: Winograd's F(4x4, 3x3), in float32.

A tile of 4x4 outputs sees 6x6 inputs. Transformed by constant matrices (d -> B' d B, w -> G w G'), both need one
product at each of the 36 places in the place of 9 for each of the 16 outputs, 36 against 144; A' m A leads back.
Per place the products of all tiles, channels and outputs are one matrix product, so a convolution is

    gather tiles (36, T, C) -> transform -> 36 products (T, C) @ (C, O) -> transform back -> store tiles (T, O)

where each transform is itself a matrix product with the Kronecker square of its 1-D matrix: BLAS does all of the
arithmetic. On two cores 64 -> 128 channels took about 60 % of im2col's time.

Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016. The interpolation points are 0, +-sqrt(1/2),
+-sqrt(2) and infinity: the matrices are dense here anyway, so points need not be nice numbers, and these have a
quarter of the error of the usual 0, +-1, +-2 (1.3e-6 against 6e-6 of the largest output at 128 channels; the choice
is of Alam, Anderson, Barabasz and Gregg, "Winograd Convolution for Deep Neural Networks: Efficient Point
Selection", 2022).

Arrays are NHWC, weights (3, 3, C, O). Cuts depend on shapes alone and sums are taken in a fixed order: the same bits
on each run and for any number of threads.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from .chunks import Chunk, cut, even
from .memory import Scratch
from .threads import one_blas_thread, share
from .window import Window

__all__ = ["conv2d", "conv2d_weight_grad", "fits", "pays"]

Array = np.ndarray[Any, Any]

_TILES = 64  # in a chunk, at least: at 64 channels its buffers take some MB, and stay in the outer cache
_NUMBERS = 1 << 13  # tiles times channels, at least: so that calls of NumPy are long with few channels, too
_TILES_WEIGHT_GRAD = 128  # in a chunk of it, at least: each chunk's product is written and added once more
_LANES = 8  # of the weight gradient's partial sums, the most threads that it uses,
_LANE_BYTES = 8 << 20  # but 4 where 8 take more memory than this, for they cost a walk each


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
    rows, columns = _tile_counts(window)
    useful = window.out[0] * window.out[1] / (16 * rows * columns)  # of the outputs that tiles have
    return min(channels, outputs) >= 32 and images * rows * columns >= 64 and useful >= 0.7


def conv2d(x: Array, w: Array, b: Array | None, window: Window) -> Array:
    """The 2-D convolution (cross-correlation) of x with w, plus b, for what `fits`.

    x (N, H, W, C), w (3, 3, C, O), b (O,) or None -> (N, OH, OW, O), all float32. The error is about that of a
    plain float32 sum: 2e-6 of the largest output at 128 channels.

    >>> from autograd.kernels.window import resolve
    >>> window = resolve("conv2d", size=(4, 4), kernel=3, stride=1, padding=0)
    >>> x, w = np.ones((1, 4, 4, 1), np.float32), np.ones((3, 3, 1, 1), np.float32)
    >>> conv2d(x, w, None, window)[0, :, :, 0].round(4)
    array([[9., 9.],
           [9., 9.]], dtype=float32)
    """
    channels, outputs = w.shape[2:]
    back = _matrices().back  # (16, 36)
    transformed = _transformed_weights(w)  # (36, C, O)
    out = np.empty((len(x), *window.out, outputs), np.float32)

    def work(chunks: Iterator[Chunk]) -> None:
        with Scratch() as scratch:
            tiles = _Tiles(x, window, scratch)
            for chunk in chunks:
                transformed_tiles = tiles.transformed(chunk)  # (36, T, C)
                count = transformed_tiles.shape[1]
                products = scratch.array("products", (36, count, outputs), np.float32)
                np.matmul(transformed_tiles, transformed, out=products)  # (36, T, C) @ (36, C, O)
                results = scratch.array("results", (16, count * outputs), np.float32)
                np.matmul(back, products.reshape(36, -1), out=results)  # (16, 36) @ (36, T*O)
                _store(results, b, out, chunk, scratch)

    share(work, list(_cut(len(x), window, max(_TILES, _NUMBERS // max(channels, outputs)))), blas=True)
    return out


def conv2d_weight_grad(x: Array, dout: Array, window: Window) -> Array:
    """The gradient of sum(dout * conv2d(x, w)) with respect to w, for what `fits`.

    x (N, H, W, C), dout (N, OH, OW, O) -> (3, 3, C, O), all float32. The transpose of the steps of `conv2d`: the sum
    over all tiles is taken among transformed numbers, and transformed back once at the end.
    """
    channels, outputs = x.shape[3], dout.shape[3]
    chunks = list(_cut(len(x), window, max(_TILES_WEIGHT_GRAD, _NUMBERS // max(channels, outputs))))
    # Each lane is summed by itself, so that no thread waits for another, and then lanes are added in order.
    most = _LANES if _LANES * 36 * channels * outputs * 4 <= _LANE_BYTES else _LANES // 2
    lanes = list(even(len(chunks), -(-len(chunks) // most))) if chunks else []
    sums = np.empty((len(lanes), 36, channels, outputs), np.float32)
    spread = np.ascontiguousarray(_matrices().back.T)  # (36, 16)

    def work(numbers: Iterator[int]) -> None:
        with Scratch() as scratch:
            tiles = _Tiles(x, window, scratch)
            product = scratch.array("weight product", sums.shape[1:], np.float32)
            for lane in numbers:
                first, *rest = chunks[lanes[lane]]
                _weight_chunk(tiles, dout, first, spread, scratch, sums[lane])
                for chunk in rest:
                    _weight_chunk(tiles, dout, chunk, spread, scratch, product)
                    sums[lane] += product

    share(work, range(len(lanes)), blas=True)
    return _weights_back(sums)


def _weight_chunk(tiles: "_Tiles", dout: Array, chunk: Chunk, spread: Array, scratch: Scratch, product: Array) -> None:
    """Write a chunk's part of the transformed weight gradient, (36, C, O)."""
    transformed = tiles.transformed(chunk)  # (36, T, C)
    douts = _output_tiles(dout, chunk, tiles.window, scratch)  # (16, T*O)
    spread_douts = scratch.array("products", (36, douts.shape[1]), np.float32)
    np.matmul(spread, douts, out=spread_douts)  # (36, 16) @ (16, T*O)
    by_place = spread_douts.reshape(36, transformed.shape[1], dout.shape[3])  # (36, T*O) -> (36, T, O)
    np.matmul(transformed.swapaxes(1, 2), by_place, out=product)  # (36, C, T) @ (36, T, O)


def _weights_back(sums: Array) -> Array:
    """The sum of lanes (lanes, 36, C, O), transformed back: -> (3, 3, C, O)."""
    _, _, channels, outputs = sums.shape
    lanes = sums.reshape(len(sums), 36, channels * outputs)
    back = _matrices().weights.T  # (9, 36)
    out = np.empty((9, channels * outputs), np.float32)

    def work(parts: Iterator[slice]) -> None:
        for part in parts:
            np.matmul(back, lanes[:, :, part].sum(axis=0), out=out[:, part])  # (9, 36) @ (36, part of C*O)

    share(work, list(even(channels * outputs, 1 << 13)), blas=True)
    return out.reshape(3, 3, channels, outputs)  # (9, C*O) -> (3, 3, C, O)


class _Matrices(NamedTuple):
    """The Kronecker squares of the three 1-D transforms."""

    tiles: Array  # (36, 36), B' x B': 6x6 inputs to 36 places
    weights: Array  # (36, 9), G x G: 3x3 weights to 36 places
    back: Array  # (16, 36), A' x A': 36 places to 4x4 outputs


@lru_cache(maxsize=1)
def _matrices() -> _Matrices:
    """By Toom and Cook's interpolation, in float64 and then rounded once.

    With the points p of a polynomial product of 4 + 3 - 1 = 6 values, f_i = prod(p_i - p_l over l != i):
    A'[k, i] = p_i^k, G[i, j] = p_i^j / f_i, B'[i] = the coefficients of prod(x - p_l over l != i), and a last row
    each for the point at infinity.
    """
    points = np.array([0.0, 0.5**0.5, -(0.5**0.5), 2**0.5, -(2**0.5)])
    others = [np.delete(points, i) for i in range(5)]
    factors = np.array([np.prod(p - rest) for p, rest in zip(points, others, strict=True)])
    a = np.vstack([np.vander(points, 4, increasing=True), [0, 0, 0, 1]])  # (6, 4)
    g = np.vstack([np.vander(points, 3, increasing=True) / factors[:, None], [0, 0, 1]])  # (6, 3)
    b = np.vstack([*(np.append(np.poly(rest)[::-1], 0) for rest in others), np.poly(points)[::-1]])  # (6, 6)
    return _Matrices(*(np.kron(m, m).astype(np.float32) for m in (b, g, a.T)))


def _transformed_weights(w: Array) -> Array:
    """w (3, 3, C, O) -> (36, C, O)."""
    _, _, channels, outputs = w.shape
    with one_blas_thread():
        flat = _matrices().weights @ w.reshape(9, channels * outputs)  # (36, 9) @ (9, C*O)
    return flat.reshape(36, channels, outputs)


def _tile_counts(window: Window) -> tuple[int, int]:
    """The rows and the columns of tiles that cover an output image."""
    return -(-window.out[0] // 4), -(-window.out[1] // 4)


def _cut(images: int, window: Window, tiles: int) -> Iterator[Chunk]:
    """Two chunks or more, of that many tiles at the most; their rows are rows of tiles."""
    rows, columns = _tile_counts(window)
    tiles = min(tiles, -(-images * rows * columns // 2))  # two chunks at least, for two threads
    return cut(images, rows, max(tiles // columns, 1))


class _Tiles:
    """The 6x6 tiles of x, a chunk at a time, in buffers that the next chunk overwrites. One per thread.

    Views are made once for chunks of one size: between two long calls of NumPy a thread holds the interpreter's lock,
    for which the others wait.
    """

    def __init__(self, x: Array, window: Window, scratch: Scratch) -> None:
        self.x, self.window = x, window
        self._scratch = scratch
        self._matrix = _matrices().tiles
        self._sizes = (-1, -1)  # images and rows of the chunk that the buffers are for

    def transformed(self, chunk: Chunk) -> Array:
        """(36, T, C), transformed."""
        self._prepare(chunk.images.stop - chunk.images.start, chunk.rows.stop - chunk.rows.start)
        self._fill(chunk)
        np.copyto(self._gathered, self._overlapping)
        np.matmul(self._matrix, self._gathered.reshape(36, -1), out=self._out)  # (36, 36) @ (36, T*C)
        return self._out.reshape(36, -1, self.x.shape[3])  # (36, T*C) -> (36, T, C)

    def _prepare(self, images: int, rows: int) -> None:
        """Buffers for a chunk of that size, with zeros at the left and at the right."""
        if self._sizes == (images, rows):
            return
        self._sizes = images, rows
        columns, channels, left = _tile_counts(self.window)[1], self.x.shape[3], self.window.padding[1][0]
        self._padded = self._scratch.array("padded", (images, 4 * rows + 2, 4 * columns + 2, channels), np.float32)
        self._padded[:, :, :left] = 0
        self._padded[:, :, left + self.window.size[1] :] = 0
        n, h, w, c = self._padded.strides
        shape = (6, 6, images, rows, columns, channels)
        self._overlapping = np.ndarray(shape, np.float32, self._padded, 0, (h, w, n, 4 * h, 4 * w, c))
        self._gathered = self._scratch.array("gathered", shape, np.float32)
        self._out = self._scratch.array("tiles", (36, images * rows * columns * channels), np.float32)

    def _fill(self, chunk: Chunk) -> None:
        """Writes the pixels that the chunk's tiles see, and zeros above and below the image."""
        _, height, width, _ = self.x.shape
        (top, _), (left, _) = self.window.padding
        seen = self._padded.shape[1]
        first = 4 * chunk.rows.start - top  # the image's row that comes first, negative in the padding
        start, stop = max(first, 0), min(first + seen, height)  # the rows that are real
        right = min(left + width, self._padded.shape[2])
        if start > first:
            self._padded[:, : start - first] = 0
        if stop < first + seen:
            self._padded[:, stop - first :] = 0
        self._padded[:, start - first : stop - first, left:right] = self.x[chunk.images, start:stop, : right - left]


def _output_rows(chunk: Chunk, window: Window) -> slice:
    return slice(4 * chunk.rows.start, min(4 * chunk.rows.stop, window.out[0]))


def _output_tiles(dout: Array, chunk: Chunk, window: Window, scratch: Scratch) -> Array:
    """The chunk's 4x4 tiles of dout, zeros beyond its edge: (16, T*O)."""
    part = dout[chunk.images, _output_rows(chunk, window)]
    images, height, width, outputs = part.shape
    rows, columns = chunk.rows.stop - chunk.rows.start, _tile_counts(window)[1]
    if (height, width) != (4 * rows, 4 * columns):
        whole = scratch.array("whole", (images, 4 * rows, 4 * columns, outputs), np.float32)
        whole[:, height:] = 0
        whole[:, :, width:] = 0
        whole[:, :height, :width] = part
        part = whole
    by_tile = part.reshape(images, rows, 4, columns, 4, outputs)
    by_place = by_tile.transpose(2, 4, 0, 1, 3, 5)  # (n, rows, 4, columns, 4, O) -> (4, 4, n, rows, columns, O)
    tiles = scratch.array("output tiles", by_place.shape, np.float32)
    np.copyto(tiles, by_place)
    return tiles.reshape(16, -1)  # (4, 4, n, rows, columns, O) -> (16, T*O)


def _store(results: Array, b: Array | None, out: Array, chunk: Chunk, scratch: Scratch) -> None:
    """Write the chunk's 4x4 tiles (16, T*O), plus b, to their places in out."""
    part = out[chunk.images, 4 * chunk.rows.start : 4 * chunk.rows.stop]
    images, height, width, outputs = part.shape
    rows = chunk.rows.stop - chunk.rows.start
    columns = -(-width // 4)
    is_whole = (height, width) == (4 * rows, 4 * columns)
    whole = part if is_whole else scratch.array("whole", (images, 4 * rows, 4 * columns, outputs), np.float32)
    by_place = results.reshape(4, 4, images, rows, columns, outputs)
    by_tile = by_place.transpose(2, 3, 0, 4, 1, 5)  # (4, 4, n, rows, columns, O) -> (n, rows, 4, columns, 4, O)
    target = whole.reshape(by_tile.shape)
    if b is None:
        np.copyto(target, by_tile)
    else:
        np.add(by_tile, b, out=target)
    if not is_whole:
        part[...] = whole[:, :height, :width]
