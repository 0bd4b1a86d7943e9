"""What Scalars compute, as formulas: of local derivatives they keep the numbers alone."""

from __future__ import annotations

from collections.abc import Callable

from ..scalar import Scalar
from .terms import Term, named, number

__all__ = ["scalar_method", "scalar_terms"]

_A, _B, _OUT, _ONE = named("a"), named("b"), named("out"), number("1")


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

_SCALAR_METHODS: dict[str, Callable] = {
    "+": Scalar.__add__, "-": Scalar.__sub__, "*": Scalar.__mul__, "/": Scalar.__truediv__, "neg": Scalar.__neg__,
}


def scalar_method(op: str) -> Callable:
    """The method of Scalar that an op of that label comes from."""
    if op.startswith("**"):
        return Scalar.__pow__
    return _SCALAR_METHODS[op] if op in _SCALAR_METHODS else getattr(Scalar, op)


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
