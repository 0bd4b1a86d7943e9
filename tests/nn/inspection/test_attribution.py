"""Saliency, integrated gradients and Grad-CAM, against differences, closed forms and loops."""

import numpy as np
import pytest

import autograd as ag
import nn
from nn import inspection


def _smooth(rng=0):
    """A small CNN without kinks, in float64 (by its fixture)."""
    return nn.Sequential(nn.Conv2d(2, 3, 3, rng=rng), nn.Tanh(), nn.Flatten(), nn.Dense(27, 4, rng=rng))


def _images(n=3, shape=(5, 5, 2), dtype=np.float64):
    return np.random.default_rng(1).random((n, *shape)).astype(dtype)


class _Linear(nn.Module):
    """logits = sum(x * w[class]) + class."""

    def __init__(self, w):
        self.w = ag.Tensor(w, requires_grad=True)

    def forward(self, x):
        return (x[:, None] * self.w).sum((2, 3, 4)) + np.arange(len(self.w.data), dtype=x.dtype)


# ---------------------------------------------------------------------- saliency


def test_saliency_is_the_largest_difference_quotient_of_the_logit_over_the_channels(float64):
    model, images, labels = _smooth(), _images(), np.array([0, 3, 1])
    found = inspection.saliency(model, images, labels)
    h = 1e-5
    for i, label in enumerate(labels):
        for y, x in ((0, 0), (2, 3), (4, 4)):
            slopes = []
            for c in range(2):
                up, down = images[i : i + 1].copy(), images[i : i + 1].copy()
                up[0, y, x, c] += h
                down[0, y, x, c] -= h
                slopes.append(abs(model(up).data[0, label] - model(down).data[0, label]) / (2 * h))
            assert found[i, y, x] == pytest.approx(max(slopes), rel=1e-6)


def test_without_labels_the_predicted_class_is_meant(float64):
    model, images = _smooth(), _images()
    predicted = model(images).data.argmax(axis=1)
    assert np.array_equal(inspection.saliency(model, images), inspection.saliency(model, images, predicted))
    other = (predicted + 1) % 4
    assert not np.allclose(inspection.saliency(model, images), inspection.saliency(model, images, other))


def test_smoothgrad_is_the_mean_of_the_gradients_at_noisy_copies(float64):
    class Square(nn.Module):
        def forward(self, x):
            return (x * x).sum((1, 2)) * np.array([1.0])  # gradient 2 x: its mean is 2 (x + the mean of the noise)

    images = _images(2, (3, 3, 1)) * np.array([1.0, 4.0])[:, None, None, None]
    found = inspection.saliency(Square(), images, samples=5, noise=0.3, rng=7)
    draws = np.random.default_rng(7)
    for image, values in zip(images, found, strict=True):
        copies = image + 0.3 * (image.max() - image.min()) * draws.standard_normal((5, 3, 3, 1))
        np.testing.assert_allclose(values, np.abs(2 * copies.mean(axis=0))[..., 0], rtol=1e-12)
    again = inspection.saliency(Square(), images, samples=5, noise=0.3, rng=7)
    assert np.array_equal(found, again)
    np.testing.assert_allclose(inspection.saliency(Square(), images, samples=5, noise=0.3, rng=7, batch_size=2), found)
    np.testing.assert_allclose(inspection.saliency(Square(), images, samples=3, noise=0), 2 * images[..., 0])


# ---------------------------------------------------------------------- integrated gradients


def test_of_a_linear_model_integrated_gradients_are_the_weights_times_the_way(float64):
    w = np.random.default_rng(0).normal(size=(3, 5, 5, 2))
    images, labels = _images(), np.array([2, 0, 1])
    baseline = np.full((5, 5, 2), 0.25)
    found = inspection.integrated_gradients(_Linear(w), images, labels, baseline, steps=1)
    np.testing.assert_allclose(found.attributions, w[labels] * (images - baseline), rtol=1e-12)
    np.testing.assert_allclose(found.gap, 0, atol=1e-12)
    np.testing.assert_allclose(found.change, (w[labels] * (images - baseline)).sum((1, 2, 3)), rtol=1e-12)


