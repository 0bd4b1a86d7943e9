"""gradcheck: the gradient that the rules give, against central differences.

Everything runs in float64 (complex128). The outputs of f are weighted with random cotangents, which makes
one number of them; its gradient is compared element by element and along random directions. For order 2
the same is done to the function (x, v) -> the gradient at x for cotangent v, so that the rules are
checked in their saved values and in g alike; and so on for higher orders.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ..backward import gradients
from ..graph import recording
from ..tensor import Tensor, value_of
from .report import Mismatch, Report

__all__ = ["gradcheck"]

_N_DIRECTIONS = 2
# The error of a central difference is least at a step of about eps**(1/3), where the truncated third
# derivative and the rounding of f are of one size (Press et al., Numerical Recipes, 5.7).
_STEP = float(np.finfo(np.float64).eps ** (1 / 3))


def gradcheck(f: Callable[..., Any], *inputs: Any, order: int = 2, rtol: float = 1e-5, atol: float = 1e-7,
              max_elements: int = 500, seed: int = 0) -> Report:
    """Compares the gradients of f at the inputs with central differences, up to `order`.

    f             takes as many Tensors as there are inputs, gives a Tensor or a tuple of them
    inputs        arrays, Tensors or numbers of any shape; floats are checked as float64, complex ones as
                  complex128, integers and bools are passed on as they are
    rtol, atol    an element passes where |analytic - numeric| <= rtol * |numeric| + atol * scale, with the
                  larger of 1 and the absolute weighted output as the scale, since that is what rounds
    max_elements  of larger inputs this many elements, drawn from `seed`, are checked one by one
    seed          of the cotangents, the directions and the drawn elements

    Inputs should stay clear of kinks (relu at 0, ties in max): there is no gradient to compare with.
    Raises TypeError where f gives no Tensor, ValueError where no input is a floating or complex number.

    >>> import autograd as ag
    >>> report = ag.gradcheck(lambda x: ag.sin(x) * x, [0.5, 1.0, 2.0])
    >>> bool(report)
    True
    """
    if order < 1:
        raise ValueError(f"gradcheck: order must be at least 1, got {order}")
    rng = np.random.default_rng(seed)
    values = [_double(value) for value in inputs]
    if not any(map(_is_inexact, values)):
        raise ValueError("gradcheck: none of the inputs is a floating or complex number, so there is no gradient")
    report = Report(getattr(f, "__name__", type(f).__name__))
    labels = [f"input {i} {value.shape}" for i, value in enumerate(values)]
    for level in range(1, order + 1):
        check = _Check(f, values, labels, level, rng, rtol, atol, max_elements)
        report.worst += check.run()
        f, values, labels = check.pullback()
    return report


class _Check:
    """The comparison for one function: the given one, or the gradient of it."""

    def __init__(self, f: Callable, values: list[np.ndarray], labels: list[str], level: int, rng: np.random.Generator,
                 rtol: float, atol: float, max_elements: int) -> None:
        self.f, self.values, self.labels, self.level = f, values, labels, level
        self.rng, self.rtol, self.atol, self.max_elements = rng, rtol, atol, max_elements
        self.inexact = [i for i, value in enumerate(values) if _is_inexact(value)]
        outs = self._outputs(values)
        self.cotangents = [_random(rng, out.shape, out.dtype) for out in outs]
        self.scale = max(1.0, abs(self._weighted(values)))

    def run(self) -> list[Mismatch]:
        with np.errstate(all="ignore"):  # a wrong gradient may be infinite
            analytic = dict(zip(self.inexact, self._analytic(), strict=True))
            rows = [self._worst_element(i, analytic[i]) for i in self.inexact if self.values[i].size]
            return rows + [self._direction(k, analytic) for k in range(_N_DIRECTIONS)]

    def pullback(self) -> tuple[Callable, list[np.ndarray], list[str]]:
        """The function (inputs, cotangents) -> gradients, where to check it, and what its inputs are called."""
        f, n, inexact = self.f, len(self.values), self.inexact
        labels = [f"cotangent {i} {v.shape}" for i, v in enumerate(self.cotangents)]
        if self.level > 1:
            labels = [f"{label} of order {self.level}" for label in labels]

        def gradient(*args: Tensor) -> tuple:
            return _vjp(f, args[:n], inexact, args[n:], create_graph=True)

        return gradient, [*self.values, *self.cotangents], [*self.labels, *labels]

    # ------------------------------------------------------------------ the two gradients

    def _outputs(self, values: Sequence[np.ndarray]) -> list[np.ndarray]:
        # a function that takes gradients itself needs leaves that require them
        with recording():
            outs = _as_tuple(self.f(*_leaves(values, self.inexact)))
        return [out.data for out in outs]

    def _weighted(self, values: Sequence[np.ndarray]) -> float:
        outs = self._outputs(values)
        return float(sum(np.sum(np.real(v * out)) for v, out in zip(self.cotangents, outs, strict=True)))

    def _analytic(self) -> list[np.ndarray]:
        leaves = _leaves(self.values, self.inexact)
        with recording():
            found = _vjp(self.f, leaves, self.inexact, [Tensor(v) for v in self.cotangents], create_graph=False)
        return [g.data for g in found]

    def _numeric(self, steps: dict[int, np.ndarray]) -> float:
        """The central difference of the weighted output along `steps`, by input."""
        def moved(sign: int) -> list[np.ndarray]:
            return [v + sign * steps[i] if i in steps else v for i, v in enumerate(self.values)]

        with np.errstate(all="ignore"):
            return (self._weighted(moved(1)) - self._weighted(moved(-1))) / 2

    # ------------------------------------------------------------------ comparisons

    def _worst_element(self, i: int, analytic: np.ndarray) -> Mismatch:
        value = self.values[i]
        places = np.arange(value.size)
        if value.size > self.max_elements:
            places = np.sort(self.rng.choice(value.size, self.max_elements, replace=False))
        rows = [self._element(i, np.unravel_index(place, value.shape), analytic) for place in places]
        index, *compared = max(rows, key=_badness)
        return self._mismatch(self.labels[i], index, compared, (len(rows), value.size))

    def _element(self, i: int, index: tuple, analytic: np.ndarray) -> tuple:
        step = _STEP * max(1.0, float(np.abs(self.values[i][index])))

        def slope(unit: complex) -> float:
            steps = np.zeros_like(self.values[i])
            steps[index] = unit * step
            return self._numeric({i: steps}) / step

        numeric: complex = slope(1)
        if self.values[i].dtype.kind == "c":  # g pairs with a change d as Re(g d), so along 1j it shows -Im(g)
            numeric = complex(numeric, -slope(1j))
        index = tuple(int(k) for k in index)
        return (index, *self._compared(analytic[index].item(), numeric))

    def _direction(self, k: int, analytic: dict[int, np.ndarray]) -> Mismatch:
        along = {i: _random(self.rng, self.values[i].shape, self.values[i].dtype) for i in self.inexact}
        length = float(np.sqrt(sum(np.sum(np.abs(d) ** 2) for d in along.values()))) or 1.0
        size = max([1.0, *(float(np.max(np.abs(self.values[i]))) for i in self.inexact if self.values[i].size)])
        step = _STEP * size
        numeric = self._numeric({i: d * (step / length) for i, d in along.items()}) / step
        expected = sum(float(np.sum(np.real(analytic[i] * d))) for i, d in along.items()) / length
        return self._mismatch(f"random direction {k + 1}", None, self._compared(expected, numeric), (1, 1))

    def _mismatch(self, where: str, index: tuple | None, compared: Sequence, checked: tuple[int, int]) -> Mismatch:
        analytic, numeric, error, tolerance = compared
        return Mismatch(self.level, where, index, analytic, numeric, error, tolerance, checked)

    def _compared(self, analytic: complex, numeric: complex) -> tuple:
        error = abs(analytic - numeric)
        return analytic, numeric, error, self.rtol * abs(numeric) + self.atol * self.scale


def _vjp(f: Callable, args: Sequence[Tensor], inexact: list[int], cotangents: Sequence[Tensor],
         create_graph: bool) -> tuple[Tensor, ...]:
    """The gradients of f's weighted outputs by its floating inputs; zeros where nothing leads to them."""
    xs = [args[i] for i in inexact]
    outs = _as_tuple(f(*args))
    if not any(out.requires_grad for out in outs):
        return tuple(Tensor(np.zeros(x.shape, x.dtype)) for x in xs)
    return tuple(gradients(outs, xs, g=cotangents, create_graph=create_graph))


