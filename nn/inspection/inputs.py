"""What the functions that look into a model are given, checked. `where` names the caller in the error."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from autograd import Tensor
from autograd.tensor import value_of

from ..checks import floats_of_bytes
from ..module import Module
from ..train import predict
from .recording import CONVOLUTIONS

__all__ = ["check_logits", "check_model", "checked_examples", "checked_images", "checked_labels", "chunks",
           "find_convolution", "find_layer", "labels_or_predictions", "logits_of"]


def check_model(where: str, model: Any) -> None:
    """TypeError unless it is a Module."""
    if not isinstance(model, Module):
        raise TypeError(f"{where}: expected a Module, got {type(model).__name__}")


def checked_examples(where: str, x: Any) -> np.ndarray:
    """Inputs (N, ...), at least one, of floats or bytes."""
    x = np.asarray(value_of(x))
    if not x.ndim or not len(x):
        raise ValueError(f"{where}: there are no examples, got shape {x.shape}; give at least one, (N, ...)")
    if x.dtype.kind != "f" and x.dtype != np.uint8:
        raise TypeError(f"{where}: images must be floats or bytes (uint8), got {x.dtype}; give x.astype(np.float32)")
    return x


def checked_images(where: str, images: Any) -> np.ndarray:
    """Images (N, H, W, C), at least one, of floats or bytes."""
    shape = np.shape(value_of(images))
    if len(shape) != 4 or not shape[0]:
        hint = "; one image alone is images[None]" if len(shape) == 3 else ""
        raise ValueError(f"{where}: images must be (N, H, W, C) with at least one, got {shape}{hint}")
    return checked_examples(where, images)


def checked_labels(where: str, labels: Any, n: int) -> np.ndarray:
    """Labels (N,), whole numbers, one for each of n images."""
    labels = np.asarray(value_of(labels))
    if labels.shape != (n,):
        raise ValueError(f"{where}: {n} images need labels of shape ({n},), got {labels.shape}")
    if labels.dtype.kind not in "iu":
        raise TypeError(f"{where}: labels must be whole numbers, got {labels.dtype}")
    return labels


def check_logits(where: str, shape: tuple[int, ...], labels: np.ndarray | None = None) -> None:
    """ValueError unless a model's output (N, K) is there, with all labels from 0 to K - 1."""
    if len(shape) != 2:
        raise ValueError(f"{where}: the model must give logits (N, classes), got {shape}")
    if labels is not None and (labels.min() < 0 or labels.max() >= shape[1]):
        raise ValueError(f"{where}: labels must be from 0 to {shape[1] - 1}, got {labels.min()} to {labels.max()}")


def labels_or_predictions(where: str, model: Module, images: np.ndarray, labels: Any,
                          batch_size: int) -> tuple[np.ndarray, np.ndarray]:
    """(labels (N,), logits (N, K)): the labels checked, or the predicted classes where there are none."""
    check_model(where, model)
    given = None if labels is None else checked_labels(where, labels, len(images))
    logits = predict(model, images, batch_size)
    check_logits(where, logits.shape, given)
    return (logits.argmax(axis=1) if given is None else given), logits


def logits_of(where: str, model: Module, x: Tensor) -> Tensor:
    """The model's recorded output, through which a gradient flows back to the images x."""
    out = model(x)
    if not isinstance(out, Tensor) or not out.requires_grad:
        raise ValueError(f"{where}: no gradient flows from the model's output to the images; compute it with ops of "
                         "autograd, without .data or .detach()")
    return out


def chunks(x: np.ndarray, batch_size: int) -> Iterator[tuple[slice, np.ndarray]]:
    """(which, floats) of batch_size examples at a time; bytes are divided by 255."""
    for start in range(0, len(x), batch_size):
        part = slice(start, min(start + batch_size, len(x)))
        yield part, floats_of_bytes(x[part])


def find_layer(where: str, model: Any, layer: Module | str | None = None) -> tuple[str, Module]:
    """(name, module) of any module of the model, by its name or itself; the last convolution unless it is given."""
    check_model(where, model)
    if layer is None:
        return _convolutions(where, model)[-1]
    found = [pair for pair in model.named_modules() if pair[0]]
    return _chosen(where, layer, found, "layer")


def find_convolution(where: str, model: Any, layer: Module | str | None = None,
                     kinds: tuple[type[Module], ...] = CONVOLUTIONS) -> tuple[str, Any]:
    """(name, module) of a convolution, by its name or itself; the first one unless it is given."""
    check_model(where, model)
    found = _convolutions(where, model, kinds)
    return found[0] if layer is None else _chosen(where, layer, found, "convolution")


def _convolutions(where: str, model: Module,
                  kinds: tuple[type[Module], ...] = CONVOLUTIONS) -> list[tuple[str, Module]]:
    found = [pair for pair in model.named_modules() if isinstance(pair[1], kinds)]
    if not found:
        there = ", ".join(dict.fromkeys(type(module).__name__ for module in model.modules()))
        raise ValueError(f"{where}: the model has no convolution, only {there}")
    return found


def _chosen(where: str, layer: Module | str, found: list[tuple[str, Module]], what: str) -> tuple[str, Module]:
    for name, module in found:
        if layer is module or (isinstance(layer, str) and layer == name):
            return name, module
    raise ValueError(f"{where}: {layer!r} is no {what} of the model; its {what}s are "
                     f"{', '.join(repr(name) for name, _ in found)}")
