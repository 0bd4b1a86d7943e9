"""Kernels."""

import re

import numpy as np
import pytest

import nn
from nn import plot
from tests.nn.plot.reading import assert_no_text_overlaps, drawn, small_model, tiles

pytestmark = pytest.mark.needs("matplotlib")


def test_kernels_of_grey_images_are_signed_on_one_scale():
    model = small_model()
    figure = plot.kernels(model)
    weight = model[0].weight.data
    np.testing.assert_allclose(tiles(figure.axes[0], 3, 3, 16), [weight[:, :, 0, o] for o in range(16)])
    low, high = figure.axes[0].images[0].get_clim()
    assert high == -low == pytest.approx(np.abs(weight).max())
    assert len(figure.axes) == 2  # with the colour bar
    assert "layer 0, 3x3: all 16 outputs" in figure._suptitle.get_text()
    assert_no_text_overlaps(figure)


def test_kernels_of_coloured_images_are_coloured_around_grey():
    model = nn.Sequential(nn.Conv2d(3, 5, 3, rng=0))
    figure = plot.kernels(model)
    weight = model[0].weight.data
    expected = [weight[..., o] / (2 * np.abs(weight).max()) + 0.5 for o in range(5)]
    np.testing.assert_allclose(tiles(figure.axes[0], 3, 3, 5), expected, rtol=1e-6)
    assert "grey is 0" in figure._suptitle.get_text()


def test_kernels_between_layers_are_a_table_of_outputs_by_inputs():
    model = small_model()
    figure = plot.kernels(model, layer="3")
    weight = model[3].weight.data
    expected = [weight[:, :, c, o] for o in range(16) for c in range(16)]
    np.testing.assert_allclose(tiles(figure.axes[0], 3, 3, 256), expected)
    assert "the first 16 of 32 outputs" in figure._suptitle.get_text()
    assert "all 16 input channels" in figure._suptitle.get_text()
    again = plot.kernels(model, layer=model[3])
    assert np.array_equal(np.ma.filled(drawn(again.axes[0]), 9), np.ma.filled(drawn(figure.axes[0]), 9))


def test_kernels_can_be_limited_to_the_first_ones():
    figure = plot.kernels(small_model(), n=4)
    assert "the first 4 of 16 outputs" in figure._suptitle.get_text()
    assert drawn(figure.axes[0]).shape == (7, 7)  # 2 x 2 kernels of 3 x 3, and a gap


def test_a_layer_of_zeros_can_be_drawn():
    model = nn.Sequential(nn.Conv2d(1, 2, 3))
    model[0].weight.data = np.zeros_like(model[0].weight.data)
    assert plot.kernels(model).axes[0].images[0].get_clim() == (-1, 1)


def test_a_layer_that_is_not_there_is_refused_and_those_that_are_are_named():
    with pytest.raises(ValueError, match=re.escape("plot.kernels: '1' is no convolution of the model; its convolutions "
                                                   "are '0', '3'")):
        plot.kernels(small_model(), "1")
    with pytest.raises(ValueError, match=r"plot\.kernels: the model has no convolution, only MLP, Dense, ReLU"):
        plot.kernels(nn.MLP([4, 3, 2]))
    with pytest.raises(TypeError, match=r"plot\.kernels: expected a Module, got ndarray"):
        plot.kernels(np.ones((3, 3, 1, 4)))
