"""The comparison for one function: its gradient by the rules against slopes that are measured.

Each element that is out of tolerance gets a second look before it counts as wrong: at the step at which its slope
settles, and from both sides, since at a kink there is no slope that a difference could measure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from .report import Comparison
from .rounding import base_error, precision, rounding_error
from .slopes import Slope, complex_step, settled, sides
from .weighted import Direction, Weighted, random_like

__all__ = ["Level", "Settings"]

_N_DIRECTIONS = 2  # beside the elements
_BLUR = 4  # roundings of every op that are simulated: a relu near 0 must have its chance to change sides


class Settings(NamedTuple):
    """What gradcheck was asked for.

    method        "central" or "complex"
    directions    so many random directions in the place of single elements; None for both
    rtol, atol    in the place of those that follow from the dtype; or None
    max_elements  that are looked at one by one, of each input
    """

    method: str
    directions: int | None
    rtol: float | None
    atol: float | None
    max_elements: int


class _Look(NamedTuple):
    """What was measured along one line: the slope, what the gradient may be off, and what there is to say."""

    numeric: complex
    tolerance: float
    how: str
    note: str = ""
    is_kink: bool = False
    why: str = ""


class Level:
    """The gradient of one order, by all inputs of the function that it is the gradient of.

    still     elements at a kink, by input: there is no slope to either side alike, so directions leave them where
              they are; the next order takes them over
    analytic  the gradient by the rules, by input
    are_ops_right  whether each op of f is right alone, where f is made of several
    """

    def __init__(self, f: Weighted, labels: Sequence[str], order: int, settings: Settings, rng: np.random.Generator,
                 still: dict[int, np.ndarray], are_ops_right: Callable[[], bool] = lambda: False) -> None:
        self.are_ops_right = are_ops_right
        self.f, self.labels, self.order, self.settings, self.rng = f, list(labels), order, settings, rng
        found = precision(f.eps, settings.method)
        self.precision = found._replace(rtol=found.rtol if settings.rtol is None else settings.rtol,
                                        atol=found.atol if settings.atol is None else settings.atol)
        self.step = precision(f.eps).step
        self.still = {i: still.get(i, np.zeros(value.shape, bool)) for i, value in enumerate(f.wide)}
        self.analytic: dict[int, np.ndarray] = {}
        self._lines: dict[str, tuple[Direction, float, float]] = {}

    def run(self) -> list[Comparison]:
        """The worst comparison for each input and direction."""
        with np.errstate(all="ignore"):  # a wrong gradient may be infinite
            unsteady = [*self._mutations(), *self._variations()]
            if unsteady:
                return unsteady
            rows: list[Comparison] = []
            if self.settings.directions is None:
                rows += [self._worst_element(i) for i in self.f.inexact if self.f.wide[i].size]
            n = _N_DIRECTIONS if self.settings.directions is None else self.settings.directions
            for k in range(n):  # once something is wrong, what else is out of tolerance needs no second look
                rows.append(self._direction(k, looks_again=all(row.ok for row in rows)))
            if self.settings.directions is None and any(row.kinks for row in rows) and all(row.ok for row in rows):
                rows += [self._kinks_together(), self._beside_the_kinks()]
            return [*rows, *self._as_given(self.f.beside(self.rng) if any(row.kinks for row in rows) else self.f)]

    # ------------------------------------------------------------------ is it a function at all

    def _mutations(self) -> list[Comparison]:
        """What a pass has written into, once for each array."""
        rows: dict[str, Comparison] = {}
        for what, number, before, after in self.f.written_into():
            name = {"input": self.labels[number], "cotangent": f"the cotangent of output {number}"}.get(what, what)
            for row in self._changes(name, before, after, np.zeros(before.shape), ("before", "after"),
                                     "a pass changes nothing that it was given"):
                rows.setdefault(name, row)
        return list(rows.values())

    def _variations(self) -> list[Comparison]:
        """What is another number from run to run; and the gradient, for all that follows."""
        first, second = self.f.gradients(), self.f.gradients()
        self.analytic = dict(zip(self.f.inexact, first, strict=True))
        pairs = [(f"{self.labels[i]}, twice", *both)
                 for i, both in zip(self.f.inexact, zip(first, second, strict=True), strict=True)]
        pairs.append(("the output, twice", np.asarray(self.f(self.f.wide)), np.asarray(self.f(self.f.wide))))
        rows = []
        for name, one, other in pairs:
            allowed = self.precision.rtol * np.abs(one) + self.precision.atol * self.f.size
            rows += self._changes(name, one, other, allowed, ("first run", "second run"),
                                  "the same call gives the same numbers")
        return rows

    def _changes(self, where: str, one: np.ndarray, other: np.ndarray, allowed: np.ndarray,
                 labels: tuple[str, str], why: str) -> list[Comparison]:
        same = (one == other) | (np.isnan(one) & np.isnan(other)) if one.dtype.kind in "fc" else one == other
        errors = np.where(same, 0.0, np.abs(np.subtract(one, other, dtype=np.result_type(one, float))))
        allowed = np.where(same, np.inf, allowed)  # a NaN twice is the same, and its tolerance is a NaN, too
        if np.all(errors <= allowed):
            return []
        index = np.unravel_index(np.argmax(np.nan_to_num(errors - allowed, nan=np.inf)), errors.shape)
        return [Comparison(self.order, where, _ints(index), one[index].item(), other[index].item(),
                           float(errors[index]), float(allowed[index]), (errors.size, errors.size),
                           wrong=int(np.sum(~(errors <= allowed))), labels=labels, why=why)]

    # ------------------------------------------------------------------ elements

    def _worst_element(self, i: int) -> Comparison:
        """The worst of those that are really wrong, else the worst of all that are right."""
        size = self.f.wide[i].size
        places = np.arange(size)
        if size > self.settings.max_elements:
            places = np.sort(self.rng.choice(size, self.settings.max_elements, replace=False))
        indices = [_ints(np.unravel_index(place, self.f.wide[i].shape)) for place in places]
        rows = {index: self._element(i, index, self._first_look) for index in indices if not self.still[i][index]}
        wrong = None
        doubtful = sorted((index for index in rows if not rows[index].ok), key=lambda index: -_badness(rows[index]))
        for n, index in enumerate(doubtful):
            rows[index] = self._looked_at_again(i, index)
            self.still[i][index] = rows[index].kinks > 0
            if not rows[index].ok:  # the others need no second look
                wrong = replace(rows[index], wrong=len(doubtful) - n)
                break
        checked, kinks = (len(indices), size), sum(bool(self.still[i][index]) for index in indices)
        if wrong is not None:
            return replace(wrong, checked=checked, kinks=kinks)
        if not rows:
            return Comparison(self.order, self.labels[i], None, 0.0, 0.0, 0.0, 0.0, checked, kinks=kinks,
                              note="every element is at a kink of the order before")
        worst = max(rows.values(), key=lambda row: (not row.kinks, _badness(row)))
        notes = [row.note for row in rows.values() if row.kinks] or [worst.note]
        return replace(worst, checked=checked, kinks=kinks, note=notes[0])

    def _looked_at_again(self, i: int, index: tuple) -> Comparison:
        row = self._element(i, index, self._second_look)
        if row.analytic != row.analytic.real:
            return row
        return self._past_the_kink(row, self.f.unit(i, index), self._size(i, index))

    def _element(self, i: int, index: tuple, look: Callable[..., _Look]) -> Comparison:
        direction = self.f.unit(i, index)
        scale = self._size(i, index)
        analytic = self.analytic[i][index].item()
        if self.f.wide[i].dtype.kind != "c":
            return self._compared(self.labels[i], index, analytic, look(direction, scale, analytic))
        # g pairs with a change d as Re(g d), so along 1j it shows as -Im(g)
        real = look(direction, scale, analytic.real)
        imaginary = look({i: 1j * direction[i]}, scale, -analytic.imag)
        both = real._replace(numeric=complex(real.numeric, -imaginary.numeric), note=real.note or imaginary.note,
                             tolerance=real.tolerance + imaginary.tolerance, is_kink=real.is_kink or imaginary.is_kink)
        return self._compared(self.labels[i], index, analytic, both)

    # ------------------------------------------------------------------ directions

    def _direction(self, k: int, looks_again: bool) -> Comparison:
        """All inputs at once, along one random direction of length 1; elements at kinks stay."""
        along = {i: random_like(self.rng, self.f.wide[i]) * ~self.still[i] for i in self.f.inexact}
        length = float(np.sqrt(sum(np.sum(np.abs(d) ** 2) for d in along.values()))) or 1.0
        along = {i: d / length for i, d in along.items()}
        scale = max([1.0, *(float(np.max(np.abs(self.f.wide[i]))) for i in self.f.inexact if self.f.wide[i].size)])
        where, expected = f"random direction {k + 1}", _dot(self.analytic, along)
        self._lines[where] = along, scale, expected
        row = self._compared(where, None, expected, self._first_look(along, scale, expected))
        if row.ok or not looks_again:
            return row
        row = self._compared(where, None, expected, self._second_look(along, scale, expected))
        return self._past_the_kink(row, along, scale)

    def _past_the_kink(self, row: Comparison, along: Direction, scale: float) -> Comparison:
        """A kink is passed, too, if each op's gradient lies between its own slopes and f's is right a little beside it.

        One line can cross the kinks of several ops at once. Each op may then have chosen well, and what the chain rule
        makes of it still lie outside of the two slopes of the whole.
        """
        if row.ok or not row.kinks or not self.are_ops_right():
            return row
        near = copy(self)
        near.f = self.f.beside(self.rng)
        near.analytic = dict(zip(self.f.inexact, near.f.gradients(), strict=True))
        expected = _dot(near.analytic, along)
        found = self._compared(row.where, row.index, expected, near._second_look(along, scale, expected))
        if not found.ok or found.kinks:
            return row
        note = "where several ops are at a kink: each is right alone, and f is right beside it (inputs moved by 0.001)"
        return replace(found, note=note, kinks=1)

    def line(self, where: str, index: tuple | None) -> tuple[Direction, float, float] | None:
        """The direction of one of the comparisons, the size of what moves, and the slope that the gradient promises."""
        if where not in self.labels or index is None:
            return self._lines.get(where)
        i = self.labels.index(where)
        return self.f.unit(i, index), self._size(i, index), float(self.analytic[i][index].real)

    def _size(self, i: int, index: tuple) -> float:
        return max(1.0, float(np.abs(self.f.wide[i][index])))

    def _kinks_together(self) -> Comparison:
        """All elements at kinks moved by as much: what is tied stays tied, so there may be a slope after all."""
        along = {i: self.still[i].astype(float) for i in self.f.inexact}
        expected = _dot(self.analytic, along)
        row = self._compared("elements at kinks, together", None, expected, self._second_look(along, 1.0, expected))
        return self._past_the_kink(row, along, 1.0)

    def _beside_the_kinks(self) -> Comparison:
        """One random direction a little beside the kinks: a rule may be wrong on both of their sides."""
        near = copy(self)
        near.f = self.f.beside(self.rng, 0.01)
        near.still = {i: np.zeros_like(still) for i, still in self.still.items()}
        near.analytic = dict(zip(self.f.inexact, near.f.gradients(), strict=True))
        return replace(near._direction(0, looks_again=True), where="beside the kinks (inputs moved by 0.01)")

    # ------------------------------------------------------------------ along one line

    def _first_look(self, direction: Direction, scale: float, analytic: float) -> _Look:
        if self.settings.method == "complex":
            numeric = complex_step(self.f.along_complex(direction))
            return self._looked(numeric, 1.0, "complex step")
        numeric, size = self._measured(direction, self.step * scale, scale)
        return self._looked(numeric, size, f"central difference, step {self.step * scale:.1e}")

    def _measured(self, direction: Direction, step: float, scale: float) -> tuple[float, float]:
        """The central difference, and the size of what rounds in it: the outputs that move, for a step of size 1.

        An output that does not move cancels, however large it is, so it does not blur the others.
        """
        parts = self.f.parts_along(direction)
        ahead, behind = parts(step), parts(-step)
        moved = ahead != behind
        size = float(np.linalg.norm(ahead[moved]))
        return float(np.sum(ahead[moved] - behind[moved])) / (2 * step), max(1.0, size) / scale

    def _looked(self, numeric: float, size: float, how: str) -> _Look:
        size = size if np.isfinite(size) else self.f.size
        return _Look(numeric, self.precision.tolerance(numeric, size), how,
                     why=self.precision.why(size, self.settings.method))

    def _second_look(self, direction: Direction, scale: float, analytic: float) -> _Look:
        """Where the slope settles; failing that, whether there is a kink and the gradient lies between its slopes."""
        if self.settings.method == "complex":
            return self._first_look(direction, scale, analytic)
        size = self._measured(direction, self.step * scale, scale)[1]
        slope = self._settled(direction, scale, size * scale)
        if not np.isfinite(slope.uncertainty):
            look = self._looked(slope.value, size, "no step settles")
        else:
            look = self._looked(slope.value, size, f"central difference, step {slope.step:.1e}, where it settles")
        tolerance = look.tolerance
        if slope.uncertainty <= 1e-3 * max(abs(slope.value), 1e-3 * size):
            tolerance += 3 * slope.uncertainty
        look = look._replace(tolerance=tolerance)
        if abs(analytic - slope.value) <= tolerance:
            return look._replace(note=f"right at a step of {slope.step:.1e}, not at {self.step * scale:.1e}: f bends "
                                      "sharply or has a kink nearby")
        found = sides(self.f.parts_along(direction), scale, self.f.eps)
        if found is None:
            return look
        slack = 1e-4 * max(abs(found.lowest), abs(found.highest)) + 10 * self.precision.tolerance(0.0, size)
        nearest = float(np.clip(analytic, found.lowest, found.highest))
        where = (f"at a kink (or within {found.within:.0e} of one): slope {found.left:.6g} to the left, "
                 f"{found.right:.6g} to the right")
        if not found.lowest >= min(found.left, found.right) - slack:
            where += f", {found.lowest:.6g} to {found.highest:.6g} with each output on its own side"
        return _Look(nearest, slack, "one-sided differences", where, is_kink=True,
                     why="1e-4 of the larger slope: one-sided differences are off by the step")

    def _settled(self, direction: Direction, scale: float, size: float) -> Slope:
        """The slope where it settles, over steps of the size of what moves if need be: log at 1e-8 bends over 1e-8."""
        parts = self.f.parts_along(direction)
        here = parts(0.0)

        def phi(t: float) -> float:
            moved = parts(t)
            return float(np.sum(np.where(moved == here, 0.0, moved - here)))

        at = np.concatenate([np.abs(self.f.wide[i])[d != 0] for i, d in direction.items()])
        own = float(at[at > 0].min(initial=1.0))
        slopes = [settled(phi, by, self.f.eps) for by in sorted({own, 1.0, scale})]
        return next((slope for slope in slopes if self._is_sure(slope, size, float(at.max(initial=0.0)))), slopes[-1])

    def _is_sure(self, slope: Slope, size: float, at: float) -> bool:
        """Whether the slope settled, and at a step at which it is no rounding of f or of the input."""
        noise = self.f.eps * (size + at * abs(slope.value)) / slope.step
        return slope.uncertainty + noise <= 1e-3 * abs(slope.value)

    def _compared(self, where: str, index: tuple | None, analytic: complex, look: _Look) -> Comparison:
        error = abs(analytic - look.numeric)
        return Comparison(self.order, where, index, analytic, look.numeric, error, look.tolerance, (1, 1),
                          wrong=int(not error <= look.tolerance), kinks=int(look.is_kink), note=look.note, how=look.how,
                          why=look.why)

    # ------------------------------------------------------------------ float32

    def _as_given(self, f: Weighted) -> list[Comparison]:
        """The gradients of f in the dtypes of its inputs against those in double precision, where these differ.

        At a kink rounding decides on which side one is, so f is to be beside it.
        """
        eps = float(max(np.finfo(f.values[i].dtype).eps for i in f.inexact))
        if eps <= f.eps:
            return []
        simulated: list[np.ndarray] = []
        rows = []
        wide = f.gradients()
        base = base_error(wide, eps)
        for n, (i, given, exact) in enumerate(zip(f.inexact, f.gradients(wide=False), wide, strict=True)):
            if not given.size:
                continue
            why = f"rounding: {base:.1e}, a share of the largest of all gradients for eps = {eps:.1e}"
            off = np.where(given == exact, 0.0, np.abs(given - exact))
            allowed = np.full(off.shape, base)
            if not np.all(off <= allowed):
                simulated = simulated or rounding_error(f, _BLUR * eps, self.rng)
                allowed = allowed + simulated[n]
                why += f", plus what rounding every op to {_BLUR} eps changes"
            rows.append(self._as_given_row(i, given, exact, off, allowed, why))
        return rows

    def _as_given_row(self, i: int, given: np.ndarray, exact: np.ndarray, off: np.ndarray, allowed: np.ndarray,
                      why: str) -> Comparison:
        kind = str(given.dtype)
        index = _ints(np.unravel_index(np.argmax(np.nan_to_num(off / allowed, nan=np.inf)), off.shape))
        return Comparison(self.order, f"{self.labels[i]} in {kind}", index, given[index].item(), exact[index].item(),
                          float(off[index]), float(allowed[index]), (off.size, off.size),
                          wrong=int(np.sum(~(off <= allowed))), labels=(f"in {kind}", f"in {exact.dtype}"), why=why,
                          how="the same rules in double precision")


def _badness(row: Comparison) -> float:
    """The error in units of its tolerance; a NaN is the worst of all."""
    if row.error != row.error:
        return np.inf
    return row.error / row.tolerance if row.tolerance else row.error


def _dot(analytic: dict[int, np.ndarray], along: Direction) -> float:
    """The slope along a direction that the gradient promises; what does not move does not count, even if it is NaN."""
    return sum(float(np.sum(np.real(analytic[i] * d)[d != 0])) for i, d in along.items())


def _ints(index: Sequence) -> tuple[int, ...]:
    return tuple(int(k) for k in index)
