"""The input gradient of a strided convolution in blocks of pixels, against plain loops, and where it is chosen."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograd.kernels import conv, subpixel
from autograd.kernels.window import resolve
from tests.autograd.kernels.test_conv import arrays, naive, pair


@st.composite
def fitting(draw):
    """The window, and the shapes of x, w and dout, of a convolution that has blocks."""
    kernel = draw(pair(1, 5))
    stride = tuple(draw(st.integers(1, min(k, 3))) for k in kernel)
    size = tuple(k + draw(st.integers(0, 6)) for k in kernel)
    window = resolve("conv2d", size, kernel, stride, draw(st.just("same") | st.tuples(pair(0, 5), pair(0, 5))))
    n, c, o = (draw(st.integers(1, 3)) for _ in range(3))
    return window, ((n, *size, c), (*kernel, c, o), (n, *window.out, o))


@given(fitting(), st.sampled_from([np.float32, np.float64, np.complex128, np.int64]), st.sampled_from([1, 1 << 21]))
def test_it_equals_the_loops_for_any_stride_and_size(convolution, dtype, piece_bytes):
    window, shapes = convolution
    x, w, dout = arrays(shapes, dtype)
    _, expected, _ = naive(x, w, dout, window, 1)
    assert subpixel.blocks(window)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conv, "_blocks", lambda *given: subpixel.blocks(window))
        patch.setattr(conv, "_PIECE_BYTES", piece_bytes)
        got = conv._strided_input_grad(dout, w, window, 1, "auto")
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, expected)


def test_the_outputs_of_a_block_are_its_pixels_row_by_row():
    found = subpixel.blocks(resolve("conv2d", (4, 6), 2, 2, 0))
    assert (found.window.kernel, found.window.out) == ((1, 1), (2, 3))
    dx = np.zeros((1, 4, 6, 1))
    subpixel.lay_out(np.arange(24.0).reshape(1, 2, 3, 4), found, dx)
    assert dx[0, :2, :, 0].tolist() == [[0, 1, 4, 5, 8, 9], [2, 3, 6, 7, 10, 11]]


@pytest.mark.parametrize(("size", "kernel", "stride", "padding", "dilation"), [
    ((8, 8), 3, 2, 1, 2),  # taps with gaps
    ((8, 8), 2, 3, 0, 1),  # a stride that leaves pixels out
    ((8, 8), 8, 4000, 0, 1),  # a block of 16 million pixels
    ((64, 1), 5, 4, 2, 1),  # a block wider than the image
])
def test_it_fits_no_gaps_between_taps_and_no_stride_beyond_kernel_or_image(size, kernel, stride, padding, dilation):
    assert subpixel.blocks(resolve("conv2d", size, kernel, stride, padding, dilation)) is None


@pytest.mark.parametrize(("x_shape", "w_shape", "stride", "chosen"), [
    ((32, 28, 28, 32), (2, 2, 32, 64), 2, True),  # no product with a zero
    ((64, 28, 28, 16), (5, 5, 16, 32), 2, True),
    ((32, 32, 32, 16), (3, 3, 16, 32), 2, True),
    ((16, 56, 56, 64), (3, 3, 64, 128), 2, False),  # so many products that those with zeros count
    ((64, 56, 56, 16), (4, 4, 16, 8), 4, True),
    ((1, 1024, 1024, 16), (2, 2, 16, 16), 2, False),  # before they are laid out, its pixels are there a second time
])
def test_it_is_chosen_where_products_with_zeros_cost_less_than_short_products(x_shape, w_shape, stride, chosen):
    window = resolve("conv2d", x_shape[1:3], w_shape[:2], stride, "same")
    assert (conv._blocks(x_shape[0], window, w_shape, 1, 4) is not None) == chosen


def test_groups_go_phase_by_phase():
    window = resolve("conv2d", (28, 28), 2, 2, 0)
    assert conv._blocks(32, window, (2, 2, 8, 64), 1, 4) is not None
    assert conv._blocks(32, window, (2, 2, 8, 64), 4, 4) is None


def test_no_outputs_make_a_gradient_of_zeros():
    window = resolve("conv2d", (8, 8), 2, 2, 0)
    dx = conv.conv2d_input_grad(np.ones((4, 4, 4, 0), np.float32), np.ones((2, 2, 3, 0), np.float32), window)
    np.testing.assert_array_equal(dx, np.zeros((4, 8, 8, 3)))


@pytest.mark.parametrize("method", ["auto", "im2col"])
def test_products_of_blocks_are_plain_for_a_kernel_of_blocks_of_3x3(method, monkeypatch):
    window = resolve("conv2d", (28, 28), 5, 2, 2)
    assert conv._blocks(64, window, (5, 5, 16, 32), 1, 4).window.kernel == (3, 3)
    monkeypatch.delattr(conv.winograd, "conv2d")
    dout, w = arrays([(64, 14, 14, 32), (5, 5, 16, 32)], np.float32)
    assert conv.conv2d_input_grad(dout, w, window, method=method).any()
