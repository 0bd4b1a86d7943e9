"""Limits for gradients, between `loss.backward()` and `opt.step()`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

import autograd as ag

from .checks import within
from .trainable import Params, checked_params, trained

__all__ = ["clip_grad_norm", "clip_grad_value"]

_BLOCK = 1 << 16  # numbers in a block, which stays in the cache


def clip_grad_norm(params: Params, max_norm: float) -> float:
    """Scales all gradients together so that their norm is at most max_norm; the norm before that is returned.

    The norm is that of all the gradients' numbers as one vector, sqrt(sum of squares), summed in float64. Where
    it is greater than max_norm (which may be inf, to measure only), each `.grad` is bound to a new Tensor.

    Raises RuntimeError where no parameter has a gradient or the norm is not finite (no gradient is changed
    then), ValueError for max_norm <= 0.

    Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks", 2013.

    >>> import autograd as ag
    >>> w = ag.Tensor([3.0, 4.0], requires_grad=True)
    >>> (w * w / 2).sum().backward()
    >>> clip_grad_norm([w], max_norm=1.0)
    5.0
    >>> w.grad
    Tensor([0.6, 0.8], dtype=float32)
    """
    if max_norm != math.inf:
        max_norm = within("clip_grad_norm", "max_norm", max_norm, above=0.0)
    named = _with_gradient("clip_grad_norm", params)
    norm = math.sqrt(sum(_sum_of_squares(p.grad.data) for _, p in named))
    if not math.isfinite(norm):
        broken = [name for name, p in named if not np.isfinite(p.grad.data).all()]
        raise RuntimeError(f"clip_grad_norm: the norm of the gradients is {norm}; not finite: {', '.join(broken)}; "
                           "lower the learning rate, or look where it comes from with ag.anomaly()")
    if norm > max_norm:
        for _, p in named:
            p.grad = p.grad.detach() * (max_norm / norm)
    return norm


def clip_grad_value(params: Params, value: float) -> None:
    """Limits each number of each gradient to -value..value; each `.grad` is bound to a new Tensor.

    A NaN stays NaN. Raises RuntimeError where no parameter has a gradient, ValueError for value <= 0.

    >>> import autograd as ag
    >>> w = ag.Tensor([3.0, -0.5], requires_grad=True)
    >>> (w * w).sum().backward()
    >>> clip_grad_value([w], 2.0); w.grad
    Tensor([ 2., -1.], dtype=float32)
    """
    value = within("clip_grad_value", "value", value, above=0.0)
    for _, p in _with_gradient("clip_grad_value", params):
        p.grad = ag.clip(p.grad.detach(), -value, value)


def _with_gradient(where: str, params: Params) -> list[tuple[str, Any]]:
    return [(name, p) for name, p in trained(where, checked_params(where, params)) if p.grad is not None]


def _sum_of_squares(g: np.ndarray) -> float:
    """The sum of the squares in float64, so that large float32 numbers do not overflow; block by block."""
    flat = g.reshape(-1)  # (..) -> (n,)
    blocks = (flat[start : start + _BLOCK].astype(np.float64) for start in range(0, flat.size, _BLOCK))
    return sum(float(block @ block) for block in blocks)
