"""Softmax, its logarithm and the cross entropy of rows, x (M, C), a block of rows at a time.

Where rows are short the work lies transposed in memory, (C, rows), since a reduction or a broadcast along the last axis
starts a loop for each row: the maximum of 21 numbers took 46 ns, of transposed ones 2, and copying them 22. So a
softmax of 10 or 21 classes takes 0.5 to 0.6 of the time.
"""

from typing import Any

import numpy as np

from .rows import Memory, each_block_of_rows

__all__ = ["cross_entropy", "cross_entropy_grad", "log_softmax", "softmax"]

Array = np.ndarray[Any, Any]

_SHORT = 32  # numbers in a row that is better transposed


def softmax(x: Array) -> Array:
    """exp(x) / sum(exp(x)) of each row: floats (M, C) -> (M, C).

    >>> softmax(np.zeros((1, 2)))
    array([[0.5, 0.5]])
    """
    out = np.empty(x.shape, x.dtype)

    def block(rows: slice, memory: Memory) -> None:
        t = _like(x[rows], memory, "powers") if _is_short(x) else out[rows]
        _less_largest(x[rows], t)
        np.exp(t, out=t)
        np.divide(t, np.add.reduce(t, axis=1, keepdims=True), out=out[rows])

    each_block_of_rows(block, x.shape)
    return out


def log_softmax(x: Array) -> Array:
    """x - log(sum(exp(x))) of each row: floats (M, C) -> (M, C).

    >>> log_softmax(np.array([[1000.0, 0.0]])).tolist()
    [[0.0, -1000.0]]
    """
    out = np.empty(x.shape, x.dtype)

    def block(rows: slice, memory: Memory) -> None:
        t = _like(x[rows], memory, "shifted") if _is_short(x) else out[rows]
        _less_largest(x[rows], t)
        powers = np.exp(t, out=_like(x[rows], memory, "powers"))
        np.subtract(t, np.log(np.add.reduce(powers, axis=1, keepdims=True)), out=out[rows])

    each_block_of_rows(block, x.shape)
    return out


def cross_entropy(x: Array, target: Array, smoothing: float, keep: bool) -> tuple[Array, Any]:
    """-sum(q * log(softmax(x))) of each row, where q is 1 - smoothing at the target and smoothing spread evenly.

    x floats (M, C), target whole numbers (M,) -> (M,), and None or, if they are to be kept, exp(x less its row's
    largest) and their sums: (M, C) and (M, 1).

    >>> cross_entropy(np.zeros((1, 2)), np.array([1]), 0.0, keep=False)[0].round(4)  # log(2)
    array([0.6931])
    """
    loss = np.empty(len(x), x.dtype)
    sums = np.empty((len(x), 1), x.dtype)
    kept = np.empty(x.shape, x.dtype, "F" if _is_short(x) else "C") if keep else None

    def block(rows: slice, memory: Memory) -> None:
        t = _like(x[rows], memory, "powers") if kept is None else kept[rows]
        _less_largest(x[rows], t)
        said = t[_places(target[rows])]
        if smoothing:
            said = (1 - smoothing) * said + smoothing * np.mean(t, axis=1)
        np.exp(t, out=t)
        np.add.reduce(t, axis=1, keepdims=True, out=sums[rows])
        np.subtract(np.log(sums[rows, 0]), said, out=loss[rows])

    each_block_of_rows(block, x.shape)
    return loss, None if kept is None else (kept, sums)


def cross_entropy_grad(g: Array, target: Array, powers: Array, sums: Array, smoothing: float) -> Array:
    """g * (softmax(x) - q) of each row, from what `cross_entropy` kept: g (M,), target (M,) -> (M, C).

    >>> _, kept = cross_entropy(np.zeros((1, 2)), np.array([1]), 0.0, keep=True)
    >>> cross_entropy_grad(np.ones(1), np.array([1]), *kept, 0.0)
    array([[ 0.5, -0.5]])
    """
    out = np.empty(powers.shape, powers.dtype)

    def block(rows: slice, memory: Memory) -> None:
        part, gs = out[rows], g[rows]
        np.multiply(powers[rows], gs[:, None] / sums[rows], out=part)  # (rows,) -> (rows, 1)
        if smoothing:
            part -= gs[:, None] * (smoothing / powers.shape[1])  # (rows,) -> (rows, 1)
        part[_places(target[rows])] -= (1 - smoothing) * gs

    each_block_of_rows(block, out.shape)
    return out


def _less_largest(x: Array, out: Array) -> None:
    """Writes x less its row's largest number into out: then no exponential overflows (Deep Learning, 4.1)."""
    if _is_short(x):
        out[...] = x
        x = out
    np.subtract(x, np.maximum.reduce(x, axis=1, keepdims=True), out=out)


def _like(x: Array, memory: Memory, name: str) -> Array:
    """Memory of x's shape and dtype, transposed where rows are short."""
    if _is_short(x):
        return memory(name, x.shape[::-1], x.dtype).T  # (C, rows) -> (rows, C)
    return memory(name, x.shape, x.dtype)


def _is_short(x: Array) -> bool:
    return x.shape[1] < _SHORT


def _places(target: Array) -> tuple[Array, Array]:
    """The index of each row's target."""
    return np.arange(len(target)), target
