"""The reverse pass: what it computes, in which order, what it frees and what it refuses."""

from __future__ import annotations

import gc
import inspect
import math
import sys
from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import autograd as ag
from autograd.backward import backward
from autograd.graph import Node, recording


def leaf(*values: float) -> ag.Tensor:
    return ag.Tensor(np.array(values), requires_grad=True)


def number(value: float) -> ag.Tensor:
    return ag.Tensor(np.float64(value), requires_grad=True)


def same(actual: Any, expected: Any) -> None:
    assert type(actual) is ag.Tensor
    np.testing.assert_array_equal(actual.data, expected)


def close(actual: Any, expected: Any, rtol: float = 1e-12) -> None:
    np.testing.assert_allclose(actual.data, expected, rtol=rtol, atol=rtol)


# ---------------------------------------------------------------------- what backward starts from


def test_backward_adds_dy_dx_to_the_grad_of_every_leaf():
    x, w, unused = leaf(1.0, 2.0), leaf(3.0, 4.0), leaf(5.0)
    assert (x * w).sum().backward() is None
    same(x.grad, [3, 4])
    same(w.grad, [1, 2])
    assert unused.grad is None


@pytest.mark.parametrize("shape", [(), (1,), (1, 1)])
def test_a_single_number_needs_no_cotangent(shape):
    x = ag.Tensor(np.full(shape, 3.0), requires_grad=True)
    (x * x).backward()
    same(x.grad, np.full(shape, 6.0))


@pytest.mark.parametrize("shape", [(2,), (0,), (3, 1)])
def test_any_other_shape_needs_one(shape):
    x = ag.Tensor(np.zeros(shape), requires_grad=True)
    with pytest.raises(ValueError, match=r"backward: y has shape \(.*\); give the cotangent g of that shape"):
        (x * 2).backward()


@pytest.mark.parametrize("g", [
    [1.0, 10.0], (1, 10), np.array([1, 10]), np.array([1.0, 10.0], np.float32), ag.Tensor([1.0, 10.0]),
])
def test_a_cotangent_weights_the_outputs(g):
    x = leaf(1.0, 2.0)
    (x * 3).backward(g)
    same(x.grad, [3, 30])


@pytest.mark.parametrize("g", [1.0, [1.0], np.ones(3), np.ones((2, 1)), np.ones((1, 2))])
def test_a_cotangent_of_another_shape_is_refused(g):
    with pytest.raises(ValueError, match=r"backward: y has shape \(2,\) but g has \(.*\); they must be equal"):
        (leaf(1.0, 2.0) * 2).backward(g)


def test_a_complex_cotangent_of_a_real_output_is_refused():
    with pytest.raises(TypeError, match="backward: y is float64 but g is complex64; give a real cotangent"):
        (leaf(1.0) * 2).backward([1j])


def test_a_complex_output_needs_a_cotangent():
    z = ag.Tensor(np.array(1j), requires_grad=True)
    with pytest.raises(ValueError, match="backward: y is complex; give the cotangent g, or make y real first"):
        (z * z).backward()


@pytest.mark.parametrize("g", ["abc", {1: 2}, [None, None]])
def test_a_cotangent_that_is_no_number_is_refused(g):
    with pytest.raises(TypeError, match="cannot make numbers of"):
        (leaf(1.0, 2.0) * 2).backward(g)


def test_backward_of_what_requires_no_gradient_raises():
    x = leaf(1.0)
    with ag.no_grad():
        y = x * 2
    for output in (y, ag.Tensor([1.0]), x.detach()):
        with pytest.raises(RuntimeError, match=r"backward: this Tensor does not require a gradient.*no_grad"):
            output.backward()


@pytest.mark.parametrize("y", [1.0, np.ones(1), None])
def test_backward_of_what_is_no_tensor_raises(y):
    with pytest.raises(TypeError, match=f"backward: expected a Tensor, got {type(y).__name__}"):
        backward(y)


def test_backward_of_a_leaf_is_its_cotangent():
    x = leaf(1.0, 2.0)
    x.backward([3.0, 4.0])
    same(x.grad, [3, 4])
    x.backward([3.0, 4.0])
    same(x.grad, [6, 8])


def test_backward_works_under_no_grad():
    x = leaf(3.0)
    y = x * x * x
    with ag.no_grad():
        y.backward(retain_graph=True)
        (dx,) = ag.gradients(y, [x], create_graph=True)
    same(x.grad, [27])
    same(ag.gradients(dx, [x])[0], [18])


def test_a_recorded_cotangent_stays_in_the_graph_also_under_no_grad():
    x, v = leaf(1.0, 2.0), leaf(3.0, 4.0)
    y = x * x
    for mode in (recording, ag.no_grad):
        with mode():
            (dx,) = ag.gradients(y, [x], g=v, create_graph=True)
        same(ag.gradients(dx.sum(), [v])[0], [2, 4])


# ---------------------------------------------------------------------- the order


@st.composite
def programs(draw: Any) -> list[tuple[str, int, int]]:
    """Instructions over a growing list of values that starts with three leaves."""
    n = draw(st.integers(1, 30))
    return [(draw(st.sampled_from(["plus", "minus", "wave"])), draw(st.integers(0, 2 + k)), draw(st.integers(0, 2 + k)))
            for k in range(n)]


