"""Copies of runs: what np.copyto copies, for every layout of both arrays."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from autograd.kernels.runs import MOST_UNDER_LOCK, copy_runs, run_of

DTYPES = st.sampled_from([np.float16, np.float32, np.float64, np.complex128, np.int8, np.bool_])
WAYS = st.sampled_from(["contiguous", "fortran", "cut", "with gaps", "backwards"])


def laid_out(way, shape, dtype):
    """A buffer of ones, and a view of that shape in it."""
    if way == "fortran":
        buffer = np.ones(shape[::-1], dtype)
        return buffer, buffer.T
    buffer = np.ones([2 * n + 1 for n in shape], dtype)
    if way == "contiguous":
        buffer = np.ones(shape, dtype)
    steps = {"cut": slice(1, None), "with gaps": slice(1, None, 2), "backwards": slice(None, None, -1)}
    first = tuple(slice(0, n) for n in shape)
    view = buffer[(..., *[steps.get(way, slice(None))] * len(shape))]
    return buffer, view[first]


# few runs are copied as numbers, many as items
SHAPES = st.builds(lambda n, shape: (*n, *shape), st.sampled_from([(), (MOST_UNDER_LOCK + 1,)]),
                   hnp.array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=5))


@given(DTYPES, SHAPES, WAYS, WAYS)
def test_it_writes_what_numpy_would(dtype, shape, source_way, target_way):
    _, source = laid_out(source_way, shape, dtype)
    source[...] = np.random.default_rng(0).integers(0, 100, shape)
    (buffer, target), (expected, plain) = (laid_out(target_way, shape, dtype) for _ in range(2))
    copy_runs(target, source)
    np.copyto(plain, source)
    np.testing.assert_array_equal(buffer, expected)  # between the numbers, too


MANY = MOST_UNDER_LOCK + 1


@pytest.mark.parametrize("source", [np.broadcast_to(np.float32(2), (MANY, 4)), np.arange(4 * MANY).reshape(MANY, 4),
                                    np.arange(4 * MANY, dtype=">f4").reshape(MANY, 4)],
                         ids=["broadcast", "int", "swapped"])
def test_numbers_that_are_no_runs_or_of_another_dtype_are_copied_one_by_one(source):
    target = np.zeros((MANY, 4), np.float32)
    copy_runs(target, source)
    np.testing.assert_array_equal(target, source)


def test_a_run_is_as_long_as_its_numbers_and_never_empty():
    assert run_of(np.dtype(np.float32), 6).itemsize == 24
    assert run_of(np.dtype(np.float32), 0).itemsize == 4
