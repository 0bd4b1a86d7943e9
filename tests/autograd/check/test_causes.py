"""Causes are called by their names: each fault here is written by hand, as people write them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import autograd as ag
from autograd.backward import _Pass

RNG = np.random.default_rng(0)
X, Y, SQUARE = RNG.standard_normal((3, 4)), RNG.standard_normal((4, 2)), RNG.standard_normal((3, 3))


def op(forward: Any, *rules: Any, **options: Any) -> Any:
    return ag.Op(forward, **options).vjp(*rules)


def cause_of(f: Any, *inputs: Any, **arguments: Any) -> Any:
    report = ag.gradcheck(f, *inputs, order=1, **arguments)
    assert not report
    return report.cause


def bias_of_one_row(g):
    return g[0]


def product(wrong: Any) -> Any:
    """A matrix product whose rule for x is another."""
    return op(lambda x, y: x @ y, wrong, lambda g, x: x.T @ g)


def repeated(last_alone: bool) -> Any:
    """Rows 0, 1, 1 of x."""
    def rule(g):
        result = np.zeros((3, 4))
        if last_alone:
            result[[0, 1, 1]] = g
        else:
            np.add.at(result, [0, 1, 1], g)
        return result

    return op(lambda x: x[[0, 1, 1]], rule)


SILENT = op(lambda a, b: a * b, lambda g, b: g * b, lambda g: 0 * g)

CASES = {
    "a minus too many": (op(lambda x: np.sin(x), lambda g, x: -g * np.cos(x)), [X], "wrong sign", "negative"),
    "twice as much": (op(lambda x: np.sin(x), lambda g, x: 2 * g * np.cos(x)), [X], "constant factor", "times 2"),
    "half as much": (op(lambda x: x * x, lambda g, x: g * x), [X], "constant factor", "divided by 2"),
    "a mean over the batch": (op(lambda x: np.sin(x), lambda g, x: g * np.cos(x) / 3), [X], "constant factor",
                              "divided by 3, the length of the first axis (the batch size?)"),
    "a mean over the columns": (op(lambda x: np.sin(x), lambda g, x: g * np.cos(x) / 4), [X], "constant factor",
                                "divided by 4, a length in (3, 4)"),
    "a mean over everything": (op(lambda x: np.sin(x), lambda g, x: g * np.cos(x) / 12), [X], "constant factor",
                               "divided by 12, the number of elements"),
    "a factor of no meaning": (op(lambda x: np.sin(x), lambda g, x: 1.37 * g * np.cos(x)), [X], "constant factor",
                               "1.37"),
    "a transpose forgotten": (product(lambda g, y: (g @ y.T).T), [SQUARE, RNG.standard_normal((3, 3))],
                              "transposed or permuted", "axes in the order (1, 0)"),
    "read in the wrong order": (op(lambda x: np.sin(x), lambda g, x: (g * np.cos(x)).T.reshape(3, 4)), [X],
                                "transposed or permuted", "axes in the order (1, 0)"),
    "turned round": (op(lambda x: np.sin(x), lambda g, x: (g * np.cos(x))[::-1]), [X], "transposed or permuted",
                     "turned round along axis 0"),
    "in another order": (op(lambda x: np.sin(x), lambda g, x: np.roll(g * np.cos(x), 1).reshape(3, 4)), [X],
                         "transposed or permuted", "another order"),
    "the bias of the first row": (op(lambda x, b: x + b, lambda g: g, bias_of_one_row), [X, RNG.standard_normal(4)],
                                  "axis not summed", "output 0 along axis 0"),
    "repeated rows overwritten": (repeated(last_alone=True), [X], "overwritten instead of accumulated", "np.add.at"),
    "zeros": (op(lambda x: np.sin(x), lambda g, x: 0 * g), [X], "zero or disconnected", "is 0"),
    "the other factor's": (op(lambda x, y: x * y, lambda g, x: g * x, lambda g, y: g * y), [X, X.T.reshape(3, 4)],
                           "wrong input's gradient", "right gradient of input 1 (3, 4)"),
    "half precision": (op(lambda x: np.sin(x), lambda g, x: (g * np.cos(x)).astype(np.float16).astype(float)), [X],
                       "rounding", "float16"),
    "a division by zero": (op(lambda x: np.sin(x), lambda g, x: g * np.cos(x) / (np.arange(12).reshape(3, 4) > 0)), [X],
                           "not finite", "at (0, 0)"),
    "a value detached": (lambda x: ag.sin(x) * x.detach(), [X], "missing term", "outside of the recorded graph"),
    "a value taken out": (lambda x: ag.sin(x) * x.data, [X], "missing term", "outside of the recorded graph"),
    "all detached": (lambda x: ag.sin(x.detach()), [X], "zero or disconnected", "nothing that was recorded leads"),
    "one way without a gradient": (lambda x: SILENT(x, ag.exp(x)) * x, [X], "missing term",
                                   "held as input 'x' of exp, from where only zeros come back"),
    "one use forgotten": (lambda x: SILENT(x, x), [X], "missing term", "held as input 'b'"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_fault_is_called_by_its_name(name):
    f, inputs, expected, detail = CASES[name]
    cause = cause_of(f, *inputs)
    assert cause.name == expected
    assert detail in cause.detail


def test_the_right_rule_for_repeated_rows_passes():
    assert ag.gradcheck(repeated(last_alone=False), X, order=1)


def test_an_engine_that_overwrites_where_it_must_add_is_caught(monkeypatch):
    monkeypatch.setattr(_Pass, "_sum_up", lambda self, old, node, g: self.grads.__setitem__(node, g))
    cause = cause_of(lambda x: ag.sin(x) + ag.exp(x), X)
    assert cause.name == "overwritten instead of accumulated"
    assert "used 2 times" in cause.detail


def test_a_large_input_is_not_diagnosed_and_says_so():
    cause = cause_of(op(lambda x: np.sin(x), lambda g, x: -g * np.cos(x)), RNG.standard_normal(2000), max_elements=5)
    assert str(cause) == "unknown: too many elements to try hypotheses; check a smaller input"


# ---------------------------------------------------------------------- which op


def test_the_op_to_blame_is_named_with_its_scope_and_input():
    wrong_relu = op(lambda x: np.maximum(x, 0), lambda g, x: -g * (x > 0))

    def f(x, w):
        with ag.scope("hidden"):
            h = wrong_relu(ag.matmul(x, w))
        with ag.scope("head"):
            return ag.tanh(h) * ag.tanh(h)

    report = ag.gradcheck(f, X, Y, order=1)
    verdicts = [(v.op, v.scope, v.call, v.verdict) for v in report.by_op]
    assert verdicts == [("matmul", "hidden", 0, "right"), ("<lambda>", "hidden", 0, "wrong"),
                        ("tanh", "head", 0, "right"), ("tanh", "head", 1, "right"), ("multiply", "head", 0, "right")]
    assert "found in <lambda> in scope 'hidden': wrong, the rule for 'x': wrong sign" in str(report)


def test_every_op_of_a_right_function_is_right():
    report = ag.gradcheck(lambda x, w: ag.relu(ag.matmul(x, w)).sum(), X, Y)
    assert [v.verdict for v in report.by_op] == ["right"] * 3
    assert str(report.by_op[0]) == "matmul: right"


def test_calls_that_lead_nowhere_do_not_count():
    def f(x):
        ag.exp(x)
        return ag.sin(x)

    assert [v.op for v in ag.gradcheck(f, X, order=1).by_op] == ["sin"]


def test_an_op_at_a_kink_is_said_to_be_there():
    report = ag.gradcheck(lambda x: ag.relu(x) * 2.0, [0.0, 1.0], order=1)
    assert [v.verdict for v in report.by_op] == ["at a kink", "right"]


def test_a_rule_that_is_wrong_at_order_two_is_found_there():
    raw = op(lambda x: np.sin(x), lambda g, x: g * np.cos(getattr(x, "data", x)))
    report = ag.gradcheck(lambda x: ag.exp(raw(x)), X)
    assert {row.order for row in report.failed} == {2}
    assert [(v.op, v.verdict) for v in report.by_op] == [("<lambda>", "wrong"), ("exp", "right")]
