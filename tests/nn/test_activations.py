"""The activations as layers: against their definitions in Python's math, at orders 1 and 2, and far out."""

import math

import numpy as np
import pytest

import autograd as ag
import nn

_DEFINITIONS = [
    (nn.ReLU(), lambda x: max(x, 0.0)),
    (nn.LeakyReLU(), lambda x: x if x > 0 else 0.01 * x),
    (nn.LeakyReLU(0.3), lambda x: x if x > 0 else 0.3 * x),
    (nn.ELU(), lambda x: x if x > 0 else math.exp(x) - 1),
    (nn.ELU(0.7), lambda x: x if x > 0 else 0.7 * (math.exp(x) - 1)),
    (nn.GELU(), lambda x: x * 0.5 * math.erfc(-x / math.sqrt(2))),
    (nn.GELU("tanh"), lambda x: 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))),
    (nn.SiLU(), lambda x: x / (1 + math.exp(-x))),
    (nn.Sigmoid(), lambda x: 1 / (1 + math.exp(-x))),
    (nn.Tanh(), math.tanh),
]
_LAYERS = [layer for layer, _ in _DEFINITIONS]
_POINTS = np.array([-30.0, -5.5, -1.25, -0.5, -1e-3, 1e-3, 0.75, 1.0, 2.5, 30.0])


@pytest.mark.parametrize(("layer", "definition"), _DEFINITIONS, ids=map(repr, _LAYERS))
def test_values_are_those_of_the_definition(layer, definition):
    expected = [definition(x) for x in _POINTS]
    assert layer(_POINTS).data == pytest.approx(expected, rel=1e-12, abs=1e-15)
    single = layer(_POINTS.astype(np.float32))
    assert single.dtype == np.float32
    assert single.data == pytest.approx(expected, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("layer", [*_LAYERS, nn.Softmax(), nn.Softmax(axis=0)], ids=repr)
def test_gradients_to_second_order(layer):
    x = np.array([[-3.0, -1.25, -0.5], [0.75, 1.0, 2.5]])
    report = ag.gradcheck(layer, x, order=2)
    assert report, str(report)


@pytest.mark.parametrize("layer", [*_LAYERS, nn.Softmax()], ids=repr)
def test_far_out_there_is_no_nan_and_no_warning_at_orders_0_to_2(layer):
    x = ag.Tensor(np.array([-1e4, -100.0, 100.0, 1e4], np.float32), requires_grad=True)
    y = layer(x)
    (first,) = ag.gradients((y * y).sum(), [x], create_graph=True)  # of y alone, ReLU's does not depend on x
    (second,) = ag.gradients(first.sum(), [x])
    for values in (y, first, second):
        assert np.isfinite(values.data).all()


@pytest.mark.parametrize(("layer", "slope"), [(nn.ReLU(), 0), (nn.LeakyReLU(0.3), 0.3), (nn.ELU(0.7), 0.7),
                                              (nn.GELU(), 0.5), (nn.SiLU(), 0.5)], ids=repr)
def test_the_derivative_at_zero(layer, slope):
    x = ag.Tensor(0.0, requires_grad=True)
    layer(x).backward()
    assert x.grad.item() == pytest.approx(slope)


def test_softmax_gives_probabilities_along_its_axis():
    x = np.array([[0.0, 1.0], [1000.0, 1001.0]])
    p = 1 / (1 + math.e)
    assert nn.Softmax()(x).data == pytest.approx(np.array([[p, 1 - p], [p, 1 - p]]))
    assert nn.Softmax(axis=0)(x).data == pytest.approx(np.array([[0, 0], [1, 1]]))


def test_the_two_forms_of_gelu_are_close_but_not_the_same():
    x = np.linspace(-5, 5, 101)
    difference = np.abs(nn.GELU()(x).data - nn.GELU("tanh")(x).data).max()
    assert 1e-5 < difference < 1e-3


def test_an_unknown_form_of_gelu_is_refused():
    with pytest.raises(ValueError, match="GELU: approximate must be 'none' or 'tanh', got 'fast'"):
        nn.GELU("fast")


def test_reprs_show_the_settings():
    assert repr(nn.ReLU()) == "ReLU()"
    assert repr(nn.LeakyReLU(0.2)) == "LeakyReLU(negative_slope=0.2)"
    assert repr(nn.ELU()) == "ELU(alpha=1.0)"
    assert repr(nn.GELU()) == "GELU()"
    assert repr(nn.GELU("tanh")) == "GELU(approximate='tanh')"
    assert repr(nn.Softmax()) == "Softmax(axis=-1)"
