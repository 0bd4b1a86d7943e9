"""First values: the distributions that the papers' formulas say."""

import math

import numpy as np
import pytest

import autograd as ag
from nn import init

_CONV = (3, 3, 64, 100)  # fan_in 576, fan_out 900
_DENSE = (300, 200)


def test_fans_of_dense_and_convolution_weights():
    assert init.fans((300, 200)) == (300, 200)
    assert init.fans((3, 5, 16, 32)) == (3 * 5 * 16, 3 * 5 * 32)
    with pytest.raises(ValueError, match=r"fans: weights must have at least two axes, .* got shape \(7,\)"):
        init.fans((7,))


@pytest.mark.parametrize(("function", "shape", "options", "std"), [
    (init.kaiming_uniform, _CONV, {}, math.sqrt(2 / 576)),
    (init.kaiming_normal, _CONV, {}, math.sqrt(2 / 576)),
    (init.kaiming_uniform, _DENSE, dict(mode="fan_out"), math.sqrt(2 / 200)),
    (init.kaiming_normal, _DENSE, dict(negative_slope=0.5), math.sqrt(2 / (1.25 * 300))),
    (init.kaiming_uniform, _DENSE, dict(negative_slope=math.sqrt(5)), math.sqrt(1 / (3 * 300))),
    (init.glorot_uniform, _CONV, {}, math.sqrt(2 / 1476)),
    (init.glorot_normal, _DENSE, dict(gain=3.0), 3 * math.sqrt(2 / 500)),
    (init.normal, _DENSE, dict(std=0.02), 0.02),
    (init.uniform, _DENSE, dict(low=-2.0, high=2.0), 4 / math.sqrt(12)),
])
def test_the_spread_is_that_of_the_formula(function, shape, options, std):
    values = function(shape, rng=0, **options)
    assert values.shape == shape
    assert values.dtype == np.float32
    assert values.mean() == pytest.approx(0, abs=std / 50)
    assert values.std() == pytest.approx(std, rel=0.02)
    # a uniform distribution ends at sqrt(3) standard deviations, a normal one does not
    furthest = np.abs(values).max() / std
    if "normal" in function.__name__:
        assert furthest > 3
    else:
        assert furthest == pytest.approx(math.sqrt(3), rel=0.01)


def test_kaiming_keeps_the_variance_through_layers_of_relu():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 300))
    before = np.mean(x**2)
    for _ in range(10):
        x = np.maximum(x @ init.kaiming_normal((300, 300), rng), 0)
    assert 0.5 < np.mean(x**2) * 2 / before / 2 < 2  # without the 2 in the formula: 2**-10


def test_the_seed_settles_the_values_and_the_default_dtype_their_type():
    assert np.array_equal(init.normal((5,), rng=1), init.normal((5,), rng=1))
    assert not np.array_equal(init.normal((5,), rng=1), init.normal((5,), rng=2))
    before = ag.get_default_dtype()
    ag.set_default_dtype("float64")
    try:
        arrays = [init.glorot_normal((2, 2)), init.uniform((2,), 0, 1), init.zeros((2,)), init.ones((2,))]
    finally:
        ag.set_default_dtype(before)
    assert {array.dtype.name for array in arrays} == {"float64"}


def test_zeros_and_ones():
    assert init.zeros((2, 1)).tolist() == [[0], [0]]
    assert init.ones((2,)).tolist() == [1, 1]


def test_an_unknown_mode_is_refused():
    with pytest.raises(ValueError, match="kaiming_uniform: mode must be 'fan_in' or 'fan_out', got 'fan_avg'"):
        init.kaiming_uniform((2, 2), mode="fan_avg")
