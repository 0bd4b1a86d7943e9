"""Predicted classes beside the true ones: image by image, and counted."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ..checks import whole_number
from ..inspection.inputs import checked_images, checked_labels
from ..module import Module
from ..train import predict
from .parts import WRONG, Figure, class_names, new_figure, percent, probabilities, show_image, shown

__all__ = ["confusion_matrix", "predictions"]


def predictions(model: Module, images: Any, labels: Any, classes: Sequence[str] | None = None, n: int = 25) -> Figure:
    """The first n images (N, H, W, C) with the predicted class and its probability above, the true class below.

    Wrong ones are red. labels (N,) are whole numbers; classes are their names. The model gives logits, or
    probabilities.

    Raises ValueError where shapes do not fit, ImportError without matplotlib.

    >>> import nn, numpy as np
    >>> model = nn.Sequential(nn.Flatten(), nn.Dense(64, 2, rng=0))
    >>> figure = nn.plot.predictions(model, np.zeros((3, 8, 8, 1), np.float32), [0, 1, 1], classes=("cat", "dog"), n=2)
    >>> [ax.get_xlabel() for ax in figure.axes]
    ['true: cat', 'true: dog']
    """
    n = whole_number("plot.predictions", "n", n)
    images = checked_images("plot.predictions", images)
    labels = checked_labels("plot.predictions", labels, len(images))[:n]
    images = images[:n]
    out = predict(model, images)
    names = class_names("plot.predictions", classes, out, labels)
    guesses = out.argmax(axis=1)
    columns = math.ceil(math.sqrt(len(images)))
    rows = math.ceil(len(images) / columns)
    width = max(1.35, 0.07 * (max(map(len, names)) + 9))  # of a column: room for a name and its probability
    figure = new_figure("plot.predictions", max(width * columns, 4.0), 1.66 * rows + 0.5)
    axes = figure.subplots(rows, columns, squeeze=False).reshape(-1)  # (rows, columns) -> (rows * columns,)
    for ax in axes[len(images) :]:
        ax.set_axis_off()
    for ax, image, label, guess, row in zip(axes, shown(images), labels, guesses, probabilities(out), strict=False):
        colour = "black" if guess == label else WRONG
        show_image(ax, image)
        ax.set_title(f"{names[guess]}  {percent(row[guess])}", fontsize=9, color=colour, pad=3)
        ax.set_xlabel(f"true: {names[label]}", fontsize=8, color=colour, labelpad=2)
        if guess != label:
            for spine in ax.spines.values():
                spine.set(visible=True, color=WRONG, linewidth=2.5)
    right = int(np.count_nonzero(guesses == labels))
    figure.suptitle(f"predicted classes: {right} of {len(images)} right", fontsize=11)
    return figure


def confusion_matrix(model: Module, images: Any, labels: Any, classes: Sequence[str] | None = None) -> Figure:
    """How often each true class (row) was taken for each class (column): counts, coloured by their share of the row.

    images (N, H, W, C), labels (N,) whole numbers; classes are their names.

    Raises ValueError where shapes do not fit, ImportError without matplotlib.

    >>> import nn, numpy as np
    >>> logits = np.array([[2.0, 0.0], [0.0, 2.0], [2.0, 0.0]], np.float32).reshape(3, 1, 1, 2)  # (N, H, W, C)
    >>> nn.plot.confusion_matrix(nn.Flatten(), logits, [0, 1, 1]).axes[0].get_title()
    '2 of 3 right (66.7 %)'
    """
    images = checked_images("plot.confusion_matrix", images)
    labels = checked_labels("plot.confusion_matrix", labels, len(images))
    logits = predict(model, images)
    names = class_names("plot.confusion_matrix", classes, logits, labels)
    counts = np.zeros((len(names), len(names)), int)
    np.add.at(counts, (labels, logits.argmax(axis=1)), 1)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = 0.45 * len(names)
    figure = new_figure("plot.confusion_matrix", size + 2.4, size + 1.5)
    ax = figure.subplots()
    picture = ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), count in np.ndenumerate(counts):
        colour = "white" if shares[row, column] > 0.5 else "black" if count else "#bbbbbb"
        ax.text(column, row, str(count), ha="center", va="center", fontsize=8, color=colour)
    long = max(map(len, names)) > 3
    ax.set_xticks(range(len(names)), names, rotation=45 if long else 0, ha="right" if long else "center",
                  rotation_mode="anchor" if long else "default")
    ax.set_yticks(range(len(names)), names)
    ax.set_xlabel("predicted class")
    ax.set_ylabel("true class")
    ax.set_title(f"{np.trace(counts)} of {len(labels)} right ({percent(np.trace(counts) / len(labels))})", fontsize=11)
    figure.colorbar(picture, ax=ax, label="share of the true class", shrink=0.8)
    return figure