LEAVES = [0.7, -1.3, 2.1]


def with_tensors(program: list) -> tuple[ag.Tensor, list[ag.Tensor]]:
    leaves = [number(value) for value in LEAVES]
    values = list(leaves)
    for kind, i, j in program:
        a, b = values[i], values[j]
        values.append(a + b if kind == "plus" else a - b if kind == "minus" else ag.sin(a) * b)
    return values[-1], leaves


def with_a_textbook_sort(program: list) -> list[float]:
    """The gradients by plain floats: depth-first search, post-order, the chain rule in reverse of it."""
    values = list(LEAVES)
    edges: list[list[tuple[int, float]]] = [[], [], []]  # (input, local derivative)
    for kind, i, j in program:
        a, b = values[i], values[j]
        values.append(a + b if kind == "plus" else a - b if kind == "minus" else math.sin(a) * b)
        slopes = {"plus": (1, 1), "minus": (1, -1), "wave": (math.cos(a) * b, math.sin(a))}[kind]
        edges.append([(i, slopes[0]), (j, slopes[1])])
    order: list[int] = []

    def visit(node: int) -> None:
        if node in order:
            return
        for parent, _ in edges[node]:
            visit(parent)
        order.append(node)

    visit(len(values) - 1)
    grads = [0.0] * len(values)
    grads[-1] = 1.0
    for node in reversed(order):
        for parent, slope in edges[node]:
            grads[parent] += slope * grads[node]
    return grads[:3]


@given(programs())
def test_gradients_are_those_of_a_textbook_topological_sort(program):
    y, leaves = with_tensors(program)
    expected = with_a_textbook_sort(program)
    found = [g.item() for g in ag.gradients(y, leaves, retain_graph=True)]
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
    if not y.is_leaf:
        y.backward()
        delivered = [0.0 if x.grad is None else x.grad.item() for x in leaves]
        np.testing.assert_allclose(delivered, expected, rtol=1e-9, atol=1e-9)


@given(programs())
def test_the_rules_of_a_node_run_once_and_after_those_of_all_that_was_made_from_it(program):
    class Log(ag.Observer):
        def around_rule(self, node: Node, index: int | None, g: Any, run: Any) -> Any:
            ran.append((node, index))
            return run()

    ran: list[tuple[Node, int | None]] = []
    y, _ = with_tensors(program)
    with ag.observe(Log()):
        y.backward()
    assert max(Counter(ran).values()) == 1
    place = {node: at for at, (node, _) in enumerate(ran)}
    assert all(place[node] < place[parent] for node in place for parent in node.parents if parent in place)


def test_a_leaf_s_gradient_is_delivered_and_its_hooks_run_as_soon_as_it_is_final():
    x, w1, w2 = leaf(1.0), leaf(2.0), leaf(3.0)
    h = x * w1
    y = ag.exp(h) * w2 * w2
    log = []
    for name, t in (("x", x), ("w1", w1), ("w2", w2), ("h", h)):
        t.register_hook(lambda g, name=name: log.append((name, w2.grad is not None, w1.grad is not None)))
    y.backward()
    assert [name for name, *_ in log] == ["w2", "h", "w1", "x"] or [name for name, *_ in log] == ["w2", "h", "x", "w1"]
    assert log[1] == ("h", True, False)  # w2 has its gradient before the node before it is gone through


def test_a_hook_sees_the_complete_gradient_once_and_before_earlier_nodes_are_gone_through():
    x = leaf(2.0)
    h = x * 3
    y = h * h + h
    seen = []
    h.register_hook(lambda g: seen.append((g.item(), x.grad)))
    y.backward()
    assert seen == [(13.0, None)]
    same(x.grad, [39])


# ---------------------------------------------------------------------- large graphs


def test_a_chain_of_a_million_ops():
    n = 1_000_000
    x = number(1.0)
    gc.disable()  # its passes over millions of live objects would take most of the time
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack(0)) + 100)
    try:
        y = x
        for _ in range(n):
            y = y * (1 + 1 / n)
        y.backward()
        del y  # freeing it does not recurse either
    finally:
        sys.setrecursionlimit(limit)
        gc.enable()
    assert x.grad.item() == pytest.approx((1 + 1 / n) ** n, rel=1e-9)


def test_sixty_diamonds():
    x = number(1.0)
    y = x
    for _ in range(60):
        y = y + y
    y.backward(retain_graph=True)
    assert x.grad.item() == 2.0**60
    assert ag.gradients(y, [x], create_graph=True)[0].item() == 2.0**60


def test_sixty_diamonds_at_second_order():
    x = number(1.0)
    y = x
    for _ in range(60):
        half = y * 0.5
        y = half * half + half * (2 - half)  # y again, by paths that cancel at second order
    (dx,) = ag.gradients(y, [x], create_graph=True)
    (ddx,) = ag.gradients(dx, [x])
    assert (dx.item(), ddx.item()) == (1.0, 0.0)


def test_a_leaf_that_is_used_a_hundred_thousand_times():
    x = number(1.0)
    total = x * 0
    for _ in range(100_000):
        total = total + x
    total.backward()
    assert x.grad.item() == 100_000


