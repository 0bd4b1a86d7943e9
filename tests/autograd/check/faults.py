"""Faults made on purpose: right rules of the registry, each broken in one of the ways that people break them.

A fault is planted in the rule itself, so that nothing shows it but the numbers. Drawn at random from a fixed seed:
an op of the registry with one of its cases, the shapes of its inputs, which input, and the cause.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import autograd as ag
from autograd.check import CAUSES
from autograd.ops import registry
from tests.autograd.ops.cases import CASES, Case

__all__ = ["Fault", "confusion", "draw_faults", "table"]

Pull = Callable[..., Any]  # (cotangent, number of the input) -> the right gradient


@dataclass(frozen=True)
class Fault:
    """One fault: the true cause, the case that is checked, where, and which rule is broken how."""

    cause: str
    case: Case
    arrays: tuple[np.ndarray, ...]
    index: int
    change: Callable[[Pull, Any, tuple], Any]
    twice: bool = False  # the checked function uses the input in a second place as well

    @property
    def name(self) -> str:
        return f"{self.case.id}[{self.index}] {self.cause}"

    def function(self, *xs: Any) -> Any:
        """What is checked: the op, or the op and another one that uses the input, too."""
        out = self.case.call(*xs)
        outs = out if isinstance(out, tuple) else (out,)
        beside = ag.square if self.case.op != "square" else ag.exp
        return (*outs, beside(xs[self.index])) if self.twice else out

    def report(self) -> Any:
        with planted(self.case.op, self.index, self.change):
            return ag.gradcheck(self.function, *self.arrays, order=1)


@contextmanager
def planted(name: str, index: int, change: Callable[[Pull, Any, tuple], Any]) -> Iterator[None]:
    """The op's rule for one input is another inside: `change(pull, g, saved values)`."""
    op = registry()[name]
    rules, plans = op._rules, op._plans

    def by_number(g: Any, i: int, values: tuple, names: tuple) -> Any:
        rule, asked = rules[i]
        return rule(g, *(values[names.index(asked_name)] for asked_name in asked))

    if op._joint:
        (rule, names), = rules

        def joint(g: Any, *values: Any, wanted: tuple) -> tuple:
            given = list(rule(g, *values, wanted=wanted))
            if index < len(given) and wanted[index]:
                given[index] = change(lambda g, i=index: rule(g, *values, wanted=wanted)[i], g, values)
            return tuple(given)

        broken = [(joint, names)]
    else:
        # the broken rule asks for all that any of the rules asks for, so that it can be another input's rule
        names = tuple(dict.fromkeys(n for _, asked in rules for n in asked))

        def single(g: Any, *values: Any) -> Any:
            return change(lambda g, i=index: by_number(g, i, values, names), g, values)

        broken = [(single, names) if i == index else pair for i, pair in enumerate(rules)]
    op._rules, op._plans = broken, {}
    try:
        yield
    finally:
        op._rules, op._plans = rules, plans


# ---------------------------------------------------------------------- ways to break a rule


def sign(pull: Pull, g: Any, values: tuple) -> Any:
    return -pull(g)


def scaled_by(factor: float) -> Callable:
    return lambda pull, g, values: pull(g) * factor


def zero(pull: Pull, g: Any, values: tuple) -> Any:
    return pull(g) * 0


def turned(order: tuple[int, ...]) -> Callable:
    def change(pull: Pull, g: Any, values: tuple) -> Any:
        right = np.asarray(pull(g))
        return np.transpose(right, order).reshape(right.shape)

    return change


def shuffled(pull: Pull, g: Any, values: tuple) -> Any:
    right = np.asarray(pull(g))
    return np.roll(right.ravel(), 1).reshape(right.shape)


def first_along(axes: tuple[int, ...]) -> Callable:
    """Only the first slice of the cotangent counts."""
    def change(pull: Pull, g: Any, values: tuple) -> Any:
        kept = np.zeros(np.shape(g))
        key = tuple(slice(0, 1) if axis in axes else slice(None) for axis in range(np.ndim(g)))
        kept[key] = 1
        return pull(np.asarray(g) * kept)

    return change


def last_wins(pull: Pull, g: Any, values: tuple) -> Any:
    """What each element of the cotangent contributes replaces what the ones before it did."""
    g = np.asarray(g)
    result = np.zeros_like(np.asarray(pull(g)))
    for index in np.ndindex(g.shape):
        alone = np.zeros_like(g)
        alone[index] = g[index]
        part = np.asarray(pull(alone))
        result = np.where(part != 0, part, result)
    return result


