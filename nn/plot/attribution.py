"""What in an image speaks for a class: images, and the attribution of each below it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import inspection
from ..checks import whole_number
from ..inspection.inputs import checked_images, checked_labels, find_layer, labels_or_predictions
from ..module import Module
from ..randomness import Seed
from .parts import SIGNED, WRONG, Axes, Figure, bare, class_names, new_figure, percent, probabilities, show_image, shown

__all__ = ["grad_cam", "integrated_gradients", "saliency"]

_COLUMNS = 6
_MAGNITUDE = "magma"  # black is 0; its lightness grows evenly, so it is read without its colours, too


def saliency(model: Module, images: Any, labels: Any = None, classes: Sequence[str] | None = None, n: int = 6,
             samples: int = 0, noise: float = 0.15, rng: Seed = 0) -> Figure:
    """The first n images (N, H, W, C), and below each how strongly the logit of its class depends on each pixel.

    labels (N,) are the classes that are meant, the predicted ones unless they are given; classes are their names.
    samples, noise and rng are those of SmoothGrad. For the formula and the papers see `nn.inspection.saliency`, which
    has the numbers. Each map goes from 0 to its own largest value, which stands below it.

    Raises what `nn.inspection.saliency` does, and ImportError without matplotlib.

    >>> import nn, numpy as np
    >>> model = nn.Sequential(nn.Flatten(), nn.Dense(64, 2, rng=0))
    >>> figure = nn.plot.saliency(model, np.ones((3, 8, 8, 1), np.float32), [0, 1, 1], classes=("cat", "dog"))
    >>> [ax.get_title().split()[0] for ax in figure.axes[:3]]
    ['cat', 'dog', 'dog']
    """
    grid = _Grid("saliency", model, images, labels, classes, n)
    maps = inspection.saliency(model, grid.images, grid.labels, samples, noise, rng)
    how = f", mean of {samples} noisy copies (SmoothGrad)" if samples else ""
    grid.title(f"saliency: |d logit of the class / d pixel|{how}")
    for ax, values in zip(grid.below, maps, strict=True):
        largest = float(values.max())
        drawn = ax.imshow(values / (largest or 1.0), cmap=_MAGNITUDE, vmin=0, vmax=1, interpolation="nearest")
        ax.set_xlabel(f"largest {largest:.2g}", fontsize=8, labelpad=3)
    grid.bar(drawn, "share of the largest in the map")
    return grid.figure


def integrated_gradients(model: Module, images: Any, labels: Any = None, classes: Sequence[str] | None = None,
                         n: int = 6, baseline: Any = None, steps: int = 64) -> Figure:
    """The first n images (N, H, W, C), and below each what every pixel adds to the logit of its class (red) or takes.

    labels (N,) are the classes that are meant, the predicted ones unless they are given; classes are their names. For
    baseline, steps, the formula and the paper see `nn.inspection.integrated_gradients`, which has the numbers. Channels
    are added up. Below each map stand the change of the logit from the baseline to the image and the sum of the map,
    which should be the same (completeness), and how much is missing; in red where it is more than 5 % of the change,
    which the paper takes as the limit: then more steps are needed.

    Raises what `nn.inspection.integrated_gradients` does, and ImportError without matplotlib.

    >>> import nn, numpy as np
    >>> model = nn.Sequential(nn.Flatten(), nn.Dense(64, 2, rng=0))
    >>> figure = nn.plot.integrated_gradients(model, np.ones((1, 8, 8, 1), np.float32))
    >>> print(figure.axes[1].get_xlabel())
    change 0.71
    sum 0.71
    gap 0.00 %
    """
    grid = _Grid("integrated_gradients", model, images, labels, classes, n, lines=3)
    found = inspection.integrated_gradients(model, grid.images, grid.labels, baseline, steps)
    grid.title(f"integrated gradients, {steps} steps from "
               + ("black" if baseline is None else "the baseline") + ": what each pixel adds to the logit")
    maps = found.attributions.sum(axis=3)  # (N, H, W, C) -> (N, H, W)
    scale = float(np.abs(maps).max()) or 1.0
    for ax, values, change, gap in zip(grid.below, maps, found.change, found.gap, strict=True):
        drawn = ax.imshow(values, cmap=SIGNED, vmin=-scale, vmax=scale, interpolation="nearest")
        share = abs(gap) / max(abs(change), 1e-12)
        ax.set_xlabel(f"change {change:.2f}\nsum {values.sum():.2f}\ngap {100 * share:.2f} %", fontsize=8, labelpad=3,
                      color=WRONG if share > 0.05 else "black")
    grid.bar(drawn, "logit per pixel")
    return grid.figure


def grad_cam(model: Module, images: Any, labels: Any = None, layer: Module | str | None = None,
             classes: Sequence[str] | None = None, n: int = 6) -> Figure:
    """The first n images (N, H, W, C), and below each the regions that speak for its class, laid over it.

    labels (N,) are the classes that are meant, the predicted ones unless they are given; classes are their names. The
    maps are those of `layer`, the last convolution unless it is given; they are stretched over the image with
    bilinear interpolation. For the formula and the paper see `nn.inspection.grad_cam`, which has the numbers. Each map
    goes from 0 to its own largest value, which stands below it.

    Raises what `nn.inspection.grad_cam` does, and ImportError without matplotlib.

    >>> import nn, numpy as np
    >>> nn.plot.grad_cam(nn.models.small(rng=0), np.ones((2, 28, 28, 1), np.float32)).get_suptitle()
    'Grad-CAM of layer 3, maps of 14x14: regions that speak for the class'
    """
    name = find_layer("grad_cam", model, layer)[0]
    grid = _Grid("grad_cam", model, images, labels, classes, n)
    maps = inspection.grad_cam(model, grid.images, grid.labels, layer)
    height, width = grid.images.shape[1:3]
    grid.title(f"Grad-CAM of layer {name}, maps of {maps.shape[1]}x{maps.shape[2]}: regions that speak for the class")
    for ax, image, values in zip(grid.below, shown(grid.images), maps, strict=True):
        largest = float(values.max())
        show_image(ax, image)
        drawn = ax.imshow(values / (largest or 1.0), cmap=_MAGNITUDE, vmin=0, vmax=1, alpha=0.65,
                          interpolation="bilinear", extent=(-0.5, width - 0.5, height - 0.5, -0.5))
        ax.set_xlabel(f"largest {largest:.2g}", fontsize=8, labelpad=3)
    grid.bar(drawn, "share of the largest in the map")
    return grid.figure


class _Grid:
    """Images in rows of six with their classes above; below each image axes for its attribution."""

    def __init__(self, what: str, model: Module, images: Any, labels: Any, classes: Sequence[str] | None, n: int,
                 lines: int = 1) -> None:
        n = whole_number(f"plot.{what}", "n", n)
        images = checked_images(what, images)
        if labels is not None:
            labels = checked_labels(what, labels, len(images))[:n]
        self.images = images[:n]
        self.labels, logits = labels_or_predictions(what, model, self.images, labels, batch_size=64)
        names = class_names(f"plot.{what}", classes, logits)
        columns = min(_COLUMNS, len(self.images))
        rows = math.ceil(len(self.images) / columns)
        width = max(1.45, 0.075 * (max(map(len, names)) + 9))
        tall = width * images.shape[1] / images.shape[2]
        self.figure = new_figure(f"plot.{what}", max(width * columns + 0.9, 5.2),
                                 max((2 * tall + 0.3 + 0.16 * lines) * rows + 0.4, 2.8))
        self.figure.set_layout_engine("compressed")  # the axes have the images' own ratio: no gaps where it leaves some
        axes = self.figure.subplots(2 * rows, columns, squeeze=False)
        above, below = axes[::2].reshape(-1), axes[1::2].reshape(-1)  # (rows, columns) -> (rows * columns,)
        for ax in (*above, *below):
            bare(ax)
        count = len(self.images)
        self.above: list[Axes] = list(above[:count])
        self.below: list[Axes] = list(below[:count])
        shares = probabilities(logits)
        for ax, image, label, share in zip(self.above, shown(self.images), self.labels, shares, strict=True):
            show_image(ax, image)
            ax.set_title(f"{names[label]}  {percent(share[label])}", fontsize=9, pad=3)

    def title(self, text: str) -> None:
        self.figure.suptitle(text, fontsize=10)

    def bar(self, drawn: Any, label: str) -> None:
        """The colour bar of all maps."""
        bar = self.figure.colorbar(drawn, ax=[*self.above, *self.below], shrink=0.8, aspect=30)
        bar.set_label(label, fontsize=9)
        bar.solids.set_alpha(1)
        bar.ax.tick_params(labelsize=8)
