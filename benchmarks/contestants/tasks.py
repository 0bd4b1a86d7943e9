"""What is to be worked out, the same for every contestant: inputs, networks, and expressions.

Imports NumPy and neither this project nor a peer, since each contestant reads it in an environment of its own.
"""

import math
import random
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

__all__ = [
    "LEARNING_RATE", "MOMENTUM", "NETWORKS", "chain", "conv_arrays", "images_and_labels", "moons_step",
    "sums_of_squares",
]

# So small that thousands of steps on one batch leave the network as it started: no unit dies, whose momentum
# would fade into subnormal numbers, which are slow.
LEARNING_RATE = 1e-6
MOMENTUM = 0.9

# nn.models for the peers. conv: channels, kernel, padding; conv_norm (no bias, 3x3, then batch norm) and block
# (He et al. 2015, shortcut by option A): channels, stride; pool: 2x2, the largest; mean: over all pixels.
NETWORKS: dict[str, list[tuple]] = {
    "small": [
        ("conv", 16, 3, 1), ("relu",), ("pool",), ("conv", 32, 3, 1), ("relu",), ("pool",), ("flatten",),
        ("dense", 10),
    ],
    "lenet": [
        ("conv", 6, 5, 2), ("relu",), ("pool",), ("conv", 16, 5, 0), ("relu",), ("pool",), ("flatten",),
        ("dense", 120), ("relu",), ("dense", 84), ("relu",), ("dense", 10),
    ],
    "cifar": [
        ("conv", 64, 3, 1), ("relu",), ("conv", 128, 3, 1), ("relu",), ("pool",), ("conv", 128, 3, 1), ("relu",),
        ("pool",), ("conv", 256, 3, 1), ("relu",), ("pool",), ("flatten",), ("dense", 256), ("relu",),
        ("dense", 64), ("relu",), ("dense", 10),
    ],
    "resnet20": [
        ("conv_norm", 16, 1), ("relu",), ("block", 16, 1), ("block", 16, 1), ("block", 16, 1), ("block", 32, 2),
        ("block", 32, 1), ("block", 32, 1), ("block", 64, 2), ("block", 64, 1), ("block", 64, 1), ("mean",),
        ("dense", 10),
    ],
}


def images_and_labels(batch: int, image: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Images (batch, H, W, C) of float32 in [0, 1) and labels (batch,) from 0 to 9, drawn."""
    rng = np.random.default_rng(0)
    return rng.random((batch, *image), np.float32), rng.integers(0, 10, batch)


def conv_arrays(batch: int, image: Sequence[int], channels: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x (batch, H, W, C), w (3, 3, C, channels), and a gradient of the output (batch, H, W, channels)."""
    rng = np.random.default_rng(0)
    shapes = ((batch, *image), (3, 3, image[2], channels), (batch, *image[:2], channels))
    x, w, g = (rng.standard_normal(shape, np.float32) for shape in shapes)
    return x, w, g


def chain(x: Any, w: Any, b: Any, sin: Callable[[Any], Any], ops: int) -> Any:
    """sin(x * w + b) + b of itself, again and again: as many ops, a multiple of four."""
    if ops % 4:
        raise ValueError(f"chain: ops must be a multiple of 4, got {ops}")
    for _ in range(ops // 4):
        x = sin(x * w + b) + b
    return x


def moons_step(net: Any, number: Callable[[float], Any], points: int) -> Callable[[], tuple[float]]:
    """A step on two half circles with micrograd's own loss: margins, and the squares of all weights."""
    rng = random.Random(0)
    places, sides = [], [1 if i % 2 else -1 for i in range(points)]
    for side in sides:
        angle = rng.uniform(0.0, math.pi)
        x, y = math.cos(angle), math.sin(angle)
        places.append([number(x), number(y)] if side == 1 else [number(1.0 - x), number(0.5 - y)])

    def step() -> tuple[float]:
        losses = [(1 + -side * net(place)).relu() for place, side in zip(places, sides, strict=True)]
        loss = sum(losses) * (1.0 / len(losses)) + 1e-4 * sum(p * p for p in net.parameters())
        net.zero_grad()
        loss.backward()
        for p in net.parameters():
            p.data -= LEARNING_RATE * p.grad
        return (loss.data,)

    return step


def sums_of_squares(arrays: Iterable[Any]) -> dict[str, list[float]]:
    """A fact by which results can be compared, whatever their layout."""
    return {"sums of squares": [float(np.square(array, dtype=float).sum()) for array in arrays]}
