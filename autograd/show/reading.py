"""What listings and pictures read out of a graph: Scalars and Tensors in one form.

A graph becomes a list of steps, each after those it depends on: a leaf is a Value, and an op's call is a
Call, with Values going in and coming out. Nothing here knows how it will be shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import numpy as np

from ..graph import Node
from ..scalar import Scalar
from ..tensor import Tensor, value_of

__all__ = ["Call", "Named", "Rule", "Step", "Value", "first_line", "given_params", "read_graph", "saved_by_name"]

Named = Mapping[str, Any] | Iterable[tuple[str, Any]]


@dataclass(eq=False)
class Value:
    """A leaf, a constant, or what an op gave.

    shape, dtype     None for a Scalar, and for a constant of which nothing is known any more
    value, gradient  None where there is none; a number or an array
    is_watched       whether value and gradient are to be shown (Scalars, and graphs under `keep`)
    is_output        whether it is one of those that the graph was asked for
    is_input         whether it is data: a leaf that is none of the parameters in `names`, and a constant that has a
                     name, or that is given to an op which is given no result
    origin           the Scalar or the Node that it was read from; None for a constant
    """

    kind: Literal["leaf", "constant", "result"]
    name: str = ""
    shape: tuple[int, ...] | None = None
    dtype: np.dtype | None = None
    value: Any = None
    gradient: Any = None
    is_watched: bool = False
    is_output: bool = False
    is_input: bool = False
    origin: Any = None


class Rule(NamedTuple):
    """One backward rule of a call.

    inputs  of which of the call's inputs it gives the gradient, by position
    uses    the names of the values that are saved for it, parameters of the op left out
    slope   the local derivative by that input, of Scalars
    """

    inputs: tuple[int, ...]
    uses: tuple[str, ...] = ()
    slope: float | None = None


@dataclass(eq=False)
class Call:
    """One call of an op; inputs and outputs come with their names ("" where there is nothing to tell apart).

    order   ascends in the order of the forward; of Tensors it is the order of the op's node, of Scalars below 0
    about   the first line of the op's docstring
    source  where its forward is written: module and line, "" where that is not known
    rules   that run in the reverse pass
    origin  the Scalar or the Node that it was read from
    """

    op: str
    params: dict[str, Any]
    inputs: list[tuple[str, Value]]
    scope: str
    outputs: list[tuple[str, Value]] = field(default_factory=list)
    order: int = 0
    about: str = ""
    source: str = ""
    rules: list[Rule] = field(default_factory=list)
    origin: Any = None


Step = Value | Call


def read_graph(who: str, y: Any, names: Named | None = None) -> list[Step]:
    """The steps that lead to y, a Scalar or Tensor or a list of either, inputs first.

    Raises TypeError where y or a name's value is something else, ValueError where y has no graph; `who` stands at the
    head of the message.
    """
    outputs = list(y) if isinstance(y, (list, tuple)) else [y]
    kinds = {type(output) for output in outputs}
    if kinds not in ({Scalar}, {Tensor}):
        raise TypeError(f"{who}: expected a Scalar, a Tensor, or a list of one of the two, got "
                        f"{' and '.join(sorted(kind.__name__ for kind in kinds)) or 'an empty list'}")
    named = _names(who, names)
    if kinds == {Scalar}:
        order = _inputs_first(outputs, lambda scalar: scalar._parents)
        return list(_scalar_steps(order, outputs, named))
    roots = [_root(who, output) for output in outputs]
    order = _inputs_first(roots, lambda node: [p for p in node.parents if p is not None])
    return _TensorReader(order, roots, named).steps()


def _root(who: str, output: Tensor) -> Node:
    if output._node is None:
        raise ValueError(f"{who}: this Tensor {output.shape} has no graph: it does not require a gradient, since "
                         "nothing that it was made from does, or it was made under no_grad; make a leaf with "
                         "requires_grad=True")
    return output._node


@dataclass
class _Names:
    """What values are called, and which of them are parameters: those of modules, or all where there is no module."""

    pairs: list[tuple[str, Any]] = field(default_factory=list)
    parameters: set[int] = field(default_factory=set)  # by id


def _names(who: str, names: Any) -> _Names:
    """Of a mapping or pairs, in which a value may be a module, or of one module."""
    found = _Names()
    if hasattr(names, "named_parameters"):
        names = {"": names}
    for name, value in names.items() if isinstance(names, Mapping) else names or ():
        if hasattr(value, "named_parameters"):
            inner = [(f"{name}.{path}" if name else path, parameter) for path, parameter in value.named_parameters()]
            found.parameters.update(id(parameter) for _, parameter in inner)
        else:
            inner = [(name, value)]
        for path, named in inner:
            if not isinstance(named, (Tensor, Scalar)):
                raise TypeError(f"{who}: names must give a Scalar, a Tensor or a module to each name, but {path!r} has "
                                f"{named!r:.60}")
            found.pairs.append((_printable(path), named))
    found.parameters = found.parameters or {id(named) for _, named in found.pairs}
    return found


def _printable(text: str) -> str:
    """Names and scopes may hold anything, but go into one line."""
    return "".join(c if c.isprintable() else " " for c in str(text))


def _inputs_first(outputs: Sequence[Any], inputs: Callable[[Any], Sequence[Any]]) -> list[Any]:
    """Every node that leads to the outputs, each after its inputs: a depth-first search without recursion."""
    order = []
    seen = set()
    stack = [(output, False) for output in reversed(outputs)]
    while stack:
        node, inputs_are_done = stack.pop()
        if inputs_are_done:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((parent, False) for parent in reversed(inputs(node)))
    return order


# -------------------------------------------------------------------- Scalars


def _scalar_steps(order: list[Scalar], outputs: list[Scalar], named: _Names) -> Iterator[Step]:
    values: dict[Scalar, Value] = {}
    roots = set(outputs)
    names = {scalar: name for name, scalar in named.pairs}
    for place, scalar in enumerate(order):
        kind: Literal["leaf", "result"] = "result" if scalar._parents else "leaf"
        value = values[scalar] = Value(kind, names.get(scalar, ""), value=scalar.data, gradient=scalar.grad,
                                       is_watched=True, is_output=scalar in roots, origin=scalar)
        if not scalar._parents:
            value.is_input = bool(value.name) and id(scalar) not in named.parameters
            yield value
            continue
        inputs = [values[parent] for parent in scalar._parents]
        sides = ("left", "right") if scalar._op in ("-", "/", "**") else ("",) * len(inputs)
        rules = [Rule((i,), slope=slope) for i, slope in enumerate(scalar._local)]
        yield Call(scalar._op, {}, list(zip(sides, inputs, strict=True)), "", [("", value)], place - len(order),
                   rules=rules, origin=scalar)


# -------------------------------------------------------------------- Tensors


class _TensorReader:
    """Makes steps of nodes, which come inputs first."""

    def __init__(self, order: list[Node], roots: list[Node], named: _Names) -> None:
        self.order = order
        self.roots = set(roots)
        self.values: dict[Node, Value] = {}
        self.is_watched = any(node.kept for node in order)
        tensors = [(name, tensor) for name, tensor in named.pairs if type(tensor) is Tensor]
        self.parameters = {tensor._node for _, tensor in tensors if id(tensor) in named.parameters}
        self.names = {tensor._node: name for name, tensor in tensors if tensor._node is not None}
        self.has_parameters = any(node in self.parameters for node in order)
        # a Tensor that needs no gradient has no node, but is known by its array
        self.array_names = {id(tensor.data): name for name, tensor in tensors}

    def steps(self) -> list[Step]:
        calls: dict[Node, Call] = {}
        steps: list[Step] = []
        for node in self.order:
            if node.is_leaf:
                steps.append(self._leaf(node))
            elif node.index is not None:
                calls[node.parents[0]].outputs.append((_output_name(node), self._result(node)))
            else:
                inputs, rules = self._inputs(node)
                about = first_line(node.op)
                call = calls[node] = Call(node.op.name, given_params(node), inputs, _printable(node.scope),
                                          order=node.order, about=about, source=_source(node.op), rules=rules,
                                          origin=node)
                steps.append(call)
                if node.outputs is None:
                    call.outputs.append(("", self._result(node)))
        return steps

    def _leaf(self, node: Node) -> Value:
        leaf = self._value("leaf", node)
        leaf.is_input = self.has_parameters and node not in self.parameters
        tensor = node.tensor and node.tensor()
        if tensor is not None and tensor._node is node:
            leaf.value = tensor.data
            leaf.gradient = value_of(tensor.grad)
        return leaf

    def _result(self, node: Node) -> Value:
        result = self._value("result", node)
        if node.kept:
            result.value, result.gradient = node.kept.value, node.kept.gradient
        return result

    def _value(self, kind: Literal["leaf", "result"], node: Node) -> Value:
        value = self.values[node] = Value(kind, self.names.get(node, ""), node.shape, node.dtype,
                                          is_watched=self.is_watched, is_output=node in self.roots, origin=node)
        return value

    def _inputs(self, node: Node) -> tuple[list[tuple[str, Value]], list[Rule]]:
        saved = saved_by_name(node)
        is_first = all(parent is None or parent.is_leaf for parent in node.parents)
        inputs: list[tuple[str, Value]] = []
        places: dict[int, int] = {}  # of inputs that get a gradient
        for index, parent in enumerate(node.parents):
            name = node.op.input_name(index)
            value = self._constant(node, index, saved) if parent is None else self.values[parent]
            if value is None:
                continue
            if value.kind == "leaf" and node.kept and node.kept.given:  # as it was then, whatever the Tensor holds now
                value.value = node.kept.given.get(index, value.value)
            if parent is None:
                value.is_input = bool(value.name or (is_first and _may_be_data(value, node)))
            else:
                places[index] = len(inputs)
            inputs.append((name, value))
        settings = {*node.params, *node.op.defaults}.difference(node.op.input_names)
        indices = [planned.input_index for planned in node.plan.rules]
        rules = [Rule(tuple(places.values()) if index is None else (places[index],),
                      tuple(name for name in node.op.saved_names(index) if name not in settings))
                 for index in indices]
        return inputs if len(node.parents) > 1 else [("", value) for _, value in inputs], rules

    def _constant(self, node: Node, index: int, saved: dict[str, Any]) -> Value | None:
        """An input that needs no gradient, as far as it is known; None for one that was left out."""
        name = node.op.input_name(index)
        if node.kept and node.kept.given is not None:
            return self._known(node.kept.given.get(index))
        if name in saved:
            return self._known(saved[name])
        if f"{name}_shape" in saved:
            return Value("constant", shape=saved[f"{name}_shape"])
        if node.op.defaults.get(name, "") is None:  # perhaps left out
            return None
        return Value("constant")

    def _known(self, constant: Any) -> Value | None:
        if constant is None:
            return None
        name = self.array_names.get(id(constant), "")
        array = np.asarray(constant)
        return Value("constant", name, array.shape, array.dtype, array, is_watched=self.is_watched)


def _source(op: Any) -> str:
    code = getattr(op.forward, "__code__", None)
    return f"{op.forward.__module__}, line {code.co_firstlineno}" if code else ""


def _may_be_data(constant: Value, node: Node) -> bool:
    """Not a number, nor what one like the 2.0 of 2.0 * w or the averages of a normalization may be."""
    if constant.shape is None:
        return not node.op.broadcasts
    return len(constant.shape) > int(node.op.broadcasts)


def first_line(op: Any) -> str:
    """What an op computes: the first line of its docstring."""
    return (op.__doc__ or "").strip().partition("\n")[0]


def _output_name(node: Node) -> str:
    """The name of one output of several."""
    names = node.op.output_names
    return names[node.index] if names else f"[{node.index}]"


def given_params(node: Node) -> dict[str, Any]:
    """The parameters that tell something: neither None nor what they are by default (a pair of it, too)."""
    return {name: value for name, value in node.params.items()
            if value is not None and repr(value) not in _as_default(node.op.defaults.get(name))}


def _as_default(default: Any) -> tuple[str, str]:
    return repr(default), repr((default, default))


def saved_by_name(node: Node) -> dict[str, Any]:
    """What the node saved for its rules, by the names that they ask for; {} once it is freed."""
    if not node.saved:
        return {}
    saved = dict(zip(node.plan.names, node.saved, strict=True))
    n = len(node.op.input_names)
    variadic = node.op.input_name(n).removesuffix("[0]")
    for suffix in ("", "_shape"):  # xs -> xs[0], xs[1], ..
        for i, part in enumerate(saved.get(f"{variadic}{suffix}", ())):
            saved[f"{node.op.input_name(n + i)}{suffix}"] = part
    return saved
