"""What excites a filter most: the input that gradient ascent makes, and images of a data set."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import inspection
from ..checks import whole_number
from ..inspection.excitation import checked_filters, output_shape
from ..inspection.inputs import checked_images, find_layer
from ..module import Module
from ..randomness import Seed
from .parts import FOUND, SIGNED, Axes, Figure, bare, first, new_figure, show_image, shown

__all__ = ["activation_maximization"]


def activation_maximization(model: Module, images: Any, layer: Module | str | None = None,
                            filters: Sequence[int] | None = None, n: int = 8, top: int = 4, steps: int = 100,
                            blur: float = 0.0, jitter: int = 0, rng: Seed = 0) -> Figure:
    """For filters of a layer: the input that excites each most, and beside it the top images (N, H, W, C) that do so.

    A row for each of the first n filters, or of those that are given. The input on the left is made by gradient
    ascent from noise and cut to the receptive field of the unit in the middle of the maps; of three channels grey is
    0. In each of the `top` images a frame marks the receptive field of the place that excites the filter most, and the
    activation stands below. steps, blur, jitter and rng are those of `nn.inspection.activation_maximization`, which has
    formula, papers and numbers; `nn.inspection.top_images` has those of the images.

    layer   a module of the model or its name; the last convolution unless it is given. The last dense layer's
            filters are the classes

    Raises what these two do, and ImportError without matplotlib.

    >>> import nn, numpy as np
    >>> images = np.random.default_rng(0).random((5, 8, 8, 1), dtype=np.float32)
    >>> figure = nn.plot.activation_maximization(nn.Sequential(nn.Conv2d(1, 2, 3, rng=0)), images, top=1)
    >>> print(figure.get_suptitle())
    layer 0: all 2 filters
    the input made to excite each most, and the images that do, with its activation
    """
    what = "plot.activation_maximization"
    n, top = whole_number(what, "n", n), whole_number(what, "top", top)
    images = checked_images("activation_maximization", images)
    name, module = find_layer("activation_maximization", model, layer)
    shape = images.shape[1:]
    there = output_shape("activation_maximization", model, name, module, shape)[-1]
    wanted = range(min(n, there)) if filters is None else filters
    chosen = checked_filters("activation_maximization", name, wanted, there).tolist()
    rows, blocks = math.ceil(len(chosen) / 2), min(len(chosen), 2)  # the second half stands beside the first
    tile_height = max(shape[0] / shape[1], 0.5)
    height = max((1.15 * tile_height + 0.22) * rows + 0.6, 2.4)
    figure = new_figure(what, max(1.15 * (1 + top) * blocks + 1.3, 6.5), height)
    figure.set_layout_engine("compressed")  # the axes have the images' own ratio: no gaps where it leaves some

    made = inspection.activation_maximization(model, shape, module, chosen, steps=steps, blur=blur, jitter=jitter,
                                              rng=rng)
    field = inspection.receptive_field(model, shape, module)
    made = made[:, *field]  # (filters, H, W, C) -> (filters, rows, columns, C)
    best = inspection.top_images(model, images, module, chosen, top)
    scale = float(np.abs(made).max()) or 1.0
    grid = figure.add_gridspec(rows, (2 + top) * blocks - 1, width_ratios=([1.0] * (1 + top) + [0.2]) * (blocks - 1)
                               + [1.0] * (1 + top))  # an empty column between the halves
    pictures = shown(images)
    for i, (filter_, x, found) in enumerate(zip(chosen, made, best, strict=True)):
        left = (2 + top) * (i // rows)
        ax = figure.add_subplot(grid[i % rows, left])
        drawn = _signed(ax, x, scale)
        ax.set_title(f"filter {filter_}", fontsize=9, pad=3)
        for j, (activation, index, box) in enumerate(zip(*found, strict=True)):
            ax = figure.add_subplot(grid[i % rows, left + 1 + j])
            show_image(ax, pictures[index])
            _frame(ax, box, shape)
            ax.set_title(f"{activation:.3g}", fontsize=8, pad=3)
    how_many = first(len(chosen), there) if filters is None else f"{len(chosen)} of {there}"
    figure.suptitle(f"layer {name}: {how_many} filters\nthe input made to excite each most, and the images that do, "
                    "with its activation",
                    fontsize=10)
    if shape[2] != 3:
        bar = figure.colorbar(drawn, ax=figure.axes, shrink=0.85, aspect=30)
        bar.set_label("pixels of the made input", fontsize=9)
        bar.ax.tick_params(labelsize=8)
    return figure


def _signed(ax: Axes, x: np.ndarray, scale: float) -> Any:
    """An input (h, w, C) of numbers from -scale to scale; in colours where it has three channels."""
    bare(ax)
    if x.shape[2] == 3:
        return ax.imshow(x / (2 * scale) + 0.5, interpolation="nearest")
    return ax.imshow(x.mean(axis=2), cmap=SIGNED, vmin=-scale, vmax=scale, interpolation="nearest")


def _frame(ax: Axes, box: tuple[slice, slice], shape: tuple[int, ...]) -> None:
    """A frame around the rows and columns of the box, unless it is all of the image."""
    rows, columns = box
    top, bottom, left, right = rows.start - 0.5, rows.stop - 0.5, columns.start - 0.5, columns.stop - 0.5
    if (bottom - top, right - left) != shape[:2]:
        ax.plot([left, right, right, left, left], [top, top, bottom, bottom, top], color=FOUND, linewidth=1.5,
                clip_on=False)
