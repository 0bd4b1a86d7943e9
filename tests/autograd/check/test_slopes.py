"""Slopes of functions of one number, for functions whose slope is known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from autograd.check.slopes import central, complex_step, settled, sides

SMOOTH = {
    "a line": (lambda t: 3.0 + 2.0 * t, 2.0),
    "a parabola": (lambda t: (1.0 + t) ** 2, 2.0),
    "an exponential": (lambda t: math.exp(5.0 * t), 5.0),
    "a steep sine": (lambda t: math.sin(1e4 * t), 1e4),
    "a small slope on a large value": (lambda t: 1e6 + math.sin(t), 1.0),
    "a constant": (lambda t: 4.0, 0.0),
}
# slope to the left, slope to the right
KINKS = {
    "relu": (lambda t: max(t, 0.0), 0.0, 1.0),
    "minus the absolute value": (lambda t: -abs(t), 1.0, -1.0),
    "a kink beside 0": (lambda t: abs(t - 1e-9), -1.0, 1.0),
    "a kink on a large value": (lambda t: 1e5 + max(3.0 * t, 0.0), 0.0, 3.0),
    "a jump": (lambda t: math.floor(t) + 2.0 * t, 2.0, 2.0),
    "a value of its own at 0": (lambda t: (0.5 if t == 0.0 else float(t > 0)) + t, 1.0, 1.0),
    "the edge of a domain": (lambda t: 2.0 * t if t >= 0 else math.nan, 2.0, 2.0),
}


def in_one_part(phi):
    return lambda t: np.array([phi(t)])


@pytest.mark.parametrize("name", SMOOTH)
def test_the_slope_settles_at_the_derivative(name):
    phi, expected = SMOOTH[name]
    slope = settled(phi)
    assert slope.value == pytest.approx(expected, abs=1e-6, rel=1e-6)
    assert abs(slope.value - expected) <= 10 * slope.uncertainty + 1e-7


@pytest.mark.parametrize("name", SMOOTH)
def test_a_smooth_function_has_no_kink(name):
    assert sides(in_one_part(SMOOTH[name][0])) is None


@pytest.mark.parametrize("name", KINKS)
def test_a_kink_has_two_slopes(name):
    phi, left, right = KINKS[name]
    found = sides(in_one_part(phi))
    assert found is not None
    assert found.left == pytest.approx(left, abs=1e-4)
    assert found.right == pytest.approx(right, abs=1e-4)
    assert (found.lowest, found.highest) == (min(found.left, found.right), max(found.left, found.right))


def test_each_part_of_a_sum_may_take_its_own_side():
    found = sides(lambda t: np.array([max(t, 0.0), 3.0 * min(t, 0.0)]))
    assert (found.left, found.right) == (3.0, 1.0)
    assert (found.lowest, found.highest) == (0.0, 4.0)


def test_rounding_is_no_kink():
    in_float32 = in_one_part(lambda t: float(np.float32(np.sin(1.3 + t))))
    assert sides(in_float32, eps=float(np.finfo(np.float32).eps)) is None


def test_in_float32_the_slope_is_not_taken_where_all_differences_are_rounding():
    slope = settled(lambda t: float(np.float32(np.sin(1.3 + t))), eps=float(np.finfo(np.float32).eps))
    assert slope.value == pytest.approx(np.cos(1.3), abs=1e-3)


def test_the_central_difference_is_off_by_a_third_of_the_third_derivative_over_two():
    assert central(lambda t: t**3, 0.1) == pytest.approx(0.1**2)


def test_the_complex_step_is_exact():
    expected = np.exp(np.sin(0.7)) * np.cos(0.7)
    assert complex_step(lambda t: np.exp(np.sin(0.7 + t))) == pytest.approx(expected, rel=1e-15)