def _as_tuple(outs: Any) -> tuple[Tensor, ...]:
    outs = tuple(outs) if isinstance(outs, (tuple, list)) else (outs,)
    for out in outs:
        if type(out) is not Tensor:
            raise TypeError(f"gradcheck: f must give a Tensor or a tuple of them, it gave {type(out).__name__}")
    return outs


def _leaves(values: Sequence[np.ndarray], requiring: list[int]) -> list[Any]:
    """Fresh Tensors; integers stay arrays, as an op's indices and masks are."""
    return [Tensor(value, requires_grad=i in requiring) if _is_inexact(value) else value
            for i, value in enumerate(values)]


def _double(value: Any) -> np.ndarray:
    array = np.array(value_of(value))
    if array.dtype.kind == "f":
        return array.astype(np.float64)
    return array.astype(np.complex128) if array.dtype.kind == "c" else array


def _is_inexact(value: np.ndarray) -> bool:
    return value.dtype.kind in "fc"


def _random(rng: np.random.Generator, shape: tuple, dtype: np.dtype) -> np.ndarray:
    real = rng.standard_normal(shape)
    return np.asarray(real + 1j * rng.standard_normal(shape) if dtype.kind == "c" else real)


def _badness(row: tuple) -> float:
    """The error in units of its tolerance; a NaN is the worst of all."""
    error, tolerance = row[-2:]
    return error / tolerance if error == error else np.inf
