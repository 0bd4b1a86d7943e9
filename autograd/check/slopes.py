"""The slope of a function of one number at 0, by differences and by the complex step.

Everything that gradcheck measures is phi(t) = F(x + t d): the weighted output of f along one line through the
inputs. This file knows nothing besides phi, so it can be tested on functions whose slope is known.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

__all__ = ["EPS", "STEPS", "Sides", "Slope", "central", "complex_step", "settled", "sides"]

Phi = Callable[[float], float]

EPS = float(np.finfo(np.float64).eps)

# From large to small, two to a power of ten: where differences of a double tell anything.
STEPS = tuple(10.0 ** (-k / 2) for k in range(2, 19))

# Far below eps, so that the terms of second order vanish even beside the smallest derivative; there is no
# subtraction in which digits could be lost (Squire and Trapp, "Using complex variables to estimate
# derivatives of real functions", SIAM Review 40, 1998).
_COMPLEX_STEP = 1e-30

_SIDE_STEPS = tuple(10.0**-k for k in (4, 5, 6, 7))


class Slope(NamedTuple):
    """A measured slope, how far it can be trusted, and the step at which it was measured."""

    value: float
    uncertainty: float
    step: float


class Sides(NamedTuple):
    """The slopes to the left and to the right of 0, what lies between them, and how near to 0 they were measured.

    Where phi is a sum, each part may take the slope of its own left or right side, so that `lowest` and `highest` can
    lie further apart than the slopes of the sum.
    """

    left: float
    right: float
    lowest: float
    highest: float
    within: float


def central(phi: Phi, step: float) -> float:
    """(phi(step) - phi(-step)) / (2 step): the slope at 0, off by step**2 / 6 times the third derivative.

    >>> central(lambda t: t + t**3, 0.1)  # 1 + 0.1 ** 2
    1.01
    """
    return (phi(step) - phi(-step)) / (2 * step)


def complex_step(phi: Callable[[complex], complex]) -> float:
    """Im phi(ih) / h: the slope at 0 to the last digit, where phi is analytic and real on the real line.

    >>> complex_step(lambda t: np.exp(2 * t))
    2.0
    """
    return float(np.imag(phi(1j * _COMPLEX_STEP))) / _COMPLEX_STEP


def settled(phi: Phi, scale: float = 1.0, eps: float = EPS) -> Slope:
    """The slope where it changes least from step to step: between truncation (large steps) and rounding (small ones).

    Central differences over all of STEPS times `scale`; the one that differs least from both of its neighbours
    counts, and by how much it does is its uncertainty. Steps below eps**(2/3) are left out, with the eps of the
    numbers that phi is computed in: there differences can be all rounding and yet agree.

    >>> slope = settled(lambda t: np.sin(1000 * t))
    >>> bool(abs(slope.value - 1000) < 1e-3), bool(slope.uncertainty < 1e-3)
    (True, True)
    """
    steps = [step for step in STEPS if step >= eps ** (2 / 3)]
    slopes = np.array([central(phi, step * scale) for step in steps])
    with np.errstate(all="ignore"):
        changes = np.abs(np.diff(slopes))
    changes[~np.isfinite(changes)] = np.inf
    spread = np.maximum(changes[:-1], changes[1:])
    best = int(np.argmin(spread)) + 1
    return Slope(float(slopes[best]), float(spread[best - 1]), steps[best] * scale)


def sides(parts: Callable[[float], np.ndarray], scale: float = 1.0, eps: float = EPS) -> Sides | None:
    """The slopes on both sides of 0, where they are unlike however near one looks: a kink or a jump. Else None.

    `parts` gives what phi is the sum of. The slopes are measured beside 0, not from it, so that a jump at 0 itself does
    not count. On a smooth function they come together in proportion to the step; where rounding blurs it they scatter:
    neither is a kink. Where all is finite on one side alone, 0 is the edge of the domain; that side stands for both.

    >>> sides(lambda t: np.array([max(t, 0.0)]))
    Sides(left=0.0, right=1.0, lowest=0.0, highest=1.0, within=2e-07)
    >>> sides(lambda t: np.array([t * t])) is None
    True
    """
    scale *= (eps / EPS) ** (1 / 3)
    steps = [size * scale for size in _SIDE_STEPS]
    near = {t: parts(t) for step in steps for t in (-2 * step, -step, step, 2 * step)} | {0.0: parts(0.0)}
    left = np.array([(near[-h] - near[-2 * h]) / h for h in steps])  # (steps, parts)
    right = np.array([(near[2 * h] - near[h]) / h for h in steps])
    if np.isfinite(left).all() != np.isfinite(right).all():
        left = right = left if np.isfinite(left).all() else right
        is_kink = True
    else:
        is_kink = _are_apart(left, right, near, steps, eps) or _is_jump(left, right, near, steps)
    if not (is_kink and _are_steady(left, right)):
        return None
    lowest, highest = np.minimum(left[-1], right[-1]), np.maximum(left[-1], right[-1])
    return Sides(float(left[-1].sum()), float(right[-1].sum()), float(lowest.sum()), float(highest.sum()),
                 2 * steps[-1])


def _are_steady(left: np.ndarray, right: np.ndarray) -> bool:
    """Whether the last three of each side agree, as those of one smooth branch do and those of noise do not."""
    last = np.stack([left[1:], right[1:]])  # (sides, steps, parts)
    if not np.isfinite(last).all():
        return False
    size = np.abs(last).max(axis=(0, 1))
    slack = 1e-6 + 1e-3 * size.sum()  # a part may be noise beside the others
    return bool(np.all(np.ptp(last, axis=1) <= 1e-2 * size + slack))


def _are_apart(left: np.ndarray, right: np.ndarray, near: dict, steps: list[float], eps: float) -> bool:
    """Whether the slopes of a part differ at the smallest step by as much as at the largest, and by more than noise."""
    gaps = np.abs(left - right)
    noise = 100 * eps * np.maximum(1.0, np.abs(near[0.0])) / steps[-1]
    slopes = np.maximum(np.abs(left[-1]), np.abs(right[-1]))
    return bool(np.any((gaps[-1] > 0.2 * gaps[0]) & (gaps[-1] > 1e-5 * slopes + noise)))


def _is_jump(left: np.ndarray, right: np.ndarray, near: dict, steps: list[float]) -> bool:
    """Whether a part jumps at 0 by more than its slopes can make of it, at the smallest two steps alike."""
    found = []
    for h in steps[-2:]:
        slack = h * (np.abs(left[-1]) + np.abs(right[-1]))
        across = np.abs(near[h] - near[-h]) - slack
        alone = np.abs(near[h] + near[-h] - 2 * near[0.0]) - slack
        found.append(np.maximum(across, alone))
    far, close = found
    return bool(np.any((close > 1e-9 * (1 + np.abs(near[0.0]))) & (close > 0.9 * far)))
