"""Folding: what is folded, cut or merged holds the graph's own calls, and the same values cross its borders."""

import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd as ag
import nn
from autograd.show.folding import Block, Folding
from autograd.show.reading import Call, Value, read_graph


def leaf(*shape):
    return ag.Tensor(np.ones(shape), requires_grad=True)


def folded(y, names=None):
    return Folding(read_graph("draw", y, names))


def label(box):
    if isinstance(box, Call):
        return box.op
    return f"{box.name} x{box.times}" if box.times > 1 else box.name


def labels(view):
    return [label(box) for box in view.boxes]


def tree(block):
    """Nested lists of labels."""
    return [label(item) if isinstance(item, Call) else [label(item), *tree(item)] for item in block.items]


class Residual(nn.Module):
    def __init__(self, size, rng):
        self.norm = nn.LayerNorm(size)
        self.fc1 = nn.Dense(size, 2 * size, rng=rng)
        self.fc2 = nn.Dense(2 * size, size, rng=rng)

    def forward(self, x):
        return x + self.fc2(ag.relu(self.fc1(self.norm(x))))


def residual_net(blocks):
    model = nn.Sequential(nn.Dense(4, 4, rng=0), *(Residual(4, 0) for _ in range(blocks)), nn.Dense(4, 2, rng=0))
    return model, model(np.ones((3, 4), np.float32))


# ---------------------------------------------------------------------- scopes


def test_a_depth_opens_so_many_scopes_one_in_another():
    model, y = residual_net(1)
    folding = folded(y, model)
    assert labels(folding.view(depth=0)) == ["Sequential"]
    assert labels(folding.view(depth=1)) == ["0", "1", "2"]
    assert labels(folding.view(depth=2)) == ["matmul", "add", "norm", "fc1", "relu", "fc2", "add", "matmul", "add"]
    assert labels(folding.view()) == labels(folding.view(depth=99)) == [
        "matmul", "add", "layer_norm", "matmul", "add", "relu", "matmul", "add", "add", "matmul", "add"]


def test_a_folded_scope_knows_what_crosses_its_border_and_what_it_keeps():
    model, y = residual_net(1)
    folding = folded(y, model)
    [first, block, last] = folding.view(depth=1).boxes
    assert [value.shape for value in folding.inputs(first)] == [(3, 4)]  # the data, which is not folded away
    assert [value.kind for value in folding.inputs(first)] == ["constant"]
    assert [value.name for value in folding.parameters(block)] == [
        "1.norm.weight", "1.norm.bias", "1.fc1.weight", "1.fc1.bias", "1.fc2.weight", "1.fc2.bias"]
    assert folding.inputs(block) == folding.outputs(first)  # the block's input, though it is used twice inside
    assert folding.inputs(last) == folding.outputs(block)
    assert [value.is_output for value in folding.outputs(last)] == [True]
    assert (block.n_ops, block.scope, block.level) == (7, "Sequential/1", 1)


def test_a_leaf_that_two_boxes_use_stands_alone_in_the_block_around_both():
    x, w = leaf(2), leaf(2)
    with ag.scope("outer"):
        with ag.scope("a"):
            h = x * w
        with ag.scope("b"):
            h = ag.exp(h) * w
    folding = folded(h, {"w": w, "x": x})
    view = folding.view(depth=1)
    assert [value.name for value in view.sources] == ["w"]
    assert view.home[view.sources[0]].name == "outer"
    assert [value.name for value in folding.parameters(view.boxes[0])] == ["x"]


def test_a_scope_that_is_entered_again_is_a_box_of_its_own_and_no_circle_comes_of_it():
    x = leaf(2)
    with ag.scope("cell"):
        h = ag.tanh(x)
    h = ag.exp(h)
    with ag.scope("cell"):
        h = ag.sin(h)
    view = folded(h).view(depth=0)
    assert labels(view) == ["cell", "exp", "cell"]
    places = {box: i for i, box in enumerate(view.boxes)}
    assert all(places[arrow.tail] < places[arrow.head] for arrow in view.arrows if arrow.tail and arrow.head)


def test_a_leaf_alone_is_a_source_and_nothing_else():
    view = folded(leaf(2)).view()
    assert (view.boxes, len(view.sources), view.size) == ([], 1, 1)


