"""Saliency, integrated gradients and Grad-CAM: what is drawn is what nn.inspection finds."""

import numpy as np
import pytest

import nn
from nn import inspection, plot
from nn.plot.parts import WRONG
from tests.nn.plot.reading import assert_no_text_overlaps, drawn, plain_logits, small_model

pytestmark = pytest.mark.needs("matplotlib")

ALL = [plot.saliency, plot.integrated_gradients, plot.grad_cam]


def _halves(figure):
    """The axes of the images and those of the maps below; they stand in rows of six, by turns."""
    axes = [ax for ax in figure.axes if ax.images]
    return [ax for ax in axes if ax.get_title()], [ax for ax in axes if ax.get_xlabel()]


@pytest.mark.parametrize("draw", ALL)
def test_images_stand_above_their_maps_with_the_class_and_its_probability(draw, digits):
    model, images = small_model(), digits.images[:8]
    labels = np.arange(8)
    names = [f"class {i}" for i in range(10)]
    n = 7 if draw is plot.saliency else 2  # of seven, one is in the second row
    above, below = _halves(draw(model, images, labels, classes=names, n=n))
    assert len(above) == len(below) == n
    logits = plain_logits(model, images).astype(np.float64)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    for i, ax in enumerate(above):
        assert ax.get_title() == f"class {i}  {100 * shares[i, i]:.1f} %"
        np.testing.assert_allclose(drawn(ax), images[i, :, :, 0] / 255, atol=1e-6)
    [alone], _ = _halves(draw(model, images, n=1))
    assert alone.get_title().split()[0] == str(logits[0].argmax())  # the predicted class, without labels
    with pytest.raises(ValueError, match=r"3 classes are named but the model has 10"):
        draw(model, images, classes=["a", "b", "c"])


def test_saliency_is_drawn_as_a_share_of_its_largest_value_which_is_told(digits):
    model, images = small_model(), digits.images[:3]
    figure = plot.saliency(model, images, samples=2)
    maps = inspection.saliency(model, images, samples=2)
    for ax, values in zip(_halves(figure)[1], maps, strict=True):
        np.testing.assert_allclose(drawn(ax), values / values.max(), rtol=1e-5)
        assert ax.get_xlabel() == f"largest {values.max():.2g}"
    assert "mean of 2 noisy copies (SmoothGrad)" in figure.get_suptitle()
    assert figure.axes[-1].get_ylabel() == "share of the largest in the map"


def test_integrated_gradients_are_signed_on_one_scale_and_tell_their_gap(digits):
    model, images = small_model(), digits.images[:3]
    figure = plot.integrated_gradients(model, images, steps=5, baseline=0.1)
    found = inspection.integrated_gradients(model, images, steps=5, baseline=0.1)
    scale = np.abs(found.attributions).max()
    for i, ax in enumerate(_halves(figure)[1]):
        np.testing.assert_allclose(drawn(ax), found.attributions[i, :, :, 0], rtol=1e-5)
        low, high = ax.images[0].get_clim()
        assert high == -low == pytest.approx(scale)
        change, total, gap = ax.get_xlabel().split("\n")
        assert change == f"change {found.change[i]:.2f}"
        assert total == f"sum {found.attributions[i].sum():.2f}"
        assert gap == f"gap {100 * abs(found.gap[i] / found.change[i]):.2f} %"
    assert "5 steps from the baseline" in figure.get_suptitle()


def test_pictures_of_low_images_can_be_read():
    model = nn.Sequential(nn.Conv2d(1, 3, 3, padding=1, rng=0), nn.ReLU(), nn.Flatten(), nn.Dense(240, 2, rng=0))
    images = np.random.default_rng(0).random((2, 4, 20, 1), dtype=np.float32)
    assert_no_text_overlaps(plot.saliency(model, images))
    assert_no_text_overlaps(plot.activation_maximization(model, images, steps=2, top=1, n=2))


def test_a_gap_of_more_than_5_percent_is_red():
    class Tenth(nn.Module):
        def forward(self, x):
            return (x**10).sum((1, 2))  # (N, H, W, 1) -> (N, 1)

    colours = [plot.integrated_gradients(Tenth(), np.ones((1, 2, 2, 1), np.float32), steps=steps).axes[1]
               .xaxis.label.get_color() for steps in (1, 16)]
    assert colours == [WRONG, "black"]


def test_grad_cam_lies_over_all_of_the_image(digits):
    model, images = small_model(), digits.images[:3]
    labels = [0, 4, 7]
    figure = plot.grad_cam(model, images, labels, layer="5")
    for ax, values in zip(_halves(figure)[1], inspection.grad_cam(model, images, labels, "5"), strict=True):
        picture, overlay = ax.images
        assert list(picture.get_extent()) == list(overlay.get_extent()) == [-0.5, 27.5, 27.5, -0.5]
        np.testing.assert_allclose(overlay.get_array(), values / (values.max() or 1), rtol=1e-5)
        assert overlay.get_interpolation() == "bilinear"
    assert "layer 5, maps of 7x7" in figure.get_suptitle()
