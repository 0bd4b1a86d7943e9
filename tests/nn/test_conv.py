"""Conv2d and ConvTranspose2d: against SciPy's correlation, and as each other's transposes."""

import re
from math import ceil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import correlate2d

import autograd as ag
import nn
from tests.nn.gradients import check_layer


def _correlated(x, weight, bias, stride, padding, dilation, groups):
    """What a Conv2d with pairs as settings computes, channel by channel with SciPy."""
    *kernel, per_group, n_out = weight.shape
    spread = np.zeros((*((k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)), per_group, n_out))
    spread[:: dilation[0], :: dilation[1]] = weight
    (p, q), (s, t) = padding, stride
    x = np.pad(x.astype(float), ((0, 0), (p, p), (q, q), (0, 0)))
    outs = []
    for image in x:
        planes = []
        for o in range(n_out):
            first = o // (n_out // groups) * per_group
            plane = sum(correlate2d(image[..., first + c], spread[..., c, o], mode="valid") for c in range(per_group))
            planes.append(plane[::s, ::t] + (bias.data[o] if bias is not None else 0))
        outs.append(np.stack(planes, -1))
    return np.stack(outs)


@settings(max_examples=40)
@given(data=st.data())
def test_conv2d_is_a_correlation(data):
    def draw(low, high):
        return data.draw(st.integers(low, high))

    groups = draw(1, 2)
    kernel, dilation = (draw(1, 3), draw(1, 3)), (draw(1, 2), draw(1, 2))
    stride, padding = (draw(1, 2), draw(1, 3)), (draw(0, 2), draw(0, 2))
    layer = nn.Conv2d(groups * draw(1, 2), groups * draw(1, 2), kernel, stride, padding, dilation, groups,
                      bias=data.draw(st.booleans()), rng=0)
    x = np.random.default_rng(1).normal(size=(draw(1, 2), draw(5, 8), draw(5, 8), layer.in_channels))
    out = layer(x.astype(np.float32))
    assert out.dtype == np.float32
    expected = _correlated(x, layer.weight.data, layer.bias, stride, padding, dilation, groups)
    assert np.allclose(out.data, expected, atol=1e-5)


@given(size=st.integers(3, 9), stride=st.integers(1, 3), kernel=st.integers(1, 3))
def test_same_padding_keeps_the_size_over_the_stride(size, stride, kernel):
    layer = nn.Conv2d(2, 3, kernel, stride, padding="same")
    assert layer(np.zeros((1, size, size, 2), np.float32)).shape == (1, ceil(size / stride), ceil(size / stride), 3)


def test_conv2d_gradients_to_second_order(float64):
    layer = nn.Conv2d(4, 2, 3, stride=2, padding=(1, 0), groups=2, rng=0)
    check_layer(layer, np.random.default_rng(1).normal(size=(2, 5, 6, 4)))


@settings(max_examples=25)
@given(kernel=st.integers(1, 3), stride=st.integers(1, 3), padding=st.integers(0, 1), groups=st.integers(1, 2),
       extra=st.integers(0, 2), size=st.integers(2, 4))