# ---------------------------------------------------------------------- what repeats


def test_equal_blocks_in_a_chain_are_one_with_a_count():
    model, y = residual_net(12)
    folding = folded(y, model)
    view = folding.view(depth=1)
    assert labels(view) == ["0", "1 … 12 x12", "13"]
    [_, chain, last] = view.boxes
    assert chain.n_ops == 12 * 7
    assert len(folding.parameters(chain)) == 12 * 6
    [arrow] = [arrow for arrow in view.arrows if arrow.head is last and arrow.tail]
    assert arrow.tail is chain
    opened = folding.view(depth=2)
    [out] = [arrow for arrow in opened.arrows if label(arrow.head or arrow.tail) == "matmul" and arrow.tail
             and opened.home[arrow.head].name == "13"]
    assert label(out.tail) == "add"  # what the last of the twelve gives comes out of the one that is shown
    assert opened.home[out.tail] is chain
    assert opened.shown(out.value) in [value for _, value in out.tail.outputs]


def test_resnet20_has_its_three_stages():
    model = nn.models.resnet20(rng=0)
    view = folded(model(np.zeros((2, 8, 8, 3), np.float32)), model).view(depth=1)
    assert labels(view) == ["0", "1", "2", "3 … 5 x3", "6", "7 … 8 x2", "9", "10 … 11 x2", "12", "13"]


def test_a_loop_of_ops_is_a_chain_of_its_shortest_period():
    y, w = leaf(3), leaf(3)
    for _ in range(50):
        y = ag.tanh(y * w) + 1.0
    assert tree(folded(y).folded) == [["multiply, tanh, add x50", "multiply", "tanh", "add"]]


def test_chains_of_chains_are_found():
    y = leaf(3)
    for _ in range(10):
        for _ in range(4):
            y = ag.exp(y) * 0.5
        y = ag.sin(y)
    [[outer, inner, last]] = tree(folded(y).folded)
    assert outer.endswith("x10")
    assert inner == ["exp, multiply x4", "exp", "multiply"]
    assert last == "sin"


@pytest.mark.parametrize("breaks", ["another op", "another shape", "used later", "skips back", "asked for"])
def test_what_is_not_equal_or_not_a_chain_is_not_merged(breaks):
    w = leaf(3)
    y, wanted, seen = leaf(3), [], []
    for i in range(9):
        op = ag.cos if breaks == "another op" and i == 4 else ag.tanh
        y = op(y) * w
        seen.append(y)
        if i == 4:
            wanted = [y] if breaks == "asked for" else []
            y = ag.reshape(y, (1, 3)) if breaks == "another shape" else y
        if i == 7 and breaks == "skips back":
            y = y + seen[2]
    y = y + seen[4] if breaks == "used later" else y
    folding = folded([y, *wanted])
    chains = [block for block in folding.folded.items if isinstance(block, Block)]
    assert all(chain.n_ops < 18 for chain in chains)
    shown = {value for chain in chains for call in folding.calls_of(chain)[:-2] for _, value in call.outputs}
    used = {value for call in folding.calls for _, value in call.inputs}
    held = {id(call): chain for chain in chains for call in folding.calls_of(chain)}
    for call in folding.calls:  # nothing that a chain does not show is used by what stands elsewhere
        for _, value in call.inputs:
            maker, _ = folding.wiring.made_by.get(value, (-1, 0))
            if value in shown and maker >= 0 and held.get(id(folding.calls[maker])) is not held.get(id(call)):
                last = held[id(folding.calls[maker])].stop - 2
                assert maker >= last
    assert used


def test_steps_through_time_are_equal_though_each_takes_another_part():
    x, w = leaf(20, 4), leaf(4, 4)
    h = ag.Tensor(np.zeros(4), requires_grad=True)
    for t in range(20):
        h = ag.tanh(h @ w + x[t])
    assert labels(folded(h).view(merge=True)) == ["matmul", "getitem", "add", "tanh"]


def test_parallel_equal_branches_are_left_as_they_are():
    x = leaf(3)
    y = ag.stack([ag.exp(x) for _ in range(10)])
    assert labels(folded(y).view(merge=True)).count("exp") == 10


