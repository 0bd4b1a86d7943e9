"""Formulas in MathML, which browsers set by themselves."""

from __future__ import annotations

import html
from collections.abc import Callable
from typing import Any

import numpy as np

from .terms import Term, number
from .text import params_text

__all__ = ["equation", "explained"]


def explained(term: Term) -> dict[str, str]:
    """What the ops do that a formula writes as calls: their names and the first lines of their docstrings."""
    found = {term.op: term.about} if term.about and term.op not in _NOTATION else {}
    for part in term.parts:
        found |= explained(part)
    return found


def equation(above: str, below: str, term: Term | None) -> str:
    """MathML that says: the fraction of the two (the first alone where the second is ""), which is the term, if given.

    >>> from autograd.show.terms import named
    >>> equation("∂L", "∂x", Term("multiply", (named("g"), named("y"))))
    '<math display="block"><mfrac><mi>∂L</mi><mi>∂x</mi></mfrac><mo>=</mo><mi>g</mi><mo>·</mo><mi>y</mi></math>'
    """
    left = f"<mfrac>{_identifier(above)}{_identifier(below)}</mfrac>" if below else _identifier(above)
    right = f"<mo>=</mo>{_write(term)}" if term else ""
    return f'<math display="block">{left}{right}</math>'


# How strongly a term holds together: a part that holds less than its place asks for gets parentheses.
_SUM, _PRODUCT, _SIGN, _POWER, _ATOM = range(5)
_FUNCTIONS = {"log": "log", "sin": "sin", "cos": "cos", "tan": "tan", "tanh": "tanh", "sigmoid": "σ", "erf": "erf",
              "log1p": "log1p", "expm1": "expm1", "maximum": "max", "minimum": "min", "real": "Re", "imag": "Im"}
_OPERATORS = {"add": ("+", _SUM), "subtract": ("−", _SUM), "matmul": ("@", _PRODUCT)}


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
    """A name, with its number as an index."""
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
                   for value, when, test in ((one, "where\u00a0", condition), (other, "elsewhere", "")))
    return f'<mrow><mo>{{</mo><mtable columnalign="left">{rows}</mtable></mrow>', _SUM


def _output(term: Term) -> tuple[str, int]:
    """One of several outputs, by its name or else its number."""
    kind = "mn" if term.text.isdigit() else "mtext"
    return f"<msub><mrow>{_write(term.parts[0], _ATOM)}</mrow><{kind}>{html.escape(term.text)}</{kind}></msub>", _ATOM


def _shaped(term: Term) -> tuple[str, int]:
    # MathML trims blanks at the ends of a text, but not those that do not break
    words = {"reshape": "reshaped to", "broadcast_to": "repeated to", "sum_to": "summed to"}[term.op]
    return f"<mrow>{_write(term.parts[0], _PRODUCT)}<mtext>\u00a0{words} {term.text}</mtext></mrow>", _SUM


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
