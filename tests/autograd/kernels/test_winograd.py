"""Winograd's convolution against the sum over taps in float64, its error, its adjoints, and when it is chosen."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd as ag
from autograd.kernels import conv, lanes, winograd
from autograd.kernels.memory import Scratch
from autograd.kernels.transforms import kept_weights
from autograd.kernels.window import resolve
from tests.autograd.kernels.cuts import cut_into_stacks
from tests.autograd.kernels.taps import BOUND, by_taps, draws, error, geometries


def all_three(x, w, dout, window, method="winograd", at_once=False):
    """The convolution and both gradients, these one by one or at once."""
    if at_once:
        return (conv.conv2d(x, w, None, window, method=method), *conv.conv2d_grads(x, dout, w, window, method=method))
    return (
        conv.conv2d(x, w, None, window, method=method),
        conv.conv2d_input_grad(dout, w, window, method=method),
        conv.conv2d_weight_grad(x, dout, window, method=method),
    )


@given(geometries(), st.integers(0, 99), st.booleans())
def test_convolution_and_gradients_are_those_of_the_taps(geometry, seed, at_once):
    n, window, c, o = geometry
    x, w, dout = draws(n, window, c, o, seed)
    squares = by_taps(x * x, w * w, dout * dout, window)  # of the products: a few outputs may all cancel to little
    found, exacts = all_three(x, w, dout, window, at_once=at_once), by_taps(x, w, dout, window)
    for got, exact, square in zip(found, exacts, squares, strict=True):
        assert got.dtype == np.float32
        assert got.shape == exact.shape
        assert np.abs(got - exact).max() < BOUND * max(np.abs(exact).max(), square.max() ** 0.5)


@given(geometries(), st.integers(1, 5), st.booleans())
@settings(max_examples=30)
def test_where_the_work_is_cut_changes_little(geometry, tiles, at_once):
    """Chunks of few tiles, so that images are cut into rows of tiles and lanes have several chunks."""
    n, window, c, o = geometry
    x, w, dout = draws(n, window, c, o)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(winograd, "_TILES", tiles)
        patch.setattr(winograd, "_NUMBERS", 1)
        patch.setattr(lanes, "_LANES", 2)
        winograd._plan.cache_clear()  # of what was cut in another way
        results = all_three(x, w, dout, window, at_once=at_once)
    winograd._plan.cache_clear()
    for got, exact in zip(results, by_taps(x, w, dout, window), strict=True):
        assert error(got, exact) < BOUND


@given(geometries(), st.integers(1, 3000), st.booleans())
@settings(max_examples=30)
def test_where_the_products_are_cut_changes_little(geometry, unpacked, at_once):
    """Products of stacks, where BLAS takes few multiplications without packing."""
    n, window, c, o = geometry
    x, w, dout = draws(n, window, c, o)
    with cut_into_stacks(unpacked, least=1):
        results = all_three(x, w, dout, window, at_once=at_once)
    for got, exact in zip(results, by_taps(x, w, dout, window), strict=True):
        assert error(got, exact) < BOUND


REAL_SIZES = [(8, 32, 16, 16), (8, 32, 64, 128), (16, 16, 128, 128), (32, 8, 128, 256), (2, 30, 64, 64)]


@pytest.mark.parametrize(("n", "size", "c", "o"), REAL_SIZES)
def test_at_real_sizes_the_error_is_a_few_times_that_of_im2col(n, size, c, o):
    window = resolve("conv2d", (size, size), 3, 1, "same")
    x, w, dout = draws(n, window, c, o)
    exact = by_taps(x, w, dout, window)
    plain = all_three(x, w, dout, window, "im2col")
    for at_once in (False, True):
        found = all_three(x, w, dout, window, at_once=at_once)
        for got, other, value in zip(found, plain, exact, strict=True):
            assert error(got, value) < min(BOUND, 12 * error(other, value))


@given(geometries(), st.integers(0, 99), st.booleans())
@settings(max_examples=40)
def test_both_gradients_are_adjoint_to_the_convolution(geometry, seed, at_once):
    """<conv(x, w), g> = <x, dx> = <w, dw>, in float32, where differences of values would drown in rounding."""
    n, window, c, o = geometry
    x, w, dout = draws(n, window, c, o, seed)
    y, dx, dw = (array.astype(np.float64) for array in all_three(x, w, dout, window, at_once=at_once))
    scale = np.linalg.norm(x) * np.linalg.norm(w) * np.linalg.norm(dout)
    assert abs(np.vdot(x, dx) - np.vdot(y, dout)) < 1e-6 * scale
    assert abs(np.vdot(w, dw) - np.vdot(y, dout)) < 1e-6 * scale


def test_the_gradients_of_the_op_are_adjoint_at_second_order_too():
    """The gradient of <dx, u> by dout is the convolution of u: the three ops are each other's rules."""
    rng = np.random.default_rng(0)
    x, u = rng.standard_normal((2, 2, 9, 9, 5), np.float32)
    w = ag.Tensor(rng.standard_normal((3, 3, 5, 4), np.float32))
    x, g = ag.Tensor(x, requires_grad=True), ag.Tensor(np.ones((2, 9, 9, 4), np.float32), requires_grad=True)
    y = ag.conv2d(x, w, padding="same", method="winograd")
    [dx] = ag.gradients(y, [x], g=g, create_graph=True)
    [dg] = ag.gradients((dx * u).sum(), [g])
    expected = ag.conv2d(u.astype(np.float64), w.data.astype(np.float64), padding="same")
    assert error(dg.data, expected) < BOUND


