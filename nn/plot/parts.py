"""What the pictures have in common: figures, images, mosaics, and how numbers are written on them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np

from autograd._extras import require

from ..checks import floats_of_bytes
from ..inspection.inputs import check_logits

__all__ = ["FOUND", "SIGNED", "TRAINING", "VALIDATION", "WRONG", "Axes", "Figure", "bare", "class_names", "first",
           "mosaic", "new_figure", "percent", "probabilities", "show_image", "shown", "signed_mosaics"]

Figure: TypeAlias = Any  # matplotlib.figure.Figure: matplotlib is optional, and imported by `new_figure`
Axes: TypeAlias = Any  # matplotlib.axes.Axes

SIGNED = "RdBu_r"  # blue is below 0, white 0, red above
WRONG = "#c1272d"
TRAINING, VALIDATION = "#1f77b4", "#ff7f0e"
FOUND = "#d55e00"  # what is marked in an image; vermilion, which the colour-blind tell from grey, too


def new_figure(what: str, width: float, height: float) -> Figure:
    """An empty figure of so many inches; `what` is the function that needs it."""
    matplotlib = require("matplotlib.figure", extra="plot", what=what)
    return matplotlib.Figure(figsize=(width, height), dpi=130, layout="constrained")


def show_image(ax: Axes, image: np.ndarray) -> None:
    """An image (H, W) or (H, W, 3) of numbers in [0, 1]."""
    ax.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    bare(ax)


def signed_mosaics(figure: Figure, axes: Sequence[Axes], mosaics: Sequence[np.ndarray], columns: int,
                   scale: float, gap_colour: str = "none") -> None:
    """Mosaics of tiles (n, H, W) on one colour scale from -scale to scale, with its bar."""
    for ax, tiles in zip(axes, mosaics, strict=True):
        picture = mosaic(ax, tiles[..., None], columns, gap_colour, cmap=SIGNED, vmin=-scale, vmax=scale)
    figure.colorbar(picture, ax=list(axes), shrink=0.85, aspect=30)


def mosaic(ax: Axes, tiles: np.ndarray, columns: int, gap_colour: str = "none", **colours: Any) -> Any:
    """Tiles (n, H, W, C) in rows of `columns`, with gaps between them, as one picture."""
    n, height, width, channels = tiles.shape
    rows = math.ceil(n / columns)
    gap = max(1, round(max(height, width) / 12))
    sheet = np.full((rows * (height + gap) - gap, columns * (width + gap) - gap, channels), np.nan)
    for i, tile in enumerate(tiles):
        top, left = i // columns * (height + gap), i % columns * (width + gap)
        sheet[top : top + height, left : left + width] = tile
    bare(ax)
    ax.set_facecolor(gap_colour)
    return ax.imshow(np.where(np.isnan(sheet), 1.0, sheet) if channels == 3 else sheet[..., 0],
                     interpolation="nearest", **colours)


def bare(ax: Axes) -> None:
    """No ticks and no frame."""
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)


def shown(images: np.ndarray) -> np.ndarray:
    """Images (N, H, W, C) as numbers in [0, 1] to be drawn: (N, H, W, 3) in colours, otherwise (N, H, W) in grey.

    Bytes are divided by 255; floats outside of [0, 1] (normalized images) are stretched from least to largest.
    """
    images = floats_of_bytes(images)
    least, largest = float(images.min()), float(images.max())
    if least < 0 or largest > 1:
        images = (images - least) / ((largest - least) or 1.0)
    return images if images.shape[3] == 3 else images.mean(axis=3)


def percent(share: float) -> str:
    """Rounded down at the top, so that only what is certain is 100 %."""
    return f"{min(100 * share, 99.9) if share < 1 else 100:.1f} %"


def first(shown: int, there: int) -> str:
    """How many of those that are there are shown, in words."""
    return f"all {there}" if shown == there else f"the first {shown} of {there}"


def probabilities(out: np.ndarray) -> np.ndarray:
    """Probabilities (N, K) of logits (N, K), or as they are where the model ends with a softmax."""
    if out.min() >= 0 and np.allclose(out.sum(axis=1), 1, atol=1e-3):
        return out
    e = np.exp(out - out.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def class_names(where: str, classes: Sequence[str] | None, out: np.ndarray,
                labels: np.ndarray | None = None) -> list[str]:
    """The name of each class that the model knows, from what it made (N, K) of images with these labels."""
    check_logits(where, out.shape, labels)
    names = [str(i) for i in range(out.shape[1])] if classes is None else [str(name) for name in classes]
    if len(names) != out.shape[1]:
        raise ValueError(f"{where}: {len(names)} classes are named but the model has {out.shape[1]}")
    return names
