"""Feature maps, of all layers and of one."""

import numpy as np
import pytest

import autograd as ag
import nn
from nn import plot
from tests.nn.plot.reading import assert_no_text_overlaps, drawn, small_model, tiles

pytestmark = pytest.mark.needs("matplotlib")


def _maps(figure, stage, height, width, count):
    """The maps of a stage: the image is on the first axes, then before and after the activation."""
    return tiles(figure.axes[1 + stage], height, width, count)


def _titles(figure):
    """Of all axes but the colour bars."""
    return [ax.get_title() for ax in figure.axes if ax.get_title()]


def test_the_overview_has_a_row_for_each_layer_with_all_that_is_made_of_its_output(digits):
    model = small_model()
    image = digits.images[0]
    figure = plot.feature_maps(model, image)
    assert _titles(figure) == ["image, 28x28", "0 Conv2d, 28x28", "1 ReLU, 28x28", "2 MaxPool2d, 14x14",
                               "3 Conv2d, 14x14", "4 ReLU, 14x14", "5 MaxPool2d, 7x7", "7 Dense, 10 numbers"]
    axes = {ax.get_title().split(" ")[0]: ax for ax in figure.axes}
    x = image[None].astype(np.float32) / np.float32(255)
    first = ag.conv2d(x, model[0].weight.data, model[0].bias.data, padding="same")
    pooled = ag.max_pool2d(np.maximum(first, 0), 2)
    for name, size, out in (("0", 28, first), ("1", 28, np.maximum(first, 0)), ("2", 14, pooled)):
        np.testing.assert_allclose(tiles(axes[name], size, size, 16), out[0].transpose(2, 0, 1), rtol=1e-4, atol=1e-6)
        assert axes[name].images[0].get_clim()[1] == pytest.approx(np.abs(first).max(), rel=1e-5)  # one scale
    np.testing.assert_allclose(drawn(axes["7"])[0], model(x).data[0], rtol=1e-4, atol=1e-6)
    assert_no_text_overlaps(figure)


def test_wide_dense_layers_are_cut_into_rows_and_the_rest_stays_empty():
    model = nn.Sequential(nn.Conv2d(1, 2, 3, rng=0), nn.Flatten(), nn.Dense(32, 70, rng=0))
    cells = drawn(plot.feature_maps(model, np.ones((6, 6, 1), np.float32)).axes[3])
    assert cells.shape == (2, 64)
    assert np.ma.getmaskarray(np.ma.masked_invalid(cells)).sum() == 2 * 64 - 70


