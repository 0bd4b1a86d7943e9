"""keep() holds on to what passes through the graph, and to nothing that would keep the graph alive."""

import gc
import weakref

import numpy as np
import pytest

import autograd as ag
from autograd.show import keep, listing


def leaf(*values):
    return ag.Tensor(np.array(values, np.float64), requires_grad=True)


def test_values_and_cotangents_are_those_of_the_formula():
    x = leaf(0.5, -1.0, 2.0)
    with keep():
        t = ag.tanh(x)
        p = t * x
        y = p.sum()
        y.backward()
    np.testing.assert_allclose(t._node.kept.value, np.tanh(x.data))
    np.testing.assert_allclose(p._node.kept.value, np.tanh(x.data) * x.data)
    np.testing.assert_allclose(y._node.kept.value, (np.tanh(x.data) * x.data).sum())
    np.testing.assert_allclose(y._node.kept.gradient, 1.0)
    np.testing.assert_allclose(p._node.kept.gradient, np.ones(3))
    np.testing.assert_allclose(t._node.kept.gradient, x.data)  # d(t x) / dt


def test_the_cotangent_kept_is_the_sum_over_all_paths():
    x = leaf(3.0)
    with keep():
        h = x * 2.0
        (h * h + h * 5.0).sum().backward()
    np.testing.assert_allclose(h._node.kept.gradient, [2 * 6.0 + 5.0])


def test_each_output_of_several_keeps_its_own():
    x = leaf(1.0, 2.0, 3.0, 4.0)
    with keep():
        first, last = ag.split(x, 2)
        (first * 10.0).sum().backward()
    node = first._node.parents[0]
    np.testing.assert_array_equal(first._node.kept.value, [1, 2])
    np.testing.assert_array_equal(last._node.kept.value, [3, 4])
    np.testing.assert_array_equal(first._node.kept.gradient, [10, 10])
    np.testing.assert_array_equal(last._node.kept.gradient, [0, 0])  # nothing was made from it
    np.testing.assert_array_equal(np.concatenate(node.kept.value), x.data)
    np.testing.assert_array_equal(np.concatenate(node.kept.gradient), [10, 10, 0, 0])


def test_a_joint_rule_keeps_the_cotangent_too():
    x, y = leaf(1.0), leaf(2.0, 3.0)
    with keep():
        both = ag.concatenate([x, y])
        (both * np.array([1.0, 2.0, 3.0])).sum().backward()
    np.testing.assert_array_equal(both._node.kept.gradient, [1, 2, 3])


def test_values_are_kept_of_what_is_recorded_inside_and_gradients_of_passes_run_inside():
    x = leaf(2.0)
    with keep():
        inside = ag.square(x)
    inside.sum().backward()
    assert inside._node.kept.value == [4.0]
    assert inside._node.kept.gradient is None

    outside = ag.square(x)
    y = outside.sum()
    with keep():
        y.backward()
    assert outside._node.kept.value is None
    assert outside._node.kept.gradient == [1.0]


def test_of_two_passes_the_later_counts():
    x = leaf(2.0)
    with keep():
        h = ag.square(x)
        h.backward(np.array([1.0]), retain_graph=True)
        h.backward(np.array([7.0]))
    assert h._node.kept.gradient == [7.0]
    assert x.grad.data == [8.0 * 4.0]  # the leaf adds up: 2 x (1 + 7)


def test_a_leaf_is_shown_with_the_value_that_the_graph_was_made_from():
    x = leaf(1.0, 2.0)
    with keep():
        y = (x * x).sum()
    x.data = np.array([5.0, 6.0])
    assert "value [1, 2]" in ag.listing(y, names={"x": x})
    assert "value [1, 2]" in ag.draw(y, names={"x": x}).source.replace("\xa0", " ")