# ---------------------------------------------------------------------- views


OPS = {"tanh": 1, "sin": 1, "subtract": 2, "maximum": 2}


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(sorted(OPS)), st.integers(0, 50), st.integers(0, 50),
                          st.sampled_from(["", "a", "b", "a/c"])), min_size=1, max_size=30),
       st.integers(0, 3), st.booleans(), st.integers(1, 40))
def test_any_view_has_the_arrows_of_the_graph_between_its_boxes(steps, depth, merge, limit):
    made = [leaf(2), leaf(2)]
    for op, i, j, scope in steps:
        with ag.scope(scope) if scope else ag.scope("d"):
            made.append(getattr(ag, op)(*(made[k % len(made)] for k in (i, j)[:OPS[op]])))
    folding = folded(made[-1])
    view = folding.view(depth, limit, merge)
    makers = {value: call for call in folding.calls for _, value in call.outputs}
    boxes = {call: box for box in view.boxes for call in folding.calls_of(box)}
    # every call stands in one box, or in a stretch of a chain that is not shown
    assert len(boxes) == sum(len(folding.calls_of(box)) for box in view.boxes)
    if not merge:
        assert len(boxes) == len(folding.calls)
        expected = {(boxes.get(makers.get(value)), boxes[call], value) for call in folding.calls
                    for _, value in call.inputs}
        expected = {arrow for arrow in expected if arrow[0] is not arrow[1] and (arrow[0] or arrow[2].kind == "leaf")}
        kept = {value for box in view.closed for value in folding.parameters(box)}
        found = {(arrow.tail, arrow.head, arrow.value) for arrow in view.arrows if arrow.head}
        assert found == {arrow for arrow in expected if arrow[2] not in kept}
    order = {box: i for i, box in enumerate(view.boxes)}
    assert all(order[arrow.tail] < order[arrow.head] for arrow in view.arrows if arrow.tail and arrow.head)
    assert [arrow.value.is_output for arrow in view.arrows if arrow.head is None] == [True]
    assert set(view.makers.values()) <= set(view.boxes)
    assert all(isinstance(source, Value) and source in view.home for source in view.sources)


def test_the_deepest_depth_that_fits_is_taken():
    model, y = residual_net(12)
    folding = folded(y, model)
    assert folding.view(limit=1000).depth > 3  # all of it
    assert labels(folding.view(limit=1000)).count("layer_norm") == 12
    assert folding.view(limit=30).depth == 3
    assert folding.view(limit=14).depth == 2
    assert folding.view(limit=5).depth == 1
    assert folding.view(depth=3, limit=5).depth == 1  # also where more is asked for


def random_graph(n):
    rng = np.random.default_rng(0)
    made = [leaf(2)]
    for _ in range(n):
        i, j = rng.integers(len(made), size=2)
        made.append([ag.add, ag.multiply, ag.maximum][rng.integers(3)](made[i], made[j]))
    return ag.stack(made).sum()


@pytest.mark.parametrize(("make", "boxes"), [
    (lambda: random_graph(5000), 13),
    (lambda: ag.concatenate([leaf(1) for _ in range(3000)]), 1),
    (lambda: ag.stack([leaf(1) * 2.0 for _ in range(2000)]), 12),
])
def test_what_has_no_pattern_is_cut_into_a_few_parts_and_nothing_is_lost(make, boxes):
    y = make()
    start = time.perf_counter()
    folding = folded(y)
    view = folding.view(limit=60)
    assert time.perf_counter() - start < 10
    assert view.size <= 60
    assert len(view.boxes) <= boxes
    assert sum(box.n_ops for box in view.closed) == len(folding.calls)


def test_a_chain_of_scopes_nested_a_thousand_deep_needs_no_recursion():
    x = leaf(1)
    with ag.scope("/".join(f"s{i}" for i in range(2000))):
        y = ag.exp(x)
    assert len(folded(y).view().boxes) == 1


def test_scalars_fold_too():
    y = ag.Scalar(0.5)
    for _ in range(1000):
        y = (y * 0.9).tanh()
    view = folded(y).view(limit=20)
    assert labels(view) == ["*", "tanh"]
    assert (view.n_ops, view.open[0].times) == (1998, 1000)
