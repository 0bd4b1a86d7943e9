"""gradcheck of a whole model, by the names of its parameters."""

from __future__ import annotations

import numpy as np
import pytest

import autograd as ag
import nn
from autograd.ops.conv import conv2d

RNG = np.random.default_rng(0)
IMAGES, LABELS = RNG.standard_normal((6, 6, 6, 1)).astype(np.float32), RNG.integers(0, 3, 6)

# the forward of conv2d, with a gradient for x and none for w
silent_conv = ag.Op(lambda x, w: conv2d(x, w, padding=1)).vjp(
    lambda g, x_shape, w: ag.conv2d_input_grad(g, w, x_shape, 1, 1), lambda g, w: w * 0)


class SilentConv(nn.Module):
    def __init__(self) -> None:
        self.weight = ag.Tensor(0.3 * RNG.standard_normal((3, 3, 1, 4)).astype(np.float32), requires_grad=True)

    def forward(self, x):
        return silent_conv(x, self.weight)


def cnn(conv: nn.Module) -> nn.Sequential:
    return nn.Sequential(conv, nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Dense(36, 3, rng=0))


def test_a_right_model_passes_by_the_names_of_its_parameters():
    report = nn.gradcheck(cnn(nn.Conv2d(1, 4, 3, padding="same", rng=0)), nn.functional.cross_entropy, IMAGES, LABELS)
    assert report, report
    places = [row.where for row in report.comparisons]
    assert places[:5] == ["0.weight (3, 3, 1, 4)", "0.bias (4,)", "4.weight (36, 3)", "4.bias (3,)", "x (6, 6, 6, 1)"]
    assert "0.weight (3, 3, 1, 4) in float32" in places
    assert report.name == "Sequential"


def test_a_conv_whose_gradient_is_silently_zero_still_learns_and_is_caught_by_name():
    model = cnn(SilentConv())
    first = nn.functional.cross_entropy(model(IMAGES), LABELS).item()
    opt = nn.optim.SGD(model.parameters(), lr=0.2)
    for _ in range(60):
        loss = nn.functional.cross_entropy(model(IMAGES), LABELS)
        opt.zero_grad()
        loss.backward()
        opt.step()
    assert loss.item() < 0.2 * first  # the dense layer learns around it
    report = nn.gradcheck(model, nn.functional.cross_entropy, IMAGES, LABELS)
    assert not report
    failed = {row.where: row.cause.name for row in report.failed if row.cause}
    assert failed == {"0.weight (3, 3, 1, 4)": "zero or disconnected"}
    assert "found in <lambda> in scope 'Sequential/0': wrong, the rule for 'w': zero or disconnected" in str(report)


def test_the_model_is_not_changed():
    model = nn.Sequential(nn.Conv2d(1, 2, 3, rng=0), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Dropout(0.5, rng=0),
                          nn.Dense(32, 3, rng=0))
    before = model.state_dict()
    draws = nn.functional.cross_entropy(model(IMAGES), LABELS)
    model.load_state_dict(before)
    assert nn.gradcheck(model, nn.functional.cross_entropy, IMAGES, LABELS)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    assert model.training
    assert all(p.grad is None for p in model.parameters())
    assert draws.item() != nn.functional.cross_entropy(model(IMAGES), LABELS).item()  # the generator has not gone back


@pytest.mark.parametrize("mode", [True, False])
def test_batch_norm_and_dropout_pass_in_training_and_in_eval_mode(mode):
    model = nn.Sequential(nn.Flatten(), nn.Dense(36, 8, rng=0), nn.BatchNorm1d(8), nn.Dropout(0.5),
                          nn.Dense(8, 3, rng=0))
    report = nn.gradcheck(model.train(mode), nn.functional.cross_entropy, IMAGES, LABELS)
    assert report, report


def test_tied_weights_are_checked_as_one():
    class Tied(nn.Module):
        def __init__(self) -> None:
            self.first = nn.Dense(4, 4, rng=0)
            self.second = nn.Dense(4, 4, rng=1)
            self.second.weight = self.first.weight

        def forward(self, x):
            return self.second(ag.tanh(self.first(x)))

    report = nn.gradcheck(Tied(), nn.functional.mse_loss, RNG.standard_normal((3, 4)), np.zeros((3, 4)))
    assert report, report
    places = [row.where for row in report.comparisons]
    assert places[:3] == ["first.weight (4, 4)", "first.bias (4,)", "second.bias (4,)"]


def test_frozen_parameters_are_left_out_and_whole_numbers_are_no_input():
    model = nn.Sequential(nn.Embedding(5, 3, rng=0), nn.Flatten(), nn.Dense(6, 2, rng=0))
    model[2].requires_grad_(False)
    report = nn.gradcheck(model, nn.functional.cross_entropy, np.array([[0, 1], [4, 4]]), [0, 1])
    assert report, report
    assert report.comparisons[0].where == "0.weight (5, 3)"
    assert not any(row.where.startswith(("2.", "x")) for row in report.comparisons)


def test_the_second_order_of_a_model_can_be_checked():
    model = nn.Sequential(nn.Dense(4, 3, rng=0), nn.Tanh(), nn.Dense(3, 2, rng=0))
    report = nn.gradcheck(model, nn.functional.cross_entropy, RNG.standard_normal((5, 4)), [0, 1, 1, 0, 1], order=2)
    assert report, report
    assert {row.order for row in report.comparisons} == {1, 2}


def test_what_is_no_module_is_refused():
    with pytest.raises(TypeError, match=r"nn.gradcheck: model must be a Module, got function"):
        nn.gradcheck(lambda x: x, nn.functional.cross_entropy, IMAGES, LABELS)


def test_without_anything_to_check_there_is_an_error():
    model = nn.Sequential(nn.Embedding(5, 3, rng=0))
    model.requires_grad_(False)
    with pytest.raises(ValueError, match=r"nn.gradcheck: the model has no parameter that requires a gradient"):
        nn.gradcheck(model, nn.functional.cross_entropy, np.array([[0, 1]]), [0])


def test_a_parameter_in_a_tuple_is_refused_by_name():
    class Pair(nn.Module):
        def __init__(self) -> None:
            self.pair = (ag.Tensor([1.0], requires_grad=True),)

        def forward(self, x):
            return x * self.pair[0]

    with pytest.raises(ValueError, match=r"nn.gradcheck: pair.0 stands in a tuple"):
        nn.gradcheck(Pair(), nn.functional.mse_loss, np.ones((2, 1)), np.ones((2, 1)))
