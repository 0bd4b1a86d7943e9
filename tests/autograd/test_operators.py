"""The table that gives Tensor its operators and methods: each is an op, and does what NumPy does."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import pytest

import autograd as ag
from autograd.operators import METHODS, OPERATORS

X = np.array([[1.5, -2.0, 0.5], [3.0, 0.25, -1.0]])
Y = np.array([[2.1, 1.3, -0.7], [0.9, 4.2, 2.3]])  # no quotient is whole, so X // Y has no kink here


def leaf(array: Any) -> ag.Tensor:
    return ag.Tensor(np.array(array), requires_grad=True)


def same(actual: Any, expected: Any) -> None:
    assert type(actual) is ag.Tensor
    assert actual.dtype == expected.dtype
    np.testing.assert_array_equal(actual.data, expected)


# ---------------------------------------------------------------------- binary operators


BINARY = ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul"]
SYMBOLS = dict(zip(BINARY, ["+", "-", "*", "/", "//", "%", "**", "@"], strict=True))


def operands(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Two arrays on which the operator is defined."""
    if name == "matmul":
        return X, Y.T.copy()
    return (np.abs(X), Y) if name == "pow" else (X, Y)


def test_every_binary_operator_of_python_numbers_is_in_the_table():
    assert sorted(OPERATORS) == sorted(BINARY)


@pytest.mark.parametrize("name", BINARY)
def test_operators_do_what_they_do_on_arrays(name):
    f = getattr(operator, name)
    a, b = operands(name)
    expected = f(a, b)
    same(f(leaf(a), leaf(b)), expected)
    same(f(leaf(a), b), expected)
    same(f(a, leaf(b)), expected)
    same(f(leaf(a), ag.Tensor(b)), expected)
    same(f(leaf(a), b.astype(np.float32)), f(a, b.astype(np.float32)))


@pytest.mark.parametrize("name", [name for name in BINARY if name != "matmul"])
@pytest.mark.parametrize("number", [2, 2.0, True, np.float32(2), np.float64(2), np.int64(2)])
def test_operators_take_numbers_on_either_side(name, number):
    f, a = getattr(operator, name), np.abs(X)
    same(f(leaf(a), number), f(a, number))
    same(f(number, leaf(a)), f(number, a))


@pytest.mark.parametrize("name", BINARY)
def test_operators_take_lists_on_either_side(name):
    f = getattr(operator, name)
    a, b = (np.abs(array).astype(np.float32) for array in operands(name))
    same(f(ag.Tensor(a), b.tolist()), f(a, b))
    same(f(a.tolist(), ag.Tensor(b)), f(a, b))


@pytest.mark.parametrize("name", BINARY)
def test_operators_carry_the_gradient_to_both_sides(name):
    a, b = operands(name)
    report = ag.gradcheck(getattr(operator, name), a, b)
    assert report, report


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("other", ["a", None, object(), {1: 2}])
def test_what_is_no_number_is_refused_by_an_operator(name, other):
    f, x = getattr(operator, name), leaf(X)
    kind = type(other).__name__
    with pytest.raises(TypeError, match=rf"\w+: argument 'y' must be a Tensor, an array or a number, got {kind}"):
        f(x, other)


@pytest.mark.parametrize(("f", "expected"), [
    (operator.neg, -X), (operator.abs, np.abs(X)), (operator.pos, X), (round, np.round(X)),
    (lambda x: round(x, 1), np.round(X, 1)),
])
def test_unary_operators_do_what_they_do_on_arrays(f, expected):
    same(f(leaf(X)), expected)


def test_the_modulo_has_the_sign_of_the_divisor_and_its_gradients():
    a, b = leaf([7.0, -7.0, 7.5]), leaf([3.0, 3.0, -2.0])
    (a % b).sum().backward()
    np.testing.assert_array_equal((a % b).data, [1.0, 2.0, -0.5])
    np.testing.assert_array_equal(a.grad.data, [1, 1, 1])
    np.testing.assert_array_equal(b.grad.data, [-2, 3, 4])  # -floor(a / b)


def test_operators_python_has_but_numbers_have_not_are_errors():
    x = leaf(X)
    for f in (operator.and_, operator.or_, operator.xor, operator.lshift, divmod):
        with pytest.raises(TypeError):
            f(x, 2)
    with pytest.raises(TypeError):
        ~x
    with pytest.raises(TypeError):
        pow(x, 2, 3)


