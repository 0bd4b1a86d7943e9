"""What is measured: one Row per line of the README's table of work, in the order in which they run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["OURS", "ROWS", "Comparison", "Entrant", "Row"]

OURS = "ours"


@dataclass(frozen=True)
class Entrant:
    """Who takes part in a row: a module of contestants/, and what it alone is told beside the row's arguments."""

    label: str
    contestant: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Comparison:
    """Ours against the best of some entrants. The ratio is wanted to be at most `wanted`, better `aim`."""

    against: str
    entrants: tuple[str, ...]
    wanted: float | None = None
    aim: float | None = None


@dataclass(frozen=True)
class Row:
    """Work to be measured.

    measure      how, see measures.py
    kind         the function of the contestants that does the work
    arguments    its sizes, and `tiny` what the smoke test takes instead of some of them
    per          the argument by which a measurement is divided
    unit         of a measurement: "s" or "B"
    most_rounds  fewer rounds are enough here, where one takes long or they hardly differ
    """

    name: str
    work: str
    entrants: tuple[Entrant, ...]
    comparisons: tuple[Comparison, ...]
    measure: str = "time"
    kind: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    tiny: Mapping[str, Any] = field(default_factory=dict)
    per: str = ""
    unit: str = "s"
    most_rounds: int | None = None


_US = Entrant(OURS, "ours")
_TORCH = (
    Entrant("torch contiguous", "peer_torch", {"layout": "contiguous"}),
    Entrant("torch channels_last", "peer_torch", {"layout": "channels_last"}),
)
_TENSORFLOW = Entrant("tensorflow", "peer_tensorflow")
_TORCH_LABELS = tuple(entrant.label for entrant in _TORCH)
_SIZES = {"cifar": [32, 32, 3], "resnet20": [32, 32, 3], "small": [28, 28, 1], "lenet": [28, 28, 1]}
_NAMES = {"cifar": "`cifar`", "resnet20": "ResNet-20", "small": "small MNIST net", "lenet": "LeNet-5"}


def _network(network: str, kind: str, batch: int, wanted: float, aim: float) -> Row:
    training = kind == "train"
    channels = _SIZES[network][2]
    return Row(
        name=f"{network}-step" if training else f"{network}-inference-{batch}",
        work=f"{_NAMES[network]}, {'whole step' if training else 'inference'}, batch {batch}",
        entrants=(_US, *_TORCH, _TENSORFLOW),
        comparisons=(
            Comparison("PyTorch's better layout", _TORCH_LABELS, wanted, aim),
            Comparison("TensorFlow", ("tensorflow",), aim=1.0),
        ),
        kind=kind,
        arguments={"network": network, "batch": batch, "image": _SIZES[network]},
        tiny={"batch": 2, "image": [12, 12, channels]},
    )


def _chain_of_ops() -> Row:
    return Row(
        name="chain",
        work="chain of 1,000 scalar-sized ops, forward and backward, per op",
        entrants=(
            _US,
            Entrant("torch", "peer_torch"),
            Entrant("HIPS autograd", "peer_hips"),
            Entrant("MyGrad", "peer_mygrad"),
        ),
        comparisons=(
            Comparison("PyTorch", ("torch",), 0.9, 0.5),
            Comparison("HIPS autograd", ("HIPS autograd",), 0.4),
            Comparison("MyGrad", ("MyGrad",), 0.3),
        ),
        kind="chain",
        arguments={"ops": 1000},
        tiny={"ops": 8},
        per="ops",
    )


def _scalar_net() -> Row:
    return Row(
        name="scalar",
        work="Scalar: a 2-16-16-1 net on 100 points, one step",
        entrants=(_US, Entrant("micrograd", "peer_micrograd")),
        comparisons=(Comparison("micrograd", ("micrograd",), 0.4),),
        kind="scalar_net",
        arguments={"points": 100},
        tiny={"points": 4},
    )


