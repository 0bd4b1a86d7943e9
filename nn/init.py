"""First values of weights: arrays drawn from a distribution that fits the number of inputs and outputs.

All take a shape and `rng` (a seed, a numpy Generator, or None for that of `nn.rng`) and return an array of
the default dtype. To start a layer in another way, bind such an array:

>>> import nn
>>> layer = nn.Dense(256, 10)
>>> layer.weight.data = nn.init.glorot_uniform(layer.weight.shape, rng=0)
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod, sqrt

import numpy as np

from autograd.tensor import get_default_dtype

from .checks import one_of
from .randomness import Seed, generator

__all__ = ["fans", "glorot_normal", "glorot_uniform", "kaiming_normal", "kaiming_uniform", "normal", "ones", "uniform",
           "zeros"]


def fans(shape: Sequence[int]) -> tuple[int, int]:
    """(fan_in, fan_out): how many inputs one output sums over, and how many outputs one input goes to.

    Dense weights (in, out) -> (in, out). Convolution weights (KH, KW, C / groups, O) -> (KH * KW * C / groups,
    KH * KW * O). Raises ValueError for fewer than two axes.

    >>> fans((3, 3, 16, 32))
    (144, 288)
    """
    if len(shape) < 2:
        raise ValueError(f"fans: weights must have at least two axes, (in, out) or (KH, KW, C / groups, O), got shape "
                         f"{tuple(shape)}")
    taps = prod(shape[:-2])
    return taps * shape[-2], taps * shape[-1]


def kaiming_uniform(shape: Sequence[int], rng: Seed = None, negative_slope: float = 0.0,
                    mode: str = "fan_in") -> np.ndarray:
    """Uniform in [-b, b] with b = sqrt(6 / ((1 + negative_slope**2) * fan)): keeps the variance through ReLUs.

    negative_slope  that of the leaky ReLU which follows, 0 for ReLU
    mode            "fan_in" keeps the variance of forward values, "fan_out" that of gradients

    Raises ValueError for another mode, or a shape of fewer than two axes.

    He et al., "Delving Deep into Rectifiers", 2015, equations 10 and 15.

    >>> kaiming_uniform((3, 3, 1, 16), rng=0).shape
    (3, 3, 1, 16)
    """
    bound = sqrt(3) * _kaiming_std("kaiming_uniform", shape, negative_slope, mode)
    return uniform(shape, -bound, bound, rng)


def kaiming_normal(shape: Sequence[int], rng: Seed = None, negative_slope: float = 0.0,
                   mode: str = "fan_in") -> np.ndarray:
    """Normal with standard deviation sqrt(2 / ((1 + negative_slope**2) * fan)); else as `kaiming_uniform`.

    >>> print(f"{kaiming_normal((3, 3, 64, 128), rng=0).std():.3f}, {sqrt(2 / (3 * 3 * 64)):.3f}")
    0.059, 0.059
    """
    return normal(shape, _kaiming_std("kaiming_normal", shape, negative_slope, mode), rng)


def glorot_uniform(shape: Sequence[int], rng: Seed = None, gain: float = 1.0) -> np.ndarray:
    """Uniform in [-b, b] with b = gain * sqrt(6 / (fan_in + fan_out)): for tanh, sigmoid and softmax.

    Raises ValueError for a shape of fewer than two axes.

    Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010,
    equation 16 (known as Xavier's, too).

    >>> b = sqrt(6 / (256 + 10))
    >>> float(abs(glorot_uniform((256, 10), rng=0)).max()) <= b
    True
    """
    bound = gain * sqrt(6 / sum(fans(shape)))
    return uniform(shape, -bound, bound, rng)


def glorot_normal(shape: Sequence[int], rng: Seed = None, gain: float = 1.0) -> np.ndarray:
    """Normal with standard deviation gain * sqrt(2 / (fan_in + fan_out)); else as `glorot_uniform`.

    >>> print(f"{glorot_normal((256, 10), rng=0).std():.2f}, {sqrt(2 / (256 + 10)):.2f}")
    0.09, 0.09
    """
    return normal(shape, gain * sqrt(2 / sum(fans(shape))), rng)


def uniform(shape: Sequence[int], low: float, high: float, rng: Seed = None) -> np.ndarray:
    """Uniform between low and high: an array of `shape`.

    >>> uniform((2, 3), -1.0, 1.0, rng=0).shape
    (2, 3)
    """
    return generator(rng).uniform(low, high, shape).astype(get_default_dtype())


def normal(shape: Sequence[int], std: float = 1.0, rng: Seed = None) -> np.ndarray:
    """Normal with mean 0 and standard deviation `std`: an array of `shape`.

    >>> print(f"{normal((1000, 100), std=0.5, rng=0).std():.2f}")
    0.50
    """
    return generator(rng).normal(0.0, std, shape).astype(get_default_dtype())


def zeros(shape: Sequence[int]) -> np.ndarray:
    """All 0: an array of `shape`.

    >>> zeros((3,))
    array([0., 0., 0.], dtype=float32)
    """
    return np.zeros(shape, get_default_dtype())


def ones(shape: Sequence[int]) -> np.ndarray:
    """All 1: an array of `shape`.

    >>> ones((3,))
    array([1., 1., 1.], dtype=float32)
    """
    return np.ones(shape, get_default_dtype())


def _kaiming_std(where: str, shape: Sequence[int], negative_slope: float, mode: str) -> float:
    one_of(where, "mode", mode, "fan_in", "fan_out")
    fan_in, fan_out = fans(shape)
    return sqrt(2 / ((1 + negative_slope**2) * (fan_in if mode == "fan_in" else fan_out)))
