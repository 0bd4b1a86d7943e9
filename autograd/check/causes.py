"""Why a gradient is wrong: hypotheses, each tested against the numbers.

The evidence is, for one input at one place or several, the gradient that the rules gave and what each output
contributes to the right one (a Jacobian times cotangents, measured by differences). A hypothesis is named only if
it explains every number of it. What needs a look into the graph (a term that is missing, a sum that was overwritten)
stands in calls.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations, permutations
from math import prod

import numpy as np

__all__ = ["CAUSES", "Cause", "Evidence", "Sample", "likely_cause"]

# What a cause can be called, the ones found without hypotheses first.
CAUSES = ("mutation", "non-determinism", "not finite", "zero or disconnected", "overwritten instead of accumulated",
          "missing term", "wrong sign", "wrong input's gradient", "constant factor", "transposed or permuted",
          "axis not summed", "rounding", "unknown")

_MOST_AXES = 4  # orders of more axes than these are not tried one by one


@dataclass(frozen=True)
class Cause:
    """A likely cause: one of CAUSES, and what the numbers say."""

    name: str
    detail: str

    def __str__(self) -> str:
        return f"{self.name}: {self.detail}"


@dataclass(frozen=True)
class Sample:
    """What is known of one input at one place.

    analytic       by the rules, of the input's shape
    contributions  (elements of the input, elements of all outputs): summed over the last axis, the right gradient
    others         the right gradients of inputs of the same shape, by what they are called
    """

    analytic: np.ndarray
    contributions: np.ndarray
    others: dict[str, np.ndarray]

    @property
    def numeric(self) -> np.ndarray:
        return self.contributions.sum(axis=1).reshape(self.analytic.shape)


@dataclass(frozen=True)
class Evidence:
    """All that is known of one input, and the shapes of the outputs, whose elements follow each other in a Sample."""

    samples: Sequence[Sample]
    out_shapes: Sequence[tuple[int, ...]]

    def fits(self, guess: Callable[[Sample], np.ndarray | None]) -> bool:
        """Whether the guess gives the analytic gradient at every place, and another than the right one."""
        guesses = [guess(sample) for sample in self.samples]
        return (all(g is not None and _close(g, s.analytic) for g, s in zip(guesses, self.samples, strict=True))
                and not all(_close(s.numeric, s.analytic) for s in self.samples))


def likely_cause(evidence: Evidence) -> Cause | None:
    """The first hypothesis that explains all numbers; None where none does."""
    return next((cause for hypothesis in _HYPOTHESES for cause in hypothesis(evidence)), None)


# ---------------------------------------------------------------------- hypotheses: each gives a cause or nothing


def _not_finite(evidence: Evidence) -> Iterator[Cause]:
    for sample in evidence.samples:
        bad = ~np.isfinite(sample.analytic)
        if bad.any() and np.isfinite(sample.numeric[bad]).all():
            index = tuple(int(k) for k in np.argwhere(bad)[0])
            yield Cause("not finite", f"the gradient is {sample.analytic[index]} at {index}, where f is smooth")
            return


def _zero(evidence: Evidence) -> Iterator[Cause]:
    if evidence.fits(lambda sample: np.zeros_like(sample.analytic)):
        yield Cause("zero or disconnected", "every element of the gradient is 0, and the function does depend on the "
                    "input: a rule gives zeros, or nothing recorded leads there (detach(), .data, no_grad, rounding)")


def _wrong_sign(evidence: Evidence) -> Iterator[Cause]:
    if evidence.fits(lambda sample: -sample.numeric):
        yield Cause("wrong sign", "the negative of the gradient is right")


def _other_input(evidence: Evidence) -> Iterator[Cause]:
    for name in evidence.samples[0].others:
        if evidence.fits(lambda sample: sample.others[name]):  # noqa: B023 (called at once)
            yield Cause("wrong input's gradient", f"it is the right gradient of {name}")
            return


def _factor(evidence: Evidence) -> Iterator[Cause]:
    numeric = np.concatenate([sample.numeric.ravel() for sample in evidence.samples])
    analytic = np.concatenate([sample.analytic.ravel() for sample in evidence.samples])
    with np.errstate(all="ignore"):
        factor = np.vdot(numeric, analytic) / np.vdot(numeric, numeric)
    if np.isfinite(factor) and evidence.fits(lambda sample: factor * sample.numeric) and numeric.size > 1:
        yield Cause("constant factor", _factor_text(factor, evidence))


def _factor_text(factor: complex, evidence: Evidence) -> str:
    if abs(np.imag(factor)) > 1e-6 * abs(factor):
        return f"the gradient is {factor:.6g} times the right one"
    factor = float(np.real(factor))
    shapes = [evidence.samples[0].analytic.shape, *evidence.out_shapes]
    counts: dict[float, str] = {n: f"{n}" for n in (2, 3, 4)}
    counts |= {n: f"{n}, a length in {shape}" for shape in shapes for n in shape if n > 1}
    counts |= {prod(shape): f"{prod(shape)}, the number of elements in {shape}" for shape in shapes if prod(shape) > 1}
    first = {shape[0] for shape in shapes if len(shape) > 1}
    counts |= {n: f"{n}, the length of the first axis (the batch size?)" for n in first if len(first) == 1 and n > 1}
    for n, what in counts.items():
        for power, text in ((1, "times"), (-1, "divided by")):
            if np.isclose(abs(factor), n**power, rtol=1e-5):
                sign = "minus " if factor < 0 else ""
                return f"the gradient is {sign}the right one {text} {what}"
    return f"the gradient is {factor:.6g} times the right one"


def _transposed(evidence: Evidence) -> Iterator[Cause]:
    shape = evidence.samples[0].analytic.shape
    for order in permutations(range(len(shape))) if 1 < len(shape) <= _MOST_AXES else ():
        # the right numbers, read in another order of axes and put into the input's shape
        if evidence.fits(lambda sample: np.transpose(sample.numeric, order).reshape(shape)):  # noqa: B023
            yield Cause("transposed or permuted", f"it is the right gradient with its axes in the order {order}")
            return
    for axes in _subsets(len(shape)):
        if evidence.fits(lambda sample: np.flip(sample.numeric, axes)):  # noqa: B023
            yield Cause("transposed or permuted", f"it is the right gradient turned round along axis {_listed(axes)}")
            return


def _permuted(evidence: Evidence) -> Iterator[Cause]:
    sample = evidence.samples[0]
    if sample.analytic.size > 1 and evidence.fits(_reordered):
        yield Cause("transposed or permuted", "it has the right numbers in another order")


def _reordered(sample: Sample) -> np.ndarray | None:
    """The right numbers in the order of the analytic ones."""
    ranks = np.argsort(np.argsort(sample.analytic, axis=None))
    return np.sort(sample.numeric, axis=None)[ranks].reshape(sample.analytic.shape)


def _axis_not_summed(evidence: Evidence) -> Iterator[Cause]:
    for number, shape in enumerate(evidence.out_shapes):
        for axes in _subsets(len(shape)):
            if evidence.fits(lambda sample: _first_alone(sample, evidence.out_shapes, number, axes)):  # noqa: B023
                yield Cause("axis not summed", f"it is what the first slice of output {number} along axis "
                            f"{_listed(axes)} contributes; sum over all of them")
                return


def _first_alone(sample: Sample, out_shapes: Sequence[tuple], number: int, axes: tuple[int, ...]) -> np.ndarray:
    """The gradient if only index 0 along these axes of one output counted."""
    parts = _by_output(sample.contributions, out_shapes)
    key = tuple(slice(0, 1) if axis in axes else slice(None) for axis in range(len(out_shapes[number])))
    parts[number] = parts[number][:, *key]
    return sum(part.reshape(len(part), -1).sum(axis=1) for part in parts).reshape(sample.analytic.shape)


def _overwritten(evidence: Evidence) -> Iterator[Cause]:
    for group in range(2):  # by element of the output, or by place: all elements along its last axis together
        for last in (True, False):
            if evidence.fits(lambda sample: _one_alone(sample, evidence.out_shapes, group, last)):  # noqa: B023
                what = "place" if group else "element"
                which = "last" if last else "first"
                yield Cause("overwritten instead of accumulated", f"each element has what the {which} {what} of the "
                            "output that depends on it contributes; add up all of them (+=, np.add.at)")
                return


def _one_alone(sample: Sample, out_shapes: Sequence[tuple], group: int, last: bool) -> np.ndarray | None:
    """The gradient if of all contributions to an element the last (or first) had replaced the others."""
    parts = _by_output(sample.contributions, out_shapes)
    if group and any(part.ndim < 3 for part in parts):
        return None
    if group:
        parts = [part.sum(axis=-1) for part in parts]
    rows = np.concatenate([part.reshape(len(part), -1) for part in parts], axis=1)  # (inputs, elements or places)
    counts = np.abs(rows) > 1e-7 * np.abs(rows).max(initial=0.0)
    if last:
        rows, counts = rows[:, ::-1], counts[:, ::-1]
    return rows[np.arange(len(rows)), counts.argmax(axis=1)].reshape(sample.analytic.shape)


def _rounding(evidence: Evidence) -> Iterator[Cause]:
    for dtype, digits in ((np.float16, 3), (np.float32, 7)):
        eps = float(np.finfo(dtype).eps)
        if all(_close(s.analytic, s.numeric, 4 * eps) and _is_exactly(s.analytic, dtype) for s in evidence.samples):
            yield Cause("rounding", f"every element is a {np.dtype(dtype)} number, right to {digits} digits: the "
                        "gradient was rounded on its way")
            return
    if all(_close(s.analytic, s.numeric, 2e-3, each=True) for s in evidence.samples) and _is_scattered(evidence):
        yield Cause("rounding", "every element is right to two or three digits, some are too large and some too small: "
                    "something on the way was rounded")


# in this order: what holds of few gradients by accident before what holds of many
_HYPOTHESES = (_not_finite, _zero, _wrong_sign, _other_input, _factor, _transposed, _axis_not_summed, _overwritten,
               _permuted, _rounding)


# ---------------------------------------------------------------------- numbers


def _close(a: np.ndarray, b: np.ndarray, share: float = 2e-6, each: bool = False) -> bool:
    """Whether two gradients are the same up to what differences leave of them: a share of the largest element."""
    with np.errstate(all="ignore"):
        size = np.abs(b) if each else np.max(np.abs(b), initial=0.0)
        return bool(np.all(np.abs(a - b) <= share * size + 1e-8))


def _is_scattered(evidence: Evidence) -> bool:
    """Whether most elements are a little off, some up and some down."""
    ratios = np.concatenate([np.real(s.analytic / s.numeric).ravel() for s in evidence.samples])
    ratios = ratios[np.isfinite(ratios)] - 1
    up, down = np.sum(ratios > 1e-6), np.sum(ratios < -1e-6)
    return bool(up and down and up + down > max(2, 0.6 * ratios.size))


def _is_exactly(array: np.ndarray, dtype: type) -> bool:
    if array.dtype.kind == "c":
        return _is_exactly(array.real, dtype) and _is_exactly(array.imag, dtype)
    with np.errstate(all="ignore"):
        return bool(np.all(array.astype(dtype) == array))


def _subsets(n: int) -> Iterator[tuple[int, ...]]:
    """Every choice of some of n axes, small ones first; of many axes only single ones."""
    for size in range(1, (n if n <= _MOST_AXES else 1) + 1):
        yield from combinations(range(n), size)


def _by_output(contributions: np.ndarray, out_shapes: Sequence[tuple[int, ...]]) -> list[np.ndarray]:
    """(inputs, all outputs) -> for each output (inputs, *its shape)."""
    ends = np.cumsum([prod(shape) for shape in out_shapes])[:-1]
    parts = np.split(contributions, ends, axis=1)
    return [part.reshape(len(part), *shape) for part, shape in zip(parts, out_shapes, strict=True)]


def _listed(axes: tuple[int, ...]) -> str:
    return " and ".join(map(str, axes))
