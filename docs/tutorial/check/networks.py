"""Checkers of notebook 6: a network and what is inside. Any callable from images to logits is a model here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import autograd as ag
from nn.functional import cross_entropy

from .exercise import Exercise, Unsolved, Wrong, ask, compare

__all__ = ["accuracy", "fooling", "saliency"]


@Exercise
def accuracy(my_accuracy: Any) -> str:
    """my_accuracy(logits, labels): the share of the rows (N, K) whose largest logit is at the label (N,)."""
    for seed, n, k in ((0, 8, 3), (1, 5, 5)):
        rng = np.random.default_rng(seed)
        logits, labels = rng.standard_normal((n, k)), rng.integers(0, k, n)
        labels[0] = list(logits[0]).index(max(logits[0]))  # at least one is right
        right = sum(all(row[label] >= other for other in row) for row, label in zip(logits, labels, strict=True))
        wrong_axis = np.mean(logits.argmax(0) == labels) if n == k else -1.0
        compare(ask(my_accuracy, logits, labels), right / n, f"my_accuracy of {right} right out of {n}", [
            (right, "that is how many are right; divide by how many there are"),
            (100 * right / n, "that is in percent; give a share between 0 and 1"),
            (1 - right / n, "that is the share of the wrong ones"),
            (wrong_axis, "the largest in each row is wanted, so argmax goes along axis 1"),
        ])
    return "The share of rows whose largest logit is at the label"


@Exercise
def saliency(my_saliency: Any) -> str:
    """my_saliency(model, image, digit): |d logit of digit / d pixel|, (H, W) for an image (H, W, 1)."""
    model, image = _model(), np.random.default_rng(5).random((4, 5, 1))
    slopes, of_loss, step = np.zeros((4, 5)), np.zeros((4, 5)), 1e-5
    for i, j in np.ndindex(4, 5):
        change = np.zeros_like(image)
        change[i, j] = step
        up, down = model((image + change)[None]), model((image - change)[None])
        slopes[i, j] = (up.data[0, 2] - down.data[0, 2]) / (2 * step)
        of_loss[i, j] = (_loss(up) - _loss(down)) / (2 * step)
    answer = ask(my_saliency, model, image, 2)
    right = np.abs(slopes)
    compare(answer, right, "my_saliency(model, image (4, 5, 1), digit=2)", [
        (slopes, "the sign is still there: take the absolute value"),
        (np.abs(of_loss), "that is the gradient of the loss; take that of the digit's logit"),
        (right[..., None], "one number for each pixel: take the channel's axis away"),
        (right[None, ..., None], "one number for each pixel: take the axes of the batch and of the channel away"),
        (right / right.max(), "you scaled the map; give the plain gradients"),
    ])
    return "How much each pixel moves the logit, as central differences say"


@Exercise
def fooling(my_image: Any) -> str:
    """my_image(model, image, label, size): an image that differs by at most size in each pixel, with a larger loss."""
    model, size = _model(), 0.05
    for seed in range(3):
        image = np.random.default_rng(seed).random((4, 5, 1)) * 0.8 + 0.1  # so that no pixel has to be clipped
        label = int(np.argmax(model(image[None]).data))
        answer = ask(my_image, model, image, label, size)
        if isinstance(answer, ag.Tensor):
            answer = answer.data
        changed = np.asarray(answer)
        if changed.shape != image.shape or changed.dtype.kind != "f":
            raise Wrong(f"    given     {changed.dtype} of shape {changed.shape}\n"
                        f"    expected  floats of shape {image.shape}\n  hint: give back a whole image (H, W, 1)")
        largest = float(np.max(np.abs(changed - image)))
        if not largest <= size * (1 + 1e-6):
            raise Wrong(f"    given     a change of up to {largest:.4g}\n    expected  at most {size}\n"
                        "  hint: the sign of the gradient is -1, 0 or 1; multiply that by size")
        _check_loss(model, image, changed, label, size)
    return "A change of 0.05 raises the loss nearly as far as one can, on three images"


def _check_loss(model: Callable, image: np.ndarray, changed: np.ndarray, label: int, size: float) -> None:
    before, after = (_loss(model(x[None]), label) for x in (image, changed))
    slopes, step = np.zeros_like(image), 1e-5
    for index in np.ndindex(*image.shape):
        change = np.zeros_like(image)
        change[index] = step
        slopes[index] = _loss(model((image + change)[None]), label) - _loss(model((image - change)[None]), label)
    best = _loss(model((image + size * np.sign(slopes))[None]), label) - before
    told = f"    loss      {before:.5f} before, {after:.5f} after\n    expected  about {before + best:.5f}\n  hint: "
    if np.array_equal(image, changed):
        raise Unsolved(" (the image comes back as it was)")
    if after < before:
        raise Wrong(told + "the loss fell: go along its gradient, not against it")
    if after - before < 0.9 * best:
        raise Wrong(told + "the loss rose, but not as far as it can: let every pixel change by the whole size")


def _model() -> Callable[[Any], ag.Tensor]:
    """A small smooth network in float64, whose logits central differences tell to ten digits."""
    rng = np.random.default_rng(6)
    inner, outer = rng.standard_normal((20, 6)), rng.standard_normal((6, 3))

    def model(images: Any) -> ag.Tensor:
        x = images if isinstance(images, ag.Tensor) else ag.Tensor(np.asarray(images, float))
        return ag.tanh(ag.reshape(x, (len(x.data), 20)) @ inner) @ outer  # (N, 4, 5, 1) -> (N, 20) -> (N, 3)

    return model


def _loss(logits: ag.Tensor, label: int = 2) -> float:
    return cross_entropy(logits, np.array([label])).item()
