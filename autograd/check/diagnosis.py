"""From what failed to why: the evidence for each wrong input, and the op whose rule is to blame."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cached_property
from math import prod

import numpy as np

from .calls import OpCall, flow_cause, op_calls
from .causes import Cause, Evidence, Sample, likely_cause
from .comparing import Level, Settings
from .report import Comparison, OpVerdict
from .weighted import Jacobian, Weighted, pullback

__all__ = ["as_gradient", "diagnosed", "op_verdicts"]

_MOST_ELEMENTS = 600  # of a larger input the evidence would take too long
_MOST_NUMBERS = 2_000_000  # in a Jacobian
_FEW = 8  # elements: so few numbers fit many hypotheses, so they are looked at in a second place, too


def diagnosed(level: Level, rows: list[Comparison]) -> list[Comparison]:
    """The comparisons, those that are wrong with their likely cause."""
    numbers = {label: i for i, label in enumerate(level.labels)}
    places = _Places(level)
    found: dict[str, Cause] = {}
    for row in rows:
        if row.ok or row.where in found:
            continue
        if row.labels != ("analytic", "numeric"):
            found[row.where] = _by_labels(row)
        elif row.where in numbers:
            found[row.where] = _input_cause(level, places, numbers[row.where], row)
    return [row if row.ok else replace(row, cause=found.get(row.where)) for row in rows]


def _by_labels(row: Comparison) -> Cause:
    """The cause of what is seen without hypotheses."""
    kind = row.labels[0]
    if kind == "before":
        return Cause("mutation", "a forward or a rule writes into an array that it was given (`x *= 2`, out=x)")
    if kind == "first run":
        return Cause("non-determinism", "the same call gives other numbers: random numbers (dropout?), a state that "
                     "changes, or a race of threads")
    return Cause("rounding", f"right in double precision, and further off {kind} than rounding explains: a kernel of "
                 "its own for this dtype, or an algorithm that loses digits")


def _input_cause(level: Level, places: _Places, i: int, row: Comparison) -> Cause:
    with np.errstate(all="ignore"):
        in_the_graph = flow_cause(level.f, i, level.labels[i], level.rng)
        if in_the_graph is not None:
            return in_the_graph
        evidence = places.evidence(i)
        cause = likely_cause(evidence) if evidence else None
    return cause or Cause("unknown", _unexplained(row, evidence is None))


def _unexplained(row: Comparison, is_large: bool) -> str:
    if "kink" in row.note:
        return "the gradient does not lie between the slopes on both sides of the kink"
    if 0 < row.wrong < row.checked[0]:
        return f"{row.wrong} of {row.checked[0]} elements are out of tolerance, and the others within it"
    if is_large:
        return "too many elements to try hypotheses; check a smaller input"
    return "no hypothesis explains the numbers"


class _Places:
    """Where the evidence is taken: at the inputs, and for inputs of few elements at a second place, too."""

    def __init__(self, level: Level) -> None:
        self.level = level
        self.n_outputs = sum(prod(shape) for shape in level.f.out_shapes)
        self.here = level.f
        self.draws = [level.f.cotangents]
        self.jacobians: dict[tuple[bool, int], Jacobian] = {}  # by whether it is the second place, and the input

    @cached_property
    def there(self) -> Weighted:
        return self.here.beside(self.level.rng, 0.1)

    def evidence(self, i: int) -> Evidence | None:
        """What there is to know of input i; None where that would be too much."""
        size = self.here.wide[i].size
        if size > _MOST_ELEMENTS or size * self.n_outputs > _MOST_NUMBERS:
            return None
        if len(self.draws) == 1:
            self.draws.append(self.here.draw_cotangents())
        samples = [self._sample(is_there, i, draw) for is_there in ([False, True] if size <= _FEW else [False])
                   for draw in self.draws]
        return Evidence(samples, self.here.out_shapes)

    def _sample(self, is_there: bool, i: int, draw: list[np.ndarray]) -> Sample:
        """For one place and draw of cotangents; elements at a kink count nowhere."""
        f = self.there if is_there else self.here
        analytic = dict(zip(f.inexact, f.gradients(cotangents=draw), strict=True))[i]
        still = self.level.still[i]
        alike = [k for k in f.inexact if k != i and f.wide[k].shape == f.wide[i].shape]
        right = [self._contributions(is_there, k, draw).sum(axis=1).reshape(still.shape) for k in alike]
        others = {self.level.labels[k]: np.where(still, 0.0, g) for k, g in zip(alike, right, strict=True)}
        contributions = np.where(still.reshape(-1, 1), 0.0, self._contributions(is_there, i, draw))
        return Sample(np.where(still, 0.0, analytic), contributions, others)

    def _contributions(self, is_there: bool, i: int, draw: list[np.ndarray]) -> np.ndarray:
        if (is_there, i) not in self.jacobians:
            f = self.there if is_there else self.here
            self.jacobians[is_there, i] = f.jacobian(i, self.level.step)
        return self.jacobians[is_there, i].contributions(draw)


# ---------------------------------------------------------------------- which op


def op_verdicts(f: Weighted, order: int, settings: Settings, rng: np.random.Generator,
                cause: Cause | None) -> list[OpVerdict]:
    """A verdict for each call of an op that leads to the outputs: its rules, checked alone, up to this order.

    cause  of the failure of f as a whole, which is that of its op if there is but one
    """
    calls = op_calls(f)
    return [_op_verdict(call, order, settings, rng, cause if len(calls) == 1 else None) for call in calls]


def _op_verdict(call: OpCall, order: int, settings: Settings, rng: np.random.Generator,
                cause: Cause | None) -> OpVerdict:
    try:
        rows = _rows(call, order, settings, rng, with_causes=cause is None)
    except (TypeError, ValueError, RuntimeError) as error:
        return OpVerdict(call.op.name, call.scope, call.number, "wrong", f"{type(error).__name__}: {error}")
    wrong = [row for row in rows if not row.ok]
    verdict = "wrong" if wrong else "at a kink" if any(row.kinks for row in rows) else "right"
    if wrong and cause is not None:
        return OpVerdict(call.op.name, call.scope, call.number, verdict, str(cause))
    named = [f"the rule for {row.where.split(' (')[0]!r}: {row.cause}" for row in wrong if row.cause]
    return OpVerdict(call.op.name, call.scope, call.number, verdict, "; ".join(named))


def _rows(call: OpCall, order: int, settings: Settings, rng: np.random.Generator,
          with_causes: bool) -> list[Comparison]:
    """Random directions first, since a model has many calls; element by element, with causes, where they fail."""
    labels = [f"{name} {value.shape}" for name, value in zip(call.names(), call.values(), strict=True)]
    f: Callable = call.function()
    values: Sequence[np.ndarray] = call.values()
    rows: list[Comparison] = []
    for level_order in range(1, order + 1):
        weighted = Weighted(f, values, rng)
        quick = Level(weighted, labels, level_order, settings._replace(directions=2), rng, {})
        rows = quick.run()
        if not all(row.ok for row in rows):
            if not with_causes:
                return rows
            whole = Level(weighted, labels, level_order, settings._replace(directions=None, max_elements=50), rng, {})
            return diagnosed(whole, whole.run())
        f, values, names = as_gradient(weighted, level_order)
        labels = [*labels, *names]
    return rows


def as_gradient(f: Weighted, order: int) -> tuple[Callable, list[np.ndarray], list[str]]:
    """The function (inputs, cotangents) -> gradients, where it is to be checked, and what the cotangents are called."""
    n, inner, inexact = len(f.values), f.f, f.inexact
    of_order = f" of order {order}" if order > 1 else ""
    names = [f"cotangent {k} {v.shape}{of_order}" for k, v in enumerate(f.cotangents)]

    def gradient(*args: object) -> tuple:
        return pullback(inner, args[:n], inexact, args[n:], create_graph=True)

    return gradient, [*f.values, *f.coarse_cotangents()], names
