"""Reductions over every choice of axes, and their values and gradients at ties, zeros and infinities."""

from __future__ import annotations

import math
from itertools import combinations
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import special

import autograd as ag
from tests.autograd.ops.naive import reduced

# op -> the same on a list of numbers
REDUCTIONS = {
    "sum": (ag.sum, math.fsum),
    "mean": (ag.mean, lambda v: math.fsum(v) / len(v)),
    "var": (ag.var, lambda v: math.fsum((a - math.fsum(v) / len(v)) ** 2 for a in v) / len(v)),
    "max": (ag.max, max),
    "min": (ag.min, min),
    "prod": (ag.prod, math.prod),
    "logsumexp": (ag.logsumexp, lambda v: math.log(math.fsum(map(math.exp, v)))),
    "norm": (ag.norm, lambda v: math.hypot(*v)),
}
EACH_REDUCTION = pytest.mark.parametrize("name", REDUCTIONS)


def leaf(value: Any) -> ag.Tensor:
    return ag.Tensor(np.asarray(value, np.float64), requires_grad=True)


def distinct(shape: tuple) -> np.ndarray:
    """Numbers in random order, no two alike and none of them 0."""
    n = math.prod(shape)
    return (np.random.default_rng(n).permutation(n) * 0.3 - 0.3 * (n // 2) + 0.1).reshape(shape)


@st.composite
def shapes_and_axes(draw: Any, min_side: int = 1) -> tuple:
    """A shape, and None, an axis or some axes of it, counted from the front or from the back."""
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=3, min_side=min_side, max_side=3))
    some = draw(st.lists(st.integers(0, max(len(shape) - 1, 0)), unique=True, max_size=len(shape)))
    axes = tuple(a - len(shape) if draw(st.booleans()) else a for a in some)
    if len(axes) == 1 and draw(st.booleans()):
        return shape, axes[0]
    return shape, draw(st.sampled_from([None, axes]))


@EACH_REDUCTION
@given(shape_and_axis=shapes_and_axes(), keepdims=st.booleans())
@settings(max_examples=25)
def test_values_and_gradients_over_every_choice_of_axes(name, shape_and_axis, keepdims):
    (shape, axis), (op, on_list) = shape_and_axis, REDUCTIONS[name]
    x = distinct(shape)
    expected = reduced(on_list, axis, keepdims)(x)
    out = op(ag.Tensor(x), axis=axis, keepdims=keepdims)
    assert out.shape == expected.shape
    np.testing.assert_allclose(out.data, expected, rtol=1e-12, atol=1e-14)
    report = ag.gradcheck(lambda t: op(t, axis=axis, keepdims=keepdims), x, order=1)
    assert report, report


@EACH_REDUCTION
@pytest.mark.parametrize("axis", [None, 1, -1, (0, 2), (-1, 0, 1)])
def test_second_derivatives_over_axes(name, axis):
    op = REDUCTIONS[name][0]
    report = ag.gradcheck(lambda x: op(x, axis), distinct((2, 3, 2)) / 2, order=2)
    assert report, report


@pytest.mark.parametrize("axis", [None, 0, 1, -1, -2])
def test_running_sums_along_an_axis(axis):
    x = distinct((3, 4))
    expected = np.array([x.ravel()[: i + 1].sum() for i in range(12)]) if axis is None else \
        np.stack([x.take(range(i + 1), axis).sum(axis) for i in range(x.shape[axis])], axis)
    np.testing.assert_allclose(ag.cumsum(x, axis), expected)
    report = ag.gradcheck(lambda t: ag.cumsum(t, axis), x, order=2)
    assert report, report


@pytest.mark.parametrize("ddof", [0, 1, 2])
def test_a_variance_is_divided_by_n_less_ddof(ddof):
    x = distinct((5, 2))
    expected = ((x - x.mean(0)) ** 2).sum(0) / (5 - ddof)
    np.testing.assert_allclose(ag.var(x, 0, ddof), expected)
    report = ag.gradcheck(lambda t: ag.var(t, 0, ddof), x, order=2)
    assert report, report


