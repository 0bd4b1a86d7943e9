"""draw(y): the picture has the boxes and arrows of the graph, no more and no fewer, with readable labels."""

import html
import re
import time
import weakref
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd as ag
import nn
from autograd.show import draw, keep

pytestmark = pytest.mark.needs("graphviz", "pygraphviz")


def leaf(*shape, dtype="float32"):
    return ag.Tensor(np.ones(shape, dtype), requires_grad=True)


def lines_of(label):
    """The lines of text in a label."""
    return [html.unescape(text) for text in re.findall(r">([^<>]+)<", label)] if "<" in label else [label]


class Parsed:
    """A picture as Graphviz itself reads it."""

    def __init__(self, picture):
        import pygraphviz

        self.graph = pygraphviz.AGraph(string=picture.source)
        self.labels = {str(node): lines_of(node.attr["label"]) for node in self.graph.nodes()}

    def boxes(self, kind):
        """The labels of all boxes of a kind: leaf, constant, result, output, op."""
        return sorted(label for box, label in self.labels.items() if box.startswith(kind))

    def arrows(self):
        """(first line of the tail, first line of the head, label) of each arrow, with how often it is there."""
        return Counter((self.labels[edge[0]][0], self.labels[edge[1]][0], (edge.attr["label"] or "").strip())
                       for edge in self.graph.edges())

    def frames(self):
        """The tree of frames: label -> (first lines of the boxes in it, frames in it)."""
        return _frames(self.graph, self.labels)


def _frames(graph, labels):
    found = {}
    for frame in graph.subgraphs():
        inner = _frames(frame, labels)
        title = html.unescape(frame.graph_attr["label"]).strip("<>")
        found[title] = ({labels[str(node)][0] for node in frame.nodes()}, inner)
    return found


# -------------------------------------------------------------------- Scalars


def test_a_scalar_expression_has_a_box_for_each_value_and_each_op():
    a, b = ag.Scalar(2.0), ag.Scalar(-3.0)
    y = a * b - a.tanh()
    parsed = Parsed(draw(y, names={"a": a, "b": b}))
    assert parsed.boxes("op") == [["*"], ["-"], ["tanh"]]
    assert parsed.boxes("leaf") == [["a", "value 2", "gradient not computed"],
                                    ["b", "value -3", "gradient not computed"]]
    assert parsed.boxes("result") == [["value -6", "gradient not computed"],
                                      ["value 0.964028", "gradient not computed"]]
    assert parsed.boxes("output") == [["value -6.96403", "gradient not computed"]]
    assert parsed.arrows() == {
        ("a", "*", ""): 1, ("b", "*", ""): 1, ("*", "value -6", ""): 1,
        ("a", "tanh", ""): 1, ("tanh", "value 0.964028", ""): 1,
        ("value -6", "-", "left"): 1, ("value 0.964028", "-", "right"): 1, ("-", "value -6.96403", ""): 1,
    }


def number_in(lines, word):
    [text] = [line.removeprefix(word) for line in lines if line.startswith(word)]
    return float(text)


@given(st.floats(-2, 2), st.floats(0.5, 2))
def test_scalars_show_the_values_and_gradients_of_the_closed_form(p, q):
    a, b = ag.Scalar(p), ag.Scalar(q)
    y = a * b + (a / b).tanh()
    names = {"a": a, "b": b, "y": y}
    assert all(lines[-1] == "gradient not computed"
               for lines in Parsed(draw(y, names)).labels.values() if len(lines) > 1)
    y.backward()
    lines = {label[0]: label for label in Parsed(draw(y, names)).labels.values()}
    slope = 1 - np.tanh(p / q) ** 2
    for name, value, gradient in [("a", p, q + slope / q), ("b", q, p - slope * p / q**2),
                                  ("y", p * q + np.tanh(p / q), 1.0)]:
        assert number_in(lines[name], "value ") == pytest.approx(value, rel=1e-5, abs=1e-300)
        assert number_in(lines[name], "gradient ") == pytest.approx(gradient, rel=1e-5, abs=1e-300)


