"""What batch normalization does with images: sums, products and affine maps of each channel, x (.., C).

A row of C numbers is too short for NumPy's inner loops, so rows are taken several at a time: x (M, C) as
(M / k, k * C), and a vector (C,) beside it k times.
All is done a block of rows at a time, and sums are those of the blocks, added in order: the same bits for any number
of threads.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from .blocks import BLOCK, repeated, run
from .chunks import even
from .memory import Scratch

__all__ = [
    "affine",
    "combine",
    "in_each_row",
    "moments",
    "normalize",
    "products",
    "rows_at_once",
    "sums",
]

Array = np.ndarray[Any, Any]

_BUFFER = 8192  # numbers in NumPy's buffers (np.getbufsize)
_LEAST_ROWS = 4  # of that length, else to repeat the vector costs as much as it saves
_SHORT_BYTES = 2048  # of a shorter row, at the most: see `rows_at_once`
_SUMMED_WIDTH = 2048  # numbers in a row for sums: 128 rows in a block, so that none adds up more before it is exact
_DEVIATIONS = 4  # see `moments`


def moments(x: Array) -> tuple[Array, Array, bool]:
    """The mean and the (biased) variance of each channel, and whether all means are near 0.

    x (M, C) -> (C,) and (C,), of x's dtype, and a bool.

    A mean is near 0 where it is not larger than 4 deviations. Then what is done to x about 0 is nearly as exact as
    about its mean (4 bits are lost at the most) and saves the walk that writes x - mean. So the moments are from the
    sums of x and of its squares where all means are near 0, else from those of x less the mean found so, which they
    correct.

    Chan, Golub and LeVeque, "Algorithms for Computing the Sample Variance", 1983, equations 1.3 and 1.7.
    """

    def squares(totals: Array, x: Array) -> None:
        np.add.reduce(x, axis=0, dtype=totals.dtype, out=totals[0])
        np.einsum("rk,rk->k", x, x, out=totals[1], dtype=totals.dtype)

    def centred_squares(totals: Array, x: Array) -> None:
        with Scratch() as scratch:
            squares(totals, _less(x, about, totals.dtype, scratch))

    with np.errstate(all="ignore"):  # squares may overflow where centred ones do not
        mean, square = _summed(squares, x.dtype, [x], 2, walks=2) / len(x)
        squared_mean = mean * mean
        var = square - squared_mean
        is_near = np.isfinite(var) & (squared_mean <= _DEVIATIONS**2 * var)
        near_zero = bool(np.logical_and.reduce(is_near))
        if not near_zero:
            about = mean.astype(_exact(x.dtype))
            rest, square = _summed(centred_squares, x.dtype, [x], 2, walks=4) / len(x)
            mean, var = about + rest, np.maximum(square - rest * rest, 0)  # below 0 by rounding
        return mean.astype(x.dtype), var.astype(x.dtype), near_zero


def normalize(x: Array, mean: Array, scale: Array, weight: Array, bias: Array, near_zero: bool) -> Array:
    """(x - mean) * scale * weight + bias for each channel: x (M, C), the others (C,) -> (M, C).

    near_zero  as x * slope + shift, for means near 0, in a walk less
    """

    def centred(out: Array, x: Array, mean: Array, slope: Array, bias: Array) -> None:
        np.subtract(x, mean, out=out)
        out *= slope
        out += bias

    slope = scale * weight
    if near_zero:
        return affine(x, slope, bias - mean * slope)
    return _mapped(centred, [x], [mean, slope, bias], walks=3)


def affine(x: Array, scale: Array, shift: Array) -> Array:
    """x * scale + shift for each channel: x (M, C), the others (C,) -> (M, C)."""

    def block(out: Array, x: Array, scale: Array, shift: Array) -> None:
        np.multiply(x, scale, out=out)
        out += shift

    return _mapped(block, [x], [scale, shift], walks=2)


def products(g: Array, x: Array, mean: Array, near_zero: bool) -> tuple[Array, Array]:
    """sum(g) and sum(g * (x - mean)) for each channel: g and x (M, C), mean (C,) -> (C,) and (C,).

    The sums in the gradients of Ioffe and Szegedy, "Batch Normalization", 2015, section 3.

    near_zero  as sum(g * x) - mean * sum(g), for means near 0, in a walk that only reads
    """

    def block(totals: Array, g: Array, x: Array) -> None:
        np.add.reduce(g, axis=0, dtype=totals.dtype, out=totals[0])
        np.einsum("rk,rk->k", x, g, out=totals[1], dtype=totals.dtype)

    def centred(totals: Array, g: Array, x: Array) -> None:
        with Scratch() as scratch:
            block(totals, g, _less(x, mean, totals.dtype, scratch))

    dtype = np.result_type(g, x, mean)
    total, along = _summed(block if near_zero else centred, dtype, [g, x], 2, walks=2 if near_zero else 4)
    if near_zero:
        along -= mean * total
    return total.astype(dtype), along.astype(dtype)


def _less(x: Array, mean: Array, dtype: Any, scratch: Scratch) -> Array:
    """x - mean in the thread's scratch: x (r, k*C), mean (C,) -> (r, k*C)."""
    out = scratch.array("centred", x.shape, dtype)
    in_each_row(np.subtract, x, mean, out)
    return out


