"""How much each pixel or region of an image has to do with the logit of a class: three answers.

saliency              the logit's gradient by the pixels: what a small change would do
integrated_gradients  the gradient's mean on the way from a baseline, times the way: what each pixel has added
grad_cam              the maps of a layer, weighted by what the class gains from each: which region speaks for it
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from autograd import Tensor, gradients
from autograd.graph import recording
from autograd.tensor import value_of

from ..checks import floats_of_bytes, whole_number, within
from ..module import Module, evaluating
from ..randomness import Seed, generator
from .inputs import checked_images, chunks, find_layer, labels_or_predictions, logits_of
from .recording import CONVOLUTIONS, activation_of, recorded_outputs, recorded_stages

__all__ = ["IntegratedGradients", "grad_cam", "integrated_gradients", "saliency"]


def saliency(model: Module, images: Any, labels: Any = None, samples: int = 0, noise: float = 0.15, rng: Seed = 0,
             batch_size: int = 64) -> np.ndarray:
    """max over c of |d logit[label] / d image[h, w, c]|: images (N, H, W, C) -> (N, H, W).

    labels      (N,) whole numbers, the class whose logit is meant; the predicted one unless they are given
    samples     0: the gradient at the image itself. Else SmoothGrad: the mean of the gradients at so many copies
                image + n, n normal with standard deviation noise * (max(image) - min(image)), before | |
    rng         of that noise, a seed or a numpy Generator
    batch_size  so many images (or noisy copies) at a time

    The model is in eval mode; nothing of it is changed. Bytes (uint8) are divided by 255 first.

    Raises ValueError where shapes do not fit or labels are no classes of the model, TypeError for other types.

    Simonyan, Vedaldi and Zisserman, "Deep Inside Convolutional Networks", 2013, section 3.1; Smilkov et al.,
    "SmoothGrad: removing noise by adding noise", 2017, section 3.

    >>> import nn, numpy as np
    >>> model = nn.Sequential(nn.Flatten(), nn.Dense(4, 2, rng=0))
    >>> nn.inspection.saliency(model, np.ones((5, 2, 2, 1), np.float32)).shape
    (5, 2, 2)
    """
    images = checked_images("saliency", images)
    samples = whole_number("saliency", "samples", samples, at_least=0)
    noise = within("saliency", "noise", noise, least=0.0)
    batch_size = whole_number("saliency", "batch_size", batch_size)
    labels, _ = labels_or_predictions("saliency", model, images, labels, batch_size)
    if not samples:
        parts = [_logit_gradients("saliency", model, x, labels[part]) for part, x in chunks(images, batch_size)]
        return np.abs(np.concatenate(parts)).max(axis=3)
    draws = generator(rng)
    maps = []
    for image, label in zip(images, labels, strict=True):
        x = floats_of_bytes(image)
        spread = noise * float(x.max() - x.min())
        total = np.zeros(x.shape)
        for start in range(0, samples, batch_size):
            count = min(batch_size, samples - start)
            copies = (x + spread * draws.standard_normal((count, *x.shape))).astype(x.dtype)
            total += _logit_gradients("saliency", model, copies, np.full(count, label)).sum(axis=0, dtype=np.float64)
        maps.append(np.abs(total / samples).max(axis=2).astype(x.dtype))
    return np.stack(maps)


class IntegratedGradients(NamedTuple):
    """What `integrated_gradients` found.

    attributions  (N, H, W, C), in units of the logit: what each element of the image adds to it, or takes from it
    change        (N,) logit(image) - logit(baseline), which the attributions of an image should add up to
    gap           (N,) change - the sum of the attributions: the error of the quadrature, 0 with endless steps
    """

    attributions: np.ndarray
    change: np.ndarray
    gap: np.ndarray


def integrated_gradients(model: Module, images: Any, labels: Any = None, baseline: Any = None, steps: int = 64,
                         batch_size: int = 64) -> IntegratedGradients:
    """(x - b) * the integral over a from 0 to 1 of d logit[label] / dx at b + a (x - b), for images x (N, H, W, C).

    labels    (N,) whole numbers, the class whose logit is meant; the predicted one unless they are given
    baseline  b: a number or an array that broadcasts to the images, in their units after bytes were divided by
              255; 0 unless it is given, which is black
    steps     points at which the gradient is taken, those of Gauss and Legendre
    batch_size  so many points at a time, of all images together

    Completeness: the attributions of an image add up to logit(x) - logit(b); how far they do is the `gap`. The model
    is in eval mode; nothing of it is changed.

    Raises ValueError where shapes do not fit or labels are no classes of the model, TypeError for other types.

    Sundararajan, Taly and Yan, "Axiomatic Attribution for Deep Networks", 2017, sections 3 and 5.

    >>> import nn, numpy as np
    >>> model = nn.Sequential(nn.Flatten(), nn.Dense(4, 2, rng=0))
    >>> found = nn.inspection.integrated_gradients(model, np.ones((5, 2, 2, 1), np.float32))
    >>> bool(np.allclose(found.attributions.sum(axis=(1, 2, 3)), found.change, atol=1e-6))
    True
    """
    where = "integrated_gradients"
    images = checked_images(where, images)
    steps = whole_number(where, "steps", steps)
    batch_size = whole_number(where, "batch_size", batch_size)
    labels, logits = labels_or_predictions(where, model, images, labels, batch_size)
    starts = _baselines(images, baseline)
    _, logits_before = labels_or_predictions(where, model, starts, labels, batch_size)
    points, weights = _quadrature(steps)
    attributions = []
    for image, start, label in zip(images, starts, labels, strict=True):
        way = floats_of_bytes(image) - start
        total = np.zeros(way.shape)
        for first in range(0, steps, batch_size):
            some = slice(first, first + batch_size)
            path = (start + points[some, None, None, None] * way).astype(way.dtype)  # (points,) -> (points, H, W, C)
            slopes = _logit_gradients(where, model, path, np.full(len(path), label))
            total += np.tensordot(weights[some], slopes, axes=1)  # (points,), (points, H, W, C) -> (H, W, C)
        attributions.append(way * total)
    found = np.stack(attributions)
    rows = np.arange(len(images))
    change = logits[rows, labels].astype(np.float64) - logits_before[rows, labels]
    return IntegratedGradients(found, change, change - found.sum(axis=(1, 2, 3)))


def grad_cam(model: Module, images: Any, labels: Any = None, layer: Module | str | None = None,
             batch_size: int = 64) -> np.ndarray:
    """relu(sum over k of weight[k] * A[.., k]), weight[k] = mean over pixels of d logit[label] / d A[.., k].

    Images (N, H, W, C) -> (N, h, w), the resolution of the maps A (N, h, w, K) of a layer.

    labels  (N,) whole numbers, the class whose logit is meant; the predicted one unless they are given
    layer   a module of the model or its name ("3", "block.conv2"), whose output A is; the last convolution unless it
            is given. The maps of a convolution are taken behind its activation, as in the paper, if there is one

    The model is in eval mode; nothing of it is changed. Bytes (uint8) are divided by 255 first.

    Raises ValueError where there is no such layer or it makes no maps, shapes do not fit, or labels are no classes
    of the model; TypeError for other types.

    Selvaraju et al., "Grad-CAM: Visual Explanations from Deep Networks via Gradient-based Localization", 2017,
    equations 1 and 2.

    >>> import nn, numpy as np
    >>> nn.inspection.grad_cam(nn.models.small(rng=0), np.ones((5, 28, 28, 1), np.float32)).shape
    (5, 14, 14)
    """
    images = checked_images("grad_cam", images)
    batch_size = whole_number("grad_cam", "batch_size", batch_size)
    name, module = find_layer("grad_cam", model, layer)
    labels, _ = labels_or_predictions("grad_cam", model, images, labels, batch_size)
    found = []
    for part, x in chunks(images, batch_size):
        with evaluating(), recording():
            leaf = Tensor(x, requires_grad=True)
            with recorded_stages(model) as stages, recorded_outputs(module) as outputs:
                logits = logits_of("grad_cam", model, leaf)
            maps = _maps(name, module, outputs, stages)
            (slope,) = gradients(_scores(logits, labels[part]), [maps])
        weights = slope.data.mean(axis=(1, 2), keepdims=True)  # (n, h, w, K) -> (n, 1, 1, K)
        found.append(np.maximum((weights * maps.data).sum(axis=3), 0))  # (n, h, w, K) -> (n, h, w)
    return np.concatenate(found)


def _maps(name: str, module: Module, outputs: list, stages: list) -> Tensor:
    """The maps (n, h, w, K) of a layer's first call, behind its activation if it is a convolution."""
    out = outputs[0] if outputs else None
    if isinstance(module, CONVOLUTIONS) and out is not None:
        at = next(i for i, stage in enumerate(stages) if stage.out is out)
        follower = activation_of(stages, at)
        out = out if follower is None else follower.out
    if not isinstance(out, Tensor) or out.ndim != 4:
        gave = "was not called" if not outputs else f"gave {np.shape(value_of(out))}"
        raise ValueError(f"grad_cam: layer {name!r} must give maps (N, h, w, K), but it {gave}; choose a convolution, "
                         "or a layer before the image is flattened or averaged")
    if not out.requires_grad:
        raise ValueError(f"grad_cam: no gradient flows from the images through layer {name!r}; compute it with ops of "
                         "autograd, without .data or .detach()")
    return out


