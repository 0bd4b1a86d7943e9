"""replay(y, path): the page holds the numbers of a true backward pass, whatever the graph, and changes nothing."""

import json
import re
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd as ag
import nn
from autograd.show import replaying
from autograd.show.folding import Folding
from autograd.show.naming import labels_of
from autograd.show.packing import Packer
from autograd.show.reading import read_graph
from autograd.show.scalar_formulas import scalar_method, scalar_terms
from autograd.show.sources import source_of
from autograd.show.tape import record_pass
from autograd.show.terms import rule_terms
from tests.autograd.ops.cases import CASES, over

pytestmark = pytest.mark.needs("graphviz", "pygraphviz")


def data_of(path):
    """The data of a page, as its script reads it."""
    text = path.read_text(encoding="utf-8")
    [block] = re.findall(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    return json.loads(block)


@pytest.fixture
def write(tmp_path):
    """Writes the page of y and gives its data."""
    return lambda y, **options: data_of(ag.replay(y, tmp_path / "backward.html", **options))


def number(data, index):
    """An array of few numbers as NumPy has it."""
    array = data["arrays"][index]
    return np.array(array["numbers"], dtype=float).reshape(array["shape"])


def final_gradients(data):
    """The last sum of each value, by its label."""
    found = {}
    for pull in data["pulls"]:
        for part in pull["parts"]:
            found[data["values"][part["to"]]["label"]] = number(data, part["after"])
    return found


def slopes(f, *xs, step=1e-6):
    """Central differences of f, a function of arrays that gives one number, by each element of each x."""
    found = []
    for at, x in enumerate(xs):
        slope = np.zeros(x.shape)
        for place in np.ndindex(x.shape):
            ends = []
            for sign in (1, -1):
                moved = [np.array(other) for other in xs]
                moved[at][place] += sign * step
                ends.append(f(*moved))
            slope[place] = (ends[0] - ends[1]) / (2 * step)
        found.append(slope)
    return found


# -------------------------------------------------------------------- Scalars


@given(st.floats(-2, 2), st.floats(0.5, 2))
@settings(max_examples=20)
def test_the_gradients_of_scalars_are_those_of_the_closed_form(tmp_path_factory, p, q):
    a, b = ag.Scalar(p), ag.Scalar(q)
    y = a * b + (a / b).tanh() + b**3
    path = ag.replay(y, tmp_path_factory.mktemp("pages") / "y.html", names={"a": a, "b": b})
    found = final_gradients(data_of(path))
    bend = 1 - np.tanh(p / q) ** 2
    assert found["a"] == pytest.approx(q + bend / q)
    assert found["b"] == pytest.approx(p - bend * p / q**2 + 3 * q**2)
    assert a.grad is None
    y.backward()
    assert found["a"] == a.grad  # to the last bit: it is the same pass
    assert found["b"] == b.grad


@pytest.mark.parametrize(("op", "f", "inputs"), [
    ("+", lambda a, b: a + b, (2.0, 3.0)), ("-", lambda a, b: a - b, (2.0, 3.0)), ("*", lambda a, b: a * b, (2.0, 3.0)),
    ("/", lambda a, b: a / b, (2.0, 3.0)), ("**", lambda a, b: a**b, (2.0, 3.0)), ("**3", lambda a: a**3, (2.0,)),
    ("neg", lambda a: -a, (2.0,)), ("exp", lambda a: a.exp(), (0.5,)), ("log", lambda a: a.log(), (0.5,)),
    ("tanh", lambda a: a.tanh(), (0.5,)), ("sigmoid", lambda a: a.sigmoid(), (0.5,)),
    ("relu", lambda a: a.relu(), (0.5,)),
])  # fmt: skip
def test_the_table_of_scalar_formulas_says_what_the_scalars_compute(op, f, inputs):
    out = f(*map(ag.Scalar, inputs))
    assert out._op == op
    names = dict(zip("ab", inputs, strict=False)) | {"out": out.data}
    value, *derivatives = (worked_out(term, names) for term in scalar_terms(op))
    assert value == pytest.approx(out.data)
    assert derivatives == pytest.approx(list(out._local))
    assert f"def {scalar_method(op).__name__}(self" in source_of(scalar_method(op)).text


def worked_out(term, names):
    """The number that a formula stands for."""
    parts = [worked_out(part, names) for part in term.parts]
    if term.op == "name":
        return names[term.text]
    if term.op == "number":
        return float(term.text.replace("−", "-"))
    if term.op == "relu_grad":
        return parts[0] * (parts[1] > 0)
    function = {"log": np.log, "exp": np.exp, "tanh": np.tanh, "square": np.square,
                "sigmoid": lambda x: 1 / (1 + np.exp(-x))}.get(term.op) or getattr(np, term.op)
    return function(*parts)


def test_a_scalar_that_is_used_twice_shows_how_its_gradient_adds_up(write):
    a = ag.Scalar(3.0)
    data = write(a * a, names={"a": a})
    first, second = data["pulls"][0]["parts"]
    assert (first["nth"], first["of"], first["before"]) == (1, 2, None)
    assert (second["nth"], second["of"]) == (2, 2)
    assert [float(number(data, second[key])) for key in ("before", "part", "after")] == [3.0, 3.0, 6.0]


# -------------------------------------------------------------------- Tensors


def mlp(x, w, b, v):
    hidden = ag.tanh(x @ w + b)
    return ag.mean(ag.square(hidden @ v)) + 0.1 * ag.sum(v * v)


def test_every_gradient_of_an_mlp_is_that_of_finite_differences(write):
    rng = np.random.default_rng(0)
    arrays = [rng.normal(size=shape) for shape in ((4, 3), (3, 5), (5,), (5, 1))]
    x, *params = (ag.Tensor(a, requires_grad=True) for a in arrays)
    with ag.keep():
        y = mlp(x, *params)
    names = dict(zip("xwbv", [x, *params], strict=True))
    found = final_gradients(write(y, names=names))
    for name, slope in zip("xwbv", slopes(lambda *xs: float(mlp(*xs)), *arrays), strict=True):
        np.testing.assert_allclose(found[name], slope, atol=1e-7)
    assert all(t.grad is None for t in names.values())
    y.backward()
    for name, tensor in names.items():
        assert np.array_equal(found[name], tensor.grad.data)


def test_contributions_of_each_step_add_up_to_what_is_shown(write):
    x = ag.Tensor([[0.5, -1.0], [2.0, 1.5]], requires_grad=True, dtype=np.float64)
    with ag.keep():
        y = (ag.exp(x) * x + ag.sin(x)).sum()
    data = write(y, names={"x": x})
    parts = [part for pull in data["pulls"] for part in pull["parts"]]
    for part in parts:
        before = 0 if part["before"] is None else number(data, part["before"])
        np.testing.assert_array_equal(before + number(data, part["part"]), number(data, part["after"]))
    assert sorted(part["nth"] for part in parts if data["values"][part["to"]]["label"] == "x") == [1, 2, 3]


def test_what_broadcasting_repeated_is_summed_back_and_said(write):
    x, b = ag.Tensor(np.ones((4, 3)), requires_grad=True), ag.Tensor(np.ones(3), requires_grad=True)
    with ag.keep():
        y = (x * b).sum()
    data = write(y, names={"x": x, "b": b})
    [part] = [p for pull in data["pulls"] for p in pull["parts"] if data["values"][p["to"]]["label"] == "b"]
    assert "summed over axis 0" in part["fitted"]
    assert "(4, 3) becomes (3,)" in part["fitted"]
    assert number(data, part["given"]).shape == (4, 3)
    assert number(data, part["after"]).tolist() == [4.0, 4.0, 4.0]


def test_a_cotangent_starts_the_pass(write):
    x = ag.Tensor([1.0, 2.0], requires_grad=True)
    with ag.keep():
        y = x * x
    data = write(y, names={"x": x}, g=np.array([10.0, 1.0]))
    assert data["given"]
    assert final_gradients(data)["x"].tolist() == [20.0, 4.0]


@pytest.mark.parametrize(**over([case for case in CASES if case.op != "relu_grad"]))
def test_an_op_has_a_local_derivative_just_where_it_is_elementwise(case, write):
    arrays = case.arrays("d")
    xs = [ag.Tensor(a, requires_grad=True) if a.dtype.kind == "f" else a for a in arrays]
    with ag.keep():
        y = case.call(*xs)
    y = y[0] if isinstance(y, tuple) else y
    if y._node.op.name != case.op:
        return  # made of several ops, which have cases of their own
    g = np.random.default_rng(1).uniform(0.5, 2, y.shape)
    tape = record_pass(y, g, read_graph("replay", y))
    parts = [part for pull in tape.pulls if pull.call.op == case.op for part in pull.contributions]
    assert parts
    if case.elementwise:
        for part in parts:
            np.testing.assert_allclose(part.local * g, part.given)
    elif not case.op.startswith("channel_"):  # those multiply by a vector, element by element
        assert all(part.local is None for part in parts)
    write(y, g=g)


@pytest.mark.parametrize(("f", "expected"), [
    (ag.exp, lambda x: np.exp(x)), (ag.tanh, lambda x: 1 - np.tanh(x) ** 2), (ag.sin, np.cos),
    (lambda x: x * x * x, lambda x: 3 * x**2),
])  # fmt: skip
def test_local_derivatives_multiply_to_that_of_the_whole(f, expected):
    x = ag.Tensor([0.3, 1.2], requires_grad=True, dtype=np.float64)
    with ag.keep():
        y = f(x)
    tape = record_pass(y, np.ones(2), read_graph("replay", y))
    np.testing.assert_allclose(list(tape.pulls[-1].contributions)[-1].after, expected(x.data))


# -------------------------------------------------------------------- rules as formulas and as source


def formula_of(write, y, label, **options):
    data = write(y, **options)
    rules = [data["rules"][part["rule"]] for pull in data["pulls"] for part in pull["parts"]
             if data["values"][part["to"]]["label"] == label]
    text = re.sub(r"<[^>]*>", "", rules[-1]["formula"])
    return text, [data["sources"][at] for at in rules[-1]["sources"]], rules[-1]


def test_a_rule_is_shown_as_formula_and_as_the_lambda_that_ran(write):
    x, y = ag.Tensor(2.0, requires_grad=True), ag.Tensor(3.0, requires_grad=True)
    with ag.keep():
        z = x * y
    text, [source], rule = formula_of(write, z, "second", names={"first": x, "second": y})
    assert text == "∂L∂y=g·x"
    assert source["text"] == "lambda g, x: g * x"
    assert re.fullmatch(r"autograd/ops/elementwise\.py:\d+", source["where"])
    assert re.sub(r"<[^>]*>", "", rule["local"]) == "∂out∂y=x"


def test_a_rule_with_a_helper_is_written_out_and_shows_the_helper(write):
    x, w = ag.Tensor(np.ones((2, 3)), requires_grad=True), ag.Tensor(np.ones((3, 4)), requires_grad=True)
    with ag.keep():
        y = (x @ w).sum()
    text, sources, rule = formula_of(write, y, "w", names={"x": x, "w": w})
    assert text == "∂L∂y=xT@g"
    assert sources[0]["text"] == "lambda g, x, y_shape: _matmul_y(g, x, len(y_shape))"
    assert sources[1]["text"].startswith("def _matmul_y(")
    assert rule["local"] == ""


def test_a_rule_that_calls_an_op_says_what_that_op_computes(write):
    x, w = ag.Tensor(np.ones((1, 4, 4, 1)), requires_grad=True), ag.Tensor(np.ones((3, 3, 1, 2)), requires_grad=True)
    with ag.keep():
        y = ag.conv2d(x, w).sum()
    text, _, rule = formula_of(write, y, "w", names={"x": x, "w": w})
    assert text == "∂L∂w=conv2d_grads(x,g,w)dw"
    assert rule["explained"]["conv2d_grads"].startswith("Both gradients of conv2d, by its input and by its weights")


def test_the_named_values_are_what_was_saved_with_axes_read_as_they_are(write):
    x = ag.Tensor(np.random.default_rng(0).normal(size=(1, 6, 6, 2)), requires_grad=True)
    w = ag.Tensor(np.random.default_rng(1).normal(size=(3, 3, 2, 5)), requires_grad=True)
    with ag.keep():
        h = ag.conv2d(x, w)
        y = ag.max_pool2d(h, 2).sum()
    data = write(y, names={"x": x, "w": w})
    named = {data["boxes"][pull["box"]]["op"]: {name: rest for name, *rest in pull["named"]} for pull in data["pulls"]}
    assert set(named["conv2d"]) == {"x", "w", "stride", "padding", "dilation", "groups", "method"}
    assert named["conv2d"]["stride"] == [None, "1"]
    assert data["arrays"][named["conv2d"]["w"][0]]["plane"] == "kernel"
    assert data["arrays"][named["conv2d"]["x"][0]]["plane"] == "channel"
    taps = data["arrays"][named["max_pool2d"]["aux"][0]]
    assert (taps["dtype"], taps["plane"], taps["tiles"]) == ("uint8", "channel", [5, 2, 2])


def test_a_rule_of_the_users_own_that_serves_arrays_alone_is_shown_as_source(write):
    @ag.Op
    def triple(x):
        return 3 * x

    triple.vjp(lambda g: np.multiply(3, np.asarray(g)))
    x = ag.Tensor([1.0, 2.0], requires_grad=True)
    with ag.keep():
        y = triple(x)
    text, [source], _ = formula_of(write, y, "x", names={"x": x}, g=np.ones(2))
    assert source["text"] == "lambda g: np.multiply(3, np.asarray(g))"
    assert source["where"].endswith("test_replaying.py:" + source["where"].rpartition(":")[2])
    assert text == ""


def test_the_right_lambda_of_several_on_a_line_is_found():
    f, g, h = (lambda x: x + 1), (lambda x: x + 2), (lambda x: (lambda y: y + 3)(x))
    assert [source_of(k).text for k in (f, g)] == ["lambda x: x + 1", "lambda x: x + 2"]
    assert source_of(h).text == "lambda x: (lambda y: y + 3)(x)"
    assert source_of(eval("lambda x: x")) is None
    assert source_of(np.sin) is None


def test_a_formula_that_would_be_too_long_is_left_out():
    rule = ag.prod._rules[0][0]
    x = np.arange(1.0, 9.0)
    values = {"x": x, "x_shape": (8,), "axis": None}
    assert rule_terms(rule, np.ones(()), values, ("x_shape", "axis")) == [None]


# -------------------------------------------------------------------- all kinds of graphs


def test_any_graph_can_be_replayed(write):
    x = ag.Tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], requires_grad=True, dtype=np.float64)
    with ag.keep():
        one, two = ag.split(x, [1], axis=1)
        joined = ag.concatenate([two, one, np.zeros((2, 1))], axis=1)
        picked = joined[np.array([0, 1, 1]), np.array([0, 0, 2])]
        chosen = ag.where(np.array([True, False, True]), picked, 2.0)
        third = ag.stack([chosen, chosen]).sum() + ag.einsum("ij,ij->", x, x) + 3
    found = final_gradients(write(third, names={"x": x}))
    plain = ag.gradients(third, [x])[0].data
    np.testing.assert_array_equal(found["x"], plain)


