"""The sweep over steps: a verdict that needs no choice of one."""

from __future__ import annotations

import math

import numpy as np
import pytest

import autograd as ag
from autograd.check.sweeps import sweep_along

BROKEN = ag.Op(lambda x: np.sin(x)).vjp(lambda g, x: 1.001 * g * ag.cos(x))


def test_a_right_slope_meets_the_difference_at_the_bottom_of_a_u():
    sweep = sweep_along(math.exp, 1.0, "exp", 1e-6)
    assert sweep
    assert 0 < sweep.best < len(sweep.steps) - 1
    assert sweep.errors[0] > 100 * sweep.errors[sweep.best] < sweep.errors[-1]
    # truncation: h**2 / 6 of the third derivative, 1
    np.testing.assert_allclose(sweep.errors[:3], np.square(sweep.steps[:3]) / 6, rtol=0.01)


@pytest.mark.parametrize("factor", [1.001, 0.99, -1.0, 0.0, 2.0])
def test_a_wrong_slope_leaves_an_error_at_every_step(factor):
    sweep = sweep_along(math.exp, factor, "exp", 1e-6)
    assert not sweep
    assert min(sweep.errors) > 1e-4


def test_the_remainder_falls_with_the_square_of_the_step_if_the_slope_is_right():
    assert sweep_along(math.exp, 1.0, "exp", 1e-6).order == pytest.approx(2, abs=0.1)
    assert sweep_along(math.exp, 1.001, "exp", 1e-6).order == pytest.approx(1, abs=0.3)
    assert sweep_along(math.exp, 0.0, "exp", 1e-6).order == pytest.approx(1, abs=0.1)


def test_on_a_line_the_remainder_is_all_rounding():
    sweep = sweep_along(lambda t: 2.0 * t, 2.0, "a line", 1e-6)
    assert sweep
    assert sweep.order is None
    assert "nothing but rounding" in str(sweep)


def test_the_sweep_of_a_report_is_that_of_its_first_failure():
    report = ag.gradcheck(BROKEN, [0.3, 1.1])
    sweep = report.sweep()
    assert not sweep
    assert sweep.where == f"input 0 (2,) at {report.failed[0].index}"
    assert sweep.analytic == report.failed[0].analytic
    assert str(sweep).startswith("sweep over steps, input 0 (2,) at (")
    assert "<- smallest" in str(sweep)


def test_the_sweep_of_a_report_that_passed_is_that_of_a_direction():
    report = ag.gradcheck(ag.exp, [0.3, 1.1], order=1)
    assert report.sweep()
    assert report.sweep().where == "random direction 1"
    row = report.comparisons[0]
    assert report.sweep(row).where == f"input 0 (2,) at {row.index}"


def test_a_comparison_of_two_dtypes_has_no_steps():
    report = ag.gradcheck(ag.exp, np.array([0.3, 1.1], np.float32), order=1)
    row = next(row for row in report.comparisons if "float32" in row.where)
    with pytest.raises(ValueError, match=r"sweep: .* is no element and no direction of this report"):
        report.sweep(row)


def test_a_report_made_by_hand_cannot_measure():
    with pytest.raises(ValueError, match="sweep: this report was not made by gradcheck"):
        ag.check.Report("f").sweep()


@pytest.mark.parametrize("f", [ag.exp, BROKEN, lambda x: x * 2, lambda x: x * 0])
def test_the_plot_has_the_curve_and_the_remainder(f):
    figure = ag.gradcheck(f, [0.3, 1.1], order=1).sweep().plot()
    curve, taylor = figure.axes
    assert curve.get_xlabel() == taylor.get_xlabel() == "step h"
    assert len(curve.lines[0].get_xdata()) == 17
    assert ("right" in curve.get_title()) == (f is not BROKEN)
    figure.canvas.draw()
