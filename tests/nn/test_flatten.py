"""Flatten: all axes but the first made one."""

from math import prod

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nn


@given(shape=st.lists(st.integers(0, 4), min_size=1, max_size=4))
def test_each_example_becomes_one_vector_in_reading_order(shape):
    x = np.arange(prod(shape)).reshape(shape)
    out = nn.Flatten()(x)
    assert out.shape == (shape[0], prod(shape[1:]))
    for n in range(shape[0]):
        assert out.data[n].tolist() == [x[(n, *at)] for at in np.ndindex(*shape[1:])]


def test_a_single_number_is_refused():
    with pytest.raises(ValueError, match=r"Flatten\(\): x must have a batch axis, \(N, \.\.\), got a single number"):
        nn.Flatten()(np.float32(1))
