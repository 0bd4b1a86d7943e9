"""BatchNorm1d, BatchNorm2d: each channel normalized over the batch; LayerNorm: each example over its features."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np

from autograd.ops.norm import batch_norm, channel_affine, layer_norm
from autograd.tensor import Tensor, value_of

from . import init
from .checks import check_floats, check_images, whole_number
from .module import Module

__all__ = ["BatchNorm1d", "BatchNorm2d", "LayerNorm"]


class _BatchNorm(Module):
    """What both have in common; the channels are the last axis."""

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        self.num_features = whole_number(type(self).__name__, "num_features", num_features)
        self.eps = eps
        self.momentum = momentum
        shape = (self.num_features,)
        self.weight = Tensor(init.ones(shape), requires_grad=True)
        self.bias = Tensor(init.zeros(shape), requires_grad=True)
        self.running_mean = init.zeros(shape)
        self.running_var = init.ones(shape)

    def forward(self, x: Any) -> Tensor:
        self._check(x)
        if self.training:
            return self._by_batch(x)
        scale = self.weight / np.sqrt(self.running_var + self.eps)
        return channel_affine(x, scale, self.bias - self.running_mean * scale)

    def _check(self, x: Any) -> None:
        raise NotImplementedError(f"{type(self).__name__}: _check is not defined; it refuses what has a wrong shape")

    def _by_batch(self, x: Any) -> Tensor:
        """Normalized by the batch's own mean and variance, which the running averages take note of."""
        shape = np.asarray(value_of(x)).shape
        count = prod(shape[:-1])  # elements of each channel
        if count < 2:
            raise ValueError(f"{self!r}: x {shape} has {count} elements in each channel, and training takes a variance "
                             "over at least 2; use a larger batch, or model.eval()")
        y, batch_mean, batch_var = batch_norm(x, self.weight, self.bias, self.eps)
        unbiased = batch_var.data * (count / (count - 1))
        # bound anew, never written into: a graph or another thread may hold the old arrays
        self.running_mean = self._average(self.running_mean, batch_mean.data)
        self.running_var = self._average(self.running_var, unbiased)
        return y

    def _average(self, running: np.ndarray, new: np.ndarray) -> np.ndarray:
        return ((1 - self.momentum) * running + self.momentum * new).astype(running.dtype, copy=False)

    def extra_repr(self) -> str:
        return f"{self.num_features}, eps={self.eps}, momentum={self.momentum}"


class BatchNorm1d(_BatchNorm):
    """Normalizes each channel over the batch: x (N, C) or (N, L, C) -> the same shape.

    (x - mean) / sqrt(var + eps) * weight + bias. In training, mean and (biased) variance are the batch's, and
    running = (1 - momentum) * running + momentum * batch (there the unbiased variance, as in PyTorch); in `eval()`
    the running averages serve instead. weight (C,) starts at 1, bias (C,) at 0, `running_mean` and `running_var`
    (buffers) at 0 and 1.

    Raises ValueError where x has another number of channels, or in training fewer than 2 elements a channel.

    Ioffe and Szegedy, "Batch Normalization", 2015, algorithm 1 and section 3.1.

    >>> import nn, numpy as np
    >>> layer = nn.BatchNorm1d(1)
    >>> layer(np.array([[1.0], [3.0]], np.float32)).data.round(4).tolist()
    [[-1.0], [1.0]]
    >>> layer.running_mean
    array([0.2], dtype=float32)
    """

    def _check(self, x: Any) -> None:
        shape = np.shape(value_of(x))
        if len(shape) not in (2, 3) or shape[-1] != self.num_features:
            raise ValueError(f"{self!r}: x must be (N, {self.num_features}) or (N, L, {self.num_features}), got "
                             f"{shape}")
        check_floats(self, x)


class BatchNorm2d(_BatchNorm):
    """Normalizes each channel of images over the batch and all pixels: x (N, H, W, C) -> the same shape.

    The rest as for BatchNorm1d.

    >>> import nn, numpy as np
    >>> nn.BatchNorm2d(3)(np.ones((5, 8, 8, 3), np.float32)).shape
    (5, 8, 8, 3)
    """

    def _check(self, x: Any) -> None:
        check_images(self, x, self.num_features)


class LayerNorm(Module):
    """Normalizes each example over its last axes: x (.., *normalized_shape) -> the same shape.

    (x - mean) / sqrt(var + eps) * weight + bias, mean and (biased) variance over the last axes, whose lengths are
    `normalized_shape` (an int or a tuple). weight starts at 1, bias at 0, both of `normalized_shape`.

    Raises ValueError where x has other last axes, TypeError where it holds whole numbers.

    Ba, Kiros and Hinton, "Layer Normalization", 2016, equation 3.

    >>> import nn, numpy as np
    >>> nn.LayerNorm(2)(np.array([[1.0, 3.0], [5.0, 5.0]], np.float32)).data.round(3).tolist()
    [[-1.0, 1.0], [0.0, 0.0]]
    """

    def __init__(self, normalized_shape: int | Sequence[int], eps: float = 1e-5) -> None:
        lengths = normalized_shape if isinstance(normalized_shape, (tuple, list)) else (normalized_shape,)
        self.normalized_shape = tuple(whole_number("LayerNorm", "normalized_shape", n) for n in lengths)
        if not lengths:
            raise ValueError("LayerNorm: normalized_shape must name at least one axis, got ()")
        self.eps = eps
        self.weight = Tensor(init.ones(self.normalized_shape), requires_grad=True)
        self.bias = Tensor(init.zeros(self.normalized_shape), requires_grad=True)

    def forward(self, x: Any) -> Tensor:
        self._check(x)
        return layer_norm(x, self.weight, self.bias, self.eps)

    def _check(self, x: Any) -> None:
        shape = np.shape(value_of(x))
        n_axes = len(self.normalized_shape)
        if shape[-n_axes:] != self.normalized_shape:
            expected = ", ".join(map(str, self.normalized_shape))
            raise ValueError(f"{self!r}: x must be (.., {expected}), got {shape}")
        check_floats(self, x)

    def extra_repr(self) -> str:
        shown = self.normalized_shape[0] if len(self.normalized_shape) == 1 else self.normalized_shape
        return f"{shown}, eps={self.eps}"
