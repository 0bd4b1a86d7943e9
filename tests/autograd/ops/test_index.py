"""Reading, replacing and adding into elements, with every form of index that NumPy knows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import autograd as ag
from autograd.ops import index
from tests.autograd.ops import naive

MANY = settings(max_examples=80)
ARRAY = index.ARRAY


def leaf(value: Any) -> ag.Tensor:
    return ag.Tensor(np.asarray(value, np.float64), requires_grad=True)


def numbered(shape: tuple) -> np.ndarray:
    return np.arange(1.0, math.prod(shape) + 1).reshape(shape)


@st.composite
def shapes_and_keys(draw: Any) -> tuple[tuple, Any]:
    """A shape, and a key of ints, slices, None, an ellipsis, integer arrays and masks that is valid for it."""
    shape = draw(hnp.array_shapes(min_dims=1, max_dims=4, max_side=3))
    dots = draw(st.sampled_from([None, *range(len(shape) + 1)]))  # before which axis the ellipsis stands
    stop = draw(st.integers(0, len(shape)))  # how many axes the key names
    together = draw(st.sampled_from([(), (1,), (2,), (2, 1)]))  # the shape of all integer arrays
    axis, key = 0, []
    while axis < stop:
        if axis == dots:
            key.append(Ellipsis)
            axis += draw(st.integers(0, len(shape) - axis))
            dots, stop = None, len(shape)
            continue
        n = shape[axis]
        kind = draw(st.sampled_from(["int", "slice", "slice", "array", "mask", "new"]))
        if kind == "new":
            key.append(None)
            if len(key) > 6:
                break
            continue
        if kind == "int":
            key.append(draw(st.integers(-n, n - 1)))
        elif kind == "slice":
            key.append(draw(st.slices(n)))
        elif kind == "array":
            key.append(draw(hnp.arrays(np.int64, together, elements=st.integers(-n, n - 1))))
        else:  # of as many places as the arrays are long, or else they would not broadcast
            count = together[0] if together and together[-1] == together[0] and together[0] <= n else 1
            mask = np.zeros(n, bool)
            mask[draw(st.permutations(range(n)))[:count]] = True
            key.append(mask)
        axis += 1
    return shape, tuple(key) if len(key) != 1 or draw(st.booleans()) else key[0]


@given(shape_and_key=shapes_and_keys())
@settings(max_examples=150)
def test_reading_gives_what_numpy_gives_and_gradients_go_to_the_places_read(shape_and_key):
    shape, key = shape_and_key
    array = numbered(shape)
    x = leaf(array)
    expected = np.asarray(array[key])
    out = x[key]
    assert out.shape == expected.shape
    np.testing.assert_array_equal(out.data, expected)
    g = np.random.default_rng(0).standard_normal(out.shape)
    added = np.zeros(shape)
    np.add.at(added, key, g)
    (given_back,) = ag.gradients(out, [x], g=g)
    np.testing.assert_allclose(given_back.data, added, rtol=1e-12, atol=1e-12)


@given(shape_and_key=shapes_and_keys(), data=st.data())
@MANY
def test_putting_gives_what_an_assignment_gives(shape_and_key, data):
    shape, key = shape_and_key
    places = naive.places(key, shape)
    value = -1 - np.arange(math.prod(places.shape), dtype=float).reshape(places.shape)
    if places.ndim and data.draw(st.booleans()):
        value = value[:1]  # which broadcasts
    x, v = leaf(numbered(shape)), leaf(value)
    if len(np.unique(places)) < places.size:
        with pytest.raises(ValueError, match=r"put: the key names a place more than once; add up the values first"):
            ag.put(x, key, v)
        return
    expected = numbered(shape)
    expected[key] = value
    out = ag.put(x, key, v)
    np.testing.assert_array_equal(out.data, expected)
    np.testing.assert_array_equal(x.data, numbered(shape))
    g = np.random.default_rng(0).standard_normal(shape)
    g_x, g_v = ag.gradients(out, [x, v], g=g)
    kept = g.copy()
    kept[key] = 0
    np.testing.assert_array_equal(g_x.data, kept)
    read = np.asarray(g[key])
    np.testing.assert_allclose(g_v.data, read if value.shape == read.shape else read.sum(0, keepdims=True))


@pytest.mark.parametrize("key", [
    pytest.param((slice(None, None, -2), 1), id="strided"),
    pytest.param(([0, 2, 0], slice(1, 3)), id="repeated-rows"),
    pytest.param(([0, 2], None, [1, 1]), id="arrays-apart"),
    pytest.param(np.arange(12).reshape(3, 4) % 3 == 0, id="mask"),
    pytest.param((np.array([True, False, True]), 0), id="mask-of-rows"),
    pytest.param((..., np.array(1)), id="array-without-axes"),
])
def test_reading_and_adding_into_are_right_to_second_order_and_each_other_s_transpose(key):
    x = np.random.default_rng(0).standard_normal((3, 4))
    report = ag.gradcheck(lambda t: index.index(t, key), x, order=2)
    assert report, report
    rest, arrays = index._apart(key)
    out = index.getitem(x, *arrays, key=rest)
    y = np.random.default_rng(1).standard_normal(np.shape(out))
    added = ag.scatter(y, *arrays, key=rest, shape=(3, 4))
    np.testing.assert_allclose(np.sum(out * y), np.sum(x * added))
    np.testing.assert_allclose(added, naive.scatter(y, key, (3, 4)), atol=1e-15)
    report = ag.gradcheck(lambda t: ag.scatter(t, *arrays, key=rest, shape=(3, 4)), y, order=2)
    assert report, report


def test_lists_and_tensors_of_integers_are_indices():
    x = leaf([1.0, 2.0, 3.0])
    assert x[[0, 2]].data.tolist() == [1, 3]
    assert x[ag.Tensor([2, 2])].data.tolist() == [3, 3]
    assert x[[True, False, True]].data.tolist() == [1, 3]
    assert x[[]].shape == (0,)
    assert x[np.int64(1)].item() == 2
    assert x[np.uint8([1])].data.tolist() == [2]


def test_true_and_false_are_masks_without_axes():
    x = leaf([1.0, 2.0])
    assert x[True].shape == (1, 2)
    assert x[False].shape == (0, 2)


def test_a_slice_is_a_view_of_the_tensor_s_memory():
    x = leaf(np.ones((3, 4)))
    assert np.shares_memory(x[1:, ::2].data, x.data)
    assert not np.shares_memory(x[[0, 1]].data, x.data)


# ---------------------------------------------------------------------- take


@given(data=st.data(), shape=hnp.array_shapes(min_dims=1, max_dims=3, max_side=4))
@settings(max_examples=30)
def test_take_reads_along_an_axis(data, shape):
    axis = data.draw(st.none() | st.integers(-len(shape), len(shape) - 1))
    n = math.prod(shape) if axis is None else shape[axis]
    indices = data.draw(hnp.arrays(np.int64, hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=3),
                                   elements=st.integers(-n, n - 1)))
    x = leaf(numbered(shape))
    out = ag.take(x, indices, axis)
    expected = np.take(x.data, indices, axis)
    assert out.shape == expected.shape
    np.testing.assert_array_equal(out.data, expected)
    g = np.random.default_rng(0).standard_normal(out.shape)
    added = np.zeros(x.size)
    np.add.at(added, np.take(np.arange(x.size).reshape(shape), indices, axis), g)
    (given_back,) = ag.gradients(out, [x], g=g)
    np.testing.assert_allclose(given_back.data.ravel(), added, atol=1e-12)


def test_take_takes_lists():
    assert ag.take([[1.0, 2.0], [3.0, 4.0]], [1, 1, 0], axis=1).tolist() == [[2, 2, 1], [4, 4, 3]]
    assert ag.take([1.0, 2.0], 1) == 2


# ---------------------------------------------------------------------- put, scatter


def test_put_keeps_the_dtype_of_what_it_puts_into():
    x = ag.Tensor([1.0, 2.0], requires_grad=True)
    assert ag.put(x, 0, 3.0).dtype == np.float32
    value = leaf(3.0)
    (g,) = ag.gradients(ag.put(x, 0, value).sum(), [value])
    assert g.dtype == np.float64


def test_put_replaces_a_nan_and_its_gradient():
    x = leaf([0.0, 4.0])
    out = ag.put(ag.sqrt(x), 0, 7.0)
    assert out.data.tolist() == [7, 2]
    (g,) = ag.gradients(out.sum(), [x])
    assert g.data.tolist() == [0, 0.25]


@pytest.mark.parametrize("key", [[0, 0], [0, -3], ([1, 1],), np.array([[0, 1], [1, 2]])])
def test_put_refuses_a_place_that_comes_twice(key):
    with pytest.raises(ValueError, match="put: the key names a place more than once; add up the values first"):
        ag.put(leaf([1.0, 2.0, 3.0]), key, 0.0)


def test_scatter_adds_up_where_a_place_comes_twice():
    out = ag.scatter(leaf([1.0, 2.0, 4.0]), np.array([0, 2, 0]), key=(ARRAY,), shape=(3,))
    assert out.data.tolist() == [5, 0, 2]


# ---------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(("key", "error", "message"), [
    pytest.param(3, IndexError, r"getitem: index 3 is out of bounds .*x \(3,\) float64", id="out of range"),
    pytest.param(-4, IndexError, r"getitem: index -4 is out of bounds .*x \(3,\) float64", id="out of range, negative"),
    pytest.param([0, 3], IndexError, r"getitem: index 3 is out of bounds .*x \(3,\) float64", id="array out of range"),
    pytest.param((0, 0), IndexError, r"getitem: too many indices .*x \(3,\) float64", id="too many"),
    pytest.param([True, False], IndexError, r"getitem: boolean index did not match .*x \(3,\) float64", id="mask"),
    pytest.param(1.0, TypeError, "getitem: an index must be an integer, a slice or a mask, got float64", id="float"),
    pytest.param([0.5], TypeError, "getitem: an index must be an integer, a slice or a mask, got float64", id="floats"),
])
def test_an_index_that_does_not_fit_is_refused_by_name(key, error, message):
    with pytest.raises(error, match=message):
        leaf([1.0, 2.0, 3.0])[key]


def test_put_names_itself_and_what_was_given():
    x = leaf([1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"put: .*x \(3,\) float64, value \(2,\) float64"):
        ag.put(x, slice(None), np.ones(2))
    with pytest.raises(IndexError, match=r"put: index 5 is out of bounds .*x \(3,\) float64"):
        ag.put(x, 5, 0.0)
    with pytest.raises(TypeError, match=r"put: .*complex"):
        ag.put(x, slice(None), np.array([1j]))


def test_take_names_itself_and_the_axis():
    with pytest.raises(ValueError, match="take: axis 1 does not exist; x has 1 axes"):
        ag.take(leaf([1.0, 2.0]), 0, axis=1)
