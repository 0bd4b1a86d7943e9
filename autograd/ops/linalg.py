"""Products of matrices and their rules. None of them conjugates, so complex numbers need nothing more."""

from __future__ import annotations

import string
from collections.abc import Sequence
from math import prod as _prod
from typing import Any

import numpy as np

from ..kernels import products
from ..kernels.blas import one_blas_thread
from ..op import Op
from ..tensor import value_of
from .elementwise import multiply
from .index import index
from .shape import broadcast_to, expand_dims, moveaxis, reshape, swapaxes

__all__ = ["dot", "einsum", "matmul"]


@Op(broadcasts=True)
def matmul(x, y):
    """The matrix product x @ y: x (.., n, k), y (.., k, m) -> (.., n, m); leading axes broadcast.

    A vector x (k,) counts as a row, a vector y (k,) as a column, and the result has no axis for it.

    >>> import autograd as ag
    >>> ag.Tensor([[1.0, 2.0]]) @ [3.0, 4.0]
    Tensor([11.], dtype=float32)
    """
    x, y = np.asarray(x), np.asarray(y)
    _check_product(x.shape, y.shape)
    return products.matmul(x, y)


def _check_product(x: tuple, y: tuple) -> None:
    if not x or not y:
        raise ValueError("both must have axes; use * for a product with a number")
    column = y[max(len(y) - 2, 0)]
    if x[-1] != column:
        raise ValueError(f"the rows of x have {x[-1]} numbers but the columns of y {column}; they must be as many")


matmul.vjp(lambda g, y, x_shape: _matmul_x(g, y, len(x_shape)), lambda g, x, y_shape: _matmul_y(g, x, len(y_shape)))


def _matmul_x(g: Any, y: Any, x_ndim: int) -> Any:
    if y.ndim == 1:
        return (expand_dims(g, -1) if x_ndim > 1 else g) * y  # (.., n, 1) * (k,) -> (.., n, k)
    if x_ndim == 1:
        return _without_last(matmul(y, expand_dims(g, -1)))  # (.., k, m) @ (.., m, 1) -> (.., k)
    return matmul(g, swapaxes(y, -1, -2))  # (.., n, m) @ (.., m, k) -> (.., n, k)


def _matmul_y(g: Any, x: Any, y_ndim: int) -> Any:
    if x.ndim == 1 and y_ndim == 1:
        return g * x
    if x.ndim == 1:
        return expand_dims(x, -1) * expand_dims(g, -2)  # (k, 1) * (.., 1, m) -> (.., k, m)
    if y_ndim > 2:
        return matmul(swapaxes(x, -1, -2), g)  # (.., k, n) @ (.., n, m) -> (.., k, m)
    # one y for the whole batch: a single product sums over it, without a (.., k, m) array on the way
    count = _prod(x.shape[:-1])  # said, since -1 cannot be worked out where k or m is 0
    rows = reshape(x, (count, x.shape[-1]))  # (.., n, k) -> (N, k)
    if y_ndim == 1:
        return matmul(swapaxes(rows, 0, 1), reshape(g, -1))  # (N, k) -> (k, N), @ (.., n) -> (N,)
    # (N, k) -> (k, N), @ (.., n, m) -> (N, m)
    return matmul(swapaxes(rows, 0, 1), reshape(g, (count, g.shape[-1])))


def _without_last(x: Any) -> Any:
    return reshape(x, x.shape[:-1])  # (.., k, 1) -> (.., k)


def dot(x: Any, y: Any) -> Any:
    """np.dot: a product with a number, an inner product, a matrix product, or x's last axis with y's last but one.

    >>> import autograd as ag
    >>> ag.dot(ag.Tensor([1.0, 2.0]), [3.0, 4.0]).item()
    11.0
    """
    x_ndim, y_ndim = np.ndim(value_of(x)), np.ndim(value_of(y))
    if not x_ndim or not y_ndim:
        return multiply(x, y)
    if y_ndim <= 2:
        return matmul(x, y)
    letters = string.ascii_letters
    xs, ys = letters[:x_ndim], letters[x_ndim : x_ndim + y_ndim]
    ys = ys[:-2] + xs[-1] + ys[-1]
    return einsum(f"{xs},{ys}->{xs[:-1]}{ys[:-2]}{ys[-1]}", x, y)


# ---------------------------------------------------------------------- einsum


@Op(broadcasts=True)  # an axis of length 1 goes with any length of the same letter
def _einsum(*xs, subscripts):
    with one_blas_thread():  # NumPy makes matrix products of it where it can
        return np.einsum(subscripts, *xs, optimize=len(xs) > 1)


