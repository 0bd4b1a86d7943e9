"""A backward rule as a formula, found by running it.

At higher orders a rule is called with Tensors and records a graph of its own. That graph is the formula: its leaves
are g and the named values, its nodes the ops that the rule calls, helpers and branches worked out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..graph import Node, make_node, recording
from ..tensor import Tensor, wrap
from .keeping import keep
from .reading import first_line, given_params
from .text import numbers_text

__all__ = ["Term", "named", "number", "renamed", "rule_terms", "times", "without_g"]

_RESHAPING = ("reshape", "broadcast_to", "sum_to")
_MOST = 24  # terms of a formula; a longer one is no easier to read than the source


@dataclass(frozen=True)
class Term:
    """A part of a formula: an op of other terms, or ("name", "number", "constant") one that stands for itself.

    text      what such a term says; of a "reshape" and its like the shape that it gives
    params    the op's parameters that are not at their default
    is_array  tells products of arrays, written with a circle, from products of numbers
    """

    op: str
    parts: tuple[Term, ...] = ()
    text: str = ""
    params: tuple[tuple[str, Any], ...] = ()
    is_array: bool = False
    about: str = ""

    @property
    def size(self) -> int:
        return 1 + sum(part.size for part in self.parts)


def named(text: str) -> Term:
    return Term("name", text=text)


def number(text: str) -> Term:
    return Term("number", text=text)


def rule_terms(rule: Callable, g: Any, values: dict[str, Any], unlinked: tuple[str, ...]) -> list[Term | None]:
    """What a rule makes of these values: one term for each gradient that it returns, None for one that is too long.

    values    the rule's arguments after g, by name
    unlinked  those that no gradient flows through: parameters, shapes, aux

    A rule that cannot be called with Tensors has no terms at all.
    """
    reader = _Reader()
    arguments = [reader.linked("g", g)]
    arguments += [(reader.named if key in unlinked else reader.linked)(key, value) for key, value in values.items()]
    try:
        with recording(), np.errstate(all="ignore"), keep():
            given = rule(*arguments)
    except Exception:  # a rule of the user's own may serve arrays alone; its source is shown in any case
        return []
    return [reader.result(part) for part in (given if isinstance(given, (tuple, list)) else [given])]


class _Reader:
    """Makes terms of the graph that a rule records."""

    def __init__(self) -> None:
        self.names: dict[Any, str] = {}  # nodes, and ids of arrays that have no node
        self.held: list[Any] = []  # what has an id in `names` must not go away

    def named(self, text: str, value: Any) -> Any:
        """The value itself; its name is known from then on."""
        if isinstance(value, tuple):
            return tuple(self.named(f"{text}[{i}]", part) for i, part in enumerate(value))
        if isinstance(value, np.ndarray):
            self.names[id(value)] = text
            self.held.append(value)
        return value

    def linked(self, text: str, value: Any) -> Any:
        """The value as the leaf of a graph, where it can be one."""
        if isinstance(value, tuple):
            return tuple(self.linked(f"{text}[{i}]", part) for i, part in enumerate(value))
        if value is None or np.asarray(value).dtype.kind not in "fc":
            return self.named(text, value)
        array = self.named(text, np.asarray(value))
        node = make_node(None, (), {}, (), array.shape, array.dtype, "")
        self.names[node] = text
        return wrap(array, node)

    def result(self, given: Any) -> Term | None:
        if type(given) is not Tensor or given._node is None:
            return None if given is None else self.constant(given.data if type(given) is Tensor else given)
        term = self.term(given._node, [_MOST])
        return term if term and term.size <= _MOST else None

    def term(self, node: Node, room: list[int]) -> Term | None:
        """The term of a node; None once there is no more room for it (a part met twice counts twice)."""
        room[0] -= 1
        if node in self.names:
            return named(self.names[node])
        if room[0] < 0:
            return None
        if node.index is not None:
            inner = self.term(node.parents[0], room)
            names = node.op.output_names
            return inner and Term("output", (inner,), text=names[node.index] if names else str(node.index))
        parts = [self.term(parent, room) if parent else self.unlinked(node, index)
                 for index, parent in enumerate(node.parents)]
        if any(parent and not part for parent, part in zip(node.parents, parts, strict=True)):
            return None
        known = tuple(part for part in parts if part)
        return self.simplified(node, known) or Term(node.op.name, known, self.shape_text(node), tuple(
            given_params(node).items()), is_array=node.shape not in ((), ((),)), about=first_line(node.op))

    def shape_text(self, node: Node) -> str:
        return "×".join(map(str, node.shape)) or "a number" if node.op.name in _RESHAPING else ""

    def simplified(self, node: Node, parts: tuple[Term, ...]) -> Term | None:
        """One of the parts where the op gives just that: a cast, a shape that is there already, a plain condition."""
        op = node.op.name
        if op == "where" and parts[0].text in ("True", "False"):
            return parts[1 if parts[0].text == "True" else 2]
        if (op in _RESHAPING and node.parents[0].shape == node.shape) or (op == "conj" and node.dtype.kind != "c"):
            return parts[0]
        return parts[0] if op == "astype" else None

    def unlinked(self, node: Node, index: int) -> Term | None:
        """An input that needs no gradient; None for one that was left out."""
        constants = node.kept.given or {}
        return self.constant(constants[index]) if index in constants else None

    def constant(self, value: Any) -> Term:
        array = np.asarray(value)
        if id(value) in self.names:
            return named(self.names[id(value)])
        if array.size == 1:
            return number(_number_text(array.item()))
        if array.size and (array == array.flat[0]).all():
            return number(_number_text(array.flat[0].item()))
        return Term("constant", text=" ".join(["constant", str(array.shape)]))


def _number_text(value: Any) -> str:
    if isinstance(value, complex) and value.real == 0:
        return f"{numbers_text(value.imag)}j".replace("-", "−")
    return numbers_text(value).replace("-", "−")


def without_g(term: Term) -> Term | None:
    """The local derivative of an elementwise op, of a rule that multiplies it with g; None for another form.

    >>> y = named("y")
    >>> without_g(Term("multiply", (named("g"), y))) == y, without_g(named("g")).text
    (True, '1')
    """
    if term == named("g"):
        return number("1")
    if term.op == "negative":
        inner = without_g(term.parts[0])
        return inner and (number("−1") if inner == number("1") else Term("negative", (inner,)))
    if term.op == "relu_grad" and term.parts[0] == named("g"):
        return Term("relu_grad", (number("1"), term.parts[1]))
    if term.op == "where" and {named("g"), number("0")} == set(term.parts[1:]):
        return Term("where", tuple(number("1") if part == named("g") else part for part in term.parts))
    if term.op not in ("multiply", "gated_multiply"):
        return None
    for one, other in (term.parts, term.parts[::-1]):
        inner = without_g(one)
        if inner == number("1"):
            return other
        if inner == number("−1"):
            return Term("negative", (other,))
        if inner:
            return Term("multiply", (inner, other), is_array=term.is_array)
    return None


def times(one: Term, other: Term) -> Term:
    """The product of two numbers; the other one alone where one is 1."""
    return one if other == number("1") else Term("multiply", (one, other))


def renamed(term: Term, names: dict[str, str]) -> Term:
    """The term with other names in it."""
    if term.op == "name":
        return named(names.get(term.text, term.text))
    return replace(term, parts=tuple(renamed(part, names) for part in term.parts))
