"""Pooling and unpooling against loops over single windows."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd as ag
from autograd.ops import pool
from tests.autograd.ops import naive


def leaf(value: Any) -> ag.Tensor:
    return ag.Tensor(np.asarray(value, np.float64), requires_grad=True)


def image(*rows: list[float]) -> np.ndarray:
    """One image of one channel."""
    return np.array(rows, float)[None, :, :, None]  # (H, W) -> (1, H, W, 1)


def distinct(shape: tuple) -> np.ndarray:
    n = math.prod(shape)
    return (np.random.default_rng(n).permutation(n) * 0.25 - n / 8).reshape(shape)


def pair(value: Any) -> tuple:
    return value if isinstance(value, tuple) else (value, value)


class Setting(NamedTuple):
    """A shape, and windows that fit it."""

    shape: tuple
    kernel: Any
    stride: Any
    padding: Any

    @property
    def keywords(self) -> dict:
        return {"kernel": self.kernel, "stride": self.stride, "padding": self.padding}


@st.composite
def settings_of_poolings(draw: Any) -> Setting:
    kernel = draw(st.integers(1, 3) | st.tuples(st.integers(1, 3), st.integers(1, 3)))
    stride = draw(st.none() | st.integers(1, 3) | st.tuples(st.integers(1, 3), st.integers(1, 3)))
    most = [k - 1 for k in pair(kernel)]
    padding = draw(st.sampled_from(["same", "valid"]) | st.integers(0, min(most))
                   | st.tuples(*(st.integers(0, n) for n in most)))
    size = [k + draw(st.integers(0, 3)) for k in pair(kernel)]
    return Setting((draw(st.integers(1, 2)), *size, draw(st.integers(1, 2))), kernel, stride, padding)


# ---------------------------------------------------------------------- max pooling


@given(s=settings_of_poolings(), few=st.booleans())
@settings(max_examples=60)
def test_the_largest_of_each_window_and_where_it_stood(s, few):
    x = distinct(s.shape)
    if few:
        x = np.round(x)  # many that tie
    expected, _, places = naive.first_maxima(x, **s.keywords)
    np.testing.assert_array_equal(ag.max_pool2d(x, **s.keywords), expected)
    out, indices = ag.max_pool2d(leaf(x), **s.keywords, return_indices=True)
    np.testing.assert_array_equal(out.data, expected)
    np.testing.assert_array_equal(indices, places)
    assert indices.dtype == np.int64


@pytest.mark.parametrize("return_indices", [False, True])
@given(s=settings_of_poolings(), few=st.booleans())
@settings(max_examples=40)
def test_the_gradient_goes_to_the_first_largest(return_indices, s, few):
    x = leaf(np.round(distinct(s.shape)) if few else distinct(s.shape))
    out = ag.max_pool2d(x, **s.keywords, return_indices=return_indices)
    out = out[0] if return_indices else out
    places = naive.first_maxima(x.data, **s.keywords)[2]
    g = np.random.default_rng(0).standard_normal(out.shape)
    expected = np.zeros(s.shape)
    for (n, oh, ow, c), place in np.ndenumerate(places):
        expected[n, place // s.shape[2], place % s.shape[2], c] += g[n, oh, ow, c]
    (given_back,) = ag.gradients(out, [x], g=g)
    np.testing.assert_allclose(given_back.data, expected, atol=1e-12)


@pytest.mark.parametrize("return_indices", [False, True])
def test_max_pooling_is_right_to_second_order(return_indices):
    def f(x):
        out = ag.max_pool2d(x, 3, 2, 1, return_indices=return_indices)
        return (out[0] if return_indices else out) ** 2

    report = ag.gradcheck(f, distinct((1, 4, 4, 2)), order=2)
    assert report, report


def test_of_equal_elements_the_first_gets_all_of_the_gradient():
    x = leaf(image([1, 1, 0], [1, 1, 2], [0, 2, 2]))
    out = ag.max_pool2d(x, 2, 1)
    (g,) = ag.gradients(out, [x], g=image([1, 10], [100, 1000]))
    assert g.data[0, :, :, 0].tolist() == [[1, 0, 0], [0, 0, 1010], [0, 100, 0]]


@pytest.mark.parametrize("return_indices", [False, True])
def test_a_nan_is_the_largest_of_its_window(return_indices):
    x = leaf(image([1, np.nan, 3, 4], [5, np.nan, 7, 8]))
    out = ag.max_pool2d(x, 2, return_indices=return_indices)
    out, indices = out if return_indices else (out, None)
    assert np.isnan(out.data[0, 0, 0, 0])
    assert out.data[0, 0, 1, 0] == 8
    if return_indices:
        assert indices.ravel().tolist() == [1, 7]
    (g,) = ag.gradients(out, [x], g=image([2, 3]))
    assert g.data[0, :, :, 0].tolist() == [[0, 2, 0, 0], [0, 0, 0, 3]]


def test_padding_is_never_the_largest():
    x = leaf(image([-5, -6], [-7, -8]))
    out, indices = ag.max_pool2d(x, 2, 2, 1, return_indices=True)
    assert out.data.ravel().tolist() == [-5, -6, -7, -8]
    assert indices.ravel().tolist() == [0, 1, 2, 3]
    lowest = leaf(np.full((1, 2, 2, 1), -np.inf))
    out, indices = ag.max_pool2d(lowest, 2, 2, 1, return_indices=True)
    assert indices.ravel().tolist() == [0, 1, 2, 3]
    (g,) = ag.gradients(out, [lowest], g=np.ones(out.shape))
    assert g.data.ravel().tolist() == [1, 1, 1, 1]


# ---------------------------------------------------------------------- unpooling


@given(s=settings_of_poolings())
@settings(max_examples=40)
def test_unpooling_puts_elements_back_and_adds_those_that_meet(s):
    x = distinct(s.shape)
    out, indices = ag.max_pool2d(x, **s.keywords, return_indices=True)
    values = leaf(np.random.default_rng(0).standard_normal(out.shape))
    expected = np.zeros(s.shape)
    for (n, oh, ow, c), place in np.ndenumerate(indices):
        expected[n, place // s.shape[2], place % s.shape[2], c] += values.data[n, oh, ow, c]
    back = ag.max_unpool2d(values, indices, **s.keywords, size=s.shape[1:3])
    np.testing.assert_allclose(back.data, expected, atol=1e-12)
    g = np.random.default_rng(1).standard_normal(s.shape)
    read = np.zeros(out.shape)
    for (n, oh, ow, c), place in np.ndenumerate(indices):
        read[n, oh, ow, c] = g[n, place // s.shape[2], place % s.shape[2], c]
    (given_back,) = ag.gradients(back, [values], g=g)
    np.testing.assert_allclose(given_back.data, read)


def test_unpooling_makes_the_smallest_image_by_default():
    x = np.arange(1.0, 17).reshape(1, 4, 4, 1)
    out, indices = ag.max_pool2d(x, 2, return_indices=True)
    back = ag.max_unpool2d(out, indices, 2)
    assert back[0, :, :, 0].tolist() == [[0, 0, 0, 0], [0, 6, 0, 8], [0, 0, 0, 0], [0, 14, 0, 16]]
    overlapping, indices = ag.max_pool2d(x, 3, 1, 1, return_indices=True)
    assert ag.max_unpool2d(overlapping, indices, 3, 1, 1).shape == (1, 4, 4, 1)


def test_unpooling_is_right_to_second_order():
    x = distinct((1, 5, 4, 2))
    out, indices = ag.max_pool2d(x, 3, 1, return_indices=True)
    report = ag.gradcheck(lambda v: ag.max_unpool2d(v, indices, 3, 1, size=(5, 4)) ** 2, out, order=2)
    assert report, report


# ---------------------------------------------------------------------- average pooling


@pytest.mark.parametrize("count_include_pad", [False, True])
@given(s=settings_of_poolings())
@settings(max_examples=40)
def test_the_mean_of_each_window_and_its_transpose(count_include_pad, s):
    x = leaf(np.random.default_rng(0).standard_normal(s.shape))
    keywords = {**s.keywords, "count_include_pad": count_include_pad}
    out = ag.avg_pool2d(x, **keywords)
    np.testing.assert_allclose(out.data, naive.avg_pool2d(x.data, **keywords), rtol=1e-12, atol=1e-14)
    g = np.random.default_rng(1).standard_normal(out.shape)
    spread = naive.avg_unpool2d(g, s.shape[1:3], **keywords)
    (given_back,) = ag.gradients(out, [x], g=g)
    np.testing.assert_allclose(given_back.data, spread, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(pool.avg_unpool2d(g, s.shape[1:3], **keywords), spread, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("count_include_pad", [False, True])
def test_average_pooling_is_right_to_second_order(count_include_pad):
    x = np.random.default_rng(0).standard_normal((1, 4, 3, 2))
    report = ag.gradcheck(lambda t: ag.avg_pool2d(t, 3, 2, 1, count_include_pad) ** 2, x, order=2)
    assert report, report


def test_padding_counts_in_the_mean_only_if_asked_for():
    x = image([4, 8])
    assert ag.avg_pool2d(x, (1, 2), 2, (0, 1)).ravel().tolist() == [4, 8]
    assert ag.avg_pool2d(x, (1, 2), 2, (0, 1), count_include_pad=True).ravel().tolist() == [2, 4]


def test_the_mean_of_integers_is_float64():
    out = ag.avg_pool2d(np.arange(16, dtype=np.uint8).reshape(1, 4, 4, 1) + 200, 2)
    assert out.dtype == np.float64
    assert out.ravel().tolist() == [202.5, 204.5, 210.5, 212.5]


# ---------------------------------------------------------------------- without images, and errors


@pytest.mark.parametrize("op", [ag.max_pool2d, ag.avg_pool2d], ids=["max", "avg"])
def test_a_batch_without_images_stays_one(op):
    x = leaf(np.zeros((0, 4, 4, 2)))
    out = op(x, 2)
    assert out.shape == (0, 2, 2, 2)
    (g,) = ag.gradients(out.sum(), [x])
    assert g.shape == (0, 4, 4, 2)


@pytest.mark.parametrize(("op", "name"), [(ag.max_pool2d, "max_pool2d"), (ag.avg_pool2d, "avg_pool2d")])
def test_windows_that_do_not_fit_are_refused_by_name(op, name):
    x = leaf(np.ones((1, 2, 2, 1)))
    with pytest.raises(ValueError, match=rf"{name}: kernel \(3, 3\) is larger than the padded input \(2, 2\)"):
        op(x, 3)
    with pytest.raises(ValueError, match=rf"{name}: stride must be at least 1 on both axes, not \(0, 0\)"):
        op(x, 2, 0)
    with pytest.raises(ValueError, match=rf"{name}: padding .* must be smaller than the kernel \(2, 2\)"):
        op(x, 2, padding=2)
    with pytest.raises(ValueError, match=rf"{name}: x must be \(N, H, W, C\), got \(2, 2, 1\); add the batch axis"):
        op(x[0], 2)
    with pytest.raises(TypeError, match=rf"{name}: kernel must be an int or a pair of ints, not 1\.5"):
        op(x, 1.5)


def test_complex_numbers_have_no_largest():
    with pytest.raises(TypeError, match="max_pool2d: complex numbers have no largest"):
        ag.max_pool2d(np.ones((1, 2, 2, 1), complex), 2)


def test_indices_of_another_pooling_are_refused():
    x = leaf(np.ones((1, 2, 2, 1)))
    with pytest.raises(ValueError, match=r"max_unpool2d: index 99 .*but its window is rows 0 to 1 and columns 0 to 1"):
        ag.max_unpool2d(x, np.full((1, 2, 2, 1), 99), 2)
    with pytest.raises(ValueError, match=r"max_unpool2d: x and indices must both be \(N, OH, OW, C\), got x "
                                         r"\(1, 2, 2, 1\) and indices \(1, 2, 3, 1\)"):
        ag.max_unpool2d(x, np.zeros((1, 2, 3, 1), int), 2)
    with pytest.raises(ValueError, match=r"max_unpool2d: a plane of size \(9, 9\) has \(4, 4\) windows .*x "
                                         r"\(1, 2, 2, 1\) has \(2, 2\)"):
        ag.max_unpool2d(x, np.zeros((1, 2, 2, 1), int), 2, size=(9, 9))
    with pytest.raises(TypeError, match="max_unpool2d: indices must be integers, not float64"):
        ag.max_unpool2d(x, np.zeros((1, 2, 2, 1)), 2)