def test_an_operand_used_twice_has_two_arrows_and_one_box():
    a = ag.Scalar(3.0)
    parsed = Parsed(draw(a * a, names={"a": a}))
    assert parsed.arrows()["a", "*", ""] == 2
    assert len(parsed.labels) == 3


def test_a_diamond_is_drawn_once():
    a = ag.Scalar(1.0)
    h = a.exp()
    y = h.tanh() + h.relu()
    parsed = Parsed(draw(y, names={"h": h}))
    assert parsed.boxes("op") == [["+"], ["exp"], ["relu"], ["tanh"]]
    assert len(parsed.labels) == 4 + 5
    assert {arrow for arrow in parsed.arrows() if arrow[0] == "h"} == {("h", "tanh", ""), ("h", "relu", "")}


# -------------------------------------------------------------------- Tensors


def small_net(x):
    """A conv-relu-pool-dense-loss chain, and its parameters by name."""
    rng = np.random.default_rng(0)
    shapes = {"conv.weight": (3, 3, 1, 4), "conv.bias": (4,), "dense.weight": (64, 10)}
    params = {name: ag.Tensor(rng.normal(size=shape).astype("float32"), requires_grad=True)
              for name, shape in shapes.items()}
    with ag.scope("net"):
        with ag.scope("conv"):
            h = ag.conv2d(x, params["conv.weight"], params["conv.bias"], stride=1, padding="same")
        with ag.scope("pool"):
            h = ag.max_pool2d(ag.relu(h), 2)
        with ag.scope("dense"):
            h = ag.reshape(h, (2, -1)) @ params["dense.weight"]
    return -ag.log_softmax(h, axis=1)[np.arange(2), np.array([3, 7])].mean(), params


IMAGES = np.random.default_rng(1).normal(size=(2, 8, 8, 1)).astype("float32")


def test_a_small_net_shows_ops_parameters_shapes_and_dtypes():
    loss, params = small_net(IMAGES)
    parsed = Parsed(draw(loss, names=params))
    assert parsed.boxes("leaf") == [["conv.bias", "(4,) float32"], ["conv.weight", "(3, 3, 1, 4) float32"],
                                    ["dense.weight", "(64, 10) float32"]]
    assert [box[0] for box in parsed.boxes("op")] == ["conv2d", "getitem", "log_softmax", "matmul", "max_pool2d",
                                                      "mean", "negative", "relu", "reshape"]
    assert ["conv2d", "padding=same"] in parsed.boxes("op")  # stride=1 is what it is anyway
    assert ["log_softmax", "axis=1"] in parsed.boxes("op")
    assert ["reshape", "shape=(2, -1)"] in parsed.boxes("op")
    assert "kernel=2" in next(box for box in parsed.boxes("op") if box[0] == "max_pool2d")
    assert parsed.boxes("output") == [["() float32"]]
    assert sorted(box[0] for box in parsed.boxes("result")) == [
        "() float32", "(2, 10) float32", "(2, 10) float32", "(2, 4, 4, 4) float32", "(2, 64) float32",
        "(2, 8, 8, 4) float32", "(2, 8, 8, 4) float32", "(2,) float32",
    ]
    assert parsed.boxes("constant") == [["(2, 8, 8, 1) float32"], ["(2,) int64"], ["(2,) int64"]]
    arrows = parsed.arrows()
    assert arrows["(2, 8, 8, 1) float32", "conv2d", "x"] == 1
    assert arrows["conv.weight", "conv2d", "w"] == 1
    assert arrows["conv.bias", "conv2d", "b"] == 1
    assert arrows["dense.weight", "matmul", "y"] == 1
    assert arrows["(2,) int64", "getitem", "indices[1]"] == 1
    assert arrows["max_pool2d", "(2, 4, 4, 4) float32", ""] == 1


