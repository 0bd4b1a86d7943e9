"""gradcheck: passes right rules, fails wrong ones, and says where."""

from __future__ import annotations

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
    assert str(worst.cause) == "unknown: 1 of 6 elements are wrong, and the others right"


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
