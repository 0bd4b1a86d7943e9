"""Winograd's way for few tiles against the sum over taps in float64, its kept weights, and when it is chosen."""

import gc
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd as ag
import nn
from autograd.kernels import blas, conv, few_tiles
from autograd.kernels.transforms import kept_weights
from autograd.kernels.window import resolve
from tests.autograd.kernels.cuts import cut_into_stacks
from tests.autograd.kernels.taps import BOUND, by_taps, draws, error, geometries


def convolved(geometry, seed=0, b=None):
    """What it gives, and the sum over taps."""
    n, window, c, o = geometry
    x, w, dout = draws(n, window, c, o, seed)
    return few_tiles.conv2d(x, w, b, window), by_taps(x, w, dout, window)[0]


@given(geometries(outputs=12), st.integers(0, 99), st.sampled_from([1, 2, 3, 64]), st.sampled_from([1, 16, 1000]))
def test_it_is_the_convolution_by_taps(geometry, seed, part, large):
    """In parts of few outputs, and with tiles of 4x4, of 2x2 or of either."""
    n, window, c, o = geometry
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(few_tiles, "_PART", part)
        patch.setattr(few_tiles, "_LARGE", large)
        few_tiles._plan.cache_clear()  # of what was cut in another way
        got, exact = convolved(geometry, seed)
    few_tiles._plan.cache_clear()
    assert got.dtype == np.float32
    assert got.shape == exact.shape
    x, w, dout = draws(n, window, c, o, seed)
    square = by_taps(x * x, w * w, dout, window)[0]  # of the products: a few outputs may all cancel to little
    assert np.abs(got - exact).max() < BOUND * max(np.abs(exact).max(), square.max() ** 0.5)


@given(geometries(), st.integers(1, 3000))
@settings(max_examples=30)
def test_where_the_products_are_cut_changes_little(geometry, unpacked):
    with cut_into_stacks(unpacked, least=1):
        got, exact = convolved(geometry)
    assert error(got, exact) < BOUND