# ---------------------------------------------------------------------- comparisons


COMPARISONS = ["eq", "ne", "lt", "le", "gt", "ge"]


@pytest.mark.parametrize("name", COMPARISONS)
def test_comparisons_give_plain_arrays(name):
    f = getattr(operator, name)
    near = np.where(Y > 0, X, Y)
    for left, right in ((leaf(X), leaf(near)), (leaf(X), near), (X, leaf(near)), (leaf(X), ag.Tensor(near))):
        found = f(left, right)
        assert type(found) is np.ndarray
        assert found.dtype == bool
        np.testing.assert_array_equal(found, f(X, near))
    np.testing.assert_array_equal(f(leaf(X), 0.5), f(X, 0.5))
    np.testing.assert_array_equal(f(0.5, leaf(X)), f(0.5, X))
    np.testing.assert_array_equal(f(leaf(X[0]), [1.5, 0.0, 1.0]), f(X[0], [1.5, 0.0, 1.0]))


def test_a_tensor_equals_neither_none_nor_a_string():
    x = leaf([1.0])
    assert (x == None) is False  # noqa: E711
    assert (x != None) is True  # noqa: E711
    assert (x == "x") is False
    with pytest.raises(TypeError, match="'<' not supported"):
        x < None


# ---------------------------------------------------------------------- in place


def in_place(name: str, x: ag.Tensor, other: Any) -> ag.Tensor:
    return getattr(operator, f"i{name}")(x, other)


