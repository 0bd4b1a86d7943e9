"""The calls of ops that a function makes, one by one: which rule is wrong, and what becomes of what the rules give.

A wrong gradient has its cause in one place of the graph. Here each call is taken out and can be checked alone, an
input can be moved in one of its uses and held in the others, and what each rule passes back is seen on its way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..backward import gradients
from ..graph import Node, Observer, observe, recording
from ..ops.shape import sum_to
from ..tensor import Tensor, value_of
from .causes import Cause
from .slopes import central
from .weighted import Weighted, leaves, outputs_of, random_like

__all__ = ["OpCall", "flow_cause", "op_calls"]


@dataclass(frozen=True)
class OpCall:
    """One call of an op that leads to an output.

    op, scope   the op and the scope it was called in
    number      of the call among those of this op in this scope, from 0, in the order of the forward
    inputs      the inputs, as the op was given them; parameters apart
    needs       the numbers of the inputs that need a gradient
    """

    op: Any
    scope: str
    number: int
    inputs: tuple
    params: dict[str, Any]
    needs: tuple[int, ...]

    def function(self) -> Callable[..., Any]:
        """The op as a function of the inputs that need a gradient, all else fixed."""
        def called(*given: Tensor) -> Any:
            inputs = list(self.inputs)
            for i, value in zip(self.needs, given, strict=True):
                inputs[i] = value
            return self.op(*inputs, **self.params)

        called.__name__ = self.op.name
        return called

    def values(self) -> list[np.ndarray]:
        """The values of the inputs that need a gradient."""
        return [np.asarray(self.inputs[i]) for i in self.needs]

    def names(self) -> list[str]:
        """What the op calls them."""
        return [self.op.input_name(i) for i in self.needs]


def op_calls(f: Weighted) -> list[OpCall]:
    """The calls of ops that lead to f's outputs, in the order in which they were made."""
    watch = _Calls()
    with recording(), np.errstate(all="ignore"), observe(watch):
        outs = outputs_of(f.f(*leaves(f.wide, f.inexact)))
    leading = _leading([out._node for out in outs if out._node is not None])
    counts: Counter[tuple[str, str]] = Counter()
    calls = []
    for op, args, params, node in watch.seen:
        if node not in leading:
            continue
        inputs, params = op.bind(args, params)
        needs = tuple(i for i, parent in enumerate(node.parents) if parent is not None)
        calls.append(OpCall(op, node.scope, counts[op.name, node.scope], tuple(map(value_of, inputs)), params, needs))
        counts[op.name, node.scope] += 1
    return calls


class _Calls(Observer):
    """Lists the outermost calls of ops, with the node that each has made."""

    def __init__(self) -> None:
        self.seen: list[tuple[Any, tuple, dict, Node | None]] = []
        self._inside = False

    def around_op(self, op: Any, args: tuple, params: dict, run: Callable[[], Any]) -> Any:
        if self._inside:
            return run()
        self._inside = True
        try:
            result = self.around_outermost(op, args, params, run)
        finally:
            self._inside = False
        self.seen.append((op, args, params, _op_node(result)))
        return result

    def around_outermost(self, op: Any, args: tuple, params: dict, run: Callable[[], Any]) -> Any:
        return run()


class _Moved(_Calls):
    """Moves one input of one call; everything else that uses the same value goes on with the old one."""

    def __init__(self, call: int, index: int, by: np.ndarray) -> None:
        super().__init__()
        self.call, self.index, self.by = call, index, by

    def around_outermost(self, op: Any, args: tuple, params: dict, run: Callable[[], Any]) -> Any:
        if len(self.seen) != self.call:
            return run()
        inputs, params = op.bind(args, params)
        moved = Tensor(value_of(inputs[self.index]) + self.by, requires_grad=True)
        return op(*inputs[: self.index], moved, *inputs[self.index + 1 :], **params)


def _op_node(result: Any) -> Node | None:
    """The node of the op that gave this; None where nothing was recorded."""
    nodes = [part._node for part in (result if type(result) is tuple else (result,))
             if type(part) is Tensor and part._node is not None]
    if not nodes:
        return None
    return nodes[0] if nodes[0].index is None else nodes[0].parents[0]


def _leading(roots: Sequence[Node]) -> set[Node]:
    """All nodes that lead to the roots."""
    found, stack = set(roots), list(roots)
    while stack:
        new = {parent for parent in stack.pop().parents if parent is not None} - found
        found |= new
        stack += new
    return found