def test_many_leaves():
    leaves = [number(float(i)) for i in range(10_000)]
    total = leaves[0] * 0
    for i, x in enumerate(leaves):
        total = total + x * i
    total.backward()
    assert [x.grad.item() for x in leaves] == list(range(10_000))


def test_gradients_by_very_many_xs():
    leaves = [number(float(i)) for i in range(20_000)]
    total = leaves[0] * 0
    for i, x in enumerate(leaves):
        total = total + x * i
    found = ag.gradients(total, leaves)
    assert [g.item() for g in found] == list(range(20_000))


def test_an_op_with_thousands_of_inputs():
    leaves = [leaf(float(i)) for i in range(3_000)]
    (ag.concatenate(leaves) * np.arange(3_000)).sum().backward()
    assert [x.grad.item() for x in leaves] == list(range(3_000))


# ---------------------------------------------------------------------- freed graphs, second passes


def test_backward_through_a_freed_graph_raises_and_says_retain_graph():
    x = leaf(1.0, 2.0)
    y = ag.exp(x).sum()
    y.backward()
    for again in (y.backward, lambda: ag.gradients(y, [x]), lambda: ag.gradients(y, [x], create_graph=True)):
        with pytest.raises(RuntimeError, match=r"the values saved for 'sum' are freed already.*retain_graph=True"):
            again()
    close(x.grad, np.exp([1, 2]))


def test_a_freed_part_is_named_whatever_is_made_of_it_later():
    h = ag.exp(leaf(1.0))
    h.backward()
    with pytest.raises(RuntimeError, match=r"the values saved for 'exp' are freed already"):
        (h * 2).backward()


def test_retain_graph_allows_another_pass_and_gradients_add_up():
    x = leaf(1.0, 2.0)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward(retain_graph=True)
    y.backward()
    same(x.grad, [6, 12])
    with pytest.raises(RuntimeError, match="retain_graph=True"):
        y.backward()


def test_create_graph_keeps_the_graph_unless_told_otherwise():
    x = leaf(2.0)
    y = x * x * x
    ag.gradients(y, [x], create_graph=True)
    ag.gradients(y, [x], create_graph=True, retain_graph=False)
    with pytest.raises(RuntimeError, match="freed already"):
        ag.gradients(y, [x])


def test_backward_of_two_graphs_adds_up_in_shared_leaves():
    x = leaf(1.0, 2.0)
    (x * 3).sum().backward()
    (x * x).sum().backward()
    same(x.grad, [5, 7])


def test_gradients_frees_only_what_it_went_through():
    x, w = leaf(1.0), leaf(2.0)
    a, b = ag.exp(x), ag.exp(w)
    y = a * b
    ag.gradients(y, [x])
    close(ag.gradients(b, [w])[0], np.exp([2]))
    with pytest.raises(RuntimeError, match="'exp' are freed"):
        ag.gradients(a, [x])


def test_gradients_by_an_intermediate_neither_needs_nor_frees_what_lies_before_it():
    x = leaf(1.0, 2.0)
    h = ag.exp(x)
    same(ag.gradients((h * 2).sum(), [h])[0], [2, 2])
    close(ag.gradients(h.sum(), [x])[0], np.exp([1, 2]))  # h's own values were not used up by the first
    same(ag.gradients((h * 3).sum(), [h])[0], [3, 3])  # and are not missed after the second


def test_gradients_of_what_leads_to_no_x_frees_nothing():
    x, other = leaf(2.0), leaf(1.0)
    y = x * x
    same(ag.gradients(y, [other])[0], [0])
    y.backward()
    same(x.grad, [4])


# ---------------------------------------------------------------------- higher orders


CLOSED_FORMS = {
    "exp": (ag.exp, [np.exp] * 5),
    "sin": (ag.sin, [np.sin, np.cos, lambda x: -np.sin(x), lambda x: -np.cos(x), np.sin]),
    "cos": (ag.cos, [np.cos, lambda x: -np.sin(x), lambda x: -np.cos(x), np.sin, np.cos]),
    "power": (lambda x: x**5, [lambda x: x**5, lambda x: 5 * x**4, lambda x: 20 * x**3, lambda x: 60 * x**2,
                               lambda x: 120 * x]),
    "power of a constant": (lambda x: 2.0**x, [lambda x, k=k: 2.0**x * np.log(2) ** k for k in range(5)]),
    "1 / x": (lambda x: 1 / x, [lambda x, k=k: (-1) ** k * math.factorial(k) / x ** (k + 1) for k in range(5)]),
    "log": (ag.log, [np.log, *(lambda x, k=k: (-1) ** (k - 1) * math.factorial(k - 1) / x**k for k in range(1, 5))]),
    "x exp(x)": (lambda x: x * ag.exp(x), [lambda x, k=k: (x + k) * np.exp(x) for k in range(5)]),
}