def test_feature_maps_are_what_each_convolution_makes_before_and_after_its_activation(digits):
    model = small_model()
    image = digits.images[0]
    figures = {name: plot.feature_maps(model, image, name) for name in ("0", "3")}
    x = image[None].astype(np.float32) / np.float32(255)
    first = ag.conv2d(x, model[0].weight.data, model[0].bias.data, padding="same")
    pooled = ag.max_pool2d(np.maximum(first, 0), 2)
    second = ag.conv2d(pooled, model[3].weight.data, model[3].bias.data, padding="same")
    for figure, out, size in ((figures["0"], first, 28), (figures["3"], second, 14)):
        before = out[0, :, :, :16].transpose(2, 0, 1)  # (1, H, W, O) -> (16, H, W)
        np.testing.assert_allclose(_maps(figure, 0, size, size, 16), before, rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(_maps(figure, 1, size, size, 16), np.maximum(before, 0), rtol=1e-4, atol=1e-6)
        titles = [ax.get_title() for ax in figure.axes]
        assert titles[:3] == ["image", f"before activation, {size}x{size}", f"after ReLU, {size}x{size}"]
        low, high = figure.axes[1].images[0].get_clim()
        assert figure.axes[2].images[0].get_clim() == (low, high)
        assert high == -low == pytest.approx(np.abs(before).max(), rel=1e-5)
        np.testing.assert_allclose(drawn(figure.axes[0]), x[0, :, :, 0])
        assert_no_text_overlaps(figure)
    assert figures["3"]._suptitle.get_text() == "layer 3: the first 16 of 32 channels"


def test_an_image_may_have_its_batch_axis(digits):
    model, x = small_model(), digits.images[:1]
    a, b = plot.feature_maps(model, x, "0"), plot.feature_maps(model, x[0], model[0])
    assert np.array_equal(np.ma.filled(drawn(a.axes[1]), 9), np.ma.filled(drawn(b.axes[1]), 9))


@pytest.mark.parametrize(("activation", "name"), [
    (nn.GELU(), "GELU"), (nn.SiLU(), "SiLU"), (nn.Tanh(), "Tanh"), (nn.Sigmoid(), "Sigmoid"),
    (nn.LeakyReLU(0.1), "LeakyReLU"), (ag.relu, "relu"), (nn.functional.leaky_relu, "leaky_relu"),
])
def test_the_activation_may_be_any_layer_or_function_also_after_a_normalization(activation, name):
    norm = nn.BatchNorm2d(4)
    norm.running_mean = np.full(4, 0.25, np.float32)
    model = nn.Sequential(nn.Conv2d(1, 4, 3, rng=0), norm, activation)
    x = np.random.default_rng(0).random((1, 8, 8, 1), dtype=np.float32)
    figure = plot.feature_maps(model, x, "0")
    model.eval()
    output, normalized, activated = model[0](x).data, model[:2](x).data, model(x).data
    assert _titles(figure) == ["image", "output, 6x6", "after BatchNorm2d, 6x6", f"after {name}, 6x6"]
    for i, maps in enumerate((output, normalized, activated)):
        np.testing.assert_allclose(_maps(figure, i, 6, 6, 4), maps[0].transpose(2, 0, 1), rtol=1e-5, atol=1e-7)
    scales = [ax.images[0].get_clim()[1] for ax in figure.axes[1:4]]
    later = max(np.abs(normalized).max(), np.abs(activated).max())
    assert scales == pytest.approx([np.abs(output).max(), later, later])


def test_a_convolution_without_an_activation_shows_its_output_alone():
    model = nn.Sequential(nn.Conv2d(1, 4, 3, rng=0), nn.Conv2d(4, 2, 3, rng=0), nn.ReLU(), nn.Flatten(), nn.Dense(8, 5),
                          nn.ReLU())
    image = np.ones((6, 6, 1), np.float32)
    figures = {name: plot.feature_maps(model, image, name) for name in ("0", "1")}
    assert [ax.get_title() for ax in figures["0"].axes] == ["image", "output, which no activation follows, 4x4", ""]
    assert "after ReLU, 2x2" in [ax.get_title() for ax in figures["1"].axes]


def test_a_convolution_alone_is_a_model_too():
    conv, image = nn.Conv2d(1, 2, 3, rng=0), np.ones((6, 6, 1), np.float32)
    assert _titles(plot.feature_maps(conv, image)) == ["image, 6x6", "Conv2d, 4x4"]
    assert _titles(plot.feature_maps(conv, image, conv)) == ["image", "output, which no activation follows, 4x4"]


def test_the_activation_of_a_later_dense_layer_is_not_taken_for_the_convolutions():
    model = nn.Sequential(nn.Conv2d(1, 4, 3, rng=0), nn.Flatten(), nn.Dense(64, 4, rng=0), nn.ReLU())
    figure = plot.feature_maps(model, np.ones((6, 6, 1), np.float32), "0")
    assert len(figure.axes) == 3  # the image, the output and the colour bar


def test_residual_blocks_and_transposed_convolutions_have_feature_maps_too():
    model = nn.Sequential(nn.models.BasicBlock(2, 2, rng=0), nn.ConvTranspose2d(2, 1, 2, stride=2, rng=0))
    image = np.random.default_rng(0).random((4, 4, 2), dtype=np.float32)
    assert _titles(plot.feature_maps(model, image)) == [
        "image, 4x4", "0.conv1 Conv2d, 4x4", "0.norm1 BatchNorm2d, 4x4", "0.relu relu, 4x4",
        "0.conv2 Conv2d, 4x4", "0.norm2 BatchNorm2d, 4x4", "0.relu#2 relu, 4x4", "1 ConvTranspose2d, 8x8"]
    assert _titles(plot.feature_maps(model, image, "0.conv2")) == ["image", "output, 4x4", "after BatchNorm2d, 4x4",
                                                                   "after relu, 4x4"]


def test_the_model_is_as_it_was_after_its_feature_maps_were_drawn(digits):
    model = small_model()
    plot.feature_maps(model, digits.images[0])
    assert model.training
    assert all(not vars(module).get("_forward_hooks") for module in model.modules())


def test_what_makes_no_feature_maps_is_refused(digits):
    with pytest.raises(ValueError, match=r"^feature_maps: expected one image .*, got shape \(2, 28, 28, 1\)"):
        plot.feature_maps(small_model(), digits.images[:2])
    with pytest.raises(ValueError, match=r"plot\.feature_maps: the model has no convolution, only MLP"):
        plot.feature_maps(nn.MLP([4, 3, 2]), digits.images[0])

    class Unused(nn.Module):
        def __init__(self):
            self.conv = nn.Conv2d(1, 2, 3)

        def forward(self, x):
            return x

    with pytest.raises(ValueError, match=r"plot\.feature_maps: the model called none of its convolutions"):
        plot.feature_maps(Unused(), digits.images[0])
    with pytest.raises(ValueError, match=r"plot\.feature_maps: the model did not call its convolution 'conv'"):
        plot.feature_maps(Unused(), digits.images[0], "conv")
    with pytest.raises(ValueError, match=r"plot\.feature_maps: '1' is no convolution of the model; .* are '0', '3'"):
        plot.feature_maps(small_model(), digits.images[0], "1")