def test_several_outputs_show_a_gradient_each(write):
    x = ag.Tensor([1.0, 2.0, 3.0], requires_grad=True)
    with ag.keep():
        a, b, c = ag.split(x, 3)
        y = (a * 2 + b * b).sum()  # c leads nowhere
    data = write(y, names={"x": x})
    [pull] = [pull for pull in data["pulls"] if data["boxes"][pull["box"]].get("op") == "split"]
    assert [number(data, g).tolist() for _, g in pull["gradients"]] == [[2.0], [4.0]]
    assert final_gradients(data)["x"].tolist() == [2.0, 4.0, 0.0]


def test_numbers_that_json_does_not_have_are_told(write):
    x = ag.Tensor([0.0, -1.0, 4.0], requires_grad=True)
    with ag.keep(), np.errstate(all="ignore"):
        y = ag.sqrt(x)
    data = write(y, names={"x": x}, g=np.ones(3, np.float32))
    [part] = data["pulls"][0]["parts"]
    assert data["arrays"][part["after"]]["numbers"] == ["inf", "nan", 0.25]


def test_complex_empty_and_numberless_arrays_are_told(write):
    z = ag.Tensor(np.array([1.0 + 2.0j]), requires_grad=True)
    empty = ag.Tensor(np.zeros((0, 3)), requires_grad=True)
    with ag.keep():
        y = ag.real(z * z).sum() + empty.sum()
    data = write(y, names={"z": z, "empty": empty})
    gradients = {data["values"][p["to"]]["label"]: data["arrays"][p["after"]] for pull in data["pulls"]
                 for p in pull["parts"]}
    assert gradients["z"]["numbers"] == ["2+4j"]
    assert gradients["empty"] == {"shape": [0, 3], "dtype": "float64", "numbers": []}


