"""nn.draw: the layers of a model with the flow that the recorded graph has, and a model left as it was."""

import html
import re

import numpy as np
import pytest

import autograd as ag
import nn

pytestmark = pytest.mark.needs("graphviz", "pygraphviz")


class Parsed:
    def __init__(self, picture):
        import pygraphviz

        self.graph = pygraphviz.AGraph(string=picture.source)
        self.labels = {str(node): [html.unescape(text) for text in re.findall(r">([^<>]+)<", node.attr["label"])]
                       for node in self.graph.nodes()}

    @property
    def boxes(self):
        """The labels of all boxes, in the order of the text, outputs last."""
        return sorted(self.labels.values(), key=lambda label: label[0].startswith("("))

    def arrows(self):
        return [(self.labels[edge[0]][0], self.labels[edge[1]][0], (edge.attr["label"] or "").strip())
                for edge in self.graph.edges()]


def test_each_layer_is_a_box_with_name_class_settings_shape_and_parameters():
    model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.ReLU(), nn.Flatten(), nn.Dense(288, 10))
    picture = Parsed(nn.draw(model, (8, 8, 1)))
    assert picture.boxes == [
        ["input", "(N, 8, 8, 1)"],
        ["0  Conv2d", model[0].extra_repr(), "→ (N, 6, 6, 8)", "80 parameters"],
        ["1  ReLU", "→ (N, 6, 6, 8)"],
        ["2  Flatten", "→ (N, 288)"],
        ["3  Dense", "288, 10", "→ (N, 10)", "2,890 parameters"],
        ["(N, 10)"],
    ]
    assert picture.arrows() == [("input", "0  Conv2d", ""), ("0  Conv2d", "1  ReLU", "(N, 6, 6, 8)"),
                                ("1  ReLU", "2  Flatten", "(N, 6, 6, 8)"), ("2  Flatten", "3  Dense", "(N, 288)"),
                                ("3  Dense", "(N, 10)", "")]


class Residual(nn.Module):
    def __init__(self, size):
        self.fc = nn.Dense(size, size)
        self.drop = nn.Dropout(0.1)

    def forward(self, x):
        return x + self.drop(self.fc(x))


def test_residual_connections_and_layers_that_do_nothing_in_eval_mode_are_there():
    assert set(Parsed(nn.draw(Residual(4), (4,))).arrows()) == {
        ("input", "fc  Dense", ""), ("input", "add", ""), ("fc  Dense", "drop  Dropout", "(N, 4)"),
        ("drop  Dropout", "add", "(N, 4)"), ("add", "(N, 4)", "")}


def test_equal_blocks_are_one_box_with_a_count_and_open_to_a_frame():
    model = nn.Sequential(nn.Dense(3, 4), *(Residual(4) for _ in range(12)))
    closed = Parsed(nn.draw(model, (3,), depth=1))
    assert ["1 … 12  Residual × 12", "→ (N, 4)", "240 parameters"] in closed.boxes
    opened = nn.draw(model, (3,))
    assert "1 … 12  Residual × 12" in opened.source
    assert sum("Dense" in box[0] for box in Parsed(opened).boxes) == 2
    whole = Parsed(nn.draw(model, (3,), depth=0))
    assert ["Sequential", "→ (N, 4)", "256 parameters"] in whole.boxes


def test_resnet20_has_its_stages_and_shortcuts():
    picture = Parsed(nn.draw(nn.models.resnet20(rng=0), (32, 32, 3), depth=1))
    assert [box[0] for box in picture.boxes] == [
        "input", "0  Conv2d", "1  BatchNorm2d", "2  ReLU", "3 … 5  BasicBlock × 3", "6  BasicBlock",
        "7 … 8  BasicBlock × 2", "9  BasicBlock", "10 … 11  BasicBlock × 2", "12  GlobalAvgPool2d", "13  Dense",
        "(N, 10)"]
    inner = Parsed(nn.draw(nn.models.resnet20(rng=0), (32, 32, 3), depth=2))
    assert sum(box[0] == "pad" for box in inner.boxes) == 2


def test_integers_frozen_parameters_and_several_outputs():
    class Two(nn.Module):
        def __init__(self):
            self.embedding = nn.Embedding(10, 4)
            self.heads = [nn.Dense(4, 2), nn.Dense(4, 3)]

        def forward(self, x):
            h = self.embedding(x)
            return {"a": self.heads[0](h), "b": (self.heads[1](h), h)}

    model = Two()
    model.embedding.requires_grad_(False)
    picture = Parsed(nn.draw(model, (7,), dtype=np.int64))
    assert ["embedding  Embedding", "10, 4", "→ (N, 7, 4)", "40 parameters, frozen"] in picture.boxes
    assert sorted(box[0] for box in picture.boxes if box[0].startswith("(")) == ["(N, 7, 2)", "(N, 7, 3)", "(N, 7, 4)"]
    assert not model.embedding.weight.requires_grad


def test_a_module_that_runs_under_no_grad_gives_its_name_to_nobody_elses_scope():
    class Distilled(nn.Module):
        def __init__(self):
            self.teacher, self.student = nn.Dense(4, 4, rng=0), nn.Dense(4, 4, rng=1)

        def forward(self, x):
            with ag.scope("mix"):
                with ag.no_grad():
                    told = self.teacher(x)
                x = ag.sin(x * told) + x
            return self.student(x)

    source = nn.draw(Distilled(), (4,)).source
    assert "mix  Dense" not in source
    assert "<b>sin</b>" in source  # the scope stays open


def test_the_model_is_left_as_it_was():
    with nn.rng(0):
        model = nn.Sequential(nn.Dense(3, 3), nn.BatchNorm1d(3), nn.Dropout(0.5))
    model[1].eval()
    model[0].requires_grad_(False)
    mean, draws, state = model[1].running_mean, model[2].rng.bit_generator.state, model.state_dict()
    with ag.no_grad():
        nn.draw(model, (3,))
    assert [module.training for module in model.modules()] == [True, True, False, True]
    assert model[1].running_mean is mean
    assert model[2].rng.bit_generator.state == draws
    assert all(np.array_equal(value, state[name]) for name, value in model.state_dict().items())
    assert [p.requires_grad for p in model.parameters()] == [False, False, True, True]
    assert all(p.grad is None for p in model.parameters())
    assert not any(vars(module).get("_forward_hooks") for module in model.modules())


def test_a_forward_that_fails_leaves_it_as_it_was_too():
    model = nn.Sequential(nn.Dense(3, 3))
    model.requires_grad_(False)
    with pytest.raises(ValueError, match=r"Dense\(3, 3\): x must be"):
        nn.draw(model, (4,))
    assert not model[0].weight.requires_grad
    assert not any(vars(module).get("_forward_hooks") for module in model.modules())


def test_what_cannot_be_drawn_is_named():
    with pytest.raises(TypeError, match=r"nn\.draw: expected a Module, got function"):
        nn.draw(lambda x: x, (3,))
    with pytest.raises(ValueError, match=r"nn\.draw: depth must be None or a whole number"):
        nn.draw(nn.ReLU(), (3,), depth="all")

    class Constant(nn.Module):
        def forward(self, x):
            return np.zeros(3)

    with pytest.raises(ValueError, match=r"nn\.draw: what Constant gives .* there is no graph"):
        nn.draw(Constant(), (3,))
