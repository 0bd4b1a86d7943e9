"""2-D convolution and its two gradients as matrix products (im2col), for every stride, padding, dilation and group.

Every window of the input becomes a row of a matrix of columns (OH * OW rows of KH * KW * C numbers), and the
convolution is that matrix times the weights (Chellapilla, Puri and Simard, High performance convolutional
neural networks for document processing, 2006). The matrix is KH * KW times larger than the image, so it is
never made for a whole batch: `_cut` cuts the work into chunks whose columns stay in the cache, `_Columns`
writes the columns of one chunk into a buffer that the thread's next chunk overwrites, and one BLAS product does
the rest. Chunks are shared out to threads, each product in one thread; buffers are kept from call to call.

With few channels the columns have short runs and the products few outputs, both slow. There `_block` outputs that lie
side by side in a row are taken as the channels of one: see `_in_blocks`.

Arrays are NHWC, weights (KH, KW, C / groups, O). All is linear: complex numbers are not conjugated. The cuts
depend on shapes alone and sums are taken in a fixed order: the same bits on each run and for any number of threads.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from functools import lru_cache
from itertools import groupby
from math import prod
from typing import Any

import numpy as np

from .blocks import repeated
from .chunks import Chunk, cut, even
from .memory import Scratch
from .threads import SMALL_PRODUCT, one_blas_thread, share
from .window import Window

__all__ = ["conv2d", "conv2d_weight_grad", "scatter"]

Array = np.ndarray[Any, Any]

_CHUNK_BYTES = 1 << 20  # of columns: more falls out of the cache, less makes the BLAS products too short
_LEAST_PIXELS = 512  # in a chunk, else BLAS spends its time on rearranging large weights
_LEAST_PIXELS_WEIGHT_GRAD = 1024  # else adding up the products of the chunks costs as much as they do
_LEAST_SHARED = 800_000  # nanoseconds of work: below, threads cost as much as they save
_LANES = 8  # of the weight gradient: the most threads that it uses; more cost memory, a sum each


def conv2d(x: Array, w: Array, b: Array | None, window: Window, groups: int = 1) -> Array:
    """The 2-D convolution (cross-correlation) of x with w, plus b.

    x (N, H, W, C), w (KH, KW, C / groups, O), b (O,) or None -> (N, OH, OW, O), of the dtype that NumPy
    promotes the arguments to.

    >>> from autograd.kernels.window import resolve
    >>> window = resolve("conv2d", size=(3, 3), kernel=2, stride=1, padding=0)
    >>> conv2d(np.ones((1, 3, 3, 1)), np.ones((2, 2, 1, 1)), None, window)[0, :, :, 0]
    array([[4., 4.],
           [4., 4.]])
    """
    block = _block(window, w.shape, groups)
    if block > 1:
        wide_b = None if b is None else repeated(b, block)  # (O,) -> (block*O,)
        out = conv2d(x, _banded(w, window, block), wide_b, _in_blocks(window, block))
        return out.reshape(len(x), *window.out, w.shape[3])  # (N, OH, OW/block, block*O) -> (N, OH, OW, O)
    dtype = np.result_type(x, w) if b is None else np.result_type(x, w, b)
    out = np.empty((len(x), *window.out, w.shape[3]), dtype)
    w = w.astype(_inner(dtype), copy=False)
    depthwise = _is_depthwise(w.shape, groups)
    run_chunk = _depthwise_chunk if depthwise else _conv2d_chunk
    by_group = w[:, :, 0] if depthwise else _by_group(w, groups)  # (KH, KW, groups) or (groups, KH*KW*C, O)
    row_of_b = None if b is None else repeated(b, window.out[1])  # (OW*O,): O are short for NumPy's inner loop

    def work(chunks: Iterator[Chunk]) -> None:
        with Scratch() as scratch:
            columns = _Columns(x, window, groups, w.dtype, scratch)
            for chunk in chunks:
                part = out[chunk.images, chunk.rows]
                run_chunk(columns, chunk, by_group, part)
                if row_of_b is not None:  # here, while the chunk is in the cache
                    wide = part.reshape(*part.shape[:2], -1)  # (images, rows, OW, O) -> (images, rows, OW*O)
                    np.add(wide, row_of_b, out=wide)

    row_bytes = _row_bytes(window, x.shape[3], w.dtype)
    is_shared = _is_shared(len(x), window, w.shape)
    chunks = _cut(len(x), window, row_bytes, _LEAST_PIXELS, is_shared)
    _run(work, chunks, is_shared, blas=not depthwise and out.size * prod(w.shape[:3]) > SMALL_PRODUCT)
    return out


def _conv2d_chunk(columns: "_Columns", chunk: Chunk, w: Array, out: Array) -> None:
    # (groups, pixels, KH*KW*C) @ (groups, KH*KW*C, O) -> (groups, pixels, O)
    np.matmul(columns.matrices(chunk), w, out=_by_group(out, columns.groups))


def _depthwise_chunk(columns: "_Columns", chunk: Chunk, w: Array, out: Array) -> None:
    """One channel per group: a sum over the taps, without columns (a product would have one output)."""
    windows = columns.windows(chunk)[..., 0]  # (images, rows, OW, KH, KW, groups)
    np.einsum("nhwijc,ijc->nhwc", windows, w, out=out, casting="same_kind")


def scatter(dout: Array, w: Array, window: Window, groups: int = 1) -> Array:
    """The gradient of sum(dout * conv2d(x, w)) with respect to x, for any window: products, then their scatter.

    dout (N, OH, OW, O), w (KH, KW, C / groups, O) -> (N, H, W, C), where (H, W) is the window's size.
    """
    dtype = np.result_type(dout, w)
    w = w.astype(_inner(dtype), copy=False)
    dx = np.zeros((len(dout), *window.size, w.shape[2] * groups), w.dtype)

    def work(parts: Iterator[list[Chunk]]) -> None:
        with Scratch() as scratch:
            for chunk in (chunk for part in parts for chunk in part):
                dout_part = dout[chunk.images, chunk.rows].astype(w.dtype, copy=False)
                product = scratch.array("product", (*dout_part.shape[:3], dx.shape[3]), w.dtype)
                _scatter_chunk(dout_part, w, window, groups, chunk, product, dx[chunk.images])

    row_bytes = _row_bytes(window, dx.shape[3], w.dtype)  # of the products of all taps
    chunks = _cut(len(dout), window, row_bytes, _LEAST_PIXELS, is_shared=False)
    # Chunks of one image add to common rows of dx, so one thread takes them all.
    parts = [list(part) for _, part in groupby(chunks, key=lambda chunk: chunk.images.start)]
    share(work, parts, blas=not _is_depthwise(w.shape, groups) and dout.size * prod(w.shape[:3]) > SMALL_PRODUCT)
    return dx.astype(dtype, copy=False)


def _scatter_chunk(dout: Array, w: Array, window: Window, groups: int, chunk: Chunk, product: Array,
                   dx: Array) -> None:
    """Add dout times the weights of each tap to the pixels that the tap saw (col2im).

    dout (images, rows, OW, O), w (KH, KW, C/groups, O), dx (images, H, W, C); product is scratch (images, rows, OW, C).
    A tap at a time: its product stays in the cache. Two chunks of one image add to common rows of dx.
    """
    for kh, kw in np.ndindex(*window.kernel):
        if _is_depthwise(w.shape, groups):
            np.multiply(dout, w[kh, kw, 0], out=product)
        else:  # (groups, pixels, O) @ (groups, O, C) -> (groups, pixels, C)
            transposed = _by_group(w[kh, kw], groups).swapaxes(1, 2)
            np.matmul(_by_group(dout, groups), transposed, out=_by_group(product, groups))
        rows, x_rows = window.tap(0, kh, chunk.rows.start, chunk.rows.stop)
        cols, x_cols = window.tap(1, kw)
        rows = slice(rows.start - chunk.rows.start, rows.stop - chunk.rows.start)
        dx[:, x_rows, x_cols] += product[:, rows, cols]


def conv2d_weight_grad(x: Array, dout: Array, window: Window, groups: int = 1) -> Array:
    """The gradient of sum(dout * conv2d(x, w)) with respect to w.

    x (N, H, W, C), dout (N, OH, OW, O) -> (KH, KW, C / groups, O), zeros for an empty batch.
    """
    shape = (*window.kernel, x.shape[3] // groups, dout.shape[3])
    block = _block(window, shape, groups)
    if block > 1:
        wide = dout.reshape(len(dout), window.out[0], window.out[1] // block, block * shape[3])
        return _from_band(conv2d_weight_grad(x, wide, _in_blocks(window, block)), window, block)
    dtype = np.result_type(x, dout)
    inner = _inner(dtype)
    row_bytes = _row_bytes(window, x.shape[3], inner)
    is_shared = _is_shared(len(x), window, shape)
    chunks = _cut(len(x), window, row_bytes, _LEAST_PIXELS_WEIGHT_GRAD, is_shared)
    # Each lane is summed by itself, so that no thread waits for another, and then lanes are added in order.
    lanes = list(even(len(chunks), -(-len(chunks) // _LANES))) if chunks else []
    sums = np.zeros((max(len(lanes), 1), *shape), inner)
    depthwise = _is_depthwise(shape, groups)
    run_chunk = _depthwise_weight_chunk if depthwise else _weight_chunk

    def work(numbers: Iterator[int]) -> None:
        with Scratch() as scratch:
            columns = _Columns(x, window, groups, inner, scratch)
            product = scratch.array("product", shape, inner)
            for lane in numbers:
                for chunk in chunks[lanes[lane]]:
                    part = dout[chunk.images, chunk.rows].astype(inner, copy=False)
                    run_chunk(columns, chunk, part, product)
                    sums[lane] += product

    _run(work, range(len(lanes)), is_shared, blas=not depthwise and dout.size * prod(shape[:3]) > SMALL_PRODUCT)
    return sums.sum(axis=0, dtype=inner).astype(dtype, copy=False)


def _weight_chunk(columns: "_Columns", chunk: Chunk, dout: Array, dw: Array) -> None:
    # (groups, KH*KW*C, pixels) @ (groups, pixels, O) -> (groups, KH*KW*C, O)
    transposed = columns.matrices(chunk).swapaxes(1, 2)
    np.matmul(transposed, _by_group(dout, columns.groups), out=_by_group(dw, columns.groups))


def _depthwise_weight_chunk(columns: "_Columns", chunk: Chunk, dout: Array, dw: Array) -> None:
    windows = columns.windows(chunk)[..., 0]  # (images, rows, OW, KH, KW, groups)
    np.einsum("nhwijc,nhwc->ijc", windows, dout, out=dw[:, :, 0])


@lru_cache(maxsize=1024)  # a network asks for the same few in every step
def _block(window: Window, w_shape: tuple[int, ...], groups: int) -> int:
    """How many outputs of a row are best taken as one: what costs least by figures measured on one core.

    Per output, in ns: a column of n numbers takes 0.4 n to write and read again, each of its KH runs 12, and BLAS
    n / 40 for each of its outputs, which it works on by 16. For 1 -> 16 channels and 3x3 on 28x28 pixels that gives
    43, 18 and 17 for blocks of 1, 4 and 7, where 33, 17 and 17 were measured.
    """
    if groups > 1 or window.dilation[1] > 1 or window.kernel == (1, 1):
        return 1
    width = window.out[1]
    blocks = (block for block in range(1, width + 1) if width % block == 0)
    return min(blocks, key=lambda block: _nanoseconds(window, w_shape, block), default=1)


def _nanoseconds(window: Window, w_shape: tuple[int, ...], block: int = 1) -> float:
    """About what an output pixel takes on one core, by the figures that `_block` tells."""
    (kh, kw), stride = window.kernel, window.stride[1]
    _, _, channels, outputs = w_shape
    column = kh * ((block - 1) * stride + kw) * channels
    worked_on = -(-block * outputs // 16) * 16
    return (column * (0.4 + worked_on / 40) + 12 * kh) / block


def _in_blocks(window: Window, block: int) -> Window:
    """The window of the same convolution with `block` outputs of a row as the channels of one output.

    It is wider and takes larger steps; the weights that go with it are a band (`_banded`), whose zeros BLAS
    multiplies in vain: few channels cost less so than many short columns.
    """
    (kh, kw), (sh, sw) = window.kernel, window.stride
    kernel, stride = (kh, (block - 1) * sw + kw), (sh, block * sw)
    return window._replace(kernel=kernel, stride=stride, out=(window.out[0], window.out[1] // block))


def _banded(w: Array, window: Window, block: int) -> Array:
    """w (KH, KW, C, O) -> (KH, (block - 1) * SW + KW, C, block * O): moved on by SW for each output of the block."""
    kh, kw, channels, outputs = w.shape
    wide = (block - 1) * window.stride[1] + kw
    band = np.zeros((kh, wide, channels, block, outputs), w.dtype)
    for i in range(block):
        first = i * window.stride[1]
        band[:, first : first + kw, :, i] = w
    return band.reshape(kh, wide, channels, block * outputs)  # (KH, .., C, block, O) -> (KH, .., C, block*O)


def _from_band(band: Array, window: Window, block: int) -> Array:
    """The transpose of `_banded`: (KH, (block - 1) * SW + KW, C, block * O) -> (KH, KW, C, O)."""
    kw = window.kernel[1]
    *taps, outputs = band.shape
    by_output = band.reshape(*taps, block, outputs // block)  # (KH, .., C, block*O) -> (KH, .., C, block, O)
    firsts = [i * window.stride[1] for i in range(block)]
    parts = [by_output[:, first : first + kw, :, i] for i, first in enumerate(firsts)]
    return np.add.reduce(parts, dtype=band.dtype)


def _is_shared(images: int, window: Window, w_shape: tuple[int, ...]) -> bool:
    """Whether the work is worth several threads."""
    return images * prod(window.out) * _nanoseconds(window, w_shape) >= _LEAST_SHARED


def _cut(images: int, window: Window, row_bytes: int, least_pixels: int, is_shared: bool) -> list[Chunk]:
    """Chunks of about `_CHUNK_BYTES` of columns, where an output row takes row_bytes; two at least if shared."""
    height, width = window.out
    most_rows = max(_CHUNK_BYTES // max(row_bytes, 1), -(-least_pixels // width))
    if is_shared:
        most_rows = min(most_rows, max(images * height // 2, 1))
    if most_rows >= images * height > 0:
        return [Chunk(slice(0, images), slice(0, height))]
    return list(cut(images, height, most_rows))


def _row_bytes(window: Window, channels: int, dtype: np.dtype[Any]) -> int:
    """Of the columns of an output row."""
    return window.out[1] * prod(window.kernel) * channels * dtype.itemsize


def _run(work: Callable[[Iterator[Any]], None], items: Sequence[Any], is_shared: bool, blas: bool) -> None:
    """work(iterator over the items), in several threads or in this one."""
    if is_shared:
        return share(work, items, blas)
    with one_blas_thread() if blas else nullcontext():
        work(iter(items))


class _Columns:
    """The windows of x, a chunk at a time, in buffers that the next chunk overwrites. One per thread.

    Views are made once for chunks of one size: between two long calls of NumPy a thread holds the interpreter's lock,
    for which the others wait.
    """

    def __init__(self, x: Array, window: Window, groups: int, dtype: np.dtype[Any], scratch: Scratch) -> None:
        self.x, self.window, self.groups, self.dtype = x, window, groups, dtype
        self._scratch = scratch
        self._sizes = (-1, -1)  # images and rows of the chunk that the buffers are for
        self._border: slice | None = None  # the rows of the chunk whose border of zeros is in the buffer
        self._all_windows: Array | None = None
        if not window.padded and x.dtype == dtype and x.flags.c_contiguous:
            self._all_windows = self._windows_of(x, window.out[0])  # x as it is

    def matrices(self, chunk: Chunk) -> Array:
        """(groups, pixels of the chunk, KH*KW*C/groups)."""
        windows = self.windows(chunk)
        images, rows, width, kh, kw, groups, c = windows.shape
        if self.window.kernel == self.window.stride == (1, 1):
            return _by_group(windows.reshape(images, rows, width, groups * c), groups)  # no copy: a view of x
        windows = windows.transpose(5, 0, 1, 2, 3, 4, 6)  # (groups, images, rows, OW, KH, KW, C)
        buffer = self._scratch.array("columns", windows.shape, self.dtype)
        np.copyto(buffer, windows)
        return buffer.reshape(groups, images * rows * width, kh * kw * c)

    def windows(self, chunk: Chunk) -> Array:
        """(images, rows, OW, KH, KW, groups, C/groups), a view of x or of a padded copy of what the chunk sees."""
        if self._all_windows is not None:
            return self._all_windows[chunk.images, chunk.rows]
        (top, _), (left, _) = self.window.padding
        rows = chunk.rows.stop - chunk.rows.start
        self._prepare(chunk.images.stop - chunk.images.start, rows)
        first = chunk.rows.start * self.window.stride[0] - top  # the image's row that comes first, if there is one
        _, height, width, _ = self.x.shape
        start, stop = (min(max(row, 0), height) for row in (first, first + self._padded.shape[1]))
        if self._border != chunk.rows:
            self._border = chunk.rows
            if start > first:
                self._padded[:, : start - first] = 0
            if stop - first < self._padded.shape[1]:
                self._padded[:, max(stop - first, 0) :] = 0
        self._padded[:, start - first : stop - first, left : left + width] = self.x[chunk.images, start:stop]
        return self._windows

    def _prepare(self, images: int, rows: int) -> None:
        """Buffers for a chunk of that size, with zeros at the left and at the right."""
        if self._sizes == (images, rows):
            return
        self._sizes, self._border = (images, rows), None
        (_, _), (left, right) = self.window.padding
        _, _, width, channels = self.x.shape
        seen = (rows - 1) * self.window.stride[0] + self.window.span[0]
        self._padded = self._scratch.array("padded", (images, seen, left + width + right, channels), self.dtype)
        if left:
            self._padded[:, :, :left] = 0
        if right:
            self._padded[:, :, left + width :] = 0
        self._windows = self._windows_of(self._padded, rows)

    def _windows_of(self, x: Array, rows: int) -> Array:
        """(images, rows, OW, KH, KW, groups, C/groups), a view of x that is padded already."""
        n, h, w, c = x.strides
        (sh, sw), (dh, dw), groups = self.window.stride, self.window.dilation, self.groups
        depth = x.shape[3] // groups
        shape = (len(x), rows, self.window.out[1], *self.window.kernel, groups, depth)
        strides = (n, h * sh, w * sw, h * dh, w * dw, c * depth, c)
        return np.ndarray(shape, x.dtype, x, 0, strides)  # what as_strided does, in a tenth of its 10 us


def _by_group(array: Array, groups: int) -> Array:
    """(..., groups * channels) -> (groups, everything else, channels), a view if array is contiguous."""
    channels = array.shape[-1] // groups
    return array.reshape(prod(array.shape[:-1]), groups, channels).swapaxes(0, 1)


def _is_depthwise(shape: tuple[int, ...], groups: int) -> bool:
    return groups > 1 and shape[2] == 1 and shape[3] == groups


def _inner(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype to compute in: BLAS knows no float16, and sums in float32 are more exact."""
    return np.dtype(np.float32) if dtype == np.float16 else dtype
