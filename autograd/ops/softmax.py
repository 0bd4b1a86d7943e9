"""Softmax, its logarithm and the cross entropy of both, with their rules. Real numbers only."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..kernels import softmax as kernel
from ..op import Op
from .elementwise import exp, refuse_complex
from .index import index
from .reduce import mean, sum

__all__ = ["log_softmax", "softmax", "softmax_cross_entropy", "softmax_cross_entropy_grad"]


@Op
def softmax(x, axis=-1):
    """exp(x) / sum(exp(x)) along an axis, without overflow: logits of any shape -> probabilities of that shape.

    >>> import autograd as ag
    >>> ag.softmax(ag.Tensor([1.0, 1.0]))
    Tensor([0.5, 0.5], dtype=float32)
    """
    x = _floats("softmax", x)
    if _along_rows(x, axis):
        return kernel.softmax(_rows(x)).reshape(x.shape)  # (M, C) -> (.., C)
    out = np.subtract(x, np.max(x, axis=axis, keepdims=True))
    np.exp(out, out=out)
    out /= np.sum(out, axis=axis, keepdims=True)
    return out


softmax.vjp(lambda g, out, axis: _through_softmax(g, out, axis))


@Op
def log_softmax(x, axis=-1):
    """x - logsumexp(x) along an axis, without overflow: logits of any shape -> log-probabilities of that shape.

    >>> import autograd as ag
    >>> ag.log_softmax(ag.Tensor([1000.0, 0.0]))
    Tensor([    0., -1000.], dtype=float32)
    """
    x = _floats("log_softmax", x)
    if _along_rows(x, axis):
        return kernel.log_softmax(_rows(x)).reshape(x.shape)  # (M, C) -> (.., C)
    out = np.subtract(x, np.max(x, axis=axis, keepdims=True))
    out -= np.log(np.sum(np.exp(out), axis=axis, keepdims=True))
    return out


log_softmax.vjp(lambda g, out, axis: g - exp(out) * sum(g, axis, keepdims=True))


@Op
def softmax_cross_entropy(logits, target, label_smoothing=0.0, reduction="mean", *, need_aux):
    """-sum over classes of q * log(softmax(logits)), q the distribution that class indices stand for; then reduced.

    logits (.., C), target (..) whole numbers, which index as NumPy has it -> (), or (..) for reduction "none" in place
    of "mean" and "sum". q is 1 at the target; of it, label_smoothing (0 to 1) is spread evenly over all classes.
    `nn.functional.cross_entropy` is this with all arguments checked.

    Goodfellow et al., "Deep Learning", 6.2.2.3.

    >>> import numpy as np
    >>> softmax_cross_entropy(np.zeros((2, 10)), np.array([3, 7])).round(4)  # log(10)
    np.float64(2.3026)
    """
    logits, target = _floats("softmax_cross_entropy", logits), np.asarray(target)
    # target (..) -> (M,)
    loss, kept = kernel.cross_entropy(_rows(logits), target.reshape(-1), label_smoothing, keep=need_aux)
    if reduction == "none":
        return loss.reshape(target.shape), kept  # (M,) -> (..)
    total = np.add.reduce(loss, dtype=np.result_type(loss, np.float32))  # float16 stops counting at 2048
    return loss.dtype.type(total / loss.size if reduction == "mean" else total), kept


@Op
def softmax_cross_entropy_grad(dy, logits, target, powers=None, sums=None, label_smoothing=0.0, reduction="mean"):
    """dy * (softmax(logits) - q): the gradient of `softmax_cross_entropy` by its logits.

    dy () or for reduction "none" (..), logits (.., C), target (..) -> (.., C). powers (M, C) and sums (M, 1) are what
    the forward kept of these logits, which spares a second exponential; without them they are computed again.

    >>> import numpy as np
    >>> softmax_cross_entropy_grad(1.0, np.zeros((1, 4)), np.array([2]))
    array([[ 0.25,  0.25, -0.75,  0.25]])
    """
    logits, target = _floats("softmax_cross_entropy_grad", logits), np.asarray(target).reshape(-1)  # (..) -> (M,)
    if powers is None:
        _, (powers, sums) = kernel.cross_entropy(_rows(logits), target, label_smoothing, keep=True)
    dy = np.asarray(dy)
    # (..) -> (M,), or () -> (M,)
    each = dy.reshape(-1) if reduction == "none" else np.full(target.size, _share(dy, target, reduction))
    # (M, C) -> (.., C)
    return kernel.cross_entropy_grad(each, target, powers, sums, label_smoothing).reshape(logits.shape)


softmax_cross_entropy.vjp(
    lambda g, logits, target, label_smoothing, reduction, aux: (
        softmax_cross_entropy_grad(g, logits, target, *aux, label_smoothing, reduction)
    ),
    None,
)
softmax_cross_entropy_grad.vjp(
    lambda g, logits, target, label_smoothing, reduction: _reduced(
        sum(g * softmax(logits), -1) - (1 - label_smoothing) * _at(target, g) - label_smoothing * mean(g, -1), reduction
    ),
    # dy * softmax(logits), with the cotangent g
    lambda g, dy, logits, target, reduction: _through_softmax(g * _share(dy, target, reduction), softmax(logits)),
    None, None, None,
)


# ---------------------------------------------------------------------- what several of them need


def _through_softmax(g: Any, p: Any, axis: int = -1) -> Any:
    """The gradient by x, of g by p = softmax(x)."""
    return p * (g - sum(g * p, axis, keepdims=True))


def _reduced(loss: Any, reduction: str) -> Any:
    return loss if reduction == "none" else mean(loss) if reduction == "mean" else sum(loss)


def _share(dy: Any, target: Any, reduction: str) -> Any:
    """What each example gets of dy, the gradient by the reduced loss: (..) -> (.., 1), or () -> ()."""
    if reduction == "none":
        return dy[..., None]  # (..) -> (.., 1)
    return dy * (1 / target.size) if reduction == "mean" else dy


def _at(target: Any, x: Any) -> Any:
    """x (.., C) at the classes target (..): -> (..)."""
    return index(x, (*np.indices(target.shape, sparse=True), target))


def _floats(op: str, x: Any) -> Any:
    """x as an array of real floating numbers."""
    x = np.asarray(x)
    refuse_complex(op, x)
    return x if x.dtype.kind == "f" else x.astype(np.float64)


def _along_rows(x: Any, axis: int) -> bool:
    """Whether x has rows, and they lie along the axis."""
    return x.ndim and x.size and axis in (-1, x.ndim - 1)


def _rows(x: Any) -> Any:
    """(.., C) -> (M, C)."""
    return x.reshape(-1, x.shape[-1])  # (.., C) -> (M, C)
