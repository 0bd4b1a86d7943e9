"""Max and average pooling over sliding windows, with what their gradients need.

A window is reduced first along the rows, then along the columns, since maxima and sums are separable: KH + KW passes
instead of KH * KW, each a ufunc on whole strided slices. Measured here against a pass for each tap, on one core: 0.8
(max) and 0.7 (mean) of the time for windows of 3x3 with stride 1 on 8 images of 32x32x64, 0.6 and 0.5 for 5x5; no
difference for 2x2 with stride 2.
The batch is cut into chunks of images so that the passes stay in the cache. Arrays are NHWC; windows have no dilation.

Which element of a window was the largest is told by its tap, the number kh * KW + kw: a byte each for kernels
up to 16 x 16, where flat indices take eight.
"""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from math import prod
from typing import Any

import numpy as np

from .blocks import keep, kept
from .pool_geometry import Geometry, Index, corners, geometry_of
from .products import is_finite
from .threads import share
from .window import Window

__all__ = [
    "avg_pool2d",
    "avg_unpool2d",
    "indices_to_taps",
    "max_pool2d",
    "max_pool2d_for",
    "max_pool2d_taps",
    "max_pool2d_taps_for",
    "pick_taps",
    "taps_to_indices",
    "unpool_taps",
]

Array = np.ndarray[Any, Any]
Shape = tuple[int, ...]

# of input: what the passes over a chunk touch stays in the outer cache; and threads, which share chunks, wait longer
# for the interpreter's lock than they save on less
_CHUNK_BYTES = 1 << 21
_PIXEL_BYTES = 64  # at least: NumPy takes about as long for the runs of fewer channels


def max_pool2d(x: Array, window: Window) -> Array:
    """The largest element of each window: x (N, H, W, C) -> (N, OH, OW, C), of x's dtype.

    Padding counts as the lowest value there is, and NaN as larger than all. Raises ValueError if x does not
    fit the window, TypeError for complex x.

    >>> from autograd.kernels.window import resolve
    >>> window = resolve("max_pool2d", size=(2, 4), kernel=2, stride=2, padding=0)
    >>> max_pool2d(np.arange(8.0).reshape(1, 2, 4, 1), window).ravel()
    array([5., 7.])
    """
    return max_pool2d_for(x.shape, x.dtype, window)(x)


def max_pool2d_for(shape: Shape, dtype: np.dtype[Any], window: Window) -> Callable[[Array], Array]:
    """The function of x that is `max_pool2d` for this shape and dtype; raises if they do not fit."""
    geometry = _checked("max_pool2d", "x", shape, window.size, window)
    return partial(_max_pool2d, window=window, geometry=geometry, lowest=_lowest("max_pool2d", dtype))


def _max_pool2d(x: Array, window: Window, geometry: Geometry, lowest: Any) -> Array:
    out = np.empty((len(x), *window.out, x.shape[3]), x.dtype)

    def work(chunks: Iterable[slice]) -> None:
        for images in chunks:
            _max_chunk(_pad(x[images], window, lowest), geometry, out[images])

    _run(work, x)
    return out


def _max_chunk(x: Array, geometry: Geometry, out: Array) -> None:
    """Write the largest elements of padded x: rows first, whose runs are long."""
    rows, columns = geometry.folds
    _fold(np.maximum, _fold(np.maximum, x, rows), columns, out)  # (n, OH, W, C), then (n, OH, OW, C)


def max_pool2d_taps(x: Array, window: Window) -> tuple[Array, Array]:
    """max_pool2d(x) and the tap of the first largest element of each window.

    x (N, H, W, C) -> out and taps, both (N, OH, OW, C). A tap is kh * KW + kw, uint8 (int32 for kernels of
    more than 256 taps), and never in the padding. The first NaN of a window is its largest. Raises as
    max_pool2d.
    """
    return max_pool2d_taps_for(x.shape, x.dtype, window)(x)