def combine(g: Array, x: Array, mean: Array, by_g: Array, by_x: Array, constant: Array) -> Array:
    """by_g * g + by_x * (x - mean) + constant for each channel: g and x (M, C), the others (C,) -> (M, C).

    The gradient by x of Ioffe and Szegedy, "Batch Normalization", 2015, section 3, its terms gathered by g and x.
    """

    def block(out: Array, g: Array, x: Array, by_g: Array, by_x: Array, constant: Array) -> None:
        with Scratch() as scratch:
            t = scratch.array("term", out.shape, out.dtype)
            np.multiply(x, by_x, out=out)
            np.multiply(g, by_g, out=t)
            out += t
            out += constant

    return _mapped(block, [g, x], [by_g, by_x, constant - by_x * mean], walks=4)


def _mapped(block: Callable[..., None], arrays: list[Array], vectors: list[Array], walks: int) -> Array:
    """An array (M, C) that block(out, *arrays, *vectors) has written, a block of long rows at a time."""
    count, channels = arrays[0].shape
    out = np.empty((count, channels), np.result_type(*arrays, *vectors))
    k, shape = _wide_shape(out.size, channels, out.itemsize)
    wide = [np.ascontiguousarray(array).reshape(shape) for array in (out, *arrays)]  # (M, C) -> (M / k, k*C)
    repeated_vectors = _repeated(vectors, k)

    def work(blocks: Iterator[slice]) -> None:
        for rows in blocks:
            block(*[array[rows] for array in wide], *repeated_vectors)

    run(work, _slices(*shape, BLOCK), walks * out.size)
    return out


def _repeated(vectors: list[Array], k: int) -> Array:
    """Each of the vectors k times: n of (C,) -> (n, k*C)."""
    out = np.empty((len(vectors), k, len(vectors[0])), np.result_type(*vectors))
    for place, vector in zip(out, vectors, strict=True):
        place[...] = vector
    return out.reshape(len(vectors), -1)  # (n, k, C) -> (n, k*C)


def sums(x: Array) -> Array:
    """The sum of each channel: x (M, C) -> (C,), of x's dtype."""
    (total,) = _summed(lambda totals, x: np.add.reduce(x, axis=0, out=totals[0]), x.dtype, [x], 1, walks=1)
    return total.astype(x.dtype)


