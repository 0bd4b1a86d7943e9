"""Convolution, its two gradients as ops, and the transposed convolution, against loops over single products."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.signal import correlate2d

import autograd as ag
from tests.autograd.ops import naive


def leaf(value: Any) -> ag.Tensor:
    return ag.Tensor(np.asarray(value, np.float64), requires_grad=True)


def normal(*shapes: tuple) -> list[np.ndarray]:
    rng = np.random.default_rng(0)
    return [rng.standard_normal(shape) for shape in shapes]


def close(given: Any, expected: Any) -> None:
    assert np.shape(given) == np.shape(expected)
    np.testing.assert_allclose(given, expected, rtol=1e-11, atol=1e-11)


class Setting(NamedTuple):
    """Shapes and settings of a convolution that fit each other."""

    x: tuple
    w: tuple
    stride: Any
    padding: Any
    dilation: Any
    groups: int

    @property
    def keywords(self) -> dict:
        return {"stride": self.stride, "padding": self.padding, "dilation": self.dilation, "groups": self.groups}


def int_or_pair(low: int, high: int) -> st.SearchStrategy:
    return st.integers(low, high) | st.tuples(st.integers(low, high), st.integers(low, high))


@st.composite
def settings_of_convolutions(draw: Any, most_channels: int = 2, most_groups: int = 3) -> Setting:
    """Small ones: at most 2 images, 3x3 kernels, and so many channels in each of so many groups."""
    kernel = draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
    stride, dilation, groups = draw(int_or_pair(1, 3)), draw(int_or_pair(1, 2)), draw(st.integers(1, most_groups))
    pairs = st.tuples(*[st.tuples(st.integers(0, 2), st.integers(0, 2))] * 2)
    padding = draw(st.sampled_from(["same", "valid"]) | int_or_pair(0, 2) | pairs)
    depth, outputs = draw(st.integers(1, most_channels)), draw(st.integers(1, 2))
    gaps = dilation if isinstance(dilation, tuple) else (dilation, dilation)
    # large enough for the kernel without any padding, and up to 2 pixels more
    size = tuple((k - 1) * d + 1 + draw(st.integers(0, 2)) for k, d in zip(kernel, gaps, strict=True))
    return Setting((draw(st.integers(1, 2)), *size, depth * groups), (*kernel, depth, outputs * groups), stride,
                   padding, dilation, groups)


# ---------------------------------------------------------------------- conv2d and its two gradients


@given(s=settings_of_convolutions(most_channels=5))
@settings(max_examples=60)
def test_values_are_those_of_the_loops(s):
    x, w, b = normal(s.x, s.w, s.w[3:])
    out = ag.conv2d(x, w, b, **s.keywords)
    close(out, naive.conv2d(x, w, b, **s.keywords))
    (g,) = normal(out.shape)
    close(ag.conv2d_input_grad(g, w, s.x, **s.keywords), naive.conv2d_input_grad(g, w, s.x, **s.keywords))
    close(ag.conv2d_weight_grad(x, g, s.w, **s.keywords), naive.conv2d_weight_grad(x, g, s.w, **s.keywords))


@given(s=settings_of_convolutions())
@settings(max_examples=25)
def test_gradients_are_right(s):
    x, w, b = normal(s.x, s.w, s.w[3:])
    report = ag.gradcheck(lambda x, w, b: ag.conv2d(x, w, b, **s.keywords), x, w, b, order=1, max_elements=12)
    assert report, report


@given(s=settings_of_convolutions())
@settings(max_examples=8)
def test_gradients_of_the_three_ops_are_right_to_second_order(s):
    x, w = normal(s.x, s.w)
    (g,) = normal(np.shape(ag.conv2d(x, w, **s.keywords)))
    for op, *inputs in (
        (lambda x, w: ag.conv2d(x, w, **s.keywords), x, w),
        (lambda g, w: ag.conv2d_input_grad(g, w, s.x, **s.keywords), g, w),
        (lambda x, g: ag.conv2d_weight_grad(x, g, s.w, **s.keywords), x, g),
    ):
        report = ag.gradcheck(op, *inputs, order=2, max_elements=6)
        assert report, report


@given(s=settings_of_convolutions(most_channels=5))
@settings(max_examples=30)
def test_the_two_gradients_are_adjoints(s):
    """<conv(x, w), g> = <x, input_grad(g, w)> = <w, weight_grad(x, g)>, since conv is linear in x and in w."""
    x, w = normal(s.x, s.w)
    out = ag.conv2d(x, w, **s.keywords)
    (g,) = normal(out.shape)
    inner = np.sum(out * g)
    np.testing.assert_allclose(np.sum(x * ag.conv2d_input_grad(g, w, s.x, **s.keywords)), inner, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(np.sum(w * ag.conv2d_weight_grad(x, g, s.w, **s.keywords)), inner, rtol=1e-9, atol=1e-9)


def test_same_padding_of_stride_1_is_what_scipy_computes():
    x, w = normal((1, 5, 6, 1), (3, 3, 1, 1))
    close(ag.conv2d(x, w, padding="same")[0, :, :, 0], correlate2d(x[0, :, :, 0], w[:, :, 0, 0], mode="same"))


def test_same_padding_puts_the_odd_pixel_at_the_end():
    x = np.arange(1.0, 5).reshape(1, 1, 4, 1)
    assert ag.conv2d(x, np.ones((1, 2, 1, 1)), padding="same").ravel().tolist() == [3, 5, 7, 4]
    assert ag.conv2d(x, np.ones((1, 3, 1, 1)), stride=2, padding="same").ravel().tolist() == [6, 7]


def test_a_bias_that_is_left_out_gets_no_gradient_and_changes_nothing():
    x, w = map(leaf, normal((1, 3, 3, 2), (2, 2, 2, 3)))
    out = ag.conv2d(x, w)
    close(out.data, ag.conv2d(x, w, np.zeros(3)).data)
    assert [g.shape for g in ag.gradients(out.sum(), [x, w])] == [x.shape, w.shape]


def test_integers_are_convolved_exactly():
    x, w = np.arange(32).reshape(1, 4, 4, 2), np.arange(-6, 10).reshape(2, 2, 2, 2)
    out = ag.conv2d(x, w)
    assert out.dtype.kind == "i"
    np.testing.assert_array_equal(out, naive.conv2d(x, w))


def test_uint8_images_with_float32_weights_give_float32():
    x, w = np.arange(200, 232, dtype=np.uint8).reshape(1, 4, 4, 2), np.ones((2, 2, 2, 1), np.float32)
    out = ag.conv2d(x, w)
    assert out.dtype == np.float32
    np.testing.assert_array_equal(out, naive.conv2d(x.astype(float), w))


def test_a_batch_without_images_has_gradients_without_images():
    x, w, b = leaf(np.zeros((0, 4, 4, 2))), leaf(np.ones((3, 3, 2, 5))), leaf(np.ones(5))
    out = ag.conv2d(x, w, b)
    assert out.shape == (0, 2, 2, 5)
    g_x, g_w, g_b = ag.gradients(out.sum(), [x, w, b])
    assert g_x.shape == (0, 4, 4, 2)
    assert not g_w.data.any()
    assert not g_b.data.any()


# ---------------------------------------------------------------------- conv_transpose2d


@given(s=settings_of_convolutions(), data=st.data())
@settings(max_examples=60)
def test_a_transposed_convolution_adds_windows_where_they_lie(s, data):
    depth, outputs = s.w[2], s.w[3]
    channels = depth * s.groups  # w is (KH, KW, O, C / groups)
    x, w, b = normal((s.x[0], *data.draw(st.tuples(st.integers(1, 3), st.integers(1, 3))), channels),
                     (*s.w[:2], outputs, depth), (outputs,))
    stride = s.stride if isinstance(s.stride, tuple) else (s.stride, s.stride)
    most = [0, 0] if s.padding == "same" else [n - 1 for n in stride]
    keywords = {**s.keywords, "output_padding": tuple(data.draw(st.integers(0, n)) for n in most)}
    expected = naive.conv_transpose2d(x, w, b, **keywords)
    if 0 in expected.shape:
        with pytest.raises(ValueError, match="conv_transpose2d: the output would be"):
            ag.conv_transpose2d(x, w, b, **keywords)
        return
    close(ag.conv_transpose2d(x, w, b, **keywords), expected)
    report = ag.gradcheck(lambda x, w, b: ag.conv_transpose2d(x, w, b, **keywords), x, w, b, order=1, max_elements=6)
    assert report, report


# "same" maps sizes in a way of its own; the loops above check it
@given(s=settings_of_convolutions(most_groups=1).filter(lambda s: s.padding != "same"))
@settings(max_examples=30)
def test_a_transposed_convolution_is_the_transpose_of_a_convolution(s):
    x, w = normal(s.x, s.w)
    out = ag.conv2d(x, w, **s.keywords)
    (g,) = normal(out.shape)
    back = naive.conv_transpose2d(g, w, **s.keywords)
    assume(0 not in back.shape)  # padding as wide as the image, where how much is missing does not show
    rest = tuple(n - m for n, m in zip(s.x[1:3], back.shape[1:3], strict=True))  # pixels that no window reached
    back = ag.conv_transpose2d(g, w, **s.keywords, output_padding=rest)
    np.testing.assert_allclose(np.sum(out * g), np.sum(x * back), rtol=1e-9, atol=1e-9)


def test_a_transposed_convolution_is_right_to_second_order():
    x, w, b = normal((1, 2, 3, 4), (3, 2, 4, 2), (4,))
    report = ag.gradcheck(
        lambda x, w, b: ag.conv_transpose2d(x, w, b, stride=(2, 1), padding=1, output_padding=(1, 0), groups=2),
        x, w, b, order=2, max_elements=10)
    assert report, report


@pytest.mark.parametrize("kernel", [1, 2, 3, 4])
@pytest.mark.parametrize("stride", [1, 2, 3])
def test_same_padding_makes_a_transposed_convolution_stride_times_as_large(kernel, stride):
    x, w = normal((1, 3, 2, 2), (kernel, kernel, 3, 2))
    out = ag.conv_transpose2d(x, w, stride=stride, padding="same")
    assert out.shape == (1, 3 * stride, 2 * stride, 3)
    close(out, naive.conv_transpose2d(x, w, stride=stride, padding="same"))
    undone = ag.conv2d(np.zeros(out.shape), np.zeros((kernel, kernel, 3, 2)), stride=stride, padding="same")
    assert undone.shape == x.shape


# ---------------------------------------------------------------------- what is refused

ONE, W = np.ones((1, 4, 5, 2)), np.ones((3, 3, 2, 4))


@pytest.mark.parametrize(("call", "message"), [
    pytest.param(lambda: ag.conv2d(leaf(np.ones((8, 32, 32, 3))), np.ones((3, 3, 4, 16))),
                 r"conv2d: x has 3 channels but w expects 4 \(x \(8, 32, 32, 3\), w \(3, 3, 4, 16\)",
                 id="channels"),
    pytest.param(lambda: ag.conv2d(leaf(np.ones((8, 3, 32, 32))), np.ones((3, 3, 3, 16))),
                 r"conv2d: x has 32 channels but w expects 3 .*x looks like NCHW, but images are NHWC here: .*"
                 r"nn\.from_torch.*x\.transpose\(0, 2, 3, 1\)", id="NCHW"),
    pytest.param(lambda: ag.conv2d(ONE[0], W), r"conv2d: x must be \(N, H, W, C\) .*got x \(4, 5, 2\).*"
                 r"add the batch axis with x\[None\]", id="no batch"),
    pytest.param(lambda: ag.conv2d(ONE, W, np.ones(3)),
                 r"conv2d: b must have shape \(4,\), one number per output channel of w \(3, 3, 2, 4\), got \(3,\)",
                 id="bias"),
    pytest.param(lambda: ag.conv2d(ONE, W[:, :, :1, :3], groups=2),
                 r"conv2d: the 3 output channels of w cannot be divided into 2 groups", id="groups"),
    pytest.param(lambda: ag.conv2d(ONE, W, groups=2),
                 r"conv2d: x has 2 channels but w expects 4 \(2 in each of 2 groups\)",
                 id="channels of groups"),
    pytest.param(lambda: ag.conv2d(ONE, W, groups=0), "conv2d: groups must be an integer of at least 1, got 0",
                 id="no group"),
    pytest.param(lambda: ag.conv2d(ONE, W, groups=True), "conv2d: groups must be an integer of at least 1, got True",
                 id="a bool of groups"),
    pytest.param(lambda: ag.conv2d(ONE, W, method=["auto"]), r"conv2d: method \['auto'\] is unknown",
                 id="a list of methods"),
    pytest.param(lambda: ag.conv2d(ONE[:, :2], W),
                 r"conv2d: kernel \(3, 3\) is larger than the padded input \(2, 5\) .*smaller kernel or more padding",
                 id="large kernel"),
    pytest.param(lambda: ag.conv2d(ONE, W, dilation=3),
                 r"conv2d: kernel \(3, 3\) with dilation \(3, 3\) covers \(7, 7\) and is larger than .*\(4, 5\)",
                 id="large dilation"),
    pytest.param(lambda: ag.conv2d(ONE, W, stride=0), r"conv2d: stride must be at least 1 on both axes, not \(0, 0\)",
                 id="stride 0"),
    pytest.param(lambda: ag.conv2d(ONE, W, dilation=(1, 0)), r"conv2d: dilation must be at least 1",
                 id="dilation 0"),
    pytest.param(lambda: ag.conv2d(ONE, W, padding=-1), r"conv2d: padding must not be negative",
                 id="padding -1"),
    pytest.param(lambda: ag.conv2d(ONE, W, padding="full"),
                 "conv2d: padding 'full' is unknown; use an int, a pair, \"valid\", \"same\"", id="padding by name"),
    pytest.param(lambda: ag.conv2d(ONE, W, stride=(1, 2, 3)), r"conv2d: stride must be an int or a pair of ints",
                 id="triple"),
    pytest.param(lambda: ag.conv2d_input_grad(leaf(ONE), W, (1, 5, 5, 2)),
                 r"conv2d_input_grad: dout must be the output gradient \(1, 3, 3, 4\) of a convolution of "
                 r"x \(1, 5, 5, 2\) with w \(3, 3, 2, 4\), got \(1, 4, 5, 2\)", id="input_grad"),
    pytest.param(lambda: ag.conv2d_weight_grad(leaf(ONE), np.ones((1, 1, 1, 4)), (3, 3, 2, 4)),
                 r"conv2d_weight_grad: dout must be the output gradient \(1, 2, 3, 4\) .*got \(1, 1, 1, 4\)",
                 id="weight_grad"),
    pytest.param(lambda: ag.conv_transpose2d(leaf(ONE), W),
                 r"conv_transpose2d: x has 2 channels but w expects 4 .*\(KH, KW, O, C / groups\)",
                 id="transpose channels"),
    pytest.param(lambda: ag.conv_transpose2d(ONE, W[..., :2], np.ones(3)),
                 r"conv_transpose2d: b must have shape \(2,\), .*of w \(3, 3, 2, 2\), got \(3,\)",
                 id="transpose bias"),
    pytest.param(lambda: ag.conv_transpose2d(ONE, W[..., :2], stride=2, output_padding=2),
                 r"conv_transpose2d: output_padding 2 must be at least 0 and smaller than stride \(2, 2\)",
                 id="output_padding"),
    pytest.param(lambda: ag.conv_transpose2d(ONE[:, :1, :1], W[..., :2], padding=2),
                 "conv_transpose2d: the output would be -1x-1; padding 2 is too large for an input of 1x1 and a kernel "
                 "of 3x3",
                 id="transpose padding"),
    pytest.param(lambda: ag.conv_transpose2d(ONE[0], W), r"conv_transpose2d: x must be \(N, H, W, C\)",
                 id="transpose no batch"),
])
def test_what_does_not_fit_is_refused_with_shapes_and_what_to_do(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("setting", ["stride", "padding", "dilation"])
def test_settings_are_whole_numbers(setting):
    with pytest.raises(TypeError, match=rf"conv2d: {setting} must be an int or a pair of ints, not 1\.5"):
        ag.conv2d(ONE, W, **{setting: 1.5})
