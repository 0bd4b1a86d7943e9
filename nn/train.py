"""fit, evaluate and predict: a model and batches in; a trained model, numbers or logits out.

A batch is a pair (x, labels), from a `datasets.DataLoader` or anything else that can be looped over.
"""

from __future__ import annotations

import math
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

import autograd as ag
from autograd import Tensor
from autograd._extras import require
from autograd.tensor import value_of

from .checkpoints import check_writable, restore_checkpoint, write_checkpoint
from .checks import floats_of_bytes, whole_number, within
from .functional import cross_entropy
from .history import History
from .module import Module, evaluating
from .optim import Adam, Optimizer, clip_grad_norm
from .schedules import Schedule

__all__ = ["History", "evaluate", "fit", "predict"]

Loss = Callable[[Any, Any], Any]


def fit(model: Module, loader: Iterable[Any], epochs: int, *, optimizer: Optimizer | None = None,
        loss: Loss = cross_entropy, validation: Iterable[Any] | None = None, schedule: Schedule | None = None,
        schedule_per: str = "step", clip_norm: float | None = None,
        callbacks: Sequence[Callable[[History], object]] = (), checkpoint: str | Path | None = None,
        resume: bool = False, progress: bool | None = None) -> History:
    """Trains a model on the batches of a loader; returns the History of losses and accuracies.

    loader         gives batches (x, labels), anew each time that it is looped over
    epochs         how often to go through the loader, those before a resumed checkpoint included
    optimizer      Adam(model.parameters(), lr=1e-3) unless it is given
    loss           loss(model(x), labels), a single number, the mean over the batch
    validation     batches to be evaluated after each epoch
    schedule       its step() is called after each batch, or with schedule_per="epoch" after each epoch
    clip_norm      limit for the norm of the gradients, see `nn.optim.clip_grad_norm`
    callbacks      each is called with the history after each epoch
    checkpoint     file to which the state of training is written after each epoch, all at once or not at all
    resume         go on from the checkpoint where there is one: the same numbers as if it had not stopped, if the
                   loader's order is the same too (a DataLoader with a seed)
    progress       True: a progress bar on stderr; None: only where stderr is a terminal; False: none

    The accuracy is the share of examples whose largest logit is that of the label; it is None unless labels are
    class indices. A model in eval mode is brought to training mode for this; in one that is in training mode,
    parts that are in eval mode stay so.

    Ctrl-C ends the training with a warning, and what there is so far is returned: the model with the steps taken,
    the history and the checkpoint of the epochs that were completed.

    Raises RuntimeError, naming epoch and step, where the loss is not finite (the parameters are then as before
    that step); before anything is trained, OSError for a checkpoint that cannot be written and ValueError for one
    that does not fit or is damaged; ValueError for a loader without batches.

    >>> import nn, numpy as np
    >>> x = np.random.default_rng(0).normal(size=(64, 2)).astype(np.float32)
    >>> labels = (x.sum(axis=1) > 0).astype(np.int64)
    >>> model = nn.Sequential(nn.Dense(2, 2, rng=0))
    >>> history = nn.fit(model, [(x, labels)], epochs=50, optimizer=nn.optim.Adam(model.parameters(), lr=0.1))
    >>> history.accuracy[-1] > 0.9
    True
    """
    epochs = whole_number("fit", "epochs", epochs)
    _check_arguments(model, loader, epochs, schedule, schedule_per)
    optimizer = Adam(model.parameters()) if optimizer is None else optimizer
    if schedule is not None and schedule.optimizer is not optimizer:
        raise ValueError("fit: the schedule is for another optimizer; give fit the optimizer that it was made with")
    if clip_norm is not None:
        clip_norm = within("fit", "clip_norm", clip_norm, above=0.0)
    path = None if checkpoint is None else Path(checkpoint)
    history = _start(path, resume, model, optimizer, schedule, loader)
    run = _Run(model, optimizer, loss, schedule if schedule_per == "step" else None, clip_norm)
    bar = _Progress(progress, loader, epochs, len(history))
    try:
        with _training(model):
            for epoch in range(len(history) + 1, epochs + 1):
                begin = time.perf_counter()
                trained, accuracy, lr = run.train_epoch(loader, epoch, bar)
                if schedule is not None and schedule_per == "epoch":
                    schedule.step()
                validated, val_accuracy = (None, None) if validation is None else evaluate(model, validation, loss)
                bar.show_validation(validated, val_accuracy)
                history.append(loss=trained, accuracy=accuracy, val_loss=validated, val_accuracy=val_accuracy,
                               lr=lr, seconds=time.perf_counter() - begin)
                if path is not None:
                    write_checkpoint(path, model, optimizer, schedule, history, loader)
                for callback in callbacks:
                    callback(history)
    except KeyboardInterrupt:
        history.interrupted = True
        warnings.warn(f"fit: interrupted in epoch {len(history) + 1} of {epochs}", stacklevel=2)
    finally:
        bar.close()
    return history


