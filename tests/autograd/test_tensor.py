"""Tensor: making one, its array, its gradient, and copying it."""

from __future__ import annotations

import copy
import pickle
from fractions import Fraction
from typing import Any, get_type_hints

import numpy as np
import pytest

import autograd as ag


def leaf(*values: float) -> ag.Tensor:
    return ag.Tensor(np.array(values), requires_grad=True)


@pytest.fixture
def default_dtype():
    """Puts the default dtype back after a test that sets it."""
    before = ag.get_default_dtype()
    yield ag.set_default_dtype
    ag.set_default_dtype(before)


# ---------------------------------------------------------------------- making


@pytest.mark.parametrize(("value", "dtype"), [
    ([1.0, 2.0], "float32"),
    ([], "float32"),
    (1.5, "float32"),
    ([[1, 2.5]], "float32"),
    ([1, 2], "int64"),
    (3, "int64"),
    ([True, False], "bool"),
    (1j, "complex64"),
    ([1.0, 2j], "complex64"),
    (range(3), "int64"),
    ((1.0, 2.0), "float32"),
    (np.array([1.0]), "float64"),
    (np.array([1.0], np.float16), "float16"),
    (np.array([1], np.uint8), "uint8"),
    (np.array([1j]), "complex128"),
    (np.float64(1.0), "float64"),
    (np.float32(1.0), "float32"),
    (np.int8(1), "int8"),
])
def test_lists_of_floats_become_float32_lists_of_ints_int64_and_arrays_keep_their_dtype(value, dtype):
    made = ag.Tensor(value)
    assert made.dtype == dtype
    assert type(made.data) is np.ndarray
    np.testing.assert_array_equal(made.data, np.asarray(value, dtype))


def test_a_dtype_can_be_asked_for():
    assert ag.Tensor([1, 2], dtype=np.float64).dtype == np.float64
    assert ag.Tensor([1, 2], dtype="float32", requires_grad=True).requires_grad
    assert ag.Tensor(np.ones(2), dtype=np.float32).dtype == np.float32


@pytest.mark.parametrize("dtype", ["float64", np.float16, np.float32])
def test_the_default_dtype_can_be_set(default_dtype, dtype):
    default_dtype(dtype)
    assert ag.get_default_dtype() == dtype
    assert ag.Tensor([1.0]).dtype == ag.Tensor(0.5).dtype == dtype
    assert ag.Tensor([1]).dtype == np.int64
    assert ag.Tensor(np.ones(1, np.float32)).dtype == np.float32


def test_complex_numbers_follow_the_default_dtype(default_dtype):
    default_dtype(np.float64)
    assert ag.Tensor(1j).dtype == np.complex128


@pytest.mark.parametrize("dtype", [int, bool, complex])
def test_the_default_dtype_is_a_floating_one(default_dtype, dtype):
    with pytest.raises(TypeError, match=f"set_default_dtype: {np.dtype(dtype)} is no floating dtype"):
        default_dtype(dtype)
    assert ag.get_default_dtype() == np.float32


def test_making_a_tensor_copies():
    array = np.arange(3.0)
    t = ag.Tensor(array)
    again = ag.Tensor(t)
    array[:] = -1
    t.data[0] = 7
    np.testing.assert_array_equal(t.data, [7, 1, 2])
    np.testing.assert_array_equal(again.data, [0, 1, 2])


@pytest.mark.parametrize("view", [
    lambda a: a.T, lambda a: a[::-1], lambda a: a[:, ::2], lambda a: np.broadcast_to(a[0], a.shape),
])
def test_a_new_tensor_is_contiguous_and_writable_whatever_it_is_made_from(view):
    array = view(np.arange(12.0).reshape(3, 4))
    t = ag.Tensor(array)
    assert t.data.flags.c_contiguous
    assert t.data.flags.writeable
    np.testing.assert_array_equal(t.data, array)


def test_tensors_without_gradient_in_a_list_make_a_tensor():
    made = ag.Tensor([ag.Tensor([1.0, 2.0]), [3.0, 4.0]])
    np.testing.assert_array_equal(made.data, [[1, 2], [3, 4]])


