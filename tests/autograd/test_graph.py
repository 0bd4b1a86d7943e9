"""The recorded graph: what a node holds, and the mode (recording, scope, observer) in which ops are called."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import Any

import numpy as np
import pytest

import autograd as ag
import nn
from autograd.graph import Mode, Node, current_mode, recording


def leaf(*values: float) -> ag.Tensor:
    return ag.Tensor(np.array(values), requires_grad=True)


def ancestors(node: Node) -> list[Node]:
    """The node and all that it was made from."""
    found, stack = {node}, [node]
    while stack:
        for parent in stack.pop().parents:
            if parent is not None and parent not in found:
                found.add(parent)
                stack.append(parent)
    return list(found)


@pytest.fixture(autouse=True)
def _mode_is_restored():
    yield
    assert current_mode() == Mode()


# ---------------------------------------------------------------------- nodes


def test_a_leaf_has_a_node_without_op_and_parents():
    node = leaf(1.0, 2.0)._node
    assert (node.op, node.parents, node.is_leaf) == (None, (), True)
    assert (node.shape, node.dtype) == ((2,), np.float64)
    assert repr(node) == "<Node leaf (2,) float64>"


@pytest.mark.parametrize("op", [lambda x: ag.exp(x), lambda x: x * x, lambda x: ag.sum(x, axis=0)])
def test_the_node_of_an_op_has_every_field_that_a_leaf_has(op):
    x = leaf(1.0, 2.0)
    fields = [name for name in Node.__slots__ if not name.startswith("__")]
    assert all(hasattr(x._node, name) for name in fields)
    assert all(hasattr(op(x)._node, name) for name in fields)


def test_parameters_that_were_not_given_are_shared_and_cannot_be_written():
    x = leaf(1.0, 2.0)
    assert ag.exp(x)._node.params == {}
    with pytest.raises(TypeError, match="does not support item assignment"):
        (x * x)._node.params["axis"] = 0


def test_a_tensor_that_requires_no_gradient_has_no_node():
    assert ag.Tensor([1.0])._node is None
    assert (ag.Tensor([1.0]) * 2)._node is None


def test_a_node_knows_its_op_parents_params_shape_and_dtype():
    x = leaf(1.0, 2.0)
    node = ag.sum(x, axis=0, keepdims=True)._node
    assert node.op is ag.sum
    assert node.parents == (x._node,)
    assert node.params == {"axis": 0, "keepdims": True}
    assert (node.shape, node.dtype, node.is_leaf) == ((1,), np.float64, False)
    assert repr(node) == "<Node sum (1,) float64>"


def test_input_i_s_node_is_parents_i_and_none_where_no_gradient_is_needed():
    x, y = leaf(1.0), leaf(2.0)
    assert (x * y)._node.parents == (x._node, y._node)
    assert (x * 3)._node.parents == (x._node, None)
    assert (3 * x)._node.parents == (None, x._node)
    assert (x * ag.Tensor([2.0]))._node.parents == (x._node, None)


def test_a_node_is_made_after_its_inputs():
    x = leaf(0.5, 1.5)
    late = leaf(1.0, 1.0)
    y = ag.sin(x) * x + late
    first, second = ag.split(y * y, 2)
    (dx,) = ag.gradients(first + second, [x], create_graph=True)
    nodes = ancestors(dx._node)
    assert len(nodes) > 10
    assert all(parent.order < node.order for node in nodes for parent in node.parents if parent is not None)


def test_each_order_is_given_once_though_several_threads_make_nodes():
    def make() -> None:
        x = leaf(1.0)
        mine = [(x * 2)._node for _ in range(500)]
        nodes.extend(mine)

    nodes: list[Node] = []
    threads = [threading.Thread(target=make) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({node.order for node in nodes}) == 2000


def test_a_graph_holds_nodes_and_arrays_but_never_a_tensor():
    x, w = leaf(0.5, 1.5), leaf(2.0, 3.0)
    halves = ag.split(ag.exp(x) * w, 2)
    y = ag.concatenate([halves[1], halves[0]]).reshape(2, 1).sum()
    (dx,) = ag.gradients(y, [x], create_graph=True)
    seen: set[int] = set()
    stack: list[Any] = [y._node, dx._node]
    while stack:
        thing = stack.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        assert not isinstance(thing, ag.Tensor)
        if isinstance(thing, (Node, tuple, list, dict)):
            stack.extend(gc.get_referents(thing))
    assert {id(x._node), id(w._node)} <= seen


def test_a_leaf_s_node_knows_its_tensor_weakly():
    x = leaf(1.0)
    assert x._node.tensor() is x
    node = x._node
    del x
    assert node.tensor() is None


def test_after_backward_the_graph_can_still_be_walked_but_saved_values_are_gone():
    x = leaf(1.0, 2.0)
    with ag.scope("top"):
        y = ag.exp(x).sum(axis=0)
    y.backward()
    total, exponential = y._node, y._node.parents[0]
    assert (total.op, exponential.op) == (ag.sum, ag.exp)
    assert exponential.parents == (x._node,)
    assert total.params == {"axis": 0}
    assert (total.shape, exponential.shape, exponential.dtype) == ((), (2,), np.float64)
    assert total.scope == exponential.scope == "top"
    assert total.saved is None
    assert exponential.saved is None


def test_with_retain_graph_saved_values_stay():
    x = leaf(1.0, 2.0)
    y = ag.exp(x)
    (saved,) = y._node.saved
    y.sum().backward(retain_graph=True)
    assert y._node.saved == (saved,)
    assert saved is y.data


def test_an_op_with_several_outputs_has_a_node_and_each_output_one_of_its_own():
    x = leaf(1.0, 2.0, 3.0)
    first, second = ag.split(x, [1])
    node = first._node.parents[0]
    assert second._node.parents == (node,)
    assert (first._node.index, second._node.index) == (0, 1)
    assert node.parents == (x._node,)
    assert (node.shape, first._node.shape, second._node.shape) == (((1,), (2,)), (1,), (2,))
    assert node.op is first._node.op is second._node.op
    assert node.op.name == "split"


def test_an_op_s_node_knows_its_output_nodes_weakly():
    first, second = ag.split(leaf(1.0, 2.0), 2)
    node = first._node.parents[0]
    assert [ref() for ref in node.outputs] == [first._node, second._node]
    gone = weakref.ref(second._node)
    del second
    assert gone() is None
    assert node.outputs[1]() is None


# ---------------------------------------------------------------------- no_grad


def test_nothing_is_recorded_under_no_grad():
    x = leaf(1.0, 2.0)
    with ag.no_grad():
        y = ag.exp(x) * 2
        parts = ag.split(x, 2)
    assert type(y) is ag.Tensor
    assert not y.requires_grad
    assert not any(part.requires_grad for part in parts)
    np.testing.assert_array_equal(y.data, np.exp(x.data) * 2)
    assert (x * 2).requires_grad


def test_a_tensor_made_under_no_grad_may_require_a_gradient():
    with ag.no_grad():
        x = leaf(3.0)
        assert x.requires_grad
    (x * x).backward()
    assert x.grad.item() == 6.0


def test_no_grad_is_a_decorator_too_any_number_of_times():
    @ag.no_grad()
    def predict(x: ag.Tensor) -> ag.Tensor:
        return x * 2

    x = leaf(1.0)
    assert [predict(x).requires_grad for _ in range(3)] == [False] * 3
    assert (x * 2).requires_grad


def test_no_grad_and_recording_nest():
    x = leaf(1.0)
    with ag.no_grad():
        with recording():
            assert (x * 2).requires_grad
            with ag.no_grad():
                assert not (x * 2).requires_grad
            assert (x * 2).requires_grad
        assert not (x * 2).requires_grad


def test_an_error_inside_no_grad_ends_it():
    with pytest.raises(ValueError, match="mine"), ag.no_grad():
        raise ValueError("mine")
    assert (leaf(1.0) * 2).requires_grad


def test_the_end_of_an_iterator_comes_through_no_grad_and_scope():
    with pytest.raises(StopIteration), ag.no_grad(), ag.scope("a"):
        next(iter([]))


# ---------------------------------------------------------------------- scope


def test_scopes_label_nodes_and_nest():
    x = leaf(1.0)
    with ag.scope("encoder"):
        a = x * 2
        with ag.scope("norm"):
            b = a * 2
        c = b * 2
    d = c * 2
    assert [t.scope for t in (x, a, b, c, d)] == ["", "encoder", "encoder/norm", "encoder", ""]
    assert b._node.scope == "encoder/norm"


def test_every_output_of_an_op_has_its_scope():
    with ag.scope("cut"):
        first, second = ag.split(leaf(1.0, 2.0), 2)
    assert first.scope == second.scope == first._node.parents[0].scope == "cut"


def test_an_error_inside_a_scope_ends_it():
    with pytest.raises(ValueError, match="mine"), ag.scope("a"), ag.scope("b"):
        raise ValueError("mine")
    assert (leaf(1.0) * 2).scope == ""


def test_scope_no_grad_and_observer_hold_together():
    log = Log()
    with ag.scope("a"), ag.observe(log), ag.no_grad():
        mode = current_mode()
    assert mode == Mode(recording=False, observer=log, scope="a")


# ---------------------------------------------------------------------- the observer slot


class Log(ag.Observer):
    """Writes down what it is shown."""

    def __init__(self, name: str = "") -> None:
        self.name = name
        self.ops: list[tuple] = []
        self.rules: list[tuple] = []

    def around_op(self, op: Any, args: tuple, params: dict, run: Any) -> Any:
        result = run()
        self.ops.append((op.name, args, params, result))
        return result

    def around_rule(self, node: Node, index: int | None, g: Any, run: Any) -> Any:
        given = run()
        self.rules.append((node, index, g, given))
        return given


def test_the_observer_is_none_by_default():
    assert current_mode().observer is None


def test_an_observer_goes_around_each_call_of_an_op():
    log, x = Log(), leaf(1.0, 2.0)
    with ag.observe(log):
        h = ag.exp(x)
        y = ag.sum(h, axis=0)
        plain = ag.exp(np.zeros(1))
    ag.exp(x)
    (name, args, params, result), second, third = log.ops
    assert (name, params) == ("exp", {})
    assert args[0] is x
    assert result is h
    assert (second[0], second[2], second[3] is y) == ("sum", {"axis": 0}, True)
    assert third[3] is plain  # arrays in, array out


def test_an_observer_goes_around_each_call_of_a_rule():
    log, x = Log(), leaf(1.0, 2.0)
    h = ag.exp(x)
    y = (h * 3).sum()
    with ag.observe(log):
        y.backward()
    assert [(node.op.name, index) for node, index, _, _ in log.rules] == [("sum", 0), ("multiply", 0), ("exp", 0)]
    node, _, g, given = log.rules[-1]
    assert node is h._node
    np.testing.assert_array_equal(g, [3.0, 3.0])
    np.testing.assert_array_equal(given, 3 * np.exp(x.data))


def test_a_joint_rule_is_shown_with_index_none():
    log, x = Log(), leaf(1.0, 2.0)
    y = ag.concatenate([x, x]).sum()
    with ag.observe(log):
        y.backward()
    node, index, g, given = log.rules[-1]
    assert (node.op.name, index, g.shape, len(given)) == ("concatenate", None, (4,), 2)


def test_at_higher_orders_rules_are_shown_tensors():
    log, x = Log(), leaf(1.0, 2.0)
    with ag.observe(log):
        ag.gradients(ag.exp(x).sum(), [x], create_graph=True)
    assert all(type(g) is type(given) is ag.Tensor for _, _, g, given in log.rules)


def test_what_an_observer_returns_takes_the_result_s_place():
    class Doubling(ag.Observer):
        def around_op(self, op: Any, args: tuple, params: dict, run: Any) -> Any:
            return run() if op.name != "exp" else ag.Tensor([7.0])

        def around_rule(self, node: Node, index: int | None, g: Any, run: Any) -> Any:
            return run() * 2

    x = leaf(1.0)
    with ag.observe(Doubling()):
        assert ag.exp(x).item() == 7.0
        (x * 5).backward()
    assert x.grad.item() == 10.0


def test_observers_nest_the_outer_one_first():
    calls: list[str] = []

    class Named(ag.Observer):
        def __init__(self, name: str) -> None:
            self.name = name

        def around_op(self, op: Any, args: tuple, params: dict, run: Any) -> Any:
            calls.append(f"{self.name} before {op.name}")
            result = run()
            calls.append(f"{self.name} after {op.name}")
            return result

        def around_rule(self, node: Node, index: int | None, g: Any, run: Any) -> Any:
            calls.append(f"{self.name} before the rule of {node.op.name}")
            given = run()
            calls.append(f"{self.name} after the rule of {node.op.name}")
            return given

        def around_pass(self, run: Any) -> Any:
            calls.append(f"{self.name} before the pass")
            found = run()
            calls.append(f"{self.name} after the pass")
            return found

        def around_step(self, name: str, n_bytes: int, run: Any) -> None:
            calls.append(f"{self.name} before {name} of {n_bytes} bytes")
            run()
            calls.append(f"{self.name} after {name}")

    x = leaf(1.0)
    with ag.observe(Named("outer")):
        with ag.observe(Named("inner")):
            y = x + 1
        x + 1
    assert calls == ["outer before add", "inner before add", "inner after add", "outer after add",
                     "outer before add", "outer after add"]
    calls.clear()
    with ag.observe(Named("outer")), ag.observe(Named("inner")):
        y.backward()
    assert calls == ["outer before the pass", "inner before the pass",
                     "outer before the rule of add", "inner before the rule of add",
                     "inner after the rule of add", "outer after the rule of add",
                     "inner after the pass", "outer after the pass"]
    calls.clear()
    with ag.observe(Named("outer")), ag.observe(Named("inner")):
        nn.optim.SGD([x], lr=0.5).step()
    n_bytes = 3 * x.data.nbytes  # the gradient, the number, the new number
    assert calls == [f"outer before SGD.step of {n_bytes} bytes", f"inner before SGD.step of {n_bytes} bytes",
                     "inner after SGD.step", "outer after SGD.step"]
    assert x.item() == 0.5


def test_an_observer_that_overrides_nothing_changes_nothing():
    x = leaf(1.0, 2.0)
    with ag.observe(ag.Observer()):
        (ag.exp(x) * ag.concatenate([x[:1], x[1:]])).sum().backward()
    np.testing.assert_allclose(x.grad.data, np.exp(x.data) * (1 + x.data), rtol=1e-15)


def test_an_observer_holds_in_this_thread_only():
    log, x = Log(), leaf(1.0)
    with ag.observe(log):
        thread = threading.Thread(target=lambda: x * 2)
        thread.start()
        thread.join()
    assert log.ops == []


def test_an_error_of_an_observer_comes_through_and_ends_it():
    class Failing(ag.Observer):
        def around_op(self, op: Any, args: tuple, params: dict, run: Any) -> Any:
            raise ValueError("not this op")

    class FailingRule(ag.Observer):
        def around_rule(self, node: Node, index: int | None, g: Any, run: Any) -> Any:
            raise ValueError("not this rule")

    x = leaf(1.0)
    with pytest.raises(ValueError, match="not this op"), ag.observe(Failing()):
        x * 2
    y = x * 2
    with pytest.raises(ValueError, match="not this rule"), ag.observe(FailingRule()):
        y.backward()
    assert current_mode() == Mode()
    (x * 2).backward()
    assert x.grad.item() == 2.0


@pytest.mark.parametrize("create_graph", [False, True])
def test_an_error_in_a_rule_or_a_hook_leaves_the_mode_as_it_was(create_graph):
    @ag.Op
    def broken(x):
        return np.array(x)

    def fail(*_: Any) -> None:
        raise ValueError("mine")

    broken.vjp(lambda g: fail())
    x = leaf(1.0)
    y = x * 2
    y.register_hook(fail)
    with ag.scope("here"):
        before = current_mode()
        for failing in (broken(x), y):
            with pytest.raises(ValueError, match="mine"):
                failing.backward(create_graph=create_graph)
            assert current_mode() == before


# ---------------------------------------------------------------------- contexts that are kept


def test_a_context_may_be_entered_again_once_it_is_left():
    context = ag.no_grad()
    for _ in range(2):
        with context:
            assert not (ag.Tensor(1.0, requires_grad=True) * 2).requires_grad
        assert (ag.Tensor(1.0, requires_grad=True) * 2).requires_grad


def test_a_context_that_is_entered_twice_at_a_time_says_so_and_the_mode_comes_back():
    context = ag.no_grad()
    text = "entered already, here or in another thread; make one for each `with`"
    with pytest.raises(RuntimeError, match=text), context, context:
        pass
    assert (ag.Tensor(1.0, requires_grad=True) * 2).requires_grad


def test_a_decorated_function_may_call_itself():
    @ag.no_grad()
    def doubled(x, times):
        return doubled(x * 2, times - 1) if times else x

    x = ag.Tensor(1.0, requires_grad=True)
    assert doubled(x, 3).item() == 8.0
    assert not doubled(x, 3).requires_grad
    assert (x * 2).requires_grad
