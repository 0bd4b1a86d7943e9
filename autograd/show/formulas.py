"""A backward rule as a formula, found by running it.

At higher orders a rule is called with Tensors and records a graph of its own. That graph is the formula: its leaves
are g and the named values, its nodes the ops that the rule calls, helpers and branches worked out. Scalars keep numbers
and no rules; the formulas of their local derivatives stand in a table at the end of this file.

Formulas are written in MathML, which browsers set by themselves.
"""

from __future__ import annotations

import html
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..graph import Node, recording
from ..scalar import Scalar
from ..tensor import Tensor, wrap
from .keeping import keep
from .reading import first_line, given_params
from .text import numbers_text, params_text

__all__ = ["Formula", "Term", "explained", "renamed", "rule_terms", "scalar_method", "scalar_terms", "without_g"]

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


def name(text: str) -> Term:
    return Term("name", text=text)


def number(text: str) -> Term:
    return Term("number", text=text)


# -------------------------------------------------------------------- from a rule to terms


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
        node = Node(None, (), {}, (), array.shape, array.dtype, "")
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
            return name(self.names[node])
        if room[0] < 0:
            return None
        if node.index is not None:
            inner = self.term(node.parents[0], room)
            return inner and Term("output", (inner,), text=str(node.index))
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
        constants = node.kept.constants or {}
        return self.constant(constants[index]) if index in constants else None

    def constant(self, value: Any) -> Term:
        array = np.asarray(value)
        if id(value) in self.names:
            return name(self.names[id(value)])
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

    >>> y = name("y")
    >>> without_g(Term("multiply", (name("g"), y))) == y, without_g(name("g")).text
    (True, '1')
    """
    if term == name("g"):
        return number("1")
    if term.op == "negative":
        inner = without_g(term.parts[0])
        return inner and (number("−1") if inner == number("1") else Term("negative", (inner,)))
    if term.op == "relu_grad" and term.parts[0] == name("g"):
        return Term("relu_grad", (number("1"), term.parts[1]))
    if term.op == "where" and {name("g"), number("0")} == set(term.parts[1:]):
        return Term("where", tuple(number("1") if part == name("g") else part for part in term.parts))
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


# -------------------------------------------------------------------- from terms to MathML


def renamed(term: Term, names: dict[str, str]) -> Term:
    """The term with other names in it."""
    if term.op == "name":
        return name(names.get(term.text, term.text))
    return replace(term, parts=tuple(renamed(part, names) for part in term.parts))


def explained(term: Term) -> dict[str, str]:
    """What the ops do that a formula writes as calls: their names and the first lines of their docstrings."""
    found = {term.op: term.about} if term.about and term.op not in _NOTATION else {}
    for part in term.parts:
        found |= explained(part)
    return found


class Formula:
    """MathML of an equation.

    >>> Formula("∂L", "∂x", Term("multiply", (name("g"), name("y")))).mathml
    '<math display="block"><mfrac><mi>∂L</mi><mi>∂x</mi></mfrac><mo>=</mo><mi>g</mi><mo>·</mo><mi>y</mi></math>'
    """

    def __init__(self, above: str, below: str, term: Term) -> None:
        left = f"<mfrac>{_identifier(above)}{_identifier(below)}</mfrac>" if below else _identifier(above)
        self.mathml = f'<math display="block">{left}<mo>=</mo>{_write(term)}</math>'


# How strongly a term holds together: a part that holds less than its place asks for gets parentheses.
_SUM, _PRODUCT, _SIGN, _POWER, _ATOM = range(5)
_FUNCTIONS = {"log": "log", "sin": "sin", "cos": "cos", "tan": "tan", "tanh": "tanh", "sigmoid": "σ", "erf": "erf",
              "log1p": "log1p", "expm1": "expm1", "maximum": "max", "minimum": "min", "real": "Re", "imag": "Im"}
_OPERATORS = {"add": ("+", _SUM), "subtract": ("−", _SUM), "matmul": ("@", _PRODUCT)}
_RESHAPING = ("reshape", "broadcast_to", "sum_to")


def _write(term: Term, least: int = _SUM) -> str:
    text, strength = _written(term)
    return text if strength >= least else f"<mrow><mo>(</mo>{text}<mo>)</mo></mrow>"


def _written(term: Term) -> tuple[str, int]:
    """MathML of a term, and how strongly it holds together."""
    op, parts = term.op, term.parts
    if op == "name":
        return _identifier(term.text), _ATOM
    if op == "number":
        return f"<mn>{html.escape(term.text)}</mn>", _SIGN if term.text[:1] in "-−" else _ATOM
    if op == "constant":
        return f"<mtext>{html.escape(term.text)}</mtext>", _ATOM
    writer = _WRITERS.get(op)
    if writer:
        return writer(term)
    if op in _OPERATORS and len(parts) == 2:
        sign, strength = _OPERATORS[op]
        return f"{_write(parts[0], strength)}<mo>{sign}</mo>{_write(parts[1], strength + 1)}", strength
    return _call(_FUNCTIONS.get(op, op), term), _ATOM


def _call(function: str, term: Term) -> str:
    params = params_text(dict(term.params))
    given = [*map(_write, term.parts), *(f"<mtext>{html.escape(text)}</mtext>" for text in params)]
    inside = "<mo>,</mo>".join(given)
    return f'<mrow><mi mathvariant="normal">{html.escape(function)}</mi><mo>(</mo>{inside}<mo>)</mo></mrow>'


def _identifier(text: str) -> str:
    """A name; greek letters and one letter alone are slanted, as mathematics has it."""
    base, sign, index = text.replace(" #", "[").partition("[")  # xs[0], sum #2
    if sign:
        return f"<msub><mi>{html.escape(base)}</mi><mn>{html.escape(index.rstrip(']').replace('][', ','))}</mn></msub>"
    return f"<mi>{html.escape(text)}</mi>"


def _product(term: Term) -> tuple[str, int]:
    one, other = term.parts
    if other.op == "number" and one.op != "number":
        one, other = other, one
    sign = "⊙" if term.is_array and one.op != "number" else "·"
    return f"{_write(one, _PRODUCT)}<mo>{sign}</mo>{_write(other, _PRODUCT)}", _PRODUCT


def _fraction(term: Term) -> tuple[str, int]:
    return f"<mfrac><mrow>{_write(term.parts[0])}</mrow><mrow>{_write(term.parts[1])}</mrow></mfrac>", _PRODUCT


def _negative(term: Term) -> tuple[str, int]:
    return f"<mo>−</mo>{_write(term.parts[0], _SIGN)}", _SIGN


def _power(term: Term) -> tuple[str, int]:
    base, exponent = term.parts
    return _raised(_write(base, _ATOM), _write(exponent))


def _raised(base: str, exponent: str) -> tuple[str, int]:
    return f"<msup><mrow>{base}</mrow><mrow>{exponent}</mrow></msup>", _POWER


def _square(term: Term) -> tuple[str, int]:
    return _raised(_write(term.parts[0], _ATOM), "<mn>2</mn>")


def _exp(term: Term) -> tuple[str, int]:
    return _raised("<mi>e</mi>", _write(term.parts[0]))


def _sqrt(term: Term) -> tuple[str, int]:
    return f"<msqrt>{_write(term.parts[0])}</msqrt>", _ATOM


def _abs(term: Term) -> tuple[str, int]:
    return f"<mrow><mo>|</mo>{_write(term.parts[0])}<mo>|</mo></mrow>", _ATOM


def _conj(term: Term) -> tuple[str, int]:
    return f"<mover><mrow>{_write(term.parts[0])}</mrow><mo>‾</mo></mover>", _ATOM


def _transpose(term: Term) -> tuple[str, int]:
    axes = dict(term.params).get("axes")
    if axes is not None and len(axes) > 1 and tuple(axes) != (*range(len(axes) - 2), len(axes) - 1, len(axes) - 2):
        return _call("transpose", term), _ATOM
    return _raised(_write(term.parts[0], _ATOM), '<mi mathvariant="normal">T</mi>')


def _sum(term: Term) -> tuple[str, int]:
    axis = dict(term.params).get("axis")
    under = "<mtext>all</mtext>" if axis is None else f"<mtext>{html.escape(_axes(axis))}</mtext>"
    return f'<munder><mo>∑</mo>{under}</munder>{_write(term.parts[0], _PRODUCT)}', _PRODUCT


def _axes(axis: Any) -> str:
    return f"axis {axis}" if np.ndim(axis) == 0 else f"axes {', '.join(map(str, axis))}"


def _relu_grad(term: Term) -> tuple[str, int]:
    g, out = term.parts
    test = f"<mrow><mo>[</mo>{_write(out)}<mo>&gt;</mo><mn>0</mn><mo>]</mo></mrow>"  # Iverson's bracket: 1 or 0
    if g == number("1"):
        return test, _ATOM
    return f"{_write(g, _PRODUCT)}<mo>{'⊙' if term.is_array else '·'}</mo>{test}", _PRODUCT


def _where(term: Term) -> tuple[str, int]:
    condition, one, other = map(_write, term.parts)
    rows = "".join(f"<mtr><mtd>{value}</mtd><mtd><mtext>{when}</mtext>{test}</mtd></mtr>"
                   for value, when, test in ((one, "where ", condition), (other, "elsewhere", "")))
    return f'<mrow><mo>{{</mo><mtable columnalign="left">{rows}</mtable></mrow>', _SUM


def _output(term: Term) -> tuple[str, int]:
    return f"<msub><mrow>{_write(term.parts[0], _ATOM)}</mrow><mn>{html.escape(term.text)}</mn></msub>", _ATOM


def _shaped(term: Term) -> tuple[str, int]:
    words = {"reshape": "reshaped to", "broadcast_to": "repeated to", "sum_to": "summed to"}[term.op]
    return f"<mrow>{_write(term.parts[0], _PRODUCT)}<mtext> {words} {term.text}</mtext></mrow>", _SUM


def _getitem(term: Term) -> tuple[str, int]:
    x, *indices = term.parts
    [(_, key)] = [(key, value) for key, value in term.params if key == "key"]
    [text] = params_text({"key": key})
    parts = html.escape(text.removeprefix("key=[").removesuffix("]")).split("ARRAY")
    inside = "".join(f"<mtext>{text}</mtext>{index}" for text, index in zip(
        parts, [*map(_write, indices), ""], strict=False))
    return f"{_write(x, _ATOM)}<mrow><mo>[</mo>{inside}<mo>]</mo></mrow>", _ATOM


_WRITERS: dict[str, Callable[[Term], tuple[str, int]]] = {
    "multiply": _product, "gated_multiply": _product, "divide": _fraction, "negative": _negative, "power": _power,
    "square": _square, "exp": _exp, "sqrt": _sqrt, "abs": _abs, "conj": _conj, "transpose": _transpose, "sum": _sum,
    "relu_grad": _relu_grad, "where": _where, "output": _output, "reshape": _shaped, "broadcast_to": _shaped,
    "sum_to": _shaped, "getitem": _getitem,
}


_NOTATION = {*_WRITERS, *_OPERATORS, *_FUNCTIONS}


# -------------------------------------------------------------------- Scalars

_A, _B, _OUT, _ONE = name("a"), name("b"), name("out"), number("1")


def _of(op: str, *parts: Term) -> Term:
    return Term(op, parts)


# By the label of a Scalar's op: the op itself with operands a and b, then its derivative by each operand.
_SCALAR_TERMS = {
    "+": (_of("add", _A, _B), _ONE, _ONE),
    "-": (_of("subtract", _A, _B), _ONE, number("−1")),
    "*": (_of("multiply", _A, _B), _B, _A),
    "/": (_of("divide", _A, _B), _of("divide", _ONE, _B), _of("negative", _of("divide", _OUT, _B))),
    "**": (_of("power", _A, _B), _of("multiply", _B, _of("power", _A, _of("subtract", _B, _ONE))),
           _of("multiply", _OUT, _of("log", _A))),
    "neg": (_of("negative", _A), number("−1")),
    "exp": (_of("exp", _A), _OUT),
    "log": (_of("log", _A), _of("divide", _ONE, _A)),
    "tanh": (_of("tanh", _A), _of("subtract", _ONE, _of("square", _OUT))),
    "sigmoid": (_of("sigmoid", _A), _of("multiply", _OUT, _of("subtract", _ONE, _OUT))),
    "relu": (_of("maximum", _A, number("0")), Term("relu_grad", (_ONE, _A))),
}


_SCALAR_METHODS = {"+": Scalar.__add__, "-": Scalar.__sub__, "*": Scalar.__mul__, "/": Scalar.__truediv__,
                   "neg": Scalar.__neg__}


def scalar_method(op: str) -> Callable:
    """The method of Scalar that an op of that label comes from."""
    if op.startswith("**"):
        return Scalar.__pow__
    return _SCALAR_METHODS.get(op) or getattr(Scalar, op)


def scalar_terms(op: str) -> tuple[Term, ...]:
    """What an op of Scalars computes of its operands a and b, then its derivative by each of them.

    >>> [term.op for term in scalar_terms("**2")]
    ['power', 'multiply']
    """
    if op in _SCALAR_TERMS:
        return _SCALAR_TERMS[op]
    exponent = number(op.removeprefix("**"))
    less = number(f"{float(exponent.text) - 1:g}")
    return _of("power", _A, exponent), _of("multiply", exponent, _of("power", _A, less))