# ---------------------------------------------------------------------- what flows back into one input


@dataclass(frozen=True)
class _Edge:
    """One use of an input: which input of which call it is, and what came back from there."""

    call: int
    index: int
    op: Any
    contribution: np.ndarray


@dataclass
class _Flow(Observer):
    """Collects what the rules contribute to one node."""

    leaf: Node
    numbers: dict[Node, int]
    edges: list[_Edge] = field(default_factory=list)

    def around_rule(self, node: Node, index: int | None, g: Any, run: Callable[[], Any]) -> Any:
        given = run()
        for i, part in enumerate(given) if index is None else ((index, given),):
            if part is not None and node.parents[i] is self.leaf and node in self.numbers:
                part = np.asarray(sum_to(np.asarray(part), self.leaf.shape))
                self.edges.append(_Edge(self.numbers[node], i, node.op, part.copy()))
        return given


def flow_cause(f: Weighted, i: int, name: str, rng: np.random.Generator) -> Cause | None:
    """What is wrong with input i on its way through the graph: a term that is missing, or a sum that is none.

    Each use of the input is moved alone, which shows what it should contribute, and that is compared with what its
    rule did contribute, along random directions. None where that explains nothing.
    """
    gradient, edges = _flow(f, i)
    if not edges:
        return Cause("zero or disconnected", f"nothing that was recorded leads from {name} to the output, although the "
                     "output depends on it: detach(), .data, no_grad, or NumPy on its data")
    rights, total = [], 0.0
    expected, found = 0.0, 0.0
    for _ in range(2):
        direction = {i: random_like(rng, f.wide[i])}
        slopes = [_slope_of_use(f, edge, direction[i]) for edge in edges]
        whole = central(f.along(direction), 1e-5)
        size = max(map(abs, [*slopes, whole])) or 1.0
        dots = [_dot(edge.contribution, direction[i]) for edge in edges]
        rights.append([abs(dot - slope) <= 1e-4 * size for dot, slope in zip(dots, slopes, strict=True)])
        total = max(total, abs(sum(slopes) - whole) / size)
        found = max(found, abs(_dot(gradient, direction[i]) - sum(dots)) / size)
        expected = max(expected, abs(_dot(gradient, direction[i]) - whole) / size)
    right = [all(both) for both in zip(*rights, strict=True)]
    if expected <= 1e-4:
        return None
    if all(right) and found > 1e-4:
        return Cause("overwritten instead of accumulated", f"{name} is used {len(edges)} times and each rule gives the "
                     "right contribution, but the gradient is not their sum")
    if all(right) and total > 1e-4:
        return Cause("missing term", f"the gradient is right if {name} is held where the function uses it outside of "
                     "the recorded graph: detach(), .data, no_grad, or NumPy on its data")
    silent = [edge for edge, ok in zip(edges, right, strict=True) if not ok and not np.any(edge.contribution)]
    if any(right) and len(silent) == right.count(False):
        places = " and ".join(f"input {edge.op.input_name(edge.index)!r} of {edge.op.name}" for edge in silent)
        return Cause("missing term", f"the gradient is right only when {name} is held as {places}, from where only "
                     f"zeros come back; {name} is used {len(edges)} times")
    return None


def _flow(f: Weighted, i: int) -> tuple[np.ndarray, list[_Edge]]:
    """The gradient of input i, and what arrived there over each of its uses."""
    xs = leaves(f.wide, f.inexact)
    watch = _Calls()
    with recording(), np.errstate(all="ignore"):
        with observe(watch):
            outs = outputs_of(f.f(*xs))
        flow = _Flow(xs[i]._node, {node: n for n, (_, _, _, node) in enumerate(watch.seen) if node is not None})
        gs = [Tensor(v.astype(out.dtype)) for v, out in zip(f.cotangents, outs, strict=True)]
        if not any(out.requires_grad for out in outs):
            return np.zeros_like(f.wide[i]), []
        with observe(flow):
            (gradient,) = gradients(outs, [xs[i]], g=gs)
    return gradient.data, flow.edges


def _slope_of_use(f: Weighted, edge: _Edge, direction: np.ndarray) -> float:
    """How fast F changes if the input moves in this one use."""
    def phi(t: float) -> float:
        with observe(_Moved(edge.call, edge.index, t * direction)):
            return f(f.wide)

    return central(phi, 1e-5)


def _dot(g: np.ndarray, direction: np.ndarray) -> float:
    return float(np.sum(np.real(g * direction)))
