"""Rows normalized by their own mean and variance, x (M, D), and the gradients of that."""

from typing import Any

import numpy as np

from .rows import Memory, each_block_of_rows

__all__ = ["gradients", "normalize"]

Array = np.ndarray[Any, Any]


def normalize(x: Array, weight: Array, bias: Array, eps: float) -> Array:
    """(x - mean) / sqrt(var + eps) * weight + bias for each row: floats (M, D), the others (D,) -> (M, D).

    >>> normalize(np.array([[1.0, 3.0]]), np.ones(2), np.zeros(2), 0.0)
    array([[-1.,  1.]])
    """
    out = np.empty(x.shape, np.result_type(x, weight, bias))

    def block(rows: slice, memory: Memory) -> None:
        t = out[rows]
        t *= _centre(x[rows], eps, t)
        t *= weight
        t += bias

    each_block_of_rows(block, x.shape)
    return out


def gradients(g: Array, x: Array, weight: Array, eps: float) -> tuple[Array, Array, Array]:
    """Those of `normalize` by x, weight and bias, for the cotangent g: g and x (M, D), weight (D,).

    With y the normalized rows, s = 1 / sqrt(var + eps), h = g * weight and means over each row they are
    s * (h - mean(h) - y * mean(h * y)), and over the column sum(g * y) and sum(g): -> (M, D), (D,), (D,).

    By the chain rule from Ba, Kiros and Hinton, "Layer Normalization", 2016, equation 3.
    """
    out = np.empty(x.shape, np.result_type(g, x, weight))
    length = x.shape[1]
    sums: dict[int, Array] = {}

    def block(rows: slice, memory: Memory) -> None:
        g_part, h = g[rows], out[rows]
        y, products = memory("y", h.shape, out.dtype), memory("products", h.shape, out.dtype)
        scale = _centre(x[rows], eps, y)
        y *= scale
        np.multiply(g_part, y, out=products)
        sums[rows.start] = np.stack([np.add.reduce(products, axis=0), np.add.reduce(g_part, axis=0)])  # (2, D)
        y *= np.einsum("md,d->m", products, weight)[:, None] / length  # (m,) -> (m, 1)
        y += np.einsum("md,d->m", g_part, weight)[:, None] / length  # (m,) -> (m, 1)
        np.multiply(g_part, weight, out=h)
        h -= y
        h *= scale

    each_block_of_rows(block, x.shape)
    # added in the order of the blocks: the same bits for any number of threads
    by_weight, by_bias = np.add.reduce([sums[start] for start in sorted(sums)], axis=0)
    return out, by_weight, by_bias


def _centre(x: Array, eps: float, out: Array) -> Array:
    """Writes x less its row's mean into out; 1 / sqrt(var + eps) of each row: (M, D) -> (M, 1).

    einsum adds up a row in a third of add.reduce's time, and products without an array of them; unlike a product of
    BLAS it stays in this thread.
    """
    length = x.shape[1]
    np.subtract(x, np.einsum("md->m", x)[:, None] / length, out=out)  # (M,) -> (M, 1)
    return 1 / np.sqrt(np.einsum("md,md->m", out, out)[:, None] / length + eps)  # (M,) -> (M, 1)
