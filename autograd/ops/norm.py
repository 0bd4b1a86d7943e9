"""Batch normalization as one op with a joint rule."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..op import Op
from .elementwise import refuse_complex, sqrt
from .reduce import sum

__all__ = ["batch_norm"]


@Op(outputs=("y", "mean", "var"))
def batch_norm(x, weight, bias, eps=1e-5):
    """Normalizes each channel by its own mean and variance: (x - mean) / sqrt(var + eps) * weight + bias.

    x (.., C), weight (C,), bias (C,) -> y (.., C), mean (C,), var (C,); the mean and the (biased)
    variance are over all axes but the last. They are outputs, so that the rule may compute with them
    at every order, and so that a layer can keep running averages.

    Raises ValueError where weight or bias is not (C,), or a channel has no elements.

    Ioffe and Szegedy, "Batch Normalization", 2015, algorithm 1.

    >>> import autograd as ag, numpy as np
    >>> y, mean, var = ag.batch_norm(np.array([[1.0], [3.0]]), np.ones(1), np.zeros(1), eps=0.0)
    >>> y.ravel(), mean, var
    (array([-1.,  1.]), array([2.]), array([1.]))
    """
    x, weight, bias = np.asarray(x), np.asarray(weight), np.asarray(bias)
    refuse_complex("batch_norm", x, weight, bias)
    channels = x.shape[-1:]
    if weight.shape != channels or bias.shape != channels:
        raise ValueError(f"batch_norm: x {x.shape} has {channels[0] if channels else 'no'} channels, so weight and "
                         f"bias must be {channels}, got {weight.shape} and {bias.shape}")
    if not x.size:
        raise ValueError(f"batch_norm: x {x.shape} has no elements to take a mean of")
    rows = x.reshape(-1, channels[0])  # (.., C) -> (M, C)
    mean = rows.mean(axis=0)
    out = rows - mean
    exact = np.float32 if x.dtype == np.float16 else x.dtype  # float16 stops counting at 2048
    # one pass, no (M, C) array of squares
    var = (np.einsum("mc,mc->c", out, out, dtype=exact) / rows.shape[0]).astype(out.dtype)
    out *= weight / np.sqrt(var + eps)
    out += bias
    return out.reshape(x.shape), mean, var  # (M, C) -> (.., C)


def _batch_norm_rule(g: Any, x: Any, weight: Any, mean: Any, var: Any, eps: float, wanted: Any) -> tuple:
    """With c = x - mean, s = 1 / sqrt(var + eps) and sums over the M elements of a channel:

    dy/dx pulls gy back to  w s (gy - sum(gy) / M - c s^2 sum(gy c) / M),  mean to gmean / M,
    var to 2 c gvar / M; here the terms are gathered so that each array is passed over once.
    """
    gy, gmean, gvar = g
    axes = tuple(range(x.ndim - 1))
    count = x.size // x.shape[-1]
    centred = x - mean
    scale = 1 / sqrt(var + eps)
    g_bias = sum(gy, axes)
    along = sum(gy * centred, axes)
    if not wanted[0]:
        return None, along * scale, g_bias
    slope = weight * scale
    g_x = slope * gy + centred * ((2 * gvar - slope * scale * scale * along) / count)
    return g_x + (gmean - slope * g_bias) / count, along * scale, g_bias


batch_norm.vjp(_batch_norm_rule, inputs=3)