def _logit_gradients(where: str, model: Module, x: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """d logit[label] / dx of each image: (n, H, W, C) -> the same."""
    with evaluating(), recording():
        leaf = Tensor(x, requires_grad=True)
        (slope,) = gradients(_scores(logits_of(where, model, leaf), labels), [leaf])
    return slope.data


def _scores(logits: Tensor, labels: np.ndarray) -> Tensor:
    """The sum of the logits of the labels: an image's gradient knows of no other image's."""
    return logits[np.arange(len(labels)), labels].sum()


def _baselines(images: np.ndarray, baseline: Any) -> np.ndarray:
    """A baseline for each image, in floats."""
    floats = np.float32 if images.dtype == np.uint8 else images.dtype
    given = np.asarray(0.0 if baseline is None else value_of(baseline))
    if given.dtype.kind not in "fiu":
        raise TypeError(f"integrated_gradients: the baseline must be numbers, got {given.dtype}")
    try:
        return np.broadcast_to(given, images.shape).astype(floats)
    except ValueError as error:
        raise ValueError(f"integrated_gradients: the baseline {given.shape} does not broadcast to the images "
                         f"{images.shape}; give a number, one image (H, W, C) or one for each") from error


def _quadrature(steps: int) -> tuple[np.ndarray, np.ndarray]:
    """The points in [0, 1] and the weights of Gauss and Legendre's rule, which is exact up to degree 2 * steps - 1.

    A smooth network needs few points so. A ReLU network's gradient jumps on the way, and no rule is better than
    another: with 8, 32 and 128 points `models.small`, trained on the digits, left a gap of 0.7, 0.14 and 0.04 % of
    the change, and 0.7, 0.12 and 0.05 % with midpoints.
    """
    points, weights = np.polynomial.legendre.leggauss(steps)  # on [-1, 1]
    return (points + 1) / 2, weights / 2
