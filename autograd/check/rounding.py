"""How near to each other two gradients must be: steps and tolerances by dtype, and what float32 may lose.

A central difference of step h is off by about h**2 (truncation) and eps / h (rounding), so h = eps**(1/3) is best
and leaves an error of about eps**(2/3) (Press et al., Numerical Recipes, 5.7).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..graph import Observer, observe
from ..tensor import Tensor, wrap
from .slopes import EPS
from .weighted import Weighted

__all__ = ["Precision", "base_error", "precision", "rounding_error"]

_ROUNDINGS = 1024  # how many roundings of the largest element a float32 gradient may be off without a second look
_SAMPLES = 8


class Precision(NamedTuple):
    """The step of a difference for numbers of size 1, and the tolerances that go with it."""

    step: float
    rtol: float
    atol: float

    def tolerance(self, numeric: complex, size: float) -> float:
        """What an element may be off, with the size of what was subtracted."""
        return self.rtol * abs(numeric) + self.atol * size

    def why(self, size: float, method: str) -> str:
        """The tolerance as a formula, with its reason."""
        reason = "the complex step loses no digits" if method == "complex" else "the size of what moves and rounds"
        return f"{self.rtol:.0e} x |numeric| + {self.atol:.0e} x {size:.3g}: {reason}"


def precision(eps: float, method: str = "central") -> Precision:
    """Step and tolerances for a function that is computed in numbers of this eps.

    >>> precision(EPS)
    Precision(step=6.055454452393343e-06, rtol=1e-05, atol=1e-09)
    """
    if method == "complex":
        return Precision(0.0, max(1e-11, 100 * eps), max(1e-13, 10 * eps))
    if eps <= EPS:  # five digits: a rule that is wrong by 0.1 % is a hundred times out of tolerance
        return Precision(eps ** (1 / 3), 1e-5, 1e-9)
    return Precision(eps ** (1 / 3), 20 * eps ** (2 / 3), 10 * eps ** (2 / 3))


def rounding_error(f: Weighted, eps: float, rng: np.random.Generator) -> list[np.ndarray]:
    """By how much the gradient of each inexact input varies if every op rounds to numbers of this eps.

    Monte Carlo arithmetic (Parker 1997): the gradient is worked out in double precision a few times, with every
    result of an op off by a random relative eps, and the largest difference to the one that is not counts. It sees
    what cancellation and kinks make of rounding, which no fixed tolerance can.
    """
    exact = f.gradients()
    worst = [np.zeros(g.shape) for g in exact]
    for _ in range(_SAMPLES):
        with observe(_Rounding(eps, rng)), np.errstate(all="ignore"):
            rounded = f.gradients()
        worst = [np.fmax(w, np.abs(r - e)) for w, r, e in zip(worst, rounded, exact, strict=True)]
    return worst


def base_error(gradients: Sequence[np.ndarray], eps: float) -> float:
    """What any element may be off in numbers of this eps: some roundings of the largest of all gradients.

    Of all, since they are made of the same cotangents: the gradient of a bias before batch norm is 0, as a sum of
    numbers that are not.
    """
    largest = max((float(np.abs(g[np.isfinite(g)]).max(initial=0.0)) for g in gradients), default=0.0)
    return min(_ROUNDINGS * eps, 1e-3) * max(1e-3, largest)  # 1,024 roundings of a float16 would be all of it


class _Rounding(Observer):
    def __init__(self, eps: float, rng: np.random.Generator) -> None:
        self.eps, self.rng = eps, rng

    def around_op(self, op: Any, args: tuple, params: dict, run: Callable[[], Any]) -> Any:
        return self._rounded(run())

    def _rounded(self, result: Any) -> Any:
        if type(result) is tuple:
            return tuple(map(self._rounded, result))
        if type(result) is Tensor:
            return wrap(self._rounded(result.data), result._node)
        array = np.asarray(result)
        if array.dtype.kind not in "fc":
            return result
        return array * (1 + self.eps * self.rng.uniform(-1, 1, array.shape))