def test_each_scope_has_a_frame_and_inner_ones_stand_within():
    loss, params = small_net(IMAGES)
    frames = Parsed(draw(loss, names=params)).frames()
    assert frames.keys() == {"net"}
    boxes, inner = frames["net"]
    assert inner.keys() == {"conv", "pool", "dense"}
    # what is made in a scope, and what is used in that scope alone
    assert inner["conv"][0] == {"conv.weight", "conv.bias", "conv2d", "(2, 8, 8, 4) float32"}  # data is outside
    assert inner["dense"][0] == {"dense.weight", "reshape", "(2, 64) float32", "matmul", "(2, 10) float32"}
    assert "log_softmax" not in boxes


def test_a_leaf_used_in_two_scopes_stands_where_both_do():
    x = leaf(2)
    with ag.scope("outer"):
        with ag.scope("first"):
            a = ag.exp(x)
        with ag.scope("second"):
            b = ag.sin(x)
    [(boxes, inner)] = Parsed(draw(a + b, names={"x": x})).frames().values()
    assert "x" in boxes
    assert all("x" not in frame[0] for frame in inner.values())


def test_after_backward_links_ops_parameters_and_shapes_stay():
    loss, params = small_net(IMAGES)
    before = Parsed(draw(loss, names=params))
    loss.backward()
    after = Parsed(draw(loss, names=params))
    for kind in ("leaf", "op", "result", "output"):
        assert after.boxes(kind) == before.boxes(kind)
    assert after.boxes("constant") == [["constant"], ["constant"], ["input"]]  # what was saved of them is freed
    assert len(after.graph.edges()) == len(before.graph.edges())


def test_under_keep_small_arrays_show_their_numbers_and_large_ones_a_summary():
    x = ag.Tensor([[1.0, 2.0]], requires_grad=True)
    w = ag.Tensor(np.arange(20.0).reshape(2, 10), requires_grad=True)
    with keep():
        h = x @ w
        y = (h * 0.5).sum()
        y.backward()
    lines = {label[0]: label[1:] for label in Parsed(draw(y, {"x": x, "w": w, "h": h, "y": y})).labels.values()}
    assert lines["x"] == ["(1, 2) float32", "value [[1, 2]]", "gradient [[22.5, 72.5]]"]  # row sums of w / 2
    assert lines["w"] == ["(2, 10) float64", "value min 0, mean 9.5, max 19", "gradient min 0.5, mean 0.75, max 1"]
    assert lines["h"] == ["(1, 10) float64", "value min 20, mean 33.5, max 47",
                          "gradient min 0.5, mean 0.5, max 0.5"]
    assert lines["y"] == ["() float64", "value 167.5", "gradient 1"]
    assert "0.5" in lines


def test_without_keep_no_values_are_shown():
    loss, params = small_net(IMAGES)
    loss.backward()
    source = draw(loss, names=params).source
    assert "value" not in source
    assert "gradient" not in source


def test_several_outputs_are_marked_and_share_what_they_share():
    x = leaf(3)
    h = ag.exp(x)
    a, b = h * 2.0, ag.tanh(h)
    parsed = Parsed(draw([a, b], names={"a": a, "b": b, "h": h}))
    assert [box[0] for box in parsed.boxes("output")] == ["a", "b"]
    assert parsed.boxes("op") == [["exp"], ["multiply"], ["tanh"]]
    assert parsed.boxes("result") == [["h", "(3,) float32"]]


def test_an_op_with_several_outputs_has_an_arrow_to_each():
    x = leaf(6)
    parts = ag.split(x, 3)
    y = parts[0] - parts[2]
    parsed = Parsed(draw(y, names={"first": parts[0], "third": parts[2]}))
    assert {arrow for arrow in parsed.arrows() if arrow[0] == "split"} == {
        ("split", "first", "[0]"), ("split", "third", "[2]")}


# the label of each input's arrow: which input of a maximum is which does not matter
SIDES = {"tanh": [""], "sin": [""], "subtract": ["x", "y"], "maximum": ["", ""]}


