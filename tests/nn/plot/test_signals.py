"""Histograms: each layer's row holds its counts, magnitudes share a scale, and dead ReLUs are named."""

import numpy as np
import pytest

import nn
from nn import inspection, plot
from nn.plot.parts import WRONG
from tests.nn.plot.reading import small_model

pytestmark = pytest.mark.needs("matplotlib")


def _counts(ax):
    return [patch.get_data() for patch in ax.patches]


def test_each_layer_has_a_row_of_activations_gradients_and_parameters(digits):
    model = small_model()
    images, labels = digits.images[:20], digits.labels[:20]
    figure = plot.histograms(model, images, labels, bins=15)
    found = inspection.histograms(model, images, labels, bins=15)
    rows = np.array(figure.axes).reshape(5, 3)
    assert [ax.get_ylabel() for ax in rows[:, 0]] == ["0 Conv2d", "1 ReLU", "3 Conv2d", "4 ReLU", "7 Dense"]
    for (left, middle, right), name in zip(rows, found.activations, strict=True):
        for ax, histogram in ((left, found.activations[name]), (middle, found.gradients[name])):
            [(counts, edges, _)] = _counts(ax)
            assert np.array_equal(counts, histogram.counts)
            np.testing.assert_allclose(edges, histogram.edges)
        assert middle.lines[0].get_xdata()[0] == pytest.approx(found.gradients[name].mean_abs)
        parameters = [h for key, h in found.parameters.items() if key.startswith(f"{name}.")]
        assert [counts.tolist() for counts, *_ in _counts(right)] == [h.counts.tolist() for h in parameters]
    for column in (rows[:, 1], rows[:, 2]):
        assert {ax.get_xscale() for ax in column} == {"log"}
        assert len({ax.get_xlim() for ax in column}) == 1
    assert rows[1, 0].texts[0].get_text() == f"{100 * found.activations['1'].zeros:.1f} % zeros"


def test_vanishing_gradients_are_seen_as_means_that_wander_to_the_left():
    layers = [layer for i in range(8) for layer in (nn.Dense(8, 8, rng=i), nn.Sigmoid())]
    model = nn.Sequential(*layers, nn.Dense(8, 3, rng=9))
    x = np.random.default_rng(0).normal(size=(30, 8)).astype(np.float32)
    figure = plot.histograms(model, x, np.arange(30) % 3)
    middle = np.array(figure.axes).reshape(-1, 3)[:, 1]
    means = [ax.lines[0].get_xdata()[0] for ax in middle]
    assert means[0] < 1e-4 * means[-1]
    low, high = middle[0].get_xlim()
    assert low < means[0] < means[-1] < high  # all of them are in the picture


def test_dead_relus_are_named_by_layer_and_unit(digits):
    model = small_model()
    bias = np.full(16, 10, np.float32)
    bias[[3, 7]] = -1e3
    model[0].bias.data = bias
    model[3].bias.data = np.full(32, -1e3, np.float32)
    figure = plot.histograms(model, digits.images[:10], digits.labels[:10])
    assert figure.get_supxlabel().split("\n") == [
        "dead ReLUs, 0 for all 10 images: 34 of 48 units", "1: 2 of 16 (12 %): 3, 7",
        "4: 32 of 32 (100 %): 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, ..."]
    labels = {ax.get_ylabel(): ax.yaxis.label.get_color() for ax in figure.axes if ax.get_ylabel()}
    assert labels["1 ReLU"] == labels["4 ReLU"] == WRONG
    assert labels["0 Conv2d"] == "black"


def test_where_all_units_live_or_there_are_none_this_is_said():
    x, labels = np.ones((2, 4), np.float32), [0, 1]
    alive = nn.Sequential(nn.Dense(4, 3, rng=0), nn.ReLU(), nn.Dense(3, 2, rng=0))
    alive[0].bias.data = np.full(3, 9, np.float32)
    assert plot.histograms(alive, x, labels).get_supxlabel() == "dead ReLUs, 0 for all 2 images: 0 of 3 units"
    none = nn.Sequential(nn.Dense(4, 2, rng=0))
    assert plot.histograms(none, x, labels).get_supxlabel() == "no ReLU was called"


def test_parameters_of_a_layer_that_is_not_shown_have_a_row_of_their_own():
    model = nn.Sequential(nn.Embedding(5, 4, rng=0), nn.Flatten(), nn.Dense(12, 2, rng=0))
    with pytest.raises(TypeError, match="histograms: images must be floats"):
        plot.histograms(model, np.zeros((3, 3), np.int64), [0, 1, 0])

    class Scaled(nn.Module):
        def __init__(self):
            self.dense = nn.Dense(4, 2, rng=0)
            self.scale = nn.Dense(1, 1, rng=0).weight

        def forward(self, x):
            return self.dense(x) * self.scale

    figure = plot.histograms(Scaled(), np.ones((3, 4), np.float32), [0, 1, 0])
    assert [ax.get_ylabel() for ax in figure.axes if ax.get_ylabel()] == ["dense Dense", "scale"]
