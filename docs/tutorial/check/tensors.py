"""Checkers of notebook 3: from scalars to tensors, and broadcasting."""

from __future__ import annotations

from typing import Any

import numpy as np

from .exercise import Exercise, Wrong, ask, compare

__all__ = ["matmul_rule", "softmax_rule", "unbroadcast"]


@Exercise
def unbroadcast(my_unbroadcast: Any) -> str:
    """my_unbroadcast(g, shape): the gradient g of a broadcast array, summed back to the array's own shape."""
    rng = np.random.default_rng(0)
    cases: list[tuple[tuple[int, ...], tuple[int, ...]]] = [
        ((2, 3), (2, 3)), ((2, 3), (3,)), ((2, 3), (2, 1)), ((2, 3), (1, 3)), ((2, 3), ()), ((4, 2, 3), (2, 1)),
        ((1, 3), (3,)), ((4, 2, 3), (4, 1, 3))]
    for big, small in cases:
        g = rng.integers(1, 9, big).astype(float)
        right = np.zeros(small)
        for index in np.ndindex(*big):  # every copy gives its share to the one element that it is a copy of
            tail = index[len(big) - len(small):]
            right[tuple(i if n > 1 else 0 for i, n in zip(tail, small, strict=True))] += g[index]
        copies = g.size // max(right.size, 1)
        compare(ask(my_unbroadcast, g, small), right, f"my_unbroadcast(g {big}, shape={small})", [
            (right / copies, "you took the mean; each copy had its own effect, and effects add up"),
            (_first_copies(g, small), "you took one of the copies; all of them count, and they add up"),
        ])
    return "The sum over all copies, for eight pairs of shapes, as a loop over single elements says"


def _first_copies(g: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    lowest = g[(0,) * (g.ndim - len(shape))]
    return lowest[tuple(slice(0, n) for n in shape)]


@Exercise
def matmul_rule(my_rule: Any) -> str:
    """my_rule(g, x, w): the gradients by x (N, D) and by w (D, O) of x @ w, for the cotangent g (N, O)."""
    rng = np.random.default_rng(1)
    for n, d, o in ((2, 3, 4), (3, 3, 3)):
        g, x, w = rng.standard_normal((n, o)), rng.standard_normal((n, d)), rng.standard_normal((d, o))
        answer = ask(my_rule, g, x, w)
        if not isinstance(answer, (tuple, list)) or len(answer) != 2:
            raise Wrong("  expected  two gradients: return dx, dw")
        dx, dw = np.zeros_like(x), np.zeros_like(w)
        for i, j, k in np.ndindex(n, d, o):  # y[i, k] gets x[i, j] * w[j, k]: one product, two local derivatives
            dx[i, j] += g[i, k] * w[j, k]
            dw[j, k] += g[i, k] * x[i, j]
        shapes = f"for x {x.shape}, w {w.shape}, g {g.shape}"
        if np.shape(answer[0]) == dw.shape != dx.shape and np.shape(answer[1]) == dx.shape:
            raise Wrong(f"  {shapes}\n  hint: the two gradients are in the wrong order; that by x comes first")
        compare(answer[0], dx, f"the gradient by x, {shapes}", [
            (g @ w if d == o else dx.T, "w must be transposed: g has the axis O, and x the axis D"),
            (np.broadcast_to(w.sum(1), x.shape), "g is missing: that is the gradient of the plain sum of y"),
        ])
        compare(answer[1], dw, f"the gradient by w, {shapes}", [
            (x @ g if n == d else dw.T, "x must be transposed: the axis N is the one that is summed"),
            (dw / n, "you took the mean over the N rows; they add up"),
        ])
    return "Both gradients agree with those of the single products"


@Exercise
def softmax_rule(my_rule: Any) -> str:
    """my_rule(g, p): the gradient by z (N, K) of p = softmax(z) along the last axis, for the cotangent g (N, K)."""
    rng = np.random.default_rng(2)
    z, g = rng.standard_normal((3, 4)), rng.standard_normal((3, 4))
    p, right, step = _softmax(z), np.zeros_like(z), 1e-5
    for index in np.ndindex(*z.shape):
        change = np.zeros_like(z)
        change[index] = step
        right[index] = np.sum(g * (_softmax(z + change) - _softmax(z - change))) / (2 * step)
    compare(ask(my_rule, g, p), right, "my_rule(g, p)", [
        (g * p * (1 - p), "that is the effect of each z on its own p; each z moves all the p of its row"),
        (g * p, "the sum over the row is missing: if one p rises, the others fall"),
        (p * (g - np.sum(g * p)), "the sum goes over the whole array; each row is a softmax of its own: axis=-1"),
        (p * (g - np.sum(g, -1, keepdims=True)), "inside the sum, g is weighted with p"),
        (p * (g - np.mean(g * p, -1, keepdims=True)), "it is the sum over the row, not the mean"),
        (g - p, "that belongs to softmax with cross entropy together; here g is any cotangent"),
    ])
    return "The whole row is in it, as central differences say"


def _softmax(z: np.ndarray) -> np.ndarray:
    e = np.exp(z - z.max(-1, keepdims=True))
    return e / e.sum(-1, keepdims=True)