def test_inputs_that_no_op_made_are_kept_by_position_also_when_given_by_name():
    image = np.ones((1, 3, 3, 1))
    w = ag.Tensor(np.ones((3, 3, 1, 2)), requires_grad=True)
    with keep():
        y = ag.conv2d(image, w=w, b=np.array([5.0, 6.0]))
        z = ag.conv2d(ag.Tensor(image), w)
    assert y._node.kept.given.keys() == {0, 1, 2}
    assert y._node.kept.given[0] is image
    np.testing.assert_array_equal(y._node.kept.given[2], [5.0, 6.0])
    assert z._node.kept.given.keys() == {0, 1}  # no bias was given, so none is kept


@pytest.mark.parametrize("create_graph", [False, True])
def test_arrays_are_kept_and_never_tensors(create_graph):
    x = leaf(1.0, 2.0)
    with keep():
        parts = ag.split(ag.exp(x) * x, 2)
        y = (parts[0] * parts[1]).sum()
        ag.gradients(y, [x], create_graph=create_graph)
    stack, seen = [y._node], set()
    while stack:
        node = stack.pop()
        seen.add(node)
        stack += [parent for parent in node.parents if parent is not None]
        if node.kept is None:
            assert node.is_leaf
            continue
        kept = [node.kept.value, node.kept.gradient, *(node.kept.given or {}).values()]
        for item in kept:
            for array in item if isinstance(item, tuple) else (item,):
                assert isinstance(array, np.ndarray)
    assert len(seen) > 5


def test_second_order_works_under_keep_and_its_nodes_are_kept():
    x = ag.Tensor(np.array(2.0), requires_grad=True)
    with keep():
        (dx,) = ag.gradients(x**3, [x], create_graph=True)
        (ddx,) = ag.gradients(dx, [x])
    assert ddx.item() == pytest.approx(6 * 2.0)
    assert dx._node.kept.value == pytest.approx(3 * 2.0**2)


def test_gradients_are_the_same_with_and_without_keep():
    rng = np.random.default_rng(0)
    data, weights = rng.normal(size=(4, 3)), rng.normal(size=(3, 5))

    def gradient():
        x = ag.Tensor(data, requires_grad=True)
        h = ag.softmax(x @ weights)
        ag.sum(h * h).backward()
        return x.grad.data

    plain = gradient()
    with keep():
        kept = gradient()
    np.testing.assert_array_equal(plain, kept)


def test_what_is_not_recorded_is_not_kept():
    x = leaf(1.0)
    with keep(), ag.no_grad():
        y = x * 2.0
    assert y._node is None
    with keep():
        assert ag.exp(np.array([0.0])) == [1.0]  # arrays in, an array out


def test_a_kept_graph_goes_without_the_garbage_collector():
    gc.collect()
    gc.disable()
    try:
        x = leaf(1.0, 2.0)
        with keep():
            parts = ag.split(ag.exp(x), 2)
            y = (parts[0] * parts[1]).sum()
            y.backward(create_graph=True)
        nodes = [weakref.ref(y._node), weakref.ref(parts[0]._node), weakref.ref(parts[0]._node.parents[0])]
        x.grad = None  # with create_graph the gradient leads back to the graph
        del y, parts
        assert [ref() for ref in nodes] == [None, None, None]
    finally:
        gc.enable()


def test_the_listing_says_what_is_kept_and_what_is_not_computed():
    x = leaf(1.0, 2.0)
    with keep():
        y = ag.square(x)
    before = listing(y, names={"x": x}).splitlines()
    assert before[0].split("  ")[-2:] == ["value [1, 2]", "gradient not computed"]
    assert before[1].endswith("value [1, 4]  gradient not computed")
    with keep():
        y.backward(np.array([1.0, 10.0]))
    after = listing(y, names={"x": x}).splitlines()
    assert after[0].endswith("gradient [2, 40]")
    assert after[1].endswith("gradient [1, 10]")


def test_an_output_of_integers_is_kept_as_part_of_its_op():
    @ag.Op
    def top(x):
        return np.max(x), np.argmax(x)

    top.vjp(lambda g, x, out: g[0] * (np.arange(len(x)) == np.asarray(out[1])))
    x = ag.Tensor([1.0, 5.0, 2.0], requires_grad=True)
    with ag.keep():
        value, place = top(x)
        value.backward()
    assert place.item() == 1
    assert value._node.kept.value == 5
    assert value._node.kept.gradient == 1
