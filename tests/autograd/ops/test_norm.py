"""Batch normalization, its three outputs and the gradients through each of them; layer normalization."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import autograd as ag
from autograd.kernels import blocks, rows
from autograd.ops.norm import layer_norm_grads
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


def test_a_constant_channel_has_finite_gradients_in_float16():
    x, weight = ag.Tensor(np.ones((6, 2), np.float16), requires_grad=True), ag.Tensor(np.ones(2, np.float16))
    y, _, _ = ag.batch_norm(x, weight, weight)
    y.backward(np.ones((6, 2), np.float16))
    np.testing.assert_array_equal(x.grad.data, np.zeros((6, 2)))


def test_float16_images_get_a_variance_of_one():
    x = np.random.default_rng(0).standard_normal((64, 28, 28, 2)).astype(np.float16)
    y, _, _ = ag.batch_norm(x, np.ones(2, np.float16), np.zeros(2, np.float16))
    np.testing.assert_allclose(y.astype(float).std((0, 1, 2)), 1, rtol=1e-2)


# ---------------------------------------------------------------------- layer normalization


@pytest.mark.parametrize(("shape", "axes"), [((3,), 1), ((4, 1), 1), ((2, 3, 4), 1), ((2, 3, 4), 2), ((2, 3, 4), 3)])
def test_each_example_is_normalized_over_its_last_axes(shape, axes):
    rng = np.random.default_rng(0)
    x, weight, bias = rng.normal(1, 2, shape), *rng.standard_normal((2, *shape[-axes:]))
    expected = naive.layer_norm(x, weight, bias, 1e-3)
    np.testing.assert_allclose(ag.layer_norm(x, weight, bias, 1e-3), expected, rtol=1e-12, atol=1e-12)
    report = ag.gradcheck(lambda *ts: ag.layer_norm(*ts, eps=1e-3), x, weight, bias, order=2)
    assert report, report


@pytest.mark.parametrize("wanted", [w for w in product([True, False], repeat=3) if any(w)])
def test_any_of_the_inputs_of_layer_norm_may_want_a_gradient(wanted):
    everything = list(map(leaf, inputs((4, 3))))
    expected = ag.gradients((ag.layer_norm(*everything) ** 3).sum(), everything)
    some = [leaf(a) if w else a for w, a in zip(wanted, inputs((4, 3)), strict=True)]
    found = ag.gradients((ag.layer_norm(*some) ** 3).sum(), [t for t in some if type(t) is ag.Tensor])
    for g, e in zip(found, [e for w, e in zip(wanted, expected, strict=True) if w], strict=True):
        assert np.array_equal(g.data, e.data)


@given(lead=hnp.array_shapes(min_dims=0, max_dims=2, min_side=0, max_side=5),
       last=hnp.array_shapes(max_dims=2, max_side=4), dtype=st.sampled_from([np.float32, np.float64]),
       eps=st.sampled_from([0.1, 1.0]), block=st.integers(1, 40), shared=st.booleans(), seed=st.integers(0, 99))
@settings(max_examples=60)
def test_layer_norm_and_its_gradients_are_those_of_loops_however_rows_are_cut(lead, last, dtype, eps, block, shared,
                                                                              seed):
    rng = np.random.default_rng(seed)
    x, dy = (rng.normal(mean, 2, (*lead, *last)).astype(dtype) for mean in (1, 0))
    weight, bias = rng.standard_normal((2, *last)).astype(dtype)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "BLOCK", block)  # several blocks, also of single rows that are longer than a block
        patch.setattr(blocks, "_LEAST_SHARED", 0 if shared else 1 << 21)
        found = ag.layer_norm(x, weight, bias, eps), *layer_norm_grads(dy, x, weight, eps)
    wide = [a.astype(np.float64) for a in (dy, x, weight)]
    expected = naive.layer_norm(*wide[1:], bias.astype(np.float64), eps), *naive.layer_norm_grads(*wide, eps)
    for got, exact in zip(found, expected, strict=True):
        assert got.dtype == dtype
        assert got.shape == exact.shape
        bound = 100 * np.finfo(dtype).eps * (1 + np.abs(exact).max(initial=0))
        np.testing.assert_allclose(got, exact, rtol=0, atol=bound)


def backwards(dy: np.ndarray, x: np.ndarray, weight: np.ndarray, eps: float) -> tuple[np.ndarray, ...]:
    """The gradients of layer normalization for many rows (M, D), by the chain rule through the variance and the mean.

    As Ioffe and Szegedy ("Batch Normalization", 2015, section 3) write it, term by term.
    """

    def total(values: np.ndarray) -> np.ndarray:
        return values.sum(axis=1, keepdims=True)

    length, centred, by_y = x.shape[1], x - x.mean(axis=1, keepdims=True), dy * weight
    var = total(centred**2) / length + eps
    by_var = total(by_y * centred) * -0.5 * var**-1.5
    by_mean = -total(by_y) / np.sqrt(var) - 2 * by_var * total(centred) / length
    by_x = by_y / np.sqrt(var) + by_var * 2 * centred / length + by_mean / length
    return by_x, (dy * centred / np.sqrt(var)).sum(axis=0), dy.sum(axis=0)


@pytest.mark.parametrize("shape", [(5000, 128), (50_000, 12), (3, 200_000)], ids=str)  # several blocks of rows
def test_layer_norm_of_many_rows_is_exact_and_has_the_same_bits_for_any_number_of_threads(shape):
    rng = np.random.default_rng(0)
    x, dy = (rng.normal(5, 2, shape).astype(np.float32) for _ in range(2))
    weight, bias = rng.standard_normal((2, shape[1])).astype(np.float32)
    before, found = ag.get_num_threads(), []
    for n in (1, 3):
        ag.set_num_threads(n)
        found.append([ag.layer_norm(x, weight, bias), *layer_norm_grads(dy, x, weight)])
    ag.set_num_threads(before)
    assert [a.tobytes() for a in found[0]] == [a.tobytes() for a in found[1]]
    exact = [a.astype(float) for a in (dy, x, weight, bias)]
    close = {"rtol": 1e-4, "atol": 1e-4}
    y = (exact[1] - exact[1].mean(1, keepdims=True)) / np.sqrt(exact[1].var(1, keepdims=True) + 1e-5)
    np.testing.assert_allclose(found[0][0], y * exact[2] + exact[3], **close)
    for got, expected in zip(found[0][1:], backwards(*exact[:3], 1e-5), strict=True):
        np.testing.assert_allclose(got, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_layer_norm_of_equal_numbers_is_the_bias():
    x = leaf([[2.0, 2.0], [1.0, 3.0]])
    y = ag.layer_norm(x, np.ones(2), np.array([5.0, 7.0]))
    assert y.data[0].tolist() == [5, 7]
    (g,) = ag.gradients(y.sum(), [x])
    assert np.isfinite(g.data).all()


def test_layer_norm_in_float16_holds_up_where_sums_do_not():
    x = np.tile(np.array([100, 300], np.float16), (1, 2000))
    y = ag.layer_norm(x, np.ones(4000, np.float16), np.zeros(4000, np.float16))
    assert y.dtype == np.float16
    np.testing.assert_allclose(y[0, :2], [-1, 1], rtol=1e-3)


def test_layer_norm_of_no_examples():
    x = leaf(np.zeros((0, 3)))
    y = ag.layer_norm(x, leaf(np.ones(3)), np.zeros(3))
    assert y.shape == (0, 3)
    (g,) = ag.gradients(y.sum(), [x])
    assert g.shape == (0, 3)


def test_errors_of_layer_norm_name_the_shapes():
    text = (r"layer_norm: weight and bias must have the shape of x's last axes, at least one, got \(3,\) and \(4,\) "
            r"for x \(2, 4\)")
    with pytest.raises(ValueError, match=text):
        ag.layer_norm(leaf(np.ones((2, 4))), np.ones(3), np.ones(4))
    with pytest.raises(ValueError, match=r"at least one, got \(\) and \(\) for x \(2, 4\)"):
        ag.layer_norm(leaf(np.ones((2, 4))), 1.0, 0.0)
    with pytest.raises(ValueError, match=r"layer_norm: x \(2, 0\) has no elements to take a mean of"):
        ag.layer_norm(leaf(np.ones((2, 0))), np.ones(0), np.ones(0))
    with pytest.raises(TypeError, match="layer_norm: it is defined for real numbers only"):
        ag.layer_norm(np.ones((2, 1)) * 1j, np.ones(1), np.ones(1))