def test_of_a_cubic_model_two_steps_are_exact(float64):
    class Cubic(nn.Module):
        def forward(self, x):
            return (x**3).sum((1, 2))  # (N, H, W, 1) -> (N, 1): the logit is a sum of cubes

    images = _images(2, (3, 3, 1))
    found = inspection.integrated_gradients(Cubic(), images, baseline=0.5, steps=2)
    np.testing.assert_allclose(found.attributions, images**3 - 0.5**3, rtol=1e-12)


def test_attributions_add_up_to_the_change_of_the_logit(float64):
    model, images = _smooth(), _images()
    labels = np.array([1, 1, 2])
    found = inspection.integrated_gradients(model, images, labels, steps=8)
    rows = np.arange(3)
    change = model(images).data[rows, labels] - model(np.zeros_like(images)).data[rows, labels]
    np.testing.assert_allclose(found.attributions.sum((1, 2, 3)), change, rtol=1e-9)
    np.testing.assert_allclose(found.change, change, rtol=1e-12)
    assert np.abs(found.gap).max() < 1e-9


def test_the_gap_says_how_far_too_few_steps_are_off(float64):
    model, images = _smooth(), 20 * _images()
    rough = inspection.integrated_gradients(model, images, steps=2)
    np.testing.assert_allclose(rough.gap, rough.change - rough.attributions.sum((1, 2, 3)))
    assert np.abs(rough.gap).max() > 1e-3
    fine = inspection.integrated_gradients(model, images, steps=200, batch_size=33)
    assert np.abs(fine.gap).max() < 1e-6


def test_a_baseline_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match=r"integrated_gradients: the baseline \(4,\) does not broadcast to the images"):
        inspection.integrated_gradients(_smooth(), _images(dtype=np.float32), baseline=np.zeros(4))
    with pytest.raises(TypeError, match="integrated_gradients: the baseline must be numbers"):
        inspection.integrated_gradients(_smooth(), _images(dtype=np.float32), baseline="black")


# ---------------------------------------------------------------------- Grad-CAM


def test_grad_cam_is_what_a_loop_makes_of_weights_known_by_hand(float64):
    # the logit is a dense layer on the mean of each map, so d logit / d A[y, x, k] = v[k, label] / (h * w)
    model = nn.Sequential(nn.Conv2d(2, 3, 3, rng=0), nn.ReLU(), nn.GlobalAvgPool2d(), nn.Dense(3, 4, rng=0))
    images, labels = _images() - 0.5, np.array([0, 3, 1])
    found = inspection.grad_cam(model, images, labels)
    maps = np.maximum(ag.conv2d(images, model[0].weight.data, model[0].bias.data), 0)
    v = model[3].weight.data
    assert found.shape == (3, 3, 3)
    assert (found > 0).any()
    for i, label in enumerate(labels):
        for y in range(3):
            for x in range(3):
                total = sum(v[k, label] / 9 * maps[i, y, x, k] for k in range(3))
                assert found[i, y, x] == pytest.approx(max(total, 0), abs=1e-12)


def test_grad_cam_takes_the_layer_that_is_named(float64):
    model = nn.Sequential(nn.Conv2d(2, 3, 3, padding=1, rng=0), nn.ReLU(), nn.MaxPool2d(2),
                          nn.Conv2d(3, 2, 1, rng=0), nn.GlobalAvgPool2d())
    images, labels = _images() - 0.5, np.array([0, 1, 1])
    pooled = ag.max_pool2d(np.maximum(ag.conv2d(images, model[0].weight.data, model[0].bias.data, padding=1), 0), 2)
    weights = model[3].weight.data[0, 0][:, labels].T / 4  # (K, classes) -> (N, K)
    expected = np.maximum((weights[:, None, None] * pooled).sum(3), 0)
    np.testing.assert_allclose(inspection.grad_cam(model, images, labels, "2"), expected, atol=1e-12)
    np.testing.assert_allclose(inspection.grad_cam(model, images, labels, model[2]), expected, atol=1e-12)
    assert inspection.grad_cam(model, images, labels, "0").shape == (3, 5, 5)
    assert inspection.grad_cam(model, images, labels).shape == (3, 2, 2)