@pytest.mark.filterwarnings("ignore:Degrees of freedom")
def test_a_variance_of_too_few_numbers_is_nan_and_so_is_its_gradient():
    x = leaf([[1.0, 2.0]])
    with np.errstate(all="ignore"):
        out = ag.var(x, 0, ddof=1)
    assert np.isnan(out.data).all()
    (g,) = ag.gradients(out.sum(), [x])
    assert np.isnan(g.data).all()


# ---------------------------------------------------------------------- ties


@pytest.mark.parametrize(("op", "sign"), [(ag.max, 1), (ag.min, -1)], ids=["max", "min"])
@pytest.mark.parametrize(("axis", "expected"), [
    (None, [[0, 1 / 3, 1 / 3], [1 / 3, 0, 0]]),
    ((0, 1), [[0, 1 / 3, 1 / 3], [1 / 3, 0, 0]]),
    (1, [[0, 1 / 2, 1 / 2], [1, 0, 0]]),
    (0, [[0, 1, 1], [1, 0, 0]]),
])
def test_elements_that_tie_share_the_gradient_equally(op, sign, axis, expected):
    x = leaf(sign * np.array([[1.0, 3, 3], [3, 0, 0]]))
    (g,) = ag.gradients(op(x, axis).sum(), [x])
    np.testing.assert_allclose(g.data, expected)


# ---------------------------------------------------------------------- products with zeros


def products_without(x: np.ndarray, left_out: int) -> np.ndarray:
    """For each choice of that many different places, the product of all other elements; 0 where one comes twice."""
    n = len(x)
    out = np.zeros((n,) * left_out)
    for at in np.ndindex(*out.shape):
        if len(set(at)) == left_out:
            out[at] = math.prod(x[i] for i in range(n) if i not in at)
    return out


@given(values=st.lists(st.sampled_from([0.0, 0.0, 1.0, -2.0, 0.5]), min_size=2, max_size=7))
@settings(max_examples=40)
def test_derivatives_of_a_product_are_products_of_the_others_also_at_zeros(values):
    x = leaf(values)
    (g,) = ag.gradients(ag.prod(x), [x], create_graph=True)
    np.testing.assert_allclose(g.data, products_without(x.data, 1))
    hessian = [ag.gradients(g[i], [x], retain_graph=True)[0].data for i in range(len(values))]
    np.testing.assert_allclose(hessian, products_without(x.data, 2))


@pytest.mark.parametrize("axis", [0, 1, (0, 2), None])
def test_products_over_axes_with_zeros_to_second_order(axis):
    x = distinct((2, 3, 2))
    x[0, :, 0] = 0
    x[1, 1, 1] = 0
    report = ag.gradcheck(lambda t: ag.prod(t, axis), x, order=2)
    assert report, report


# ---------------------------------------------------------------------- logsumexp, norm


@pytest.mark.parametrize("shift", [0.0, 1e4, -1e4])
def test_logsumexp_does_not_overflow(shift):
    x = leaf(np.array([1.0, 2.0, 3.0]) + shift)
    out = ag.logsumexp(x)
    np.testing.assert_allclose(out.item() - shift, special.logsumexp([1, 2, 3]), rtol=1e-11)
    (g,) = ag.gradients(out, [x])
    np.testing.assert_allclose(g.data, special.softmax([1, 2, 3]), rtol=1e-11)


def test_logsumexp_leaves_out_what_is_minus_infinity():
    x = leaf([[-np.inf, 1.0, 2.0], [-np.inf, -np.inf, 3.0]])
    out = ag.logsumexp(x, 1)
    np.testing.assert_allclose(out.data, [special.logsumexp([1, 2]), 3])
    (g,) = ag.gradients(out.sum(), [x], create_graph=True)
    np.testing.assert_allclose(g.data, [[0, *special.softmax([1, 2])], [0, 0, 1]])
    (second,) = ag.gradients((g * np.array([[1.0, 2, 3], [1, 2, 3]])).sum(), [x])
    assert np.isfinite(second.data).all()
    assert second.data[:, 0].tolist() == [0, 0]