@pytest.mark.parametrize("value", [leaf(1.0), [leaf(1.0), leaf(2.0)], [[1.0], leaf(1.0) * 2]])
def test_a_tensor_is_not_made_of_one_that_requires_a_gradient(value):
    with pytest.raises(TypeError, match=r"this Tensor requires a gradient.*\.detach\(\).*stack or concatenate"):
        ag.Tensor(value)


@pytest.mark.parametrize(("value", "given"), [
    ("abc", "str 'abc'"),
    (None, "NoneType None"),
    ([1.0, None], r"list \[1.0, None\]"),
    ([[1.0], [1.0, 2.0]], r"list \[\[1.0\], \[1.0, 2.0\]\]"),
    ({"a": 1}, "dict {'a': 1}"),
    (Fraction(1, 2), r"Fraction Fraction\(1, 2\)"),
    (10**30, "int 10{30}"),
    ((i for i in range(3)), "generator"),
    (np.array([1, "a"], object), "ndarray"),
    (np.array(["2020-01-01"], "M8[D]"), "ndarray"),
    (ag.Scalar(1.0), r"Scalar Scalar\(1.0\)"),
    ([ag.Scalar(1.0)], "list"),
])
def test_what_is_no_number_is_refused_and_shown(value, given):
    with pytest.raises(TypeError, match=f"Tensor: cannot make .* of {given}"):
        ag.Tensor(value)


def test_a_long_value_is_cut_in_the_message():
    with pytest.raises(TypeError, match=r"cannot make numbers of list \['a', .{40,60}\.\.\. \(NumPy made it <U1\)"):
        ag.Tensor(["a"] * 1000)


def test_tensor_cannot_be_subclassed():
    with pytest.raises(TypeError, match="Mine: Tensor cannot be subclassed; hold a Tensor as an attribute"):
        class Mine(ag.Tensor):
            pass


# ---------------------------------------------------------------------- requiring a gradient


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, bool])
def test_integers_and_bools_cannot_require_a_gradient(dtype):
    message = rf"only floating and complex numbers can require a gradient, not {np.dtype(dtype)}; use .astype"
    with pytest.raises(TypeError, match=message):
        ag.Tensor(np.ones(2, dtype), requires_grad=True)
    t = ag.Tensor(np.ones(2, dtype))
    with pytest.raises(TypeError, match=message):
        t.requires_grad = True
    assert not t.requires_grad


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "c8", "c16"])
def test_floating_and_complex_numbers_can_require_a_gradient(dtype):
    x = ag.Tensor(np.ones(2, dtype), requires_grad=True)
    x.sum().backward(g=1.0)
    assert x.grad.dtype == dtype
    np.testing.assert_array_equal(x.grad.data, [1, 1])


def test_requires_grad_can_be_set_on_a_leaf():
    x = ag.Tensor([1.0])
    assert not x.requires_grad
    x.requires_grad = True
    assert (x * 2).requires_grad
    x.requires_grad = False
    assert not (x * 2).requires_grad


def test_setting_requires_grad_to_what_it_is_changes_nothing():
    x = leaf(1.0)
    node = x._node
    x.requires_grad = True
    assert x._node is node
    y = x * 2
    y.requires_grad = True
    assert not y.is_leaf


def test_a_non_leaf_cannot_stop_requiring_a_gradient():
    y = leaf(1.0) * 2
    with pytest.raises(RuntimeError, match=r"only a leaf can stop requiring a gradient; use .detach\(\)"):
        y.requires_grad = False


def test_a_gradient_is_delivered_only_to_the_tensor_s_present_node():
    x = leaf(1.0)
    old = x * 2
    x.requires_grad = False
    old.backward(retain_graph=True)
    assert x.grad is None
    x.requires_grad = True  # a new node, of which `old` knows nothing
    old.backward()
    assert x.grad is None
    (x * 3).backward()
    assert x.grad.item() == 3.0