@pytest.mark.parametrize("name", CLOSED_FORMS)
def test_derivatives_up_to_the_fourth_are_the_closed_forms(name):
    f, closed = CLOSED_FORMS[name]
    points = np.array([0.3, 1.0, 2.5])
    x = ag.Tensor(points, requires_grad=True)
    y = f(x)
    close(y, closed[0](points))
    for order in range(1, 5):
        (y,) = ag.gradients(y.sum(), [x], create_graph=True)
        close(y, closed[order](points), rtol=1e-11)


def test_mixed_derivatives_are_the_same_in_either_order():
    x, y = leaf(0.7), leaf(1.9)
    z = ag.sin(x * y) * ag.exp(x)
    dx, dy = ag.gradients(z, [x, y], create_graph=True)
    (dxdy,) = ag.gradients(dx, [y], retain_graph=True)
    (dydx,) = ag.gradients(dy, [x])
    close(dxdy, dydx.data)
    a, b = 0.7, 1.9
    close(dxdy, [np.exp(a) * (a * np.cos(a * b) + np.cos(a * b) - a * b * np.sin(a * b))])


def test_backward_with_create_graph_delivers_gradients_that_can_be_differentiated():
    x = leaf(2.0)
    (x**3).backward(create_graph=True)
    first = x.grad
    same(first, [12])
    assert first.requires_grad
    x.grad = None
    first.backward()
    same(x.grad, [12])  # 6 x


def test_without_create_graph_gradients_have_no_history():
    x = leaf(2.0)
    (dx,) = ag.gradients(x**3, [x])
    assert not dx.requires_grad
    (x**3).backward()
    assert not x.grad.requires_grad


def test_a_gradient_penalty_trains_through_the_gradient():
    x, w = leaf(1.0, 2.0), leaf(0.5, -0.5)
    (dx,) = ag.gradients(ag.tanh((x * w).sum()), [x], create_graph=True)
    (dx * dx).sum().backward()  # |w|^2 (1 - t^2)^2 with t = tanh(w x)
    t, ww = np.tanh(-0.5), 0.5
    slope = 1 - t * t
    close(w.grad, 2 * np.array([0.5, -0.5]) * slope**2 + ww * 2 * slope * (-2 * t * slope) * np.array([1.0, 2.0]))


def test_what_goes_through_a_detached_value_is_a_constant():
    x = leaf(3.0)
    (dx,) = ag.gradients(x * x.detach(), [x], create_graph=True)
    same(dx, [3])
    assert not dx.requires_grad


# ---------------------------------------------------------------------- gradients(y, xs)


def test_gradients_returns_a_list_of_tensors_and_leaves_every_grad_alone():
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    h = x * w
    h.retain_grad()
    found = ag.gradients(h.sum(), [x, w])
    assert type(found) is list
    same(found[0], [3, 4])
    same(found[1], [1, 2])
    assert x.grad is w.grad is h.grad is None


def test_gradients_takes_a_cotangent():
    x = leaf(1.0, 2.0)
    same(ag.gradients(x * x, [x], g=[1.0, 10.0])[0], [2, 40])


def test_an_x_that_y_does_not_depend_on_gets_zeros():
    x, independent = leaf(1.0), ag.Tensor(np.ones((2, 3), np.float32), requires_grad=True)
    _, zeros = ag.gradients(x * 2, [x, independent])
    same(zeros, np.zeros((2, 3)))
    assert zeros.dtype == np.float32
    assert not zeros.requires_grad
    later = x * 2 * 3  # made of y's parts, so y does not depend on it
    same(ag.gradients(x * 2, [later])[0], [0])


@pytest.mark.parametrize("x", [ag.Tensor([1.0]), np.ones(1), None, 1.0])
def test_an_x_that_requires_no_gradient_raises(x):
    with pytest.raises(RuntimeError, match=r"gradients: xs\[1\] does not require a gradient"):
        ag.gradients(leaf(1.0) * 2, [leaf(1.0), x])


@pytest.mark.parametrize("wrong", [lambda x: x, lambda x: (t for t in [x]), lambda x: {x: 1}, lambda x: None])
def test_xs_is_a_list(wrong):
    x = leaf(1.0)
    with pytest.raises(TypeError, match=r"gradients: xs must be a list of Tensors, got \w+; write \[x\]"):
        ag.gradients(x * 2, wrong(x))


@pytest.mark.parametrize("y", [None, 1.0, np.ones(1), "y", [1.0]])
def test_y_is_a_tensor_or_a_list_of_them(y):
    with pytest.raises(TypeError, match=r"(gradients|backward): .* Tensor.*got \w+"):
        ag.gradients(y, [leaf(1.0)])


def test_no_xs_give_no_gradients_and_a_tuple_will_do():
    x = leaf(1.0)
    assert ag.gradients(x * 2, []) == []
    same(ag.gradients(x * 2, (x,))[0], [2])


def test_an_intermediate_may_be_among_xs():
    x = leaf(2.0)
    h = x * x
    y = h * h + h
    same(ag.gradients(y, [h])[0], [9])


def test_an_x_may_be_made_from_another():
    x = leaf(2.0)
    h = x * x
    y = h * 3 + x
    for xs in ([x, h], [h, x]):
        found = dict(zip(xs, ag.gradients(y, xs, retain_graph=True), strict=True))
        same(found[x], [13])
        same(found[h], [3])


