"""The input gradient by one product and sums, against plain loops, and where it is chosen."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd as ag
from autograd.kernels import col2im, conv
from autograd.kernels.window import resolve
from tests.autograd.kernels.test_conv import arrays, naive, pair

FLOAT = np.dtype(np.float32)

LENET = (64, 14, 14, 6), (5, 5, 6, 16), 1, 0
CAFFE_LENET = (64, 12, 12, 20), (5, 5, 20, 50), 1, 0
FEW_CHANNELS = (64, 28, 28, 1), (3, 3, 1, 16), 1, 1


def at(x_shape, w_shape, stride, padding):
    """The window of a convolution, and the shape of its output."""
    window = resolve("conv2d", x_shape[1:3], w_shape[:2], stride, padding)
    return window, (x_shape[0], *window.out, w_shape[3])


@st.composite
def fitting(draw):
    """The window, and the shapes of x, w and dout, of a convolution that fits."""
    kernel, dilation = draw(pair(1, 4).filter(lambda pair: pair != (1, 1))), (draw(st.integers(1, 2)), 1)
    size = tuple((k - 1) * d + draw(st.integers(1, 7)) for k, d in zip(kernel, dilation, strict=True))
    window = resolve("conv2d", size, kernel, 1, draw(st.just("same") | st.tuples(pair(0, 5), pair(0, 5))), dilation)
    n, c, o = (draw(st.integers(1, 4)) for _ in range(3))
    return window, ((n, *size, c), (*kernel, c, o), (n, *window.out, o))


@given(fitting(), st.sampled_from([np.float32, np.float64]), st.data())
def test_it_equals_the_loops_for_blocks_and_chunks_of_any_size(convolution, dtype, data):
    window, shapes = convolution
    assert col2im.fits(window, shapes[1], 1, np.dtype(dtype))
    x, w, dout = arrays(shapes, dtype)
    _, expected, _ = naive(x, w, dout, window, 1)
    block = data.draw(st.sampled_from([n for n in range(1, window.out[1] + 1) if window.out[1] % n == 0]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(col2im, "_block_of", lambda *given: block)
        patch.setattr(col2im, "_CHUNK_BYTES", data.draw(st.sampled_from([1, 2000])))
        col2im._plan.cache_clear()
        got = col2im.conv2d_input_grad(dout, w, window)
    col2im._plan.cache_clear()
    assert got.dtype == dtype
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize(("x_shape", "w_shape", "stride", "padding"), [LENET, CAFFE_LENET, FEW_CHANNELS])
def test_it_is_chosen_where_the_input_has_few_channels_and_is_right_there(x_shape, w_shape, stride, padding):
    window, out_shape = at(x_shape, w_shape, stride, padding)
    x, w, dout = arrays([x_shape, w_shape, out_shape], np.float32)
    assert conv._by_col2im(len(x), window, w.shape, 1, (FLOAT, FLOAT), "auto")
    dx = conv.conv2d_input_grad(dout, w, window)
    both = conv.conv2d_grads(x, dout, w, window)
    # exact, for the sums are of small whole numbers
    total = np.vdot(conv.conv2d(x, w, None, window).astype(float), dout)
    assert np.vdot(dx.astype(float), x) == np.vdot(both[0].astype(float), x) == total
    assert np.vdot(both[1].astype(float), w) == total
    np.testing.assert_array_equal(both[0], dx)


@pytest.mark.parametrize(("x_shape", "w_shape", "stride", "padding"), [
    ((32, 32, 32, 12), (3, 3, 12, 12), 1, 1),  # as many channels as outputs
    ((32, 16, 16, 64), (3, 3, 64, 12), 1, 1),  # more of them
    ((64, 32, 32, 64), (3, 3, 64, 128), 1, 1),  # Winograd
    ((64, 14, 14, 6), (5, 5, 6, 16), 2, 0),  # a stride
    ((1, 14, 14, 6), (5, 5, 6, 16), 1, 0),  # one image: calls of NumPy take longer than their work
    ((8, 512, 512, 1), (3, 3, 1, 64), 1, 0),  # an image of products would not stay in the cache
    ((64, 14, 14, 0), (5, 5, 0, 16), 1, 0),  # nothing to multiply
])
def test_it_is_not_chosen_elsewhere(x_shape, w_shape, stride, padding):
    window, _ = at(x_shape, w_shape, stride, padding)
    assert not conv._by_col2im(x_shape[0], window, w_shape, 1, (FLOAT, FLOAT), "auto")


@pytest.mark.parametrize(("x_shape", "w_shape", "padding", "jointly"), [
    ((32, 32, 32, 16), (3, 3, 16, 16), 1, True),
    ((32, 16, 16, 64), (3, 3, 64, 16), 1, True),
    ((64, 14, 14, 6), (5, 5, 6, 16), 0, False),
    ((32, 16, 16, 16), (3, 3, 16, 64), 1, False),
])
def test_both_gradients_come_from_the_cotangents_windows_unless_these_are_more(x_shape, w_shape, padding, jointly):
    window, out_shape = at(x_shape, w_shape, 1, padding)
    kinds = [kind for shape in (x_shape, out_shape, w_shape) for kind in (shape, FLOAT)]
    way = conv.conv2d_grads_for(*kinds, window, 1, "im2col")
    assert way.func is (conv._grads_at_once if jointly else conv._grads_apart)


@pytest.mark.parametrize("dtype", [np.float16, np.complex64, np.int64])
def test_other_dtypes_do_not_fit(dtype):
    window, _ = at(*LENET)
    assert not col2im.fits(window, LENET[1], 1, np.dtype(dtype))


def test_groups_gaps_between_taps_and_single_taps_do_not_fit():
    window, _ = at(*LENET)
    assert col2im.fits(window, LENET[1], 1, FLOAT)
    assert not col2im.fits(window, (5, 5, 3, 16), 2, FLOAT)
    assert not col2im.fits(resolve("conv2d", (14, 14), 3, 1, 0, (1, 2)), (3, 3, 6, 16), 1, FLOAT)
    assert not col2im.fits(resolve("conv2d", (14, 14), 1, 1, 0), (1, 1, 6, 16), 1, FLOAT)


def test_a_method_is_followed_where_a_product_and_sums_would_be_faster_than_im2col():
    window, _ = at((64, 28, 28, 1), (3, 3, 1, 16), 1, 1)
    assert conv._by_col2im(64, window, (3, 3, 1, 16), 1, (FLOAT, FLOAT), "im2col")
    assert not conv._by_col2im(64, window, (3, 3, 1, 16), 1, (FLOAT, FLOAT), "winograd")


@pytest.mark.parametrize("dtypes", [(np.float64, np.float32), (np.float32, np.float64), (np.float16, np.float32)])
@pytest.mark.parametrize("layout", [lambda a: a, lambda a: np.broadcast_to(a[:1], a.shape), lambda a: a[:, ::-1]])
def test_mixed_dtypes_and_strided_cotangents_give_what_plain_ones_do(dtypes, layout):
    window, out_shape = at(*LENET)
    dout, w = arrays([out_shape, LENET[1]])
    dout = layout(dout)
    assert conv._by_col2im(len(dout), window, w.shape, 1, tuple(map(np.dtype, dtypes)), "auto")
    expected = conv.conv2d_input_grad(np.ascontiguousarray(dout), w, window)
    got = conv.conv2d_input_grad(layout(arrays([out_shape], dtypes[0])[0]), w.astype(dtypes[1]), window)
    assert got.dtype == np.result_type(*dtypes)
    np.testing.assert_array_equal(got, expected)


@given(st.sampled_from([1, 2, 9, 64]), st.sampled_from([LENET, FEW_CHANNELS]), st.sampled_from([1, 1 << 20]))
@settings(max_examples=16)
def test_it_has_the_same_bits_for_any_number_of_threads(images, setting, chunk_bytes):
    window, (_, *out) = at(*setting)
    rng = np.random.default_rng(images)
    dout, w = (rng.standard_normal(shape, dtype=np.float32) for shape in ((images, *out), setting[1]))
    before = ag.get_num_threads()
    results = []
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(col2im, "_CHUNK_BYTES", chunk_bytes)
            for n in (1, 2, 3):
                ag.set_num_threads(n)
                col2im._plan.cache_clear()
                results.append(col2im.conv2d_input_grad(dout, w, window).tobytes())
    finally:
        col2im._plan.cache_clear()
        ag.set_num_threads(before)
    assert results[0] == results[1] == results[2]


def test_no_channels_make_an_empty_gradient():
    window = resolve("conv2d", (14, 14), 5, 1, 0)
    dx = conv.conv2d_input_grad(np.ones((64, 10, 10, 16), np.float32), np.ones((5, 5, 0, 16), np.float32), window)
    assert dx.shape == (64, 14, 14, 0)
