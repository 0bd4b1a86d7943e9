"""Checkers of notebook 1: a scalar and its gradient."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from autograd import Scalar

from .exercise import Exercise, Wrong, ask, compare

__all__ = ["chain_rule", "descent", "slope"]


@Exercise
def slope(my_slope: Any) -> str:
    """my_slope(f, x): the slope of f at x, to six digits, from values of f alone."""
    cases: list[tuple[str, Callable[[float], float], float, float]] = [
        ("x**3 at 2", lambda x: x**3, 2.0, 12.0),
        ("sin(x) at 1", math.sin, 1.0, math.cos(1.0)),
        ("exp(-x) at 0.5", lambda x: math.exp(-x), 0.5, -math.exp(-0.5)),
    ]
    for name, f, x, right in cases:
        compare(ask(my_slope, f, x), right, f"my_slope of {name}", [
            (2 * right, "from x - h to x + h it is 2 h, not h"),
            (right / 2, "the rise must be divided by the distance between your two points, not by twice that"),
            (f(x), "that is the value of f, not its slope"),
        ])
    return "The slopes of x**3, sin(x) and exp(-x) come out to six digits"


@Exercise
def chain_rule(my_derivative: Any) -> str:
    """my_derivative(x): the derivative of (x**2 + 1)**3 at x."""
    def f(x: float) -> float:
        return (x * x + 1.0) ** 3

    for x in (2.0, -1.5, 0.25):
        inside = x * x + 1.0
        step = 1e-5
        right = (f(x + step) - f(x - step)) / (2 * step)
        compare(ask(my_derivative, x), right, f"my_derivative({x})", [
            (3 * inside**2, "that is the slope of the outer function alone; it must be multiplied by the inner one's"),
            (3 * (2 * x) ** 2, "the outer slope is taken at x**2 + 1 itself, not at its derivative"),
            (3 * inside**2 + 2 * x, "along one path the slopes are multiplied; you added them"),
            (6 * x * inside, "the outer slope keeps the power 2: 3 u**2 for u**3"),
            (3 * inside**2 * 2, "the slope of x**2 depends on x"),
            (f(x), "that is the value, not its derivative"),
        ])
    return "Outer slope times inner slope, at three places, as central differences say"


@Exercise
def descent(my_minimum: Any) -> str:
    """my_minimum(f, x): walks from x downhill to a minimum of f, which takes and gives Scalars."""
    cases: list[tuple[str, Callable[[Any], Any], float, float]] = [
        ("(x - 3)**2", lambda x: (x - 3.0) ** 2, 0.0, 3.0),
        ("(x + 1)**2 / 2 + 5", lambda x: (x + 1.0) ** 2 / 2.0 + 5.0, 2.0, -1.0),
    ]
    for name, f, start, right in cases:
        leftover: list[bool] = []

        def watched(x: Any, f: Callable = f, leftover: list = leftover) -> Any:
            leftover.append(isinstance(x, Scalar) and x.grad is not None)
            return f(x)

        end = ask(my_minimum, watched, start)
        try:
            compare(end, right, f"my_minimum of {name} from {start}", rtol=0.01)
        except Wrong as wrong:
            told = str(wrong).split("  hint: ")
            raise Wrong(f"{told[0]}  hint: {_on_descent(end, f, start, right, leftover)}") from None
    return "Both minima are found, to one part in a hundred"


def _on_descent(end: Any, f: Callable, start: float, right: float, leftover: list[bool]) -> str:
    if not leftover:
        return "f was never called: take its value at a Scalar, and go backward from that"
    if any(leftover):
        return "f was called while .grad of the step before was still there, and a new one adds to it: set it to None"
    x = float(end) if isinstance(end, Scalar) else end
    if not isinstance(x, (int, float)) or not math.isfinite(x) or (x - start) * (right - start) < 0:
        return "you went uphill, or leapt over the minimum: go against the slope, by 0.1 times the slope"
    return "you are on the way down and stopped early: take more steps, or somewhat larger ones"
