"""Elementwise work in blocks: against NumPy on whole arrays, and the same for any cut and number of threads."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import autograd as ag
from autograd.kernels import blocks

SPECIAL = [0.0, -0.0, 1.5, -2.0, np.inf, -np.inf, np.nan, 1e-45, -1e-45]
values = hnp.arrays(np.float32, hnp.array_shapes(min_dims=0, max_dims=3, max_side=9), elements=st.sampled_from(SPECIAL))


@given(values)
def test_relu_is_the_maximum_with_0(x):
    got = blocks.relu(x)
    np.testing.assert_array_equal(got, np.where(np.isnan(x), x, np.where(x > 0, x, 0)))
    assert type(got) is np.ndarray  # also without axes


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.int8, np.int64, np.uint8, bool])
@pytest.mark.parametrize("size", [0, 1, 7, 33, blocks.BLOCK + 5])
def test_relu_has_the_numbers_and_the_dtype_of_numpys_maximum_with_a_single_0(dtype, size):
    few = [0.0, -0.0, 1.5, -2.0, np.nan] if np.dtype(dtype).kind == "f" else [0, 1, 3, -4]
    x = np.resize(few, size).astype(dtype)
    got, expected = blocks.relu(x), np.maximum(x, 0)
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(got, expected)


@given(st.data(), values)
def test_the_gradient_of_relu_is_0_where_the_output_is_and_the_cotangent_elsewhere(data, g):
    out = data.draw(hnp.arrays(np.float32, g.shape, elements=st.sampled_from(SPECIAL)))
    got = blocks.relu_grad(g, out)
    np.testing.assert_array_equal(got, np.where(out > 0, g, np.float32(0)))
    assert got.shape == g.shape


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64, np.longdouble, np.int32, np.uint8, np.complex64])
def test_keep_takes_values_of_every_dtype(dtype):
    values, mask = np.array([1, 2, 3]).astype(dtype), np.array([True, False, True])
    np.testing.assert_array_equal(blocks.kept(values, mask), np.array([1, 0, 3]).astype(dtype))


def test_strided_arguments_and_outputs_are_taken_by_their_values():
    x = np.arange(-8.0, 8.0).reshape(4, 4)
    np.testing.assert_array_equal(blocks.relu(x.T), np.maximum(x.T, 0))
    out = np.empty((4, 8))[:, ::2]
    blocks.keep(x, x > 2, out)
    np.testing.assert_array_equal(out, np.where(x > 2, x, 0))


@given(st.integers(0, 40), st.integers(1, 12))
def test_each_number_is_in_one_block(size, block):
    counts = np.zeros(size, int)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK", block)
        patch.setattr(blocks, "_LEAST_SHARED", 0)
        sizes = []
        blocks.each_block(lambda part: (np.add(part, 1, out=part), sizes.append(part.size)), counts)
    assert (counts == 1).all()
    assert max(sizes) <= block


def test_threads_change_no_bits(monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK", 100)
    monkeypatch.setattr(blocks, "_LEAST_SHARED", 0)
    x = np.random.default_rng(0).standard_normal(10_000, np.float32)
    before = ag.get_num_threads()
    found = []
    for n in (1, 3):
        ag.set_num_threads(n)
        found.append(blocks.relu(x))
    ag.set_num_threads(before)
    np.testing.assert_array_equal(found[0], np.maximum(x, 0))
    np.testing.assert_array_equal(found[1], found[0])


def test_repeated_is_tile():
    np.testing.assert_array_equal(blocks.repeated(np.arange(3), 4), np.tile(np.arange(3), 4))
