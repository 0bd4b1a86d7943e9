"""A backward pass that is written down: which gradient came in where, what each rule made of it, what was added up.

The pass is the engine's own. For Tensors an observer stands around every rule while `gradients` runs; for Scalars it
is the loop of `Scalar.backward` on the local derivatives that the Scalars hold. Neither touches a `.grad`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..backward import fit, gradients, seed_of
from ..graph import Node, Observer, observe
from ..scalar import Scalar, _parents_first
from ..tensor import Tensor, wrap
from .reading import Call, Step, Value

__all__ = ["Contribution", "Pull", "Tape", "record_pass"]


@dataclass(eq=False)
class Contribution:
    """What one rule gives to one input, and how it is added there.

    index   which input of the op it is
    to      the value whose gradient it is added to
    given   what the rule returned; `part` is that in the shape and dtype of the input
    fitted  how `part` came of `given`, in words; "" where it is the same
    before  the gradient of `to` so far, None where this is the first contribution; `after` is with this one
    nth     this is the nth contribution of `of`
    local   the local derivative of an elementwise op, number by number; None for any other
    """

    index: int
    to: Value
    given: Any
    part: Any
    fitted: str
    before: Any
    after: Any
    nth: int
    local: Any = None
    of: int = 0


@dataclass(eq=False)
class Pull:
    """The rules of one call at work: the gradient that comes in for each output, and what goes on to the inputs.

    gradient  one for each output of the call
    whole     the same as the rules get it: a tuple where the op has several outputs
    hooked    whether a hook has changed the gradient that came in
    """

    call: Call
    gradient: list[Any]
    whole: Any
    contributions: list[Contribution] = field(default_factory=list)
    hooked: bool = False


@dataclass(eq=False)
class Tape:
    """A whole pass: where it starts, with which cotangent, and the pulls in the order in which they ran."""

    output: Value
    seed: Any
    pulls: list[Pull] = field(default_factory=list)


def record_pass(y: Scalar | Tensor, g: Any, steps: list[Step]) -> Tape:
    """Runs the backward pass of y, whose graph is `steps`."""
    tape = _scalar_pass(y, steps) if isinstance(y, Scalar) else _tensor_pass(y, g, steps)
    counts: dict[Value, int] = {}
    for contribution in (contribution for pull in tape.pulls for contribution in pull.contributions):
        counts[contribution.to] = contribution.nth
    for pull in tape.pulls:
        for contribution in pull.contributions:
            contribution.of = counts[contribution.to]
    return tape


class _Sums:
    """The gradients so far, and how many contributions each is made of."""

    def __init__(self, start: dict[Value, Any]) -> None:
        self.sums = dict(start)
        self.counts = dict.fromkeys(start, 0)

    def add(self, index: int, to: Value, given: Any, part: Any, fitted: str = "") -> Contribution:
        before = self.sums.get(to)
        after = self.sums[to] = part if before is None else before + part
        self.counts[to] = self.counts.get(to, 0) + 1
        return Contribution(index, to, given, part, fitted, before, after, self.counts[to])


# -------------------------------------------------------------------- Scalars


def _scalar_pass(y: Scalar, steps: list[Step]) -> Tape:
    calls = {step.origin: step for step in steps if isinstance(step, Call)}
    values = {step.origin: step for step in steps if isinstance(step, Value)}
    values.update((origin, call.outputs[0][1]) for origin, call in calls.items())
    tape = Tape(values[y], 1.0)
    sums = _Sums({tape.output: tape.seed})
    for scalar in reversed(_parents_first(y)):
        grad = sums.sums.get(values[scalar], 0.0)
        if scalar not in calls or grad == 0.0:  # as Scalar.backward has it: there is nothing to pass on
            continue
        pull = Pull(calls[scalar], [grad], grad)
        for index, (parent, slope) in enumerate(zip(scalar._parents, scalar._local, strict=True)):
            contribution = sums.add(index, values[parent], grad * slope, grad * slope)
            contribution.local = slope
            pull.contributions.append(contribution)
        tape.pulls.append(pull)
    return tape


# -------------------------------------------------------------------- Tensors


def _tensor_pass(y: Tensor, g: Any, steps: list[Step]) -> Tape:
    nodes = [step.origin for step in steps if isinstance(step, Value)]
    leaves = [wrap(np.empty(0), node) for node in nodes]  # stand-ins: a leaf's own Tensor may be gone
    recorder = _Recorder(steps, y, seed_of(y, g).data)
    with observe(recorder):
        gradients(y, leaves, g=g, retain_graph=True)
    return recorder.tape


class _Recorder(Observer):
    def __init__(self, steps: list[Step], y: Tensor, seed: np.ndarray) -> None:
        self.calls = {step.origin: step for step in steps if isinstance(step, Call)}
        self.values = {step.origin: step for step in steps if isinstance(step, Value)}
        for call in self.calls.values():
            self.values.update((value.origin, value) for _, value in call.outputs)
        self.tape = Tape(self.values[y._node], seed)
        self.sums = _Sums({self.tape.output: seed})

    def around_rule(self, node: Node, index: int | None, g: Any, run: Callable[[], Any]) -> Any:
        given = run()
        pulls = self.tape.pulls
        if not pulls or pulls[-1].call.origin is not node:
            pulls.append(self._pull(node, g))
        for i, part in enumerate(given) if index is None else ((index, given),):
            parent = node.parents[i]
            if parent is not None and part is not None:
                pulls[-1].contributions.append(self._contribution(node, i, g, part, parent, index is None))
        return given

    def _pull(self, node: Node, g: Any) -> Pull:
        call = self.calls[node]
        if node.outputs is not None:  # one gradient for each output that is part of the graph
            return Pull(call, [g[value.origin.index] for _, value in call.outputs], g)
        expected = self.sums.sums.get(call.outputs[0][1])
        return Pull(call, [g], g, hooked=not _same(expected, g))

    def _contribution(self, node: Node, index: int, g: Any, given: Any, parent: Node, is_joint: bool) -> Contribution:
        part = fit(given, node, index)
        found = self.sums.add(index, self.values[parent], given, part, _fitting(given, part, node.op.input_name(index)))
        if not is_joint:
            found.local = local_derivative(node, index, g)
        return found


def _same(a: Any, b: Any) -> bool:
    return a is b or np.array_equal(a, b, equal_nan=True)


def _fitting(given: Any, part: np.ndarray, name: str) -> str:
    """What was done to a rule's result to make it fit its input, in words."""
    given = np.asarray(given)
    words = []
    if given.shape != part.shape:
        new = given.ndim - part.ndim
        axes = [*range(new), *(i + new for i, n in enumerate(part.shape) if n != given.shape[i + new])]
        words.append(f"summed over {'axis' if len(axes) == 1 else 'axes'} {', '.join(map(str, axes))}, along which the "
                     f"op repeated {name}: {given.shape} becomes {part.shape}")
    if given.dtype != part.dtype:
        words.append(f"cast from {given.dtype} to {part.dtype}" + (
            " (the real part)" if given.dtype.kind == "c" and part.dtype.kind != "c" else ""))
    return "; ".join(words)


