"""2-D convolution and its two gradients as matrix products (im2col).

Every window of the input becomes a row of a matrix of columns (OH * OW rows of KH * KW * C numbers), and the
convolution is that matrix times the weights (Chellapilla, Puri and Simard, High performance convolutional
neural networks for document processing, 2006). The matrix is KH * KW times larger than the image, so it is
never made for a whole batch: `_cut` cuts the work into chunks whose columns stay in the cache, `_Columns`
writes the columns of one chunk into a buffer that the thread's next chunk overwrites, and one BLAS product does
the rest. Chunks are shared out to threads, each product in one thread.

Arrays are NHWC, weights (KH, KW, C / groups, O). All is linear: complex numbers are not conjugated. The cuts
depend on shapes alone and sums are taken in a fixed order: the same bits on each run and for any number of threads.
"""

from collections.abc import Iterator
from itertools import groupby
from math import prod
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import as_strided

from .threads import share
from .window import Window

__all__ = ["conv2d", "conv2d_input_grad", "conv2d_weight_grad"]

Array = np.ndarray[Any, Any]

_CHUNK_BYTES = 1 << 20  # of columns: more falls out of the cache, less makes the BLAS products too short
_LEAST_PIXELS = 512  # in a chunk, else BLAS spends its time on rearranging large weights
_LEAST_PIXELS_WEIGHT_GRAD = 1024  # else adding up the products of the chunks costs as much as they do
_LANES = 8  # of the weight gradient: the most threads that it uses; more cost memory, a sum each
_FEW_CHANNELS = 4  # up to here runs of KW * C numbers are too short for a fast copy, C too few for BLAS


def conv2d(x: Array, w: Array, b: Array | None, window: Window, groups: int = 1) -> Array:
    """The 2-D convolution (cross-correlation) of x with w, plus b.

    x (N, H, W, C), w (KH, KW, C / groups, O), b (O,) or None -> (N, OH, OW, O), of the dtype that NumPy
    promotes the arguments to. Raises ValueError if the shapes do not fit each other and the window.

    >>> from autograd.kernels.window import resolve
    >>> window = resolve("conv2d", size=(3, 3), kernel=2, stride=1, padding=0)
    >>> conv2d(np.ones((1, 3, 3, 1)), np.ones((2, 2, 1, 1)), None, window)[0, :, :, 0]
    array([[4., 4.],
           [4., 4.]])
    """
    _check_weights("conv2d", w.shape, window, groups)
    _check("conv2d", "x", x, (*window.size, w.shape[2] * groups))
    if b is not None and b.shape != w.shape[3:]:
        raise ValueError(f"conv2d: b has shape {b.shape} but w {w.shape} has {w.shape[3]} outputs")
    dtype = np.result_type(x, w) if b is None else np.result_type(x, w, b)
    out = np.empty((len(x), *window.out, w.shape[3]), dtype)
    w = w.astype(_inner(dtype), copy=False)
    depthwise = _is_depthwise(w.shape, groups)
    run_chunk = _depthwise_chunk if depthwise else _conv2d_chunk

    def work(chunks: Iterator[_Chunk]) -> None:
        columns = _Columns(x, window, groups, w.dtype)
        for chunk in chunks:
            part = out[chunk.images, chunk.rows]
            run_chunk(columns, chunk, w, part)
            if b is not None:
                np.add(part, b, out=part)  # here, while the chunk is in the cache

    row_bytes = _row_bytes(window, x.shape[3], w.dtype)
    share(work, list(_cut(len(x), window, row_bytes, _LEAST_PIXELS)), blas=not depthwise)
    return out


def _conv2d_chunk(columns: "_Columns", chunk: "_Chunk", w: Array, out: Array) -> None:
    # (groups, pixels, KH*KW*C) @ (groups, KH*KW*C, O) -> (groups, pixels, O)
    np.matmul(columns.matrices(chunk), _by_group(w, columns.groups), out=_by_group(out, columns.groups))