def test_logsumexp_of_nothing_but_minus_infinity_is_that_with_gradient_0():
    x = leaf([-np.inf, -np.inf])
    out = ag.logsumexp(x)
    assert out.item() == -np.inf
    (g,) = ag.gradients(out, [x])
    assert g.data.tolist() == [0, 0]


def test_logsumexp_max_and_min_are_for_reals():
    for op in (ag.logsumexp, ag.max, ag.min):
        with pytest.raises(TypeError, match=f"{op.name}: it is defined for real numbers only"):
            op(np.array([1j]))


@pytest.mark.parametrize("unit", [1.0, 1.0 + 0j], ids=["real", "complex"])
def test_the_gradient_of_a_norm_is_0_at_0(unit):
    x = ag.Tensor(np.array([[0.0, 0.0], [3.0, 4.0]]) * unit, requires_grad=True)
    (g,) = ag.gradients(ag.norm(x, 1).sum(), [x])
    np.testing.assert_allclose(g.data, [[0, 0], [0.6, 0.8]])


# ---------------------------------------------------------------------- without elements, and errors


@EACH_REDUCTION
def test_a_reduction_over_an_axis_beside_an_empty_one_is_empty(name):
    x = leaf(np.zeros((0, 2)))
    out = REDUCTIONS[name][0](x, 1)
    assert out.shape == (0,)
    (g,) = ag.gradients(out.sum(), [x])
    assert g.shape == (0, 2)


@pytest.mark.parametrize(("op", "value"), [(ag.sum, 0.0), (ag.prod, 1.0), (ag.norm, 0.0)], ids=["sum", "prod", "norm"])
def test_a_reduction_of_nothing_is_the_neutral_element(op, value):
    x = leaf(np.zeros((0, 2)))
    out = op(x, 0)
    assert out.data.tolist() == [value, value]
    (g,) = ag.gradients(out.sum(), [x])
    assert g.shape == (0, 2)


@pytest.mark.parametrize("op", [ag.max, ag.min, ag.logsumexp], ids=["max", "min", "logsumexp"])
def test_an_extreme_of_nothing_is_refused_by_name(op):
    with pytest.raises(ValueError, match=rf"{op.name}: .*x \(0, 2\) float64, axis=0"):
        op(leaf(np.zeros((0, 2))), 0)


@pytest.mark.parametrize("name", [name for name in REDUCTIONS if name not in ("mean", "var")])
@pytest.mark.parametrize("axis", [0, -1])
def test_a_number_may_be_reduced_over_one_axis_as_in_numpy(name, axis):
    x = leaf(1.5)
    out = REDUCTIONS[name][0](x, axis)
    assert out.shape == ()
    (g,) = ag.gradients(out, [x])
    assert (out.item(), g.item()) == (1.5, 1)


@EACH_REDUCTION
def test_an_axis_that_does_not_exist_is_refused_by_name(name):
    with pytest.raises(ValueError, match=rf"{name}: axis 2 is out of bounds .*x \(2, 3\) float64"):
        REDUCTIONS[name][0](leaf(np.ones((2, 3))), 2)


def test_an_axis_that_comes_twice_is_refused_by_name():
    for a, b in combinations((0, -2), 2):
        with pytest.raises(ValueError, match=r"sum: duplicate value in 'axis' .*x \(2, 3\) float64"):
            ag.sum(leaf(np.ones((2, 3))), (a, b))


def test_the_mean_of_more_numbers_than_float16_can_count_has_a_gradient():
    x = ag.Tensor(np.ones(70_000, np.float16), requires_grad=True)
    ag.mean(x).backward()
    np.testing.assert_allclose(x.grad.data.astype(float), 1 / 70_000, rtol=1e-2)
