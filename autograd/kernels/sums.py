"""Sums over axes."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from .channels import sums

__all__ = ["total"]

_MANY = 2048  # short rows, from which it is worth its calls: np.sum takes 25 ns for one, these some 50 us
_LARGE = 1 << 22  # numbers, from which threads gain where rows are long
_SHORT = 512  # numbers in a row: longer ones np.sum adds as fast as one thread can


def total(x: np.ndarray, axis: Any = None, keepdims: Any = False) -> Any:
    """np.sum(x, axis, keepdims), faster over long leading axes and exact enough in float16.

    Over many leading elements (the bias gradient of a convolution) rows are added several at a time, and in several
    threads, where np.sum adds short rows one by one: a half to an eighth of its time. float16 is added in float32:
    alone it stops counting at 2048.

    >>> total(np.ones((2, 3)), axis=0)
    array([2., 2., 2.])
    """
    if x.dtype == np.float16:
        return np.sum(x, axis=axis, dtype=np.float32, keepdims=keepdims).astype(np.float16)
    n = len(axis) if isinstance(axis, tuple) else 1
    leads = axis == 0 or axis == tuple(range(n))
    rows, kept = prod(x.shape[:n]), x.shape[n:]
    if not leads or not kept or x.dtype.kind not in "fc" or not x.flags.c_contiguous or not _pays(rows, prod(kept)):
        return np.sum(x, axis=axis, keepdims=keepdims)
    out = sums(x.reshape(rows, prod(kept)))  # (N, H, W, C) -> (N*H*W, C)
    return out.reshape((1,) * n + kept if keepdims else kept)  # (C,) -> the axes that are left


def _pays(rows: int, length: int) -> bool:
    return rows >= _MANY and length > 0 and (length <= _SHORT or rows * length >= _LARGE)