def test_y_itself_may_be_among_xs():
    x = leaf(1.0, 2.0)
    y = x * 3
    dy, dx = ag.gradients(y, [y, x], g=[5.0, 6.0])
    same(dy, [5, 6])
    same(dx, [15, 18])
    same(ag.gradients(x, [x], g=[7.0, 8.0])[0], [7, 8])


def test_the_same_x_may_be_asked_for_twice():
    x = leaf(3.0)
    first, second = ag.gradients(x * x, [x, x])
    same(first, [6])
    same(second, [6])
    assert not np.shares_memory(first.data, second.data)


def test_several_outputs_are_added_up_in_one_pass():
    x, w = leaf(1.0, 2.0), leaf(3.0, 4.0)
    a, b = x * w, x * x
    dx, dw = ag.gradients([a, b], [x, w], g=[[1.0, 1.0], [10.0, 10.0]])
    same(dx, [23, 44])
    same(dw, [1, 2])


def test_the_same_output_given_twice_counts_twice():
    x = leaf(2.0)
    y = x * x
    g = ag.Tensor(np.ones(1))
    same(ag.gradients([y, y, x], [x], g=[g, g, g], retain_graph=True)[0], [9])
    same(g, [1])  # what the user gave is not written into
    same(ag.gradients([y, y], [x], g=[g, g], create_graph=True)[0], [8])


def test_as_many_cotangents_as_outputs():
    x = leaf(2.0)
    with pytest.raises(ValueError, match="gradients: 2 outputs but 1 cotangents"):
        ag.gradients([x * 2, x * 3], [x], g=[np.ones(1)])


def test_gradients_of_gradients_by_the_cotangent():
    """The double-backward trick: the gradient is linear in the cotangent, with the Jacobian as the matrix."""
    x, v = leaf(1.0, 2.0), leaf(1.0, 1.0)
    (vjp,) = ag.gradients(x * x, [x], g=v, create_graph=True)
    (jvp,) = ag.gradients(vjp, [v], g=[3.0, 5.0])
    same(jvp, [2 * 1 * 3, 2 * 2 * 5])


# ---------------------------------------------------------------------- hooks


def test_a_hook_sees_the_gradient_and_may_replace_it():
    x = leaf(1.0, 2.0)
    h = x * 3
    seen = []
    h.register_hook(lambda g: seen.append(g.data.copy()))
    h.register_hook(lambda g: g * 10)
    (h * [1.0, 2.0]).sum().backward()
    np.testing.assert_array_equal(seen, [[1, 2]])
    same(x.grad, [30, 60])


def test_hooks_run_in_the_order_of_registration_each_on_what_the_last_returned():
    x = leaf(1.0)
    seen = []
    x.register_hook(lambda g: seen.append(("first", g.item())) or g + 1)
    x.register_hook(lambda g: seen.append(("second", g.item())))
    x.register_hook(lambda g: g * 10)
    (x * 2).backward()
    assert seen == [("first", 2.0), ("second", 3.0)]
    same(x.grad, [30])


def test_a_hook_may_return_an_array():
    x = leaf(1.0, 2.0)
    x.register_hook(lambda g: np.array([5.0, 6.0]))
    x.sum().backward()
    same(x.grad, [5, 6])


def test_a_removed_hook_runs_no_more():
    x = leaf(1.0)
    remove = x.register_hook(lambda g: g * 10)
    (x * 2).backward()
    remove()
    remove()
    (x * 2).backward()
    same(x.grad, [22])


def test_each_registration_is_removed_by_its_own_function():
    x = leaf(1.0)
    ten = lambda g: g * 10  # noqa: E731
    remove, _ = x.register_hook(ten), x.register_hook(ten)
    remove()
    remove()
    (x * 2).backward()
    same(x.grad, [20])


def test_a_hook_may_remove_itself_while_it_runs():
    x = leaf(1.0)
    seen = []
    remove = x.register_hook(lambda g: (seen.append("once"), remove())[1])
    x.register_hook(lambda g: seen.append("always"))
    for _ in range(2):
        (x * 2).backward()
    assert seen == ["once", "always", "always"]


@pytest.mark.parametrize(("changed", "shown"), [
    (lambda g: g.sum(), r"\(\) float64"),
    (lambda g: g[:1], r"\(1,\) float64"),
    (lambda g: g.astype(np.float32), r"\(2,\) float32"),
    (lambda g: np.ones(3), r"\(3,\) float64"),
    (lambda g: np.ones(2, int), r"\(2,\) int64"),
])
@pytest.mark.parametrize("on_leaf", [True, False])
@pytest.mark.parametrize("create_graph", [True, False])
def test_a_hook_that_returns_another_shape_or_dtype_raises(changed, shown, on_leaf, create_graph):
    x = leaf(1.0, 2.0)
    y = x * 3
    (x if on_leaf else y).register_hook(changed)
    with pytest.raises(ValueError, match=rf"register_hook: the hook returned {shown} for a gradient \(2,\) float64"):
        y.sum().backward(create_graph=create_graph)


def test_hooks_run_in_gradients_too_and_change_what_it_returns():
    x = leaf(1.0)
    h = x * 3
    h.register_hook(lambda g: g * 10)
    dh, dx = ag.gradients(h * 1, [h, x])
    same(dh, [10])
    same(dx, [30])


