"""The gradients of every op at orders 1 and 2, and the checker's eye for rules that are wrong by 0.1 %."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest

import autograd as ag
from autograd.ops import registry
from tests.autograd.ops.cases import CASES, Case, over

WITH_GRADIENT = [case for case in CASES if len(case.no_gradient) < len(case.inexact)]
COMPLEX = [case for case in CASES if "D" in case.dtypes]
SEVERAL = [case for case in CASES if len(case.inexact) > 1]


def widest(case: Case) -> str:
    return "d" if "d" in case.dtypes else "D"


class Rules(ag.Observer):
    """Goes around the backward rules, and lists which ran: (name of the op, number of its input)."""

    def __init__(self) -> None:
        self.ran: set[tuple[str, int]] = set()

    def around_rule(self, node: Any, index: int | None, g: Any, run: Any) -> Any:
        given = run()
        if index is not None:
            self.ran.add((node.op.name, index))
            return self.changed(node, index, given)
        self.ran |= {(node.op.name, i) for i, part in enumerate(given) if part is not None and node.parents[i]}
        return tuple(part if part is None else self.changed(node, i, part) for i, part in enumerate(given))

    def changed(self, node: Any, index: int, given: Any) -> Any:
        """What is passed on in place of what the rule gave."""
        return given


class WrongRule(Rules):
    """Changes what one rule of one op gives."""

    def __init__(self, op: str, index: int, change: Any) -> None:
        super().__init__()
        self.target, self.change = (op, index), change

    def changed(self, node: Any, index: int, given: Any) -> Any:
        return self.change(given) if (node.op.name, index) == self.target else given


def scaled(given: Any) -> Any:
    """Wrong by 0.1 %."""
    return given * 1.001


def scaled_derivative(given: Any) -> Any:
    """The right value, with a derivative that is wrong by 0.1 %."""
    return given + 0.001 * (given - given.detach()) if type(given) is ag.Tensor else given


@cache
def rules_that_run(case: Case) -> frozenset[int]:
    """The inputs of the case's op whose rules run for it."""
    rules = Rules()
    inputs = [ag.Tensor(a, requires_grad=True) if i in case.inexact else a
              for i, a in enumerate(case.arrays(widest(case)))]
    outs = case.call(*inputs)
    with ag.observe(rules):
        for out in outs if isinstance(outs, tuple) else (outs,):
            out.backward(np.ones(out.shape, out.dtype), retain_graph=True)
    return frozenset(index for op, index in rules.ran if op == case.op)


@pytest.mark.parametrize(**over(CASES))
def test_gradients_are_right_to_second_order(case):
    report = ag.gradcheck(case.call, *case.arrays(widest(case)), order=2)
    assert report, report


@pytest.mark.parametrize(**over(COMPLEX))
def test_gradients_of_complex_numbers_are_right_to_second_order(case):
    report = ag.gradcheck(case.call, *case.arrays("D"), order=2)
    assert report, report


# a complex value put into a real x would lose its imaginary part, and is refused
@pytest.mark.parametrize(**over([case for case in COMPLEX if case in SEVERAL and case.op != "put"]))
def test_gradients_are_right_where_one_input_alone_is_complex(case):
    for i in case.inexact:
        arrays = [b if k == i else a for k, (a, b) in enumerate(zip(case.arrays("d"), case.arrays("D"), strict=True))]
        report = ag.gradcheck(case.call, *arrays, order=2)
        assert report, report


@pytest.mark.parametrize(**over(SEVERAL))
def test_a_gradient_does_not_depend_on_which_others_are_wanted(case):
    arrays = case.arrays(widest(case))

    def gradients_by(wanted: list[int]) -> list[np.ndarray]:
        inputs = [ag.Tensor(a, requires_grad=True) if i in wanted else a for i, a in enumerate(arrays)]
        outs = case.call(*inputs)
        total = sum(out.sum() for out in (outs if isinstance(outs, tuple) else (outs,)) if type(out) is ag.Tensor)
        return [g.data for g in ag.gradients(total, [inputs[i] for i in wanted])]

    for i, expected in zip(case.inexact, gradients_by(case.inexact), strict=True):
        np.testing.assert_array_equal(gradients_by([i])[0], expected)


@pytest.mark.parametrize(**over([case for case in CASES if case.no_gradient]))
def test_what_the_table_says_has_no_gradient_has_none(case):
    xs = [ag.Tensor(a, requires_grad=True) for a in case.arrays("d")]
    out = case.call(*xs)
    for i, g in enumerate(ag.gradients(out, xs, g=np.ones(out.shape))):
        assert np.any(g.data != 0) == (i not in case.no_gradient)


# ---------------------------------------------------------------------- the checker sees a wrong rule


@pytest.mark.parametrize("name", registry())
def test_the_table_runs_every_rule_of_an_op(name):
    op = registry()[name]
    ran = {index for case in CASES if case.op == name for index in rules_that_run(case)}
    inputs = range(len(op.input_names) or 1)  # of an op of *xs, the first
    without = {i for i, (rule, _) in enumerate(op._rules) if rule is None}
    assert set(inputs) - without <= ran


@pytest.mark.parametrize(**over(WITH_GRADIENT))
def test_a_rule_scaled_by_1_001_is_caught(case):
    for index in rules_that_run(case):
        with ag.observe(WrongRule(case.op, index, scaled)):
            report = ag.gradcheck(case.call, *case.arrays(widest(case)), order=1)
        assert not report, f"the rule of {case.op} for input {index} may be wrong by 0.1 %\n{report}"


@pytest.mark.parametrize(**over(WITH_GRADIENT))
def test_a_rule_with_the_right_value_and_a_scaled_derivative_is_caught_at_second_order(case):
    for index in rules_that_run(case):
        with ag.observe(WrongRule(case.op, index, scaled_derivative)):
            report = ag.gradcheck(case.call, *case.arrays(widest(case)), order=2)
        assert not report, f"the derivative of {case.op}'s rule for input {index} may be wrong by 0.1 %\n{report}"
        assert {mismatch.order for mismatch in report.failed} == {2}
