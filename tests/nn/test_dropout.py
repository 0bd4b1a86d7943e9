"""Dropout: zeros at random in training, the identity after it, the mean kept."""

import numpy as np
import pytest

import autograd as ag
import nn


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_a_part_p_becomes_zero_and_the_rest_is_scaled_to_keep_the_mean(p):
    n = 200_000
    out = nn.Dropout(p, rng=0)(np.full(n, 3.0, np.float32))
    assert out.dtype == np.float32
    zeros = np.count_nonzero(out.data == 0)
    assert zeros == pytest.approx(p * n, abs=5 * np.sqrt(n * p * (1 - p)))  # five standard deviations
    assert np.allclose(out.data[out.data != 0], 3 / (1 - p), rtol=1e-6)


def test_in_eval_and_for_p_0_it_is_the_identity():
    x = np.arange(5.0)
    assert nn.Dropout(0.5).eval()(x).data is x
    assert nn.Dropout(0)(x).data.tolist() == x.tolist()


def test_p_1_leaves_nothing():
    assert not nn.Dropout(1)(np.ones(100)).data.any()


def test_it_draws_anew_at_each_call_and_the_seed_tells_what():
    x = np.ones(50)
    first, second = nn.Dropout(rng=3), nn.Dropout(rng=3)
    one, two = first(x).data, first(x).data
    assert not np.array_equal(one, two)
    assert np.array_equal(second(x).data, one)
    assert np.array_equal(second(x).data, two)


def test_it_draws_from_the_generator_of_nn_rng_that_it_was_made_under():
    x = np.ones(50)
    with nn.rng(5):
        a, b = nn.Dropout(), nn.Dropout()
    with nn.rng(5):
        c, d = nn.Dropout(), nn.Dropout()
    first = a(x).data
    assert np.array_equal(c(x).data, first)
    assert not np.array_equal(b(x).data, first)
    assert d.rng is c.rng


def test_the_gradient_is_the_mask():
    x = ag.Tensor(np.full(100, 2.0), requires_grad=True)
    y = nn.Dropout(0.25, rng=0)(x)
    y.sum().backward()
    assert np.allclose(x.grad.data, y.data / 2)
    assert set(x.grad.data.round(6)) == {0, round(4 / 3, 6)}


@pytest.mark.parametrize("p", [-0.1, 1.5, float("nan")])
def test_p_must_be_a_probability(p):
    with pytest.raises(ValueError, match=f"Dropout: p must be from 0 to 1, got {p}"):
        nn.Dropout(p)


def test_whole_numbers_are_refused():
    with pytest.raises(TypeError, match="dropout: x holds int64"):
        nn.Dropout()(np.ones(3, int))