def test_a_hook_may_be_differentiated_through():
    x = leaf(2.0)
    h = x * 1
    remove = h.register_hook(lambda g: g * g)
    (dx,) = ag.gradients(h**3, [x], create_graph=True)  # (3 x^2)^2
    same(dx, [144])
    remove()  # it would see the second pass too, since dx is made from h
    same(ag.gradients(dx, [x])[0], [9 * 4 * 8])


def test_a_gradient_that_a_hook_keeps_is_nobody_else_s():
    x = leaf(1.0, 2.0)
    kept = []
    h = x.reshape(2, 1)
    y = h + h
    h.retain_grad()
    for t in (x, y):
        t.register_hook(kept.append)
    (y.reshape(2) * x).sum().backward()
    before = [g.data.copy() for g in kept]
    x.grad.data[:] = -1
    h.grad.data[:] = -1
    (x * x).sum().backward()
    assert len(kept) == 3
    for g, expected in zip(kept, before, strict=False):
        np.testing.assert_array_equal(g.data, expected)


def test_hooks_of_what_y_does_not_depend_on_do_not_run():
    x, other = leaf(1.0), leaf(1.0)
    other.register_hook(lambda g: pytest.fail("not part of y"))
    (x * 2).backward()


# ---------------------------------------------------------------------- retain_grad


def test_grad_is_for_leaves_unless_retain_grad_asks_for_it():
    x = leaf(2.0)
    h, k = x * 3, x * 5
    h.retain_grad()
    (h * h + k).backward(retain_graph=True)
    same(h.grad, [12])
    assert k.grad is None
    (h * 1).backward()
    same(h.grad, [13])  # adds up, as on leaves


def test_retain_grad_on_the_output_itself_and_on_a_leaf():
    x = leaf(2.0)
    y = x * 3
    y.retain_grad()
    x.retain_grad()
    y.backward()
    same(y.grad, [1])
    same(x.grad, [3])


def test_a_retained_gradient_is_what_hooks_left():
    h = leaf(2.0) * 3
    h.retain_grad()
    h.register_hook(lambda g: g * 7)
    (h * 2).backward()
    same(h.grad, [14])


def test_a_retained_gradient_may_be_part_of_a_graph():
    x = leaf(2.0)
    h = x * x
    h.retain_grad()
    (h**3).backward(create_graph=True)
    same(h.grad, [48])
    same(ag.gradients(h.grad, [x])[0], [12 * 2**3])  # 3 x^4


# ---------------------------------------------------------------------- no two gradients share memory


SHARING = {
    "the cotangent itself": lambda x, w: x + w,
    "one array for two": lambda x, w: (x + w) + (w + x),
    "views": lambda x, w: x.reshape(2, 2).T + w.reshape(2, 2),
    "slices": lambda x, w: ag.concatenate([x, w])[::-1],
    "broadcast": lambda x, w: (x + w).sum(),
    "the input": lambda x, w: x * w,
    "transposed sums": lambda x, w: x.reshape(2, 2).T + (x.reshape(2, 2) * 2).T + w.reshape(2, 2).T,
}


@pytest.mark.parametrize("name", SHARING)
@pytest.mark.parametrize("create_graph", [False, True])
def test_a_delivered_grad_is_contiguous_writable_and_unaliased(name, create_graph):
    x, w = leaf(1.0, 2.0, 3.0, 4.0), leaf(5.0, 6.0, 7.0, 8.0)
    h = x * 1
    h.retain_grad()
    y = SHARING[name](h, w)
    g = np.ones(y.shape)
    y.backward(g, create_graph=create_graph)
    arrays = [x.data, w.data, h.data, y.data, g, x.grad.data, w.grad.data, h.grad.data]
    for t in (x, w, h):
        assert t.grad.data.flags.c_contiguous
        assert t.grad.data.flags.writeable
        assert sum(np.shares_memory(t.grad.data, array) for array in arrays) == 1
        assert t.grad.shape == t.shape


def test_the_gradient_of_the_output_is_not_the_cotangent_that_was_given():
    x, g = leaf(1.0, 2.0), np.array([3.0, 4.0])
    x.backward(g)
    x.grad.data[:] = 0
    np.testing.assert_array_equal(g, [3, 4])


def test_a_second_backward_leaves_the_gradient_that_somebody_holds():
    x = leaf(1.0)
    (x * 2).backward()
    held = x.grad
    (x * 3).backward()
    same(held, [2])
    same(x.grad, [5])


def test_gradients_of_several_passes_share_nothing():
    x = leaf(1.0, 2.0)
    y = x * 3
    first, second = (ag.gradients(y.sum(), [x], retain_graph=True)[0] for _ in range(2))
    assert not np.shares_memory(first.data, second.data)


@pytest.mark.parametrize("create_graph", [False, True])
def test_the_engine_never_writes_into_what_a_rule_returned(create_graph):
    constant = np.array([1.0, 1.0])

    @ag.Op
    def constant_slope(x):
        return np.array(x)

    constant_slope.vjp(lambda g: constant)
    x = leaf(1.0, 2.0)
    (constant_slope(x) + constant_slope(x) + constant_slope(x) + x).sum().backward(create_graph=create_graph)
    np.testing.assert_array_equal(constant, [1, 1])
    same(x.grad, [4, 4])


