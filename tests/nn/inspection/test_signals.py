"""Histograms against np.histogram and the plain backward pass; dead units that were planted."""

import numpy as np
import pytest

import autograd as ag
import nn
from nn import inspection


def _data(n=7):
    rng = np.random.default_rng(0)
    return rng.random((n, 8, 8, 1), dtype=np.float32), rng.integers(3, size=n)


def _model():
    return nn.models.small((8, 8, 1), 3, rng=0)


# ---------------------------------------------------------------------- dead units


def test_a_channel_with_a_bias_far_below_zero_is_named_as_dead():
    model, (images, _) = _model(), _data()
    model[0].bias.data = np.where(np.arange(16) == 3, -1e3, 10).astype(np.float32)
    found = inspection.dead_units(model, images, batch_size=2)
    assert found["1"] == (16, (3,))
    assert found["1"].share == 1 / 16
    assert list(found) == ["1", "4"]


def test_a_unit_that_lives_for_one_image_in_one_pixel_is_not_dead():
    model = nn.Sequential(nn.Conv2d(1, 2, 1, bias=False), nn.ReLU())
    model[0].weight.data = np.array([[[[1.0, -1.0]]]], np.float32)
    images = np.zeros((5, 4, 4, 1), np.float32)
    images[4, 3, 3] = 1
    assert inspection.dead_units(model, images, batch_size=2) == {"1": (2, (1,))}


def test_relus_are_found_as_layers_and_as_ops_each_call_by_itself_and_other_activations_are_not():
    class Model(nn.Module):
        def __init__(self):
            self.dense = nn.Dense(4, 4, rng=0)
            self.act = nn.ReLU()

        def forward(self, x):
            return ag.tanh(ag.relu(self.act(-self.act(self.dense(x)) - 1)))

    x = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    found = inspection.dead_units(Model(), x)
    assert list(found) == ["act", "act#2", "relu"]
    assert found["act"].dead == ()
    assert found["act#2"].dead == found["relu"].dead == (0, 1, 2, 3)
    assert inspection.dead_units(nn.Sequential(nn.Dense(4, 2), nn.GELU()), x) == {}


# ---------------------------------------------------------------------- histograms


def test_activations_are_counted_as_numpy_counts_them():
    model, (images, labels) = _model(), _data()
    found = inspection.histograms(model, images, labels, bins=13, batch_size=3)
    assert list(found.activations) == list(found.gradients) == ["0", "1", "3", "4", "7"]
    out = images
    for i, layer in enumerate(model):
        out = layer(out)
        if str(i) not in found.activations:
            continue
        histogram = found.activations[str(i)]
        counts, edges = np.histogram(out.data, bins=13)
        np.testing.assert_allclose(histogram.edges, edges, rtol=1e-4, atol=1e-6)
        assert np.abs(histogram.counts - counts).sum() <= 4  # batches round differently, and edges cut between
        assert histogram.counts.sum() == out.size
        assert histogram.zeros == pytest.approx(np.mean(out.data == 0), abs=1e-3)
        assert histogram.mean_abs == pytest.approx(np.abs(out.data).mean(), rel=1e-4)


def test_gradients_are_those_of_the_plain_backward_pass():
    model, (images, labels) = _model(), _data()
    found = inspection.histograms(model, images, labels, bins=9, batch_size=7)
    hidden = [images]
    for layer in model:
        hidden.append(layer(hidden[-1]))
        hidden[-1].retain_grad()
    nn.functional.cross_entropy(hidden[-1], labels, reduction="sum").backward()
    for name, histogram in found.gradients.items():
        g = np.abs(hidden[1 + int(name)].grad.data)
        assert histogram.mean_abs == pytest.approx(g.mean(), rel=1e-4)
        assert histogram.zeros == pytest.approx(np.mean(g == 0), abs=1e-6)
        edges = np.geomspace(g[g > 0].min(), g.max(), 10)
        np.testing.assert_allclose(histogram.edges, edges, rtol=1e-3)
        assert np.abs(histogram.counts - np.histogram(g[g > 0], edges)[0]).sum() <= 4
        assert histogram.counts.sum() == np.count_nonzero(g)
    for name, parameter in model.named_parameters():
        g = np.abs(parameter.grad.data) / len(images)  # of the mean loss
        assert found.parameters[name].mean_abs == pytest.approx(g.mean(), rel=1e-4)
        assert found.parameters[name].counts.sum() == np.count_nonzero(g)


def test_the_size_of_a_batch_changes_no_mean():
    model, (images, labels) = _model(), _data()
    a, b = (inspection.histograms(model, images, labels, batch_size=size) for size in (2, 100))
    for one, other in zip(a, b, strict=True):
        assert list(one) == list(other)
        for name in one:
            assert one[name].mean_abs == pytest.approx(other[name].mean_abs, rel=1e-4)


def test_frozen_parameters_have_no_gradient_but_their_layers_activations_have():
    model, (images, labels) = _model(), _data()
    model[0].requires_grad_(False)
    found = inspection.histograms(model, images, labels)
    assert list(found.parameters) == ["3.weight", "3.bias", "7.weight", "7.bias"]
    assert found.gradients["0"].mean_abs > 0


def test_another_loss_can_be_looked_at():
    model = nn.Sequential(nn.Dense(4, 1, rng=0))
    x = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    target = np.ones((6, 1), np.float32)
    found = inspection.histograms(model, x, target, loss=nn.functional.mse_loss, batch_size=4)
    expected = np.abs(2 * (model(x).data - target))  # of each example's own loss
    assert found.gradients["0"].mean_abs == pytest.approx(expected.mean(), rel=1e-5)


def test_a_layer_of_zeros_has_all_its_values_in_the_middle_and_no_gradient():
    model, (images, labels) = _model(), _data()
    model[7].weight.data, model[7].bias.data = np.zeros((128, 3), np.float32), np.zeros(3, np.float32)
    found = inspection.histograms(model, images, labels, bins=5)
    assert found.activations["7"].counts.tolist() == [0, 0, 21, 0, 0]
    assert found.gradients["0"].zeros == 1
    assert found.gradients["0"].counts.sum() == 0


def test_what_is_not_finite_is_named_by_its_layer():
    model, (images, labels) = _model(), _data()
    model[3].bias.data = np.full(32, np.inf, np.float32)
    with np.errstate(all="ignore"), \
            pytest.raises(ValueError, match=r"histograms: the output of layer '3' is not finite; .* ag\.anomaly"):
        inspection.histograms(model, images, labels)


def test_what_does_not_fit_is_refused():
    model, (images, labels) = _model(), _data()
    with pytest.raises(ValueError, match=r"histograms: 7 images need labels of shape \(7,\), got \(6,\)"):
        inspection.histograms(model, images, labels[1:])
    with pytest.raises(ValueError, match="histograms: labels must be from 0 to 2, got 0 to 9"):
        inspection.histograms(model, images[:2], [0, 9])
    with pytest.raises(ValueError, match=r"dead_units: there are no examples, got shape \(0, 8, 8, 1\)"):
        inspection.dead_units(model, images[:0])
    with pytest.raises(TypeError, match="dead_units: expected a Module, got list"):
        inspection.dead_units([], images)
