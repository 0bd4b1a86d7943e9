"""Embedding: rows of a table, and gradients that add up in rows read twice."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import autograd as ag
import nn
from tests.nn.gradients import check_layer


@given(shape=st.lists(st.integers(0, 3), max_size=3), dtype=st.sampled_from(["i8", "i4", "u1"]))
def test_each_index_becomes_its_row(shape, dtype):
    layer = nn.Embedding(7, 4, rng=0)
    indices = np.random.default_rng(1).integers(7, size=shape).astype(dtype)
    out = layer(indices)
    assert out.shape == (*shape, 4)
    for at in np.ndindex(*shape):
        assert out.data[at].tolist() == layer.weight.data[int(indices[at])].tolist()


def test_a_row_read_twice_gets_both_gradients():
    layer = nn.Embedding(4, 2)
    out = layer(ag.Tensor([2, 0, 2]))
    out.backward(np.array([[1, 2], [10, 20], [100, 200]], np.float32))
    assert layer.weight.grad.data.tolist() == [[10, 20], [0, 0], [101, 202], [0, 0]]


def test_gradients_to_second_order(float64):
    check_layer(nn.Sequential(nn.Embedding(5, 3, rng=0))[0], np.array([[0, 3], [3, 4]]))


def test_rows_start_normal():
    table = nn.Embedding(200, 100, rng=0).weight.data
    assert table.mean() == pytest.approx(0, abs=0.05)
    assert table.std() == pytest.approx(1, abs=0.05)


def test_floats_are_refused():
    with pytest.raises(TypeError, match=re.escape("Embedding(5, 3): indices must be whole numbers, got float64; use "
                                                  ".astype(np.int64)")):
        nn.Embedding(5, 3)(np.array([1.0]))


@pytest.mark.parametrize(("indices", "text"), [([[0, 1], [5, 2]], "indices[1, 0] is 5"), ([0, -1], "indices[1] is -1"),
                                               (9, "indices[] is 9")])
def test_indices_out_of_range_are_refused_with_their_place(indices, text):
    with pytest.raises(ValueError, match=re.escape(f"Embedding(5, 3): {text}, but the table has rows 0 to 4")):
        nn.Embedding(5, 3)(indices)
