"""The input gradient of a strided convolution in blocks of pixels, against plain loops, and where it is chosen."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograd.kernels import conv, subpixel
from autograd.kernels.window import resolve
from tests.autograd.kernels.test_conv import arrays, convolutions, naive


@given(convolutions().filter(lambda drawn: drawn[1] == 1 and subpixel.blocks(drawn[0])),
       st.sampled_from([np.float32, np.float64, np.complex128, np.int64]), st.sampled_from([1, 1 << 21]))
def test_it_equals_the_loops_for_any_stride_and_size(convolution, dtype, piece_bytes):
    window, groups, shapes = convolution
    x, w, dout = arrays(shapes, dtype)
    _, expected, _ = naive(x, w, dout, window, groups)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conv, "_blocks", lambda *given: subpixel.blocks(window))
        patch.setattr(conv, "_PIECE_BYTES", piece_bytes)
        got = conv._strided_input_grad(dout, w, window, groups, "auto")
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
    ((2, 2), 1, 4, 1, 1),  # the one output that there is sees padding
])
def test_it_fits_no_gaps_between_taps_and_no_image_that_is_not_seen(size, kernel, stride, padding, dilation):
    assert subpixel.blocks(resolve("conv2d", size, kernel, stride, padding, dilation)) is None


@pytest.mark.parametrize(("x_shape", "w_shape", "stride", "chosen"), [
    ((32, 28, 28, 32), (2, 2, 32, 64), 2, True),  # no product with a zero
    ((64, 28, 28, 16), (5, 5, 16, 32), 2, True),
    ((32, 32, 32, 16), (3, 3, 16, 32), 2, True),
    ((16, 56, 56, 64), (3, 3, 64, 128), 2, False),  # so many products that those with zeros count
    ((32, 32, 32, 32), (1, 1, 32, 64), 2, False),  # three of four
])
def test_it_is_chosen_where_products_with_zeros_cost_less_than_short_products(x_shape, w_shape, stride, chosen):
    window = resolve("conv2d", x_shape[1:3], w_shape[:2], stride, "same")
    assert (conv._blocks(x_shape[0], window, w_shape, 1) is not None) == chosen


def test_groups_go_phase_by_phase():
    window = resolve("conv2d", (28, 28), 2, 2, 0)
    assert conv._blocks(32, window, (2, 2, 8, 64), 1) is not None
    assert conv._blocks(32, window, (2, 2, 8, 64), 4) is None