@settings(max_examples=50)
@given(st.lists(st.tuples(st.sampled_from(sorted(SIDES)), st.integers(0), st.integers(0)), min_size=1, max_size=15))
def test_any_graph_has_exactly_its_own_arrows(steps):
    made = {"v0": leaf(2), "v1": leaf(2)}
    recorded = {}  # value -> (op, inputs), put down here and not read from the graph
    for op, i, j in steps:
        names = [f"v{k % len(made)}" for k in (i, j)][: len(SIDES[op])]
        new = f"v{len(made)}"
        made[new] = getattr(ag, op)(*(made[name] for name in names))
        recorded[new] = (op, names)
    expected, wanted, reached = Counter(), [new], set()
    while wanted:
        name = wanted.pop()
        if name in reached:
            continue
        reached.add(name)
        if name in recorded:
            op, names = recorded[name]
            expected[op, name, ""] += 1
            expected.update((given, op, side) for given, side in zip(names, SIDES[op], strict=True))
            wanted += names
    parsed = Parsed(draw(made[new], names=made))
    assert parsed.arrows() == expected
    assert len(parsed.labels) == len(reached) + len(reached & recorded.keys())


# -------------------------------------------------------------------- the rest


def test_the_source_reads_as_it_is_written():
    x = leaf(2)
    source = draw(ag.exp(x), names={"x": x}, direction="LR").source
    assert re.findall(r"^\t(\w+) -> (\w+)", source, re.MULTILINE) == [("leaf0", "op1"), ("op1", "output2")]
    assert re.findall(r"^\t(\w+) \[label=", source, re.MULTILINE) == ["leaf0", "op1", "output2"]
    assert "rankdir=LR" in source


@pytest.mark.parametrize("name", ["a<b>c", "x & y", 'say "so"', r"back\slash \N \G \l", "<i>", "50 %", "größe ×"])
def test_names_and_scopes_appear_letter_by_letter(name):
    x = leaf(1)
    with ag.scope(name.replace("/", "")):
        y = ag.exp(x)
    svg = draw(y, names={name: x}).pipe(format="svg", encoding="utf-8")
    texts = [html.unescape(text).replace("\xa0", " ") for text in re.findall(r"<text[^>]*>([^<]*)</text>", svg)]
    assert texts.count(name) == 2


def test_a_name_that_is_not_used_changes_nothing():
    x = leaf(1)
    y = ag.exp(x)
    assert draw(y, names={"elsewhere": leaf(3)}).source == draw(y).source


def svg_of(y, **options):
    """The picture's text, which is there within a few seconds."""
    start = time.perf_counter()
    svg = draw(y, **options).pipe(format="svg", encoding="utf-8")
    assert time.perf_counter() - start < 15  # about one where nothing else runs
    return html.unescape(svg).replace("\xa0", " ")


def test_a_chain_of_five_thousand_ops_is_drawn_at_once_and_says_how_many():
    y = leaf(1)
    for _ in range(5000):
        y = ag.negative(y)
    svg = svg_of(y)  # laying them all out would take days
    assert "negative × 5,000" in svg
    assert "4,999 of 5,000 ops are repeats, drawn once" in svg


def test_a_deep_graph_needs_no_recursion():
    s = ag.Scalar(0.5)
    t = leaf(1)
    for _ in range(1100):
        s, t = s.tanh(), ag.tanh(t)
    for y in (s, t):
        assert len(re.findall(r"^\t\w+ -> ", draw(y).source, re.MULTILINE)) == 3  # in, out, and to the next
        assert len(re.findall(r"^\t\w+ -> ", draw(y, limit=1101).source, re.MULTILINE)) == 2200


def test_drawing_does_not_keep_the_graph():
    x = leaf(2)
    y = ag.exp(x)
    node = weakref.ref(y._node)
    picture = draw(y)
    del y
    assert node() is None
    assert "exp" in picture.source


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match='draw: direction must be "TB" or "LR", got \'down\''):
        draw(leaf(1), direction="down")
    with pytest.raises(TypeError, match="draw: expected a Scalar, a Tensor, or a list of one of the two, got int"):
        draw(3)
    with pytest.raises(ValueError, match=r"draw: this Tensor \(1,\) has no graph"):
        draw(ag.Tensor([1.0]))