def max_pool2d_taps_for(shape: Shape, dtype: np.dtype[Any], window: Window) -> Callable[[Array], tuple[Array, Array]]:
    """The function of x that is `max_pool2d_taps` for this shape and dtype; raises if they do not fit."""
    geometry = _checked("max_pool2d", "x", shape, window.size, window)
    return partial(_max_pool2d_taps, window=window, geometry=geometry, lowest=_lowest("max_pool2d", dtype))


def _max_pool2d_taps(x: Array, window: Window, geometry: Geometry, lowest: Any) -> tuple[Array, Array]:
    out = np.empty((len(x), *window.out, x.shape[3]), x.dtype)
    taps = np.empty(out.shape, geometry.tap_dtype)

    def work(chunks: Iterable[slice]) -> None:
        for images in chunks:
            _max_chunk(_pad(x[images], window, lowest), geometry, out[images])
            _first_taps(x[images], out[images], geometry, taps[images])

    _run(work, x)
    return out, taps


def _first_taps(x: Array, out: Array, geometry: Geometry, taps: Array) -> None:
    """Write the first tap at which each window has its largest element, for one chunk of images.

    From the last tap, which needs no comparison, to the first: how many taps from this one on come before an equal one.
    Measured here with the maxima, on 1 and 2 threads: 0.7 to 0.9 of the time of comparing all taps and ranking them.
    """
    # NaN equals nothing; it is rare, and costs more comparisons. An infinity may look like one, and does no harm.
    differ = np.not_equal if x.dtype.kind != "f" or is_finite(out) else _differ_and_no_nan
    taps[...] = 0
    for _, outputs, pixels in reversed(geometry.taps[:-1]):
        taps += 1
        part = taps[outputs]
        part *= differ(x[pixels], out[outputs]).view(np.uint8)


def _differ_and_no_nan(x: Array, out: Array) -> Array:
    return np.not_equal(x, out) & ~(np.isnan(x) & np.isnan(out))


def unpool_taps(g: Array, taps: Array, window: Window) -> Array:
    """Put each element at the tapped pixel of its window; where windows overlap, add up.

    g and taps (N, OH, OW, C) -> (N, H, W, C) of g's dtype. Raises ValueError if they do not fit the window.
    """
    geometry = _checked("unpool_taps", "g", g.shape, window.out, window)
    _check_taps("unpool_taps", taps, g.shape)
    dx = np.empty((len(g), *window.size, g.shape[3]), g.dtype)

    def work(chunks: Iterable[slice]) -> None:
        for images in chunks:
            _unpool_chunk(g[images], taps[images], geometry, dx[images])

    _run(work, dx)
    return dx


def _unpool_chunk(g: Array, taps: Array, geometry: Geometry, dx: Array) -> None:
    """Write all of dx, for one chunk of images."""
    overlap = any(geometry.overlap)
    if not geometry.tiles:
        dx[...] = 0
    for number, outputs, pixels in geometry.taps:
        part, chosen = dx[pixels], taps[outputs] == number
        if overlap:
            part += kept(g[outputs], chosen)
        else:
            keep(g[outputs], chosen, part)


def pick_taps(x: Array, taps: Array, window: Window) -> Array:
    """The tapped element of each window, the adjoint of unpool_taps.

    x (N, H, W, C), taps (N, OH, OW, C) -> (N, OH, OW, C) of x's dtype. Raises ValueError if they do not fit.
    """
    geometry = _checked("pick_taps", "x", x.shape, window.size, window)
    picked = np.zeros((len(x), *window.out, x.shape[3]), x.dtype)
    _check_taps("pick_taps", taps, picked.shape)

    def work(chunks: Iterable[slice]) -> None:
        for images in chunks:
            for number, outputs, pixels in geometry.taps:
                chosen = taps[images][outputs] == number
                picked[images][outputs] += kept(x[images][pixels], chosen)  # one tap each: a sum with zeros

    _run(work, x)
    return picked


