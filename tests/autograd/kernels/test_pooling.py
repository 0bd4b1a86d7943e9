"""Max and average pooling against plain loops over windows, and the adjoints against their definition."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograd.kernels import pooling
from autograd.kernels.pooling import (
    avg_pool2d,
    avg_unpool2d,
    indices_to_taps,
    max_pool2d,
    max_pool2d_taps,
    pick_taps,
    taps_to_indices,
    unpool_taps,
)
from autograd.kernels.window import resolve
from tests.autograd.kernels.test_conv import pair


def real_elements(window, oh, ow):
    """(tap, row, column) of every element of a window that is not padding, in reading order."""
    for kh, kw in np.ndindex(*window.kernel):
        h = oh * window.stride[0] - window.padding[0][0] + kh
        w = ow * window.stride[1] - window.padding[1][0] + kw
        if 0 <= h < window.size[0] and 0 <= w < window.size[1]:
            yield kh * window.kernel[1] + kw, h, w


def naive_max(x, window):
    """The first largest element of each window, its tap and its flat index; NaN is larger than all."""
    shape = (len(x), *window.out, x.shape[3])
    out, taps, indices = np.empty(shape, x.dtype), np.empty(shape, int), np.empty(shape, int)
    for n, oh, ow, c in np.ndindex(*shape):
        best = None
        for tap, h, w in real_elements(window, oh, ow):
            value = x[n, h, w, c]
            if best is None or value > best or (value != value and best == best):
                best = out[n, oh, ow, c] = value
                taps[n, oh, ow, c], indices[n, oh, ow, c] = tap, h * window.size[1] + w
    return out, taps, indices


def naive_avg(x, window, count_include_pad):
    out = np.empty((len(x), *window.out, x.shape[3]))
    for n, oh, ow, c in np.ndindex(*out.shape):
        values = [float(x[n, h, w, c]) for _, h, w in real_elements(window, oh, ow)]
        count = window.kernel[0] * window.kernel[1] if count_include_pad else len(values)
        out[n, oh, ow, c] = math.fsum(values) / count
    return out


@st.composite
def windows(draw):
    kernel, stride = draw(pair(1, 4)), draw(pair(1, 4))
    ends = st.tuples(*(st.tuples(st.integers(0, k - 1), st.integers(0, k - 1)) for k in kernel))
    padding = draw(st.sampled_from(["valid", "same"]) | ends)
    least = kernel if padding == "valid" else (1, 1)
    size = tuple(draw(st.integers(n, n + 7)) for n in least)
    if isinstance(padding, tuple):
        size = tuple(max(n, k - sum(p)) for n, k, p in zip(size, kernel, padding, strict=True))
    return resolve("pool", size, kernel, stride, padding)


@st.composite
def images(draw, dtypes=(np.float64, np.float32, np.int64, np.uint8, np.int8)):
    """A window and a batch that fits it, with many equal elements, and infinities or the least integers."""
    window = draw(windows())
    shape = (draw(st.integers(1, 3)), *window.size, draw(st.integers(1, 3)))
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    x = rng.integers(0, 3, shape).astype(dtype)
    lowest = -np.inf if dtype.kind == "f" else np.iinfo(dtype).min
    x[rng.random(shape) < draw(st.sampled_from([0, 0.5, 0.9]))] = lowest
    return window, x


@st.composite
def tapped(draw):
    """A window, taps that lie on real pixels, and whole numbers for outputs and for pixels."""
    window = draw(windows())
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    n, c = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    taps = np.empty((n, *window.out, c), np.uint8)
    for i in np.ndindex(*taps.shape):
        taps[i] = rng.choice([tap for tap, _, _ in real_elements(window, i[1], i[2])])
    g = rng.integers(-9, 10, taps.shape).astype(float)
    x = rng.integers(-9, 10, (n, *window.size, c)).astype(float)
    return window, taps, g, x


@given(images(), st.sampled_from([1, 100, 1 << 20]))
def test_max_pooling_takes_the_first_largest_and_never_the_padding(image, chunk_bytes):
    window, x = image
    out, taps, indices = naive_max(x, window)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pooling, "_CHUNK_BYTES", chunk_bytes)
        plain, (with_taps, got_taps) = max_pool2d(x, window), max_pool2d_taps(x, window)
    assert plain.dtype == with_taps.dtype == x.dtype
    np.testing.assert_array_equal(plain, out)
    np.testing.assert_array_equal(with_taps, out)
    np.testing.assert_array_equal(got_taps, taps)
    assert got_taps.dtype == np.uint8
    np.testing.assert_array_equal(taps_to_indices(got_taps, window), indices)


@given(images(dtypes=(np.float64, np.float32, np.float16)), st.sampled_from([0.05, 0.5, 1.0]))
def test_nan_is_the_largest_and_the_first_nan_is_taken(image, share):
    window, x = image
    x[np.random.default_rng(0).random(x.shape) < share] = np.nan
    out, taps, _ = naive_max(x, window)
    np.testing.assert_array_equal(max_pool2d(x, window), out)
    got = max_pool2d_taps(x, window)
    np.testing.assert_array_equal(got[0], out)
    np.testing.assert_array_equal(got[1], taps)


def test_booleans_are_pooled_by_or():
    x = np.eye(4, dtype=bool).reshape(1, 4, 4, 1)
    window = resolve("max_pool2d", (4, 4), 2, 2, 0)
    np.testing.assert_array_equal(max_pool2d(x, window)[0, :, :, 0], np.eye(2, dtype=bool))
    one = resolve("max_pool2d", (4, 4), 1, 2, 0)
    np.testing.assert_array_equal(max_pool2d(x, one), x[:, ::2, ::2])


def test_a_kernel_of_more_than_256_taps_has_int32_taps():
    window = resolve("max_pool2d", (20, 18), 17, 1, 0)
    x = np.random.default_rng(0).standard_normal((2, 20, 18, 2))
    x[0, 19, 17, 0] = 9  # the last tap of the last window
    out, taps, indices = naive_max(x, window)
    got, got_taps = max_pool2d_taps(x, window)
    assert got_taps.dtype == np.int32
    assert got_taps.max() > 255
    np.testing.assert_array_equal(got, out)
    np.testing.assert_array_equal(got_taps, taps)
    np.testing.assert_array_equal(indices_to_taps(indices, window, "max_unpool2d"), taps)


def test_a_kernel_of_256_taps_has_uint8_taps():
    window = resolve("max_pool2d", (16, 16), 16, 8, 15)
    x = np.zeros((1, 16, 16, 1))
    x[0, 0, 0, 0] = 1
    taps = max_pool2d_taps(x, window)[1]
    assert taps.dtype == np.uint8
    np.testing.assert_array_equal(taps, naive_max(x, window)[1])
    assert taps[0, 0, 0, 0] == 255


@given(tapped(), st.sampled_from([1, 100, 1 << 20]))
def test_unpooling_puts_each_element_at_its_tap_and_adds_up_overlaps(case, chunk_bytes):
    window, taps, g, _ = case
    expected = np.zeros((len(g), *window.size, g.shape[3]))
    for n, oh, ow, c in np.ndindex(*g.shape):
        places = {tap: (n, h, w, c) for tap, h, w in real_elements(window, oh, ow)}
        expected[places[taps[n, oh, ow, c]]] += g[n, oh, ow, c]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pooling, "_CHUNK_BYTES", chunk_bytes)
        np.testing.assert_array_equal(unpool_taps(g, taps, window), expected)


@given(tapped(), st.sampled_from([1, 100, 1 << 20]))
def test_picking_reads_the_tapped_pixels_and_is_adjoint_to_unpooling(case, chunk_bytes):
    window, taps, g, x = case
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pooling, "_CHUNK_BYTES", chunk_bytes)
        picked, dx = pick_taps(x, taps, window), unpool_taps(g, taps, window)
    indices = taps_to_indices(taps, window).reshape(len(x), -1, x.shape[3])  # (N, OH*OW, C)
    planes = x.reshape(len(x), -1, x.shape[3])  # (N, H*W, C)
    np.testing.assert_array_equal(picked.reshape(indices.shape), np.take_along_axis(planes, indices, axis=1))
    assert np.vdot(dx, x) == np.vdot(g, picked)


@given(tapped())
def test_indices_and_taps_say_the_same(case):
    window, taps, _, _ = case
    indices = taps_to_indices(taps, window)
    assert indices.dtype == np.int64
    np.testing.assert_array_equal(indices_to_taps(indices, window, "max_unpool2d"), taps)
    np.testing.assert_array_equal(indices_to_taps(indices.astype(np.int32), window, "max_unpool2d"), taps)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(
    "dtype", [np.float16, np.float32, np.float64, np.longdouble, np.complex64, np.complex128, np.int8, np.int64]
)
def test_unpooling_and_picking_keep_the_dtype_and_infinities_stay_in_their_place(dtype, stride):
    window = resolve("pool", (4, 4), 2, stride, 0)
    x = np.arange(16).reshape(1, 4, 4, 1).astype(dtype)
    taps = np.full((1, *window.out, 1), 3, np.uint8)
    corners = x[:, 1::stride, 1::stride]
    picked = pick_taps(x, taps, window)
    assert picked.dtype == dtype
    np.testing.assert_array_equal(picked, corners)
    g = np.ones(taps.shape, dtype)
    if np.dtype(dtype).kind == "f":
        g[0, 0, 0, 0] = np.inf
        g[0, 0, 1, 0] = np.nan
    expected = np.zeros_like(x)
    expected[:, 1::stride, 1::stride] = g
    dx = unpool_taps(g, taps, window)
    assert dx.dtype == dtype
    np.testing.assert_array_equal(dx, expected)


@given(images(dtypes=(np.float64,)), st.booleans(), st.sampled_from([1, 100, 1 << 20]))
def test_average_pooling_is_the_mean_of_the_real_elements_or_of_all(image, count_include_pad, chunk_bytes):
    window, x = image
    x[np.isinf(x)] = -7
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pooling, "_CHUNK_BYTES", chunk_bytes)
        got = avg_pool2d(x, window, count_include_pad)
    np.testing.assert_array_equal(got, naive_avg(x, window, count_include_pad))


@given(tapped(), st.booleans(), st.sampled_from([1, 100, 1 << 20]))
def test_average_unpooling_spreads_each_element_evenly(case, count_include_pad, chunk_bytes):
    window, _, g, x = case
    expected = np.zeros(x.shape)
    for n, oh, ow, c in np.ndindex(*g.shape):
        places = [(h, w) for _, h, w in real_elements(window, oh, ow)]
        count = window.kernel[0] * window.kernel[1] if count_include_pad else len(places)
        for h, w in places:
            expected[n, h, w, c] += g[n, oh, ow, c] / count
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pooling, "_CHUNK_BYTES", chunk_bytes)
        dx = avg_unpool2d(g, window, count_include_pad)
    np.testing.assert_allclose(dx, expected, rtol=1e-13, atol=1e-13)
    average = avg_pool2d(x, window, count_include_pad)
    np.testing.assert_allclose(np.vdot(dx, x), np.vdot(g, average), rtol=1e-12, atol=1e-10)


@pytest.mark.parametrize("padding", [0, 1])
@pytest.mark.parametrize(
    ("dtype", "mean"),
    [
        (np.float16, np.float16),
        (np.float32, np.float32),
        (np.float64, np.float64),
        (np.longdouble, np.longdouble),
        (np.complex64, np.complex64),
        (np.complex128, np.complex128),
        (np.int8, np.float64),
        (np.int64, np.float64),
        (bool, np.float64),
    ],
)
def test_means_keep_an_inexact_dtype_and_make_integers_float64(dtype, mean, padding):
    window = resolve("avg_pool2d", (6, 6), 2, 2, padding)
    x = np.ones((2, 6, 6, 3), dtype)
    y, dx = avg_pool2d(x, window), avg_unpool2d(np.ones((2, *window.out, 3), dtype), window)
    assert y.dtype == dx.dtype == mean
    np.testing.assert_array_equal(y, np.ones(y.shape))
    np.testing.assert_array_equal(dx.sum(axis=(1, 2)), np.full((2, 3), window.out[0] * window.out[1]))


def test_a_mean_of_float16_does_not_overflow_in_its_sum():
    window = resolve("avg_pool2d", (4, 4), 4, 4, 0)
    assert avg_pool2d(np.full((1, 4, 4, 1), 60000, np.float16), window)[0, 0, 0, 0] == np.float16(60000)


def test_arguments_may_be_strided_and_are_not_written_to():
    window = resolve("pool", (7, 6), 3, 2, 1)
    rng = np.random.default_rng(0)
    x, g = rng.standard_normal((2, 7, 6, 3)), rng.standard_normal((2, *window.out, 3))
    taps = max_pool2d_taps(x, window)[1]

    def everything(x, g, taps):
        return [
            max_pool2d(x, window),
            *max_pool2d_taps(x, window),
            unpool_taps(g, taps, window),
            pick_taps(x, taps, window),
            taps_to_indices(taps, window),
            avg_pool2d(x, window),
            avg_unpool2d(g, window),
        ]

    expected = everything(x, g, taps)
    for layout in (np.copy, lambda a: np.ascontiguousarray(a.T).T, lambda a: np.repeat(a, 2, axis=3)[..., ::2]):
        arguments = [layout(a) for a in (x, g, taps)]
        for a in arguments:
            a.flags.writeable = False
        for got, exact in zip(everything(*arguments), expected, strict=True):
            np.testing.assert_array_equal(got, exact)
            assert got.flags.writeable
            assert not any(np.shares_memory(got, a) for a in arguments)
        for a, before in zip(arguments, (x, g, taps), strict=True):
            np.testing.assert_array_equal(a, before)


def test_an_empty_batch_has_empty_outputs():
    window = resolve("pool", (6, 6), 3, 2, 1)
    x, g, taps = np.ones((0, 6, 6, 2)), np.ones((0, 3, 3, 2)), np.ones((0, 3, 3, 2), np.uint8)
    assert max_pool2d(x, window).shape == avg_pool2d(x, window).shape == pick_taps(x, taps, window).shape == g.shape
    assert [a.shape for a in max_pool2d_taps(x, window)] == [g.shape, g.shape]
    assert unpool_taps(g, taps, window).shape == avg_unpool2d(g, window).shape == x.shape
    assert indices_to_taps(taps_to_indices(taps, window), window, "max_unpool2d").shape == g.shape


def test_an_index_outside_of_its_window_is_refused():
    window = resolve("max_unpool2d", (4, 6), 2, 2, 0)
    indices = taps_to_indices(np.zeros((1, 2, 3, 1), np.uint8), window)
    indices[0, 1, 2, 0] = 9  # of the window of rows 2 to 3 and columns 4 to 5
    text = (
        r"max_unpool2d: index 9 at \(n, oh, ow, c\) = \(0, 1, 2, 0\) is pixel \(1, 3\) of an image \(4, 6\), "
        r"but its window is rows 2 to 3 and columns 4 to 5; give the kernel, stride, padding and size"
    )
    with pytest.raises(ValueError, match=text):
        indices_to_taps(indices, window, "max_unpool2d")


@pytest.mark.parametrize("pixel", [(1, 2), (4, 2), (2, 1), (2, 4)])
def test_one_pixel_off_on_any_side_is_outside(pixel):
    window = resolve("max_unpool2d", (6, 6), 2, 2, 0)
    indices = taps_to_indices(np.zeros((1, 3, 3, 1), np.uint8), window)
    indices[0, 1, 1, 0] = pixel[0] * 6 + pixel[1]  # of the window of rows 2 to 3 and columns 2 to 3
    with pytest.raises(ValueError, match=rf"is pixel \({pixel[0]}, {pixel[1]}\) of an image"):
        indices_to_taps(indices, window, "max_unpool2d")


@pytest.mark.parametrize("index", [-1, -4, 16, 1 << 40, -(1 << 40), 5])
def test_an_index_in_the_padding_or_outside_of_the_plane_is_refused(index):
    window = resolve("max_unpool2d", (4, 4), 2, 2, 1)
    indices = taps_to_indices(np.full((1, 3, 3, 1), 3, np.uint8), window)
    indices[0, 0, 0, 0] = index  # of the window of rows -1 to 0 and columns -1 to 0
    with pytest.raises(ValueError, match=rf"max_unpool2d: index {index} at \(n, oh, ow, c\) = \(0, 0, 0, 0\)"):
        indices_to_taps(indices, window, "max_unpool2d")


def test_indices_that_are_no_integers_are_refused():
    window = resolve("max_unpool2d", (4, 4), 2, 2, 0)
    with pytest.raises(TypeError, match="max_unpool2d: indices must be integers, not float64"):
        indices_to_taps(np.zeros((1, 2, 2, 1)), window, "max_unpool2d")


def test_complex_numbers_have_no_largest():
    window = resolve("max_pool2d", (4, 4), 2, 2, 0)
    for pool in (max_pool2d, max_pool2d_taps):
        with pytest.raises(TypeError, match="max_pool2d: complex numbers have no largest"):
            pool(np.ones((1, 4, 4, 1), complex), window)


@pytest.mark.parametrize("pool", [max_pool2d, max_pool2d_taps, avg_pool2d])
def test_windows_that_could_be_all_padding_and_dilated_ones_are_refused(pool):
    x = np.ones((1, 4, 4, 1))
    text = r"_pool2d: padding \(\(2, 2\), \(2, 2\)\) must be smaller than the kernel .*; use less padding or a larger"
    with pytest.raises(ValueError, match=text):
        pool(x, resolve("pool", (4, 4), 2, 2, 2))
    with pytest.raises(ValueError, match=r"_pool2d: pooling has no dilation, but the window has \(2, 2\)"):
        pool(x, resolve("pool", (4, 4), 2, 2, 0, 2))


def test_shapes_that_do_not_fit_are_refused():
    window = resolve("pool", (4, 4), 2, 2, 0)
    x, g, taps = np.ones((1, 4, 4, 2)), np.ones((1, 2, 2, 2)), np.ones((1, 2, 2, 2), np.uint8)
    with pytest.raises(ValueError, match=r"max_pool2d: x has shape \(4, 4, 2\) but \(N, 4, 4, C\) is expected"):
        max_pool2d(x[0], window)
    with pytest.raises(ValueError, match=r"avg_pool2d: x has shape \(1, 3, 4, 2\) but \(N, 4, 4, C\) is expected"):
        avg_pool2d(x[:, 1:], window)
    with pytest.raises(ValueError, match=r"avg_unpool2d: g .* but \(N, 2, 2, C\) is expected; bring g to that"):
        avg_unpool2d(x, window)
    with pytest.raises(ValueError, match=r"unpool_taps: taps .* but \(1, 2, 2, 2\) is expected; give the taps"):
        unpool_taps(g, taps[..., :1], window)
    with pytest.raises(ValueError, match=r"pick_taps: taps have shape \(1, 2, 1, 2\) but \(1, 2, 2, 2\) is"):
        pick_taps(x, taps[:, :, :1], window)
    with pytest.raises(ValueError, match=r"max_unpool2d: indices has shape \(1, 4, 4, 2\) but \(N, 2, 2, C\)"):
        indices_to_taps(x.astype(int), window, "max_unpool2d")
