"""Batch and layer normalization, each one op with a joint rule, and the ops that the rules are made of."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..kernels import channels as kernel
from ..kernels import layer_norm as layers
from ..op import Op
from .elementwise import refuse_complex, sqrt
from .reduce import mean, sum, var

__all__ = ["batch_norm", "channel_affine", "channel_products", "channel_sum", "layer_norm", "layer_norm_grads"]


@Op(outputs=("y", "mean", "var"))
def batch_norm(x, weight, bias, eps=1e-5, *, need_aux):
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
    _check_channels("batch_norm", x, weight=weight, bias=bias)
    if not x.size:
        raise ValueError(f"batch_norm: x {x.shape} has no elements to take a mean of")
    rows = _rows(x if x.dtype.kind == "f" else x.astype(np.float64))
    mean, var, near_zero = kernel.moments(rows)
    out = kernel.normalize(rows, mean, 1 / np.sqrt(var + eps), weight, bias, near_zero)
    return (out.reshape(x.shape), mean, var), near_zero  # (M, C) -> (.., C)


@Op
def channel_affine(x, scale, shift):
    """x * scale + shift: x (.., C), scale and shift (C,) -> (.., C). Batch normalization by known averages.

    Raises ValueError where scale or shift is not (C,).

    >>> import numpy as np
    >>> channel_affine(np.array([[1.0, 2.0]]), np.array([3.0, 4.0]), np.ones(2))
    array([[4., 9.]])
    """
    x, scale, shift = np.asarray(x), np.asarray(scale), np.asarray(shift)
    _check_channels("channel_affine", x, scale=scale, shift=shift)
    return kernel.affine(_rows(x), scale, shift).reshape(x.shape)  # (M, C) -> (.., C)


channel_affine.vjp(
    lambda g, scale: g * scale,
    lambda g, x: channel_products(g, x, np.zeros(x.shape[-1:], x.dtype), near_zero=True)[1],
    lambda g: sum(g, _leading(g)),
)


@Op(outputs=("total", "along"))
def channel_products(dy, x, mean, near_zero=False):
    """sum(dy) and sum(dy * (x - mean)) over all axes but the last: dy and x (.., C), mean (C,) -> (C,) and (C,).

    near_zero  the second as sum(dy * x) - mean * sum(dy), which writes no x - mean; for means near 0

    >>> import numpy as np
    >>> channel_products(np.array([[1.0], [2.0]]), np.array([[3.0], [5.0]]), np.array([3.0]))
    (array([3.]), array([4.]))
    """
    return kernel.products(_rows(np.asarray(dy)), _rows(np.asarray(x)), np.asarray(mean), near_zero)


channel_products.vjp(
    lambda g, x, mean: g[0] + g[1] * (x - mean),
    lambda g, dy: g[1] * dy,
    lambda g, dy: -g[1] * sum(dy, _leading(dy)),
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
    dy, x = np.asarray(dy), np.asarray(x)
    mean, by_dy, by_x, constant = map(np.asarray, (mean, by_dy, by_x, constant))
    _check_channels("channel_sum", x, mean=mean, by_dy=by_dy, by_x=by_x, constant=constant)
    return kernel.combine(_rows(dy), _rows(x), mean, by_dy, by_x, constant).reshape(x.shape)  # (M, C) -> (.., C)


channel_sum.vjp(
    lambda g, by_dy: g * by_dy,
    lambda g, by_x: g * by_x,
    lambda g, by_x: -by_x * sum(g, _leading(g)),
    lambda g, dy: sum(g * dy, _leading(dy)),
    lambda g, x, mean: channel_products(g, x, mean)[1],
    lambda g: sum(g, _leading(g)),
)


def _batch_norm_rule(g: Any, x: Any, weight: Any, mean: Any, var: Any, aux: bool, eps: float, wanted: Any) -> tuple:
    """With c = x - mean, s = 1 / sqrt(var + eps) and sums over the M elements of a channel:

    dy/dx pulls gy back to  w s (gy - sum(gy) / M - c s^2 sum(gy c) / M),  mean to gmean / M,
    var to 2 c gvar / M; here the terms are gathered so that each array is walked through once.
    """
    gy, gmean, gvar = g
    count = x.size // x.shape[-1]
    scale = 1 / sqrt(var + eps)
    g_bias, along = channel_products(gy, x, mean, near_zero=aux)
    g_weight = along * scale
    if not wanted[0]:
        return None, g_weight, g_bias
    slope = weight * scale
    by_x = (2 * gvar - slope * (scale * g_weight)) / count  # scale * slope may overflow in float16
    return channel_sum(gy, x, mean, slope, by_x, (gmean - slope * g_bias) / count), g_weight, g_bias


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
    if not weight.size:
        raise ValueError(f"layer_norm: x {x.shape} has no elements to take a mean of")
    # weight and bias (*shape) -> (D,)
    out = layers.normalize(_examples(x, weight), weight.reshape(-1), bias.reshape(-1), eps)
    return _fitting(out, x, x, weight, bias)


@Op(outputs=("dx", "dweight", "dbias"))
def layer_norm_grads(dy, x, weight, eps=1e-5):
    """The gradients of `layer_norm` by x, weight and bias for the cotangent dy, in one walk.

    dy and x (.., *shape), weight of that shape -> (.., *shape), *shape, *shape.

    >>> import numpy as np
    >>> dx, dweight, dbias = layer_norm_grads(np.array([[1.0, 0, 0]]), np.array([[0.0, 1, 2]]), np.ones(3), eps=0.0)
    >>> dx.round(3), dweight.round(3), dbias
    (array([[ 0.204, -0.408,  0.204]]), array([-1.225,  0.   ,  0.   ]), array([1., 0., 0.]))
    """
    dy, x, weight = np.asarray(dy), np.asarray(x), np.asarray(weight)
    # weight (*shape) -> (D,)
    found = layers.gradients(_examples(dy, weight), _examples(x, weight), weight.reshape(-1), eps)
    return tuple(_fitting(a, like, dy, x, weight) for a, like in zip(found, (x, weight, weight), strict=True))


def _layer_norm_grads_rule(g: Any, dy: Any, x: Any, weight: Any, eps: float, wanted: Any) -> tuple:
    """With y the normalized x, s = 1 / sqrt(var + eps) and means over an example's D elements, dx is J (dy * weight)

    for J v = s (v - mean(v) - y mean(y v)). J is symmetric, ds/dx = -s^2 y / D and d mean(y v)/dx = J v / D, so the
    gradient of sum(g J v) by x is  -s (y mean(g J v) + mean(y v) J g + mean(y g) J v).
    """
    by_dx, by_dweight, by_dbias = g
    one = np.ones(weight.shape, x.dtype)
    last = tuple(range(-one.ndim, 0))

    def through(v: Any) -> Any:
        """J v"""
        return layer_norm_grads(v, x, one, eps)[0]

    def along(v: Any, u: Any) -> Any:
        """mean(v * u)"""
        return mean(v * u, last, keepdims=True)

    y, scale = layer_norm(x, one, 0 * one, eps), 1 / sqrt(var(x, last, keepdims=True) + eps)
    v = dy * weight
    jg, jv = through(by_dx), through(v)
    return (
        weight * jg + y * by_dweight + by_dbias,
        through(dy * by_dweight) - scale * (y * along(by_dx, jv) + along(y, v) * jg + along(y, by_dx) * jv),
        sum(dy * jg, tuple(range(x.ndim - one.ndim))),
    )


layer_norm.vjp(lambda g, x, weight, eps, wanted: layer_norm_grads(g, x, weight, eps), inputs=3)
layer_norm_grads.vjp(_layer_norm_grads_rule, inputs=3)


def _examples(x: Any, weight: Any) -> Any:
    """(.., *shape) -> (M, D), in floating numbers of which sums do not overflow as those of float16 do."""
    return x.astype(np.result_type(x, np.float32), copy=False).reshape(-1, weight.size)  # (.., *shape) -> (M, D)


def _fitting(result: Any, like: Any, *inputs: Any) -> Any:
    """In the shape of `like`, and the dtype that the inputs make."""
    # (M, D) -> (.., *shape), or (D,) -> (*shape)
    return result.reshape(like.shape).astype(np.result_type(*inputs, np.float16), copy=False)


def _check_channels(op: str, x: Any, **vectors: Any) -> None:
    """Raises unless each of the vectors has a number for each channel of x."""
    channels = x.shape[-1:]
    if not [vector for vector in vectors.values() if vector.shape != channels]:  # `all` calls a generator for each
        return
    names, shapes = " and ".join(vectors), " and ".join(str(vector.shape) for vector in vectors.values())
    raise ValueError(f"{op}: x {x.shape} has {channels[0] if channels else 'no'} channels, so {names} must be "
                     f"{channels}, got {shapes}")


def _rows(x: Any) -> Any:
    """(.., C) -> (M, C)."""
    return x.reshape(-1, x.shape[-1])  # (.., C) -> (M, C)


def _leading(x: Any) -> tuple[int, ...]:
    """All axes but the last."""
    return tuple(range(x.ndim - 1))
