"""Ops that move elements about: against NumPy for drawn shapes, and gradients that go back where they came from.

The same NumPy function applied to the elements' flat numbers tells where each element of the result came from; so
the gradient of an element is the sum of the cotangents at those places, with no calculus at all.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import autograd as ag
from autograd.ops.shape import sum_to

SHAPES = hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=4)
FULL_SHAPES = hnp.array_shapes(min_dims=1, max_dims=3, max_side=4)
FEW = settings(max_examples=25)


def leaf(value: Any) -> ag.Tensor:
    return ag.Tensor(np.asarray(value, np.float64), requires_grad=True)


def outputs(result: Any) -> tuple:
    return tuple(result) if isinstance(result, (tuple, list)) else (result,)


def check_moves(f: Callable, on_arrays: Callable, *shapes: tuple) -> None:
    """f on Tensors of those shapes is on_arrays on arrays, and gradients follow the elements (0 is a constant)."""
    sizes = [math.prod(shape) for shape in shapes]
    numbers = np.split(np.arange(1, sum(sizes) + 1), np.cumsum(sizes)[:-1])
    numbers = [n.reshape(shape) for n, shape in zip(numbers, shapes, strict=True)]
    xs = [leaf(n) for n in numbers]
    outs, expected = outputs(f(*xs)), outputs(on_arrays(*numbers))
    rng = np.random.default_rng(0)
    came_to = np.zeros(sum(sizes) + 1)
    found = [np.zeros(shape) for shape in shapes]
    assert len(outs) == len(expected)
    for out, source in zip(outs, expected, strict=True):
        assert type(out) is ag.Tensor
        np.testing.assert_array_equal(out.data, source, strict=False)
        assert out.shape == source.shape
        g = rng.standard_normal(out.shape)
        np.add.at(came_to, source, g)
        for total, part in zip(found, ag.gradients(out, xs, g=g, retain_graph=True), strict=True):
            total += part.data
    for n, total in zip(numbers, found, strict=True):
        np.testing.assert_allclose(total, came_to[n], rtol=1e-12, atol=1e-12)


@st.composite
def axes_of(draw: Any, ndim: int, min_size: int = 0) -> tuple[int, ...]:
    """Some different axes, each counted from the front or from the back."""
    some = draw(st.lists(st.integers(0, ndim - 1), unique=True, min_size=min_size, max_size=ndim))
    return tuple(a - ndim if draw(st.booleans()) else a for a in some)


@st.composite
def axis_of(draw: Any, ndim: int) -> int:
    return draw(st.integers(-ndim, ndim - 1))


# ---------------------------------------------------------------------- order of the axes


@given(data=st.data(), shape=SHAPES)
@FEW
def test_transpose(data, shape):
    axes = data.draw(axes_of(len(shape), min_size=len(shape)) | st.none())
    check_moves(lambda x: ag.transpose(x, axes), lambda x: np.transpose(x, axes), shape)


@given(data=st.data(), shape=SHAPES)
@FEW
def test_moveaxis_and_swapaxes(data, shape):
    a, b = data.draw(axis_of(len(shape))), data.draw(axis_of(len(shape)))
    check_moves(lambda x: ag.moveaxis(x, a, b), lambda x: np.moveaxis(x, a, b), shape)
    check_moves(lambda x: ag.swapaxes(x, a, b), lambda x: np.swapaxes(x, a, b), shape)


def test_moveaxis_takes_several_axes():
    check_moves(lambda x: ag.moveaxis(x, (0, -1), (1, 0)), lambda x: np.moveaxis(x, (0, -1), (1, 0)), (2, 3, 4))


@given(data=st.data(), shape=SHAPES)
@FEW
def test_flip(data, shape):
    axis = data.draw(st.none() | axis_of(len(shape)) | axes_of(len(shape)))
    check_moves(lambda x: ag.flip(x, axis), lambda x: np.flip(x, axis), shape)


@given(data=st.data(), shape=FULL_SHAPES)
@FEW
def test_roll(data, shape):
    axis = data.draw(st.none() | axis_of(len(shape)) | axes_of(len(shape), min_size=1))
    shift: Any = data.draw(st.integers(-5, 5))
    if isinstance(axis, tuple):
        shift = tuple(data.draw(st.integers(-5, 5)) for _ in axis)
    check_moves(lambda x: ag.roll(x, shift, axis), lambda x: np.roll(x, shift, axis), shape)


@pytest.mark.parametrize(("shift", "axis"), [((1, 2), 1), (1, (0, 1)), ([1, 2], [0, 1])])
def test_roll_takes_shifts_and_axes_as_numpy_does(shift, axis):
    check_moves(lambda x: ag.roll(x, shift, axis), lambda x: np.roll(x, shift, axis), (3, 4))


# ---------------------------------------------------------------------- shapes


@given(data=st.data(), shape=SHAPES)
@FEW
def test_reshape_and_flatten(data, shape):
    size = math.prod(shape)
    new = data.draw(st.sampled_from([(size,), (1, size), (size, 1, 1), shape[::-1], *([(-1, 1)] if size else [])]))
    check_moves(lambda x: ag.reshape(x, new), lambda x: np.reshape(x, new), shape)
    start = data.draw(st.integers(0, len(shape) - 1))
    check_moves(lambda x: ag.flatten(x, start), lambda x: x.reshape(*shape[:start], math.prod(shape[start:])), shape)


@given(data=st.data(), shape=SHAPES)
@FEW
def test_expand_dims_and_squeeze(data, shape):
    axis = data.draw(st.integers(-len(shape) - 1, len(shape)))
    check_moves(lambda x: ag.expand_dims(x, axis), lambda x: np.expand_dims(x, axis), shape)
    check_moves(ag.squeeze, np.squeeze, shape)
    ones = tuple(a for a, n in enumerate(shape) if n == 1)
    check_moves(lambda x: ag.squeeze(x, ones), lambda x: np.squeeze(x, ones), shape)


def test_expand_dims_takes_several_axes():
    check_moves(lambda x: ag.expand_dims(x, (0, -1)), lambda x: np.expand_dims(x, (0, -1)), (2, 3))


@given(shapes=hnp.mutually_broadcastable_shapes(num_shapes=1, base_shape=(2, 3, 4), min_dims=0, max_dims=3))
@FEW
def test_broadcast_to(shapes):
    (shape,) = shapes.input_shapes
    check_moves(lambda x: ag.broadcast_to(x, (2, 3, 4)), lambda x: np.broadcast_to(x, (2, 3, 4)), shape)


@given(shapes=hnp.mutually_broadcastable_shapes(num_shapes=1, base_shape=(2, 3, 4), min_dims=0, max_dims=3))
@FEW
def test_sum_to_is_the_transpose_of_broadcast_to(shapes):
    (shape,) = shapes.input_shapes
    rng = np.random.default_rng(0)
    small, large = rng.standard_normal(shape), rng.standard_normal((2, 3, 4))
    np.testing.assert_allclose(np.sum(np.broadcast_to(small, (2, 3, 4)) * large), np.sum(small * sum_to(large, shape)))
    (g,) = ag.gradients(sum_to(x := leaf(large), shape), [x], g=small)
    np.testing.assert_array_equal(g.data, np.broadcast_to(small, (2, 3, 4)))


# ---------------------------------------------------------------------- joining and cutting


@given(data=st.data(), shape=SHAPES)
@FEW
def test_concatenate(data, shape):
    axis = data.draw(axis_of(len(shape)) | st.none())
    lengths = data.draw(st.lists(st.integers(0, 3), min_size=1, max_size=4))
    at = 0 if axis is None else axis % len(shape)
    shapes = [(*shape[:at], n, *shape[at + 1 :]) for n in lengths]
    check_moves(lambda *xs: ag.concatenate(xs, axis), lambda *xs: np.concatenate(xs, axis), *shapes)


@given(data=st.data(), shape=SHAPES, n=st.integers(1, 3))
@FEW
def test_stack(data, shape, n):
    axis = data.draw(st.integers(-len(shape) - 1, len(shape)))
    check_moves(lambda *xs: ag.stack(xs, axis), lambda *xs: np.stack(xs, axis), *[shape] * n)


def test_stack_makes_an_axis_for_numbers():
    check_moves(lambda *xs: ag.stack(xs), lambda *xs: np.stack(xs), (), (), ())


@given(data=st.data(), shape=SHAPES)
@FEW
def test_split_before_indices(data, shape):
    axis = data.draw(axis_of(len(shape)))
    indices = sorted(data.draw(st.lists(st.integers(0, shape[axis] + 2), max_size=3)))
    check_moves(lambda x: ag.split(x, indices, axis), lambda x: np.split(x, indices, axis), shape)


@pytest.mark.parametrize(("sections", "axis"), [(1, 0), (2, 1), (3, 1), (6, -1), (2, -2)])
def test_split_into_equal_sections(sections, axis):
    check_moves(lambda x: ag.split(x, sections, axis), lambda x: np.split(x, sections, axis), (2, 6))


def test_split_takes_an_index_from_the_back():
    check_moves(lambda x: ag.split(x, [-1]), lambda x: np.split(x, [-1]), (4,))


def test_a_part_of_a_split_that_is_not_used_gets_zeros():
    x = leaf(np.arange(4.0))
    first, _, last = ag.split(x, [1, 3])
    (g,) = ag.gradients((first * last).sum(), [x])
    assert g.data.tolist() == [3, 0, 0, 0]


# ---------------------------------------------------------------------- copies of elements


@given(data=st.data(), shape=SHAPES)
@FEW
def test_repeat(data, shape):
    axis = data.draw(axis_of(len(shape)) | st.none())
    length = math.prod(shape) if axis is None else shape[axis]
    repeats = data.draw(st.integers(0, 3) | st.lists(st.integers(0, 3), min_size=length, max_size=length))
    check_moves(lambda x: ag.repeat(x, repeats, axis), lambda x: np.repeat(x, repeats, axis), shape)


@given(shape=SHAPES, reps=st.integers(0, 3) | st.lists(st.integers(0, 3), max_size=4).map(tuple))
@FEW
def test_tile(shape, reps):
    check_moves(lambda x: ag.tile(x, reps), lambda x: np.tile(x, reps), shape)


@given(data=st.data(), shape=SHAPES)
@FEW
def test_pad(data, shape):
    width = st.integers(0, 2)
    pair = st.tuples(width, width)
    pairs = st.lists(pair, min_size=len(shape), max_size=len(shape)).map(tuple)
    widths = data.draw(width | pair | pairs | st.tuples(pair))
    check_moves(lambda x: ag.pad(x, widths), lambda x: np.pad(x, widths), shape)


def test_pad_takes_the_constant():
    x = np.ones((2, 2))
    np.testing.assert_array_equal(ag.pad(x, 1, constant_values=-np.inf), np.pad(x, 1, constant_values=-np.inf))


@given(hnp.arrays(st.sampled_from([np.float32, np.int64, np.bool_]), hnp.array_shapes(min_dims=0, max_dims=3)),
       st.data())
def test_pad_is_numpys(x, data):
    sides = st.tuples(st.integers(0, 3), st.integers(0, 3))
    widths = data.draw(st.integers(0, 3) | sides | st.tuples(*[sides] * x.ndim))
    constants = data.draw(st.integers(0, 2) | st.floats(-2, 2) | st.tuples(st.integers(0, 2), st.integers(0, 2)))
    expected = np.pad(x, widths or 0, constant_values=constants)
    found = ag.pad(x, widths or 0, constant_values=constants)
    assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)


def test_pad_takes_unsigned_widths_and_casts_constants_as_numpy_does():
    x = np.ones((2, 3))
    np.testing.assert_array_equal(ag.pad(x, np.array([1, 2], np.uint64)), np.pad(x, (1, 2)))
    np.testing.assert_array_equal(ag.pad(x.astype(np.uint8), 1, constant_values=np.int64(-1)),
                                  np.pad(x.astype(np.uint8), 1, constant_values=np.int64(-1)))
    with pytest.raises(ValueError, match="pad: cannot convert float NaN to integer"):
        ag.pad(x.astype(np.int8), 1, constant_values=np.nan)


@pytest.mark.parametrize("widths", [1.5, "a", {0: 1}])
def test_pad_wants_whole_numbers(widths):
    with pytest.raises(TypeError, match="pad: pad_width must be a whole number, a pair of them or a pair for each"):
        ag.pad(np.ones((2, 3)), widths)


@pytest.mark.parametrize("f", [
    lambda x: ag.reshape(x, -1), lambda x: ag.transpose(x, (1, 2, 0)), lambda x: ag.roll(x, 1, 1),
    lambda x: ag.pad(x, 1), lambda x: ag.tile(x, (2, 1, 1)), lambda x: ag.repeat(x, (1, 2), 0),
    lambda x: ag.flip(x, 1), lambda x: ag.concatenate([x, x], 2), lambda x: ag.stack([x, x], 1),
    lambda x: ag.split(x, [1], 1), lambda x: ag.broadcast_to(x, (2, 2, 3, 1)),
], ids=["reshape", "transpose", "roll", "pad", "tile", "repeat", "flip", "concatenate", "stack", "split",
        "broadcast_to"])
def test_what_moves_elements_is_right_to_second_order(f):
    report = ag.gradcheck(f, np.random.default_rng(0).standard_normal((2, 3, 1)), order=2)
    assert report, report


# ---------------------------------------------------------------------- errors name the op and show what was given


@pytest.mark.parametrize(("f", "message"), [
    pytest.param(lambda x: ag.reshape(x, (4, 2)), r"reshape: .*x \(2, 3\) float64, shape=\(4, 2\)", id="reshape"),
    pytest.param(lambda x: ag.transpose(x, (0, 0)), r"transpose: .*x \(2, 3\) float64, axes=\(0, 0\)", id="transpose"),
    pytest.param(lambda x: ag.broadcast_to(x, (3, 2)), r"broadcast_to: .*x \(2, 3\) float64, shape=\(3, 2\)",
                 id="broadcast_to"),
    pytest.param(lambda x: ag.roll(x, 1, 2), r"roll: axis 2 is out of bounds .*x \(2, 3\) float64", id="roll"),
    pytest.param(lambda x: ag.pad(x, -1), r"pad: .*x \(2, 3\) float64, pad_width=-1", id="pad"),
    pytest.param(lambda x: ag.pad(x, 1, mode="edge"), r"pad: mode 'edge' is not supported, only 'constant'; use take",
                 id="pad-mode"),
    pytest.param(lambda x: ag.concatenate([x, np.ones((2, 2))]),
                 r"concatenate: .*xs\[0\] \(2, 3\) float64, xs\[1\] \(2, 2\) float64, axis=0", id="concatenate"),
    pytest.param(lambda x: ag.concatenate([]), r"concatenate: need at least one array", id="concatenate-nothing"),
    pytest.param(lambda x: ag.split(x, 2, 1), r"split: an axis of length 3 cannot be cut into 2 equal sections",
                 id="split-sections"),
    pytest.param(lambda x: ag.split(x, 2, 2), r"split: axis 2 does not exist; x has 2 axes", id="split-axis"),
    pytest.param(lambda x: ag.split(x, [1], 2), r"split: .*axis", id="split-indices-axis"),
    pytest.param(lambda x: ag.split(x, [2, 1], 1), r"split: .*\[2, 1\]", id="split-order"),
    pytest.param(lambda x: ag.flip(x, 2), r"flip: axis 2 does not exist; x has 2 axes", id="flip"),
    pytest.param(lambda x: ag.repeat(x, 2, 2), r"repeat: axis 2 does not exist; x has 2 axes", id="repeat"),
    pytest.param(lambda x: ag.repeat(x, -1), r"repeat: ", id="repeat-negative"),
    pytest.param(lambda x: ag.repeat(x, [1, 2], 1), r"repeat: .*\(2, 3\)", id="repeat-length"),
    pytest.param(lambda x: ag.squeeze(x, 0), r"squeeze: .*\(2, 3\)", id="squeeze"),
    pytest.param(lambda x: ag.expand_dims(x, 5), r"expand_dims: .*axis 5", id="expand_dims"),
    pytest.param(lambda x: ag.moveaxis(x, 5, 0), r"moveaxis: .*axis 5", id="moveaxis"),
    pytest.param(lambda x: ag.swapaxes(x, 5, 0), r"swapaxes: .*axis 5", id="swapaxes"),
    pytest.param(lambda x: ag.stack([x, np.ones((2, 2))]), r"stack: .*\(2, 3\).*\(2, 2\)", id="stack"),
])
def test_what_does_not_fit_is_refused_by_name(f, message):
    with pytest.raises(ValueError, match=message):
        f(leaf(np.ones((2, 3))))


def test_a_tensor_cannot_be_a_parameter():
    with pytest.raises(TypeError, match=r"roll: 'shift' is a parameter, not an input .*pass a number or a tuple"):
        ag.roll(leaf([1.0, 2.0]), leaf(1.0))


@pytest.mark.parametrize("join", [ag.concatenate, ag.stack, lambda xs: ag.concatenate(xs, axis=None)])
def test_a_list_joined_to_float64_keeps_its_digits(join):
    joined = join([ag.Tensor(np.zeros(2)), [0.1, 0.1]])
    assert joined.data.ravel().tolist() == [0, 0, 0.1, 0.1]


def test_flatten_refuses_an_axis_that_is_not_there():
    with pytest.raises(ValueError, match=r"flatten: start_axis 7 does not exist; x \(2, 3\) has 2 axes"):
        ag.flatten(np.ones((2, 3)), 7)
