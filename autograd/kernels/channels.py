"""What batch normalization does with images: sums, products and affine maps of each channel, x (.., C).

With few channels a row of C numbers is too short for NumPy's inner loop, so rows are taken several at a time: x
(M, C) as (M / k, k * C), and a vector (C,) beside it k times. All is done a block of rows at a time, so that each
function walks through its arrays once, and sums are those of the blocks, added in order: the same bits for any number
of threads.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from .blocks import BLOCK, repeated, run
from .chunks import even
from .memory import Scratch

__all__ = ["centred_products", "combine", "moments", "normalize", "sums", "wide_rows"]

Array = np.ndarray[Any, Any]

_WIDE_BYTES = 2048  # of a wide row, at the most: see `wide_rows`


def moments(x: Array) -> tuple[Array, Array]:
    """The mean and the (biased) variance of each channel: x (M, C) -> (C,) and (C,), of x's dtype.

    Each block's own mean and squares about it, put together at the end: one walk, and no digits lost to a large mean,
    as by the sum of squares less the square of the mean. What the mean lost in its own sum is put right by the sum of
    the differences. float16 counts in float32.

    Chan, Golub and LeVeque, "Algorithms for Computing the Sample Variance", 1983, equations 1.7 and 2.1.
    """
    exact = np.float32 if x.dtype == np.float16 else x.dtype
    channels = x.shape[1]
    (wide,) = _widened([x])
    blocks = _blocks(wide)
    means, squares = np.empty((2, len(blocks), wide.shape[1]), exact)

    def work(numbers: Iterator[int]) -> None:
        with Scratch() as scratch:
            for number in numbers:
                part = wide[blocks[number]]
                np.add.reduce(part, axis=0, dtype=exact, out=means[number])
                means[number] /= len(part)
                centred = scratch.array("centred", part.shape, exact)
                np.subtract(part, means[number], out=centred)
                np.einsum("rk,rk->k", centred, centred, out=squares[number])
                rest = np.add.reduce(centred, axis=0) / len(part)
                means[number] += rest
                np.maximum(squares[number] - len(part) * rest * rest, 0, out=squares[number])  # below 0 by rounding

    run(work, range(len(blocks)), x.size)
    weights = np.array([part.stop - part.start for part in blocks], exact)[:, None, None] / len(x)  # (blocks, 1, 1)
    by_channel = means.reshape(len(blocks), -1, channels)  # (blocks, k*C) -> (blocks, k, C)
    mean = (weights * by_channel).sum(axis=(0, 1))
    between = (weights * np.square(by_channel - mean)).sum(axis=(0, 1))
    within = squares.sum(axis=0).reshape(-1, channels).sum(axis=0) / len(x)  # (k*C,) -> (k, C) -> (C,)
    return mean.astype(x.dtype, copy=False), (within + between).astype(x.dtype, copy=False)


def normalize(x: Array, mean: Array, slope: Array, bias: Array) -> Array:
    """(x - mean) * slope + bias for each channel: x (M, C), the others (C,) -> (M, C)."""

    def block(out: Array, x: Array, mean: Array, slope: Array, bias: Array) -> None:
        np.subtract(x, mean, out=out)
        out *= slope
        out += bias

    return _mapped(block, [x], [mean, slope, bias])


def centred_products(g: Array, x: Array, mean: Array) -> Array:
    """sum(g * (x - mean)) for each channel: g and x (M, C), mean (C,) -> (C,)."""

    def products(total: Array, scratch: Scratch, g: Array, x: Array, mean: Array) -> None:
        t = scratch.array("centred", x.shape, total.dtype)
        np.subtract(x, mean, out=t)
        np.einsum("rk,rk->k", t, g, out=total)

    return _summed(products, np.result_type(g, x, mean), [g, x], [mean])


def combine(g: Array, x: Array, mean: Array, by_g: Array, by_x: Array, constant: Array) -> Array:
    """by_g * g + by_x * (x - mean) + constant for each channel: g and x (M, C), the others (C,) -> (M, C)."""

    def block(out: Array, g: Array, x: Array, by_g: Array, by_x: Array, constant: Array) -> None:
        with Scratch() as scratch:
            t = scratch.array("term", out.shape, out.dtype)
            np.multiply(x, by_x, out=out)
            np.multiply(g, by_g, out=t)
            out += t
            out += constant

    return _mapped(block, [g, x], [by_g, by_x, constant - by_x * mean])


def _mapped(block: Callable[..., None], arrays: list[Array], vectors: list[Array]) -> Array:
    """An array (M, C) that block(out, *arrays, *vectors) has written, a block of wide rows at a time."""
    count, channels = arrays[0].shape
    out = np.empty((count, channels), np.result_type(*arrays, *vectors))
    wide_out, *wide = _widened([out, *arrays])
    vectors = [repeated(vector, wide_out.shape[1] // channels) for vector in vectors]  # (C,) -> (k*C,)

    def work(blocks: Iterator[slice]) -> None:
        for rows in blocks:
            block(wide_out[rows], *(array[rows] for array in wide), *vectors)

    run(work, _blocks(wide_out), out.size)
    return out


def sums(x: Array) -> Array:
    """The sum of each channel: x (M, C) -> (C,), of x's dtype."""
    return _summed(lambda total, scratch, x: np.add.reduce(x, axis=0, out=total), x.dtype, [x], [])


def _summed(block: Callable[..., Any], dtype: Any, arrays: list[Array], vectors: list[Array]) -> Array:
    """The sums over M of the totals (k*C,) that block(total, scratch, *arrays, *vectors) writes: -> (C,)."""
    channels = arrays[0].shape[1]
    wide = _widened(arrays)
    width = wide[0].shape[1]
    vectors = [repeated(vector, width // channels) for vector in vectors]  # (C,) -> (k*C,)
    blocks = _blocks(wide[0])
    totals = np.empty((len(blocks), width), dtype)

    def work(numbers: Iterator[int]) -> None:
        with Scratch() as scratch:
            for number in numbers:
                block(totals[number], scratch, *(array[blocks[number]] for array in wide), *vectors)

    run(work, range(len(blocks)), arrays[0].size)
    return totals.sum(axis=0).reshape(-1, channels).sum(axis=0)  # (blocks, k*C) -> (k*C,) -> (k, C) -> (C,)


def _widened(arrays: list[Array]) -> list[Array]:
    """Each (M, C) as (M / k, k*C), contiguous, for the largest k = 1, 2, 4, .. that divides M and fits."""
    count, channels = arrays[0].shape
    k = wide_rows(count, channels * max(array.itemsize for array in arrays))
    return [np.ascontiguousarray(array).reshape(count // k, k * channels) for array in arrays]


def wide_rows(count: int, row_bytes: int) -> int:
    """How many of `count` rows of that size are best taken as one: the largest k = 1, 2, 4, .. that divides and fits.

    A function of a matrix and a row goes through a buffer for the row, which NumPy fills by memcpy anew for every few
    rows. Beyond 2 kB glibc copies by `rep movsb`, which on some processors (Zen 3) takes 1.5 ns a number in place of
    0.1 where the target is up to 32 bytes ahead of the source, modulo 4096: often, for allocators put 16 bytes before
    an array. With rows of 4 kB batch normalization took 0.6 in place of 0.4 ms, or 1.3, by the luck of addresses.
    """
    k = 1
    while row_bytes and count % (2 * k) == 0 and 2 * k * row_bytes <= _WIDE_BYTES:
        k *= 2
    return k


def _blocks(wide: Array) -> list[slice]:
    return list(even(len(wide), max(BLOCK // wide.shape[1], 1)))
