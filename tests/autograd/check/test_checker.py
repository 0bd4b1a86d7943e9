"""gradcheck: passes right rules, fails wrong ones, and says where."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

import autograd as ag

POINTS = [0.3, 1.1, 2.0]


def op(forward: Any, *rules: Any, **options: Any) -> Any:
    """An op made of a forward and its rules."""
    return ag.Op(forward, **options).vjp(*rules)


def wrong_by(factor: float) -> Any:
    return op(lambda x: np.sin(x), lambda g, x: g * ag.cos(x) * factor)


# ---------------------------------------------------------------------- right rules pass


RIGHT = {
    "a product": (lambda x, y: x * y, [POINTS, POINTS]),
    "a broadcast product": (lambda x, y: x * y, [np.ones((2, 1)), POINTS]),
    "a matrix product": (lambda x, y: x @ y, [np.eye(3), np.array([POINTS]).T]),
    "a quotient": (lambda x: 1 / x, [POINTS]),
    "a composition": (lambda x: ag.exp(ag.sin(x)) * ag.log(x), [POINTS]),
    "a reduction": (lambda x: ag.logsumexp(x) * ag.mean(x * x), [POINTS]),
    "a number": (lambda x: ag.tanh(x), [0.5]),
    "an op": (ag.exp, [POINTS]),
    "a function that does not depend on its input": (lambda x: ag.Tensor(np.ones(2)), [POINTS]),
    "a linear function": (lambda x: x * 2, [POINTS]),
    "one input of two": (lambda x, y: ag.sin(x), [POINTS, POINTS]),
    "empty arrays": (lambda x: x * 2, [np.zeros((0, 3))]),
    "an empty array beside another": (lambda x, y: x.sum() * y, [np.zeros(0), POINTS]),
    "large values": (lambda x: x * x, [[1e6, 2e6]]),
    "small values": (lambda x: x * x, [[1e-6, 2e-6]]),
}


@pytest.mark.parametrize("name", RIGHT)
@pytest.mark.parametrize("order", [1, 2, 3])
def test_right_rules_pass_at_every_order(name, order):
    f, inputs = RIGHT[name]
    report = ag.gradcheck(f, *inputs, order=order)
    assert report, report


def test_order_two_is_the_default():
    report = ag.gradcheck(ag.exp, POINTS)
    assert {mismatch.order for mismatch in report.comparisons} == {1, 2}
    assert {mismatch.order for mismatch in ag.gradcheck(ag.exp, POINTS, order=1).comparisons} == {1}
    assert {mismatch.order for mismatch in ag.gradcheck(ag.exp, POINTS, order=4).comparisons} == {1, 2, 3, 4}


def test_each_input_cotangent_and_direction_is_reported():
    report = ag.gradcheck(lambda x, y: (x * y, x + y), POINTS, [[1.0], [2.0]])
    places = {(mismatch.order, mismatch.where) for mismatch in report.comparisons}
    first = {"input 0 (3,)", "input 1 (2, 1)", "random direction 1", "random direction 2"}
    second = first | {"cotangent 0 (2, 3)", "cotangent 1 (2, 3)"}
    assert places == {(1, where) for where in first} | {(2, where) for where in second}


# ---------------------------------------------------------------------- wrong rules fail


@pytest.mark.parametrize("factor", [1.001, 0.999, -1.0, 0.0, np.nan, np.inf])
def test_a_rule_that_is_wrong_by_a_tenth_of_a_percent_fails_at_order_one(factor):
    report = ag.gradcheck(wrong_by(factor), POINTS, order=1)
    assert not report
    assert all(mismatch.order == 1 for mismatch in report.failed)


def test_the_right_rule_beside_it_passes():
    assert ag.gradcheck(wrong_by(1.0), POINTS)


def test_a_rule_that_is_wrong_in_one_element_fails_and_the_element_is_named():
    slopes = np.ones((2, 3))
    slopes[1, 2] = 1.001
    report = ag.gradcheck(op(lambda x: 2.0 * x, lambda g: g * (2.0 * slopes)), np.ones((2, 3)), order=1)
    worst = next(mismatch for mismatch in report.failed if mismatch.where == "input 0 (2, 3)")
    assert worst.index == (1, 2)
    assert worst.analytic == pytest.approx(1.001 * worst.numeric, rel=1e-7)
    assert worst.error == abs(worst.analytic - worst.numeric)
    assert worst.wrong == 1
    assert "FAIL order 1, input 0 (2, 3) at (1, 2)  (1 of 6 wrong)" in str(report)
    assert str(worst.cause) == "unknown: 1 of 6 elements are out of tolerance, and the others within it"


def test_a_float_put_aside_in_the_forward_is_right_at_order_one_and_wrong_at_order_two():
    def forward(x, *, need_aux):
        return np.square(x), 2 * x  # aux: no gradient flows through it

    aside = op(forward, lambda g, aux: g * aux)
    assert ag.gradcheck(aside, POINTS, order=1)
    report = ag.gradcheck(aside, POINTS, order=2)
    assert not report
    assert {mismatch.order for mismatch in report.failed} == {2}
    assert any(mismatch.where == "input 0 (3,)" for mismatch in report.failed)


def test_a_slope_worked_out_on_raw_arrays_is_wrong_at_order_two():
    raw = op(lambda x: np.sin(x), lambda g, x: g * np.cos(getattr(x, "data", x)))
    assert ag.gradcheck(raw, POINTS, order=1)
    assert {mismatch.order for mismatch in ag.gradcheck(raw, POINTS).failed} == {2}


def test_a_rule_that_is_right_up_to_order_two_fails_at_order_three():
    slope = op(lambda x: np.cos(x), lambda g, x: g * -np.sin(getattr(x, "data", x)))
    f = op(lambda x: np.sin(x), lambda g, x: g * slope(x))
    assert ag.gradcheck(f, POINTS, order=2)
    assert {mismatch.order for mismatch in ag.gradcheck(f, POINTS, order=3).failed} == {3}


def test_a_rule_that_forgets_the_cotangent_fails():
    assert not ag.gradcheck(op(lambda x: np.sin(x), lambda g, x: ag.cos(x)), POINTS, order=1)


@pytest.mark.parametrize("i", [0, 1])
def test_one_wrong_rule_of_two_is_found_whichever_it_is(i):
    factors = (1.001, 1.0) if i == 0 else (1.0, 1.001)
    product = op(lambda x, y: x * y, lambda g, y: g * y * factors[0], lambda g, x: g * x * factors[1])
    report = ag.gradcheck(product, POINTS, [2.0, 3.0, 4.0], order=1)
    failed = {mismatch.where for mismatch in report.failed}
    assert f"input {i} (3,)" in failed
    assert f"input {1 - i} (3,)" not in failed


def test_a_missing_dependence_is_found():
    """What a detached value hides from the gradient, the differences see."""
    assert not ag.gradcheck(lambda x: x * x.detach(), POINTS, order=1)


def test_only_the_second_of_several_outputs_is_wrong():
    assert not ag.gradcheck(lambda x: (ag.sin(x), wrong_by(1.001)(x)), POINTS, order=1)


# ---------------------------------------------------------------------- inputs


@pytest.mark.parametrize("value", [
    0.5, [0.5, 1.0], np.array([0.5], np.float32), np.array(0.5, np.float16), ag.Tensor([0.5]),
    ag.Tensor([0.5], requires_grad=True), np.float32(0.5), 0.5 + 1j, np.array([1j, 2.0], np.complex64),
])
def test_inputs_are_checked_in_double_precision_and_in_the_dtype_they_come_in(value):
    seen = []

    def f(x: ag.Tensor) -> ag.Tensor:
        seen.append((type(x), x.dtype))
        return ag.exp(x) * x

    given = value.dtype if isinstance(value, ag.Tensor) else np.asarray(value).dtype
    double = np.dtype("D" if given.kind == "c" else "d")
    assert ag.gradcheck(f, value, order=3)
    assert set(seen) == {(ag.Tensor, double), (ag.Tensor, given)}


def test_a_complex_rule_that_conjugates_where_it_must_not_fails():
    z = [0.5 + 1j, -1 - 0.3j]
    assert ag.gradcheck(op(lambda z: np.square(z), lambda g, z: g * 2 * z), z)
    report = ag.gradcheck(op(lambda z: np.square(z), lambda g, z: g * 2 * ag.conj(z)), z, order=1)
    assert not report
    assert any(mismatch.index is not None and isinstance(mismatch.analytic, complex) for mismatch in report.failed)


def test_real_inputs_with_complex_outputs_and_the_other_way_round():
    assert ag.gradcheck(lambda x: ag.exp(x * 1j), POINTS, order=3)
    assert ag.gradcheck(lambda z: ag.abs(z) ** 2, [1 + 1j, 2 - 0.5j], order=2)
    assert ag.gradcheck(lambda x, z: x * z, POINTS, [1j, 2.0, 1 - 1j])


@pytest.mark.parametrize("integers", [np.array([0, 2, 2]), np.array([True, False, True]), np.array([1], np.uint8), 1])
def test_integers_and_bools_are_passed_on_as_they_are(integers):
    seen = []

    def f(x: ag.Tensor, index: Any) -> ag.Tensor:
        seen.append(index)
        return ag.sin(x)[index]

    assert ag.gradcheck(f, POINTS, integers)
    assert all(np.asarray(index).dtype == np.asarray(integers).dtype for index in seen)
    assert all(np.array_equal(index, integers) for index in seen)


def test_inputs_are_not_changed():
    x = np.array(POINTS)
    t = ag.Tensor(x, requires_grad=True)
    ag.gradcheck(lambda a, b: a * b, x, t)
    np.testing.assert_array_equal(x, POINTS)
    np.testing.assert_array_equal(t.data, POINTS)
    assert t.grad is None


def test_of_a_large_input_some_elements_are_drawn():
    x = np.random.default_rng(0).standard_normal((40, 50))
    report = ag.gradcheck(lambda x: ag.sin(x).sum(), x, order=1, max_elements=20)
    assert report
    row = next(mismatch for mismatch in report.comparisons if mismatch.where == "input 0 (40, 50)")
    assert row.checked == (20, 2000)
    assert "(20 of 2000 checked)" in str(row)


def test_the_directions_see_an_element_that_was_not_drawn():
    slopes = np.ones(400)
    slopes[123] = 2.0
    f = op(lambda x: 1.0 * x, lambda g: g * slopes)
    report = ag.gradcheck(f, np.ones(400), order=1, max_elements=1)
    assert not report
    assert "random direction 1" in {mismatch.where for mismatch in report.failed}


def test_the_seed_decides_what_is_drawn():
    x = np.linspace(0.1, 2, 100)
    reports = [ag.gradcheck(ag.sin, x, order=1, max_elements=5, seed=seed) for seed in (0, 0, 1)]
    assert str(reports[0]) == str(reports[1]) != str(reports[2])


def test_tolerances_decide_what_passes():
    assert not ag.gradcheck(wrong_by(1.001), POINTS, order=1)
    assert ag.gradcheck(wrong_by(1.001), POINTS, order=1, rtol=0.01)
    assert ag.gradcheck(wrong_by(1.001), POINTS, order=1, atol=0.01)
    assert not ag.gradcheck(wrong_by(1 + 1e-4), POINTS, order=1)


# ---------------------------------------------------------------------- outputs


@pytest.mark.parametrize("wrap", [tuple, list])
def test_f_may_give_several_tensors(wrap):
    report = ag.gradcheck(lambda x, y: wrap([x * y, ag.sin(x), ag.split(y, 3)[1]]), POINTS, [1.0, 2.0, 3.0], order=3)
    assert report, report


@pytest.mark.parametrize(("result", "kind"), [
    (lambda x: x.data, "ndarray"), (lambda x: x.sum().item(), "float"), (lambda x: None, "NoneType"),
    (lambda x: (x, x.data), "ndarray"), (lambda x: {"y": x}, "dict"),
])
def test_f_that_gives_no_tensor_is_a_type_error(result, kind):
    with pytest.raises(TypeError, match=f"gradcheck: f must give a Tensor or a tuple of them, it gave {kind}"):
        ag.gradcheck(result, POINTS)


@pytest.mark.parametrize("inputs", [[], [[1, 2]], [True], [np.array([1]), 2]])
def test_without_a_floating_input_there_is_nothing_to_check(inputs):
    with pytest.raises(ValueError, match="gradcheck: none of the inputs is a floating or complex number"):
        ag.gradcheck(lambda *xs: ag.Tensor([1.0]), *inputs)


@pytest.mark.parametrize("order", [0, -1])
def test_the_order_is_at_least_one(order):
    with pytest.raises(ValueError, match=f"gradcheck: order must be at least 1, got {order}"):
        ag.gradcheck(ag.sin, POINTS, order=order)


def test_errors_of_f_come_through():
    with pytest.raises(ValueError, match="matmul"):
        ag.gradcheck(lambda x: x @ x[:2], POINTS)


def test_gradcheck_works_under_no_grad_and_leaves_the_mode_alone():
    with ag.no_grad():
        assert ag.gradcheck(ag.sin, POINTS)
        assert not (ag.Tensor([1.0], requires_grad=True) * 2).requires_grad
    assert not ag.gradcheck(wrong_by(1.001), POINTS)
    assert (ag.Tensor([1.0], requires_grad=True) * 2).requires_grad


def test_a_function_that_takes_gradients_by_its_input_can_be_checked():
    def squared_slope(x: ag.Tensor) -> ag.Tensor:
        (dx,) = ag.gradients(ag.sin(x).sum(), [x], create_graph=True)
        return dx * dx

    report = ag.gradcheck(squared_slope, POINTS)
    assert report, report


def test_a_function_that_takes_gradients_by_a_leaf_of_its_own_can_be_checked():
    w = ag.Tensor(np.zeros(3), requires_grad=True)
    assert ag.gradcheck(lambda x: x * ag.gradients(ag.exp(w).sum(), [w])[0], POINTS)


def test_a_gradient_penalty_can_be_checked():
    def penalty(x: ag.Tensor, w: ag.Tensor) -> ag.Tensor:
        (dx,) = ag.gradients(ag.tanh((x * w).sum()), [x], create_graph=True)
        return (dx * dx).sum()

    assert ag.gradcheck(lambda w: penalty(ag.Tensor(np.array(POINTS), requires_grad=True), w), [0.5, -0.2, 0.1])


# ---------------------------------------------------------------------- kinks


@pytest.mark.parametrize(("f", "inputs", "n"), [
    (ag.relu, [[0.0, 1.0, 0.0]], 2),
    (ag.abs, [[0.0, -2.0]], 0), (lambda x: ag.max_pool2d(x, 2), [np.ones((1, 2, 2, 1))], 4),
    (ag.maximum, [[1.0, 2.0], [1.0, 3.0]], 0), (ag.floor, [[1.0, 1.5]], 1),
])
def test_a_kink_is_said_to_be_one_and_passes(f, inputs, n):
    report = ag.gradcheck(f, *inputs)
    assert report, report
    first = [row for row in report.comparisons if row.order == 1 and row.where.startswith("input")]
    assert sum(row.kinks for row in first) == n
    if n:
        assert f"passed ({n} elements at a kink)" in str(report)
        assert re.search(r"at a kink \(or within 2e-07 of one\): slope \S+ to the left, \S+ to the right", str(report))


@pytest.mark.parametrize("at_zero", [-0.1, 1.1, 7.0])
def test_a_gradient_that_is_not_between_the_slopes_of_a_kink_fails(at_zero):
    f = op(lambda x: np.maximum(x, 0), lambda g, x: g * np.where(x == 0, at_zero, x > 0))
    report = ag.gradcheck(f, [0.0, 1.0], order=1)
    assert not report
    assert report.failed[0].index == (0,)
    assert "not lie between the slopes" in str(report.cause)


@pytest.mark.parametrize("at_zero", [0.0, 0.25, 1.0])
def test_any_gradient_between_the_slopes_of_a_kink_passes(at_zero):
    f = op(lambda x: np.maximum(x, 0), lambda g, x: g * np.where(x == 0, at_zero, x > 0))
    assert ag.gradcheck(f, [0.0, 1.0], order=1)


def test_a_wrong_element_is_found_among_kinks():
    f = op(lambda x: np.maximum(x, 0), lambda g, x: g * np.where(x == 2, 1.5, x > 0))
    report = ag.gradcheck(f, [0.0, 0.0, 2.0, 1.0], order=1)
    row = report.failed[0]
    assert (row.index, row.wrong) == ((2,), 1)


@pytest.mark.parametrize("distance", [1e-5, 1e-7, 1e-9, 1e-12])
def test_a_kink_nearby_is_no_failure(distance):
    report = ag.gradcheck(ag.relu, [distance, -distance, 1.0])
    assert report, report


def test_where_the_kinks_of_several_ops_meet_the_gradient_passes():
    """The slope of the whole is 1 to the right and 0.5 to the left, while each relu takes 0 at 0, as it may."""
    first, second = np.array([[1.0, -1.0]]), np.array([[1.0], [-0.5]])

    def f(x, relu=ag.relu):
        return relu(x @ first) @ second

    report = ag.gradcheck(f, [[0.0]], order=1)
    assert report, report
    assert "several ops are at a kink: each is right alone" in str(report)
    wrong = op(lambda x: np.maximum(x, 0), lambda g, x: g * np.where(x == 0, 7.0, x > 0))
    assert not ag.gradcheck(lambda x: f(x, wrong), [[0.0]], order=1)


def test_a_function_that_bends_sharply_passes():
    report = ag.gradcheck(lambda x: ag.sin(x * 1e5), [0.3, 1.1], order=1)
    assert report, report
    assert "where it settles" in str([row.how for row in report.comparisons])


# ---------------------------------------------------------------------- dtypes


def test_a_float32_gradient_is_compared_with_double_precision():
    report = ag.gradcheck(ag.exp, np.array(POINTS, np.float32), order=1)
    row = next(row for row in report.comparisons if row.where == "input 0 (3,) in float32")
    assert row.labels == ("in float32", "in float64")
    assert 0 < row.error <= row.tolerance < 2e-4 * abs(row.numeric)
    assert "a share of the largest of all gradients for eps = 1.2e-07" in row.why


def test_a_rule_that_is_wrong_in_float32_alone_fails():
    f = op(lambda x: np.sin(x), lambda g, x: g * ag.cos(x) * (1.01 if x.dtype == np.float32 else 1.0))
    assert ag.gradcheck(f, POINTS, order=1)
    report = ag.gradcheck(f, np.array(POINTS, np.float32), order=1)
    assert not report
    assert report.cause.name == "rounding"
    assert "right in double precision" in str(report.cause)


def test_what_cancels_in_float32_does_not_fail():
    """The square of a difference of large numbers keeps few digits in float32, which is no fault of a rule."""
    report = ag.gradcheck(lambda x: ag.square((x + 1e5) - 1e5), np.array(POINTS, np.float32), order=1)
    assert report, report


def test_a_function_that_computes_in_float32_is_checked_with_steps_for_float32():
    f = lambda x: ag.astype(ag.sin(ag.astype(x, np.float32)), np.float64)  # noqa: E731
    report = ag.gradcheck(f, POINTS, order=1)
    assert report, report
    wrong = lambda x: ag.astype(wrong_by(1.1)(ag.astype(x, np.float32)), np.float64)  # noqa: E731
    assert not ag.gradcheck(wrong, POINTS, order=1)


# ---------------------------------------------------------------------- what is no function


def test_a_function_that_is_random_fails_as_such():
    rng = np.random.default_rng(0)
    report = ag.gradcheck(lambda x: x * rng.standard_normal(), POINTS)
    assert not report
    assert report.cause.name == "non-determinism"
    assert "first run" in str(report)


def test_a_forward_that_writes_into_its_input_fails_as_such():
    def forward(x):
        x *= 2
        return x

    report = ag.gradcheck(op(forward, lambda g: 2 * g), POINTS)
    assert not report
    assert report.cause.name == "mutation"
    assert "before" in str(report)


def test_a_rule_that_writes_into_what_it_was_given_fails_as_such_deep_in_the_graph():
    def rule(g, x):
        g *= 2
        return g

    report = ag.gradcheck(lambda x: ag.exp(op(lambda x: 2 * x, rule)(ag.sin(x))), POINTS)
    assert report.cause.name == "mutation"
    assert "what the rule of <lambda> was given" in str(report)


# ---------------------------------------------------------------------- the complex step


ANALYTIC = {"exp": ag.exp, "a product": lambda x: x * ag.sin(x), "a quotient": lambda x: 1 / (1 + x * x),
            "a matrix product": lambda x: x @ ag.reshape(x, (3, 1)), "a sum": lambda x: (x * x).sum()}


@pytest.mark.parametrize("name", ANALYTIC)
def test_the_complex_step_is_right_to_machine_precision(name):
    report = ag.gradcheck(ANALYTIC[name], POINTS, method="complex")
    assert report, report
    assert max(row.error for row in report.comparisons) < 1e-13


def test_the_complex_step_sees_a_rule_that_is_wrong_by_one_in_a_billion():
    assert ag.gradcheck(wrong_by(1 + 1e-9), POINTS, order=1)
    assert not ag.gradcheck(wrong_by(1 + 1e-9), POINTS, order=1, method="complex")


@pytest.mark.parametrize(("f", "says"), [
    (ag.relu, "does not apply: relu does not take complex numbers"),
    (ag.abs, "does not apply: abs makes a real number of a complex one"),
    (lambda x: ag.sin(x) * ag.norm(x), "does not apply: norm makes a real number of a complex one"),
    (lambda x: ag.conj(x) * x, "f is not analytic"),
])
def test_the_complex_step_is_refused_where_it_does_not_apply(f, says):
    with pytest.raises(ValueError, match=f"gradcheck: the complex step .*{says}.*use method=\"central\""):
        ag.gradcheck(f, POINTS, method="complex")


def test_the_complex_step_is_refused_for_complex_inputs():
    with pytest.raises(ValueError, match=r"needs real inputs, but input 0 \(1,\) is complex"):
        ag.gradcheck(ag.exp, [1j], method="complex")


# ---------------------------------------------------------------------- random directions


def test_random_directions_alone_say_what_they_can_miss():
    report = ag.gradcheck(ag.sin, np.linspace(0.1, 2, 10_000), order=1, directions=3)
    assert [row.where for row in report.comparisons] == [f"random direction {k}" for k in (1, 2, 3)]
    assert "3 random directions through 10000 elements" in str(report)
    assert "shows as about 0.01 of its size" in str(report)


def test_random_directions_call_f_a_few_times():
    calls = []

    def f(x: ag.Tensor) -> ag.Tensor:
        calls.append(x)
        return ag.sin(x)

    assert ag.gradcheck(f, np.linspace(0.1, 2, 10_000), order=1, directions=2)
    assert len(calls) <= 12


def test_random_directions_find_a_wrong_rule():
    assert not ag.gradcheck(wrong_by(1.001), np.linspace(0.1, 2, 1000), order=1, directions=2)


# ---------------------------------------------------------------------- arguments


@pytest.mark.parametrize(("arguments", "says"), [
    (dict(method="forward"), 'method must be "central" or "complex", got \'forward\''),
    (dict(directions=0), "directions must be at least 1"), (dict(max_elements=0), "max_elements must be at least 1"),
    (dict(names=["a", "b"]), "1 inputs but 2 names"),
])
def test_arguments_that_mean_nothing_are_refused(arguments, says):
    with pytest.raises(ValueError, match=f"gradcheck: {says}"):
        ag.gradcheck(ag.sin, POINTS, **arguments)


@pytest.mark.parametrize("arguments", [dict(order=1.5), dict(directions=2.5), dict(max_elements="3"), dict(order=True)])
def test_numbers_that_are_not_whole_are_refused(arguments):
    [(name, value)] = arguments.items()
    with pytest.raises(TypeError, match=f"gradcheck: {name} must be a whole number, got {value!r}"):
        ag.gradcheck(ag.sin, POINTS, **arguments)


def test_a_function_without_outputs_is_refused():
    with pytest.raises(TypeError, match="gradcheck: f gave no output"):
        ag.gradcheck(lambda x: (), POINTS)


# ---------------------------------------------------------------------- what large numbers could hide


@pytest.mark.parametrize(("factor", "x"), [(-1.0, [1e10, 2e10]), (1.0002, [1e6, 2e6])])
def test_a_wrong_rule_is_found_at_inputs_of_any_size(factor, x):
    square = op(lambda x: x * x, lambda g, x: 2.0 * g * x * factor)
    assert not ag.gradcheck(square, x, order=1)
    assert ag.gradcheck(op(lambda x: x * x, lambda g, x: 2.0 * g * x), x, order=1)


def test_a_large_output_does_not_hide_a_wrong_gradient_of_a_small_one():
    half = np.array([1.0, -1.0])
    assert not ag.gradcheck(op(lambda x: x * x, lambda g, x: 2 * g * x * half), [1e6, 1.0], order=1)
    assert not ag.gradcheck(op(lambda x: np.exp(x), lambda g, out: g * out * half), [25.0, 1.0], order=1)
    assert not ag.gradcheck(lambda x: (wrong_by(-1.0)(x), ag.Tensor(np.full(3, 1e10)) + x.sum() * 0), POINTS, order=1)


@pytest.mark.parametrize("factor", [0.0, 1.2, 1.9])
def test_a_rule_that_is_wrong_in_float16_alone_fails(factor):
    f = op(lambda x: np.exp(x), lambda g, out: g * out * (factor if out.dtype == np.float16 else 1.0))
    assert not ag.gradcheck(f, np.ones(4, np.float16), order=1)


def test_a_tie_that_gives_to_both_or_to_neither_fails():
    def broken(share):
        return op(lambda x, y: np.maximum(x, y), lambda g, x, y: g * np.where(x == y, share, x > y),
                  lambda g, x, y: g * np.where(x == y, share, y > x))

    ones = np.ones(3)
    assert ag.gradcheck(broken(0.5), ones, ones, order=1)
    assert not ag.gradcheck(broken(1.0), ones, ones, order=1)
    assert not ag.gradcheck(broken(0.0), ones, ones, order=1)


@pytest.mark.parametrize("forward", [lambda x: np.maximum(x, 0), lambda x: np.abs(x)])
def test_a_rule_that_is_wrong_beside_its_kinks_fails_at_them(forward):
    assert not ag.gradcheck(op(forward, lambda g: 0 * g), [1e-8, 2e-8, 0.0], order=1)


def test_a_gradient_that_is_nan_is_not_taken_for_one_that_changes():
    report = ag.gradcheck(op(lambda x: np.sin(x), lambda g: g * np.nan), POINTS, order=1)
    assert report.cause.name == "not finite"


@pytest.mark.parametrize(("f", "x"), [(lambda x: 1 / x, 1e-6), (lambda x: ag.tanh(1e5 * x), 1e-6)])
def test_a_function_that_is_steep_at_a_small_input_passes(f, x):
    report = ag.gradcheck(f, [x], order=1)
    assert report, report