def _conv() -> Row:
    return Row(
        name="conv",
        work="conv2d forward and backward, 8x32x32x16 -> 32, 3x3",
        entrants=(_US, Entrant("MyGrad", "peer_mygrad"), Entrant("HIPS autograd", "peer_hips")),
        comparisons=(
            Comparison("MyGrad", ("MyGrad",), 0.2),
            Comparison("HIPS autograd", ("HIPS autograd",), 0.05),
        ),
        kind="conv",
        arguments={"batch": 8, "image": [32, 32, 16], "channels": 32},
        tiny={"batch": 2, "image": [6, 6, 2], "channels": 3},
    )


def _memory(name: str, above: str, wanted: float | None) -> Row:
    return Row(
        name=name,
        work=f"peak memory above the {above}, `cifar` step, batch 64",
        entrants=(_US, *_TORCH),
        comparisons=(Comparison("PyTorch's better layout", _TORCH_LABELS, wanted),),
        measure=f"peak_above_{above}",
        kind="train",
        arguments={"network": "cifar", "batch": 64, "image": _SIZES["cifar"]},
        tiny={"batch": 8, "image": [16, 16, 3]},
        unit="B",
        most_rounds=3,
    )


def _import() -> Row:
    return Row(
        name="import",
        work="`import autograd, nn`, a whole process",
        entrants=(
            Entrant(OURS, "ours", {"program": "import autograd, nn"}),
            Entrant("import numpy", "ours", {"program": "import numpy"}),
        ),
        comparisons=(Comparison("`import numpy`", ("import numpy",), 1.5),),
        measure="program",
    )


def _scratch() -> Row:
    return Row(
        name="conv-scratch",
        work="scratch memory of conv2d forward and backward, batch 256, 32x32x16 -> 32",
        entrants=(Entrant(OURS, "ours", {"batch": 256}), Entrant("batch 16", "ours", {"batch": 16})),
        comparisons=(Comparison("itself, batch 16", ("batch 16",), 1.1),),
        measure="result",
        kind="conv_scratch",
        arguments={"image": [32, 32, 16], "channels": 32},
        tiny={"batch": 2, "image": [6, 6, 2], "channels": 3},
        unit="B",
        most_rounds=3,
    )


def _depth() -> Row:
    return Row(
        name="depth",
        work="chain of 1,000,000 ops, forward and backward, per op",
        entrants=(
            Entrant(OURS, "ours", {"ops": 1_000_000}),
            Entrant("100,000 ops", "ours", {"ops": 100_000}),
            Entrant("10,000 ops", "ours", {"ops": 10_000}),
        ),
        comparisons=(
            Comparison("itself, 100,000 ops", ("100,000 ops",)),
            Comparison("itself, 10,000 ops", ("10,000 ops",), 1.3),
        ),
        kind="chain",
        tiny={"ops": 8},
        per="ops",
        most_rounds=5,
    )


def _cores() -> Row:
    return Row(
        name="cores",
        work="`cifar` step, batch 64, all cores (0.588 is 1.7 times as fast)",
        entrants=(_US, Entrant("one core", "ours", {"threads": 1})),
        comparisons=(Comparison("itself, one core", ("one core",), 0.588),),
        kind="train",
        arguments={"network": "cifar", "batch": 64, "image": _SIZES["cifar"]},
        tiny={"batch": 2, "image": [8, 8, 3]},
    )


ROWS = (
    _network("cifar", "train", 64, 0.80, 0.60),
    _network("small", "train", 64, 1.5, 1.0),
    _network("lenet", "train", 64, 1.5, 1.0),
    *(_network(network, "infer", batch, 1.0, 0.7) for network in ("cifar", "small", "lenet") for batch in (256, 1)),
    _network("resnet20", "train", 32, 1.3, 0.9),
    _chain_of_ops(),
    _scalar_net(),
    _conv(),
    _memory("cifar-memory", "interpreter", 1.0),
    _memory("cifar-memory-own", "imports", None),
    _import(),
    _scratch(),
    _depth(),
    _cores(),
)
