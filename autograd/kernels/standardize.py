"""Rows less their mean, over their standard deviation, x (M, D), and the gradient of that: layer normalization."""

from typing import Any

import numpy as np

from .rows import Memory, each_block_of_rows

__all__ = ["standardize", "standardize_grad"]

Array = np.ndarray[Any, Any]


def standardize(x: Array, eps: float, weight: Array | None = None, bias: Array | None = None) -> Array:
    """(x - mean) / sqrt(var + eps) of each row, or that * weight + bias: floats (M, D), the others (D,) -> (M, D).

    >>> standardize(np.array([[1.0, 3.0]]), 0.0)
    array([[-1.,  1.]])
    """
    out = np.empty(x.shape, x.dtype if weight is None else np.result_type(x, weight, bias))

    def block(rows: slice, memory: Memory) -> None:
        t = out[rows]
        t *= _centre(x[rows], eps, t)
        if weight is not None:
            t *= weight
            t += bias

    each_block_of_rows(block, x.shape)
    return out


def standardize_grad(g: Array, x: Array, eps: float) -> Array:
    """The gradient of `standardize` by x: with s = 1 / sqrt(var + eps), c = x - mean and means over each row,

    s * (g - mean(g) - s² * c * mean(g * c)): g and x (M, D) -> (M, D).
    """
    out = np.empty(x.shape, np.result_type(g, x))
    length = x.shape[1]

    def block(rows: slice, memory: Memory) -> None:
        t, c = out[rows], memory("centred", x[rows].shape, out.dtype)
        scale = _centre(x[rows], eps, c)
        c *= scale * scale * _products(g[rows], c) / length
        np.subtract(g[rows], np.add.reduce(g[rows], axis=1, keepdims=True) / length, out=t)
        t -= c
        t *= scale

    each_block_of_rows(block, x.shape)
    return out


def _centre(x: Array, eps: float, out: Array) -> Array:
    """Writes x less its row's mean into out; 1 / sqrt(var + eps) of each row: (M, D) -> (M, 1)."""
    length = x.shape[1]
    np.subtract(x, np.add.reduce(x, axis=1, keepdims=True) / length, out=out)
    return 1 / np.sqrt(_products(out, out) / length + eps)


def _products(x: Array, y: Array) -> Array:
    """The sum of x * y of each row, in one walk and without BLAS, which has threads: (M, D) and (M, D) -> (M, 1)."""
    return np.einsum("md,md->m", x, y)[:, None]
