"""Sums over axes against NumPy's, in float64."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autograd.kernels.sums import total


@settings(deadline=None)
@given(shape=st.lists(st.integers(0, 40), min_size=1, max_size=4), data=st.data(), keepdims=st.booleans(),
       dtype=st.sampled_from([np.float16, np.float32, np.float64, np.complex64, np.int64, bool]))
def test_a_total_is_numpys_sum(shape, data, keepdims, dtype):
    axes = data.draw(st.one_of(st.none(), st.integers(0, len(shape) - 1),
                               st.sets(st.integers(0, len(shape) - 1)).map(lambda s: tuple(sorted(s)))))
    x = np.random.default_rng(0).integers(0, 2, size=shape).astype(dtype)
    with np.errstate(over="ignore"):  # more ones than float16 can hold are inf
        got = total(x, axes, keepdims)
        expected = np.sum(x, axis=axes, keepdims=keepdims)
        if dtype == np.float16:  # NumPy's own stops counting too early
            expected = np.sum(x, axis=axes, keepdims=keepdims, dtype=np.float32).astype(np.float16)
    assert np.shape(got) == np.shape(expected)
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(got, expected)


@pytest.mark.parametrize("layout", [lambda x: x, lambda x: x[::-1], lambda x: x.transpose(1, 0, 2)])
def test_leading_axes_are_as_exact_as_numpy(layout):
    x = layout(np.random.default_rng(1).standard_normal((60, 70, 5)).astype(np.float32))
    np.testing.assert_allclose(total(x, (0, 1)), x.astype(np.float64).sum((0, 1)), rtol=1e-4, atol=1e-4)


def test_float16_counts_beyond_2048():
    assert total(np.ones((10_000, 3), np.float16), 0).tolist() == [10_000] * 3


def test_many_rows_are_added_in_parts_which_is_more_exact_than_one_by_one():
    x = np.full((300_000, 3), 0.1, np.float32)
    np.testing.assert_allclose(total(x, 0), x.astype(np.float64).sum(0), rtol=1e-6)


@pytest.mark.parametrize("shape", [(3000, 0), (0, 3), (3000, 0, 2)])
def test_nothing_adds_up_to_nothing(shape):
    np.testing.assert_array_equal(total(np.ones(shape, np.float32), 0), np.zeros(shape[1:]))
