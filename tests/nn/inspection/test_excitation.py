"""What excites filters: inputs with a known answer, images that were planted, receptive fields by arithmetic."""

import numpy as np
import pytest

import nn
from nn import inspection


def _small():
    return nn.models.small((16, 16, 1), 3, rng=0)


def test_the_input_that_excites_a_linear_filter_most_is_the_filter_itself():
    conv = nn.Conv2d(2, 4, 3, rng=0)
    made = inspection.activation_maximization(conv_model := nn.Sequential(conv), (3, 3, 2), norm=2.5)
    for k in range(4):
        kernel = conv.weight.data[..., k]
        np.testing.assert_allclose(made[k], 2.5 * kernel / np.linalg.norm(kernel), atol=1e-3)
    large = inspection.activation_maximization(conv_model, (9, 9, 2), filters=[2], norm=1.0)[0]
    kernel = conv.weight.data[..., 2] / np.linalg.norm(conv.weight.data[..., 2])
    np.testing.assert_allclose(large[3:6, 3:6], kernel, atol=1e-3)  # the middle of 7 x 7 places looks at these pixels
    assert np.abs(np.delete(large, slice(3, 6), axis=0)).max() < 1e-3


def test_of_a_dense_layer_filters_are_its_outputs():
    model = nn.Sequential(nn.Flatten(), nn.Dense(12, 3, rng=0))
    made = inspection.activation_maximization(model, (2, 3, 2), "1", filters=[2], norm=1.0)[0]
    weight = model[1].weight.data[:, 2]
    np.testing.assert_allclose(made.reshape(-1), weight / np.linalg.norm(weight), atol=1e-3)


def test_the_norm_is_kept_and_no_random_input_of_it_excites_more():
    model = _small()
    made = inspection.activation_maximization(model, (16, 16, 1), "3", filters=[0, 5])
    norm = 0.5 * 8  # a receptive field of 8 x 8 filled with 0.5
    np.testing.assert_allclose(np.sqrt((made**2).sum((1, 2, 3))), norm, rtol=1e-5)
    maps = nn.Sequential(*model[:4])(made).data
    others = np.random.default_rng(0).normal(size=(500, 16, 16, 1))
    others[:, :, [*range(4), *range(12, 16)]] = others[:, [*range(4), *range(12, 16)]] = 0  # none of it is wasted
    others *= norm / np.sqrt((others**2).sum((1, 2, 3), keepdims=True))
    best = nn.Sequential(*model[:4])(others.astype(np.float32)).data[:, 4, 4].max(axis=0)
    assert maps[0, 4, 4, 0] > best[0]
    assert maps[1, 4, 4, 5] > best[5]


def test_blur_and_jitter_smooth_what_is_made():
    model, shape = _small(), (16, 16, 1)

    def roughness(x):
        return np.square(np.diff(x[:, 4:12, 4:12], axis=1)).sum() / np.square(x).sum()

    def made(**settings):
        return inspection.activation_maximization(model, shape, "3", [0, 1, 2], steps=40, **settings)

    assert roughness(made(blur=0.7)) < roughness(made())
    assert roughness(made(jitter=2)) < roughness(made())
    assert np.array_equal(made(), made())  # the noise to start from is the seed's


def test_the_top_images_are_those_with_the_largest_activations_and_where_they_were():
    model = nn.Sequential(nn.Conv2d(1, 2, 3, stride=2, padding=1, rng=0), nn.ReLU())
    images = np.random.default_rng(0).random((7, 9, 9, 1), dtype=np.float32)
    maps = model[0](images).data
    found = inspection.top_images(model, images, filters=[1, 0], n=3, batch_size=2)
    for top, k in zip(found, (1, 0), strict=True):
        ranked = sorted(range(7), key=lambda i: -maps[i, ..., k].max())[:3]
        assert top.indices.tolist() == ranked
        for activation, i, (rows, columns) in zip(top.activations, ranked, top.boxes, strict=True):
            assert activation == pytest.approx(maps[i, ..., k].max(), rel=1e-5)
            y, x = np.unravel_index(maps[i, ..., k].argmax(), (5, 5))
            assert (rows.start, rows.stop) == (max(2 * y - 1, 0), min(2 * y + 2, 9))  # padding cuts it at the edges
            assert (columns.start, columns.stop) == (max(2 * x - 1, 0), min(2 * x + 2, 9))


@pytest.mark.parametrize(("layer", "size"), [("0", 3), ("2", 4), ("3", 8), ("5", 10)])
def test_receptive_fields_are_as_long_as_the_arithmetic_says(layer, size):
    model = nn.models.small((28, 28, 1), rng=0)  # 3; 3 + 1; 4 + 2 * 2; 8 + 2
    rows, columns = inspection.receptive_field(model, (28, 28, 1), layer)
    assert rows.stop - rows.start == columns.stop - columns.start == size


def test_with_64_channels_for_which_winograd_is_taken_in_float32_it_is_no_larger():
    model = nn.Sequential(nn.Conv2d(64, 64, 3, padding=1, rng=0), nn.Conv2d(64, 64, 3, padding=1, rng=1))
    assert inspection.receptive_field(model, (16, 16, 64), at=(8, 5)) == (slice(6, 11), slice(3, 8))


def test_all_of_an_image_reaches_a_dense_layer_and_a_dead_unit():
    model = _small()
    assert inspection.receptive_field(model, (16, 16, 1), "7") == (slice(0, 16), slice(0, 16))
    model[0].bias.data = np.full(16, -1e3, np.float32)
    assert inspection.receptive_field(model, (16, 16, 1), "3") == (slice(0, 16), slice(0, 16))


def test_what_does_not_fit_is_refused():
    model, images = _small(), np.zeros((2, 16, 16, 1), np.float32)
    with pytest.raises(ValueError, match=r"activation_maximization: filters of layer '3' are from 0 to 31, got \[32\]"):
        inspection.activation_maximization(model, (16, 16, 1), filters=[32])
    with pytest.raises(TypeError, match=r"top_images: filters must be a list of whole numbers, got \[0\.5\]"):
        inspection.top_images(model, images, filters=[0.5])
    with pytest.raises(ValueError, match=r"activation_maximization: image_shape must be \(H, W, C\), got \(16, 16\)"):
        inspection.activation_maximization(model, (16, 16))
    with pytest.raises(ValueError, match=r"activation_maximization: '8' is no layer of the model; its layers are '0'"):
        inspection.activation_maximization(model, (16, 16, 1), "8")
    with pytest.raises(ValueError, match=r"top_images: images must be \(N, H, W, C\)"):
        inspection.top_images(model, images[0])
    with pytest.raises(ValueError, match=r"receptive_field: the place \(8, 0\) is outside of the maps, which are 8x8"):
        inspection.receptive_field(model, (16, 16, 1), at=(8, 0))
    with pytest.raises(ValueError, match=r"activation_maximization: norm must be greater than 0"):
        inspection.activation_maximization(model, (16, 16, 1), norm=0)
