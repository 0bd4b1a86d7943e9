"""The report: true or false, and readable."""

from __future__ import annotations

import pytest

import autograd as ag
from autograd.check import Mismatch, Report


def mismatch(error: float, **changes) -> Mismatch:
    fields = dict(order=1, where="input 0 (2, 3)", index=(1, 2), analytic=1.5, numeric=1.5 - error, error=error,
                  tolerance=0.1, checked=(6, 6))
    return Mismatch(**fields | changes)


def test_a_mismatch_is_ok_within_its_tolerance():
    assert mismatch(0.05).ok
    assert mismatch(0.1).ok
    assert not mismatch(0.2).ok
    assert not mismatch(float("nan")).ok
    assert not mismatch(float("inf")).ok


def test_a_mismatch_labels_both_values_and_says_where():
    text = str(mismatch(0.5))
    assert text == ("FAIL order 1, input 0 (2, 3): worst at (1, 2): analytic 1.5, numeric 1, error 0.5 (tolerance 0.1)")
    assert str(mismatch(0.05)).startswith("ok   order 1")


def test_a_direction_has_no_index():
    assert "random direction 1: worst: analytic" in str(mismatch(0.5, where="random direction 1", index=None))


def test_complex_values_are_shown_whole():
    assert "analytic 1+2j, numeric 1-2j" in str(mismatch(4.0, analytic=1 + 2j, numeric=1 - 2j))


def test_what_was_left_out_is_said():
    assert str(mismatch(0.5, checked=(500, 10_000))).endswith("(500 of 10000 checked)")


def test_a_report_is_true_if_nothing_is_out_of_tolerance():
    assert Report("f", [mismatch(0.0), mismatch(0.05)])
    assert not Report("f", [mismatch(0.0), mismatch(0.5)])


def test_a_report_names_the_function_and_shows_the_failed_first():
    report = Report("swish", [mismatch(0.0), mismatch(0.5, index=(0, 1)), mismatch(0.05)])
    lines = str(report).splitlines()
    assert lines[0] == "gradcheck of swish: FAILED (1 of 3 comparisons)"
    assert lines[1].startswith("  FAIL order 1, input 0 (2, 3): worst at (0, 1)")
    assert [line[:6] for line in lines[2:]] == ["  ok  "] * 2
    assert report.failed == [report.worst[1]]
    assert repr(report) == str(report)
    assert str(Report("swish", [mismatch(0.0)])).startswith("gradcheck of swish: passed\n")


@pytest.mark.parametrize(("f", "name"), [(ag.sin, "sin"), (lambda x: x * 2, "<lambda>")])
def test_gradcheck_names_the_function(f, name):
    assert str(ag.gradcheck(f, [1.0])).startswith(f"gradcheck of {name}: passed")


def test_gradcheck_names_a_callable_object_by_its_class():
    class Layer:
        def __call__(self, x: ag.Tensor) -> ag.Tensor:
            return x * 2

    assert str(ag.gradcheck(Layer(), [1.0])).startswith("gradcheck of Layer: passed")