@given(geometries(outputs=12), st.sampled_from([3, 64]))
@settings(max_examples=30)
def test_a_bias_is_added_to_each_output(geometry, part):
    b = np.arange(1, geometry[3] + 1, dtype=np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(few_tiles, "_PART", part)
        few_tiles._plan.cache_clear()
        with_b, without = (convolved(geometry, b=bias)[0] for bias in (b, None))
    few_tiles._plan.cache_clear()
    np.testing.assert_array_equal(with_b, without + b)


REAL_SIZES = {(1, 8, 128, 256): 1e-6, (1, 16, 128, 128): BOUND, (1, 32, 64, 128): BOUND, (3, 7, 128, 130): 1e-6}


@pytest.mark.parametrize(("size", "bound"), REAL_SIZES.items())
def test_at_real_sizes_the_error_is_that_of_winograd_and_less_by_small_tiles(size, bound):
    n, pixels, c, o = size
    got, exact = convolved((n, resolve("conv2d", (pixels, pixels), 3, 1, "same"), c, o))
    assert error(got, exact) < bound


@pytest.mark.parametrize("size", [(1, 8, 64, 256), (1, 16, 64, 128), (2, 7, 64, 192)])
def test_it_has_the_same_bits_for_any_number_of_threads_and_on_each_call(size):
    n, pixels, c, o = size
    window = resolve("conv2d", (pixels, pixels), 3, 1, 1)
    x, w, _ = draws(n, window, c, o)
    before, found = ag.get_num_threads(), set()
    for threads in (1, 2, 3):
        ag.set_num_threads(threads)
        found |= {few_tiles.conv2d(x, w, None, window).tobytes() for _ in range(3)}
        found |= {few_tiles.conv2d(x, w.copy(), None, window).tobytes()}
    ag.set_num_threads(before)
    assert len(found) == 1


def test_arguments_may_be_strided_and_are_not_written_to():
    window = resolve("conv2d", (10, 9), 3, 1, 1)
    x, w, _ = draws(2, window, 5, 4)
    before = x.copy(), w.copy()
    expected = few_tiles.conv2d(x, w, None, window)
    np.testing.assert_array_equal(few_tiles.conv2d(np.asfortranarray(x), np.asfortranarray(w), None, window), expected)
    np.testing.assert_array_equal(x, before[0])
    np.testing.assert_array_equal(w, before[1])


@pytest.mark.parametrize("size", [(8, 8), (10, 9), (7, 8), (8, 7)])
def test_results_are_arrays_of_their_own(size):
    """Of the image alone, without what tiles have beyond it."""
    window = resolve("conv2d", size, 3, 1, 1)
    x, w, _ = draws(1, window, 5, 4)
    y = few_tiles.conv2d(x, w, None, window)
    assert y.flags.c_contiguous
    assert y.base is None
    assert y.nbytes == size[0] * size[1] * 4 * 4


@pytest.mark.parametrize(("outputs", "pieces"), [(63, 1), (64, 1), (128, 2), (130, 2), (256, 4), (192, 3), (129, 1)])
def test_outputs_are_cut_for_threads_where_they_can_be_cut_equally(outputs, pieces):
    assert few_tiles._plan(1, resolve("conv2d", (8, 8), 3, 1, 1), 64, outputs).pieces == pieces


@pytest.mark.parametrize("can_be_limited", [True, False])
def test_threads_share_it_and_blas_has_one_of_its_own(can_be_limited, monkeypatch):
    """Where BLAS cannot be limited, products stay in the calling thread."""
    window = resolve("conv2d", (32, 32), 3, 1, 1)
    x, w, _ = draws(1, window, 64, 256)
    threads, limited = set(), []
    multiply, read = few_tiles._multiply, few_tiles.Tiles.read

    def multiplying(todo):
        threads.add(threading.get_ident())
        meeting.wait(20)  # so that one alone does not do all
        time.sleep(0 if can_be_limited else 0.1)  # nor before another may have begun
        multiply(todo)

    def reading(*arguments):
        limited.append(bool(blas._blas._entered))
        read(*arguments)

    meeting = threading.Barrier(2 if can_be_limited else 1)
    monkeypatch.setattr(few_tiles, "_multiply", multiplying)
    monkeypatch.setattr(few_tiles.Tiles, "read", reading)
    if not can_be_limited:
        monkeypatch.setattr(blas._blas, "can_be_limited", lambda: False)
    elif not blas._blas.can_be_limited():
        pytest.skip("BLAS cannot be limited here")
    before = ag.get_num_threads()
    ag.set_num_threads(2)
    try:
        got = few_tiles.conv2d(x, w, None, window)
    finally:
        ag.set_num_threads(before)
    assert len(threads) == 1 + can_be_limited
    assert limited == [can_be_limited]
    assert error(got, by_taps(x, w, got, window)[0]) < BOUND


def test_results_do_not_share_memory_with_scratch():
    for size in ((8, 8), (10, 9)):  # that tiles cover, and that they do not
        window = resolve("conv2d", size, 3, 1, 1)
        x, w, _ = draws(2, window, 5, 4)
        first = few_tiles.conv2d(x, w, None, window)
        kept = first.copy()
        few_tiles.conv2d(2 * x, w, None, window)
        np.testing.assert_array_equal(first, kept)


# ---------------------------------------------------------------------- when it is chosen, and what is kept


def chosen(x_shape, w_shape, dtype=np.float32, method="auto", **changed):
    """Whether it is taken. Its bits can be those of `winograd`, so they do not tell."""
    window = resolve("conv2d", x_shape[1:3], 3, **{"stride": 1, "padding": "same", **changed})
    kinds = x_shape, np.dtype(dtype), w_shape, np.dtype(dtype), None
    return conv.conv2d_for(*kinds, window, 1, method).func is few_tiles.conv2d


def test_it_is_chosen_by_shape_alone():
    assert chosen((1, 8, 8, 128), (3, 3, 128, 128))
    assert chosen((3, 8, 8, 128), (3, 3, 128, 256))
    assert chosen((1, 16, 16, 64), (3, 3, 64, 64))
    assert not chosen((1, 32, 32, 64), (3, 3, 64, 128))  # more tiles: `winograd`
    assert chosen((1, 28, 28, 64), (3, 3, 64, 64))
    assert not chosen((1, 8, 8, 64), (3, 3, 64, 128))  # few tiles and few channels: im2col
    assert not chosen((1, 16, 16, 32), (3, 3, 32, 128))
    assert chosen((1, 7, 7, 128), (3, 3, 128, 128))  # a quarter of the tiles' outputs is not wanted
    assert not chosen((1, 4, 4, 128), (3, 3, 128, 128))  # a single tile
    assert not chosen((1, 4, 12, 128), (3, 3, 128, 128))  # three
    assert chosen((1, 8, 8, 256), (3, 3, 256, 512))
    assert not chosen((1, 8, 8, 512), (3, 3, 512, 512))  # so large weights that what is kept would be larger still
    assert not chosen((1, 13, 13, 64), (3, 3, 64, 64))  # tiles of 4x4 have too many outputs that nobody wants


def test_other_ways_are_taken_where_they_are_asked_for_or_it_does_not_fit():
    shapes = (1, 16, 16, 64), (3, 3, 64, 64)
    assert chosen(*shapes)
    assert not chosen(*shapes, stride=2)
    assert not chosen(*shapes, dilation=2)
    assert not chosen(*shapes, method="im2col")
    assert not chosen(*shapes, method="winograd")
    assert not chosen(*shapes, np.float64)


def test_gradients_are_adjoint_to_the_convolution():
    """<conv(x, w), g> = <x, dx> = <w, dw>, though they go another way."""
    window = resolve("conv2d", (8, 8), 3, 1, 1)
    x, w, dout = draws(2, window, 128, 128)
    y = conv.conv2d(x, w, None, window)
    one_by_one = conv.conv2d_input_grad(dout, w, window), conv.conv2d_weight_grad(x, dout, window)
    scale = np.linalg.norm(x) * np.linalg.norm(w) * np.linalg.norm(dout)
    for dx, dw in (one_by_one, conv.conv2d_grads(x, dout, w, window)):
        for a, b in ((x, dx), (w, dw)):
            inner = np.vdot(a.astype(np.float64), b.astype(np.float64))
            assert abs(inner - np.vdot(y.astype(np.float64), dout.astype(np.float64))) < 1e-6 * scale


@pytest.fixture
def without_few_tiles(monkeypatch):
    """An error where few_tiles is taken; and with a stride phases of pixels go one by one."""
    monkeypatch.setattr(conv, "_blocks", lambda *_: None)
    monkeypatch.setattr(few_tiles, "conv2d", lambda *_, **__: pytest.fail("few_tiles was taken"))
    conv.conv2d_for.cache_clear()
    yield
    conv.conv2d_for.cache_clear()  # of the function that fails


# the pixels of the last one are of four phases, with 3x3 kernels each
@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 1, 1), (6, 2, 2)])
def test_gradients_whose_weights_are_new_each_time_go_another_way(kernel, stride, padding, without_few_tiles):
    window = resolve("conv2d", (32, 32) if stride == 2 else (16, 16), kernel, stride, padding)
    rng = np.random.default_rng(0)
    x, dout = (rng.standard_normal((1, *size, 64), np.float32) for size in (window.size, window.out))
    w = rng.standard_normal((kernel, kernel, 64, 64), np.float32)
    conv.conv2d_input_grad(dout, w, window)
    conv.conv2d_grads(x, dout, w, window)
    if stride == 1:
        with pytest.raises(pytest.fail.Exception, match="few_tiles was taken"):  # as the convolution itself does
            conv.conv2d(x, w, None, window)


