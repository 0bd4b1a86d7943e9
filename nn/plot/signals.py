"""Histograms of what flows through the layers, forward and backward, with the dead ReLUs named."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from .. import inspection
from ..functional import cross_entropy
from ..inspection import Histogram, Units
from ..module import Module
from .parts import WRONG, Axes, Figure, new_figure

__all__ = ["histograms"]

_COLOURS = {"activations": "#0072b2", "gradients": "#e69f00", "weights": "#009e73",
            "biases": "#cc79a7"}  # Okabe and Ito's, which the colour-blind tell apart
_TITLES = ("activations", "|d loss of an image / d activation|", "|d mean loss / d parameter|")
_NAMED = 12  # so many dead units of a ReLU are named


def histograms(model: Module, images: Any, labels: Any, loss: Callable[[Any, Any], Any] = cross_entropy,
               bins: int = 40) -> Figure:
    """Per layer: histograms of its activations, and of the loss's gradients by them and by the parameters.

    A row for each layer, from the input to the output. On the left the activations, each layer with its own range; in
    the middle and on the right the magnitudes of gradients, on one logarithmic scale for all layers, a line at
    the mean: where it wanders to the left from row to row, upwards, gradients vanish. Exact zeros are in none of
    these bins; their share is written beside. Dead ReLUs, whose units (channels) are 0 for all images, are named at the
    bottom, by layer.

    images (N, ...), labels (N,); loss and bins are those of `nn.inspection.histograms`, which has the numbers. Those of
    dead units has `nn.inspection.dead_units`.

    Raises what these two do, and ImportError without matplotlib.

    >>> import nn, numpy as np
    >>> model = nn.Sequential(nn.Dense(4, 3, rng=0), nn.ReLU(), nn.Dense(3, 2, rng=1))
    >>> model[0].bias.data = np.array([9, -1e3, 9], np.float32)
    >>> figure = nn.plot.histograms(model, np.ones((5, 4), np.float32), [0, 1, 0, 1, 0])
    >>> print(figure.get_supxlabel())
    dead ReLUs, 0 for all 5 images: 1 of 3 units
    1: 1 of 3 (33 %): 1
    """
    found = inspection.histograms(model, images, labels, loss, bins)
    dead = inspection.dead_units(model, images)
    rows = _rows(found.activations, found.parameters)
    text = _in_words(dead, len(images))
    figure = new_figure("plot.histograms", 10.0, 0.62 * len(rows) + 1.2 + 0.17 * text.count("\n"))
    axes = figure.subplots(len(rows), 3, squeeze=False)
    kinds = {name: type(module).__name__ for name, module in model.named_modules()}
    for (left, _, _), name in zip(axes, rows, strict=True):
        colour = WRONG if name in dead and dead[name].dead else "black"
        label = f"{name} {kinds.get(name, '')}".strip()
        left.set_ylabel(label, rotation=0, ha="right", va="center", fontsize=9, color=colour)
        if name in found.activations:
            _bars(left, found.activations[name], _COLOURS["activations"])
    _magnitudes(axes[:, 1], [[name] if name in found.gradients else [] for name in rows], found.gradients,
                lambda name: "gradients")
    _magnitudes(axes[:, 2], list(rows.values()), found.parameters,
                lambda name: "biases" if name.endswith("bias") else "weights")
    for ax in axes.flat:
        _plain(ax)
    for ax, title in zip(axes[0], _TITLES, strict=True):
        ax.set_title(title, fontsize=10)
    legend = {label: handle for ax in axes[:, 2]
              for handle, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    axes[0, 2].legend(legend.values(), legend.keys(), fontsize=7, frameon=False, loc="upper left",
                      borderaxespad=0)
    figure.suptitle("what flows through each layer: heights are logarithmic counts, lines are means", fontsize=11)
    figure.supxlabel(text, fontsize=9, color=WRONG if any(units.dead for units in dead.values()) else "black")
    return figure


def _plain(ax: Axes) -> None:
    """No frame and no scale of counts, whose shape is what matters; room above for words."""
    if not ax.patches:
        ax.set_yticks([])
        ax.spines[:].set_visible(False)
        ax.tick_params(which="both", length=0)
        return
    ax.set_yscale("log", nonpositive="clip")
    ax.set_yticks([], minor=False)
    ax.set_yticks([], minor=True)
    bottom, top = ax.get_ylim()
    ax.set_ylim(bottom, top * (top / bottom) ** 0.35)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(labelsize=7, length=2, pad=1)
    ax.tick_params(which="minor", length=0)


def _rows(layers: Iterable[str], parameters: Iterable[str]) -> dict[str, list[str]]:
    """By layer: its parameters. Those of no layer that is shown have a row of their own, by the module's name."""
    rows: dict[str, list[str]] = {name: [] for name in layers}
    for parameter in parameters:
        rows.setdefault(parameter.rpartition(".")[0] or parameter, []).append(parameter)
    return rows


def _bars(ax: Axes, histogram: Histogram, colour: str, label: str = "") -> None:
    """The counts, and the share of zeros where there are some."""
    if histogram.counts.any():  # a logarithmic scale of nothing is a warning
        ax.stairs(histogram.counts, histogram.edges, fill=True, color=colour, alpha=0.75, label=label)
    if histogram.zeros and not ax.texts:
        ax.text(1, 1, f"{100 * histogram.zeros:.1f} % zeros", transform=ax.transAxes, fontsize=7, ha="right", va="top")


def _magnitudes(axes: Sequence[Axes], names: Sequence[list[str]], found: dict[str, Histogram],
                kind_of: Callable[[str], str]) -> None:
    """Histograms of magnitudes on one logarithmic scale for all rows, with a line at each mean."""
    drawn = []
    for ax, keys in zip(axes, names, strict=True):
        ax.set_xscale("log")
        for key in keys:
            drawn.append(found[key])
            kind = kind_of(key)
            colour = _COLOURS[kind]
            _bars(ax, found[key], colour, kind)
            if found[key].mean_abs:
                ax.axvline(found[key].mean_abs, ymax=0.74, color=colour, linewidth=2)  # as high as bars are
    limits = [limit for histogram in drawn if histogram.counts.any() for limit in _reach(histogram)]
    for ax in axes:
        ax.set_xlim(min(limits, default=1e-3), max(limits, default=1.0))
        ax.tick_params(labelbottom=ax is axes[-1])


def _reach(histogram: Histogram) -> tuple[float, float]:
    """The magnitudes to be shown: all but the smallest hundredth, which may reach down to nothing."""
    below = np.cumsum(histogram.counts) / histogram.counts.sum()
    return float(histogram.edges[np.searchsorted(below, 0.01)]), float(histogram.edges[-1])


def _in_words(dead: dict[str, Units], images: int) -> str:
    """Which units are dead, a line for each ReLU that has any."""
    if not dead:
        return "no ReLU was called"
    count, total = sum(len(units.dead) for units in dead.values()), sum(units.total for units in dead.values())
    lines = [f"dead ReLUs, 0 for all {images} images: {count} of {total} units"]
    for name, units in dead.items():
        if units.dead:
            named = ", ".join(map(str, units.dead[:_NAMED])) + (", ..." if len(units.dead) > _NAMED else "")
            lines.append(f"{name}: {len(units.dead)} of {units.total} ({100 * units.share:.0f} %): {named}")
    return "\n".join(lines)
