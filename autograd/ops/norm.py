"""Batch and layer normalization, each one op with a joint rule, and the ops that the rules are made of."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from ..kernels import channels as kernel
from ..kernels import standardize as by_row
from ..op import Op
from .elementwise import refuse_complex, sqrt
from .reduce import mean, sum, var

__all__ = ["batch_norm", "channel_products", "channel_sum", "layer_norm", "standardize", "standardize_grad"]


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
    rows = _rows(x if x.dtype.kind == "f" else x.astype(np.float64))
    mean, var = kernel.moments(rows)
    out = kernel.normalize(rows, mean, weight / np.sqrt(var + eps), bias)
    return out.reshape(x.shape), mean, var  # (M, C) -> (.., C)


@Op
def channel_products(dy, x, mean):
    """sum(dy * (x - mean)) over all axes but the last: dy and x (.., C), mean (C,) -> (C,).

    >>> import numpy as np
    >>> channel_products(np.array([[1.0], [2.0]]), np.array([[3.0], [5.0]]), np.array([3.0]))
    array([4.])
    """
    return kernel.centred_products(_rows(dy), _rows(x), np.asarray(mean))


channel_products.vjp(
    lambda g, x, mean: g * (x - mean),
    lambda g, dy: g * dy,
    lambda g, dy: -g * sum(dy, _leading(dy)),
)


@Op
def channel_sum(dy, x, mean, by_dy, by_x, constant):
    """by_dy * dy + by_x * (x - mean) + constant: dy and x (.., C), the others (C,) -> (.., C), in one walk.

    >>> import numpy as np
    >>> one = np.ones(1)
    >>> channel_sum(np.array([[1.0], [2.0]]), np.array([[3.0], [5.0]]), 3 * one, 10 * one, one, one)
    array([[11.],
           [23.]])
    """
    vectors = [np.asarray(vector) for vector in (mean, by_dy, by_x, constant)]
    return kernel.combine(_rows(dy), _rows(x), *vectors).reshape(np.shape(x))  # (M, C) -> (.., C)


channel_sum.vjp(
    lambda g, by_dy: g * by_dy,
    lambda g, by_x: g * by_x,
    lambda g, by_x: -by_x * sum(g, _leading(g)),
    lambda g, dy: sum(g * dy, _leading(dy)),
    lambda g, x, mean: channel_products(g, x, mean),
    lambda g: sum(g, _leading(g)),
)


def _batch_norm_rule(g: Any, x: Any, weight: Any, mean: Any, var: Any, eps: float, wanted: Any) -> tuple:
    """With c = x - mean, s = 1 / sqrt(var + eps) and sums over the M elements of a channel:

    dy/dx pulls gy back to  w s (gy - sum(gy) / M - c s^2 sum(gy c) / M),  mean to gmean / M,
    var to 2 c gvar / M; here the terms are gathered so that each array is walked through once.
    """
    gy, gmean, gvar = g
    count = x.size // x.shape[-1]
    scale = 1 / sqrt(var + eps)
    g_bias = sum(gy, _leading(x))
    along = channel_products(gy, x, mean)
    if not wanted[0]:
        return None, along * scale, g_bias
    slope = weight * scale
    by_x = (2 * gvar - slope * scale * scale * along) / count
    return channel_sum(gy, x, mean, slope, by_x, (gmean - slope * g_bias) / count), along * scale, g_bias


batch_norm.vjp(_batch_norm_rule, inputs=3)


# ---------------------------------------------------------------------- layer normalization


@Op
def layer_norm(x, weight, bias, eps=1e-5):
    """Normalizes each example by its own mean and variance: (x - mean) / sqrt(var + eps) * weight + bias.

    x (.., *shape), weight and bias of that shape -> (.., *shape); the mean and the (biased) variance are over the last
    axes, as many as weight has.

    Raises ValueError where weight or bias has another shape than x's last axes, or these have no elements.

    Ba, Kiros and Hinton, "Layer Normalization", 2016, equation 3.

    >>> import autograd as ag, numpy as np
    >>> ag.layer_norm(np.array([[1.0, 3.0], [5.0, 5.0]]), np.ones(2), np.zeros(2)).round(3)
    array([[-1.,  1.],
           [ 0.,  0.]])
    """
    x, weight, bias = np.asarray(x), np.asarray(weight), np.asarray(bias)
    refuse_complex("layer_norm", x, weight, bias)
    shape = x.shape[max(x.ndim - weight.ndim, 0) :]
    if not shape or weight.shape != shape or bias.shape != shape:
        raise ValueError(f"layer_norm: weight and bias must have the shape of x's last axes, at least one, got "
                         f"{weight.shape} and {bias.shape} for x {x.shape}")
    return _by_row(by_row.standardize, weight.ndim, x, eps=eps, weight=weight.reshape(-1), bias=bias.reshape(-1))


@Op
def standardize(x, axes=1, eps=1e-5):
    """(x - mean) / sqrt(var + eps) over the last `axes` axes: any shape -> the same. `layer_norm` without a weight.

    >>> import numpy as np
    >>> standardize(np.array([[1.0, 3.0]]), eps=0.0)
    array([[-1.,  1.]])
    """
    return _by_row(by_row.standardize, axes, x, eps=eps)


@Op
def standardize_grad(dy, x, axes=1, eps=1e-5):
    """The gradient of `standardize` by x for the cotangent dy: dy and x of one shape -> that shape.

    With s = 1 / sqrt(var + eps), y = standardize(x) and means over the last axes it is J dy = s (dy - mean(dy) -
    y mean(y dy)).

    >>> import numpy as np
    >>> standardize_grad(np.array([[1.0, 0.0, 0.0]]), np.array([[0.0, 1.0, 2.0]]), eps=0.0).round(3)
    array([[ 0.204, -0.408,  0.204]])
    """
    return _by_row(by_row.standardize_grad, axes, dy, x, eps=eps)


def _layer_norm_rule(g: Any, x: Any, weight: Any, eps: float, wanted: Any) -> tuple:
    axes = weight.ndim
    leading = tuple(range(x.ndim - axes))
    return (
        standardize_grad(g * weight, x, axes, eps) if wanted[0] else None,
        sum(g * standardize(x, axes, eps), leading) if wanted[1] else None,
        sum(g, leading) if wanted[2] else None,
    )


def _standardize_grad_by_x(g: Any, dy: Any, x: Any, axes: int, eps: float) -> Any:
    """The gradient by x of sum(g J dy): J is symmetric, ds/dx = -s² y / D, and d mean(y v)/dx = J v / D, so it is

    -s (y mean(g J dy) + mean(y dy) J g + mean(y g) J dy).
    """
    last = tuple(range(-axes, 0))
    y, through_dy, through_g = standardize(x, axes, eps), standardize_grad(dy, x, axes, eps), standardize_grad(
        g, x, axes, eps)
    scale = 1 / sqrt(var(x, last, keepdims=True) + eps)
    return -scale * (y * mean(g * through_dy, last, keepdims=True) + mean(y * dy, last, keepdims=True) * through_g
                     + mean(y * g, last, keepdims=True) * through_dy)


layer_norm.vjp(_layer_norm_rule, inputs=3)
standardize.vjp(lambda g, x, axes, eps: standardize_grad(g, x, axes, eps))
standardize_grad.vjp(lambda g, x, axes, eps: standardize_grad(g, x, axes, eps), _standardize_grad_by_x)


def _by_row(function: Any, axes: int, *arrays: Any, **others: Any) -> Any:
    """function(*rows, **others), the rows being the last axes of arrays of one shape: (.., *last) -> (.., *last)."""
    arrays = tuple(map(np.asarray, arrays))
    dtype = np.result_type(*arrays, *(v for v in others.values() if isinstance(v, np.ndarray)))
    exact = np.float64 if dtype.kind != "f" else np.result_type(dtype, np.float32)  # float16 overflows in sums
    shape = arrays[0].shape
    length = prod(shape[len(shape) - axes :])
    if not length:
        raise ValueError(f"axes of {shape} have no elements to take a mean of")
    rows = [array.astype(exact, copy=False).reshape(-1, length) for array in arrays]
    out = function(*rows, **others).reshape(shape)
    return out.astype(dtype, copy=False) if dtype.kind == "f" else out


def _rows(x: Any) -> Any:
    """(.., C) -> (M, C)."""
    return np.asarray(x).reshape(-1, np.shape(x)[-1])


def _leading(x: Any) -> tuple[int, ...]:
    """All axes but the last."""
    return tuple(range(x.ndim - 1))
