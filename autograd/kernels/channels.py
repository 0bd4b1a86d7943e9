"""What batch normalization does with images: sums, products and affine maps of each channel, x (.., C).

With few channels a row of C numbers is too short for NumPy's inner loop, so rows are taken several at a time: x
(M, C) as (M / k, k * C), and a vector (C,) beside it k times. All is done a block of rows at a time, so that each
function walks through its arrays once (for its sums twice), and sums are those of the blocks, added in order: the same
bits for any number of threads.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from .blocks import BLOCK, repeated, run
from .chunks import even
from .memory import Scratch

__all__ = ["centred_products", "combine", "moments", "normalize", "sums"]

Array = np.ndarray[Any, Any]

_WIDE = 1024  # numbers in a wide row, at the most


def moments(x: Array) -> tuple[Array, Array]:
    """The mean and the (biased) variance of each channel: x (M, C) -> (C,) and (C,), of x's dtype.

    In two walks, since the sum of squares less the square of the mean loses digits. float16 counts in float32.
    """
    exact = np.float32 if x.dtype == np.float16 else x.dtype
    mean = _summed(None, exact, x) / len(x)

    def squares(t: Array, x: Array, mean: Array) -> None:
        np.subtract(x, mean, out=t)
        np.multiply(t, t, out=t)

    var = _summed(squares, exact, x, vectors=[mean]) / len(x)
    return mean.astype(x.dtype, copy=False), var.astype(x.dtype, copy=False)


def normalize(x: Array, mean: Array, slope: Array, bias: Array) -> Array:
    """(x - mean) * slope + bias for each channel: x (M, C), the others (C,) -> (M, C)."""

    def block(out: Array, x: Array, mean: Array, slope: Array, bias: Array) -> None:
        np.subtract(x, mean, out=out)
        out *= slope
        out += bias

    return _mapped(block, [x], [mean, slope, bias])


def centred_products(g: Array, x: Array, mean: Array) -> Array:
    """sum(g * (x - mean)) for each channel: g and x (M, C), mean (C,) -> (C,)."""

    def products(t: Array, g: Array, x: Array, mean: Array) -> None:
        np.subtract(x, mean, out=t)
        np.multiply(t, g, out=t)

    return _summed(products, np.result_type(g, x, mean), g, x, vectors=[mean])


def combine(g: Array, x: Array, mean: Array, by_g: Array, by_x: Array, constant: Array) -> Array:
    """by_g * g + by_x * (x - mean) + constant for each channel: g and x (M, C), the others (C,) -> (M, C)."""

    def block(out: Array, g: Array, x: Array, mean: Array, by_g: Array, by_x: Array, constant: Array) -> None:
        with Scratch() as scratch:
            t = scratch.array("term", out.shape, out.dtype)
            np.subtract(x, mean, out=out)
            out *= by_x
            np.multiply(g, by_g, out=t)
            out += t
            out += constant

    return _mapped(block, [g, x], [mean, by_g, by_x, constant])


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
    return _summed(None, x.dtype, x)


def _summed(terms: Callable[..., None] | None, dtype: Any, *arrays: Array, vectors: Sequence[Array] = ()) -> Array:
    """The sums over M of what terms(t, *arrays, *vectors) writes into t, or (None) of the one array: -> (C,)."""
    channels = arrays[0].shape[1]
    wide = _widened(list(arrays))
    width = wide[0].shape[1]
    vectors = [repeated(vector, width // channels) for vector in vectors]  # (C,) -> (k*C,)
    blocks = _blocks(wide[0])
    partial = np.empty((len(blocks), width), dtype)

    def work(numbers: Iterator[int]) -> None:
        with Scratch() as scratch:
            for number in numbers:
                parts = [array[blocks[number]] for array in wide]
                t = parts[0]
                if terms is not None:
                    t = scratch.array("terms", parts[0].shape, dtype)
                    terms(t, *parts, *vectors)
                np.add.reduce(t, axis=0, dtype=dtype, out=partial[number])

    run(work, range(len(blocks)), arrays[0].size)
    return partial.sum(axis=0).reshape(-1, channels).sum(axis=0)  # (blocks, k*C) -> (k*C,) -> (k, C) -> (C,)


def _widened(arrays: list[Array]) -> list[Array]:
    """Each (M, C) as (M / k, k*C), contiguous, for the largest k = 1, 2, 4, .. that divides M and fits."""
    count, channels = arrays[0].shape
    k = 1
    while count % (2 * k) == 0 and 2 * k * channels <= _WIDE:
        k *= 2
    return [np.ascontiguousarray(array).reshape(count // k, k * channels) for array in arrays]


def _blocks(wide: Array) -> list[slice]:
    return list(even(len(wide), max(BLOCK // wide.shape[1], 1)))