def test_what_is_kept_is_limited():
    layers = [np.full((3, 3, 256, 256), i, np.float32) for i in range(12)]
    window, x = resolve("conv2d", (8, 8), 3, 1, 1), np.ones((1, 8, 8, 256), np.float32)
    for _ in range(2):
        for w in layers:
            few_tiles.conv2d(x, w, None, window)
    each = 4 * 256 * 256 * (9 + 16)
    assert (1 << 26) - each < kept_weights.nbytes <= 1 << 26


def test_weights_that_are_written_into_are_seen_and_go_with_their_layer():
    gc.collect()
    before = kept_weights.nbytes
    layer, x = nn.Conv2d(128, 128, 3, padding="same", bias=False), np.ones((1, 8, 8, 128), np.float32)
    with ag.no_grad():
        first = layer(x).data
        assert layer(x).data.tobytes() == first.tobytes()
        assert kept_weights.nbytes == before + 4 * 128 * 128 * (9 + 16)
        layer.weight.data[...] *= 2
        np.testing.assert_allclose(layer(x).data, 2 * first, rtol=1e-5, atol=1e-5)
        layer.weight.data = 3 * layer.weight.data
        for _ in range(2):
            np.testing.assert_allclose(layer(x).data, 6 * first, rtol=1e-5, atol=1e-5)
    assert kept_weights.nbytes == before + 4 * 128 * 128 * (9 + 16)
    del layer
    gc.collect()
    assert kept_weights.nbytes == before


SIZES = st.sampled_from([(2, 12), (1, 16), (1, 15), (2, 16), (16, 7), (4, 15)])


@given(st.integers(64, 70), st.integers(64, 70), SIZES, st.integers(0, 99))
@settings(max_examples=20)
def test_where_auto_takes_it_the_op_is_the_convolution_by_taps(c, o, size, seed):
    n, pixels = size
    window = resolve("conv2d", (pixels, pixels), 3, 1, 1)
    x, w, dout = draws(n, window, c, o, seed)
    b = np.arange(o, dtype=np.float32)
    assert error(ag.conv2d(x, w, b, padding=1), by_taps(x, w, dout, window)[0] + b) < BOUND
