"""Batch normalization: its three outputs, and the gradients through each of them."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

import autograd as ag
from tests.autograd.ops import naive


def leaf(value: Any) -> ag.Tensor:
    return ag.Tensor(np.asarray(value, np.float64), requires_grad=True)


def inputs(shape: tuple) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape) * 2 + 1, rng.uniform(0.5, 1.5, shape[-1:]), rng.standard_normal(shape[-1:])]


@pytest.mark.parametrize("shape", [(5, 3), (2, 3, 4, 2), (4, 1), (6,)])
def test_each_channel_is_normalized_over_all_other_axes(shape):
    x, weight, bias = inputs(shape)
    found = ag.batch_norm(x, weight, bias, eps=1e-3)
    for out, expected in zip(found, naive.batch_norm(x, weight, bias, eps=1e-3), strict=True):
        assert out.shape == expected.shape
        np.testing.assert_allclose(out, expected, rtol=1e-12, atol=1e-12)


def test_the_result_has_mean_0_and_variance_1_before_weight_and_bias():
    x, _, _ = inputs((50, 3))
    y, _, _ = ag.batch_norm(x, np.ones(3), np.zeros(3), eps=0.0)
    np.testing.assert_allclose(y.mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(y.var(0), 1)


@pytest.mark.parametrize("output", [0, 1, 2], ids=["y", "mean", "var"])
def test_gradients_through_each_output_alone_are_right_to_second_order(output):
    report = ag.gradcheck(lambda *ts: ag.batch_norm(*ts)[output] ** 2, *inputs((4, 3)), order=2)
    assert report, report


@pytest.mark.parametrize("wanted", [w for w in product([True, False], repeat=3) if any(w)])
def test_any_of_the_inputs_may_be_the_ones_that_want_a_gradient(wanted):
    everything = list(map(leaf, inputs((4, 3))))
    expected = ag.gradients((ag.batch_norm(*everything)[0] ** 3).sum(), everything)
    some = [leaf(a) if w else a for w, a in zip(wanted, inputs((4, 3)), strict=True)]
    xs = [t for t in some if type(t) is ag.Tensor]
    found = ag.gradients((ag.batch_norm(*some)[0] ** 3).sum(), xs)
    for g, e in zip(found, [e for w, e in zip(wanted, expected, strict=True) if w], strict=True):
        np.testing.assert_allclose(g.data, e.data, rtol=1e-12, atol=1e-12)


def test_a_channel_of_equal_numbers_stays_finite():
    x = leaf([[2.0, 1.0], [2.0, 3.0]])
    y, mean, var = ag.batch_norm(x, np.ones(2), np.zeros(2))
    assert y.data[:, 0].tolist() == [0, 0]
    (g,) = ag.gradients((y * np.array([[1.0, 2], [3, 4]])).sum(), [x])
    assert np.isfinite(g.data).all()
    np.testing.assert_allclose(g.data[:, 0], np.array([-1, 1]) / np.sqrt(1e-5))


def test_the_mean_of_what_it_gives_does_not_depend_on_x():
    x = leaf(inputs((5, 3))[0])
    y, _, _ = ag.batch_norm(x, np.ones(3), np.zeros(3))
    (g,) = ag.gradients(y.sum(), [x])
    np.testing.assert_allclose(g.data, 0, atol=1e-12)


def test_errors_name_the_shapes():
    with pytest.raises(ValueError, match=r"batch_norm: x \(4, 3\) has 3 channels, so weight and bias must be \(3,\), "
                                         r"got \(2,\) and \(3,\)"):
        ag.batch_norm(leaf(np.ones((4, 3))), np.ones(2), np.ones(3))
    with pytest.raises(ValueError, match=r"batch_norm: x \(0, 3\) has no elements to take a mean of"):
        ag.batch_norm(leaf(np.ones((0, 3))), np.ones(3), np.ones(3))
    with pytest.raises(ValueError, match=r"batch_norm: x \(\) has no channels"):
        ag.batch_norm(leaf(1.0), np.ones(3), np.ones(3))


def test_complex_numbers_are_refused():
    with pytest.raises(TypeError, match="batch_norm: it is defined for real numbers only"):
        ag.batch_norm(np.ones((2, 1)) * 1j, np.ones(1), np.ones(1))


def test_float16_holds_up_with_more_rows_than_it_can_count():
    y, _, var = ag.batch_norm(np.tile(np.array([[0.0], [1.0]], np.float16), (35_000, 1)), np.ones(1), np.zeros(1))
    assert np.isfinite(y).all()
    np.testing.assert_allclose(var, 0.25, rtol=1e-2)


def test_float16_images_get_a_variance_of_one():
    x = np.random.default_rng(0).standard_normal((64, 28, 28, 2)).astype(np.float16)
    y, _, _ = ag.batch_norm(x, np.ones(2, np.float16), np.zeros(2, np.float16))
    np.testing.assert_allclose(y.astype(float).std((0, 1, 2)), 1, rtol=1e-2)
