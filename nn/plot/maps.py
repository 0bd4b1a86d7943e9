"""The maps that layers make of an image, before and after their activation."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from autograd.tensor import value_of

from ..checks import whole_number
from ..inspection import Stage
from ..inspection import feature_maps as found_maps
from ..inspection.inputs import find_convolution
from ..inspection.recording import activation_of
from ..module import Module
from .parts import SIGNED, Axes, Figure, bare, first, mosaic, new_figure, show_image, shown, signed_mosaics

__all__ = ["feature_maps"]

_WIDTH = 3.3  # inches, of a column of the overview
_FEATURES = 256  # so many numbers of a dense layer are shown


def feature_maps(model: Module, image: Any, layer: Module | str | None = None, n: int = 16) -> Figure:
    """What every layer makes of an image (H, W, C) or (1, H, W, C), before and after its activation.

    A row for each convolution, dense layer, normalization and global pooling: its output, and what activation and
    pooling make of it before the next one. The first n channels are shown, of dense layers the first 256 numbers; each
    row has its own colour scale around 0. See `nn.inspection.feature_maps` for what counts as a layer, and the numbers.

    layer   a convolution or its name: it alone, larger, with the image beside it, and the normalization and
            activation that follow

    Raises ValueError where the model has or calls no convolution, or not this one, or there is more than one image,
    ImportError without matplotlib.

    >>> import nn, numpy as np
    >>> model = nn.Sequential(nn.Conv2d(1, 8, 3, rng=0), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 4, 3, rng=0))
    >>> image = np.ones((8, 8, 1), np.float32)
    >>> for ax in nn.plot.feature_maps(model, image).axes:
    ...     print(ax.get_title())
    image, 8x8
    0 Conv2d, 6x6
    1 ReLU, 6x6
    2 MaxPool2d, 3x3
    <BLANKLINE>
    3 Conv2d, 1x1
    <BLANKLINE>
    >>> nn.plot.feature_maps(model, image, layer="0").get_suptitle()
    'layer 0: all 8 channels'
    """
    n = whole_number("plot.feature_maps", "n", n)
    name, module = find_convolution("plot.feature_maps", model, layer)
    stages = found_maps(model, image)
    # (H, W, C) or (1, H, W, C) -> (1, H, W, C)
    picture = shown(np.reshape(value_of(image), (1, *np.shape(image)[-3:])))[0]
    if layer is None:
        rows = _rows(stages)
        if not any(stage.out.ndim == 4 for row in rows for stage in row):
            raise ValueError("plot.feature_maps: the model called none of its convolutions")
        return _overview(rows, picture, n)
    at = next((i for i, stage in enumerate(stages) if stage.name == (name or type(module).__name__)), None)
    if at is None:
        raise ValueError(f"plot.feature_maps: the model did not call its convolution {name!r}")
    return _one_layer(stages, at, picture, n)


# ---------------------------------------------------------------------- all layers


def _rows(stages: list[Stage]) -> list[list[Stage]]:
    """Stages row by row: each row begins with a layer behind which numbers are of another size."""
    rows: list[list[Stage]] = []
    for stage in stages:
        if stage.role == "other" or stage.out.ndim not in (2, 4):
            continue
        changes_scale = stage.role in ("linear", "normalization") or (rows and stage.out.ndim != rows[-1][-1].out.ndim)
        if changes_scale or not rows:
            rows.append([])
        rows[-1].append(stage)
    return rows


def _overview(rows: list[list[Stage]], image: np.ndarray, n: int) -> Figure:
    columns = max(map(len, rows))
    heights = [_row_height(row, n) for row in rows]
    figure = new_figure("plot.feature_maps", 1.5 + _WIDTH * columns + 0.6, sum(heights) + 0.6)
    figure.set_layout_engine("constrained", wspace=0.03, hspace=0.03)
    grid = figure.add_gridspec(len(rows), columns + 2, height_ratios=heights,
                               width_ratios=[1.3, *[_WIDTH] * columns, 0.1])  # the image, the stages, the colour bar
    ax = figure.add_subplot(grid[0, 0])
    show_image(ax, image)
    ax.set_anchor("N")
    ax.set_title(f"image, {image.shape[0]}x{image.shape[1]}", fontsize=9)
    for i, row in enumerate(rows):
        axes = [figure.add_subplot(grid[i, 1 + j]) for j in range(len(row))]
        scale = max(float(np.abs(stage.out).max()) for stage in row) or 1.0
        for ax, stage in zip(axes, row, strict=True):
            drawn = _stage(ax, stage, n, scale)
        bar = figure.colorbar(drawn, cax=figure.add_subplot(grid[i, -1]))
        bar.ax.tick_params(labelsize=7)
        bar.ax.locator_params(nbins=5)
    figure.suptitle(f"what every layer makes of the image: up to {n} channels, each row on its own colour scale",
                    fontsize=11)
    return figure


def _row_height(row: list[Stage], n: int) -> float:
    """Inches: that of the tallest mosaic at the width of a column, and its title."""
    tallest = 0.0
    for stage in row:
        if stage.out.ndim == 2:
            tallest = max(tallest, 0.22 * math.ceil(min(stage.out.shape[1], _FEATURES) / 64))
            continue
        count, columns = _tiling(stage, n)
        height, width = stage.out.shape[1:3]
        tallest = max(tallest, _WIDTH * math.ceil(count / columns) * height / (columns * width))
    return max(tallest, 0.3) + 0.35


def _tiling(stage: Stage, n: int) -> tuple[int, int]:
    """(tiles, columns of tiles): in two rows where there are several, so that the picture stays low."""
    count = min(n, stage.out.shape[3])
    return count, math.ceil(count / 2) if count > 4 else count


def _stage(ax: Axes, stage: Stage, n: int, scale: float) -> Any:
    colours = dict(cmap=SIGNED, vmin=-scale, vmax=scale)
    if stage.out.ndim == 4:
        count, columns = _tiling(stage, n)
        # (1, H, W, O) -> (n, H, W, 1)
        drawn = mosaic(ax, np.moveaxis(stage.out[0, ..., :count], 2, 0)[..., None], columns, "#aaaaaa", **colours)
        size = f"{stage.out.shape[1]}x{stage.out.shape[2]}"
    else:
        drawn = _features(ax, stage.out[0, :_FEATURES], colours)
        size = f"{stage.out.shape[1]} numbers"
    label = stage.name if stage.name == stage.kind else f"{stage.name} {stage.kind}"
    ax.set_title(f"{label}, {size}", fontsize=9, pad=3)
    return drawn


def _features(ax: Axes, values: np.ndarray, colours: dict[str, Any]) -> Any:
    """Numbers (K,) as coloured cells, in rows of 64; numbered where there are few."""
    cells = np.full(math.ceil(len(values) / 64) * min(len(values), 64), np.nan)
    cells[: len(values)] = values
    # (rows * columns,) -> (rows, columns)
    drawn = ax.imshow(cells.reshape(-1, min(len(values), 64)), aspect="auto", interpolation="nearest", **colours)
    bare(ax)
    if len(values) <= 20:
        ax.set_xticks(range(len(values)), range(len(values)), fontsize=7)
        ax.tick_params(length=0, pad=2)
    return drawn


# ---------------------------------------------------------------------- one layer


def _one_layer(stages: list[Stage], at: int, image: np.ndarray, n: int) -> Figure:
    before, after, norm = stages[at], activation_of(stages, at), _normalization_of(stages, at)
    panels = [("before activation" if after is not None else "output, which no activation follows", before)]
    if norm is not None:
        panels = [("output", before), (f"after {norm.kind}", norm)]
    if after is not None:
        panels.append((f"after {after.kind}", after))
    tiles = [np.moveaxis(stage.out[0, ..., :n], 2, 0) for _, stage in panels]  # (1, H, W, O) -> (n, H, W)
    columns = math.ceil(math.sqrt(len(tiles[0])))
    height, width = before.out.shape[1:3]
    mosaic_height = 4.1 * math.ceil(len(tiles[0]) / columns) * height / (columns * width)  # at a width of 4.1 inches
    figure = new_figure("plot.feature_maps", 2.0 + 4.1 * len(panels), min(max(mosaic_height, 2.0), 8.0) + 0.7)
    figure.set_layout_engine("constrained", wspace=0.05)
    axes = figure.subplots(1, 1 + len(panels), width_ratios=[1.6, *[4.0] * len(panels)])
    show_image(axes[0], image)
    axes[0].set_title("image", fontsize=10)
    # normalized maps have a scale of their own
    for own in (slice(1), slice(1, None)) if norm is not None else (slice(None),):
        scale = max(float(np.abs(tile).max()) for tile in tiles[own]) or 1.0
        signed_mosaics(figure, axes[1:][own], tiles[own], columns, scale, gap_colour="#aaaaaa")
    for ax, (title, stage) in zip(axes[1:], panels, strict=True):
        ax.set_title(f"{title}, {stage.out.shape[1]}x{stage.out.shape[2]}", fontsize=10)
    figure.suptitle(f"layer {before.name}: {first(len(tiles[0]), before.out.shape[3])} channels", fontsize=11)
    return figure


def _normalization_of(stages: list[Stage], at: int) -> Stage | None:
    """The normalization that is called on the output of a layer right after it."""
    follower = stages[at + 1] if at + 1 < len(stages) else None
    if follower is None or follower.role != "normalization" or follower.out.shape != stages[at].out.shape:
        return None
    return follower