HOSTILE = '</script><script>alert("x")</script> <!-- & \' \u2028 é 漢 \\ \n'


def test_hostile_names_stay_text(tmp_path):
    x = ag.Tensor([1.0], requires_grad=True)
    with ag.keep(), ag.scope(HOSTILE.replace("/", "|")):
        y = x * 2
    path = ag.replay(y, tmp_path / "page.html", names={HOSTILE: x})
    text = path.read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert text.count("</script>") == 2
    labels = [value["label"] for value in data_of(path)["values"]]
    assert any(label.startswith('</script><script>alert("x")') for label in labels)


def test_a_leaf_shows_the_value_that_was_used_and_not_what_it_was_set_to_since(write):
    x = ag.Tensor([3.0], requires_grad=True)
    with ag.keep():
        y = x * x
    x.data = np.array([100.0], np.float32)
    data = write(y, names={"x": x})
    [value] = [value for value in data["values"] if value["label"] == "x"]
    assert number(data, value["array"]).tolist() == [3.0]
    assert final_gradients(data)["x"].tolist() == [6.0]


def test_a_leaf_whose_tensor_is_gone_still_gets_its_gradient(write):
    def made():
        x = ag.Tensor([3.0], requires_grad=True)
        return x * x

    with ag.keep():
        y = made()
    assert final_gradients(write(y))["x"].tolist() == [6.0]


