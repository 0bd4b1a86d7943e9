"""Batch and layer normalization: against loops over channels and examples, in training and after it."""

import re
from math import fsum, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import autograd as ag
import nn
from tests.nn.gradients import check_layer


def _mean_and_variance(values):
    """(mean, biased variance) of a list."""
    mean = fsum(values) / len(values)
    return mean, fsum((v - mean) ** 2 for v in values) / len(values)


def _batches(*shapes, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.normal(2, 3, shape) for shape in shapes]


@given(lead=st.lists(st.integers(1, 4), min_size=1, max_size=2).filter(lambda lead: np.prod(lead) > 1),
       channels=st.integers(1, 3))
def test_batch_norm_1d_normalizes_each_channel_over_the_batch(lead, channels):
    layer = nn.BatchNorm1d(channels, eps=0.01)
    layer.weight.data = np.arange(1, channels + 1, dtype=np.float32)
    layer.bias.data = np.arange(channels, dtype=np.float32)
    (x,) = _batches((*lead, channels))
    out = layer(x).data
    for c in range(channels):
        mean, variance = _mean_and_variance([float(v) for v in x[..., c].flat])
        assert np.allclose(out[..., c], (x[..., c] - mean) / sqrt(variance + 0.01) * (c + 1) + c)


def test_batch_norm_2d_normalizes_over_the_batch_and_all_pixels():
    layer = nn.BatchNorm2d(2)
    (x,) = _batches((3, 4, 5, 2))
    out = layer(x).data
    mean, variance = _mean_and_variance([float(v) for v in x[..., 1].flat])
    assert np.allclose(out[..., 1], (x[..., 1] - mean) / sqrt(variance + 1e-5))


def test_the_running_averages_move_by_the_momentum_with_the_unbiased_variance():
    layer = nn.BatchNorm2d(1, momentum=0.3)
    mean, variance = 0.0, 1.0
    for x in _batches((2, 2, 2, 1), (3, 2, 2, 1), (4, 1, 1, 1)):
        layer(x)
        batch_mean, biased = _mean_and_variance([float(v) for v in x.flat])
        mean = 0.7 * mean + 0.3 * batch_mean
        variance = 0.7 * variance + 0.3 * biased * x.size / (x.size - 1)
    assert layer.running_mean == pytest.approx([mean], rel=1e-5)
    assert layer.running_var == pytest.approx([variance], rel=1e-5)
    assert layer.running_mean.dtype == layer.running_var.dtype == np.float32


def test_in_eval_the_running_averages_serve_and_do_not_move():
    layer = nn.BatchNorm1d(2).eval()
    layer.running_mean = np.array([1, -1], np.float32)
    layer.running_var = np.array([4, 9], np.float32)
    layer.weight.data = np.array([6, 3], np.float32)
    layer.bias.data = np.array([0, 5], np.float32)
    x = np.array([[3.0, 2.0]], np.float32)  # a single example is enough
    out = layer(x)
    assert out.data == pytest.approx(np.array([[(3 - 1) / 2 * 6, (2 + 1) / 3 * 3 + 5]]), rel=1e-5)
    assert out.dtype == np.float32
    assert layer.running_mean.tolist() == [1, -1]


def test_running_averages_are_bound_anew_so_that_a_graph_keeps_what_it_saved():
    layer = nn.BatchNorm1d(2)
    before = layer.running_mean
    layer(np.ones((3, 2), np.float32))
    assert before.tolist() == [0, 0]
    assert layer.running_mean is not before


@pytest.mark.parametrize("mode", [True, False])
def test_batch_norm_gradients_to_second_order(float64, mode):
    layer = nn.BatchNorm2d(2).train(mode)
    layer.running_var = np.array([0.5, 2.0])
    layer.weight.data = np.array([1.5, -0.5])
    check_layer(layer, _batches((3, 2, 2, 2))[0])


def test_the_gradient_flows_through_the_batch_statistics():
    # each channel of the output has mean 0 whatever x is, so the gradient of its sum is 0
    layer = nn.BatchNorm1d(2)
    x = ag.Tensor(_batches((5, 2))[0], requires_grad=True)
    layer(x).sum().backward()
    assert np.allclose(x.grad.data, 0, atol=1e-12)


@pytest.mark.parametrize(("layer", "shape"), [(nn.BatchNorm1d(2), (1, 2)), (nn.BatchNorm2d(2), (1, 1, 1, 2)),
                                              (nn.BatchNorm1d(2), (1, 1, 2))])