# ---------------------------------------------------------------------- per edge: broadcasting and casting


@given(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, min_side=0, max_side=3), st.booleans())
def test_broadcasting_is_undone(shapes, create_graph):
    rng = np.random.default_rng(0)
    x, w = (ag.Tensor(rng.standard_normal(shape), requires_grad=True) for shape in shapes.input_shapes)
    g = rng.standard_normal(shapes.result_shape)
    found = ag.gradients(x + w, [x, w], g=g, create_graph=create_graph)
    for t, dt in zip((x, w), found, strict=True):
        # where each element of t went, and so what it gets back
        places = np.broadcast_to(np.arange(t.size).reshape(t.shape), g.shape).ravel()
        expected = np.bincount(places, weights=g.ravel(), minlength=t.size).reshape(t.shape)
        assert dt.shape == t.shape
        np.testing.assert_allclose(dt.data, expected, rtol=1e-12, atol=1e-12)


@given(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=3, min_side=1, max_side=3))
def test_undoing_a_broadcast_is_recorded(shapes):
    rng = np.random.default_rng(0)
    x, w = (ag.Tensor(rng.uniform(1, 2, shape), requires_grad=True) for shape in shapes.input_shapes)
    (dx,) = ag.gradients((x * w * w).sum(), [x], create_graph=True)
    (dw,) = ag.gradients(dx.sum(), [w])
    n = np.prod(shapes.result_shape) / w.size
    np.testing.assert_allclose(dw.data, 2 * w.data * n, rtol=1e-12)


@pytest.mark.parametrize(("dtype", "other"), [("f4", "f8"), ("f8", "f4"), ("f2", "f4"), ("c8", "c16"), ("c8", "f8")])
@pytest.mark.parametrize("create_graph", [False, True])
def test_a_gradient_has_the_dtype_of_its_input(dtype, other, create_graph):
    x = ag.Tensor(np.ones(2, dtype), requires_grad=True)
    y = x * np.full(2, 3, other)
    (dx,) = ag.gradients(y, [x], g=np.ones(2, y.dtype), create_graph=create_graph, retain_graph=True)
    assert dx.dtype == dtype
    same(dx, [3, 3])
    y.backward(np.ones(2, y.dtype))
    assert x.grad.dtype == dtype


def test_casting_is_recorded():
    x = ag.Tensor(np.array([2.0], np.float32), requires_grad=True)
    (dx,) = ag.gradients(x.astype(np.float64) ** 3, [x], create_graph=True)
    (ddx,) = ag.gradients(dx, [x])
    assert (dx.dtype, ddx.dtype, ddx.item()) == (np.float32, np.float32, 12.0)


def test_a_half_precision_leaf_collects_contributions_of_float64():
    x = ag.Tensor(np.ones(1, np.float16), requires_grad=True)
    y = x * np.array([1.0]) + x * np.array([2.0]) + x
    y.backward()
    assert (x.grad.dtype, x.grad.item()) == (np.float16, 4.0)


# ---------------------------------------------------------------------- complex numbers


def test_cotangents_are_linear_so_a_holomorphic_function_has_the_rule_of_the_reals():
    z = ag.Tensor(np.array([1 + 2j, -0.5j]), requires_grad=True)
    g = np.array([2 - 1j, 3j])
    (dz,) = ag.gradients(ag.exp(z) * z, [z], g=g)
    value = z.data
    np.testing.assert_allclose(dz.data, g * np.exp(value) * (1 + value), rtol=1e-14)


def test_the_gradient_pairs_with_a_change_as_the_real_part_of_their_product():
    z = ag.Tensor(np.array([1 + 2j, -0.5j]), requires_grad=True)
    f = lambda z: ag.abs(ag.sin(z) * ag.conj(z)).sum()  # noqa: E731
    (dz,) = ag.gradients(f(z), [z])
    change = np.array([0.3 - 0.7j, 1.1j]) * 1e-6
    difference = (f(z.data + change) - f(z.data - change)) / 2
    assert np.sum(dz.data * change).real == pytest.approx(difference, rel=1e-7)


def test_a_complex_gradient_of_a_real_input_takes_the_real_part():
    x = leaf(2.0)
    (dx,) = ag.gradients(x * (1 + 2j), [x], g=[3 + 1j])
    assert dx.dtype == np.float64
    same(dx, [((1 + 2j) * (3 + 1j)).real])


def test_taking_the_real_part_is_recorded():
    x = leaf(0.3, 1.2)
    y = ag.imag(ag.exp(x * 1j))  # sin x, by way of complex numbers
    for expected in (np.cos, lambda a: -np.sin(a), lambda a: -np.cos(a)):
        (y,) = ag.gradients(y.sum(), [x], create_graph=True)
        assert y.dtype == np.float64
        close(y, expected(x.data))


# ---------------------------------------------------------------------- empty arrays, and no axes


