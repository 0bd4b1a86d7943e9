"""The error function against the C library's, which is right to the last bit or so."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograd.kernels.erf import erf


def units_of_eps(x):
    """The largest relative error of erf(x), as a multiple of the dtype's eps."""
    exact = np.array([math.erf(float(v)) for v in x])
    errors = np.abs(erf(x).astype(float) - exact) / np.abs(exact)
    return errors.max() / np.finfo(x.dtype).eps


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_it_is_right_to_four_units_of_eps_from_tiny_to_huge(dtype):
    rng = np.random.default_rng(0)
    smallest = -37 if dtype == np.float32 else -307  # below, the unit of eps itself grows: no normal numbers
    assert units_of_eps(rng.uniform(-6.5, 6.5, 50_000).astype(dtype)) <= 4
    assert units_of_eps((10 ** rng.uniform(smallest, 1, 20_000)).astype(dtype)) <= 4


@given(st.floats(width=64))
def test_any_float64_at_all(x):
    got = float(erf(np.array(x)))
    assert math.isclose(got, math.erf(x), rel_tol=1e-15, abs_tol=5e-324) or (math.isnan(x) and math.isnan(got))


@given(st.floats(width=32))
def test_any_float32_at_all(x):
    got = float(erf(np.array(x, np.float32)))
    assert math.isclose(got, math.erf(x), rel_tol=5e-7, abs_tol=2e-45) or (math.isnan(x) and math.isnan(got))


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_nan_infinities_zeros_and_huge_numbers(dtype):
    largest = np.finfo(dtype).max
    x = np.array([np.nan, np.inf, -np.inf, largest, -largest, 6.0, -6.0, 0.0, -0.0], dtype)
    with np.errstate(all="raise"):
        y = erf(x)
    assert y.dtype == dtype
    np.testing.assert_array_equal(y, [np.nan, 1, -1, 1, -1, 1, -1, 0, 0])
    np.testing.assert_array_equal(np.signbit(y[-2:]), [False, True])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_smallest_numbers_do_not_vanish(dtype):
    tiny = np.finfo(dtype).smallest_subnormal
    x = np.array([tiny, 100 * tiny], dtype)
    with np.errstate(all="raise"):
        np.testing.assert_array_equal(erf(x), [tiny, 113 * tiny])  # times 2 / sqrt(pi)
        np.testing.assert_array_equal(erf(-x), -erf(x))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("beyond", [-1, 0, 1])
def test_the_ends_of_the_blocks(dtype, beyond):
    block = (1 << 16) // np.dtype(dtype).itemsize
    x = np.linspace(-4, 4, 2 * block + beyond, dtype=dtype)
    at = [0, block - 1, block, 2 * block - 2, len(x) - 1]
    np.testing.assert_allclose(erf(x)[at], [math.erf(v) for v in x[at]], rtol=4 * np.finfo(dtype).eps)
    assert np.all(np.abs(erf(x)) <= 1)


def test_any_shape_and_layout_and_no_argument_is_written_to():
    x = np.linspace(-3, 3, 24).reshape(2, 3, 4)
    exact = np.vectorize(math.erf)
    for view in (x, x.T, x[:, ::2, ::-1], x[0, 0, 0], x[:0]):
        before = view.copy()
        y = erf(view)
        assert y.shape == view.shape
        assert not np.shares_memory(y, x)
        if view.size:
            np.testing.assert_allclose(y, exact(view), rtol=1e-15)
        np.testing.assert_array_equal(view, before)


def test_integers_make_float64():
    y = erf(np.arange(-2, 3))
    assert y.dtype == np.float64
    np.testing.assert_allclose(y, [math.erf(i) for i in range(-2, 3)], rtol=1e-15)


def test_float16_is_the_rounded_float32():
    x = np.linspace(-4, 4, 1001, dtype=np.float16)
    np.testing.assert_array_equal(erf(x), erf(x.astype(np.float32)).astype(np.float16))


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128, np.longdouble])
def test_other_numbers_are_refused(dtype):
    with pytest.raises(TypeError, match=rf"erf: x is {np.dtype(dtype)}, but real numbers up to float64"):
        erf(np.ones(2, dtype))