def test_one_element_a_channel_has_no_variance_to_train_with(layer, shape):
    with pytest.raises(ValueError, match=re.escape(f"x {shape} has 1 elements in each channel, and training takes a "
                                                   "variance over at least 2; use a larger batch, or model.eval()")):
        layer(np.ones(shape, np.float32))
    assert layer.running_mean.tolist() == [0, 0]
    layer.eval()(np.ones(shape, np.float32))


def test_an_empty_batch_is_refused_in_training():
    with pytest.raises(ValueError, match="has 0 elements in each channel"):
        nn.BatchNorm1d(2)(np.ones((0, 2), np.float32))


@pytest.mark.parametrize(("layer", "x", "error", "text"), [
    (nn.BatchNorm1d(3), np.ones((4, 2)), ValueError, "must be (N, 3) or (N, L, 3), got (4, 2)"),
    (nn.BatchNorm1d(3), np.ones((4, 2, 2, 3)), ValueError, "must be (N, 3) or (N, L, 3), got (4, 2, 2, 3)"),
    (nn.BatchNorm1d(3), np.ones((4, 3), int), TypeError, "holds int64"),
    (nn.BatchNorm2d(3), np.ones((4, 3, 8, 8)), ValueError, "looks like NCHW"),
    (nn.BatchNorm2d(3), np.ones((8, 8, 3)), ValueError, "add the batch axis with x[None]"),
    (nn.LayerNorm((2, 3)), np.ones((4, 3, 2)), ValueError, "must be (.., 2, 3), got (4, 3, 2)"),
    (nn.LayerNorm(3), np.ones((4, 3), bool), TypeError, "holds bool"),
])
def test_input_that_does_not_fit_is_refused_by_the_layers_name(layer, x, error, text):
    with pytest.raises(error, match=f"^{re.escape(repr(layer))}: x .*{re.escape(text)}"):
        layer(x)


def test_sizes_must_be_positive_whole_numbers():
    with pytest.raises(ValueError, match="BatchNorm2d: num_features must be at least 1, got 0"):
        nn.BatchNorm2d(0)
    with pytest.raises(TypeError, match=r"LayerNorm: normalized_shape must be a whole number, got 2\.5"):
        nn.LayerNorm((3, 2.5))
    with pytest.raises(ValueError, match="LayerNorm: normalized_shape must name at least one axis"):
        nn.LayerNorm(())


# ---------------------------------------------------------------------- LayerNorm


@given(lead=st.lists(st.integers(1, 3), max_size=2), last=st.lists(st.integers(1, 4), min_size=1, max_size=2))
def test_layer_norm_normalizes_each_example_over_its_last_axes(lead, last):
    layer = nn.LayerNorm(tuple(last), eps=0.1)
    rng = np.random.default_rng(0)
    layer.weight.data = rng.normal(size=last).astype(np.float32)
    layer.bias.data = rng.normal(size=last).astype(np.float32)
    (x,) = _batches((*lead, *last))
    out = layer(x).data
    for at in np.ndindex(*lead):
        mean, variance = _mean_and_variance([float(v) for v in x[at].flat])
        expected = (x[at] - mean) / sqrt(variance + 0.1) * layer.weight.data + layer.bias.data
        assert np.allclose(out[at], expected)


def test_layer_norm_is_the_same_in_eval_and_keeps_float32():
    layer = nn.LayerNorm(4)
    x = _batches((3, 4))[0].astype(np.float32)
    out = layer(x)
    assert out.dtype == np.float32
    assert np.array_equal(layer.eval()(x).data, out.data)


def test_layer_norm_gradients_to_second_order(float64):
    layer = nn.LayerNorm((2, 3))
    layer.weight.data = np.random.default_rng(1).normal(size=(2, 3))
    check_layer(layer, _batches((2, 2, 3))[0])


def test_reprs():
    assert repr(nn.BatchNorm1d(8)) == "BatchNorm1d(8, eps=1e-05, momentum=0.1)"
    assert repr(nn.LayerNorm(8)) == "LayerNorm(8, eps=1e-05)"
    assert repr(nn.LayerNorm((4, 8))) == "LayerNorm((4, 8), eps=1e-05)"


@pytest.mark.parametrize("value", [0.0, 3.3, 10.0, 255.0, 3e4])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_a_constant_channel_becomes_its_bias(value, dtype):
    x = np.full((8, 2), min(value, 3e4), dtype)  # float16 ends at 65504
    x[:, 1] = np.arange(8)  # beside one that is not constant
    y, _, _ = ag.batch_norm(x, np.ones(2, dtype), np.full(2, 0.5, dtype))
    np.testing.assert_array_equal(y[:, 0], 0.5)
