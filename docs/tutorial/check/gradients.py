"""Checkers of notebook 5: checking gradients."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable
from typing import Any

import numpy as np

import autograd as ag

from .exercise import Exercise, Unsolved, Wrong, ask, compare

__all__ = ["complex_step", "diagnosis", "rule"]

_EXAMPLE: dict[str, Any] = {"g": np.ones(1), "x": np.ones(1), "out": np.exp(-np.ones(1)), "x_shape": (1,)}
CAUSES = ("sign", "factor", "transposed", "missing term", "right")
_TRUTH = {"cube": "sign", "wave": "missing term", "product": "transposed", "softplus": "right",
          "mean_of_rows": "factor"}


@Exercise
def diagnosis(**causes: Any) -> str:
    """diagnosis(cube="...", wave="...", ...): what is wrong with each suspect, in one of the words of CAUSES."""
    if set(causes) != set(_TRUTH):
        raise Wrong(f"  expected  an answer for each of {', '.join(_TRUTH)}")
    if any(cause is None or cause is Ellipsis for cause in causes.values()):
        raise Unsolved
    for name, cause in causes.items():
        if cause not in CAUSES:
            raise Wrong(f"  {name}\n    given     {cause!r:.60}\n    expected  one of {', '.join(CAUSES)}")
    wrong = [name for name, cause in causes.items() if cause != _TRUTH[name]]
    if wrong:
        hints = {"right": "the report finds no fault with it", "sign": "look at the signs of the two numbers",
                 "factor": "divide the one number by the other, for a few inputs",
                 "transposed": "one of the two inputs passes: look at the other one's element, and at its mirror image",
                 "missing term": "no one factor turns the one number into the other: write the product rule down"}
        raise Wrong(f"  {wrong[0]} ({len(causes) - len(wrong)} of {len(causes)} are right)\n"
                    f"  hint: {hints[_TRUTH[wrong[0]]]}")
    return "Four faults are named, and the one that has none is left in peace"


@Exercise
def complex_step(my_slope: Any) -> str:
    """my_slope(f, x): the slope of f at x by one complex step, exact to rounding."""
    def squire(x: Any) -> Any:
        return np.exp(x) / np.sqrt(np.sin(x) ** 3 + np.cos(x) ** 3)

    def squire_slope(x: float) -> float:
        s, c = math.sin(x), math.cos(x)
        return float(squire(x)) * (1 - (3 * s * s * c - 3 * c * c * s) / (2 * (s**3 + c**3)))

    cases: list[tuple[str, Callable, float, float]] = [
        ("x**3 at 2", lambda x: x**3, 2.0, 12.0),
        ("exp(x) / sqrt(sin(x)**3 + cos(x)**3) at 1.5", squire, 1.5, squire_slope(1.5)),
        ("sin(x) at -1", np.sin, -1.0, math.cos(1.0)),
    ]
    for name, f, x, right in cases:
        given = ask(my_slope, f, x)
        if np.iscomplexobj(given):
            raise Wrong(f"  my_slope of {name}\n    given     {given:.6g}\n    expected  {right:.8g}, a real number\n"
                        "  hint: the slope is in the imaginary part, divided by the step")
        compare(given, right, f"my_slope of {name}", [
            (float(f(x)), "that is the value: it is in the real part, the slope is in the imaginary one")], rtol=1e-4)
        if abs(given - right) > 1e-13 * abs(right):
            raise Wrong(f"  my_slope of {name}\n    given     {float(given):.17g}\n    expected  {right:.17g}\n"
                        "  hint: good to some digits only. Nothing is subtracted in a complex step, so the step may be "
                        "as small as 1e-30; a difference of two values cannot do this")
    return "Three slopes, each right to the last digits"


@Exercise
def rule(my_rule: Any) -> str:
    """my_rule(g, x) or (g, x, out): the backward rule of exp(-x**2), right at orders 1 and 2."""
    op = _op(my_rule)
    ask(my_rule, *(_EXAMPLE[name] for name in inspect.signature(my_rule).parameters))  # a blank gives no gradient
    x = np.array([-1.2, -0.3, 0.4, 1.1])
    g = np.array([1.0, -2.0, 0.5, 3.0])
    first, second = ask(functools.wraps(my_rule)(lambda: _gradients(op, x, g)))
    bell, step = _bell(x), 1e-5
    compare(first, g * (_bell(x + step) - _bell(x - step)) / (2 * step), "the gradient, g = (1, -2, 0.5, 3)", [
        (-2 * x * bell, "g is missing: the rule passes on what arrived, times the slope"),
        (2 * g * x * bell, "the sign of the inner slope: -x**2 falls for x > 0"),
        (g * bell, "the slope of the inside, -x**2, is missing"),
        (-2 * g * x, "the slope of exp is exp itself: that factor is missing"),
    ])
    step = 1e-4
    compare(second, g * (_bell(x + step) - 2 * bell + _bell(x - step)) / step**2, "the second derivative, times g", [
        (np.zeros(4), "the rule hides something from the graph: use x and out as they come, with ag's functions"),
        (-2 * g * bell, "out was taken out of the graph (.data): a part of the second derivative is lost"),
        (4 * g * x**2 * bell, "x was taken out of the graph (.data): a part of the second derivative is lost"),
    ], rtol=1e-5)
    return "Order 1 and order 2 agree with central differences"


def _bell(x: np.ndarray) -> np.ndarray:
    return np.exp(-(x**2))


def _op(my_rule: Any) -> ag.Op:
    """exp(-x**2) with the learner's rule."""
    if my_rule is None or my_rule is Ellipsis:
        raise Unsolved

    def bell(x):
        return _bell(x)

    try:
        return ag.Op(bell).vjp(my_rule)
    except TypeError as error:
        raise Wrong(f"  {error}\n  hint: a rule takes g first, then what it needs of x and out") from None


def _gradients(op: ag.Op, x: np.ndarray, g: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The gradient by x of sum(g * op(x)), and the gradient by x of its sum."""
    leaf = ag.Tensor(x, requires_grad=True)
    [first] = ag.gradients(op(leaf), [leaf], g=ag.Tensor(g), create_graph=True)
    if not first.requires_grad:
        return first.data, np.zeros_like(x)
    [second] = ag.gradients(first.sum(), [leaf])
    return first.data, second.data
