"""Runs of numbers that lie side by side, copied as one item each.

NumPy copies a strided array run by run, and for a run of some dozens of numbers the loop over them takes as long as to
move them. An item of a run's size (`np.void`) it moves as a whole: columns of 3x3 windows took 0.65 of the time for 16
channels and 0.8 for 32, tiles of Winograd's way 0.6 to 0.9. An array of such items is another view of the same memory.

But NumPy lets go of the interpreter's lock for copies of more than 500 items only (`NPY_BEGIN_THREADS_THRESHOLDED`). So
few runs, which may be long, are copied as numbers, as fast: another thread would wait for the lock meanwhile.
"""

from functools import lru_cache
from math import prod
from typing import Any

import numpy as np

__all__ = ["MOST_UNDER_LOCK", "best_item", "copy_runs", "run_of", "strides_of"]

Array = np.ndarray[Any, Any]

MOST_UNDER_LOCK = 500  # items in a copy for which NumPy keeps the interpreter's lock


@lru_cache(maxsize=1024)
def run_of(dtype: np.dtype[Any], numbers: int) -> np.dtype[Any]:
    """The dtype of an item of so many numbers, at least one: NumPy takes an item of 0 bytes for one without a size."""
    return np.dtype((np.void, max(numbers, 1) * dtype.itemsize))


def best_item(shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """The shape and the dtype as which arrays (.., C) of that shape, with C numbers side by side, are best copied.

    >>> best_item((600, 2), np.dtype(np.float32)), best_item((500, 2), np.dtype(np.float32))
    (((600, 1), dtype('V8')), ((500, 2), dtype('float32')))
    """
    if prod(shape[:-1]) <= MOST_UNDER_LOCK:
        return shape, dtype
    return (*shape[:-1], min(shape[-1], 1)), run_of(dtype, shape[-1])


def strides_of(x: Array) -> tuple[int, int, int, int]:
    """The strides of a contiguous x (N, H, W, C) by its shape: x's own may be anything along an axis of length 1.

    >>> np.empty((2, 3))[:, :, None, None].strides, strides_of(np.empty((2, 3))[:, :, None, None])
    ((24, 8, 0, 0), (24, 8, 8, 8))
    """
    _, height, width, channels = x.shape
    pixel = channels * x.itemsize
    return height * width * pixel, width * pixel, pixel, x.itemsize


def copy_runs(target: Array, source: Array) -> None:
    """target[...] = source for arrays (.., C) of one shape, C numbers at a time where dtypes and layouts allow.

    >>> target = np.empty((2, 3))
    >>> copy_runs(target, np.arange(12.0).reshape(2, 2, 3)[:, 1])
    >>> target
    array([[ 3.,  4.,  5.],
           [ 9., 10., 11.]])
    """
    are_runs = target.strides[-1] == source.strides[-1] == target.itemsize and target.dtype == source.dtype
    if are_runs:
        _, item = best_item(target.shape, target.dtype)
        target, source = target.view(item), source.view(item)  # (.., C) -> (.., 1), or as they are
    target[...] = source
