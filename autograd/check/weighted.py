"""One number made of all that a function gives, so that it has one gradient: F(x) = sum of Re(v * f(x)).

The cotangents v are random, so no output can hide behind another. F is always worked out in double precision,
whatever dtype the inputs come in; its gradient by the rules is had in both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from math import prod
from typing import Any

import numpy as np

from ..backward import gradients
from ..graph import Node, Observer, observe, recording
from ..tensor import Tensor, value_of
from .slopes import EPS

__all__ = ["Direction", "Jacobian", "Weighted", "is_inexact", "leaves", "outputs_of", "pullback", "random_like"]

Direction = dict[int, np.ndarray]  # by the number of the input: how far each of its elements moves


class Weighted:
    """F for one function at one place.

    f           takes as many arguments as there are values, gives a Tensor or a tuple of them
    values      arrays in the dtypes they were given in
    wide        the same as float64 and complex128; integers and bools as they are
    inexact     the numbers of the inputs that can have a gradient
    cotangents  one for each output, in double precision
    size        |F|, at least 1: what rounds
    eps         of the coarsest dtype on the way from the wide inputs to the outputs
    """

    def __init__(self, f: Callable[..., Any], values: Sequence[np.ndarray], rng: np.random.Generator) -> None:
        self.f, self.values = f, list(values)
        self.wide = [_double(value) if is_inexact(value) else value for value in self.values]
        self.inexact = [i for i, value in enumerate(self.values) if is_inexact(value)]
        watch = _Coarsest()
        with observe(watch):
            outs = self.outputs(self.wide)
        self.eps = watch.eps
        self.out_shapes = [out.shape for out in outs]
        self._rng = rng
        self._out_kinds = [out.dtype.kind for out in outs]
        self._coarsest = min((self.values[i].dtype for i in self.inexact), key=lambda dtype: np.finfo(dtype).bits)
        self.cotangents = self.draw_cotangents()
        self.size = max(1.0, abs(self(self.wide)))

    def draw_cotangents(self) -> list[np.ndarray]:
        """New ones, rounded to the coarsest dtype of the inputs: their gradients in all dtypes are to be compared.

        Normal numbers moved away from 0 by 0.5, so that no output weighs next to nothing.
        """
        drawn = [random_like(self._rng, np.empty(shape, complex if kind == "c" else float))
                 for shape, kind in zip(self.out_shapes, self._out_kinds, strict=True)]
        return [_double(self._coarse(np.asarray(v * (1 + 0.5 / np.abs(v))))) for v in drawn]

    def coarse_cotangents(self) -> list[np.ndarray]:
        """The cotangents in the coarsest dtype of the inputs, which holds them exactly."""
        return [self._coarse(v) for v in self.cotangents]

    def outputs(self, values: Sequence[np.ndarray]) -> list[np.ndarray]:
        """What f gives at other values, as arrays."""
        with recording(), np.errstate(all="ignore"):  # f may take gradients itself, by leaves that require them
            return [out.data for out in outputs_of(self.f(*leaves(values, self.inexact)))]

    def __call__(self, values: Sequence[np.ndarray]) -> float:
        return float(np.real(self._sum(values)))

    def along(self, direction: Direction) -> Callable[[float], float]:
        """phi(t) = F(x + t d), where d moves the inputs that it names and holds all others."""
        return lambda t: self([v + t * direction[i] if i in direction else v for i, v in enumerate(self.wide)])

    def parts_along(self, direction: Direction) -> Callable[[float], np.ndarray]:
        """The same before the sum: v * f(x + t d) of every element of every output, in one array."""
        def parts(t: float) -> np.ndarray:
            outs = self.outputs([v + t * direction[i] if i in direction else v for i, v in enumerate(self.wide)])
            with np.errstate(all="ignore"):
                return np.concatenate([np.real(v * out).ravel() for v, out in zip(self.cotangents, outs, strict=True)])

        return parts

    def along_complex(self, direction: Direction) -> Callable[[complex], complex]:
        """The same for complex t, without the real part."""
        def phi(t: complex) -> complex:
            return self._sum([v + t * direction.get(i, 0.0) if i in self.inexact else v
                              for i, v in enumerate(self.wide)])

        return phi

    def beside(self, rng: np.random.Generator, by: float = 1e-3) -> Weighted:
        """The same function with the same cotangents at a place nearby, where kinks that are met here are not."""
        near = copy(self)
        near.values = [np.asarray(w + by * random_like(rng, w)).astype(v.dtype) if i in self.inexact else v
                       for i, (v, w) in enumerate(zip(self.values, self.wide, strict=True))]
        near.wide = [_double(v) if i in self.inexact else v for i, v in enumerate(near.values)]
        return near

    def unit(self, i: int, index: tuple) -> Direction:
        """The direction that moves one element alone."""
        direction = np.zeros(self.wide[i].shape)
        direction[index] = 1.0
        return {i: direction}

    def jacobian(self, i: int, step: float) -> Jacobian:
        """How each element of input i moves each output, by central differences; for any cotangents."""
        value = self.wide[i]
        size = sum(prod(shape) for shape in self.out_shapes)
        units: tuple[complex, ...] = (1, 1j) if value.dtype.kind == "c" else (1,)
        along = {unit: np.zeros((value.size, size), complex) for unit in units}
        for unit, rows in along.items():
            for place, index in enumerate(np.ndindex(value.shape)):
                rows[place] = self._difference(i, index, unit * step * max(1.0, float(abs(value[index]))))
        return Jacobian(along)

    def gradients(self, wide: bool = True, cotangents: Sequence[np.ndarray] | None = None) -> list[np.ndarray]:
        """The gradient of F by the rules, for each inexact input: in double precision, or in the dtypes given."""
        xs = leaves(self.wide if wide else self.values, self.inexact)
        gs = self.cotangents if cotangents is None else cotangents
        with recording():
            return [g.data for g in pullback(self.f, xs, self.inexact, gs)]

    def written_into(self) -> list[tuple[str, int, np.ndarray, np.ndarray]]:
        """What a forward and a backward pass have changed: (what, its number, before, after).

        Inputs and cotangents are looked at in the end, what an op has saved after each of its rules.
        """
        xs = leaves(self.wide, self.inexact)
        cotangents = [Tensor(v) for v in self.cotangents]
        watch = _Writing()
        with recording(), np.errstate(all="ignore"), observe(watch):
            pullback(self.f, xs, self.inexact, cotangents)
        seen = [("input", i, before, np.asarray(value_of(x)))
                for i, (before, x) in enumerate(zip(self.wide, xs, strict=True))]
        seen += [("cotangent", k, before, g.data)
                 for k, (before, g) in enumerate(zip(self.cotangents, cotangents, strict=True))]
        return [found for found in (*seen, *watch.found) if not np.array_equal(*found[2:], equal_nan=True)]

    def _coarse(self, v: np.ndarray) -> np.ndarray:
        real = np.finfo(self._coarsest).dtype
        return v.astype(np.result_type(real, np.complex64) if v.dtype.kind == "c" else real)

    def _sum(self, values: Sequence[np.ndarray]) -> Any:
        outs = self.outputs(values)
        with np.errstate(all="ignore"):
            return sum(np.sum(v * out) for v, out in zip(self.cotangents, outs, strict=True))

    def _difference(self, i: int, index: tuple, by: complex) -> np.ndarray:
        """The central difference of all outputs, one after the other in one array (elements of all outputs,)."""
        def moved(by: complex) -> np.ndarray:
            value = self.wide[i].copy()
            value[index] += by
            outs = self.outputs([value if k == i else other for k, other in enumerate(self.wide)])
            return np.concatenate([_double(out).ravel() for out in outs])

        with np.errstate(all="ignore"):
            return (moved(by) - moved(-by)) / (2 * abs(by))


class _Writing(Observer):
    """Finds rules that write into the cotangent that they get or into what was saved for them."""

    def __init__(self) -> None:
        self.found: list[tuple[str, int, np.ndarray, np.ndarray]] = []

    def around_rule(self, node: Node, index: int | None, g: Any, run: Callable[[], Any]) -> Any:
        given = [value for value in (g, *(node.saved or ())) if type(value) is np.ndarray and is_inexact(value)]
        before = [value.copy() for value in given]
        result = run()
        self.found += [(f"what the rule of {node.op.name} was given", 0, old, new)
                       for old, new in zip(before, given, strict=True) if not np.array_equal(old, new, equal_nan=True)]
        return result


class Jacobian:
    """Derivatives (elements of one input, elements of all outputs), along 1 and for a complex input along 1j, too."""

    def __init__(self, along: dict[complex, np.ndarray]) -> None:
        self.along = along

    def contributions(self, cotangents: Sequence[np.ndarray]) -> np.ndarray:
        """What each output adds to the gradient for these cotangents: summed over the last axis it is the gradient.

        The gradient of a complex element pairs with a change d as Re(g d), so along 1j it shows as -Im(g).
        """
        weights = np.concatenate([v.ravel() for v in cotangents])
        real = np.real(weights * self.along[1])
        return real - 1j * np.real(weights * self.along[1j]) if 1j in self.along else real


class _Coarsest(Observer):
    """Finds the eps of the coarsest dtype among the results that a gradient flows through."""

    def __init__(self) -> None:
        self.eps = EPS

    def around_op(self, op: Any, args: tuple, params: dict, run: Callable[[], Any]) -> Any:
        result = run()
        for part in result if type(result) is tuple else (result,):
            if type(part) is Tensor and part._node is not None:
                self.eps = max(self.eps, float(np.finfo(part.dtype).eps))
        return result


def pullback(f: Callable[..., Any], args: Sequence[Any], inexact: Sequence[int], cotangents: Sequence[Any],
             create_graph: bool = False) -> tuple[Tensor, ...]:
    """The gradients of f's outputs, weighted, by its inexact arguments; zeros where nothing leads to them."""
    xs = [args[i] for i in inexact]
    outs = outputs_of(f(*args))
    if not any(out.requires_grad for out in outs):
        return tuple(Tensor(np.zeros(x.shape, x.dtype)) for x in xs)
    gs = [g if type(g) is Tensor else Tensor(g.astype(out.dtype)) for g, out in zip(cotangents, outs, strict=True)]
    return tuple(gradients(outs, xs, g=gs, create_graph=create_graph))