def taps_to_indices(taps: Array, window: Window) -> Array:
    """Taps (N, OH, OW, C) as int64 indices h * W + w into the unpadded plane, as PyTorch's return_indices."""
    kh, kw = np.divmod(taps.astype(np.int64), window.kernel[1])
    row, column = corners(window)
    return (row + kh) * window.size[1] + column + kw


def indices_to_taps(indices: Array, window: Window, op: str) -> Array:
    """The inverse of taps_to_indices.

    Raises TypeError if the indices are no integers, ValueError if one is not inside its window, naming op.
    """
    if indices.dtype.kind not in "iu":
        raise TypeError(f"{op}: indices must be integers, not {indices.dtype}")
    geometry = _checked(op, "indices", indices.shape, window.out, window)
    (height, width), (kernel_h, kernel_w) = window.size, window.kernel
    h, w = np.divmod(indices.astype(np.int64), width)
    row, column = corners(window)
    kh, kw = h - row, w - column
    outside = (h < 0) | (h >= height) | (kh < 0) | (kh >= kernel_h) | (kw < 0) | (kw >= kernel_w)
    if outside.any():
        at = tuple(int(i) for i in np.argwhere(outside)[0])
        top, left = int(row[at[1], 0, 0]), int(column[at[2], 0])
        raise ValueError(
            f"{op}: index {indices[at]} at (n, oh, ow, c) = {at} is pixel {(int(h[at]), int(w[at]))} of an "
            f"image {window.size}, but its window is rows {top} to {top + kernel_h - 1} and columns {left} "
            f"to {left + kernel_w - 1}; give the kernel, stride, padding and size that the indices are of"
        )
    return (kh * kernel_w + kw).astype(geometry.tap_dtype)


def avg_pool2d(x: Array, window: Window, count_include_pad: bool = False) -> Array:
    """The mean of each window: x (N, H, W, C) -> (N, OH, OW, C) of x's dtype, float64 for integers.

    The mean is over the real elements, or over all KH * KW with zeros for padding if count_include_pad.
    Raises ValueError if x does not fit the window.
    """
    rows, columns = _checked("avg_pool2d", "x", x.shape, window.size, window).folds
    dtype, inner = _mean_dtypes(x.dtype)
    counts = _counts(window, count_include_pad, inner)
    out = np.empty((len(x), *window.out, x.shape[3]), dtype)

    def work(chunks: Iterable[slice]) -> None:
        for images in chunks:
            part = _pad(x[images].astype(inner, copy=False), window, 0)
            part = _fold(np.add, _fold(np.add, part, rows), columns)  # (n, OH, W, C), then (n, OH, OW, C)
            np.divide(part, counts, out=out[images])

    _run(work, x)
    return out


def avg_unpool2d(g: Array, window: Window, count_include_pad: bool = False) -> Array:
    """Spread each element evenly over its window, the adjoint of avg_pool2d.

    g (N, OH, OW, C) -> (N, H, W, C) of g's dtype, float64 for integers. Raises ValueError if g does not fit.
    """
    overlap = _checked("avg_unpool2d", "g", g.shape, window.out, window).overlap
    dtype, inner = _mean_dtypes(g.dtype)
    counts = _counts(window, count_include_pad, inner)
    dx = np.zeros((len(g), *window.size, g.shape[3]), inner)

    def work(chunks: Iterable[slice]) -> None:
        for images in chunks:
            means = g[images] / counts  # (n, OH, OW, C)
            part = np.zeros((len(means), window.out[0], *dx.shape[2:]), inner)  # (n, OH, W, C)
            _spread(means, 1, window, overlap[1], part)
            _spread(part, 0, window, overlap[0], dx[images])  # rows last: they have long runs

    _run(work, dx)
    return dx.astype(dtype, copy=False)


def _run(work: Callable[[Iterable[slice]], None], x: Array) -> None:
    """Do the work on all chunks of x."""
    if _size(x) <= _CHUNK_BYTES:
        work((slice(0, len(x)),))
    else:
        share(work, _cut(x))