def test_a_hook_that_changes_a_gradient_is_told(write):
    x = ag.Tensor([3.0], requires_grad=True)
    with ag.keep():
        h = ag.exp(x)
        y = h * 2
    h.register_hook(lambda g: g * 10)
    data = write(y, names={"x": x, "h": h})
    assert [pull["hooked"] for pull in data["pulls"]] == [False, True]
    np.testing.assert_allclose(final_gradients(data)["x"], 20 * np.exp([3.0]), rtol=1e-6)


# -------------------------------------------------------------------- nothing is changed


def test_the_graph_and_its_tensors_are_as_before(tmp_path):
    x, w = ag.Tensor(np.ones((2, 3)), requires_grad=True), ag.Tensor(np.ones((3, 2)), requires_grad=True)
    with ag.keep():
        y = ag.tanh(x @ w).sum()
        nodes = [step.origin for step in read_graph("replay", y)]
        before = [(node.saved, node.kept.value if node.kept else None, node.kept and node.kept.gradient, node.hooks)
                  for node in nodes]
        copies = [array.copy() for array in (x.data, w.data, y.data)]
        ag.replay(y, tmp_path / "page.html")  # within keep: its observer is not to see this pass
    after = [(node.saved, node.kept.value if node.kept else None, node.kept and node.kept.gradient, node.hooks)
             for node in nodes]
    for old, new in zip(before, after, strict=True):
        assert all(a is b for a, b in zip(old, new, strict=True))
    assert x.grad is w.grad is y.grad is None
    for array, copy in zip((x.data, w.data, y.data), copies, strict=True):
        assert np.array_equal(array, copy)
    y.backward()  # the graph is not freed
    np.testing.assert_allclose(x.grad.data, ag.grad(lambda x: ag.tanh(x @ w.data).sum())(x.data).data)