# -------------------------------------------------------------------- folding


class Residual(nn.Module):
    def __init__(self):
        self.norm = nn.LayerNorm(4)
        self.fc1 = nn.Dense(4, 8, rng=0)
        self.fc2 = nn.Dense(8, 4, rng=0)

    def forward(self, x):
        return x + self.fc2(ag.relu(self.fc1(self.norm(x))))


def residual_net(blocks):
    model = nn.Sequential(nn.Dense(6, 4, rng=0), *(Residual() for _ in range(blocks)), nn.Dense(4, 2, rng=0))
    x = ag.Tensor(np.ones((3, 6), np.float32))
    return model(x), {"x": x, "net": model}


def test_a_folded_picture_has_boxes_for_scopes_and_shapes_on_arrows():
    y, names = residual_net(12)
    parsed = Parsed(draw(y, names, depth=1))
    assert parsed.boxes("block") == [["0", "matmul, add", "28 parameters"],
                                     ["1 … 12 × 12", "layer_norm, matmul × 2, add × 3, relu", "1,008 parameters"],
                                     ["13", "matmul, add", "10 parameters"]]
    assert parsed.arrows() == {("x", "0", ""): 1, ("0", "1 … 12 × 12", "(3, 4)"): 1,
                               ("1 … 12 × 12", "13", "(3, 4)"): 1, ("13", "(3, 2) float32", ""): 1}


def test_the_picture_says_what_was_folded_and_what_shows_more():
    y, names = residual_net(12)
    assert "88 of 88 ops are folded into 3 boxes; depth=2 shows more" in draw(y, names, depth=1).source
    inner = draw(y, names, depth=2).source
    assert "5 of 88 ops are folded into 3 boxes; 77 more stand in repeats; depth=3 shows more" in inner
    assert "folded" not in draw(y, names, limit=1000).source
    assert "depth=2 has more than limit=5 boxes: raise limit" in draw(y, names, depth=2, limit=5).source


def test_merge_says_whether_repeats_are_drawn_once():
    y, names = residual_net(3)
    assert len(Parsed(draw(y, names, depth=1, merge=False)).boxes("block")) == 5
    [frame] = Parsed(draw(y, names, merge=True)).frames().values()
    assert "b>1 … 3 × 3</b" in frame[1]


def nested_net():
    y, names = residual_net(700)  # 4,900 ops
    return y


def random_graph(n=5000):
    rng = np.random.default_rng(0)
    made = [leaf(2)]
    for i, j in rng.integers(np.arange(1, n + 1)[:, None], size=(n, 2)):
        made.append([ag.minimum, ag.maximum][rng.integers(2)](made[i], made[j]))
    return made[-1] + ag.stack(made[::2]).sum()


def loop():
    y, w = leaf(3), leaf(3)
    for _ in range(2500):
        y = y * w + 1.0
    return y


@pytest.mark.parametrize(("make", "said"), [
    (loop, "4,998 of 5,000 ops are repeats, drawn once"),
    (nested_net, "1 … 700  × 700"),
    (random_graph, "there are no scopes and no repeats to fold by: ag.scope(name) gives boxes a meaning"),
    (lambda: ag.concatenate([leaf(1) for _ in range(4000)]), "1 of 1 ops are folded into 1 box"),
    (lambda: [ag.exp(leaf(1)) for _ in range(500)], "500 outputs"),
    (lambda: ag.stack([a * b for k in range(10) for a, b in zip(LEAVES, LEAVES[k:], strict=False)]), "61 leaves"),
])
def test_no_graph_is_too_large_to_draw_within_seconds(make, said):
    assert " ".join(said.split()) in " ".join(svg_of(make()).split())