def test_grad_cam_of_a_block_and_behind_a_functional_activation():
    model = nn.models.resnet20((8, 8, 3), 4, rng=0)
    images = _images(2, (8, 8, 3), np.float32)
    last = inspection.grad_cam(model, images)
    np.testing.assert_allclose(last, inspection.grad_cam(model, images, layer="11"))  # relu(x + ...) is its output
    assert last.shape == (2, 2, 2)


def test_layers_without_maps_are_refused_and_those_there_are_named():
    model, images = nn.models.small((8, 8, 1), 3, rng=0), _images(2, (8, 8, 1), np.float32)
    with pytest.raises(ValueError, match=r"grad_cam: layer '7' must give maps \(N, h, w, K\), but it gave \(2, 3\)"):
        inspection.grad_cam(model, images, layer="7")
    with pytest.raises(ValueError, match=r"grad_cam: '9' is no layer of the model; its layers are '0', '1', '2', '3'"):
        inspection.grad_cam(model, images, layer="9")
    with pytest.raises(ValueError, match=r"grad_cam: the model has no convolution, only MLP, Dense, ReLU"):
        inspection.grad_cam(nn.MLP([4, 3, 2]), images)


# ---------------------------------------------------------------------- all three


ALL = [inspection.saliency, inspection.integrated_gradients, inspection.grad_cam]


def _arrays(found):
    return list(found) if isinstance(found, tuple) else [found]


@pytest.mark.parametrize("f", ALL)
def test_bytes_count_as_shares_of_255_and_tensors_as_arrays(f):
    model = nn.models.small((8, 8, 1), 3, rng=0)
    images = np.random.default_rng(0).integers(256, size=(3, 8, 8, 1), dtype=np.uint8)
    floats = images / np.float32(255)
    tensor = ag.Tensor(floats, requires_grad=True)
    for a, b, c in zip(_arrays(f(model, images)), _arrays(f(model, floats)), _arrays(f(model, tensor)), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
        assert np.array_equal(b, c)


@pytest.mark.parametrize("f", ALL)
def test_the_size_of_a_batch_changes_nothing(f):
    model, images = nn.models.small((8, 8, 1), 3, rng=0), _images(5, (8, 8, 1), np.float32)
    for a, b in zip(_arrays(f(model, images, batch_size=2)), _arrays(f(model, images)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("f", ALL)
def test_what_does_not_fit_is_refused(f):
    model, images = nn.models.small((8, 8, 1), 3, rng=0), _images(2, (8, 8, 1), np.float32)
    where = f.__name__
    with pytest.raises(ValueError, match=rf"{where}: images must be \(N, H, W, C\) .*\(8, 8, 1\); .*images\[None\]"):
        f(model, images[0])
    with pytest.raises(TypeError, match=rf"{where}: images must be floats or bytes \(uint8\), got int64"):
        f(model, images.astype(int))
    with pytest.raises(ValueError, match=rf"{where}: labels must be from 0 to 2, got 1 to 3"):
        f(model, images, [1, 3])
    with pytest.raises(ValueError, match=rf"{where}: 2 images need labels of shape \(2,\), got \(3,\)"):
        f(model, images, [1, 2, 0])
    with pytest.raises(TypeError, match=rf"{where}: labels must be whole numbers, got float64"):
        f(model, images, [0.5, 1])
    with pytest.raises(TypeError, match=rf"{where}: expected a Module, got ufunc"):
        f(np.sin, images)
    with pytest.raises(ValueError, match="x looks like NCHW"):
        f(model, images.transpose(0, 3, 1, 2))
    with pytest.raises(ValueError, match=rf"{where}: the model must give logits \(N, classes\), got \(2, 6, 6, 1\)"):
        f(nn.Sequential(nn.Conv2d(1, 1, 3)), images)


def test_a_model_that_cuts_the_gradient_is_named():
    class Cut(nn.Module):
        def forward(self, x):
            return ag.Tensor(np.ones((len(x), 2), np.float32))

    with pytest.raises(ValueError, match="saliency: no gradient flows from the model's output to the images"):
        inspection.saliency(Cut(), _images(dtype=np.float32))