def _depthwise_chunk(columns: "_Columns", chunk: "_Chunk", w: Array, out: Array) -> None:
    """One channel per group: a sum over the taps, without columns (a product would have one output)."""
    windows = columns.windows(chunk)[..., 0]  # (images, rows, OW, KH, KW, groups)
    np.einsum("nhwijc,ijc->nhwc", windows, w[:, :, 0], out=out, casting="same_kind")


def conv2d_input_grad(dout: Array, w: Array, window: Window, groups: int = 1) -> Array:
    """The gradient of sum(dout * conv2d(x, w)) with respect to x.

    dout (N, OH, OW, O), w (KH, KW, C / groups, O) -> (N, H, W, C), where (H, W) is the window's size.
    Raises ValueError if the shapes do not fit each other and the window.
    """
    _check_weights("conv2d_input_grad", w.shape, window, groups)
    _check("conv2d_input_grad", "dout", dout, (*window.out, w.shape[3]))
    mirrored = _mirrored(window)
    # The mirrored convolution is a product with C output columns, slow in BLAS when they are few; the scatter
    # is slow at many short groups. By shape, never by timing: the same call must give the same bits.
    if mirrored is not None and (w.shape[2] > _FEW_CHANNELS or groups > 1):
        return conv2d(dout, _mirror(w, groups), None, mirrored, groups)
    dtype = np.result_type(dout, w)
    w = w.astype(_inner(dtype), copy=False)
    dx = np.zeros((len(dout), *window.size, w.shape[2] * groups), w.dtype)

    def work(parts: Iterator[list[_Chunk]]) -> None:
        for part in parts:
            for chunk in part:
                dout_part = dout[chunk.images, chunk.rows].astype(w.dtype, copy=False)
                _scatter_chunk(dout_part, w, window, groups, chunk, dx[chunk.images])

    row_bytes = _row_bytes(window, dx.shape[3], w.dtype)  # of the products of all taps
    chunks = _cut(len(dout), window, row_bytes, _LEAST_PIXELS)
    # Chunks of one image add to common rows of dx, so one thread takes them all.
    parts = [list(part) for _, part in groupby(chunks, key=lambda chunk: chunk.images.start)]
    share(work, parts, blas=not _is_depthwise(w.shape, groups))
    return dx.astype(dtype, copy=False)


def _mirrored(window: Window) -> Window | None:
    """The window whose convolution of dout with mirrored weights is the input gradient, if there is one.

    Input pixel i is seen by the outputs i + padding - k * dilation: a window over dout, its taps read
    backwards, padded by what the padding leaves of the span. A stride would put zeros between the outputs.
    """
    if window.stride != (1, 1):
        return None
    (top, bottom), (left, right) = window.padding
    rows, columns = window.span[0] - 1, window.span[1] - 1
    if max(top, bottom) > rows or max(left, right) > columns:
        return None  # padding wider than the kernel: nobody needs it to be fast
    padding = ((rows - top, rows - bottom), (columns - left, columns - right))
    return Window(window.out, window.kernel, (1, 1), padding, window.dilation, window.size)