def test_a_leaf_is_what_no_recorded_op_made():
    x = leaf(1.0)
    assert x.is_leaf
    assert not (x * 2).is_leaf
    assert (x * 2).detach().is_leaf
    assert (ag.Tensor([1.0]) * 2).is_leaf
    with ag.no_grad():
        assert (x * 2).is_leaf


@pytest.mark.parametrize("method", ["retain_grad", "register_hook"])
def test_watching_the_gradient_of_a_tensor_that_has_none_raises(method):
    arguments = [print] if method == "register_hook" else []
    with pytest.raises(RuntimeError, match=f"{method}: this Tensor does not require a gradient"):
        getattr(ag.Tensor([1.0]), method)(*arguments)


def test_detach_gives_the_same_array_without_history():
    x = leaf(1.0, 2.0)
    y = x * 2
    d = y.detach()
    assert d.data is y.data
    assert not d.requires_grad
    ((d * x).sum()).backward()
    np.testing.assert_array_equal(x.grad.data, d.data)


# ---------------------------------------------------------------------- the array


@pytest.mark.parametrize("make", [
    lambda x: ag.Tensor(1.0),
    lambda x: ag.Tensor(np.float32(1)),
    lambda x: x.sum(),
    lambda x: x[0],
    lambda x: x.mean() + 1,
    lambda x: x.detach().max(),
    lambda x: ag.where(True, x.sum(), 0.0),
    lambda x: ag.gradients((x * x).sum() * 1.0, [x])[0][0],
    lambda x: ag.gradients(x.sum() * x.sum(), [x], create_graph=True)[0].sum(),
    lambda x: x @ x,
])
def test_data_is_always_an_ndarray_also_without_axes(make):
    data = make(leaf(1.0, 2.0)).data
    assert type(data) is np.ndarray
    assert data.shape == ()


def test_shape_ndim_dtype_and_size_are_the_array_s():
    t = ag.Tensor(np.zeros((2, 3, 0), np.float16))
    assert (t.shape, t.ndim, t.dtype, t.size) == ((2, 3, 0), 3, np.float16, 0)


def test_setting_data_takes_an_array_of_the_same_shape_and_dtype():
    x = leaf(1.0, 2.0)
    new = np.array([3.0, 4.0])
    x.data = new
    assert x.data is new
    (x * x).sum().backward()
    np.testing.assert_array_equal(x.grad.data, [6, 8])


@pytest.mark.parametrize(("new", "given"), [
    (np.ones(3), r"\(3,\) float64"),
    (np.ones(2, np.float32), r"\(2,\) float32"),
    (np.ones((1, 2)), r"\(1, 2\) float64"),
    ([1.0, 2.0], r"list \[1.0, 2.0\]"),
    (None, "NoneType None"),
    (ag.Tensor(np.ones(2)), r"Tensor Tensor\(\[1., 1.\]"),
])
def test_setting_data_to_anything_else_raises(new, given):
    x = leaf(1.0, 2.0)
    with pytest.raises(ValueError, match=rf"Tensor.data: expected an array \(2,\) float64, got {given}"):
        x.data = new
    np.testing.assert_array_equal(x.data, [1, 2])


def test_setting_data_does_not_change_a_saved_value():
    x, w = leaf(1.0, 2.0), leaf(5.0, 6.0)
    y = (x * w).sum()
    x.data, w.data = np.zeros(2), np.zeros(2)
    y.backward()
    np.testing.assert_array_equal(x.grad.data, [5, 6])
    np.testing.assert_array_equal(w.grad.data, [1, 2])


def test_numpy_is_a_copy():
    x = leaf(1.0, 2.0)
    array = x.numpy()
    array[0] = 9
    assert type(array) is np.ndarray
    np.testing.assert_array_equal(x.data, [1, 2])