def square_operands(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Two arrays for which the result has the first one's shape."""
    if name == "matmul":
        return X[:, :2], Y[:, :2]
    return operands(name)


@pytest.mark.parametrize("name", BINARY)
def test_on_a_leaf_that_requires_a_gradient_an_in_place_operator_raises_while_recording(name):
    a, b = square_operands(name)
    x = leaf(a)
    with pytest.raises(RuntimeError, match=rf"in-place {name}: a leaf .* write it under `with ag.no_grad\(\):`"):
        in_place(name, x, b)
    np.testing.assert_array_equal(x.data, a)


@pytest.mark.parametrize("name", BINARY)
@pytest.mark.parametrize("wrap", [lambda b: b, ag.Tensor, leaf])
def test_under_no_grad_it_rebinds_the_leaf_s_data_and_keeps_the_leaf(name, wrap):
    a, b = square_operands(name)
    x = leaf(a)
    node, array = x._node, x.data
    with ag.no_grad():
        result = in_place(name, x, wrap(b))
    assert result is x
    assert x._node is node
    assert x.is_leaf
    assert x.requires_grad
    np.testing.assert_array_equal(x.data, getattr(operator, name)(a, b))
    np.testing.assert_array_equal(array, a)  # new data is bound: the array may be saved somewhere
    (x * 2).sum().backward()
    np.testing.assert_array_equal(x.grad.data, np.full(x.shape, 2.0))


@pytest.mark.parametrize("name", BINARY)
def test_on_a_non_leaf_it_means_the_operator_itself(name):
    a, b = square_operands(name)
    x = leaf(a)
    y = before = x * 1
    y = in_place(name, y, b)
    assert y is not before
    np.testing.assert_array_equal(before.data, a)
    same(y, getattr(operator, name)(a, b))
    (expected,) = ag.gradients(getattr(operator, name)(x, b), [x], g=np.ones(y.shape))
    (found,) = ag.gradients(y, [x], g=np.ones(y.shape))
    np.testing.assert_array_equal(found.data, expected.data)


@pytest.mark.parametrize("name", BINARY)
def test_on_a_tensor_without_gradient_it_means_the_operator_itself(name):
    a, b = square_operands(name)
    x = before = ag.Tensor(a)
    w = leaf(b)
    x = in_place(name, x, w)
    assert x is not before
    assert x.requires_grad
    same(x, getattr(operator, name)(a, b))
    np.testing.assert_array_equal(before.data, a)


def test_a_step_of_gradient_descent_reads_as_such():
    w = leaf([1.0, 2.0])
    (w * w).sum().backward()
    with ag.no_grad():
        w -= 0.25 * w.grad
    np.testing.assert_array_equal(w.data, [0.5, 1.0])
    assert w.is_leaf


def test_a_value_saved_before_does_not_change_with_the_leaf():
    w = leaf([1.0, 2.0])
    y = (w * w).sum()
    with ag.no_grad():
        w += 100.0
    y.backward()
    np.testing.assert_array_equal(w.grad.data, [2, 4])


def test_under_no_grad_the_leaf_keeps_its_dtype():
    w = ag.Tensor(np.ones(2, np.float32), requires_grad=True)
    with ag.no_grad():
        w -= np.array([0.5, 0.25])
        w *= 2
    assert w.dtype == np.float32
    np.testing.assert_array_equal(w.data, [1.0, 1.5])


def test_under_no_grad_a_result_that_does_not_fit_the_leaf_is_refused():
    w = leaf([1.0, 2.0])
    with ag.no_grad():
        with pytest.raises(ValueError, match=r"in-place add: the result has shape \(3, 2\), but the leaf has \(2,\)"):
            w += np.ones((3, 2))
        with pytest.raises(TypeError, match="in-place mul: the result is complex128, but the leaf is float64"):
            w *= 1j
    np.testing.assert_array_equal(w.data, [1, 2])


def test_a_leaf_without_axes_stays_an_array():
    w = leaf(2.0)
    with ag.no_grad():
        w -= 0.5
    assert type(w.data) is np.ndarray
    assert w.item() == 1.5


def test_an_array_is_not_changed_by_adding_a_tensor_to_it():
    array = np.ones(2)
    with pytest.raises(TypeError, match=r"np.add: the keyword 'out' is not available on Tensors"):
        array += leaf([1.0, 2.0])
    np.testing.assert_array_equal(array, [1, 1])


# ---------------------------------------------------------------------- indexing and iterating


KEYS = [
    0, -1, np.int64(1), slice(None), slice(None, None, -1), slice(1, None), (0, 1), (slice(None), 1), None, Ellipsis,
    (..., 0), (None, 0, None), [1, 0], np.array([[0, 1], [1, 1]]), ([0, 1], [2, 0]), (slice(None), [0, 2]), (0, [0, 0]),
    [True, False], X > 0, (slice(None), np.array([True, False, True])), [], (), (np.array([1]), slice(0, 2)),
    True, np.array(1), ([[0], [1]], [[0, 2]]), slice(5, 2),
]


@pytest.mark.parametrize("key", KEYS, ids=str)
def test_indexing_is_numpy_s_and_its_gradient_goes_where_it_came_from(key):
    x = leaf(X)
    y = x[key]
    expected = X[key if not isinstance(key, list) or key else np.array([], int)]
    np.testing.assert_array_equal(y.data, expected)
    g = np.random.default_rng(0).standard_normal(y.shape)
    y.backward(g)
    places = np.arange(X.size).reshape(X.shape)[key if not isinstance(key, list) or key else np.array([], int)]
    counted = np.bincount(np.ravel(places), weights=np.ravel(g), minlength=X.size).reshape(X.shape)
    np.testing.assert_allclose(x.grad.data, counted, rtol=1e-15)


def test_a_tensor_of_integers_is_an_index():
    x = leaf(X)
    same(x[ag.Tensor([1, 0])], X[[1, 0]])
    same(x[ag.Tensor(1), ag.Tensor(2)], X[1, 2])
    same(x[ag.Tensor(X > 0)], X[X > 0])


@pytest.mark.parametrize("key", [0.5, [0.5], "a", leaf([1.0])])
def test_an_index_that_is_no_integer_is_refused(key):
    with pytest.raises((TypeError, IndexError), match="getitem: "):
        leaf(X)[key]


@pytest.mark.parametrize("key", [5, -3, (0, 3), [0, 7], (0, 0, 0)])
def test_an_index_out_of_range_is_an_index_error_that_names_getitem(key):
    with pytest.raises(IndexError, match=r"^getitem: "):
        leaf(X)[key]


def test_iterating_gives_the_parts_along_the_first_axis():
    x = leaf(X)
    rows = list(x)
    assert len(rows) == 2
    for row, expected in zip(rows, X, strict=True):
        same(row, expected)
    first, second = x
    (first * 2 + second * 3).sum().backward()
    np.testing.assert_array_equal(x.grad.data, [[2] * 3, [3] * 3])
    assert sum(leaf([1.0, 2.0, 3.0])).item() == 6.0
    assert [t.item() for t in reversed(leaf([1.0, 2.0]))] == [2.0, 1.0]


def test_a_tensor_without_axes_cannot_be_gone_through():
    with pytest.raises(TypeError, match="a Tensor without axes"):
        list(leaf(1.0))


def test_in_looks_for_an_element():
    x = leaf([1.0, 2.0])
    assert 2.0 in x
    assert 3.0 not in x


# ---------------------------------------------------------------------- methods


CALLS = {
    "abs": (), "astype": (np.float32,), "clip": (-1.0, 1.0), "conj": (), "cos": (), "exp": (), "log": (), "relu": (),
    "round": (1,), "sigmoid": (), "sin": (), "sqrt": (), "square": (), "tanh": (), "cumsum": (1,), "logsumexp": (0,),
    "max": (1,), "mean": (0,), "min": (), "norm": (1,), "prod": (0,), "sum": (1, True), "var": (0, 1),
    "broadcast_to": ((4, 2, 3),), "expand_dims": (1,), "flatten": (), "flip": (1,), "moveaxis": (0, 1), "pad": (1,),
    "repeat": (2, 0), "roll": (1,), "split": (3, 1), "squeeze": (), "swapaxes": (0, 1), "tile": (2,), "put": (0, 7.0),
    "take": ([0, 0], 1), "dot": (Y.T,), "matmul": (Y.T,), "log_softmax": (0,), "softmax": (0,),
}


def test_every_method_but_backward_is_called_below():
    assert sorted([*CALLS, "backward"]) == sorted(METHODS)


@pytest.mark.parametrize("name", CALLS)
def test_a_method_is_the_function_of_its_name(name):
    arguments = CALLS[name]
    array = np.abs(X) if name in ("log", "sqrt") else X
    x, function = leaf(array), getattr(ag, name)
    parts = getattr(x, name)(*arguments)
    expected = function(array, *arguments)
    for part, wanted in zip(parts if isinstance(parts, tuple) else (parts,),
                            expected if isinstance(expected, tuple) else (expected,), strict=True):
        same(part, np.asarray(wanted))
    assert getattr(ag.Tensor, name).__doc__ == function.__doc__
    assert getattr(ag.Tensor, name).__qualname__ == f"Tensor.{name}"


def test_methods_take_parameters_by_name():
    same(leaf(X).sum(axis=0, keepdims=True), X.sum(axis=0, keepdims=True))
    same(leaf(X).clip(max=0.0), X.clip(max=0.0))


@pytest.mark.parametrize("shape", [(3, 2), ((3, 2),), ([3, 2],), (-1,), (6,), (np.int64(2), 3), (1, -1, 1)])
def test_reshape_takes_a_tuple_or_several_numbers(shape):
    same(leaf(X).reshape(*shape), X.reshape(*shape))


def test_reshape_to_no_axes():
    same(leaf([[2.0]]).reshape(()), np.array(2.0))
    same(leaf([[2.0]]).reshape(), np.array(2.0))


@pytest.mark.parametrize("axes", [(), (None,), (1, 0), ((1, 0),), ([0, 1],), (-1, 0)])
def test_transpose_takes_a_tuple_or_several_numbers(axes):
    same(leaf(X).transpose(*axes), X.transpose(*axes))


def test_the_transpose_and_the_parts_of_complex_numbers_are_attributes():
    x, z = leaf(X), leaf(X + 1j * Y)
    same(x.T, X.T)
    same(z.real, X)
    same(z.imag, Y)
    (x.T * Y.T).sum().backward()
    np.testing.assert_array_equal(x.grad.data, Y)


@pytest.mark.parametrize("name", ["argmax", "argmin"])
@pytest.mark.parametrize("options", [{}, {"axis": 0}, {"axis": 1, "keepdims": True}])
def test_argmax_and_argmin_give_plain_arrays_of_integers(name, options):
    found = getattr(leaf(X), name)(**options)
    assert not isinstance(found, ag.Tensor)
    np.testing.assert_array_equal(found, getattr(X, name)(**options))


def test_a_list_beside_float64_keeps_all_its_digits():
    assert (ag.Tensor(np.ones(1)) * [0.1]).data.tolist() == [0.1]
    assert (np.ones(1) * ag.Tensor([0.1], dtype=np.float64)).data.tolist() == [0.1]
    assert (ag.Tensor([1.0]) * [0.1]).dtype == np.float32


def test_a_tensor_of_one_number_can_be_formatted():
    assert f"{leaf(np.array([0.5])).sum():.3f}" == "0.500"
    with pytest.raises(ValueError, match="has 2 elements"):
        format(leaf(np.ones(2)), ".3f")