def local_derivative(node: Node, index: int, g: np.ndarray) -> Any:
    """The derivative of each output element by the input element beside it; None unless the op is elementwise.

    A rule is linear in g. It multiplies g element by element, g * d, exactly where what it makes of any cotangent r is
    r times what it makes of ones; then that is d. One random r tells, but for a set of measure zero.
    """
    if node.outputs is not None or not g.size:
        return None
    [planned] = [found for found in node.plan.rules if found.input_index == index]
    with np.errstate(all="ignore"):
        slope = np.asarray(planned.apply(np.ones(g.shape, g.dtype), node.saved))
        if slope.shape != g.shape:
            return None
        probe = _probe(g)
        answer = np.asarray(planned.apply(probe, node.saved))
        is_elementwise = np.allclose(answer, probe * slope, rtol=_tolerance(g.dtype), atol=0, equal_nan=True)
    return slope if is_elementwise else None


def _probe(g: np.ndarray) -> np.ndarray:
    rng = np.random.default_rng(0)
    probe = rng.uniform(0.5, 2, g.shape)
    if g.dtype.kind == "c":
        probe = probe * np.exp(2j * np.pi * rng.uniform(size=g.shape))
    return np.asarray(probe).astype(g.dtype)


def _tolerance(dtype: np.dtype) -> float:
    return 16 * float(np.finfo(dtype).eps)