def evaluate(model: Module, loader: Iterable[Any], loss: Loss = cross_entropy) -> tuple[float, float | None]:
    """The mean loss and the accuracy over all batches (x, labels) of a loader, in eval mode.

    Each batch counts by its length. The accuracy is None unless labels are class indices. Nothing is recorded, and
    each module is in the mode in which it was before.

    Raises ValueError for a loader without batches.

    >>> import nn, numpy as np
    >>> model = nn.Sequential(nn.Flatten())
    >>> logits = np.array([[2.0, 0.0], [0.0, 3.0]], np.float32)
    >>> nn.evaluate(model, [(logits, np.array([0, 0]))])[1]
    0.5
    """
    mean = _Mean()
    with evaluating(), ag.no_grad():
        for batch in loader:
            x, labels = _pair("evaluate", batch)
            out = model(x)
            mean.add(_single("evaluate", loss(out, labels)).item(), out, labels)
    if not mean.examples:
        raise ValueError("evaluate: the loader gave no examples; give a list of batches (x, labels) or a DataLoader")
    return mean.loss, mean.accuracy


def predict(model: Module, images: Any, batch_size: int = 256) -> np.ndarray:
    """What the model makes of a batch of images of any length: logits (N, K) of images (N, H, W, C).

    It works on batch_size images at a time, in eval mode, and records nothing. Bytes (uint8) are divided by 255,
    as `datasets.DataLoader` does; other arrays and Tensors go in as they are. Any other input (N, ...) works too.

    Raises ValueError where there are no images.

    >>> import nn, numpy as np
    >>> model = nn.Sequential(nn.Flatten(), nn.Dense(4, 3, rng=0))
    >>> predict(model, np.zeros((5, 2, 2, 1), np.uint8)).shape
    (5, 3)
    """
    batch_size = whole_number("predict", "batch_size", batch_size)
    images = np.asarray(value_of(images))
    if not images.ndim or not len(images):
        raise ValueError(f"predict: there are no images, got shape {images.shape}; give at least one, (N, H, W, C)")
    parts = []
    with evaluating(), ag.no_grad():
        for start in range(0, len(images), batch_size):
            parts.append(model(floats_of_bytes(images[start : start + batch_size])).data)
    return np.concatenate(parts)


class _Run:
    """One training step and one epoch, and what they work with."""

    def __init__(self, model: Module, optimizer: Optimizer, loss: Loss, schedule: Schedule | None,
                 clip_norm: float | None) -> None:
        self.model = model
        self.optimizer = optimizer
        self.loss = loss
        self.schedule = schedule
        self.clip_norm = clip_norm

    def train_epoch(self, loader: Iterable[Any], epoch: int, bar: _Progress) -> tuple[float, float | None, float]:
        """Loss and accuracy over one epoch, and the last step's lr."""
        mean = _Mean()
        bar.show_epoch(epoch)
        lr = self.optimizer.lr
        for step, batch in enumerate(loader, start=1):
            lr = self.optimizer.lr
            self.train_step(batch, mean, f"epoch {epoch}, step {step}")
            bar.show_step(mean)
        if not mean.examples:
            raise ValueError(f"fit: the loader gave no examples in epoch {epoch}; give a list of batches (x, labels) "
                             "or a DataLoader, which can be looped over again and again")
        return mean.loss, mean.accuracy, lr

    def train_step(self, batch: Any, mean: _Mean, where: str) -> None:
        x, labels = _pair("fit", batch)
        out = self.model(x)
        loss = _single("fit", self.loss(out, labels))
        value = loss.item()
        if not math.isfinite(value):
            raise RuntimeError(f"fit: the loss is {value} in {where} (lr {self.optimizer.lr:g}); the parameters are as "
                               "they were before this step; lower lr, give clip_norm, or look for the cause with "
                               "ag.anomaly()")
        self.optimizer.zero_grad()
        loss.backward()
        if self.clip_norm is not None:
            clip_grad_norm(self.optimizer.params, self.clip_norm)
        self.optimizer.step()
        if self.schedule is not None:
            self.schedule.step()
        mean.add(value, out, labels)


class _Mean:
    """Loss and accuracy over the batches seen so far, each batch counted by its length."""

    def __init__(self) -> None:
        self.examples = 0
        self._loss = 0.0
        self._right = 0
        self._judged = 0

    def add(self, loss: float, out: Any, labels: Any) -> None:
        """Counts one batch: its mean loss, what the model made of it, and its labels."""
        labels = np.asarray(value_of(labels))
        self.examples += len(labels)
        self._loss += loss * len(labels)
        logits = np.asarray(value_of(out))
        if labels.dtype.kind in "iu" and labels.shape == logits.shape[:-1] and logits.shape[-1] > 1:
            self._right += int(np.count_nonzero(logits.argmax(axis=-1) == labels))
            self._judged += labels.size

    @property
    def loss(self) -> float:
        return self._loss / self.examples

    @property
    def accuracy(self) -> float | None:
        return self._right / self._judged if self._judged else None