def _summed(block: Callable[..., Any], dtype: np.dtype[Any], arrays: list[Array], n: int, walks: int) -> Array:
    """The sums over M of the n totals (n, k*C) that block(totals, *arrays) writes: -> (n, C), in double.

    Totals are in the dtype, float16 in float32, which stops counting at 2048.
    """
    count, channels = arrays[0].shape
    k = max(min(_SUMMED_WIDTH // channels, count), 1)
    whole = count - count % k
    shape = whole // k, k * channels
    arrays = [np.ascontiguousarray(array) for array in arrays]
    wide = [array[:whole].reshape(shape) for array in arrays]  # (M, C) -> (M / k, k*C)
    blocks = _slices(*shape, BLOCK)
    totals = np.empty((len(blocks), n, k * channels), _exact(dtype))

    def work(numbers: Iterator[int]) -> None:
        for number in numbers:
            rows = blocks[number]
            block(totals[number], *[array[rows] for array in wide])

    run(work, range(len(blocks)), walks * arrays[0].size)
    double = np.promote_types(totals.dtype, np.float64)
    by_place = np.add.reduce(totals, axis=0, dtype=double).reshape(n, k, channels)  # (blocks, n, k*C) -> (n, k, C)
    found = np.add.reduce(by_place, axis=1)
    if whole < count:
        rest = np.empty((n, channels), totals.dtype)
        block(rest, *[array[whole:] for array in arrays])
        found += rest
    return found


def _exact(dtype: np.dtype[Any]) -> np.dtype[Any]:
    return np.dtype(np.float32) if dtype == np.float16 else dtype


def in_each_row(function: np.ufunc, x: Array, row: Array, out: Array) -> None:
    """function(x, row, out=out) in the calling thread: x and out (.., C) or (.., n*C), contiguous, row (C,)."""
    k, wide = _wide_shape(x.size, len(row), out.itemsize)
    function(x.reshape(wide), repeated(row, k), out=out.reshape(wide))  # (.., C) -> (M / k, k*C)


@lru_cache(maxsize=1024)
def _wide_shape(size: int, channels: int, itemsize: int) -> tuple[int, tuple[int, int]]:
    """How many rows of an array of that size are taken as one, k, and the shape (M / k, k*C) that it has then."""
    k = rows_at_once(size // max(channels, 1), channels, itemsize)
    return k, (size // max(k * channels, 1), k * channels)


@lru_cache(maxsize=1024)
def rows_at_once(count: int, channels: int, itemsize: int) -> int:
    """How many of `count` rows are best taken as one by a function of a matrix and a row: k, a divisor of count.

    Such a function goes through a buffer, which NumPy fills with the row anew again and again, unless the row is as
    long as the buffer: 2^18 numbers less a row took 50 us with rows of 8192 numbers and 75 with 512, the product in
    place 30 and 57. Where count has no such divisor rows stay short.
    """
    least = -(-_BUFFER // max(channels, 1))
    for k in range(least, min(2 * least, count // _LEAST_ROWS) + 1):
        if count % k == 0:
            return k
    return _short(count, channels * itemsize)


def _short(count: int, row_bytes: int) -> int:
    """How many of `count` rows make one of at most 2 kB: the largest k = 1, 2, 4, .. that divides count and fits.

    Rows that go through a buffer must not be longer: glibc copies more by `rep movsb`, which on some processors (Zen 3)
    takes 1.5 ns a number in place of 0.1 where the target is up to 32 bytes ahead of the source, modulo 4096: often,
    for allocators put 16 bytes before an array. With rows of 4 kB batch normalization took 0.6 in place of 0.4 ms, or
    1.3.
    """
    k = 1
    while row_bytes and count % (2 * k) == 0 and 2 * k * row_bytes <= _SHORT_BYTES:
        k *= 2
    return k


@lru_cache(maxsize=1024)
def _slices(rows: int, width: int, most: int) -> tuple[slice, ...]:
    """Blocks of so many rows, each of about `most` numbers."""
    return tuple(even(rows, max(most // max(width, 1), 1)))