def test_the_reverse_pass_of_a_large_graph_is_drawn_within_seconds_too():
    svg = svg_of(random_graph(1000), backward=True)
    assert "∇ of the output" in svg
    assert len(re.findall(r">\d+ ops backward</text>", svg)) == 12


LEAVES = [leaf(1) for _ in range(61)]


def test_five_thousand_scalars_are_drawn_too():
    y = ag.Scalar(0.5)
    for _ in range(2500):
        y = (y * 0.9).tanh()
    assert "*, tanh × 2,500" in svg_of(y)


def test_data_that_a_chain_is_given_stands_outside_and_what_is_each_ones_own_within():
    x = y = leaf(3)
    w = leaf(3)
    for _ in range(100):
        y = ag.tanh(y * w + leaf(3))
    [(title, (boxes, _))] = Parsed(draw(y, {"x": x, "w": w})).frames().items()
    assert title == "b>multiply, add, tanh × 100</b"
    assert boxes == {"multiply", "add", "tanh", "(3,) float32"}


# -------------------------------------------------------------------- what is shown


def test_parameters_inputs_constants_and_outputs_differ_in_form_and_colour():
    x, w = ag.Tensor(np.ones((2, 3), np.float32)), nn.Dense(3, 2, rng=0)
    saliency = leaf(2, 2)
    y = (w(x) * saliency * 3.0).sum()
    graph = Parsed(draw(y, {"x": x, "s": saliency, "net": w, "y": y}))
    looks = {graph.labels[str(node)][0]: (node.attr["shape"], node.attr["style"], node.attr["fillcolor"],
                                          node.attr["peripheries"]) for node in graph.graph.nodes()}
    forms = {name: looks[name] for name in ("net.weight", "x", "y", "3", "matmul")}
    assert looks["s"] == looks["x"]  # a leaf, but none of the module's
    assert looks["net.bias"] == looks["net.weight"]
    assert len({look[2] for look in forms.values()}) == 5
    assert len({(shape, style, border) for shape, style, _, border in forms.values()}) == 5
    source = draw(y, {"x": x, "s": saliency, "net": w, "y": y}).source
    assert all(f">{word}   <" in source for word in ("parameter", "input", "constant", "output", "op"))


def test_what_is_asked_for_is_shown_or_said_to_be_missing():
    w = leaf(2, 3)
    h = ag.exp(w)
    y = h.sum()
    names = {"w": w, "h": h}
    parsed = Parsed(draw(y, names, show=("bytes", "value", "gradient")))
    lines = {label[0]: label[1:] for label in parsed.labels.values()}
    assert lines["w"] == ["24 bytes", "value [[1, 1, 1], [1, 1, 1]]", "gradient not computed"]
    assert lines["h"] == ["24 bytes", "value not kept", "gradient not kept"]
    with keep():
        y = ag.exp(w).sum()
        y.backward()
    boxes = Parsed(draw(y, show=("gradient",))).boxes("result")
    assert boxes == [["gradient [[1, 1, 1], [1, 1, 1]]"]]
    assert ["h"] in Parsed(draw(h, {"h": h}, show=())).boxes("output")


@pytest.mark.parametrize(("options", "message"), [
    ({"show": ("shapes",)}, "draw: show must be some of 'shape', 'dtype', 'bytes', 'value', 'gradient', got 'shapes'"),
    ({"show": "shape"}, "got 'shape'"),
    ({"limit": 0}, "draw: limit must be a whole number of at least 1, got 0"),
    ({"depth": -1}, "draw: depth must be None or a whole number of at least 0, got -1"),
])
def test_wrong_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        draw(ag.exp(leaf(1)), **options)


# -------------------------------------------------------------------- the reverse pass


def back_arrows(parsed):
    """(from, to) of the arrows of the reverse pass, as gradients flow."""
    return Counter((parsed.labels[edge[1]][0], parsed.labels[edge[0]][0]) for edge in parsed.graph.edges()
                   if edge.attr["dir"] == "back")


