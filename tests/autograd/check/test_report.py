"""The report: true or false, and readable as text and in a notebook."""

from __future__ import annotations

import re

import numpy as np
import pytest

import autograd as ag
from autograd.check import Cause, Comparison, Report

BROKEN = ag.Op(lambda x: np.sin(x)).vjp(lambda g, x: -g * ag.cos(x))


def comparison(error: float, **changes) -> Comparison:
    fields = dict(order=1, where="input 0 (2, 3)", index=(1, 2), analytic=1.5, numeric=1.5 - error, error=error,
                  tolerance=0.1, checked=(6, 6))
    return Comparison(**fields | changes)


def test_a_comparison_is_ok_within_its_tolerance():
    assert comparison(0.05).ok
    assert comparison(0.1).ok
    assert not comparison(0.2).ok
    assert not comparison(float("nan")).ok
    assert not comparison(float("inf")).ok


def test_the_relative_error_is_a_share_of_the_larger_value():
    assert comparison(0.5).relative == pytest.approx(1 / 3)
    assert comparison(0.0, analytic=0.0, numeric=0.0).relative == 0


@pytest.mark.parametrize(("changes", "verdict"), [({}, "right"), ({"kinks": 1}, "at a kink"), ({"error": 1.0}, "wrong"),
                                                  ({"error": 1.0, "kinks": 1}, "wrong")])
def test_the_verdict_of_a_comparison(changes, verdict):
    assert comparison(0.0, **{"numeric": 1.5} | changes).verdict == verdict if "error" not in changes else True
    assert comparison(changes.get("error", 0.0), kinks=changes.get("kinks", 0)).verdict == verdict


def test_a_failure_labels_both_values_and_tells_all_there_is():
    text = str(comparison(0.5, wrong=2, how="central difference, step 6e-06", why="because", note="a note",
                          cause=Cause("wrong sign", "the negative is right")))
    assert text.splitlines() == [
        "FAIL order 1, input 0 (2, 3) at (1, 2)  (2 of 6 wrong)",
        "     analytic   1.5                what the backward rules gave",
        "     numeric    1                  central difference, step 6e-06",
        "     error      0.5, relative 0.333",
        "     tolerance  0.1                because",
        "     note       a note",
        "     cause      likely wrong sign: the negative is right",
    ]


def test_what_is_right_takes_one_line():
    assert str(comparison(0.0)) == ("ok   order 1, input 0 (2, 3): worst at (1, 2): analytic 1.5, numeric 1.5, error 0 "
                                    "(tolerance 0.1)")


def test_a_direction_has_no_index():
    assert str(comparison(0.5, where="random direction 1", index=None)).startswith("FAIL order 1, random direction 1\n")


def test_complex_values_are_shown_whole():
    text = str(comparison(4.0, analytic=1 + 2j, numeric=1 - 2j))
    assert "analytic   1+2j" in text
    assert "numeric    1-2j" in text


def test_what_was_left_out_is_said():
    assert str(comparison(0.0, checked=(500, 10_000))).endswith("(500 of 10000 checked)")


def test_a_report_is_true_if_nothing_is_out_of_tolerance():
    assert Report("f", [comparison(0.0), comparison(0.05)])
    assert not Report("f", [comparison(0.0), comparison(0.5)])


def test_a_report_names_the_function_and_shows_the_failed_first():
    report = Report("swish", [comparison(0.0), comparison(0.5, index=(0, 1)), comparison(0.05)])
    lines = str(report).splitlines()
    assert lines[0] == "gradcheck of swish: FAILED (1 of 3 comparisons)"
    assert lines[1] == "  FAIL order 1, input 0 (2, 3) at (0, 1)"
    assert [line[:6] for line in lines[-2:]] == ["  ok  "] * 2
    assert report.failed == [report.comparisons[1]]
    assert repr(report) == str(report)
    assert str(Report("swish", [comparison(0.0)])).startswith("gradcheck of swish: passed\n")


def test_the_cause_of_a_report_is_the_first_that_is_known():
    unknown, known = Cause("unknown", "?"), Cause("wrong sign", "!")
    assert Report("f", [comparison(0.5, cause=unknown), comparison(0.5, cause=known)]).cause == known
    assert Report("f", [comparison(0.5, cause=unknown)]).cause == unknown
    assert Report("f", [comparison(0.0)]).cause is None


@pytest.mark.parametrize(("f", "name"), [(ag.sin, "sin"), (lambda x: x * 2, "<lambda>")])
def test_gradcheck_names_the_function(f, name):
    assert str(ag.gradcheck(f, [1.0])).startswith(f"gradcheck of {name}: passed")


def test_gradcheck_names_a_callable_object_by_its_class():
    class Layer:
        def __call__(self, x: ag.Tensor) -> ag.Tensor:
            return x * 2

    assert str(ag.gradcheck(Layer(), [1.0])).startswith("gradcheck of Layer: passed")


def test_names_stand_in_the_place_of_numbers():
    report = ag.gradcheck(lambda a, b: a * b, [1.0, 2.0], 3.0, names=["weight", "scale"], order=1)
    assert [row.where for row in report.comparisons][:2] == ["weight (2,)", "scale ()"]


def test_the_tolerance_says_why_it_is_what_it_is():
    row = ag.gradcheck(ag.sin, [0.5]).comparisons[0]
    assert row.why == "1e-05 x |numeric| + 1e-09 x 1: the size of what moves and rounds"
    assert row.tolerance == pytest.approx(1e-5 * abs(row.numeric) + 1e-9)


def test_orders_that_were_left_out_are_named():
    assert "note: order 2 was not looked at, since order 1 is wrong" in str(ag.gradcheck(BROKEN, [0.5]))
    assert "not looked at" not in str(ag.gradcheck(BROKEN, [0.5], order=1))


def test_a_notebook_shows_a_table_with_everything_escaped():
    html = ag.gradcheck(BROKEN, [0.3, 1.1], names=["<b>"])._repr_html_()
    assert html.count("<tr>") == 1 + 3  # the head, the input, two directions
    assert "&lt;b&gt; (2,) at (" in html
    assert "<b> (2,)" not in html
    assert "likely wrong sign" in html
    assert "FAILED" in html
    assert "found in &lt;lambda&gt;" in html
    assert not re.search(r"https?://|<script", html)


def test_a_notebook_shows_what_passed():
    html = ag.gradcheck(ag.sin, [0.3])._repr_html_()
    assert "gradcheck of sin: passed" in html
    assert "wrong" not in html
