"""Pooling layers: windows looked at one by one."""

import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import nn
from tests.nn.gradients import check_layer


def _windows(x, kernel, stride, padding):
    """[n, i, j, c] -> the real pixels of that window."""
    rows, columns = ((size + 2 * p - k) // s + 1
                     for size, p, k, s in zip(x.shape[1:3], padding, kernel, stride, strict=True))
    for n, i, j, c in np.ndindex(len(x), rows, columns, x.shape[3]):
        top, left = i * stride[0] - padding[0], j * stride[1] - padding[1]
        yield (n, i, j, c), [x[n, a, b, c] for a in range(top, top + kernel[0]) for b in range(left, left + kernel[1])
                             if 0 <= a < x.shape[1] and 0 <= b < x.shape[2]]


@settings(max_examples=30)
@given(kernel=st.tuples(st.integers(2, 3), st.integers(2, 3)), stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
       padding=st.tuples(st.integers(0, 1), st.integers(0, 1)), size=st.tuples(st.integers(3, 6), st.integers(3, 6)))
def test_max_and_average_are_over_the_pixels_of_each_window(kernel, stride, padding, size):
    x = np.random.default_rng(0).normal(size=(2, *size, 2))
    largest = nn.MaxPool2d(kernel, stride, padding)(x).data
    average = nn.AvgPool2d(kernel, stride, padding)(x).data
    padded = nn.AvgPool2d(kernel, stride, padding, count_include_pad=True)(x).data
    n_windows = 0
    for at, pixels in _windows(x, kernel, stride, padding):
        assert largest[at] == max(pixels)
        assert average[at] == pytest.approx(sum(pixels) / len(pixels))
        assert padded[at] == pytest.approx(sum(pixels) / (kernel[0] * kernel[1]))
        n_windows += 1
    assert largest.size == average.size == padded.size == n_windows


def test_the_stride_is_the_kernel_by_default():
    assert nn.MaxPool2d((2, 3))(np.zeros((1, 6, 6, 1))).shape == (1, 3, 2, 1)
    assert nn.AvgPool2d(3)(np.zeros((1, 7, 6, 1))).shape == (1, 2, 2, 1)


def test_same_padding_rounds_the_size_up():
    assert nn.MaxPool2d(3, 2, padding="same")(np.zeros((1, 7, 6, 1))).shape == (1, 4, 3, 1)


def test_the_global_average_is_one_number_a_channel():
    x = np.random.default_rng(0).normal(size=(2, 3, 4, 5))
    out = nn.GlobalAvgPool2d()(x)
    assert out.shape == (2, 5)
    assert out.data[1, 2] == pytest.approx(sum(x[1, i, j, 2] for i in range(3) for j in range(4)) / 12)


@pytest.mark.parametrize("layer", [nn.MaxPool2d(2, 1), nn.AvgPool2d(3, 2, 1), nn.GlobalAvgPool2d()])
def test_gradients_to_second_order(layer):
    check_layer(layer, np.random.default_rng(0).normal(size=(2, 4, 5, 2)))


def test_reprs():
    assert repr(nn.MaxPool2d(2)) == "MaxPool2d(kernel_size=2)"
    assert repr(nn.MaxPool2d(3, 2, 1)) == "MaxPool2d(kernel_size=3, stride=2, padding=1)"
    assert repr(nn.AvgPool2d(2, count_include_pad=True)) == "AvgPool2d(kernel_size=2, count_include_pad=True)"


@pytest.mark.parametrize("layer", [nn.MaxPool2d(2), nn.AvgPool2d(2), nn.GlobalAvgPool2d()])
def test_an_image_without_a_batch_axis_and_bytes_are_refused(layer):
    expected = f"{layer!r}: x must be images (N, H, W, C), got (4, 4, 3); add the batch axis with x[None]"
    with pytest.raises(ValueError, match=re.escape(expected)):
        layer(np.zeros((4, 4, 3), np.float32))
    with pytest.raises(TypeError, match=re.escape(f"{layer!r}: x holds uint8")):
        layer(np.zeros((1, 4, 4, 3), np.uint8))


def test_bad_settings_are_refused_when_the_layer_is_made():
    with pytest.raises(ValueError, match="MaxPool2d: stride must be at least 1, got 0"):
        nn.MaxPool2d(2, 0)
    with pytest.raises(TypeError, match=r"AvgPool2d: kernel_size must be a whole number or a pair of them"):
        nn.AvgPool2d(2.0)


def test_a_window_larger_than_the_image_is_refused():
    with pytest.raises(ValueError, match=r"max_pool2d: kernel \(4, 4\) is larger than the padded input \(3, 3\)"):
        nn.MaxPool2d(4)(np.zeros((1, 3, 3, 1), np.float32))
