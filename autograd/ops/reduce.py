"""Reductions over axes and their rules. `axis` is None (all axes), an int or a tuple of ints."""

from __future__ import annotations

from math import prod as _prod
from typing import Any

import numpy as np

from ..kernels.sums import total
from ..op import Op
from .elementwise import conj, exp, gated_multiply, refuse_complex, where
from .shape import broadcast_to, concatenate, flip, reshape, transpose

__all__ = ["cumsum", "logsumexp", "max", "mean", "min", "norm", "prod", "sum", "var"]


@Op
def sum(x, axis=None, keepdims=False):
    """The sum over axes: x of any shape -> x's shape without `axis` (length 1 there with keepdims).

    >>> import autograd as ag
    >>> ag.sum(ag.Tensor([[1.0, 2.0], [3.0, 4.0]]), axis=0)
    Tensor([4., 6.], dtype=float32)
    """
    return total(np.asarray(x), axis, keepdims)


sum.vjp(lambda g, x_shape, axis: broadcast_to(_with_axes(g, x_shape, axis), x_shape))


@Op
def mean(x, axis=None, keepdims=False):
    """The mean over axes: x of any shape -> x's shape without `axis` (length 1 there with keepdims).

    >>> import autograd as ag
    >>> ag.mean(ag.Tensor([[1.0, 2.0], [3.0, 4.0]]), axis=0)
    Tensor([2., 3.], dtype=float32)
    """
    return np.mean(x, axis=axis, keepdims=keepdims)


mean.vjp(lambda g, x_shape, axis: broadcast_to(_with_axes(g, x_shape, axis) * _share_of_mean(x_shape, axis), x_shape))


@Op
def var(x, axis=None, ddof=0, keepdims=False):
    """The variance mean(|x - mean(x)|**2) over axes, divided by n - ddof: shapes as for `sum`.

    >>> import autograd as ag
    >>> x = ag.Tensor([1.0, 3.0])
    >>> ag.var(x).item(), ag.var(x, ddof=1).item()
    (1.0, 2.0)
    """
    return np.var(x, axis=axis, ddof=ddof, keepdims=keepdims)


var.vjp(lambda g, x, x_shape, axis, ddof: (
    _with_axes(g, x_shape, axis) * 2 / (_count(x_shape, axis) - ddof) * conj(x - mean(x, axis, keepdims=True))
))


@Op
def max(x, axis=None, keepdims=False):
    """The largest element over axes; elements that tie share the gradient equally. Shapes as for `sum`.

    >>> import autograd as ag
    >>> x = ag.Tensor([1.0, 3.0, 3.0], requires_grad=True)
    >>> ag.max(x).backward(); x.grad
    Tensor([0. , 0.5, 0.5], dtype=float32)
    """
    refuse_complex("max", x)
    return np.max(x, axis=axis, keepdims=keepdims)


max.vjp(lambda g, x, out, x_shape, axis: _to_extremes(g, x, out, x_shape, axis))


@Op
def min(x, axis=None, keepdims=False):
    """The smallest element over axes; elements that tie share the gradient equally. Shapes as for `sum`.

    >>> import autograd as ag
    >>> ag.min(ag.Tensor([[1.0, 2.0], [3.0, 0.0]]), axis=1)
    Tensor([1., 0.], dtype=float32)
    """
    refuse_complex("min", x)
    return np.min(x, axis=axis, keepdims=keepdims)


min.vjp(lambda g, x, out, x_shape, axis: _to_extremes(g, x, out, x_shape, axis))


@Op
def prod(x, axis=None, keepdims=False):
    """The product over axes: shapes as for `sum`. Its gradients are right where x has zeros, too.

    >>> import autograd as ag
    >>> x = ag.Tensor([0.0, 2.0, 5.0], requires_grad=True)
    >>> ag.prod(x).backward(); x.grad
    Tensor([10.,  0.,  0.], dtype=float32)
    """
    return np.prod(x, axis=axis, keepdims=keepdims)


prod.vjp(lambda g, x, x_shape, axis: _products_of_others(g, x, x_shape, axis))


@Op
def logsumexp(x, axis=None, keepdims=False):
    """log(sum(exp(x))) over axes, without overflow: shapes as for `sum`. Real numbers only.

    >>> import autograd as ag, numpy as np
    >>> round(ag.logsumexp(np.array([1000.0, 1000.0])).item() - 1000, 4)  # log(2)
    0.6931
    """
    refuse_complex("logsumexp", x)
    top = np.max(x, axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0)  # inf - inf is NaN
    with np.errstate(divide="ignore"):  # all of x is -inf: so is the result
        out = np.log(np.sum(np.exp(x - top), axis=axis, keepdims=True)) + top
    return out if keepdims else np.squeeze(out, axis=_axes(axis, np.ndim(x)))  # e.g. (N, 1) -> (N,)


