"""Sequential calls its layers in order; MLP builds dense layers with activations between them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import autograd as ag
import nn


def test_layers_are_called_in_order_and_may_be_functions():
    model = nn.Sequential(nn.Tanh(), ag.exp, lambda x: x * 3)
    x = np.array([-1.0, 0.5])
    assert np.allclose(model(x).data, 3 * np.exp(np.tanh(x)))


def test_an_empty_sequential_is_the_identity():
    assert nn.Sequential()(np.array([1.0, 2.0])).data.tolist() == [1, 2]


def test_it_has_a_length_an_order_and_items():
    layers = [nn.Dense(2, 3), nn.ReLU(), nn.Dense(3, 4)]
    model = nn.Sequential(*layers)
    assert len(model) == 3
    assert list(model) == layers
    assert model[-1] is layers[2]
    part = model[:2]
    assert type(part) is nn.Sequential
    assert list(part) == layers[:2]


def test_parameters_are_named_by_the_layers_number():
    model = nn.Sequential(nn.Dense(2, 3), nn.ReLU(), nn.Sequential(nn.Dense(3, 4)))
    assert [name for name, _ in model.named_parameters()] == ["0.weight", "0.bias", "2.0.weight", "2.0.bias"]


def test_a_subclass_may_hold_more():
    class Scaled(nn.Sequential):
        def __init__(self):
            super().__init__(nn.Dense(2, 2))
            self.scale = ag.Tensor(2.0, requires_grad=True)
            self.gate = nn.Sigmoid()

        def forward(self, x):
            return super().forward(x) * self.scale

    model = Scaled()
    assert [name for name, _ in model.named_parameters()] == ["0.weight", "0.bias", "scale"]
    assert repr(model) == "Scaled(\n  (0): Dense(2, 2)\n  (gate): Sigmoid()\n)"


def test_the_repr_shows_functions_and_layers_used_twice():
    layer = nn.ReLU()
    assert repr(nn.Sequential(layer, ag.exp, layer)) == "Sequential(\n  (0): ReLU()\n  (1): exp\n  (2): ReLU()\n)"


@pytest.mark.parametrize(("layer", "given_as"), [(3, "int"), ("relu", "str"), (None, "NoneType"),
                                                 (nn.ReLU, "the class ReLU"), ([nn.ReLU()], "list")])
def test_what_cannot_be_called_is_refused(layer, given_as):
    with pytest.raises(TypeError, match=f"Sequential: layer 1 must be a module or a function, got {given_as}"):
        nn.Sequential(nn.ReLU(), layer)


# ---------------------------------------------------------------------- MLP


@given(sizes=st.lists(st.integers(1, 6), min_size=2, max_size=4), n=st.integers(1, 3))
def test_an_mlp_is_products_and_activations(sizes, n):
    model = nn.MLP(sizes, activations=["tanh"] * (len(sizes) - 1), rng=0)
    x = np.random.default_rng(n).normal(size=(n, sizes[0])).astype(np.float32)
    expected = x
    for layer in model[::2]:
        expected = np.tanh(expected @ layer.weight.data + layer.bias.data)
    assert np.allclose(model(x).data, expected, atol=1e-6)


def test_activations_are_names_modules_functions_or_none():
    own = nn.LeakyReLU(0.2)
    model = nn.MLP([2, 3, 3, 3, 1], activations=["gelu", own, ag.sin, None])
    kinds = [type(layer).__name__ for layer in model]
    assert kinds == ["Dense", "GELU", "Dense", "LeakyReLU", "Dense", "Op", "Dense"]
    assert model[3] is own


def test_without_activations_it_is_relu_between_and_nothing_at_the_end():
    assert [type(layer).__name__ for layer in nn.MLP([4, 3, 2])] == ["Dense", "ReLU", "Dense"]


@pytest.mark.parametrize("name", ["relu", "leaky_relu", "elu", "gelu", "silu", "sigmoid", "tanh", "softmax"])
def test_every_activation_has_its_name(name):
    (_, activation) = nn.MLP([2, 2], activations=[name])
    assert type(activation).__name__.lower() == name.replace("_", "")


def test_without_bias_and_with_a_seed():
    first, second = (nn.MLP([3, 4, 2], bias=False, rng=7) for _ in range(2))
    assert [name for name, _ in first.named_parameters()] == ["0.weight", "2.weight"]
    assert np.array_equal(first[2].weight.data, second[2].weight.data)


def test_a_wrong_number_of_activations_is_refused():
    with pytest.raises(ValueError, match=r"MLP: sizes \[4, 3, 2\] make 2 dense layers, so activations must be a list "
                                         r"of 2, one after each \(None for none\), got \['relu'\]"):
        nn.MLP([4, 3, 2], activations=["relu"])
    with pytest.raises(ValueError, match="activations must be a list of 4"):
        nn.MLP([4, 3, 2, 1, 1], activations="relu")


def test_an_unknown_activation_is_refused_and_the_known_ones_are_named():
    with pytest.raises(ValueError, match="MLP: the activation 'rleu' is not known; use relu, leaky_relu, elu, gelu, "
                                         "silu, sigmoid, tanh, softmax, a function, or None"):
        nn.MLP([4, 2], activations=["rleu"])


def test_sizes_must_be_two_or_more_positive_whole_numbers():
    with pytest.raises(ValueError, match=r"MLP: sizes must have at least two numbers, .*, got \[4\]"):
        nn.MLP([4])
    with pytest.raises(ValueError, match=r"MLP: sizes\[1\] must be at least 1, got 0"):
        nn.MLP([4, 0])
    with pytest.raises(TypeError, match=r"MLP: sizes\[0\] must be a whole number, got 4\.0"):
        nn.MLP([4.0, 2])