def test_no_other_observer_sees_the_pass_and_no_grad_does_not_stop_it(tmp_path):
    x = ag.Tensor([0.0, 4.0], requires_grad=True)
    with ag.keep():
        y = ag.sqrt(x)
    with ag.profile() as report, ag.anomaly(), ag.no_grad():  # anomaly would raise: the slope at 0 is infinite
        data = data_of(ag.replay(y, tmp_path / "page.html", names={"x": x}, g=np.ones(2)))
    assert report.rows == []
    assert data["rules"][0]["formula"]


def test_a_graph_can_be_replayed_twice_and_after_a_backward_that_kept_it(tmp_path):
    x = ag.Tensor(2.0, requires_grad=True)
    with ag.keep():
        y = x**3
    y.backward(retain_graph=True)
    pages = [ag.replay(y, tmp_path / name).read_text() for name in ("a.html", "b.html")]
    assert pages[0] == pages[1]
    assert x.grad.item() == 12.0


# -------------------------------------------------------------------- errors


def test_errors_say_what_to_do(tmp_path):
    path = tmp_path / "page.html"
    x = ag.Tensor([1.0, 2.0], requires_grad=True)
    y = (x * x).sum()
    with pytest.raises(ValueError, match=r"replay: the value of 'multiply' was not kept; .*\n    with ag.keep\(\):"):
        ag.replay(y, path)
    with ag.keep():
        y = x * x
    with pytest.raises(ValueError, match=r"replay: y has shape \(2,\); give the cotangent g"):
        ag.replay(y, path)
    with pytest.raises(ValueError, match=r"replay: y has shape \(2,\) but g has \(3,\)"):
        ag.replay(y, path, g=np.ones(3))
    y.sum().backward()
    with pytest.raises(RuntimeError, match=r"replay: backward went .*'multiply'; call replay before y.backward\(\)"):
        ag.replay(y, path, g=np.ones(2))
    with pytest.raises(ValueError, match="replay: y is a leaf: no op made it"):
        ag.replay(x, path)
    with pytest.raises(ValueError, match="replay: y is a leaf"):
        ag.replay(ag.Scalar(1.0), path)
    with pytest.raises(ValueError, match=r"replay: this Tensor .* has no graph"):
        ag.replay(ag.Tensor([1.0]), path)
    with pytest.raises(TypeError, match="replay: expected a Scalar, a Tensor"):
        ag.replay(1.0, path)
    with pytest.raises(TypeError, match="replay: expected one Scalar or Tensor, got a list"):
        ag.replay([y], path)
    s = ag.Scalar(1.0) * 2
    with pytest.raises(TypeError, match="replay: a Scalar takes no cotangent g"):
        ag.replay(s, path, g=1.0)
    with pytest.raises(ValueError, match="replay: depth must be None or a whole number of at least 0, got -1"):
        ag.replay(s, path, depth=-1)
    with pytest.raises(FileNotFoundError, match=r"replay: there is no folder .*missing; make it first"):
        ag.replay(s, tmp_path / "missing" / "page.html")
    with pytest.raises(IsADirectoryError, match=r"replay: .* is a folder; give the name of a file in it"):
        ag.replay(s, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_an_old_page_survives_a_failure(tmp_path, monkeypatch):
    path = ag.replay(ag.Scalar(1.0) * 2, tmp_path / "page.html")
    old = path.read_bytes()
    monkeypatch.setattr(replaying, "_html", lambda page: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        ag.replay(ag.Scalar(1.0) * 3, path)
    assert path.read_bytes() == old
    assert list(tmp_path.iterdir()) == [path]


# -------------------------------------------------------------------- the size of things


def test_nothing_on_the_page_comes_from_elsewhere(tmp_path):
    text = ag.replay(ag.Scalar(1.0) * 2, tmp_path / "page.html").read_text(encoding="utf-8")
    assert "default-src 'none'" in text
    addresses = set(re.findall(r"https?://[^\s'\"<>)]+", text))
    assert addresses <= {"http://www.w3.org/2000/svg"}  # a name, not a place
    assert not re.search(r"\b(src|href)=\"(?!data:)", text)
    assert "@import" not in text
    assert "fetch(" not in text


def chain(n, scopes=True):
    z = ag.Tensor(np.random.default_rng(0).normal(size=(48, 48)).astype("float32"), requires_grad=True)
    with ag.keep():
        for i in range(n // 2):
            with ag.scope(f"block{i // 10}" if scopes else "all"):
                z = ag.tanh(z * 1.01)
        return z.sum()


def test_two_hundred_ops_with_large_arrays_stay_under_two_megabytes(tmp_path):
    path = ag.replay(chain(200), tmp_path / "page.html")
    data = data_of(path)
    assert path.stat().st_size < 2_000_000
    assert sum(box["kind"] == "op" for box in data["boxes"]) == 201
    assert any("large arrays are shown with at most" in note for note in data["notes"])


@pytest.mark.parametrize("kind", ["scalars", "scopes"])
def test_thousands_of_ops_are_folded_into_few_boxes_and_that_is_said(tmp_path, kind):
    if kind == "scalars":
        y = a = ag.Scalar(1.0)
        for _ in range(2500):
            y = y * 0.999 + a
    else:
        y = chain(3000)
    path = ag.replay(y, tmp_path / "page.html", names={"a": a} if kind == "scalars" else None)
    data = data_of(path)
    assert path.stat().st_size < 2_000_000
    assert len(data["boxes"]) <= 500
    assert any("folded into" in note for note in data["notes"])
    if kind == "scalars":
        y.backward()
        assert final_gradients(data)["a"] == pytest.approx(a.grad)


def test_folded_boxes_pass_the_same_gradients_on(tmp_path):
    x = ag.Tensor([0.5, 2.0], requires_grad=True, dtype=np.float64)
    w = ag.Tensor([1.5, -1.0], requires_grad=True, dtype=np.float64)
    with ag.keep():
        with ag.scope("first"):
            h = ag.tanh(x * w) + x
        with ag.scope("second"):
            y = (h * h + w).sum()
    whole = final_gradients(data_of(ag.replay(y, tmp_path / "a.html", names={"x": x, "w": w})))
    folded = data_of(ag.replay(y, tmp_path / "b.html", names={"x": x, "w": w}, limit=4))
    assert {box["kind"] for box in folded["boxes"]} == {"group", "leaf"}
    for name in "xw":
        np.testing.assert_allclose(final_gradients(folded)[name], whole[name])


def test_depth_says_which_scopes_are_open_at_first(write):
    model = nn.Sequential(nn.Dense(2, 3, rng=0), nn.ReLU(), nn.Dense(3, 1, rng=1))
    with ag.keep():
        y = model(ag.Tensor([[1.0, 2.0]])).sum()
    opened = {depth: [frame["open"] for frame in write(y, depth=depth)["frames"]] for depth in (None, 0, 1)}
    assert all(opened[None])
    assert len(opened[None]) == 4  # the model, and three layers in it
    assert opened[0] == [False] * 4
    assert sum(opened[1]) == 1


# -------------------------------------------------------------------- arrays


def cells(packed):
    import base64

    steps = np.frombuffer(base64.b64decode(packed["cells"]), "<i2").reshape(packed["tiles"]).astype(float)
    return np.where(steps == -32768, np.nan, steps / 32767 * packed["scale"])


def packed(array, layout=""):
    packer = Packer()
    packer.add(array, layout)
    [found], _ = packer.packed()
    return found


@given(st.integers(9, 80), st.integers(9, 80), st.integers(0, 2**32 - 1))
@settings(max_examples=20)
def test_a_heat_map_holds_the_numbers_or_the_means_of_blocks(h, w, seed):
    array = np.random.default_rng(seed).normal(size=(h, w))
    found = packed(array)
    assert found["stats"] == pytest.approx([array.min(), array.mean(), array.max()])
    bh, bw = found["block"]
    means = np.array([[array[i:i + bh, j:j + bw].mean() for j in range(0, w, bw)] for i in range(0, h, bh)])
    np.testing.assert_allclose(cells(found)[0], means, atol=found["scale"] / 60_000)
    assert (bh == 1) == (h <= 64)


def test_images_are_shown_by_channel_and_weights_by_kernel():
    images = np.arange(2.0 * 5 * 4 * 3).reshape(2, 5, 4, 3)
    found = packed(images, "images")
    assert found["image"] == 3
    assert found["tiles"] == [6, 5, 4]
    np.testing.assert_allclose(cells(found)[1], images[0, :, :, 1], atol=0.01)
    found = packed(-images, "maps")
    assert "image" not in found
    assert found["plane"] == "channel"
    weights = np.random.default_rng(0).normal(size=(3, 3, 2, 5))
    found = packed(weights, "kernels")
    assert found["tiles"] == [10, 3, 3]
    np.testing.assert_allclose(cells(found)[3], weights[:, :, 1, 1], atol=1e-3)


def test_what_is_not_finite_is_marked_and_counted():
    array = np.ones((10, 10))
    array[0, 0], array[0, 1] = np.nan, np.inf
    found = packed(array)
    assert found["lost"] == 2
    assert np.isnan(cells(found)[0, 0, :2]).all()
    assert found["stats"] == [1.0, 1.0, 1.0]


def test_a_leaf_is_shown_with_the_value_that_the_graph_was_made_from(tmp_path):
    x = ag.Tensor([1.0, 2.0], requires_grad=True)
    with ag.keep():
        y = (x + x * 2.0).sum()
    x.data = np.array([5.0, 6.0], np.float32)
    steps = read_graph("replay", y, {"x": x})
    [leaf] = [step for step in steps if getattr(step, "name", "") == "x"]
    np.testing.assert_array_equal(leaf.value, [1.0, 2.0])


def test_a_loop_whose_steps_share_a_leaf_is_laid_out_at_once(tmp_path):
    """Graphviz alone took 11 s at 50 steps, and more than 25 s at 100."""
    x, w = (ag.Tensor([0.1, 0.2, 0.3], requires_grad=True) for _ in range(2))
    with ag.keep():
        h = x
        for _ in range(100):
            h = ag.tanh(h * w + x)
        y = h.sum()
    start = time.perf_counter()
    ag.replay(y, tmp_path / "loop.html", names={"x": x, "w": w})
    assert time.perf_counter() - start < 10  # 0.4 s on a quiet machine


def test_outputs_of_one_call_have_one_number():
    x = ag.Tensor([1.0, 2.0, 3.0], requires_grad=True)
    p, q, r = ag.split(x, 3)
    labels = labels_of(Folding(read_graph("replay", p * q * r, {"x": x})))
    assert {"split[0]", "split[1]", "split[2]"} <= set(labels.values())


@pytest.mark.parametrize("limit", [0, -1, None, 2.5, "a"])
def test_a_limit_that_is_none_is_refused(limit, tmp_path):
    a = ag.Scalar(2.0)
    with pytest.raises(ValueError, match="replay: limit must be a whole number of at least 1"):
        ag.replay(a * a, tmp_path / "page.html", limit=limit)
