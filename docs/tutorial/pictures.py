"""Pictures for the notebooks that would take more lines than the ideas they show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

__all__ = ["grids", "visits"]

Graph = dict[str, list[tuple[str, float]]]

_WAITING, _VISITED, _DONE = "#eeeeee", "#ffd27f", "#bfe3c0"


def visits(graph: Graph, places: dict[str, tuple[float, float]], order: Sequence[str]) -> None:
    """One panel for each visit of a backward pass: what has arrived so far at each node, and what is passed on.

    `places` are where the nodes stand, `order` is the order of the visits; the first one is where backward starts.
    """
    arrived = dict.fromkeys(graph, 0.0)
    arrived[order[0]] = 1.0
    columns = (len(order) + 1) // 2
    figure, axes = plt.subplots(2, columns, figsize=(3.1 * columns, 7.4), layout="constrained")
    for number, (ax, node) in enumerate(zip(axes.flat, order, strict=False), 1):
        done = set(order[: number - 1])
        for parent, local in graph[node]:
            arrived[parent] += arrived[node] * local
        for child, parents in graph.items():
            for parent, local in parents:
                _edge(ax, places[child], places[parent], f"{arrived[node] * local:g}" if child == node else "")
        for name, (x, y) in places.items():
            colour = _VISITED if name == node else _DONE if name in done else _WAITING
            label = f"{name}\n{arrived[name]:g}" if arrived[name] else name
            ax.scatter(x, y, s=1250, color=colour, edgecolors="#666666", zorder=2)
            ax.text(x, y, label, ha="center", va="center", fontsize=10)
        sends = f"passes on {arrived[node]:g} times each slope" if graph[node] else "is an input: nothing to pass on"
        ax.set_title(f"{number}. {node} {sends}", fontsize=9)
        xs, ys = zip(*places.values(), strict=True)
        ax.set(xlim=(min(xs) - 0.6, max(xs) + 0.6), ylim=(min(ys) - 0.5, max(ys) + 0.5))
        ax.set_axis_off()
    for ax in axes.flat[len(order):]:
        ax.set_axis_off()
    plt.show()


def _edge(ax: Any, start: tuple[float, float], end: tuple[float, float], label: str) -> None:
    """An arrow between two nodes; with a label it is one that carries a gradient now."""
    colour = "#c1272d" if label else "#cccccc"
    ax.annotate("", xy=end, xytext=start, arrowprops=dict(arrowstyle="-|>", color=colour, shrinkA=18, shrinkB=18))
    if label:
        x, y = 0.48 * np.array(start) + 0.52 * np.array(end)
        ax.text(x, y, f"+{label}", color=colour, fontsize=9, ha="center", va="center",
                bbox=dict(boxstyle="round,pad=0.1", facecolor="white", edgecolor="none"))


def grids(*arrays: tuple[str, Any], scale: float | None = None, width: float = 10.0) -> None:
    """Arrays side by side as coloured cells with their numbers: pairs (title, array of one or two axes, or a symbol).

    One colour scale for all, around 0. A string in the place of an array is written between its neighbours.
    """
    cells = [(title, None if isinstance(array, str) else np.atleast_2d(np.asarray(array, float)), array)
             for title, array in arrays]
    widths = [0.22 * max(map(len, symbol.split("\n"))) + 0.4 if numbers is None else numbers.shape[1]
              for _, numbers, symbol in cells]
    tall = max(numbers.shape[0] for _, numbers, _ in cells if numbers is not None)
    scale = scale or max(float(np.abs(numbers).max()) for _, numbers, _ in cells if numbers is not None) or 1.0
    unit = min(width / (sum(widths) + 0.6 * len(cells)), 0.62)
    figure, axes = plt.subplots(1, len(cells), width_ratios=widths, layout="constrained",
                                figsize=(unit * (sum(widths) + 0.6 * len(cells)), unit * tall + 0.5), squeeze=False)
    for ax, (title, numbers, symbol) in zip(axes[0], cells, strict=True):
        ax.set_title(title, fontsize=9)
        if numbers is None:
            ax.text(0.5, 0.5, symbol, ha="center", va="center", fontsize=11, transform=ax.transAxes)
            ax.set_axis_off()
            continue
        ax.imshow(numbers, cmap="RdBu_r", vmin=-1.6 * scale, vmax=1.6 * scale)
        if unit > 0.3:
            for (i, j), number in np.ndenumerate(numbers):
                ax.text(j, i, f"{number:.3g}", ha="center", va="center", fontsize=min(9.0, 20 * unit))
        ax.set(xticks=np.arange(0.5, numbers.shape[1] - 1), yticks=np.arange(0.5, numbers.shape[0] - 1))
        ax.grid(color="white", linewidth=1.5)
        ax.tick_params(length=0, labelbottom=False, labelleft=False)
        for spine in ax.spines.values():
            spine.set_visible(False)
    plt.show()
