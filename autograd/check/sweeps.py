"""The error of a difference for every step, and how it falls: the verdict that needs no choice of a step.

Two tests in one. The U-curve: the error of a central difference falls as h**2 while truncation rules, and rises as
1 / h once rounding does; a right gradient meets it at the bottom, a wrong one leaves an error that no step removes.
The Taylor test: what is left of F(x + h d) - F(x) - h <gradient, d> falls as h**2 if the gradient is right, and as h
if it is not (Farrell et al., "Automated derivation of the adjoint of high-level transient finite element programs",
SIAM J. Sci. Comput. 35, 2013).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._extras import require
from .slopes import EPS, STEPS, central

__all__ = ["Sweep", "sweep_along"]

_WIDTH = 40  # characters of a full bar
_ROUNDED = 100  # a remainder below so many roundings of F tells nothing


@dataclass(frozen=True)
class Sweep:
    """The errors along one line.

    where       which element or direction
    analytic    the slope that the gradient promises
    steps       from large to small
    errors      |central difference - analytic| / the larger of |analytic| and |F| * 1e-3, for each step
    remainders  |F(x + h) - F(x) - h * analytic|, for each step
    order       the power of h with which the remainders fall; None where they are all rounding
    tolerance   for the errors
    """

    where: str
    analytic: float
    steps: tuple[float, ...]
    errors: tuple[float, ...]
    remainders: tuple[float, ...]
    order: float | None
    tolerance: float

    @property
    def best(self) -> int:
        """Which step has the smallest error."""
        return int(np.nanargmin(self.errors)) if np.isfinite(self.errors).any() else 0

    @property
    def ok(self) -> bool:
        """Whether some step meets the gradient, and the remainder falls faster than the step (or is all rounding)."""
        return bool(self.errors[self.best] <= self.tolerance) and (self.order is None or self.order > 1.5)

    def __bool__(self) -> bool:
        return self.ok

    def __str__(self) -> str:
        lines = [f"sweep over steps, {self.where}: {'right' if self else 'WRONG'}"]
        for k, (step, error) in enumerate(zip(self.steps, self.errors, strict=True)):
            mark = "  <- smallest" if k == self.best else ""
            lines.append(f"  h = {step:7.1e}  relative error {error:7.1e}  {_bar(error)}{mark}")
        return "\n".join([*lines, f"  {self.order_text}"])

    __repr__ = __str__

    @property
    def order_text(self) -> str:
        """What the Taylor test says, in a sentence."""
        what = "F(x + h d) - F(x) - h <gradient, d>"
        if self.order is None:
            return f"{what} is nothing but rounding: F is linear along this line, and the gradient is right"
        return f"{what} falls as h**{self.order:.2f} (about 2 if the gradient is right, 1 if it is not)"

    def plot(self) -> Any:
        """The U-curve and the Taylor test side by side, as a matplotlib Figure. ImportError without matplotlib."""
        require("matplotlib", extra="plot", what="Sweep.plot")
        figure = require("matplotlib.figure", extra="plot", what="Sweep.plot").Figure(figsize=(9.0, 3.6),
                                                                                       layout="constrained")
        curve, taylor = figure.subplots(1, 2)
        curve.loglog(self.steps, np.maximum(self.errors, 1e-17), "o-", color="#1f77b4", markersize=4)
        curve.axhline(self.tolerance, color="#c1272d", linestyle="--", linewidth=1)
        curve.annotate("tolerance", (self.steps[0], self.tolerance), xytext=(0, 3), textcoords="offset points",
                       ha="right", fontsize=8, color="#c1272d")
        curve.set_title(f"central difference: {'right' if self else 'wrong'}", fontsize=11)
        curve.set_ylabel("relative error")
        remainders = np.maximum(self.remainders, 1e-300)
        shown = remainders > 0
        taylor.loglog(np.array(self.steps)[shown], remainders[shown], "o-", color="#1f77b4", markersize=4,
                      label="remainder")
        for power, style in ((1, ":"), (2, "--")):
            guide = remainders[0] * (np.array(self.steps) / self.steps[0]) ** power
            taylor.loglog(self.steps, guide, style, color="#888888", linewidth=1, label=f"h^{power}")
        taylor.set_ylim(max(remainders[shown].min() / 10, 1e-18), remainders.max() * 10 or 1.0)
        taylor.legend(frameon=False, fontsize=8)
        slope = "all rounding" if self.order is None else f"falls as h^{self.order:.2f}"
        taylor.set_title(f"Taylor remainder: {slope}", fontsize=11)
        for ax in (curve, taylor):
            ax.set_xlabel("step h")
            ax.grid(alpha=0.3)
            ax.spines[["top", "right"]].set_visible(False)
        figure.suptitle(self.where, fontsize=10)
        return figure


def sweep_along(phi: Callable[[float], float], analytic: float, where: str, tolerance: float, scale: float = 1.0,
                eps: float = EPS) -> Sweep:
    """The Sweep of a function of one number at 0, whose slope there is said to be `analytic`.

    >>> print(sweep_along(np.exp, 1.0, "exp at 0", 1e-6).order_text)
    F(x + h d) - F(x) - h <gradient, d> falls as h**2.0... (about 2 if the gradient is right, 1 if it is not)
    >>> bool(sweep_along(np.exp, 1.0, "exp at 0", 1e-6)), bool(sweep_along(np.exp, 1.001, "exp at 0", 1e-6))
    (True, False)
    """
    steps = tuple(step * scale for step in STEPS)
    here = phi(0.0)
    size = max(abs(analytic), 1e-3 * max(1.0, abs(here)))
    errors = tuple(abs(central(phi, step) - analytic) / size for step in steps)
    remainders = tuple(abs(phi(step) - here - step * analytic) for step in steps)
    floor = _ROUNDED * eps * max(1.0, abs(here))
    return Sweep(where, float(analytic), steps, errors, remainders, _power(steps, remainders, floor), tolerance)


def _power(steps: tuple[float, ...], remainders: tuple[float, ...], floor: float) -> float | None:
    """The slope of log remainder over log step, by least squares over what lies above rounding."""
    points = [(math.log(step), math.log(left)) for step, left in zip(steps, remainders, strict=True)
              if floor < left < math.inf]
    points = points[len(points) // 3 :] if len(points) > 6 else points  # the large steps see higher terms as well
    if len(points) < 2:
        return None
    x, y = np.array(points).T  # (points, 2) -> (points,) each
    return float(np.polyfit(x, y, 1)[0])


def _bar(error: float) -> str:
    """A bar on a logarithmic scale: nothing for 1e-16, full for 1 and more."""
    if not math.isfinite(error):
        return "not finite"
    return "#" * max(0, min(_WIDTH, round(_WIDTH * (16 + math.log10(max(error, 1e-16))) / 16)))
