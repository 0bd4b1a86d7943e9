"""Five ops for exercise 1 of notebook 5. Some have a wrong rule: let the checker find it before you read on here."""

from __future__ import annotations

import numpy as np

import autograd as ag

__all__ = ["cube", "mean_of_rows", "product", "softplus", "wave"]


@ag.Op
def cube(x):
    """x**3, elementwise."""
    return x**3


@ag.Op
def wave(x):
    """x * sin(x), elementwise."""
    return x * np.sin(x)


@ag.Op
def product(x, w):
    """x @ w for x (3, 3) and w (3, 3)."""
    return x @ w


@ag.Op
def softplus(x):
    """log(1 + exp(x)), elementwise."""
    return np.log1p(np.exp(x))


@ag.Op
def mean_of_rows(x):
    """The mean of each row: (N, D) -> (N,)."""
    return x.mean(1)


cube.vjp(lambda g, x: -3.0 * g * x**2)
wave.vjp(lambda g, x: g * ag.sin(x))
product.vjp(lambda g, w: w @ ag.transpose(g), lambda g, x: ag.transpose(x) @ g)
softplus.vjp(lambda g, x: g * ag.sigmoid(x))
mean_of_rows.vjp(lambda g, x_shape: ag.broadcast_to(ag.expand_dims(g, 1), x_shape))
