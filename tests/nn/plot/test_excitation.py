"""What excites filters: the made input cut to its field, and the top images with frames."""

import numpy as np
import pytest

import nn
from nn import inspection, plot
from nn.plot.parts import FOUND
from tests.nn.plot.reading import drawn, small_model

pytestmark = pytest.mark.needs("matplotlib")


def test_beside_each_made_input_stand_the_top_images_with_the_field_framed(digits):
    model, images = small_model(), digits.images
    figure = plot.activation_maximization(model, images, "3", filters=[5, 9], top=3, steps=3)
    axes = [ax for ax in figure.axes if ax.images]
    made = inspection.activation_maximization(model, (28, 28, 1), "3", [5, 9], steps=3)
    best = inspection.top_images(model, images, "3", [5, 9], 3)
    rows, columns = inspection.receptive_field(model, (28, 28, 1), "3")
    for i in range(2):
        first, *others = axes[4 * i : 4 * i + 4]
        assert first.get_title() == f"filter {(5, 9)[i]}"
        np.testing.assert_allclose(drawn(first), made[i, rows, columns, 0], rtol=1e-5)
        for ax, activation, index, (ys, xs) in zip(others, *best[i], strict=True):
            assert ax.get_title() == f"{activation:.3g}"
            np.testing.assert_allclose(drawn(ax), images[index, :, :, 0] / 255, atol=1e-6)
            [frame] = ax.lines
            assert frame.get_color() == FOUND
            assert set(frame.get_ydata()) == {ys.start - 0.5, ys.stop - 0.5}
            assert set(frame.get_xdata()) == {xs.start - 0.5, xs.stop - 0.5}
    assert figure.get_suptitle().startswith("layer 3: 2 of 32 filters\n")


def test_filters_that_are_not_there_are_refused(digits):
    with pytest.raises(TypeError, match="activation_maximization: filters must be a list of whole numbers, got 3"):
        plot.activation_maximization(small_model(), digits.images, filters=3)
    with pytest.raises(ValueError, match=r"filters of layer '0' are from 0 to 15, got \[16\]"):
        plot.activation_maximization(small_model(), digits.images, "0", filters=[16])


def test_a_field_that_is_all_of_the_image_has_no_frame_and_colours_are_around_grey():
    model = nn.Sequential(nn.Flatten(), nn.Dense(48, 3, rng=0))
    images = np.random.default_rng(0).random((4, 4, 4, 3), dtype=np.float32)
    figure = plot.activation_maximization(model, images, "1", top=2, steps=2)
    axes = [ax for ax in figure.axes if ax.images]
    assert len(axes) == len(figure.axes) == 9  # 3 filters, without a colour bar
    assert not any(ax.lines for ax in axes)
    made = inspection.activation_maximization(model, (4, 4, 3), "1", steps=2)
    np.testing.assert_allclose(drawn(axes[0]), made[0] / (2 * np.abs(made).max()) + 0.5, rtol=1e-5)
    assert figure.get_suptitle().startswith("layer 1: all 3 filters\n")