def test_empty_arrays_have_empty_gradients():
    x = ag.Tensor(np.zeros((0, 3)), requires_grad=True)
    (ag.exp(x) @ np.ones((3, 2))).sum().backward()
    same(x.grad, np.zeros((0, 3)))
    w = leaf(1.0, 2.0, 3.0)
    (x + w).sum().backward()
    same(w.grad, [0, 0, 0])


def test_tensors_without_axes_add_up_too():
    x = number(3.0)
    (x * x + x + x).backward()
    (x * 2).backward()
    assert type(x.grad.data) is np.ndarray
    assert x.grad.shape == ()
    assert x.grad.data.flags.writeable
    same(x.grad, 10.0)


# ---------------------------------------------------------------------- floating-point warnings


def test_backward_says_nothing_about_infinities_on_the_way():
    x = leaf(0.0, 1e-320, 1.0)
    with np.errstate(all="raise"):
        y = ag.sqrt(x).sum()
        y.backward(retain_graph=True)
        ag.gradients(y, [x], create_graph=True)
        with pytest.raises(FloatingPointError):
            np.float64(1) / np.float64(0)  # as before
    assert x.grad.data[0] == np.inf


def test_the_floating_point_mode_is_put_back_after_an_error():
    x = leaf(1.0)
    x.register_hook(lambda g: 1 / 0)
    before = np.geterr()
    with pytest.raises(ZeroDivisionError):
        (x * 2).backward()
    assert np.geterr() == before


# ---------------------------------------------------------------------- errors and passes within passes


def test_an_error_leaves_the_gradients_that_were_delivered_before():
    first, last = leaf(1.0), leaf(2.0)
    h = first * 3

    def fail(g: ag.Tensor) -> None:
        raise ValueError("mine")

    h.register_hook(fail)
    with pytest.raises(ValueError, match=r"^mine$"):
        (h * last).backward()
    same(last.grad, [3])
    assert first.grad is None


def test_after_an_error_a_retained_graph_can_be_gone_through_again():
    x = leaf(3.0)
    y = ag.exp(x) * 2

    def fail(g: ag.Tensor) -> None:
        raise ValueError("mine")

    remove = x.register_hook(fail)
    with pytest.raises(ValueError, match="mine"):
        y.backward(retain_graph=True)
    remove()
    y.backward()
    close(x.grad, 2 * np.exp([3]))


def test_a_hook_may_run_backward_through_another_graph():
    x, w = leaf(1.0), leaf(2.0)
    other = w * 5
    h = x * 3
    h.register_hook(lambda g: other.backward())
    (h * 2).backward()
    same(x.grad, [6])
    same(w.grad, [5])


def test_a_hook_may_run_backward_into_the_same_leaves():
    x = leaf(1.0)
    other = x * 5
    h = x * 3
    h.register_hook(lambda g: other.backward())
    (h * 2).backward()
    same(x.grad, [11])


def test_a_rule_may_take_gradients_itself():
    """As checkpointing does: the forward is run again, recorded, inside the rule."""
    def body(x: Any) -> Any:
        return ag.sin(x) * x

    @ag.Op
    def checkpointed(x):
        return body(x)

    def rule(g: Any, x: Any) -> Any:
        with recording():
            again = ag.Tensor(x, requires_grad=True)
            return ag.gradients(body(again), [again], g=g)[0].data

    checkpointed.vjp(rule)
    x = leaf(0.5, 1.5)
    (checkpointed(x) * 3).sum().backward()
    close(x.grad, 3 * (np.cos(x.data) * x.data + np.sin(x.data)))


@pytest.mark.parametrize("create_graph", [False, True])
def test_a_pass_whose_graph_another_one_frees_meanwhile_says_so(create_graph):
    x = leaf(1.0)
    h = ag.exp(x)
    inner, y = h * 2, h * h
    y.register_hook(lambda g: inner.backward())
    with pytest.raises(RuntimeError, match=r"'exp' are freed already.*retain_graph=True"):
        y.backward(create_graph=create_graph)


def test_an_error_in_a_rule_says_whose_rule_it_was():
    @ag.Op
    def broken(x):
        return np.negative(x)

    broken.vjp(lambda g, x: g @ np.ones((5, 5)))
    with ag.scope("encoder"):
        y = broken(ag.Tensor([1.0, 2.0], requires_grad=True)).sum()
    with pytest.raises(ValueError, match="matmul") as caught:
        y.backward()
    assert caught.value.__notes__ == ["in the backward rule for 'x' of broken, scope 'encoder'"]


@pytest.mark.parametrize("g", [0.1, [0.1]])
def test_a_cotangent_of_python_numbers_keeps_its_digits(g):
    x = ag.Tensor(np.ones(1), requires_grad=True)
    y = x * 1.0 if isinstance(g, list) else (x * 1.0).sum()
    y.backward(g)
    assert x.grad.data.tolist() == [0.1]
    _, pullback = ag.vjp(lambda x: x * 1.0, np.ones(1))
    assert pullback([0.1])[0].data.tolist() == [0.1]


def test_a_rule_that_gives_a_python_float_keeps_its_digits():
    @ag.Op
    def tenth(x):
        return 0.1 * x

    tenth.vjp(lambda g: float(g) * 0.1)
    assert ag.grad(tenth)(1.0).item() == 0.1
