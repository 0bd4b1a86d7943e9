"""gradcheck: the gradient that the rules give, against slopes that are measured; and why, where they differ.

The outputs of f are weighted with random cotangents, which makes one number of them (weighted.py); its gradient is
compared element by element and along random directions (comparing.py). For order 2 the same is done to the function
(x, v) -> the gradient at x for cotangent v, so that the rules are checked in their saved values and in g alike; and
so on for higher orders. What fails is explained (diagnosis.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import Any

import numpy as np

from ..tensor import value_of
from .analytic import refuse_unless_analytic
from .comparing import Level, Settings
from .diagnosis import as_gradient, diagnosed, op_verdicts
from .report import Comparison, Report
from .sweeps import Sweep, sweep_along
from .weighted import Weighted, is_inexact

__all__ = ["gradcheck"]


def gradcheck(f: Callable[..., Any], *inputs: Any, order: int = 2, method: str = "central",
              directions: int | None = None, rtol: float | None = None, atol: float | None = None,
              max_elements: int = 500, names: Sequence[str] | None = None, seed: int = 0) -> Report:
    """Compares the gradients of f at the inputs with measured slopes, up to `order`, and says why they differ.

    f             takes as many Tensors as there are inputs, gives a Tensor or a tuple of them
    inputs        arrays, Tensors or numbers of any shape. They are checked in double precision; where they are
                  float32 (or float16, complex64), the gradient in that dtype is compared with the one in double
                  precision as well. Integers and bools are passed on as they are
    method        "central" differences, or the "complex" step: exact to machine precision, for real inputs and
                  functions that are analytic
    directions    the cheap way for large inputs: so many random directions, and no single elements. It takes two
                  calls of f for each, and can miss a fault in a few of many elements
    rtol, atol    an element passes where |analytic - numeric| <= rtol * |numeric| + atol * scale, with the larger of
                  1 and the absolute weighted output as the scale, since that is what rounds. Both follow from the
                  dtype that f is computed in (1e-5 and 1e-9 for float64) unless they are given
    max_elements  of larger inputs this many elements, drawn from `seed`, are checked one by one
    names         what the report calls the inputs
    seed          of the cotangents, the directions and the drawn elements

    At a kink (relu at 0, ties in max) there is no slope: any gradient between those on both sides passes, and the
    report says so. `print(report)` tells of each failure the worst element, both values, the tolerance and its
    reason, and the likely cause; `report.sweep()` is a verdict without a step size.

    Raises TypeError where f gives no Tensor, ValueError where no input is a floating or complex number, an argument
    is another, or the complex step does not apply.

    >>> import autograd as ag
    >>> report = ag.gradcheck(lambda x: ag.sin(x) * x, [0.5, 1.0, 2.0])
    >>> bool(report)
    True
    >>> double = ag.Op(lambda x: 2 * x).vjp(lambda g: -2 * g)
    >>> print(ag.gradcheck(double, [0.5, 1.0, 2.0], names=["x"]).cause)
    wrong sign: the negative of the gradient is right
    """
    settings = Settings(method, directions, rtol, atol, max_elements)
    values = [np.array(value_of(value)) for value in inputs]
    _check_arguments(order, settings, values, names)
    labels = [f"{names[i] if names else f'input {i}'} {value.shape}" for i, value in enumerate(values)]
    rng = np.random.default_rng(seed)
    report = Report(getattr(f, "__name__", type(f).__name__), order=order, missed=_missed(settings, values))
    levels: dict[int, Level] = {}

    @cache
    def are_ops_right(order: int) -> bool:
        """Whether f is made of several ops of which none is wrong alone."""
        verdicts = op_verdicts(levels[1].f, order, settings, rng, None)
        return len(verdicts) > 1 and all(verdict.verdict != "wrong" for verdict in verdicts)

    still: dict[int, np.ndarray] = {}
    for number in range(1, order + 1):
        weighted = Weighted(f, values, rng)
        if method == "complex":
            refuse_unless_analytic(weighted, labels, rng)
        levels[number] = level = Level(weighted, labels, number, settings, rng, still,
                                       partial(are_ops_right, number))
        report.comparisons += diagnosed(level, level.run())
        if not report:
            break
        f, values, cotangents = as_gradient(weighted, number)
        labels, still = [*labels, *cotangents], level.still
    report._sweep = lambda comparison: _sweep(levels, comparison)
    report._judge = lambda: op_verdicts(levels[1].f, max(levels), settings, rng, report.cause)
    if not report:
        _ = report.by_op  # now, while all that f depends on is as it was
    return report


def _check_arguments(order: int, settings: Settings, values: list[np.ndarray], names: Sequence[str] | None) -> None:
    for name, value in (("order", order), ("max_elements", settings.max_elements),
                        ("directions", 1 if settings.directions is None else settings.directions)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
            raise TypeError(f"gradcheck: {name} must be a whole number, got {value!r}")
    if order < 1:
        raise ValueError(f"gradcheck: order must be at least 1, got {order}")
    if settings.method not in ("central", "complex"):
        raise ValueError(f'gradcheck: method must be "central" or "complex", got {settings.method!r}')
    if settings.directions is not None and settings.directions < 1:
        raise ValueError(f"gradcheck: directions must be at least 1, or None to check single elements, got "
                         f"{settings.directions}")
    if settings.max_elements < 1:
        raise ValueError(f"gradcheck: max_elements must be at least 1, got {settings.max_elements}; for random "
                         "directions alone give directions=10")
    if names is not None and len(names) != len(values):
        raise ValueError(f"gradcheck: {len(values)} inputs but {len(names)} names")
    if not any(map(is_inexact, values)):
        raise ValueError("gradcheck: none of the inputs is a floating or complex number, so there is no gradient")


def _missed(settings: Settings, values: list[np.ndarray]) -> str:
    """What random directions alone cannot see."""
    if settings.directions is None:
        return ""
    n = sum(value.size for value in values if is_inexact(value))
    return (f"{settings.directions} random directions through {n} elements, and no single ones: a fault in one element "
            f"shows as about {1 / max(n, 1) ** 0.5:.1g} of its size, so one that is smaller than the tolerance over "
            "that share is missed, and no element can be named; leave out directions= to check element by element")


def _sweep(levels: dict[int, Level], comparison: Comparison | None) -> Sweep:
    """The sweep of one comparison, or of the first random direction."""
    level = levels[comparison.order] if comparison else levels[1]
    where, index = (comparison.where, comparison.index) if comparison else ("random direction 1", None)
    line = level.line(where, index)
    if line is None:
        raise ValueError(f"sweep: {where!r} is no element and no direction of this report, so there is no step to vary")
    direction, scale, analytic = line
    named = where if index is None else f"{where} at {index}"
    return sweep_along(level.f.along(direction), analytic, named, 10 * level.precision.rtol, scale, level.f.eps)