class _Progress:
    """One line on stderr over all steps of all epochs; nothing where none is wanted or can be shown."""

    def __init__(self, wanted: bool | None, loader: Any, epochs: int, done: int) -> None:
        self._epochs = epochs
        self._training = self._validation = ""
        self._bar = None
        if wanted or (wanted is None and sys.stderr is not None and sys.stderr.isatty() and find_spec("tqdm")):
            tqdm = require("tqdm", extra="train", what="fit(progress=True)").tqdm
            steps = len(loader) if hasattr(loader, "__len__") else None
            form = "{n_fmt} batches, {elapsed}" if steps is None else "{percentage:3.0f}%|{bar}| {elapsed}<{remaining}"
            self._bar = tqdm(desc=f"epoch {min(done + 1, epochs)}/{epochs}", total=steps and steps * epochs,
                             initial=(steps or 0) * done, bar_format="{desc} " + form + "{postfix}",
                             file=sys.stderr, dynamic_ncols=True)

    def show_epoch(self, epoch: int) -> None:
        if self._bar is not None:
            self._bar.set_description_str(f"epoch {epoch}/{self._epochs}", refresh=False)

    def show_step(self, mean: _Mean) -> None:
        """One step further; short, so that the line fits into 80 columns with both accuracies."""
        if self._bar is None:
            return
        accuracy = mean.accuracy
        self._training = f"loss {mean.loss:.3f}" + ("" if accuracy is None else f", acc {accuracy:.3f}")
        self._bar.set_postfix_str(self._training + self._validation, refresh=False)
        self._bar.update()

    def show_validation(self, loss: float | None, accuracy: float | None) -> None:
        """Shown from here on, behind the numbers of the training."""
        if self._bar is None or loss is None:
            return
        self._validation = f", val loss {loss:.3f}" if accuracy is None else f", val acc {accuracy:.3f}"
        self._bar.set_postfix_str(self._training + self._validation)

    def close(self) -> None:
        if self._bar is not None:
            self._bar.close()


# ---------------------------------------------------------------------- modes


@contextmanager
def _training(model: Module) -> Iterator[None]:
    """Training mode, if the model is not in it already; then each module's own mode again."""
    modes = [(module, module.training) for module in model.modules()]
    if not model.training:
        model.train()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode


# ---------------------------------------------------------------------- checks


def _check_arguments(model: Module, loader: Any, epochs: int, schedule: Schedule | None, schedule_per: str) -> None:
    if not isinstance(model, Module):
        raise TypeError(f"fit: expected a Module to train, got {type(model).__name__}")
    if not isinstance(loader, Iterable):
        raise TypeError(f"fit: the loader must give batches (x, labels), got {type(loader).__name__}; use "
                        "datasets.DataLoader((x, labels)) for arrays")
    if isinstance(loader, Iterator) and epochs > 1:
        raise ValueError(f"fit: the loader is a {type(loader).__name__}, which is used up after one of {epochs} "
                         "epochs; give a list of batches or a DataLoader")
    if schedule_per not in ("step", "epoch"):
        raise ValueError(f'fit: schedule_per must be "step" or "epoch", got {schedule_per!r}')
    if schedule is not None and not isinstance(schedule, Schedule):
        raise TypeError(f"fit: expected a schedule such as nn.optim.StepLR, got {type(schedule).__name__}")


def _start(path: Path | None, resume: bool, model: Module, optimizer: Optimizer, schedule: Schedule | None,
           loader: Any) -> History:
    """A new history, or that of the checkpoint, to which everything else is brought as well."""
    if path is None:
        if resume:
            raise ValueError("fit: resume=True needs the checkpoint to go on from; give checkpoint=path")
        return History()
    check_writable(path)
    if resume and path.exists():
        return restore_checkpoint(path, model, optimizer, schedule, loader)
    return History()


def _pair(where: str, batch: Any) -> tuple[Any, Any]:
    if not isinstance(batch, (tuple, list)) or len(batch) != 2:
        size = f" of {len(batch)}" if isinstance(batch, (tuple, list)) else ""
        raise TypeError(f"{where}: the loader must give batches (x, labels), got a {type(batch).__name__}{size}; use "
                        "datasets.DataLoader((x, labels)) for arrays")
    return batch[0], batch[1]


def _single(where: str, loss: Any) -> Tensor:
    if not isinstance(loss, Tensor):
        raise TypeError(f"{where}: the loss must be a Tensor, got {type(loss).__name__}; compute it with ops or "
                        "nn.functional, without .data or .item()")
    if loss.size != 1:
        raise ValueError(f"{where}: the loss must be a single number, got shape {loss.shape}; use its mean()")
    return loss
