"""The case table: every op of the registry, how to call it, on what, and what it should compute.

To add an op, add a line to its family: the op's name in the registry, a function that calls it with the inputs,
an independent reference (loops over single numbers, from `naive.py` or Python's own functions), the inputs, and
the dtypes. The tests over the table do the rest: values at all dtypes, gradients at both orders, memory layouts,
aliasing, and whether a rule that is wrong by 0.1 % is caught.

Inputs stay clear of kinks and ties: there is no gradient to compare with. Those have tests of their own.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import special

import autograd as ag
from autograd.ops import elementwise, index, norm, pool, registry, shape, softmax

from . import naive
from .naive import each, reduced

__all__ = ["CASES", "Case", "Input", "over"]

# Dtypes by NumPy's letters: e f d are float16 to float64, F D complex64 and complex128, i int32, B uint8, ? bool.
REAL = "efd"
INEXACT = REAL + "FD"
REAL_OR_INTEGER = REAL + "iB"
NUMBERS = INEXACT + "iB"
ANY = NUMBERS + "?"


@dataclass(frozen=True)
class Input:
    """An input to draw: `draw(rng, shape)` gives floats, which are cast to a dtype, or integers or a mask."""

    draw: Callable[[np.random.Generator, tuple], np.ndarray]
    shape: tuple[int, ...]

    def array(self, rng: np.random.Generator, dtype: str, shape: tuple | None = None) -> np.ndarray:
        shape = self.shape if shape is None else shape
        array = np.asarray(self.draw(rng, shape))
        if array.dtype.kind != "f":
            return array
        if dtype in "FD":
            array = array + 1j * np.asarray(self.draw(rng, shape))
        if dtype in "iB":
            array = np.rint(3 * (np.abs(array) if dtype == "B" else array))
        return (array > 0 if dtype == "?" else array).astype(dtype)


@dataclass(frozen=True)
class Case:
    """One line of the table.

    op         name in the registry
    call       function of the inputs that calls the op
    reference  the same function, computed independently from arrays
    inputs     what is drawn for it
    dtypes     letters of the dtypes at which the forward is checked; the gradient at the inexact ones
    id         tells apart the cases of one op
    result     dtype of the inputs -> dtype of the result (of each, where there are several)
    no_gradient  numbers of the inputs whose gradient is zero everywhere
    """

    op: str
    call: Callable[..., Any]
    reference: Callable[..., Any]
    inputs: tuple[Input, ...]
    dtypes: str
    id: str
    result: Callable[[np.dtype], np.dtype]
    no_gradient: tuple[int, ...]

    def arrays(self, dtype: str, shapes: tuple | None = None, seed: int = 0) -> list[np.ndarray]:
        """The inputs at a dtype, always the same for the same seed."""
        rng = np.random.default_rng(seed)
        given = [None] * len(self.inputs) if shapes is None else shapes
        return [i.array(rng, dtype, s) for i, s in zip(self.inputs, given, strict=True)]

    @property
    def inexact(self) -> list[int]:
        """The numbers of the inputs that can have a gradient."""
        return [i for i, array in enumerate(self.arrays("d")) if array.dtype.kind == "f"]

    @property
    def elementwise(self) -> bool:
        """Whether inputs of any shapes will do that broadcast."""
        return registry()[self.op] in vars(elementwise).values()


def case(op: str, call: Callable, reference: Callable, *inputs: Input, dtypes: str = INEXACT, id: str = "",
         result: Callable[[np.dtype], np.dtype] = lambda dtype: dtype, no_gradient: tuple[int, ...] = ()) -> Case:
    return Case(op, call, reference, inputs, dtypes, f"{op}-{id}" if id else op, result, no_gradient)


def over(cases: list[Case]) -> dict[str, Any]:
    """Arguments for `pytest.mark.parametrize`: a test with an argument `case` runs once for each."""
    return {"argnames": "case", "argvalues": cases, "ids": [c.id for c in cases]}


# ---------------------------------------------------------------------- inputs


def normal(*shape: int) -> Input:
    return Input(lambda rng, shape: rng.standard_normal(shape), shape)


def positive(*shape: int) -> Input:
    return Input(lambda rng, shape: rng.uniform(0.5, 2, shape), shape)


def away_from_zero(*shape: int) -> Input:
    return Input(lambda rng, shape: rng.choice([-1, 1], shape) * rng.uniform(0.5, 2, shape), shape)


def distinct(*shape: int, offset: float = 0.0) -> Input:
    """Numbers in random order, 0.25 apart, none nearer to 0 than 0.125; with an offset of 0.125 none in common."""
    def draw(rng: np.random.Generator, shape: tuple) -> np.ndarray:
        n = math.prod(shape)
        return ((rng.permutation(n) - n // 2 + 0.5) * 0.25 + offset).reshape(shape)

    return Input(draw, shape)


def between_steps(*shape: int) -> Input:
    """Numbers that are not near a multiple of one half, and not small."""
    return Input(lambda rng, shape: rng.choice([-1, 1], shape) * (rng.integers(0, 3, shape) + 0.7), shape)


def constant(value: float, *shape: int) -> Input:
    return Input(lambda rng, shape: np.full(shape, value), shape)


def mask(*shape: int) -> Input:
    return Input(lambda rng, shape: np.asarray(rng.random(shape) < 0.5), shape)


def integers(low: int, high: int, *shape: int) -> Input:
    return Input(lambda rng, shape: rng.integers(low, high, shape), shape)


# ---------------------------------------------------------------------- dtypes of results


def real_part(dtype: np.dtype) -> np.dtype:
    return np.zeros(0, dtype).real.dtype


def always(dtype: str) -> Callable[[np.dtype], np.dtype]:
    return lambda given: np.dtype(dtype)


# ---------------------------------------------------------------------- the table

ROWS = np.array([0, 2, 2])  # an index that names a place twice
HALF = np.array([[True, False, True], [False, True, True]])

ELEMENTWISE = [
    case("add", ag.add, each(operator.add), normal(2, 3), normal(3), dtypes=NUMBERS),
    case("subtract", ag.subtract, each(operator.sub), normal(2, 1), normal(3), dtypes=INEXACT + "i"),
    case("multiply", ag.multiply, each(operator.mul), normal(2, 3), normal(3), dtypes=NUMBERS),
    case("gated_multiply", ag.gated_multiply, each(operator.mul), normal(2, 3), normal(3), dtypes=NUMBERS),
    case("divide", ag.divide, each(operator.truediv), normal(2, 3), away_from_zero(3)),
    case("power", ag.power, each(operator.pow), positive(2, 3), normal(3)),
    case("power", lambda x: ag.power(x, 3), each(lambda x: x * x * x), away_from_zero(2, 3), dtypes=NUMBERS, id="cube"),
    case("power", lambda x: ag.power(x, -2.0), each(lambda x: 1 / (x * x)), away_from_zero(4), id="negative"),
    case("negative", ag.negative, each(operator.neg), normal(2, 3), dtypes=INEXACT + "i"),
    case("mod", ag.mod, each(operator.mod), between_steps(2, 4), constant(1.0, 4), dtypes=REAL_OR_INTEGER),
    case("floor_divide", ag.floor_divide, each(operator.floordiv), between_steps(2, 4), constant(1.0, 4),
         dtypes=REAL_OR_INTEGER, no_gradient=(0, 1)),
    case("abs", ag.abs, each(abs), away_from_zero(2, 3), dtypes=NUMBERS, result=real_part),
    case("sqrt", ag.sqrt, each("sqrt"), positive(2, 3)),
    case("square", ag.square, each(lambda x: x * x), normal(2, 3), dtypes=NUMBERS),
    case("exp", ag.exp, each("exp"), normal(2, 3)),
    case("expm1", ag.expm1, each(lambda x: np.exp(x) - 1), normal(2, 3)),
    case("log", ag.log, each("log"), positive(2, 3)),
    case("log1p", ag.log1p, each(lambda x: np.log(1 + x)), positive(2, 3)),
    case("sin", ag.sin, each("sin"), normal(2, 3)),
    case("cos", ag.cos, each("cos"), normal(2, 3)),
    case("tan", ag.tan, each("tan"), Input(lambda rng, shape: rng.uniform(-1, 1, shape), (2, 3))),
    case("tanh", ag.tanh, each("tanh"), normal(2, 3)),
    case("sigmoid", ag.sigmoid, each(naive.sigmoid), normal(2, 3)),
    case("softplus", ag.softplus, each(lambda x: math.log(1 + math.exp(x))), normal(2, 3), dtypes=REAL),
    case("relu", ag.relu, each(lambda x: x if x > 0 else 0 * x), distinct(2, 3), dtypes=REAL_OR_INTEGER),
    case("relu_grad", elementwise.relu_grad, each(lambda dy, y: dy if y > 0 else 0 * dy), normal(3), mask(2, 3),
         dtypes=REAL),
    case("erf", ag.erf, each("erf"), normal(2, 3), dtypes=REAL),
    case("maximum", ag.maximum, each(max), distinct(4, 3), distinct(3, offset=0.125), dtypes=REAL_OR_INTEGER),
    case("minimum", ag.minimum, each(min), distinct(4, 3), distinct(3, offset=0.125), dtypes=REAL_OR_INTEGER),
    case("clip", ag.clip, each(lambda x, low, high: min(max(x, low), high)), distinct(4, 3), constant(-0.5, 3),
         constant(0.5, 4, 1), dtypes=REAL + "i"),
    case("clip", lambda x, high: ag.clip(x, max=high), each(min), distinct(4, 3), constant(0.5), dtypes=REAL + "i",
         id="no-lower-bound"),
    case("where", ag.where, each(lambda c, x, y: x if c else y), mask(2, 3), normal(3), normal(2, 1), dtypes=NUMBERS),
    case("sign", ag.sign, each(lambda x: (x > 0) - (x < 0)), distinct(2, 3), dtypes=REAL + "i", no_gradient=(0,)),
    case("floor", ag.floor, each(math.floor), between_steps(2, 3), dtypes=REAL, no_gradient=(0,)),
    case("ceil", ag.ceil, each(math.ceil), between_steps(2, 3), dtypes=REAL, no_gradient=(0,)),
    case("round", ag.round, each(round), between_steps(2, 3), dtypes=REAL, no_gradient=(0,)),
    case("astype", lambda x: ag.astype(x, "D"), each(complex), normal(2, 3), dtypes=ANY, result=always("D")),
    case("real", ag.real, each(lambda x: x.real), normal(2, 3), dtypes=NUMBERS, result=real_part),
    case("imag", ag.imag, each(lambda x: x.imag), normal(2, 3), dtypes="FD", result=real_part),
    case("conj", ag.conj, each(lambda x: x.conjugate()), normal(2, 3), dtypes=NUMBERS),
]

REDUCE = [
    case("sum", lambda x: ag.sum(x, (0, 2)), reduced(sum, (0, 2)), normal(2, 3, 2), dtypes=ANY),
    case("mean", lambda x: ag.mean(x, 1), reduced(lambda v: sum(v) / len(v), 1), normal(2, 3, 2)),
    case("var", lambda x: ag.var(x, 1), reduced(lambda v: sum(abs(a - sum(v) / len(v)) ** 2 for a in v) / len(v), 1),
         normal(3, 4), result=real_part),
    case("var", lambda x: ag.var(x, 0, ddof=1, keepdims=True),
         reduced(lambda v: float(np.cov(v).real), 0, keepdims=True), normal(4, 2), id="unbiased", result=real_part),
    case("max", lambda x: ag.max(x, 1), reduced(max, 1), distinct(3, 4), dtypes=REAL_OR_INTEGER),
    case("min", lambda x: ag.min(x, 0, keepdims=True), reduced(min, 0, keepdims=True), distinct(3, 4),
         dtypes=REAL_OR_INTEGER),
    case("prod", lambda x: ag.prod(x, (0, 2)), reduced(math.prod, (0, 2)), away_from_zero(2, 2, 3),
         dtypes=INEXACT + "i"),
    case("logsumexp", lambda x: ag.logsumexp(x, 1), reduced(lambda v: float(special.logsumexp(v)), 1), normal(3, 4),
         dtypes=REAL),
    case("norm", lambda x: ag.norm(x, 1), reduced(lambda v: math.hypot(*map(abs, v)), 1), normal(3, 4),
         result=real_part),
    case("cumsum", lambda x: ag.cumsum(x, 0), naive.scanned(lambda v: list(itertools.accumulate(v)), 0), normal(3, 2),
         dtypes=INEXACT + "i"),
]

SHAPE = [
    case("reshape", lambda x: ag.reshape(x, (3, -1)), naive.taken(lambda i, j: divmod(2 * i + j, 3), (3, 2)),
         normal(2, 3), dtypes=ANY),
    case("transpose", ag.transpose, naive.taken(lambda i, j, k: (k, j, i), (4, 3, 2)), normal(2, 3, 4), dtypes=ANY),
    case("transpose", lambda x: ag.transpose(x, (1, -1, 0)), naive.taken(lambda i, j, k: (k, i, j), (3, 4, 2)),
         normal(2, 3, 4), dtypes=ANY, id="cycle"),
    case("broadcast_to", lambda x: ag.broadcast_to(x, (2, 3, 4)), naive.taken(lambda i, j, k: (j, 0), (2, 3, 4)),
         normal(3, 1), dtypes=ANY),
    case("sum_to", lambda x: shape.sum_to(x, (3, 1)), lambda x: reduced(sum, (0, 2), keepdims=True)(x)[0],
         normal(2, 3, 4)),
    case("roll", lambda x: ag.roll(x, (1, -2), (0, 1)), naive.taken(lambda i, j: ((i - 1) % 3, (j + 2) % 4), (3, 4)),
         normal(3, 4), dtypes=ANY),
    case("pad", lambda x: ag.pad(x, ((1, 2), (0, 1)), constant_values=3),
         lambda x: np.block([[np.full((1, 4), 3)], [x, np.full((2, 1), 3)], [np.full((2, 4), 3)]]).astype(x.dtype),
         normal(2, 3), dtypes=NUMBERS),
    case("concatenate", lambda *xs: ag.concatenate(xs, 1), naive.concatenated(1), normal(2, 3), normal(2, 1),
         normal(2, 2), dtypes=ANY),
    case("split", lambda x: ag.split(x, (1, 3), 1), lambda x: (x.T[:1].T, x.T[1:3].T, x.T[3:].T), normal(2, 4),
         dtypes=ANY),
]

INDEX = [
    case("getitem", lambda x: index.index(x, (slice(None, None, -1), None, 1)),
         naive.taken(lambda i, _, k: (1 - i, 1, k), (2, 1, 4)), normal(2, 3, 4), dtypes=ANY, id="view"),
    case("getitem", lambda x: index.index(x, (slice(None), ROWS)), naive.taken(lambda i, j: (i, int(ROWS[j])), (2, 3)),
         normal(2, 3), dtypes=ANY, id="repeated"),
    case("getitem", lambda x: index.index(x, HALF), lambda x: np.array([x[0, 0], x[0, 2], x[1, 1], x[1, 2]]),
         normal(2, 3), dtypes=ANY, id="mask"),
    case("scatter", lambda x: ag.scatter(x, ROWS, key=(index.ARRAY,), shape=(4, 2)),
         lambda x: naive.scatter(x, ROWS, (4, 2)), normal(3, 2), dtypes=NUMBERS),
    case("put", lambda x, v: ag.put(x, (slice(0, 2), ROWS[:2]), v),
         lambda x, v: naive.put(x, (slice(0, 2), ROWS[:2]), v), normal(3, 3), normal(2), dtypes=ANY),
]

LINALG = [
    case("matmul", ag.matmul, naive.matmul, normal(2, 3), normal(3, 4), dtypes=NUMBERS, id="matrices"),
    case("matmul", ag.matmul, naive.matmul, normal(2, 1, 2, 3), normal(3, 3, 2), id="batches"),
    case("matmul", ag.matmul, naive.matmul, normal(2, 2, 3), normal(3, 2), id="one-matrix-for-a-batch"),
    case("matmul", ag.matmul, naive.matmul, normal(3), normal(3), id="vectors"),
    case("matmul", ag.matmul, naive.matmul, normal(3), normal(2, 3, 2), id="row-and-batch"),
    case("matmul", ag.matmul, naive.matmul, normal(2, 2, 3), normal(3), id="batch-and-column"),
    case("einsum", lambda x, y: ag.einsum("ij,jk->ik", x, y), lambda x, y: naive.einsum("ij,jk->ik", x, y),
         normal(2, 3), normal(3, 2)),
    case("einsum", lambda x, y, z: ag.einsum("bij,bjk,kl->bl", x, y, z),
         lambda x, y, z: naive.einsum("bij,bjk,kl->bl", x, y, z), normal(2, 3, 2), normal(2, 2, 2), normal(2, 3),
         id="three"),
]

CONV = [
    case("conv2d", lambda x, w, b: ag.conv2d(x, w, b, stride=(2, 1), padding="same", dilation=(1, 2)),
         lambda x, w, b: naive.conv2d(x, w, b, (2, 1), "same", (1, 2)), normal(2, 3, 3, 2), normal(3, 2, 2, 2),
         normal(2)),
    case("conv2d", lambda x, w: ag.conv2d(x, w, groups=2), lambda x, w: naive.conv2d(x, w, groups=2),
         normal(1, 3, 2, 4), normal(2, 1, 2, 2), id="groups"),
    case("conv2d_grads", lambda x, g, w: ag.conv2d_grads(x, g, w, 1, (1, 0), groups=2),
         lambda x, g, w: naive.conv2d_grads(x, g, w, 1, (1, 0), groups=2), normal(1, 3, 3, 4), normal(1, 3, 2, 2),
         normal(3, 2, 2, 2)),
    case("conv2d_grads", lambda x, g, w: ag.conv2d_grads(x, g, w, 2, 1),
         lambda x, g, w: naive.conv2d_grads(x, g, w, 2, 1), normal(2, 4, 3, 2), normal(2, 2, 2, 2), normal(3, 2, 2, 2),
         id="stride"),
    case("conv2d_input_grad", lambda g, w: ag.conv2d_input_grad(g, w, (2, 4, 3, 2), 2, 1),
         lambda g, w: naive.conv2d_input_grad(g, w, (2, 4, 3, 2), 2, 1), normal(2, 2, 2, 2), normal(3, 2, 2, 2)),
    case("conv2d_weight_grad", lambda x, g: ag.conv2d_weight_grad(x, g, (3, 2, 2, 2), 2, 1),
         lambda x, g: naive.conv2d_weight_grad(x, g, (3, 2, 2, 2), 2, 1), normal(2, 4, 3, 2), normal(2, 2, 2, 2)),
]

POOL = [
    case("max_pool2d", lambda x: ag.max_pool2d(x, 2), lambda x: naive.max_pool2d(x, 2), distinct(2, 4, 4, 2),
         dtypes=REAL_OR_INTEGER),
    case("max_pool2d", lambda x: ag.max_pool2d(x, (3, 2), (2, 1), 1), lambda x: naive.max_pool2d(x, (3, 2), (2, 1), 1),
         distinct(1, 4, 3, 2), dtypes=REAL_OR_INTEGER, id="overlapping"),
    case("pick_taps", lambda x, taps: pool.pick_taps(x, taps, 3, 1), lambda x, taps: naive.pick_taps(x, taps, 3, 1),
         normal(1, 4, 4, 2), integers(0, 9, 1, 2, 2, 2)),
    case("unpool_taps", lambda g, taps: pool.unpool_taps(g, taps, (4, 4), 3, 1),
         lambda g, taps: naive.unpool_taps(g, taps, (4, 4), 3, 1), normal(1, 2, 2, 2), integers(0, 9, 1, 2, 2, 2)),
    case("avg_pool2d", lambda x: ag.avg_pool2d(x, 3, 2, 1), lambda x: naive.avg_pool2d(x, 3, 2, 1), normal(2, 4, 3, 2)),
    case("avg_unpool2d", lambda g: pool.avg_unpool2d(g, (4, 3), 3, 2, 1),
         lambda g: naive.avg_unpool2d(g, (4, 3), 3, 2, 1), normal(2, 2, 2, 2)),
]

SOFTMAX = [
    case("softmax", lambda x: ag.softmax(x, 0), naive.scanned(naive.softmax, 0), normal(3, 4), dtypes=REAL),
    case("log_softmax", lambda x: ag.log_softmax(x, -1), lambda x: np.log(naive.scanned(naive.softmax, -1)(x)),
         normal(3, 4), dtypes=REAL),
    case("softmax_cross_entropy", softmax.softmax_cross_entropy, naive.softmax_cross_entropy, normal(3, 4),
         integers(0, 4, 3), dtypes=REAL),
    case("softmax_cross_entropy", lambda x, t: softmax.softmax_cross_entropy(x, t, 0.3, "none"),
         lambda x, t: naive.softmax_cross_entropy(x, t, 0.3, list), normal(2, 3, 2), integers(0, 2, 2, 3), dtypes=REAL,
         id="each-smoothed"),
    case("softmax_cross_entropy", lambda x, t: softmax.softmax_cross_entropy(x, t, reduction="sum"),
         lambda x, t: naive.softmax_cross_entropy(x, t, 0, sum), normal(2, 40), integers(0, 40, 2), dtypes=REAL,
         id="sum-long-rows"),
    case("softmax_cross_entropy_grad", softmax.softmax_cross_entropy_grad, naive.softmax_cross_entropy_grad, normal(),
         normal(3, 4), integers(0, 4, 3), dtypes=REAL),
    case("softmax_cross_entropy_grad", lambda g, x, t: softmax.softmax_cross_entropy_grad(g, x, t, reduction="sum"),
         lambda g, x, t: naive.softmax_cross_entropy_grad(g, x, t, 0, 1), normal(), normal(2, 5), integers(0, 5, 2),
         dtypes=REAL, id="sum"),
    case("softmax_cross_entropy_grad",
         lambda g, x, t: softmax.softmax_cross_entropy_grad(g, x, t, label_smoothing=0.3, reduction="none"),
         lambda g, x, t: naive.softmax_cross_entropy_grad(g, x, t, 0.3, 1), normal(2, 3), normal(2, 3, 2),
         integers(0, 2, 2, 3), dtypes=REAL, id="each-smoothed"),
]

NORM = [
    case("batch_norm", lambda x, w, b: ag.batch_norm(x, w, b, eps=1e-3),
         lambda x, w, b: naive.batch_norm(x, w, b, eps=1e-3), normal(4, 2, 3), normal(3), normal(3), dtypes=REAL),
    case("channel_affine", norm.channel_affine, naive.channel_affine, normal(4, 2, 3), normal(3), normal(3),
         dtypes=REAL),
    case("channel_products", norm.channel_products, naive.channel_products, normal(4, 2, 3), normal(4, 2, 3), normal(3),
         dtypes=REAL),
    case("channel_products", lambda dy, x, mean: norm.channel_products(dy, x, mean, near_zero=True),
         naive.channel_products, normal(4, 2, 3), normal(4, 2, 3), normal(3), dtypes=REAL, id="near_zero"),
    case("channel_sum", norm.channel_sum, naive.channel_sum, normal(4, 2, 3), normal(4, 2, 3), normal(3), normal(3),
         normal(3), normal(3), dtypes=REAL),
    case("layer_norm", lambda x, w, b: ag.layer_norm(x, w, b, eps=1e-3),
         lambda x, w, b: naive.layer_norm(x, w, b, eps=1e-3), normal(2, 3, 4), normal(4), normal(4), dtypes=REAL),
    case("layer_norm", ag.layer_norm, naive.layer_norm, normal(2, 3, 2), normal(3, 2), normal(3, 2), dtypes=REAL,
         id="two-axes"),
    case("layer_norm_grads", lambda g, x, w: norm.layer_norm_grads(g, x, w, 1e-3),
         lambda g, x, w: naive.layer_norm_grads(g, x, w, 1e-3), normal(2, 2, 3), normal(2, 2, 3), normal(2, 3),
         dtypes=REAL),
]

CASES = [*ELEMENTWISE, *REDUCE, *SHAPE, *INDEX, *LINALG, *CONV, *POOL, *SOFTMAX, *NORM]