@given(geometries())
@settings(max_examples=30)
def test_a_bias_is_added_to_each_output(geometry):
    n, window, c, o = geometry
    x, w, dout = draws(n, window, c, o)
    b = np.arange(1, o + 1, dtype=np.float32)
    with_b, without = (conv.conv2d(x, w, bias, window, method="winograd") for bias in (b, None))
    np.testing.assert_array_equal(with_b, without + b)


def test_arguments_may_be_strided_and_are_not_written_to():
    window = resolve("conv2d", (10, 9), 3, 1, 1)
    x, w, dout = draws(2, window, 5, 4)
    before = [array.copy() for array in (x, w, dout)]
    strided = [np.asfortranarray(array) for array in (x, w, dout)]
    for got, expected in zip(all_three(*strided, window), all_three(x, w, dout, window), strict=True):
        np.testing.assert_allclose(got, expected, atol=1e-4)
    for array, old in zip((x, w, dout), before, strict=True):
        np.testing.assert_array_equal(array, old)


@pytest.mark.parametrize("window", [resolve("conv2d", (16, 16), 3, 1, 1), resolve("conv2d", (14, 14), 3, 1, 1)])
def test_a_cotangent_in_another_order_of_memory_has_the_same_gradients(window):
    x, w, dout = draws(9, window, 20, 24)
    turned = np.asfortranarray(dout)
    expected, got = (all_three(x, w, g, window, at_once=True) for g in (dout, turned))
    for a, b in zip(expected, got, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(winograd.conv2d_weight_grad(x, turned, window),
                                  winograd.conv2d_weight_grad(x, dout, window))


def test_tiles_are_copied_by_run_where_they_are_many():
    """NumPy keeps the interpreter's lock while it copies 500 items or fewer."""
    with Scratch() as scratch:
        for images, item in ((4, "V80"), (1, "float32")):  # in a chunk 512 runs of 20 outputs, and 128
            step = winograd._Plan(images, resolve("conv2d", (16, 16), 3, 1, 1), 20, 20).steps()[0]
            assert winograd._Buffers(step.kind, scratch)._items.dtype == np.dtype(item)


def test_results_do_not_share_memory_with_scratch():
    window = resolve("conv2d", (10, 9), 3, 1, 1)
    x, w, dout = draws(2, window, 5, 4)
    first = all_three(x, w, dout, window)
    kept = [array.copy() for array in first]
    all_three(2 * x, w, dout, window)
    for array, old in zip(first, kept, strict=True):
        np.testing.assert_array_equal(array, old)


@pytest.mark.parametrize("tiles", [2, 64])
def test_it_has_the_same_bits_for_any_number_of_threads(tiles, monkeypatch):
    monkeypatch.setattr(winograd, "_TILES", tiles)
    monkeypatch.setattr(winograd, "_NUMBERS", 1)
    window = resolve("conv2d", (33, 18), 3, 1, 1)
    x, w, dout = draws(5, window, 8, 16)
    before = ag.get_num_threads()
    found = []
    for n in (1, 2, 3):
        ag.set_num_threads(n)
        found.append([array.tobytes() for array in all_three(x, w, dout, window)])
    ag.set_num_threads(before)
    assert found[0] == found[1] == found[2]


def test_an_empty_batch_has_empty_outputs_and_a_weight_gradient_of_zeros():
    window = resolve("conv2d", (8, 8), 3, 1, 1)
    y, dx, dw = all_three(*draws(0, window, 3, 2), window)
    assert y.shape == (0, 8, 8, 2)
    assert dx.shape == (0, 8, 8, 3)
    np.testing.assert_array_equal(dw, np.zeros((3, 3, 3, 2)))


# ---------------------------------------------------------------------- what is kept


@pytest.mark.parametrize(("images", "is_kept"), [(1, True), (4, True), (5, False)])
def test_transformed_weights_are_kept_for_few_tiles_alone_and_give_the_same_bits(images, is_kept):
    window = resolve("conv2d", (32, 32), 3, 1, 1)
    x, w, dout = draws(images, window, 16, 24)
    before = kept_weights.nbytes
    found = {conv.conv2d(x, w, None, window).tobytes() for _ in range(3)}
    assert (kept_weights.nbytes > before) == is_kept
    w[0, 0] *= 2
    changed = conv.conv2d(x, w, None, window)
    assert error(changed, by_taps(x, w, dout, window)[0]) < BOUND
    w[0, 0] /= 2
    found |= {conv.conv2d(x, w, None, window).tobytes(), conv.conv2d(x, w.copy(), None, window).tobytes()}
    assert len(found) == 1


def test_of_what_is_large_or_made_for_a_gradient_nothing_is_kept():
    window = resolve("conv2d", (32, 32), 3, 1, 1)
    assert winograd.keeping_pays(1, window, 256, 512)
    assert not winograd.keeping_pays(1, window, 512, 512)
    x, w, dout = draws(1, window, 16, 16)
    before = kept_weights.nbytes
    for _ in range(2):
        conv.conv2d_input_grad(dout, w, window)
        conv.conv2d_grads(x, dout, w, window)
    assert kept_weights.nbytes == before
    assert not conv.conv2d_for(x.shape, x.dtype, w.shape, w.dtype, None, window, 1, "auto", True).keywords["keeps"]


# ---------------------------------------------------------------------- when it is chosen


def chosen(x_shape, w_shape, dtype=np.float32, **settings):
    """Whether "auto" took Winograd: its bits are not those of im2col."""
    rng = np.random.default_rng(0)
    x, w = (rng.standard_normal(shape).astype(dtype) for shape in (x_shape, w_shape))
    auto, plain = (ag.conv2d(x, w, padding="same", method=method, **settings) for method in ("auto", "im2col"))
    return not np.array_equal(auto, plain)


def test_it_is_chosen_by_shape_and_dtype_alone():
    assert chosen((4, 16, 16, 64), (3, 3, 64, 64))
    assert not chosen((4, 16, 16, 64), (3, 3, 64, 64), np.float64)
    assert not chosen((4, 16, 16, 64), (3, 3, 64, 64), stride=2)
    assert not chosen((4, 16, 16, 64), (3, 3, 64, 64), dilation=2)
    assert not chosen((4, 16, 16, 64), (3, 3, 32, 64), groups=2)
    assert not chosen((4, 16, 16, 64), (5, 5, 64, 64))
    assert chosen((4, 16, 16, 16), (3, 3, 16, 64))
    assert chosen((8, 14, 14, 32), (3, 3, 32, 32))
    assert not chosen((8, 14, 14, 16), (3, 3, 16, 32))  # few channels, and outputs that nobody wants
    assert not chosen((4, 16, 16, 15), (3, 3, 15, 64))  # few channels: the transforms cost more than they save
    assert not chosen((1, 8, 8, 64), (3, 3, 64, 64))  # few tiles
    assert not chosen((40, 5, 5, 64), (3, 3, 64, 64))  # tiles of 4x4 cover 5x5 with more waste than they save


def test_float64_is_always_im2col():
    with pytest.raises(ValueError, match=r'method "winograd" takes a 3x3 kernel.*float32 alone.*float64.*"auto"'):
        ag.conv2d(np.ones((1, 8, 8, 1)), np.ones((3, 3, 1, 1)), method="winograd")


@pytest.mark.parametrize("settings", [dict(stride=2), dict(dilation=2), dict(padding=3), dict(groups=2)])
def test_asking_for_it_where_it_does_not_fit_is_an_error_that_says_what_fits(settings):
    x, w = np.ones((1, 8, 8, 2), np.float32), np.ones((3, 3, 2 // settings.get("groups", 1), 2), np.float32)
    with pytest.raises(ValueError, match=r'method "winograd" takes .* not kernel \(3, 3\), stride .*; use "auto"'):
        ag.conv2d(x, w, method="winograd", **settings)


def test_asking_for_it_in_an_input_gradient_where_it_does_not_fit_is_an_error_in_its_name():
    dout, w = np.ones((1, 3, 3, 1), np.float32), np.ones((3, 3, 1, 1), np.float32)
    with pytest.raises(ValueError, match='conv2d_input_grad: method "winograd" takes a 3x3 kernel, stride 1'):
        ag.conv2d_input_grad(dout, w, (1, 7, 7, 1), stride=2, method="winograd")


def test_an_unknown_method_is_an_error_that_lists_the_known_ones():
    with pytest.raises(ValueError, match=r'conv2d: method \'fft\' is unknown; use "auto", "im2col" or "winograd"'):
        ag.conv2d(np.ones((1, 8, 8, 1)), np.ones((3, 3, 1, 1)), method="fft")


# Pixels of an axis, and a padding that leaves as many outputs, fewer or more: tiles of 4x4 cover all of them well.
AXES = st.sampled_from([(4, (1, 1)), (8, (2, 0)), (7, (1, 1)), (7, (1, 2)), (8, (0, 1)), (14, (0, 0)), (12, (2, 2))])


@st.composite
def paying(draw):
    """(n, window, c, o): few pixels, just as many images and channels as pay, and some more."""
    (height, rows), (width, columns) = draw(AXES), draw(AXES)
    window = resolve("conv2d", (height, width), 3, 1, (rows, columns))
    tiles = min(-(-height // 4) * -(-width // 4), -(-window.out[0] // 4) * -(-window.out[1] // 4))
    n = -(-64 // tiles) + draw(st.integers(0, 2))
    least = 32 if any(size % 4 for size in (height, width, *window.out)) else 16  # what tiles have, all are wanted
    return n, window, draw(st.integers(least, least + 8)), draw(st.integers(least, least + 8))


@given(paying(), st.integers(0, 99), st.booleans())
@settings(max_examples=30)
def test_where_auto_takes_it_convolution_and_gradients_are_those_of_the_taps(geometry, seed, at_once):
    n, window, c, o = geometry
    x, w, dout = draws(n, window, c, o, seed)
    found, plain = (all_three(x, w, dout, window, method, at_once) for method in ("auto", "im2col"))
    for got, other, exact in zip(found, plain, by_taps(x, w, dout, window), strict=True):
        assert not np.array_equal(got, other)
        assert got.dtype == np.float32
        assert error(got, exact) < BOUND


def test_the_gradients_are_taken_by_the_method_that_was_asked_for():
    rng = np.random.default_rng(0)
    images, weights = (rng.standard_normal(shape, np.float32) for shape in ((4, 16, 16, 64), (3, 3, 64, 64)))
    grads = {}
    for method in ("im2col", "winograd"):
        x, w = ag.Tensor(images, requires_grad=True), ag.Tensor(weights, requires_grad=True)
        ag.conv2d(x, w, padding="same", method=method).sum().backward()
        grads[method] = x.grad.data, w.grad.data
    for plain, other in zip(*grads.values(), strict=True):
        assert not np.array_equal(plain, other)
        assert error(other, plain) < 2 * BOUND