def _cut(x: Array) -> list[slice]:
    """Slices of images of about `_CHUNK_BYTES` of x, (N, H, W, C), as equal as they can be."""
    images = max(_CHUNK_BYTES // max(_size(x[:1]), 1), 1)  # at most
    pieces = -(-len(x) // images)
    return [slice(len(x) * i // pieces, len(x) * (i + 1) // pieces) for i in range(pieces)]


def _size(x: Array) -> int:
    """Bytes of images (N, H, W, C), as far as they tell how long the passes take."""
    return prod(x.shape[:3]) * max(x.shape[3] * x.itemsize, _PIXEL_BYTES)


def _pad(x: Array, window: Window, value: Any) -> Array:
    """(n, H, W, C) -> (n, top + H + bottom, left + W + right, C), x itself if there is no padding."""
    if not window.padded:
        return x
    n, height, width, channels = x.shape
    (top, bottom), (left, right) = window.padding
    padded = np.full((n, top + height + bottom, left + width + right, channels), value, x.dtype)
    padded[:, top : top + height, left : left + width] = x
    return padded


def _fold(ufunc: Any, x: Array, taps: Sequence[Index], out: Array | None = None) -> Array:
    """Reduce padded x over the taps of one axis: H becomes OH, or W becomes OW."""
    if len(taps) == 1:
        if out is None:
            return x[taps[0]]
        out[...] = x[taps[0]]
        return out
    out = ufunc(x[taps[0]], x[taps[1]], out=out)
    for tap in taps[2:]:
        ufunc(out, x[tap], out=out)
    return out


def _spread(g: Array, axis: int, window: Window, overlap: bool, dx: Array) -> None:
    """Add g to the taps of each window along one axis of dx: OH becomes H, or OW becomes W."""
    for k in range(window.kernel[axis]):
        out, pixels = window.tap(axis, k)
        part, values = (dx[:, pixels], g[:, out]) if axis == 0 else (dx[:, :, pixels], g[:, :, out])
        if overlap:
            part += values
        else:
            part[...] = values


def _counts(window: Window, count_include_pad: bool, dtype: np.dtype[Any]) -> Any:
    """The number of elements that each window's mean is over: an int, or an array (OH, OW, 1)."""
    if count_include_pad or not window.padded:
        return window.kernel[0] * window.kernel[1]
    counts: Any = 1
    for first, kernel, size in zip(corners(window), window.kernel, window.size, strict=True):
        counts = counts * (np.minimum(first + kernel, size) - np.maximum(first, 0))  # (OH, 1, 1) * (OW, 1)
    return counts.astype(dtype)


def _mean_dtypes(dtype: np.dtype[Any]) -> tuple[np.dtype[Any], np.dtype[Any]]:
    """The dtype of a mean, and the one to sum in."""
    if dtype.kind in "iub":
        return np.dtype(np.float64), np.dtype(np.float64)
    return dtype, np.dtype(np.float32) if dtype == np.float16 else dtype


def _lowest(op: str, dtype: np.dtype[Any]) -> Any:
    if dtype.kind in "iu":
        return np.iinfo(dtype).min
    if dtype.kind == "c":
        raise TypeError(f"{op}: complex numbers have no largest; pool their real or absolute values")
    return False if dtype.kind == "b" else -np.inf


def _checked(op: str, name: str, shape: Shape, image: tuple[int, int], window: Window) -> Geometry:
    """The geometry of the window; raises unless it is one to pool over and the shape is of images of that size."""
    geometry = geometry_of(op, window)
    if len(shape) != 4 or shape[1:3] != image:
        expected = f"(N, {image[0]}, {image[1]}, C)"
        raise ValueError(f"{op}: {name} has shape {shape} but {expected} is expected; bring {name} to that "
                         "shape, or give the size, kernel, stride and padding that it is of")
    return geometry


def _check_taps(op: str, taps: Array, shape: tuple[int, ...]) -> None:
    if taps.shape != shape:
        raise ValueError(f"{op}: taps have shape {taps.shape} but {shape} is expected; give the taps of the same "
                         "pooling")
