"""np.f(tensor) works or raises by name: never an object array, never a constant that lost its gradient."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import autograd as ag
from autograd.numpy_face import ARRAY_FUNCTIONS, PLAIN_FUNCTIONS, UFUNCS

X = np.array([[1.5, -2.0, 0.5], [3.0, 0.25, -1.0]])
Y = np.array([[2.1, 1.3, -0.7], [0.9, 4.2, 2.3]])
POSITIVE = np.abs(X)


def leaf(array: Any) -> ag.Tensor:
    return ag.Tensor(np.array(array), requires_grad=True)


def same(actual: Any, expected: Any) -> None:
    assert type(actual) is ag.Tensor
    assert actual.requires_grad
    assert actual.dtype == np.asarray(expected).dtype
    np.testing.assert_array_equal(actual.data, expected)


# ---------------------------------------------------------------------- ufuncs


@pytest.mark.parametrize("ufunc", UFUNCS, ids=lambda ufunc: ufunc.__name__)
def test_a_ufunc_on_tensors_is_the_ufunc_on_arrays(ufunc):
    arrays = [POSITIVE, Y][: ufunc.nin] if ufunc is not np.matmul else [X, Y.T]
    expected = ufunc(*arrays)
    if ufunc in (np.sign, np.floor, np.ceil):
        same(ufunc(*map(leaf, arrays)), expected)
        return
    same(ufunc(*map(leaf, arrays)), expected)
    assert ag.gradcheck(ufunc, *arrays, order=1)


@pytest.mark.parametrize("ufunc", [ufunc for ufunc in UFUNCS if ufunc.nin == 2], ids=lambda ufunc: ufunc.__name__)
def test_a_ufunc_takes_arrays_and_tensors_mixed(ufunc):
    a, b = (POSITIVE, Y) if ufunc is not np.matmul else (X, Y.T)
    same(ufunc(leaf(a), b), ufunc(a, b))
    same(ufunc(a, leaf(b)), ufunc(a, b))


def test_ndarray_times_tensor_is_a_tensor():
    x = leaf(X)
    for product in (Y * x, x * Y, np.float64(2) * x, np.float32(2) * x, np.int64(2) * x, np.array(2.0) * x):
        assert type(product) is ag.Tensor
        assert product.requires_grad
    same(Y * x, Y * X)
    same(Y - x, Y - X)
    same(Y / x, Y / X)
    same(Y.T @ x, Y.T @ X)


@pytest.mark.parametrize("scalar", [np.float32(2), np.float64(2), np.int64(2), np.bool_(True), np.complex64(2j)])
def test_numpy_s_scalars_are_numbers_like_others(scalar):
    x = ag.Tensor(X.astype(np.float32), requires_grad=True)
    same(scalar * x, scalar * X.astype(np.float32))
    same(x + scalar, X.astype(np.float32) + scalar)


@pytest.mark.parametrize("ufunc", [np.logaddexp, np.hypot, np.cbrt, np.arctan2, np.rint, np.divmod, np.modf, np.frexp,
                                   np.left_shift, np.invert, np.logical_and, np.gcd, np.spacing])
def test_a_ufunc_without_an_op_raises_by_name(ufunc):
    message = rf"np\.{ufunc.__name__}: not supported on Tensors \(the gradient would be lost\)"
    with pytest.raises(TypeError, match=message):
        ufunc(*[leaf(X)] * ufunc.nin)
    with pytest.raises(TypeError, match=message):
        ufunc(*[ag.Tensor([1, 2])] * ufunc.nin)


@pytest.mark.parametrize(("call", "name"), [
    (lambda x: np.add.reduce(x), "np.add.reduce"),
    (lambda x: np.multiply.accumulate(x), "np.multiply.accumulate"),
    (lambda x: np.add.outer(x, x), "np.add.outer"),
    (lambda x: np.add.outer(X, x), "np.add.outer"),
    (lambda x: np.add.at(x, 0, 1.0), "np.add.at"),
    (lambda x: np.add.at(np.zeros((2, 3)), 0, x), "np.add.at"),
    (lambda x: np.add.reduceat(x, [0]), "np.add.reduceat"),
])
def test_other_methods_of_a_ufunc_raise_by_name(call, name):
    with pytest.raises(TypeError, match=rf"{name}: not available on Tensors"):
        call(leaf(X))


def test_a_tensor_is_not_written_into():
    x = leaf(X)
    with pytest.raises(TypeError, match=r"np.add: a Tensor cannot be written into \(out=...\); take the result"):
        np.add(X, Y, out=x)
    with pytest.raises(TypeError, match=r"np.add: a Tensor cannot be written into"):
        np.add(x, x, out=x)
    with pytest.raises(TypeError, match=r"np\.sum: the \w+ 'out' is not available on Tensors"):
        np.sum(X, out=x)
    np.testing.assert_array_equal(x.data, X)


def test_an_array_is_not_written_into_either_since_the_gradient_would_be_lost():
    array = np.zeros((2, 3))
    with pytest.raises(TypeError, match=r"np.add: the keyword 'out' is not available on Tensors; use .data"):
        np.add(leaf(X), 1, out=array)
    with pytest.raises(TypeError, match=r"np.add: the keyword 'out'"):
        array += leaf(X)
    with pytest.raises(TypeError, match=r"np.copyto: not supported on Tensors"):
        np.copyto(array, leaf(X))
    with pytest.raises(TypeError, match=r"np.asarray: this Tensor requires a gradient|cannot|sequence"):
        array[0] = leaf(X)[0]
    np.testing.assert_array_equal(array, np.zeros((2, 3)))


@pytest.mark.parametrize("keywords", [{"where": X > 0}, {"dtype": np.float32}, {"casting": "no"}, {"order": "F"}])
def test_keywords_that_an_op_does_not_take_raise_by_name(keywords):
    (keyword,) = keywords
    with pytest.raises(TypeError, match=f"np.exp: the keyword '{keyword}' is not available on Tensors"):
        np.exp(leaf(X), **keywords)


# ---------------------------------------------------------------------- functions


CALLS: dict[Any, list] = {  # each with positions and keywords as NumPy has them
    np.clip: [lambda x: np.clip(x, -1.2, 1), lambda x: np.clip(x, a_min=-1.2, a_max=1),
              lambda x: np.clip(x, None, 1), lambda x: np.clip(a=x, a_min=0, a_max=None)],
    np.where: [lambda x: np.where(X > 0, x, 0.0), lambda x: np.where(X > 0, 1.0, x)],
    np.round: [lambda x: np.round(x), lambda x: np.round(x, 1), lambda x: np.round(x, decimals=1)],
    np.real: [lambda x: np.real(x * 1j)],
    np.imag: [lambda x: np.imag(x * 1j)],
    np.sum: [lambda x: np.sum(x), lambda x: np.sum(x, 0), lambda x: np.sum(x, axis=(0, 1), keepdims=True),
             lambda x: np.sum(a=x, axis=-1), lambda x: np.sum(x, 1, None, None, True)],
    np.mean: [lambda x: np.mean(x), lambda x: np.mean(x, 0), lambda x: np.mean(x, axis=1, keepdims=True),
              lambda x: np.mean(x, 1, None, None, True)],
    np.var: [lambda x: np.var(x), lambda x: np.var(x, 0), lambda x: np.var(x, axis=1, ddof=1, keepdims=True),
             lambda x: np.var(x, 0, None, None, 1)],
    np.max: [lambda x: np.max(x), lambda x: np.max(x, 0), lambda x: np.max(x, axis=1, keepdims=True),
             lambda x: np.max(x, 1, None, True)],
    np.min: [lambda x: np.min(x), lambda x: np.min(x, 0), lambda x: np.min(x, axis=1, keepdims=True)],
    np.prod: [lambda x: np.prod(x), lambda x: np.prod(x, 0), lambda x: np.prod(x, axis=1, keepdims=True)],
    np.cumsum: [lambda x: np.cumsum(x), lambda x: np.cumsum(x, 0), lambda x: np.cumsum(x, axis=1)],
    np.linalg.norm: [lambda x: np.linalg.norm(x), lambda x: np.linalg.norm(x, axis=1),
                     lambda x: np.linalg.norm(x, axis=0, keepdims=True), lambda x: np.linalg.norm(x, None, 1)],
    np.dot: [lambda x: np.dot(x, Y.T), lambda x: np.dot(Y.T, x), lambda x: np.dot(x, 2.0),
             lambda x: np.dot(a=x, b=Y.T)],
    np.einsum: [lambda x: np.einsum("ij,kj->ik", x, Y), lambda x: np.einsum("ij->j", x),
                lambda x: np.einsum("ij,ij", Y, x)],
    np.reshape: [lambda x: np.reshape(x, (3, 2)), lambda x: np.reshape(x, -1)],
    np.transpose: [lambda x: np.transpose(x), lambda x: np.transpose(x, (1, 0)),
                   lambda x: np.transpose(x, axes=(0, 1))],
    np.moveaxis: [lambda x: np.moveaxis(x, 0, 1), lambda x: np.moveaxis(x, source=[0, 1], destination=[1, 0])],
    np.swapaxes: [lambda x: np.swapaxes(x, 0, 1), lambda x: np.swapaxes(x, axis1=0, axis2=-1)],
    np.expand_dims: [lambda x: np.expand_dims(x, 1), lambda x: np.expand_dims(x, axis=(0, -1))],
    np.squeeze: [lambda x: np.squeeze(x[:1]), lambda x: np.squeeze(x[:1], 0), lambda x: np.squeeze(x[:, :1], axis=1)],
    np.broadcast_to: [lambda x: np.broadcast_to(x, (4, 2, 3)), lambda x: np.broadcast_to(x, shape=(1, 2, 3))],
    np.concatenate: [lambda x: np.concatenate([x, Y]), lambda x: np.concatenate((Y, x), 1),
                     lambda x: np.concatenate([x, x], axis=None), lambda x: np.concatenate([Y, x, Y], axis=-1)],
    np.stack: [lambda x: np.stack([x, Y]), lambda x: np.stack((Y, x), 1), lambda x: np.stack([x, x], axis=-1)],
    np.split: [lambda x: np.split(x, 3, 1)[0], lambda x: np.split(x, [1], axis=0)[1],
               lambda x: np.split(x, indices_or_sections=2)[1]],
    np.pad: [lambda x: np.pad(x, 1), lambda x: np.pad(x, ((0, 1), (2, 0)), "constant"),
             lambda x: np.pad(x, (1, 2), mode="constant", constant_values=7.0)],
    np.flip: [lambda x: np.flip(x), lambda x: np.flip(x, 0), lambda x: np.flip(x, axis=(0, 1))],
    np.roll: [lambda x: np.roll(x, 1), lambda x: np.roll(x, (1, -1), (0, 1)), lambda x: np.roll(x, shift=2, axis=1)],
    np.repeat: [lambda x: np.repeat(x, 2), lambda x: np.repeat(x, [1, 2], 0),
                lambda x: np.repeat(x, repeats=2, axis=1)],
    np.tile: [lambda x: np.tile(x, 2), lambda x: np.tile(x, (2, 1, 2)), lambda x: np.tile(x, reps=(1, 2))],
    np.ravel: [lambda x: np.ravel(x), lambda x: np.ravel(a=x)],
    np.take: [lambda x: np.take(x, [0, 5, 5]), lambda x: np.take(x, [[2, 0]], 1),
              lambda x: np.take(x, indices=1, axis=0)],
}


def test_every_function_of_the_table_is_called_below():
    assert set(CALLS) == set(ARRAY_FUNCTIONS)


@pytest.mark.parametrize(("function", "i"), [(f, i) for f, calls in CALLS.items() for i in range(len(calls))],
                         ids=[f"{f.__name__}-{i}" for f, calls in CALLS.items() for i in range(len(calls))])
def test_a_function_on_tensors_gives_what_it_gives_on_arrays(function, i):
    call = CALLS[function][i]
    expected = call(X)
    found = call(leaf(X))
    assert type(found) is ag.Tensor
    assert found.requires_grad
    assert found.dtype == expected.dtype
    assert found.shape == expected.shape
    np.testing.assert_allclose(found.data, expected, rtol=1e-15)
    if function is not np.round:
        assert ag.gradcheck(call, X, order=1)


UNSUPPORTED = {
    "np.linalg.inv": lambda x: np.linalg.inv(x @ x.T), "np.trace": np.trace, "np.sort": np.sort, "np.copy": np.copy,
    "np.outer": lambda x: np.outer(x, x), "np.median": np.median, "np.fft.fft": np.fft.fft,
    "np.interp": lambda x: np.interp(x, x[0], x[0]), "np.histogram": np.histogram,
    "np.linspace": lambda x: np.linspace(x, 1, 3),
    "np.std": np.std, "np.vstack": lambda x: np.vstack([x, x]), "np.block": lambda x: np.block([x, x]),
    "np.cross": lambda x: np.cross(x, x), "np.apply_along_axis": lambda x: np.apply_along_axis(np.sum, 0, x),
    "np.array_split": lambda x: np.array_split(x, 2), "np.savetxt": lambda x: np.savetxt("never.txt", x),
    "np.put": lambda x: np.put(x, 0, 1.0), "np.linalg.matrix_norm": np.linalg.matrix_norm, "np.amax": np.amax,
}


@pytest.mark.parametrize("name", UNSUPPORTED)
@pytest.mark.parametrize("requires_grad", [True, False])
def test_a_function_without_an_op_raises_by_its_name(name, requires_grad):
    with pytest.raises(TypeError, match=rf"{name}: not supported on Tensors .* an ag.Op of your own .* or .data"):
        UNSUPPORTED[name](ag.Tensor(X, requires_grad=requires_grad))


@pytest.mark.parametrize(("call", "function", "keyword"), [
    (lambda x: np.sum(x, dtype=np.float32), "sum", "dtype"),
    (lambda x: np.sum(x, where=X > 0), "sum", "where"),
    (lambda x: np.mean(x, out=np.zeros(())), "mean", "out"),
    (lambda x: np.max(x, initial=0.0), "max", "initial"),
    (lambda x: np.concatenate([x, x], dtype=np.float32), "concatenate", "dtype"),
    (lambda x: np.reshape(x, 6, order="F"), "reshape", "order"),
    (lambda x: np.linalg.norm(x, ord=1), "linalg.norm", "ord"),
    (lambda x: np.take(x, [0], mode="wrap"), "take", "mode"),
    (lambda x: np.einsum("ij->j", x, optimize=True), "einsum", "optimize"),
    (lambda x: np.pad(x, 1, mode="linear_ramp", end_values=1), "pad", "end_values"),
    (lambda x: np.round(x, out=np.zeros((2, 3))), "round", "out"),
])
def test_a_keyword_that_an_op_does_not_take_raises_by_name(call, function, keyword):
    with pytest.raises(TypeError, match=rf"np\.{function}: the \w+ '{keyword}' is not available on Tensors"):
        call(leaf(X))


SURPLUS = {
    "a dtype": (lambda x: np.sum(x, 0, np.float32), "sum"),
    "an out": (lambda x: np.sum(x, 0, None, np.zeros(3)), "sum"),
    "an order": (lambda x: np.ravel(x, "F"), "ravel"),
    "an order of a norm": (lambda x: np.linalg.norm(x, 1), "norm"),
    "an order of another norm": (lambda x: np.linalg.norm(x, 2, 0), "norm"),
    "a mode": (lambda x: np.take(x, [0], 0, None, "wrap"), "take"),
    "a memory order": (lambda x: np.reshape(x, 6, "F"), "reshape"),
}


@pytest.mark.parametrize("name", SURPLUS)
def test_a_position_that_means_something_else_in_numpy_raises_by_name(name):
    """np.linalg.norm(x, 1) is the 1-norm: it must not come out as the 2-norm along axis 1."""
    call, function = SURPLUS[name]
    with pytest.raises(TypeError, match=rf"{function}: "):
        call(leaf(X))


def test_a_condition_alone_has_no_gradient_so_where_needs_all_three():
    with pytest.raises(TypeError, match="where: argument 'x' is missing"):
        np.where(leaf(X))


# ---------------------------------------------------------------------- plain answers


@pytest.mark.parametrize(("call", "expected"), [
    (lambda x: np.isnan(x), np.isnan(X)),
    (lambda x: np.isfinite(x), np.isfinite(X)),
    (lambda x: np.signbit(x), np.signbit(X)),
    (lambda x: np.less(x, 0.0), X < 0),
    (lambda x: np.equal(X, x), X == X),
    (lambda x: np.argmax(x, axis=1), X.argmax(axis=1)),
    (lambda x: np.argsort(x), X.argsort()),
    (lambda x: np.nonzero(x)[0], np.nonzero(X)[0]),
    (lambda x: np.count_nonzero(x), 6),
    (lambda x: np.shape(x), (2, 3)),
    (lambda x: np.ndim(x), 2),
    (lambda x: np.size(x), 6),
    (lambda x: np.allclose(x, X), True),
    (lambda x: np.array_equal(X, x), True),
    (lambda x: np.isclose(x, b=X), np.ones((2, 3), bool)),
    (lambda x: np.zeros_like(x), np.zeros((2, 3))),
    (lambda x: np.ones_like(x, dtype=int), np.ones((2, 3), int)),
    (lambda x: np.full_like(x, 7.0), np.full((2, 3), 7.0)),
    (lambda x: np.iscomplexobj(x), False),
    (lambda x: np.result_type(x, np.float32), np.float64),
    (lambda x: np.shares_memory(x, x.data), True),
])
def test_what_no_gradient_flows_through_by_its_nature_gives_plain_results(call, expected):
    found = call(leaf(X))
    assert not isinstance(found, ag.Tensor)
    np.testing.assert_array_equal(found, expected)


def test_no_function_is_both_plain_and_an_op():
    assert not PLAIN_FUNCTIONS & (set(UFUNCS) | set(ARRAY_FUNCTIONS))


# ---------------------------------------------------------------------- becoming an array


@pytest.mark.parametrize("convert", [
    np.asarray, np.array, np.ascontiguousarray, lambda x: np.asarray(x, np.float32), lambda x: np.array([x, x]),
    lambda x: np.array([x[0, 0], 1.0]), lambda x: np.asarray([[x[0, 0], x[0, 1]]]), lambda x: np.full(3, x),
    lambda x: np.vectorize(math.sin)(x), lambda x: Y.T.dot(x), lambda x: np.fromiter(x, float),
    lambda x: np.random.default_rng(0).normal(x), lambda x: np.array([x, x], dtype=object), lambda x: np.float64(x),
])
@pytest.mark.parametrize("make", [leaf, lambda array: leaf(array) * 2])
def test_a_tensor_that_requires_a_gradient_does_not_become_an_array_without_a_word(convert, make):
    with pytest.raises((TypeError, ValueError), match=r"this Tensor requires a gradient.*\.data.*\.detach\(\)"
                                                      r"|setting an array element"):
        convert(make(X))


@pytest.mark.parametrize("make", [lambda: ag.Tensor(X), lambda: leaf(X).detach()])
def test_one_that_requires_none_does(make):
    t = make()
    for array in (np.asarray(t), np.array(t), np.asarray(t, np.float32), np.array([t, t])[0]):
        assert type(array) is np.ndarray
        np.testing.assert_allclose(array, X)
    assert np.asarray(t) is t.data
    assert np.array(t) is not t.data
    assert np.asarray(t, np.float32).dtype == np.float32
    with pytest.raises(ValueError, match="Unable to avoid copy"):
        np.array(t, np.float32, copy=False)
    np.testing.assert_array_equal(Y.T.dot(t), Y.T.dot(X))


def test_a_float_is_allowed_and_detaches():
    x = leaf([2.0])
    assert float(x) == 2.0
    assert math.sqrt(x * 2) == 2.0
    assert f"{float(x):.2f}" == "2.00"


def test_an_array_of_tensors_is_not_made():
    x = leaf(X)
    with pytest.raises(TypeError, match="stack or concatenate"):
        np.array([x, x])
    with pytest.raises(TypeError, match="stack or concatenate"):
        np.add([x, x], 1.0)
    with pytest.raises(TypeError, match="stack or concatenate"):
        np.sin([x, x])
    with pytest.raises(TypeError, match="stack or concatenate"):
        ag.add([x, [1.0]], 1.0)
    with pytest.raises(TypeError, match="stack or concatenate"):
        x * [x[0, 0], 1.0, 2.0]


def test_arrays_of_objects_do_not_swallow_tensors():
    objects = np.array([1.0, None, 2.0], object)
    for f in (np.add, np.multiply, np.maximum):
        with pytest.raises(TypeError):
            f(objects, leaf(X))
        with pytest.raises(TypeError):
            f(leaf(X), objects)
    with pytest.raises(TypeError):
        objects * leaf(X)


def test_masked_arrays_do_not_swallow_tensors():
    masked = np.ma.array([1.0, 2.0, 3.0], mask=[True, False, False])
    for product in (lambda x: masked * x, lambda x: x * masked, lambda x: masked + x):
        try:
            result = product(leaf(X))
        except TypeError:
            continue
        assert type(result) is ag.Tensor
        assert result.requires_grad


def test_a_subclass_of_ndarray_is_taken_as_the_array_it_is():
    class Meters(np.ndarray):
        pass

    meters = Y.view(Meters)
    for product in (meters * leaf(X), leaf(X) * meters):
        same(product, Y * X)
        assert type(product.data) is np.ndarray
