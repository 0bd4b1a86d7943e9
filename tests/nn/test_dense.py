"""Dense: a weighted sum of the inputs, with PyTorch's first weights."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nn
from tests.nn.gradients import check_layer


@given(lead=st.lists(st.integers(1, 3), max_size=3), n_in=st.integers(1, 4), n_out=st.integers(1, 4),
       bias=st.booleans())
def test_each_output_is_a_weighted_sum_of_all_inputs(lead, n_in, n_out, bias):
    rng = np.random.default_rng(0)
    layer = nn.Dense(n_in, n_out, bias=bias, rng=rng)
    x = rng.normal(size=(*lead, n_in)).astype(np.float32)
    out = layer(x)
    assert out.shape == (*lead, n_out)
    assert out.dtype == np.float32
    for at in np.ndindex(*lead, n_out):
        *row, o = at
        expected = sum(float(x[(*row, i)]) * float(layer.weight.data[i, o]) for i in range(n_in))
        expected += float(layer.bias.data[o]) if bias else 0.0
        assert out.data[at] == pytest.approx(expected, abs=1e-5)


def test_gradients_to_second_order(float64):
    check_layer(nn.Dense(4, 3, rng=0), np.random.default_rng(1).normal(size=(2, 5, 4)))


def test_weights_start_within_one_over_the_root_of_the_inputs():
    layer = nn.Dense(400, 300, rng=0)
    for values in (layer.weight.data, layer.bias.data):
        assert np.abs(values).max() <= 0.05
        assert np.abs(values).max() > 0.049
        assert values.std() == pytest.approx(0.05 / np.sqrt(3), rel=0.1)  # that of a uniform distribution


def test_without_bias():
    layer = nn.Dense(3, 2, bias=False)
    assert layer.bias is None
    assert repr(layer) == "Dense(3, 2, bias=False)"
    assert not layer(np.zeros((1, 3), np.float32)).data.any()


def test_a_wrong_last_axis_is_refused_with_both_numbers():
    with pytest.raises(ValueError, match=re.escape("Dense(3136, 10): x must be (.., 3136), got (8, 64)")):
        nn.Dense(3136, 10)(np.zeros((8, 64), np.float32))


def test_images_in_front_of_a_dense_layer_are_told_to_be_flattened():
    with pytest.raises(ValueError, match=re.escape("Dense(3136, 10): x must be (.., 3136), got (8, 14, 14, 16); put "
                                                   "nn.Flatten() before this layer")):
        nn.Dense(3136, 10)(np.zeros((8, 14, 14, 16), np.float32))


def test_whole_numbers_are_refused():
    with pytest.raises(TypeError, match=re.escape("Dense(3, 2): x holds int64, but the layer computes with floating "
                                                  "numbers; give x.astype(np.float32)")):
        nn.Dense(3, 2)([[1, 2, 3]])
    with pytest.raises(TypeError, match=re.escape("x holds uint8, but the layer computes with floating numbers; give "
                                                  "images of bytes as x.astype(np.float32) / 255, which "
                                                  "datasets.DataLoader does")):
        nn.Dense(3, 2)(np.zeros((1, 3), np.uint8))


@pytest.mark.parametrize(("arguments", "error", "text"), [
    ((0, 2), ValueError, "Dense: in_features must be at least 1, got 0"),
    ((2, -1), ValueError, "Dense: out_features must be at least 1, got -1"),
    ((2.0, 1), TypeError, "Dense: in_features must be a whole number, got 2.0"),
    ((True, 1), TypeError, "Dense: in_features must be a whole number, got True"),
])
def test_sizes_must_be_positive_whole_numbers(arguments, error, text):
    with pytest.raises(error, match=re.escape(text)):
        nn.Dense(*arguments)
