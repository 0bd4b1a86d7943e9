"""Anomaly mode names the op, the input and the source line where a NaN or an infinity first appears."""

from __future__ import annotations

import inspect
import re

import numpy as np
import pytest

import autograd as ag
from autograd.graph import Mode, current_mode


def leaf(*values: float) -> ag.Tensor:
    return ag.Tensor(np.array(values), requires_grad=True)


def line_of(text: str, count: int = 0) -> str:
    """How this file's line that holds the text is named in a message."""
    lines = inspect.getsource(inspect.getmodule(line_of)).splitlines()
    found = [number for number, line in enumerate(lines, 1) if text in line and "line_of" not in line]
    return re.escape(f"{__file__}:{found[count]}: ")


def test_a_forward_that_makes_a_nan_is_named_with_its_line():
    x = leaf(1.0, -1.0)
    message = r"anomaly: log made nan at \(1,\), called at " + line_of("ag.log(x) * 2")
    with pytest.raises(RuntimeError, match=message), ag.anomaly():
        ag.log(x) * 2


def test_a_forward_that_makes_an_infinity_is_named():
    with pytest.raises(RuntimeError, match=r"anomaly: exp made inf at \(1, 0\), called at .*test_anomalies.py"), \
            ag.anomaly():
        ag.exp(ag.Tensor([[1.0], [1000.0]]))


def test_an_op_called_as_operator_method_or_numpy_function_is_traced_to_the_caller():
    x = leaf(0.0)
    for call in (lambda: 1 / x, lambda: x.log(), lambda: np.log(x), lambda: np.divide(1.0, x)):
        with pytest.raises(RuntimeError, match="called at " + line_of("for call in (lambda: 1 / x")), ag.anomaly():
            call()


def test_a_number_without_axes_needs_no_index():
    with pytest.raises(RuntimeError, match="anomaly: log made inf, called at"), ag.anomaly():
        ag.log(ag.Tensor(0.0))


def test_a_backward_rule_that_makes_an_infinity_is_named_with_input_shape_and_line():
    x = leaf(4.0, 0.0)
    with ag.anomaly():
        y = ag.sqrt(x)  # the op
        message = r"anomaly: the backward rule of sqrt made inf at \(1,\) for input 'x' \(2,\), called at "
        with pytest.raises(RuntimeError, match=message + line_of("# the op")):
            y.sum().backward()


def test_the_scope_is_named():
    x = leaf(0.0)
    with ag.anomaly(), ag.scope("block1"), ag.scope("norm"):
        y = ag.sqrt(x)
        with pytest.raises(RuntimeError, match=r"for input 'x' \(1,\), in scope 'block1/norm', called at"):
            y.backward()


def test_an_op_called_before_says_so():
    y = ag.sqrt(leaf(0.0))
    with ag.anomaly(), pytest.raises(RuntimeError, match=r"rule of sqrt made inf .*before anomaly mode was on"):
        y.backward()


def test_which_of_two_inputs_is_named():
    x, y = leaf(1.0), leaf(np.inf)
    with ag.anomaly():
        product = x * y  # not finite because its input is not: no anomaly of this op
        with pytest.raises(RuntimeError, match=r"the backward rule of multiply made inf at \(0,\) for input 'x'"):
            product.backward()


def test_the_input_of_a_joint_rule_is_named():
    @ag.Op
    def product(x, w):
        return x * w

    product.vjp(lambda g, x, w, wanted: (g * w, g * x * np.inf), inputs=2)
    with ag.anomaly():
        y = product(leaf(1.0), leaf(2.0))
        with pytest.raises(RuntimeError, match=r"the backward rule of product made inf at \(0,\) for input 'w' \(1,\)"):
            y.backward()


def test_what_a_joint_rule_gives_though_it_is_not_wanted_is_no_anomaly():
    @ag.Op
    def product(x, w):
        return x * w

    product.vjp(lambda g, x, w, wanted: (g * w, g * x * np.inf), inputs=2)
    x = leaf(1.0)
    with ag.anomaly():
        product(x, np.array([2.0])).backward()
    assert x.grad.item() == 2.0


def test_an_op_with_several_outputs_is_named():
    @ag.Op
    def both(x):
        return np.sqrt(x), np.log(x)

    both.vjp(lambda g, x, wanted: (g[0] / x,), inputs=1)
    with pytest.raises(RuntimeError, match="anomaly: both made inf at"), ag.anomaly():
        both(leaf(0.0))


def test_a_gradient_that_was_not_finite_before_is_not_blamed_on_a_later_rule():
    x = leaf(1.0, 2.0)
    with ag.anomaly():
        (ag.exp(x) * 2).backward([np.inf, 1.0])
    assert np.isinf(x.grad.data[0])


def test_a_value_that_was_not_finite_before_is_not_blamed_on_a_later_op():
    x = leaf(np.nan, 1.0)
    with ag.anomaly():
        y = ag.exp(x * 2) + 1
        z = ag.where([True, False], -np.inf, leaf(1.0, 2.0))
        w = ag.where(condition=[True, False], x=-np.inf, y=leaf(1.0, 2.0))
        padded = ag.pad(leaf(1.0), 1, constant_values=-np.inf)
    assert np.isnan(y.data[0])
    assert z.data[0] == w.data[0] == padded.data[0] == -np.inf


def test_finite_computations_go_through():
    x = leaf(1.0, 2.0)
    with ag.anomaly():
        y = (ag.exp(x) * ag.concatenate([x[:1], x[1:]])).sum()
        (dx,) = ag.gradients(y, [x], create_graph=True)
        dx.sum().backward()
    np.testing.assert_allclose(x.grad.data, np.exp(x.data) * (2 + x.data), rtol=1e-14)


def test_integers_and_bools_are_never_anomalous():
    with ag.anomaly():
        assert (ag.Tensor([1, 2]) * 3).data.tolist() == [3, 6]


def test_complex_numbers_are_looked_at_too():
    with pytest.raises(RuntimeError, match="anomaly: log made"), ag.anomaly():
        ag.log(ag.Tensor([0j]))


def test_forwards_say_it_once_not_by_a_numpy_warning_as_well():
    with np.errstate(all="raise"), ag.anomaly(), pytest.raises(RuntimeError, match="anomaly: divide made inf"):
        leaf(1.0) / 0.0


@pytest.mark.parametrize("create_graph", [False, True])
def test_second_order_rules_are_watched(create_graph):
    x = leaf(0.0)
    with ag.anomaly():
        y = x**1.5  # its second derivative is infinite at 0
        (dx,) = ag.gradients(y, [x], create_graph=True)
        with pytest.raises(RuntimeError, match=r"anomaly: (the backward rule of )?\w+ made inf"):
            ag.gradients(dx, [x], create_graph=create_graph)


def test_outside_nothing_is_watched_and_an_anomaly_ends_the_mode():
    with pytest.raises(RuntimeError, match="anomaly"), ag.anomaly():
        ag.log(leaf(-1.0))
    assert current_mode() == Mode()
    with np.errstate(all="ignore"):
        assert np.isnan(ag.log(leaf(-1.0)).item())