def outputs_of(outs: Any) -> tuple[Tensor, ...]:
    """What a function gave, as a tuple of Tensors; TypeError where it is something else."""
    outs = tuple(outs) if isinstance(outs, (tuple, list)) else (outs,)
    if not outs:
        raise TypeError("gradcheck: f gave no output")
    for out in outs:
        if type(out) is not Tensor:
            raise TypeError(f"gradcheck: f must give a Tensor or a tuple of them, it gave {type(out).__name__}")
    return outs


def leaves(values: Sequence[np.ndarray], requiring: Sequence[int]) -> list[Any]:
    """Fresh Tensors of the inexact values; integers stay arrays, as an op's indices and masks are."""
    return [Tensor(value, requires_grad=i in requiring) if is_inexact(value) else value
            for i, value in enumerate(values)]


def is_inexact(value: np.ndarray) -> bool:
    """Whether there can be a gradient by it."""
    return value.dtype.kind in "fc"


def random_like(rng: np.random.Generator, array: np.ndarray) -> np.ndarray:
    """Normal numbers of an array's shape, complex ones for a complex array."""
    real = rng.standard_normal(array.shape)
    return np.asarray(real + 1j * rng.standard_normal(array.shape) if array.dtype.kind == "c" else real)


def _double(array: np.ndarray) -> np.ndarray:
    return array.astype(np.complex128 if array.dtype.kind == "c" else np.float64)