logsumexp.vjp(lambda g, x, out, x_shape, axis: (
    _with_axes(g, x_shape, axis) * exp(x - _finite(_with_axes(out, x_shape, axis)))
))


@Op
def norm(x, axis=None, keepdims=False):
    """The 2-norm sqrt(sum(|x|**2)) over axes: shapes as for `sum`. Its gradient at 0 is 0.

    >>> import autograd as ag
    >>> ag.norm(ag.Tensor([3.0, 4.0])).item()
    5.0
    """
    return np.sqrt(np.sum(np.square(np.abs(x)), axis=axis, keepdims=keepdims))


norm.vjp(lambda g, x, out, x_shape, axis: (
    _with_axes(g, x_shape, axis) * gated_multiply(conj(x), 1 / _with_axes(out, x_shape, axis))
))


@Op
def cumsum(x, axis=None):
    """The running sums along an axis: x's shape; over all elements in order, (x.size,), for axis=None.

    >>> import autograd as ag
    >>> ag.cumsum(ag.Tensor([1.0, 2.0, 3.0]))
    Tensor([1., 3., 6.], dtype=float32)
    """
    return np.cumsum(x, axis=axis)


cumsum.vjp(lambda g, x_shape, axis: (
    reshape(flip(cumsum(flip(g, axis), axis), axis), x_shape)  # axis=None: (x.size,) -> x's shape
))


# ---------------------------------------------------------------------- what several rules need


def _axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """The reduced axes, counted from the front."""
    if axis is None or not ndim:  # NumPy lets a number be reduced over axis 0 or -1
        return tuple(range(ndim))
    return tuple(a % ndim for a in (axis if isinstance(axis, tuple) else (axis,)))


def _count(shape: tuple, axis: Any) -> int:
    """How many elements go into one result."""
    return _prod(shape[a] for a in _axes(axis, len(shape)))


def _share_of_mean(shape: tuple, axis: Any) -> float:
    """1 / n, a float: n itself may be too large for float16. An empty mean has no elements to share."""
    return 1 / (_count(shape, axis) or 1)


def _with_axes(g: Any, shape: tuple, axis: Any) -> Any:
    """g with the reduced axes put back, of length 1, so that it broadcasts against the input."""
    axes = _axes(axis, len(shape))
    return reshape(g, tuple(1 if a in axes else n for a, n in enumerate(shape)))  # e.g. (N, C) -> (N, 1, 1, C)


def _finite(x: Any) -> Any:
    return where(np.isfinite(x), x, 0)


def _to_extremes(g: Any, x: Any, out: Any, shape: tuple, axis: Any) -> Any:
    hits = x == _with_axes(out, shape, axis)  # a plain array, also for Tensors
    share = hits / np.sum(hits, axis=axis, keepdims=True)
    return gated_multiply(share.astype(g.dtype), _with_axes(g, shape, axis))


def _products_of_others(g: Any, x: Any, shape: tuple, axis: Any) -> Any:
    """g times the product of all other elements: dividing by the element itself would fail at zeros.

    A binary tree. Going up, the halves of each level are multiplied; going down, each element gets what
    its parent got times its sibling. Built of ops, so it is right at every order; n log n products.
    """
    axes = _axes(axis, len(shape))
    order = (*(a for a in range(len(shape)) if a not in axes), *axes)
    moved = tuple(shape[a] for a in order)
    n = _count(shape, axis)
    # x's shape -> with the reduced axes last -> (K, n)
    level = reshape(transpose(x, order), (_prod(shape) // n if n else 0, n))
    levels = []
    while level.shape[1] > 1:
        width = level.shape[1]
        if width % 2:
            level = concatenate([level, np.ones((level.shape[0], 1), level.dtype)], axis=1)
        half = level.shape[1] // 2
        levels.append((level[:, :half], level[:, half:], width))
        level = level[:, :half] * level[:, half:]
    others = reshape(g, (level.shape[0], 1)) if n else reshape(g, (-1, 1))[:0]  # (..) -> (K, 1)
    for left, right, width in reversed(levels):
        others = concatenate([others * right, others * left], axis=1)[:, :width]
    # (K, n) -> x's shape with the reduced axes last -> x's shape
    return transpose(reshape(others[:, :n], moved), tuple(order.index(a) for a in range(len(shape))))
