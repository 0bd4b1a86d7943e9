"""The history of a training as curves."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ..history import History
from .parts import TRAINING, VALIDATION, Axes, Figure, new_figure

__all__ = ["history"]


def history(history: History) -> Figure:
    """The loss and the accuracy by epoch, of training and validation; and the learning rate, if it changed.

    Raises ValueError for a history without epochs, ImportError without matplotlib.

    >>> import nn
    >>> past = nn.History()
    >>> past.append(loss=0.5, accuracy=0.875, lr=0.001, seconds=2.0)
    >>> len(nn.plot.history(past).axes)
    2
    """
    if not len(history):
        raise ValueError("plot.history: the history has no epochs; train for at least one")
    panels: list[tuple[str, Sequence[float | None], Sequence[float | None]]] = [
        ("loss", history.loss, history.val_loss)]
    if any(value is not None for value in (*history.accuracy, *history.val_accuracy)):
        panels.append(("accuracy", history.accuracy, history.val_accuracy))
    if len(set(history.lr)) > 1:
        panels.append(("learning rate (last step of the epoch)", history.lr, []))
    figure = new_figure("plot.history", 4.2 * len(panels), 3.4)
    for ax, (name, training, validation) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        _curve(ax, training, TRAINING, "training")
        if any(value is not None for value in validation):
            _curve(ax, validation, VALIDATION, "validation")
            ax.legend(frameon=False)
        ax.set_title(name, fontsize=11)
        ax.set_xlabel("epoch")
        ax.set_xlim(0.5, len(history) + 0.5)
        ax.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
        ax.grid(alpha=0.3)
        ax.spines[["top", "right"]].set_visible(False)
    return figure


def _curve(ax: Axes, values: Sequence[float | None], colour: str, label: str) -> None:
    numbers = [math.nan if value is None else value for value in values]
    ax.plot(range(1, len(numbers) + 1), numbers, color=colour, label=label, marker="o", markersize=3)
