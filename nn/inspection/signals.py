"""What flows through a model: histograms of activations and gradients, layer by layer, and the units that are dead."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np

import autograd as ag
from autograd import Tensor, gradients
from autograd.graph import recording

from ..checks import whole_number
from ..functional import cross_entropy
from ..module import Module, evaluating
from .inputs import check_logits, check_model, checked_examples, checked_labels, chunks, logits_of
from .recording import recorded_stages

__all__ = ["Histogram", "Histograms", "Units", "dead_units", "histograms"]

_SHOWN = ("linear", "normalization", "activation")  # what stands between only moves or picks the same numbers
_RELUS = ("ReLU", "relu")


class Units(NamedTuple):
    """The units (channels) of one ReLU: how many there are, and which of them are dead."""

    total: int
    dead: tuple[int, ...]

    @property
    def share(self) -> float:
        """The dead ones' share of all."""
        return len(self.dead) / self.total


def dead_units(model: Module, x: Any, batch_size: int = 256) -> dict[str, Units]:
    """By ReLU: which of its units (channels) are 0 for all the inputs x (N, ...), at all pixels.

    No gradient flows through such a unit, so what leads into it does not learn from these inputs. ReLUs are the layers
    `nn.ReLU` and calls of `ag.relu`, under the names of `Stage`; so a ReLU that is called twice is there twice, as "1"
    and "1#2".
    The model is in eval mode; nothing of it is changed. Bytes (uint8) are divided by 255 first.

    Raises ValueError where there are no inputs, TypeError for other types.

    >>> import nn, numpy as np
    >>> model = nn.Sequential(nn.Dense(4, 3, rng=0), nn.ReLU())
    >>> model[0].bias.data = np.array([0, 0, -1e3], np.float32)
    >>> nn.inspection.dead_units(model, np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32))
    {'1': Units(total=3, dead=(2,))}
    """
    check_model("dead_units", model)
    x = checked_examples("dead_units", x)
    batch_size = whole_number("dead_units", "batch_size", batch_size)
    alive: dict[str, np.ndarray] = {}
    for _, part in chunks(x, batch_size):
        with evaluating(), ag.no_grad(), recorded_stages(model) as stages:
            model(part)
        for stage in stages:
            if stage.kind in _RELUS:
                seen = (stage.out.data > 0).reshape(-1, stage.out.shape[-1]).any(axis=0)  # (N, .., K) -> (K,)
                alive[stage.name] = alive.get(stage.name, False) | seen
    return {name: Units(len(seen), tuple(np.flatnonzero(~seen).tolist())) for name, seen in alive.items()}


class Histogram(NamedTuple):
    """How often values fall between edges, as `np.histogram` counts them.

    counts    (bins,) whole numbers
    edges     (bins + 1,), of equal widths, or of equal ratios for magnitudes of gradients
    zeros     the share of values that are exactly 0; among magnitudes they are in none of the bins
    mean_abs  the mean of all |values|
    """

    counts: np.ndarray
    edges: np.ndarray
    zeros: float
    mean_abs: float


class Histograms(NamedTuple):
    """What `histograms` found, each by name, in the order of the layers.

    activations  of each layer's outputs
    gradients    of |d loss of an example / d its outputs|, by the same names
    parameters   of |d mean loss / d parameter|, by the parameters' names
    """

    activations: dict[str, Histogram]
    gradients: dict[str, Histogram]
    parameters: dict[str, Histogram]