def test_the_reverse_pass_of_scalars_has_local_derivatives_and_adds_up():
    a, b = ag.Scalar(2.0), ag.Scalar(-3.0)
    y = a * b + a.tanh()
    y.backward()
    parsed = Parsed(draw(y, {"a": a, "b": b, "y": y}, backward=True))
    assert parsed.boxes("rule") == [["* backward", "for a: times -3", "for b: times 2"],
                                    ["+ backward", "for left: times 1", "for right: times 1"],
                                    ["tanh backward", "times 0.0706508"]]
    slope = 1 - np.tanh(2.0) ** 2
    gradients = {label[0]: label[1:] for label in parsed.boxes("gradient")}
    assert float(gradients["∇ a"][0]) == pytest.approx(-3 + slope, rel=1e-5)
    assert gradients["∇ b"] == ["2"]
    assert gradients["∇ y"] == ["1"]
    assert back_arrows(parsed) == {
        ("∇ y", "+ backward"): 1, ("+ backward", "∇"): 2, ("∇", "* backward"): 1, ("∇", "tanh backward"): 1,
        ("* backward", "∇ b"): 1, ("* backward", "+"): 1, ("tanh backward", "+"): 1, ("+", "∇ a"): 1}
    assert parsed.boxes("sum") == [["+"]]


def test_rules_say_what_was_saved_for_them_and_joint_ones_are_one():
    x, w = leaf(1, 4, 4, 1), leaf(3, 3, 1, 2)
    y = ag.tanh(ag.conv2d(x, w)).sum()
    [conv, total, tanh] = Parsed(draw(y, backward=True)).boxes("rule")
    assert tanh == ["tanh backward", "uses out"]
    assert total[:1] == ["sum backward"]
    assert conv[0] == "conv2d backward"
    assert any("x" in line and "w" in line for line in conv[1:])


def test_the_reverse_pass_of_a_folded_picture_goes_through_its_boxes():
    y, names = residual_net(12)
    parsed = Parsed(draw(y, names, depth=1, backward=True))
    assert back_arrows(parsed) == {("∇", "13 backward"): 1, ("13 backward", "1 … 12 backward × 12"): 1,
                                   ("1 … 12 backward × 12", "0 backward"): 1}


@settings(max_examples=25)
@given(st.lists(st.tuples(st.sampled_from(sorted(SIDES)), st.integers(0), st.integers(0)), min_size=1, max_size=10))
def test_each_use_of_a_value_sends_a_gradient_back_to_it(steps):
    made = {"v0": leaf(2), "v1": leaf(2)}
    for op, i, j in steps:
        names = [f"v{k % len(made)}" for k in (i, j)][: len(SIDES[op])]
        made[f"v{len(made)}"] = getattr(ag, op)(*(made[name] for name in names))
    y = list(made.values())[-1]
    forward, both = Parsed(draw(y, made)), Parsed(draw(y, made, backward=True))
    uses = Counter(tail for tail, head, _ in forward.arrows().elements() if head in SIDES)
    got = Counter()
    sums = {str(node): [edge[1] for edge in both.graph.edges(node) if edge[0] == node] for node in both.graph.nodes()
            if str(node).startswith("sum")}
    for edge in both.graph.edges():
        if edge.attr["dir"] == "back" and both.labels[edge[0]][0].startswith("∇"):
            got[both.labels[edge[0]][0].removeprefix("∇ ")] += len(sums.get(str(edge[1]), [1]))
    assert uses == {name: got[name] for name in uses}


def test_a_loop_whose_steps_share_leaves_is_drawn_whole_without_a_hang():
    """Graphviz's whole search for an order took more than 40 s."""
    x, w = (ag.Tensor([0.1, 0.2, 0.3], requires_grad=True) for _ in range(2))
    h = x
    for _ in range(50):
        h = ag.tanh(h * w + x)
    start = time.perf_counter()
    svg = ag.draw(h.sum(), merge=False, limit=500).pipe(format="svg", encoding="utf-8")
    assert time.perf_counter() - start < 20  # 1.1 s on a quiet machine
    assert svg.count(">tanh<") == 50