_einsum.vjp(lambda g, xs, xs_shape, subscripts, wanted: (
    tuple(_einsum_rule(g, xs, xs_shape, subscripts, i) if w else None for i, w in enumerate(wanted))
))


def _einsum_rule(g: Any, xs: tuple, shapes: tuple, subscripts: str, i: int) -> Any:
    """The gradient of operand i: the same sum with g in its place, its letters as the result."""
    inputs, output = subscripts.split("->")
    letters = inputs.split(",")
    others = [letters[k] for k in range(len(xs)) if k != i]
    found = "".join(c for c in letters[i] if any(c in part for part in (output, *others)))
    factors = [x for k, x in enumerate(xs) if k != i]
    part = _einsum(g, *factors, subscripts=f"{','.join([output, *others])}->{found}")
    if part.shape == shapes[i]:
        return part
    # a letter that stands in this operand alone, or elsewhere with length 1, was summed over: its gradient is
    # the same all along
    lengths = dict(zip(found, part.shape, strict=True))
    part = reshape(part, tuple(lengths.get(c, 1) for c in letters[i]))  # e.g. "ij", j alone: (I,) -> (I, 1)
    full = (n if lengths.get(c, 1) == 1 else lengths[c] for c, n in zip(letters[i], shapes[i], strict=True))
    return broadcast_to(part, tuple(full))


def einsum(subscripts: str, *xs: Any) -> Any:
    """Products summed over the letters that are not in the result, as np.einsum with a string.

    Implicit results, ellipses and repeated letters (diagonals) work. Raises ValueError where the
    subscripts and the operands do not fit.

    >>> import autograd as ag, numpy as np
    >>> ag.einsum("ij,j->i", ag.Tensor([[1.0, 2.0]]), np.array([3.0, 4.0], np.float32))
    Tensor([11.], dtype=float32)
    """
    if not isinstance(subscripts, str):
        raise TypeError(f"einsum: subscripts must be a string like 'ij,jk->ik', got {type(subscripts).__name__}")
    shapes = [np.shape(value_of(x)) for x in xs]
    letters, output = _explicit(subscripts.replace(" ", ""), shapes)
    pairs = [_diagonals(x, part) for x, part in zip(xs, letters, strict=True)]
    return _einsum(*(x for x, _ in pairs), subscripts=f"{','.join(part for _, part in pairs)}->{output}")


def _explicit(subscripts: str, shapes: Sequence[tuple]) -> tuple[list[str], str]:
    """Subscripts without ellipses and with a result: ("...i,i", shapes (2, 3), (3,)) -> (["Ai", "i"], "A")."""
    inputs, arrow, output = subscripts.partition("->")
    letters = inputs.split(",")
    if len(letters) != len(shapes):
        raise ValueError(f"einsum: {subscripts!r} names {len(letters)} operands, {len(shapes)} are given")
    free = [c for c in string.ascii_letters if c not in subscripts]
    widths = [len(shape) - len(part.replace("...", "")) for part, shape in zip(letters, shapes, strict=True)]
    for part, shape, width in zip(letters, shapes, widths, strict=True):
        if width < 0 or (width and "..." not in part):
            raise ValueError(f"einsum: {part!r} in {subscripts!r} does not fit an operand of shape {shape}")
    widest = max((w for w, part in zip(widths, letters, strict=True) if "..." in part), default=0)
    dots = "".join(free[:widest])
    full = [part.replace("...", dots[widest - width :]) for part, width in zip(letters, widths, strict=True)]
    if arrow:
        if dots and "..." not in output:
            raise ValueError(f"einsum: the ellipsis in {subscripts!r} stands for {len(dots)} axes, so the result must "
                             "name it, too: write '...' behind the arrow")
        return full, output.replace("...", dots)
    joined = "".join(part.replace("...", "") for part in letters)
    return full, dots + "".join(sorted(c for c in set(joined) if joined.count(c) == 1))


def _diagonals(x: Any, letters: str) -> tuple[Any, str]:
    """x with each repeated letter's axes replaced by their diagonal, at the front."""
    for c in sorted(c for c in set(letters) if letters.count(c) > 1):
        at = [i for i, letter in enumerate(letters) if letter == c]
        x = moveaxis(x, at, range(len(at)))  # (.., n, .., n, ..) -> (n, n, ..)
        lengths = x.shape[: len(at)]
        if len(set(lengths)) > 1:
            raise ValueError(f"einsum: the axes of {c!r} have different lengths {lengths}")
        x = index(x, (np.arange(lengths[0]),) * len(at))  # (n, n, ..) -> (n, ..)
        letters = c + letters.replace(c, "")
    return x, letters