@pytest.mark.parametrize("shape", [(), (1,), (1, 1, 1)])
def test_one_element_becomes_a_python_number(shape):
    x = ag.Tensor(np.full(shape, 2.5), requires_grad=True)
    assert (x.item(), float(x), int(x), complex(x)) == (2.5, 2.5, 2, 2.5 + 0j)
    assert [type(number) for number in (x.item(), float(x), int(x))] == [float, float, int]
    assert bool(x)
    assert not x - 2.5


@pytest.mark.parametrize("convert", [float, int, complex, lambda t: t.item()])
@pytest.mark.parametrize("shape", [(2,), (0,), (3, 1)])
def test_several_elements_do_not_become_one_number(convert, shape):
    message = rf"item: a Tensor of shape \({', ?'.join(map(str, shape))},?\) has {np.prod(shape)} elements, not one"
    with pytest.raises(ValueError, match=message):
        convert(ag.Tensor(np.zeros(shape)))


def test_the_truth_of_several_elements_is_ambiguous():
    with pytest.raises(ValueError, match=r"truth value .* is ambiguous"):
        bool(leaf(1.0, 2.0))


def test_len_is_the_length_of_the_first_axis():
    assert len(ag.Tensor(np.zeros((3, 2)))) == 3
    with pytest.raises(TypeError, match="len: a Tensor without axes has no length"):
        len(ag.Tensor(1.0))


def test_items_cannot_be_assigned_and_the_error_names_the_way():
    x = leaf(1.0, 2.0)
    for key in (0, slice(None), [True, False]):
        with pytest.raises(TypeError, match=r"items cannot be assigned.*where\(mask, value, x\) or put\(x, key"):
            x[key] = 0.0
    with pytest.raises(TypeError, match="items cannot be assigned"):
        x[0] += 1.0
    np.testing.assert_array_equal(x.data, [1, 2])
    np.testing.assert_array_equal(ag.put(x, 0, 0.0).data, [0, 2])
    np.testing.assert_array_equal(ag.where([True, False], 0.0, x).data, [0, 2])


@pytest.mark.parametrize(("make", "text"), [
    (lambda: ag.Tensor([1.0, 2.0]), "Tensor([1., 2.], dtype=float32)"),
    (lambda: ag.Tensor(2), "Tensor(2, dtype=int64)"),
    (lambda: leaf(1.0), "Tensor([1.], dtype=float64, requires_grad=True)"),
    (lambda: leaf(1.0) * 2, "Tensor([2.], dtype=float64, op=multiply)"),
    (lambda: ag.split(leaf(1.0, 2.0), 2)[1], "Tensor([2.], dtype=float64, op=split)"),
    (lambda: ag.Tensor(np.zeros((0, 2))), "Tensor([], dtype=float64)"),
    (lambda: ag.Tensor([[1.0], [2.0]]), "Tensor([[1.],\n        [2.]], dtype=float32)"),
])
def test_repr_shows_the_values_the_dtype_and_what_made_it(make, text):
    assert repr(make()) == text


def test_repr_of_a_large_tensor_is_short():
    assert len(repr(ag.Tensor(np.zeros((1000, 1000))))) < 1000


def test_a_tensor_is_its_own_key_though_equality_is_by_element():
    x, same = leaf(1.0), leaf(1.0)
    assert {x: "x", same: "same"}[x] == "x"
    assert (x == same).all()


def test_a_tensor_takes_no_other_attributes():
    with pytest.raises(AttributeError):
        leaf(1.0).name = "x"
    with pytest.raises(AttributeError):
        leaf(1.0).no_such_thing


# ---------------------------------------------------------------------- .grad


def test_grad_is_none_before_backward():
    assert leaf(1.0).grad is None
    assert (leaf(1.0) * 2).grad is None
    assert ag.Tensor([1.0]).grad is None


def test_grad_can_be_set_to_a_fitting_tensor_or_none():
    x, g = leaf(1.0, 2.0), ag.Tensor(np.array([10.0, 20.0]))
    x.grad = g
    assert x.grad is g
    (x * 1).sum().backward()
    np.testing.assert_array_equal(x.grad.data, [11, 21])
    np.testing.assert_array_equal(g.data, [10, 20])
    x.grad = None
    assert x.grad is None