def of_input(other: int) -> Callable:
    return lambda pull, g, values: pull(g, other)


def rounded(pull: Pull, g: Any, values: tuple) -> Any:
    right = np.asarray(pull(g))
    if right.dtype.kind == "c":
        return right.astype(np.complex64)
    return right.astype(np.float16).astype(np.float64)


def noisy() -> Callable:
    rng = np.random.default_rng(0)
    return lambda pull, g, values: pull(g) * (1 + 0.05 * rng.standard_normal())


def writes_into_cotangent(pull: Pull, g: Any, values: tuple) -> Any:
    right = np.array(pull(g))
    g *= 0.5
    return right


def writes_into_saved(pull: Pull, g: Any, values: tuple) -> Any:
    right = np.array(pull(g))
    for value in values:
        if isinstance(value, np.ndarray) and value.dtype.kind == "f" and value.flags.writeable:
            value += 0.125
            break
    return right


# ---------------------------------------------------------------------- drawing


def draw_faults(n: int, seed: int) -> list[Fault]:
    """n faults; each cause is drawn as often as another where there are enough ops that it can happen to."""
    rng = np.random.default_rng(seed)
    makers = list(_MAKERS)
    found: list[Fault] = []
    while len(found) < n:
        cause = makers[len(found) % len(makers)]
        fault = None
        while fault is None:
            case = CASES[rng.integers(len(CASES))]
            fault = _drawn(cause, case, rng) if "d" in case.dtypes else None
        found.append(fault)
    return found


def _drawn(cause: str, case: Case, rng: np.random.Generator) -> Fault | None:
    """A fault of that cause in that case, at shapes that it allows; None where it cannot happen there."""
    arrays = _arrays(case, rng)
    able = [i for i in case.inexact if i not in case.no_gradient and arrays[i].size]
    if not able:
        return None
    index = int(rng.choice(able))
    made = _MAKERS[cause](case, arrays, index, rng)
    if made is None:
        return None
    fault = Fault(cause, case, tuple(arrays), index, made, twice=cause == "missing term")
    return fault if _is_wrong(fault) else None


def _arrays(case: Case, rng: np.random.Generator) -> list[np.ndarray]:
    """Inputs of the case, their lengths drawn anew, equal ones staying equal; the table's where it allows no other."""
    lengths = sorted({n for i in case.inputs for n in i.shape if n > 1})
    seed = int(rng.integers(1 << 30))
    for _ in range(6):
        new = {n: int(rng.integers(2, 6)) for n in lengths}
        shapes = tuple(tuple(new.get(n, n) for n in i.shape) for i in case.inputs)
        arrays = case.arrays("d", shapes, seed)
        if _works(case, arrays):
            return arrays
    return case.arrays("d", seed=seed)


def _works(case: Case, arrays: list[np.ndarray]) -> bool:
    try:
        outs = case.call(*arrays)
        expected = case.call(*case.arrays("d"))
    except Exception:  # whatever it is that does not fit
        return False
    outs, expected = (o if isinstance(o, tuple) else (o,) for o in (outs, expected))
    return [np.ndim(o) for o in outs] == [np.ndim(o) for o in expected] and 0 < sum(np.size(o) for o in outs) <= 200


def _gradient(fault: Fault, change: Callable | None) -> np.ndarray | None:
    """The gradient of a fixed weighting of the outputs, with the change planted or not."""
    rng = np.random.default_rng(1)
    xs = [ag.Tensor(a, requires_grad=a.dtype.kind == "f") if a.dtype.kind == "f" else a for a in fault.arrays]
    outs = fault.function(*xs)
    outs = outs if isinstance(outs, tuple) else (outs,)
    gs = [rng.standard_normal(out.shape) for out in outs]
    keep = (lambda pull, g, values: pull(g)) if change is None else change
    try:
        with planted(fault.case.op, fault.index, keep):
            outs = fault.function(*xs)
            outs = outs if isinstance(outs, tuple) else (outs,)
            return ag.gradients(list(outs), [xs[fault.index]], g=gs)[0].data
    except (ValueError, RuntimeError, TypeError):  # a fault that the engine itself refuses is none that hides
        return None


def _is_wrong(fault: Fault) -> bool:
    """Whether the fault changes the gradient at all, so that there is something to find."""
    if fault.cause == "mutation":
        return _writes(fault)
    if fault.cause == "non-determinism":  # whose noise could be small by chance
        return _is_wrong(replace(fault, cause="constant factor", change=scaled_by(2.0)))
    right, wrong = _gradient(fault, None), _gradient(fault, fault.change)
    if right is None or wrong is None or wrong.shape != right.shape:
        return False
    return bool(np.max(np.abs(right - wrong)) > 1e-4 * np.max(np.abs(right)) and np.any(right != 0))


