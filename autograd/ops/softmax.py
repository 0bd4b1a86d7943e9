"""Softmax and its logarithm, with their rules. Real numbers only."""

from __future__ import annotations

import numpy as np

from ..op import Op
from .elementwise import exp, refuse_complex
from .reduce import sum

__all__ = ["log_softmax", "softmax"]


@Op
def softmax(x, axis=-1):
    """exp(x) / sum(exp(x)) along an axis, without overflow: logits of any shape -> probabilities of that shape.

    >>> import autograd as ag
    >>> ag.softmax(ag.Tensor([1.0, 1.0]))
    Tensor([0.5, 0.5], dtype=float32)
    """
    out = _shifted("softmax", x, axis)
    np.exp(out, out=out)
    out /= np.sum(out, axis=axis, keepdims=True)
    return out


softmax.vjp(lambda g, out, axis: out * (g - sum(g * out, axis, keepdims=True)))


@Op
def log_softmax(x, axis=-1):
    """x - logsumexp(x) along an axis, without overflow: logits of any shape -> log-probabilities of that shape.

    >>> import autograd as ag
    >>> ag.log_softmax(ag.Tensor([1000.0, 0.0]))
    Tensor([    0., -1000.], dtype=float32)
    """
    out = _shifted("log_softmax", x, axis)
    out -= np.log(np.sum(np.exp(out), axis=axis, keepdims=True))
    return out


log_softmax.vjp(lambda g, out, axis: g - exp(out) * sum(g, axis, keepdims=True))


def _shifted(op, x, axis):
    """x less its largest element, in floating numbers: then no exponential overflows (Deep Learning, 4.1)."""
    x = np.asarray(x)
    refuse_complex(op, x)
    if x.dtype.kind != "f":
        x = x.astype(np.float64)
    return np.subtract(x, np.max(x, axis=axis, keepdims=True))