@pytest.mark.parametrize(("grad", "given"), [
    (ag.Tensor(np.ones(3)), r"\(3,\) float64"),
    (ag.Tensor(np.ones(2, np.float32)), r"\(2,\) float32"),
    (np.ones(2), "ndarray"),
    (0.0, "float 0.0"),
])
def test_grad_cannot_be_set_to_anything_else(grad, given):
    x = leaf(1.0, 2.0)
    with pytest.raises(ValueError, match=rf"grad: expected None or a Tensor \(2,\) float64, got {given}"):
        x.grad = grad


# ---------------------------------------------------------------------- copying


def by_pickle(thing: Any) -> Any:
    return pickle.loads(pickle.dumps(thing))


COPIES = pytest.mark.parametrize("duplicate", [copy.copy, copy.deepcopy, by_pickle])
DEEP_COPIES = pytest.mark.parametrize("duplicate", [copy.deepcopy, by_pickle])


@COPIES
def test_a_copied_leaf_has_value_gradient_and_a_node_of_its_own(duplicate):
    x = leaf(1.0, 2.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    twin = duplicate(x)
    np.testing.assert_array_equal(twin.data, [1, 2])
    np.testing.assert_array_equal(twin.grad.data, [2, 4])
    assert twin.requires_grad
    assert twin._node is not x._node
    y.backward()  # x's graph, not the twin's
    np.testing.assert_array_equal(x.grad.data, [4, 8])
    np.testing.assert_array_equal(twin.grad.data, [2, 4])
    (twin * 3).sum().backward()
    np.testing.assert_array_equal(twin.grad.data, [5, 7])
    np.testing.assert_array_equal(x.grad.data, [4, 8])


@DEEP_COPIES
def test_a_deep_copy_shares_no_memory(duplicate):
    x = leaf(1.0, 2.0)
    x.sum().backward()
    twin = duplicate(x)
    assert not np.shares_memory(x.data, twin.data)
    assert not np.shares_memory(x.grad.data, twin.grad.data)


@DEEP_COPIES
def test_copies_keep_ties(duplicate):
    x, other = leaf(1.0), leaf(1.0)
    model = duplicate({"encoder": [x, other], "decoder": x})
    assert model["encoder"][0] is model["decoder"]
    assert model["encoder"][1] is not model["decoder"]
    (model["encoder"][0] * model["decoder"]).backward()
    assert model["decoder"].grad.item() == 2.0


@COPIES
@pytest.mark.parametrize("value", [np.arange(3), np.zeros((0, 2)), np.array(2.5), np.array([1j])])
def test_a_tensor_without_gradient_is_copied_as_one(duplicate, value):
    twin = duplicate(ag.Tensor(value))
    assert not twin.requires_grad
    assert twin.dtype == value.dtype
    np.testing.assert_array_equal(twin.data, value)


@COPIES
def test_a_non_leaf_is_not_copied_and_the_error_says_detach(duplicate):
    y = leaf(1.0) * 2
    with pytest.raises(TypeError, match=r"copy, deepcopy and pickle: this Tensor was made by an op.*\.detach\(\)"):
        duplicate(y)
    np.testing.assert_array_equal(duplicate(y.detach()).data, [2])


@COPIES
def test_a_leaf_whose_gradient_is_part_of_a_graph_is_copied_with_the_gradient_s_value(duplicate):
    x = leaf(3.0)
    (x * x).backward(create_graph=True)
    twin = duplicate(x)
    assert twin.grad.item() == 6.0
    assert not twin.grad.requires_grad


@DEEP_COPIES
def test_a_leaf_copied_under_no_grad_still_requires_a_gradient(duplicate):
    x = leaf(1.0)
    with ag.no_grad():
        assert duplicate(x).requires_grad


@pytest.mark.parametrize("function", [ag.Tensor.__init__, ag.Tensor.__array__, ag.set_default_dtype])
def test_annotations_can_be_resolved(function):
    assert "dtype" in get_type_hints(function)