def test_a_transposed_convolution_is_the_transpose_of_conv2d(kernel, stride, padding, groups, extra, size):
    extra = min(extra, stride - 1)
    small, large = 2 * groups, 3 * groups
    layer = nn.ConvTranspose2d(small, large, kernel, stride, padding, extra, groups, bias=False, rng=0)
    rng = np.random.default_rng(2)
    x = rng.normal(size=(1, size, size, small))
    if (size - 1) * stride - 2 * padding + kernel + extra < 1:
        return
    out = layer(x)
    assert out.shape[1] == (size - 1) * stride - 2 * padding + kernel + extra
    # <y, T x> = <C y, x> where C is the convolution with the same taps from `large` to `small` channels
    y = rng.normal(size=out.shape)
    taps = layer.weight.data.astype(float)  # (KH, KW, large, small / groups)
    back = nn.Conv2d(large, small, kernel, stride, padding, groups=groups, bias=False)
    per_group = taps.reshape(kernel, kernel, groups, large // groups, small // groups)
    back.weight = ag.Tensor(np.concatenate([per_group[:, :, g] for g in range(groups)], axis=3))
    assert np.vdot(y, out.data) == pytest.approx(np.vdot(back(y).data[:, :size, :size], x))


def test_a_transposed_convolution_of_one_pixel_is_the_kernel_and_the_bias():
    layer = nn.ConvTranspose2d(1, 2, 3, stride=2, rng=0)
    x = np.zeros((1, 2, 2, 1), np.float32)
    x[0, 0, 1, 0] = 2
    out = layer(x).data[0] - layer.bias.data
    assert out.shape == (5, 5, 2)
    assert np.allclose(out[:3, 2:], 2 * layer.weight.data[..., 0])
    assert np.allclose(out[:, :2], 0)


def test_conv_transpose2d_gradients_to_second_order(float64):
    layer = nn.ConvTranspose2d(2, 4, (2, 3), stride=2, padding=1, output_padding=1, groups=2, rng=0)
    check_layer(layer, np.random.default_rng(1).normal(size=(1, 3, 4, 2)))


def test_weights_start_within_one_over_the_root_of_the_inputs_of_an_output():
    layer = nn.Conv2d(32, 64, 5, groups=2, rng=0)
    assert layer.weight.shape == (5, 5, 16, 64)
    for values in (layer.weight.data, layer.bias.data):
        assert 0.045 < np.abs(values).max() <= 0.05  # 1 / sqrt(5 * 5 * 16)
    transposed = nn.ConvTranspose2d(64, 32, 5, groups=2, rng=0)
    assert transposed.weight.shape == (5, 5, 32, 32)
    for values in (transposed.weight.data, transposed.bias.data):
        assert 0.045 < np.abs(values).max() <= 0.05  # 1 / sqrt(5 * 5 * 32 / 2)


def test_the_reprs_name_the_layout_and_what_is_not_the_default():
    assert repr(nn.Conv2d(1, 2, 3)) == "Conv2d(1, 2, kernel_size=3, NHWC)"
    layer = nn.ConvTranspose2d(4, 2, (3, 2), stride=2, padding=1, output_padding=1, groups=2, bias=False)
    assert repr(layer) == ("ConvTranspose2d(4, 2, kernel_size=(3, 2), stride=2, padding=1, output_padding=1, groups=2, "
                           "bias=False, NHWC)")
    assert repr(nn.Conv2d(1, 2, 3, padding=((1, 0), (0, 1)))) == (
        "Conv2d(1, 2, kernel_size=3, padding=((1, 0), (0, 1)), NHWC)")


# ---------------------------------------------------------------------- bad input


@pytest.mark.parametrize("layer", [nn.Conv2d(3, 4, 3), nn.ConvTranspose2d(3, 4, 3)])
def test_an_nchw_image_is_recognized(layer):
    expected = (f"{layer!r}: x (8, 3, 32, 32) has 32 channels but 3 are expected; x looks like NCHW, but images are "
                "NHWC here: convert a PyTorch model with nn.from_torch, or an array with x.transpose(0, 2, 3, 1)")
    with pytest.raises(ValueError, match=re.escape(expected)):
        layer(np.zeros((8, 3, 32, 32), np.float32))


@pytest.mark.parametrize(("shape", "dtype", "error", "text"), [
    ((8, 32, 32, 1), "f4", ValueError, "x (8, 32, 32, 1) has 1 channels but 3 are expected; images are NHWC"),
    ((32, 32, 3), "f4", ValueError, "x must be images (N, H, W, C), got (32, 32, 3); add the batch axis with x[None]"),
    ((32, 32), "f4", ValueError, "x must be images (N, H, W, C), got (32, 32)"),
    ((8, 32, 32, 3), "u1", TypeError, "x holds uint8, but the layer computes with floating numbers; give images of "
                                      "bytes as x.astype(np.float32) / 255, which datasets.DataLoader does"),
    ((8, 32, 32, 3), "?", TypeError, "x holds bool, but the layer computes with floating numbers"),
])
def test_images_that_do_not_fit_are_refused_by_the_layers_name(shape, dtype, error, text):
    with pytest.raises(error, match=re.escape("Conv2d(3, 4, kernel_size=3, NHWC): " + text)):
        nn.Conv2d(3, 4, 3)(np.zeros(shape, dtype))


def test_gray_images_without_a_channel_axis_are_told_to_get_one():
    with pytest.raises(ValueError, match=re.escape("got (64, 28, 28); add the channel axis with x[..., None]")):
        nn.Conv2d(1, 4, 3)(np.zeros((64, 28, 28), np.float32))


def test_a_kernel_larger_than_the_padded_image_is_refused():
    with pytest.raises(ValueError, match=re.escape("conv2d: kernel (5, 5) is larger than the padded input (4, 4)")):
        nn.Conv2d(1, 1, 5)(np.zeros((1, 4, 4, 1), np.float32))


@pytest.mark.parametrize(("settings", "error", "text"), [
    (dict(in_channels=0), ValueError, "Conv2d: in_channels must be at least 1, got 0"),
    (dict(out_channels=1.5), TypeError, "Conv2d: out_channels must be a whole number, got 1.5"),
    (dict(kernel_size=0), ValueError, "Conv2d: kernel_size must be at least 1, got 0"),
    (dict(kernel_size=(3, 3, 3)), TypeError, "Conv2d: kernel_size must be a whole number or a pair of them (rows, "
                                             "columns), got (3, 3, 3)"),
    (dict(stride=0), ValueError, "Conv2d: stride must be at least 1, got 0"),
    (dict(stride=(1, -1)), ValueError, "Conv2d: stride must be at least 1, got (1, -1)"),
    (dict(dilation=0), ValueError, "Conv2d: dilation must be at least 1, got 0"),
    (dict(padding=-1), ValueError, "Conv2d: padding must be at least 0, got -1"),
    (dict(padding="full"), ValueError, "Conv2d: padding 'full' is unknown; use a whole number, a pair, "
                                       "'same' or 'valid'"),
    (dict(groups=0), ValueError, "Conv2d: groups must be at least 1, got 0"),
    (dict(groups=4), ValueError, "Conv2d: 6 input and 4 output channels cannot both be divided into 4 groups"),
])
def test_settings_are_checked_when_the_layer_is_made(settings, error, text):
    given_settings = dict(in_channels=6, out_channels=4, kernel_size=3) | settings
    with pytest.raises(error, match=re.escape(text)):
        nn.Conv2d(**given_settings)


def test_output_padding_must_be_smaller_than_the_stride():
    with pytest.raises(ValueError, match="ConvTranspose2d: output_padding 2 must be smaller than stride 2"):
        nn.ConvTranspose2d(1, 1, 3, stride=2, output_padding=2)