def _writes(fault: Fault) -> bool:
    """Whether the fault changes an array that it was given."""
    changed = []

    def watched(pull: Pull, g: Any, values: tuple) -> Any:
        given = [array for array in (g, *values) if isinstance(array, np.ndarray)]
        before = [array.copy() for array in given]
        result = fault.change(pull, g, values)
        changed.append(any(np.any(a != b) for a, b in zip(given, before, strict=True)))
        return result

    return _gradient(fault, watched) is not None and bool(changed) and all(changed)


def _transposition(case: Case, arrays: list, index: int, rng: np.random.Generator) -> Callable | None:
    ndim = arrays[index].ndim
    if arrays[index].size < 3:
        return None
    if ndim < 2:
        return shuffled
    order = tuple(int(k) for k in rng.permutation(ndim))
    return turned(order) if order != tuple(range(ndim)) else shuffled


def _axis(case: Case, arrays: list, index: int, rng: np.random.Generator) -> Callable | None:
    out = case.call(*arrays)
    if isinstance(out, tuple):
        return None
    long = [axis for axis, n in enumerate(np.shape(out)) if n > 1]
    if not long or not _fans_out(case, arrays, index):
        return None
    some = rng.choice(long, size=int(rng.integers(1, len(long) + 1)), replace=False)
    return first_along(tuple(sorted(int(axis) for axis in some)))


def _overwriting(case: Case, arrays: list, index: int, rng: np.random.Generator) -> Callable | None:
    return last_wins if not isinstance(case.call(*arrays), tuple) and _fans_out(case, arrays, index) else None


def _fans_out(case: Case, arrays: list, index: int) -> bool:
    """Whether every element of the input reaches more than one element of the output."""
    value = arrays[index]
    here = np.asarray(case.call(*arrays))
    for place in np.ndindex(value.shape):
        moved = value.copy()
        moved[place] += 0.01
        there = np.asarray(case.call(*[moved if k == index else a for k, a in enumerate(arrays)]))
        if np.count_nonzero(here != there) < 2:
            return False
    return True


def _other_input(case: Case, arrays: list, index: int, rng: np.random.Generator) -> Callable | None:
    op = registry()[case.op]
    others = [k for k in case.inexact if k != index and arrays[k].shape == arrays[index].shape]
    if not others or (not op._joint and any(op._rules[k][0] is None for k in others)):
        return None
    return of_input(int(rng.choice(others)))


def _factor(case: Case, arrays: list, index: int, rng: np.random.Generator) -> Callable | None:
    n = (arrays[index].shape or (2,))[0]
    return scaled_by(float(rng.choice([2.0, 0.5, 1.001, 3.0, float(n) if n > 1 else 4.0, 1 / n if n > 1 else 0.25])))


_MAKERS: dict[str, Callable[[Case, list, int, np.random.Generator], Callable | None]] = {
    "wrong sign": lambda *_: sign,
    "constant factor": _factor,
    "transposed or permuted": _transposition,
    "axis not summed": _axis,
    "missing term": lambda *_: zero,
    "overwritten instead of accumulated": _overwriting,
    "zero or disconnected": lambda *_: zero,
    "wrong input's gradient": _other_input,
    "rounding": lambda *_: rounded,
    "non-determinism": lambda *_: noisy(),
    "mutation": lambda case, arrays, index, rng: (writes_into_cotangent, writes_into_saved)[rng.integers(2)],
}


# ---------------------------------------------------------------------- what the report says


def confusion(faults: list[Fault]) -> tuple[dict[tuple[str, str], int], list[str]]:
    """How often each true cause was given each name; and the names of the faults that passed."""
    counts: dict[tuple[str, str], int] = {}
    passed = []
    for fault in faults:
        report = fault.report()
        if report:
            passed.append(fault.name)
        named = report.cause.name if report.cause else "unknown"
        counts[fault.cause, named] = counts.get((fault.cause, named), 0) + 1
    return counts, passed


def table(counts: dict[tuple[str, str], int]) -> str:
    """The confusion table in Markdown: a row for each true cause, a column for each name given."""
    columns = [name for name in CAUSES if any(named == name for _, named in counts)]
    lines = ["| planted | " + " | ".join(columns) + " |", "|---" * (len(columns) + 1) + "|"]
    for cause in _MAKERS:
        cells = (str(counts.get((cause, name), "")) for name in columns)
        lines.append(f"| {cause} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