def _mirror(w: Array, groups: int) -> Array:
    """The taps backwards and each group transposed: w (KH, KW, C/groups, O) -> (KH, KW, O/groups, C)."""
    kh, kw, c, o = w.shape
    w = w[::-1, ::-1].reshape(kh, kw, c, groups, o // groups)
    return w.transpose(0, 1, 4, 3, 2).reshape(kh, kw, o // groups, groups * c)


def _scatter_chunk(dout: Array, w: Array, window: Window, groups: int, chunk: "_Chunk", dx: Array) -> None:
    """Add dout times the weights of each tap to the pixels that the tap saw (col2im).

    dout (images, rows, OW, O), w (KH, KW, C/groups, O), dx (images, H, W, C). A tap at a time: its product
    stays in the cache. Two chunks of one image add to common rows of dx.
    """
    product = np.empty((*dout.shape[:3], dx.shape[3]), w.dtype)
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
    Raises ValueError if the shapes do not fit each other and the window.
    """
    shape = (*window.kernel, x.shape[-1] // max(groups, 1), dout.shape[-1])
    _check_weights("conv2d_weight_grad", shape, window, groups)
    _check("conv2d_weight_grad", "x", x, (*window.size, shape[2] * groups))
    _check("conv2d_weight_grad", "dout", dout, (*window.out, shape[3]), len(x))
    dtype = np.result_type(x, dout)
    inner = _inner(dtype)
    row_bytes = _row_bytes(window, x.shape[3], inner)
    chunks = list(_cut(len(x), window, row_bytes, _LEAST_PIXELS_WEIGHT_GRAD))
    # Each lane is summed by itself, so that no thread waits for another, and then lanes are added in order.
    lanes = list(_even(len(chunks), -(-len(chunks) // _LANES))) if chunks else []
    sums = np.zeros((max(len(lanes), 1), *shape), inner)
    depthwise = _is_depthwise(shape, groups)
    run_chunk = _depthwise_weight_chunk if depthwise else _weight_chunk

    def work(numbers: Iterator[int]) -> None:
        columns = _Columns(x, window, groups, inner)
        product = np.empty(shape, inner)
        for lane in numbers:
            for chunk in chunks[lanes[lane]]:
                part = dout[chunk.images, chunk.rows].astype(inner, copy=False)
                run_chunk(columns, chunk, part, product)
                sums[lane] += product

    share(work, range(len(lanes)), blas=not depthwise)
    return sums.sum(axis=0, dtype=inner).astype(dtype, copy=False)


def _weight_chunk(columns: "_Columns", chunk: "_Chunk", dout: Array, dw: Array) -> None:
    # (groups, KH*KW*C, pixels) @ (groups, pixels, O) -> (groups, KH*KW*C, O)
    transposed = columns.matrices(chunk).swapaxes(1, 2)
    np.matmul(transposed, _by_group(dout, columns.groups), out=_by_group(dw, columns.groups))


def _depthwise_weight_chunk(columns: "_Columns", chunk: "_Chunk", dout: Array, dw: Array) -> None:
    windows = columns.windows(chunk)[..., 0]  # (images, rows, OW, KH, KW, groups)
    np.einsum("nhwijc,nhwc->ijc", windows, dout, out=dw[:, :, 0])


class _Chunk(NamedTuple):
    """Some output pixels of a batch: rows of one image, or all rows of some images."""

    images: slice
    rows: slice


def _cut(images: int, window: Window, row_bytes: int, least_pixels: int) -> Iterator[_Chunk]:
    """Cut a batch into chunks of about `_CHUNK_BYTES`, where an output row takes row_bytes."""
    height, width = window.out
    rows = max(_CHUNK_BYTES // max(row_bytes, 1), -(-least_pixels // width))  # a chunk at most
    if rows >= height:
        for some in _even(images, rows // height):
            yield _Chunk(some, slice(0, height))
        return
    for n in range(images):
        for some in _even(height, rows):
            yield _Chunk(slice(n, n + 1), some)


def _even(total: int, most: int) -> Iterator[slice]:
    """Cut 0 .. total into the fewest slices of at most `most`, as equal as they can be."""
    pieces = -(-total // most)
    for i in range(pieces):
        yield slice(total * i // pieces, total * (i + 1) // pieces)


def _row_bytes(window: Window, channels: int, dtype: np.dtype[Any]) -> int:
    """Of the columns of an output row."""
    return window.out[1] * prod(window.kernel) * channels * dtype.itemsize


class _Columns:
    """The windows of x, a chunk at a time, in buffers that the next chunk overwrites. One per thread."""

    def __init__(self, x: Array, window: Window, groups: int, dtype: np.dtype[Any]) -> None:
        self.x, self.window, self.groups, self.dtype = x, window, groups, dtype
        self._as_it_is = not window.padded and x.dtype == dtype and x.flags.c_contiguous
        self._buffer = np.empty(0, dtype)
        self._padded = np.zeros((0, 0, 0, 0), dtype)

    def matrices(self, chunk: _Chunk) -> Array:
        """(groups, pixels of the chunk, KH*KW*C/groups)."""
        windows = self.windows(chunk)
        images, rows, width, kh, kw, groups, c = windows.shape
        if self.window.kernel == self.window.stride == (1, 1):
            return _by_group(windows.reshape(images, rows, width, groups * c), groups)  # no copy: a view of x
        if self._buffer.size < windows.size:
            self._buffer = np.empty(windows.size, self.dtype)
        buffer = self._buffer[: windows.size]
        if c > _FEW_CHANNELS:
            windows = windows.transpose(5, 0, 1, 2, 3, 4, 6)  # (groups, images, rows, OW, KH, KW, C)
            np.copyto(buffer.reshape(windows.shape), windows)
            return buffer.reshape(groups, images * rows * width, kh * kw * c)
        windows = windows.transpose(5, 3, 4, 6, 0, 1, 2)  # (groups, KH, KW, C, images, rows, OW): runs of OW
        np.copyto(buffer.reshape(windows.shape), windows)
        return buffer.reshape(groups, kh * kw * c, images * rows * width).swapaxes(1, 2)  # BLAS transposes it

    def windows(self, chunk: _Chunk) -> Array:
        """(images, rows, OW, KH, KW, groups, C/groups), a view of the padded rows that the chunk sees."""
        x = self._rows(chunk)
        n, h, w, c = x.strides
        (sh, sw), (dh, dw), groups = self.window.stride, self.window.dilation, self.groups
        depth = x.shape[3] // groups
        rows = chunk.rows.stop - chunk.rows.start
        shape = (len(x), rows, self.window.out[1], *self.window.kernel, groups, depth)
        strides = (n, h * sh, w * sw, h * dh, w * dw, c * depth, c)
        return as_strided(x, shape, strides, writeable=False)

    def _rows(self, chunk: _Chunk) -> Array:
        """(images, input rows that the chunk sees, left + W + right, C): a view of x, or a padded copy."""
        (top, _), (left, right) = self.window.padding
        first = chunk.rows.start * self.window.stride[0] - top
        stop = (chunk.rows.stop - 1) * self.window.stride[0] - top + self.window.span[0]
        if self._as_it_is:
            return self.x[chunk.images, first:stop]
        _, height, width, channels = self.x.shape
        images, rows = chunk.images.stop - chunk.images.start, stop - first
        if len(self._padded) < images or self._padded.shape[1] < rows:
            self._padded = np.zeros((images, rows, left + width + right, channels), self.dtype)
        padded = self._padded[:images, :rows]  # its left and right edges stay zero from chunk to chunk
        start, end = min(max(first, 0), height), min(max(stop, 0), height)  # the rows that are real
        padded[:, : start - first] = 0
        padded[:, start - first : end - first, left : left + width] = self.x[chunk.images, start:end]
        padded[:, end - first :] = 0
        return padded


def _by_group(array: Array, groups: int) -> Array:
    """(..., groups * channels) -> (groups, everything else, channels), a view if array is contiguous."""
    channels = array.shape[-1] // groups
    return array.reshape(prod(array.shape[:-1]), groups, channels).swapaxes(0, 1)


def _is_depthwise(shape: tuple[int, ...], groups: int) -> bool:
    return groups > 1 and shape[2] == 1 and shape[3] == groups


def _inner(dtype: np.dtype[Any]) -> np.dtype[Any]:
    """The dtype to compute in: BLAS knows no float16, and sums in float32 are more exact."""
    return np.dtype(np.float32) if dtype == np.float16 else dtype


def _check(op: str, name: str, array: Array, image: tuple[int, ...], batch: int | None = None) -> None:
    # Not only a courtesy: strided views of an array that is too small would read memory that is not its own.
    if array.ndim == 4 and array.shape[1:] == image and batch in (None, len(array)):
        return
    expected = ", ".join(str(n) for n in ("N" if batch is None else batch, *image))
    raise ValueError(f"{op}: {name} has shape {array.shape} but ({expected}) is expected")


def _check_weights(op: str, shape: tuple[int, ...], window: Window, groups: int) -> None:
    if len(shape) != 4 or shape[:2] != window.kernel:
        kh, kw = window.kernel
        raise ValueError(f"{op}: w has shape {shape} but ({kh}, {kw}, C / groups, O) is expected")
    if groups < 1 or shape[3] % groups:
        raise ValueError(f"{op}: {shape[3]} output channels cannot be divided into {groups} groups")
