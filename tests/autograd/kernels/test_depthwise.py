"""Depthwise convolution, with channel multipliers, against plain loops."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd as ag
from autograd.kernels import depthwise, im2col
from autograd.kernels.conv import conv2d, conv2d_grads, conv2d_input_grad, conv2d_weight_grad
from autograd.kernels.memory import Scratch
from autograd.kernels.window import resolve
from tests.autograd.kernels.test_conv import all_three, arrays, forget_plans, naive, pair


@st.composite
def depthwise_convolutions(draw):
    """Window, groups, and the shapes of x, w and dout: each channel has 1 to 3 kernels."""
    kernel, stride, dilation = draw(pair(1, 3)), draw(pair(1, 3)), draw(pair(1, 3))
    padding = draw(st.sampled_from(["valid", "same"]) | st.tuples(pair(0, 3), pair(0, 3)))
    size = tuple((k - 1) * d + draw(st.integers(1, 6)) for k, d in zip(kernel, dilation, strict=True))
    window = resolve("conv2d", size, kernel, stride, padding, dilation)
    n, c, m = draw(st.integers(1, 3)), draw(st.integers(2, 5)), draw(st.integers(1, 3))
    return window, c, ((n, *size, c), (*kernel, 1, m * c), (n, *window.out, m * c))


DTYPES = st.sampled_from([np.float16, np.float32, np.float64, np.complex64, np.complex128, np.int64])


def assert_equals_the_loops(window, groups, shapes, dtype):
    x, w, dout = arrays(shapes, dtype)
    y, dx, dw = naive(*arrays(shapes, np.complex128 if np.dtype(dtype).kind == "c" else float), window, groups)
    results = *all_three(x, w, dout, window, groups), *conv2d_grads(x, dout, w, window, groups)
    for got, expected in zip(results, (y, dx, dw, dx, dw), strict=True):
        assert got.dtype == dtype
        np.testing.assert_array_equal(got, expected)


@given(depthwise_convolutions(), DTYPES)
def test_convolution_and_gradients_equal_the_loops(convolution, dtype):
    assert_equals_the_loops(*convolution, dtype)


@given(depthwise_convolutions(), DTYPES, st.sampled_from(["_LONG", "_LONG_FOR_SUMS", "_SHORT", "_LONGEST", "all"]))
@settings(max_examples=60)
def test_so_they_do_where_numbers_are_taken_as_those_of_many_channels_and_large_images(convolution, dtype, limit):
    with pytest.MonkeyPatch.context() as patch:
        for name in ("_LONG", "_LONG_FOR_SUMS", "_SHORT", "_LONGEST") if limit == "all" else (limit,):
            patch.setattr(depthwise, name, 12 if name == "_LONGEST" else 0)
        forget_plans()
        assert_equals_the_loops(*convolution, dtype)
    forget_plans()


@given(depthwise_convolutions(), st.integers(1, 12))
@settings(max_examples=40)
def test_where_the_work_is_cut_changes_nothing(convolution, rows):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(im2col, "_CHUNK_BYTES", 1)
        patch.setattr(im2col, "_LEAST_PIXELS", rows * convolution[0].out[1])
        patch.setattr(im2col, "_LEAST_PIXELS_WEIGHT_GRAD", rows * convolution[0].out[1])
        forget_plans()  # of what was cut in another way
        assert_equals_the_loops(*convolution, np.float64)
    forget_plans()


@given(depthwise_convolutions())
@settings(max_examples=40)
def test_many_inputs_to_one_output_of_each_group_are_added_up(convolution):
    """The convolution that a channel multiplier has for its input gradient, asked for by itself."""
    window, groups, (x, w, dout) = convolution
    turned = (*w[:2], w[3] // groups, groups)
    shapes = (*x[:3], w[3]), turned, (*dout[:3], groups)
    assert depthwise.is_depthwise(turned, groups)
    assert_equals_the_loops(window, groups, shapes, np.float64)


@pytest.mark.parametrize(
    ("w", "groups", "expected"),
    [
        ((3, 3, 1, 8), 8, True),
        ((3, 3, 1, 16), 8, True),  # a multiplier of 2
        ((3, 3, 2, 8), 8, True),  # its input gradient
        ((3, 3, 2, 16), 8, False),
        ((3, 3, 1, 8), 1, False),  # one channel alone: blocks of outputs serve it better
        ((3, 3, 1, 80), 8, False),
    ],
)
def test_one_channel_or_one_output_in_each_of_several_groups_is_depthwise(w, groups, expected):
    assert depthwise.is_depthwise(w, groups) is expected


@pytest.mark.parametrize("dtype", [np.float32, np.complex64])
@pytest.mark.parametrize(("multiplier", "stride", "channels"), [(1, 1, 16), (2, 1, 16), (1, 2, 48), (3, 2, 40)])
def test_the_bits_are_the_same_for_any_number_of_threads(dtype, multiplier, stride, channels):
    window = resolve("conv2d", (40, 40), 3, stride, "same")
    outputs, rng = multiplier * channels, np.random.default_rng(0)
    shapes = (12, 40, 40, channels), (3, 3, 1, outputs), (12, *window.out, outputs)
    x, w, dout = (rng.standard_normal(shape).astype(dtype) for shape in shapes)
    assert im2col.conv2d_plan(12, window, w.shape, channels, x.dtype, is_biased=False)._is_shared
    before, bits = ag.get_num_threads(), set()
    try:
        for threads in (1, 2, 3):
            ag.set_num_threads(threads)
            results = *all_three(x, w, dout, window, channels), *conv2d_grads(x, dout, w, window, channels)
            bits.add(b"".join(result.tobytes() for result in results))
    finally:
        ag.set_num_threads(before)
    assert len(bits) == 1


@pytest.mark.parametrize(("stride", "channels"), [(1, 8), (2, 8), (2, 64)])
def test_weight_gradients_in_single_precision_do_not_suffer_from_many_pixels(stride, channels):
    """Sums of 200,000 numbers and more that all have one sign, where adding up one by one loses 3 digits."""
    window = resolve("conv2d", (192, 192), 3, stride, 1)
    n, rng = 6 * stride**2, np.random.default_rng(0)
    x = rng.uniform(0.5, 1.5, (1, 192, 192, channels)).astype(np.float32)
    dout = rng.uniform(0.5, 1.5, (1, *window.out, channels)).astype(np.float32)
    x, dout = (np.broadcast_to(a, (n, *a.shape[1:])) for a in (x, dout))
    dw = conv2d_weight_grad(x, dout, window, channels)
    padded = np.pad(x[0].astype(float), ((1, 1), (1, 1), (0, 0)))
    exact = [[np.einsum("hwc,hwc->c", padded[i : i + 192 : stride, j : j + 192 : stride], dout[0].astype(float))
              for j in range(3)] for i in range(3)]
    np.testing.assert_allclose(dw[:, :, 0], n * np.array(exact), rtol=1e-6)


@pytest.mark.parametrize(("multiplier", "stride"), [(1, 1), (2, 1), (1, 2), (2, 2)])
def test_scratch_memory_does_not_grow_with_the_batch(multiplier, stride):
    window = resolve("conv2d", (32, 32), 3, stride, 1)
    before, bytes_of = ag.get_num_threads(), []
    ag.set_num_threads(1)  # so that the buffers are this thread's
    try:
        for n in (16, 64):
            Scratch._of_thread.__dict__.pop("kept", None)
            shapes = (n, 32, 32, 32), (3, 3, 1, 32 * multiplier), (n, *window.out, 32 * multiplier)
            x, w, dout = arrays(shapes, np.float32)
            conv2d(x, w, None, window, 32)
            conv2d_input_grad(dout, w, window, 32)
            conv2d_grads(x, dout, w, window, 32)
            with Scratch() as scratch:
                bytes_of.append(sum(buffer.nbytes for buffer in scratch._buffers.values()))
    finally:
        ag.set_num_threads(before)
    assert bytes_of[1] <= 1.25 * bytes_of[0] <= 5 * im2col._CHUNK_BYTES


def test_an_infinite_channel_does_not_reach_others():
    window = resolve("conv2d", (5, 5), 3, 1, 1)
    x, w, dout = arrays([(1, 5, 5, 3), (3, 3, 1, 6), (1, 5, 5, 6)])
    x[..., 0] = dout[..., :2] = np.inf
    with np.errstate(invalid="ignore"):
        y, dx, dw = all_three(x, w, dout, window, 3)
    assert np.isfinite(y[..., 2:]).all()
    assert np.isfinite(dx[..., 1:]).all()
    assert np.isfinite(dw[..., 2:]).all()
