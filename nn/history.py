"""History: what training was like, epoch by epoch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

__all__ = ["History"]

Number = float | None

_FORMATS: dict[str, Callable[[float], str]] = {
    "loss": lambda value: f"{value:.4f}",
    "accuracy": lambda value: f"{value:.4f}",
    "val_loss": lambda value: f"{value:.4f}",
    "val_accuracy": lambda value: f"{value:.4f}",
    "lr": lambda value: f"{value:.3g}",
    "seconds": lambda value: f"{value:.1f}",
}


class History:
    """One list for each quantity, with a number for each epoch, or None where it was not measured.

    loss, accuracy           of the training batches, each measured just before the step on it
    val_loss, val_accuracy   of the validation batches, at the end of the epoch
    lr                       the learning rate of the epoch's last step
    seconds                  how long the epoch took, validation included
    interrupted              True where Ctrl-C ended the training

    `len(history)` is the number of epochs; `history[-1]` is a dict with the last epoch's numbers.

    >>> history = History()
    >>> history.append(loss=0.5, accuracy=0.875, lr=0.001, seconds=2.0)
    >>> history.append(loss=0.25, accuracy=0.9375, lr=0.001, seconds=2.0)
    >>> history.loss
    [0.5, 0.25]
    >>> history
    epoch    loss  accuracy     lr  seconds
        1  0.5000    0.8750  0.001      2.0
        2  0.2500    0.9375  0.001      2.0
    """

    def __init__(self) -> None:
        self.loss: list[float] = []
        self.accuracy: list[Number] = []
        self.val_loss: list[Number] = []
        self.val_accuracy: list[Number] = []
        self.lr: list[float] = []
        self.seconds: list[float] = []
        self.interrupted = False

    def append(self, *, loss: float, accuracy: Number = None, val_loss: Number = None, val_accuracy: Number = None,
               lr: float, seconds: float) -> None:
        """Adds the numbers of one epoch."""
        self.loss.append(loss)
        self.accuracy.append(accuracy)
        self.val_loss.append(val_loss)
        self.val_accuracy.append(val_accuracy)
        self.lr.append(lr)
        self.seconds.append(seconds)

    def to_dict(self) -> dict[str, list]:
        """The lists by name: `json.dumps(history.to_dict())` saves them."""
        return {name: list(getattr(self, name)) for name in _FORMATS}

    @classmethod
    def from_dict(cls, lists: dict[str, list]) -> Self:
        """The History that `to_dict` gave these lists of.

        Raises ValueError where a list is missing or they are not equally long.

        >>> History.from_dict({"loss": [1.0]})
        Traceback (most recent call last):
        ValueError: History: the lists accuracy, val_loss, val_accuracy, lr, seconds are missing
        """
        missing = [name for name in _FORMATS if name not in lists]
        if missing:
            raise ValueError(f"History: the lists {', '.join(missing)} are missing")
        lengths = {name: len(lists[name]) for name in _FORMATS}
        if len(set(lengths.values())) > 1:
            raise ValueError(f"History: the lists must be equally long, got {lengths}")
        history = cls()
        for name in _FORMATS:
            setattr(history, name, list(lists[name]))
        return history

    def __len__(self) -> int:
        return len(self.loss)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {name: getattr(self, name)[index] for name in _FORMATS}

    def __repr__(self) -> str:
        if not len(self):
            return "History of 0 epochs" + self._ending()
        columns = [["epoch", *(str(epoch + 1) for epoch in range(len(self)))]]
        for name, form in _FORMATS.items():
            numbers = getattr(self, name)
            if any(number is not None for number in numbers):
                columns.append([name, *("" if number is None else form(number) for number in numbers)])
        widths = [max(map(len, column)) for column in columns]
        rows = zip(*columns, strict=True)
        lines = ("  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
        return "\n".join(lines) + self._ending()

    def _ending(self) -> str:
        return f"\ninterrupted in epoch {len(self) + 1}" if self.interrupted else ""