def histograms(model: Module, x: Any, labels: Any, loss: Callable[[Any, Any], Any] = cross_entropy, bins: int = 40,
               batch_size: int = 64) -> Histograms:
    """Histograms of each layer's activations, and of the magnitudes of the loss's gradients by them and by parameters.

    x       (N, ...), with labels (N,) whole numbers for `cross_entropy`, or what another loss takes
    loss    loss(model(x), labels), a single number, the mean over the examples
    bins    of each histogram, from the least to the largest value: of equal width for activations, of equal ratio
            for gradients, whose sizes differ by powers of ten

    Layers are convolutions, dense layers, normalizations and activations that were called, under the names of `Stage`;
    parameters are those that are trained. It goes through the data twice, batch_size at a time: once for the ranges,
    once to count. The model is in eval mode; nothing of it is changed. Bytes (uint8) are divided by 255 first.

    Raises ValueError where shapes do not fit or a value is not finite, TypeError for other types.

    >>> import nn, numpy as np
    >>> model = nn.Sequential(nn.Dense(4, 3, rng=0), nn.ReLU(), nn.Dense(3, 2, rng=1))
    >>> found = nn.inspection.histograms(model, np.ones((5, 4), np.float32), [0, 1, 0, 1, 0])
    >>> list(found.activations), found.activations["1"].counts.sum().item()
    (['0', '1', '2'], 15)
    >>> list(found.parameters)
    ['0.weight', '0.bias', '2.weight', '2.bias']
    """
    check_model("histograms", model)
    x = checked_examples("histograms", x)
    labels = np.asarray(labels) if loss is not cross_entropy else checked_labels("histograms", labels, len(x))
    bins = whole_number("histograms", "bins", bins)
    batch_size = whole_number("histograms", "batch_size", batch_size)

    activations: dict[str, _Counter] = {}
    slopes: dict[str, _Counter] = {}
    parameters: dict[str, np.ndarray] = {}
    for counting in (False, True):
        for outs, by_outs, by_parameters in _passes(model, x, labels, loss, batch_size):
            for name, values in outs.items():
                activations.setdefault(name, _Counter(f"the output of layer {name!r}", bins)).see(values, counting)
            for name, values in by_outs.items():
                what = f"the gradient by the output of layer {name!r}"
                slopes.setdefault(name, _Counter(what, bins, logarithmic=True)).see(np.abs(values), counting)
            if not counting:
                for name, values in by_parameters.items():
                    parameters[name] = parameters.get(name, 0) + values / len(x)
    return Histograms({name: counter.histogram() for name, counter in activations.items()},
                      {name: counter.histogram() for name, counter in slopes.items()},
                      {name: _of_one(f"the gradient by {name!r}", np.abs(values), bins)
                       for name, values in parameters.items()})


_Arrays = dict[str, np.ndarray]


def _passes(model: Module, x: np.ndarray, labels: np.ndarray, loss: Callable[[Any, Any], Any],
            batch_size: int) -> Iterator[tuple[_Arrays, _Arrays, _Arrays]]:
    """For each batch: outputs by layer, and gradients of the sum of its examples' losses by these and by parameters."""
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    for part, batch in chunks(x, batch_size):
        with evaluating(), recording():
            with recorded_stages(model) as stages:
                # the batch requires a gradient, so that what frozen layers give has one, too
                out = logits_of("histograms", model, Tensor(batch, requires_grad=True))
            if loss is cross_entropy:
                check_logits("histograms", out.shape, labels)
            total = loss(out, labels[part]) * len(batch)
            shown = {stage.name: stage.out for stage in stages if stage.role in _SHOWN and stage.out.requires_grad}
            found = [g.data for g in gradients(total, [*shown.values(), *trained.values()])]
        yield ({name: tensor.data for name, tensor in shown.items()}, dict(zip(shown, found, strict=False)),
               dict(zip(trained, found[len(shown) :], strict=True)))


class _Counter:
    """A histogram of values that come in parts: first all are seen for their range, then all again to be counted."""

    def __init__(self, what: str, bins: int, logarithmic: bool = False) -> None:
        self.what = what
        self.logarithmic = logarithmic
        self.least, self.largest = np.inf, -np.inf
        self.seen = self.zeros = 0
        self.sum = 0.0
        self.counts = np.zeros(bins, np.int64)

    def see(self, values: np.ndarray, counting: bool) -> None:
        if counting:
            self.counts += np.histogram(values, self.edges())[0]
            return
        if not np.isfinite(values).all():
            raise ValueError(f"histograms: {self.what} is not finite; look for the cause with ag.anomaly()")
        inside = values[values > 0] if self.logarithmic else values
        if inside.size:
            self.least, self.largest = min(self.least, float(inside.min())), max(self.largest, float(inside.max()))
        self.seen += values.size
        self.zeros += int(np.count_nonzero(values == 0))
        self.sum += float(np.abs(values).sum(dtype=np.float64))

    def edges(self) -> np.ndarray:
        bins = len(self.counts)
        if self.seen == self.zeros:  # there is no range
            return np.geomspace(1e-12, 1, bins + 1) if self.logarithmic else np.linspace(-0.5, 0.5, bins + 1)
        if self.logarithmic and self.least < self.largest:
            edges = np.geomspace(self.least, self.largest, bins + 1)
            edges[[0, -1]] = self.least, self.largest  # exactly, so that the outermost values are counted
            return edges
        if self.logarithmic:
            return np.geomspace(self.least / 2, self.largest * 2, bins + 1)
        return np.histogram_bin_edges([self.least, self.largest], bins)

    def histogram(self) -> Histogram:
        return Histogram(self.counts, self.edges(), self.zeros / self.seen, self.sum / self.seen)


def _of_one(what: str, values: np.ndarray, bins: int) -> Histogram:
    """The histogram of magnitudes that are all there at once."""
    counter = _Counter(what, bins, logarithmic=True)
    counter.see(values, counting=False)
    counter.see(values, counting=True)
    return counter.histogram()
