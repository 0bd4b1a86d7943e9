"""Pooling layers: each channel of an image made smaller by the largest or the mean element of windows."""

from __future__ import annotations

from typing import Any

from autograd.ops.pool import avg_pool2d, max_pool2d
from autograd.ops.reduce import mean
from autograd.tensor import Tensor

from .checks import IntOrPair, Padding, check_images, compact, pair, window_padding
from .module import Module

__all__ = ["AvgPool2d", "GlobalAvgPool2d", "MaxPool2d"]


class MaxPool2d(Module):
    """The largest element of each window: x (N, H, W, C) -> (N, OH, OW, C), OH = (H + 2 * padding - KH) // stride + 1.

    kernel_size, stride  in pixels, an int or a pair (rows, columns); stride is the kernel's size by default
    padding              the same, or "same" (out = ceil(in / stride)), "valid"; counts as -inf

    Raises ValueError where settings or the shape of x do not fit, TypeError for other types.

    >>> import nn, numpy as np
    >>> nn.MaxPool2d(2)(np.ones((1, 28, 28, 3), np.float32)).shape
    (1, 14, 14, 3)
    """

    def __init__(self, kernel_size: IntOrPair, stride: IntOrPair | None = None, padding: Padding = 0) -> None:
        self.kernel_size = pair("MaxPool2d", "kernel_size", kernel_size)
        self.stride = self.kernel_size if stride is None else pair("MaxPool2d", "stride", stride)
        self.padding = window_padding("MaxPool2d", padding)

    def forward(self, x: Any) -> Tensor:
        check_images(self, x)
        return max_pool2d(x, self.kernel_size, self.stride, self.padding)

    def extra_repr(self) -> str:
        return _settings(self)


class AvgPool2d(Module):
    """The mean of each window: x (N, H, W, C) -> (N, OH, OW, C). Arguments and errors as for MaxPool2d.

    Padding is left out of the mean; `count_include_pad=True` counts it as zeros, which is PyTorch's default.

    >>> import nn, numpy as np
    >>> nn.AvgPool2d(2)(np.ones((1, 28, 28, 3), np.float32)).shape
    (1, 14, 14, 3)
    """

    def __init__(self, kernel_size: IntOrPair, stride: IntOrPair | None = None, padding: Padding = 0,
                 count_include_pad: bool = False) -> None:
        self.kernel_size = pair("AvgPool2d", "kernel_size", kernel_size)
        self.stride = self.kernel_size if stride is None else pair("AvgPool2d", "stride", stride)
        self.padding = window_padding("AvgPool2d", padding)
        self.count_include_pad = bool(count_include_pad)

    def forward(self, x: Any) -> Tensor:
        check_images(self, x)
        return avg_pool2d(x, self.kernel_size, self.stride, self.padding, self.count_include_pad)

    def extra_repr(self) -> str:
        return _settings(self) + (", count_include_pad=True" if self.count_include_pad else "")


class GlobalAvgPool2d(Module):
    """The mean of each channel over the whole image: x (N, H, W, C) -> (N, C).

    Raises ValueError where x is not (N, H, W, C), TypeError where it holds whole numbers.

    Lin et al., "Network In Network", 2013, section 3.2.

    >>> import nn, numpy as np
    >>> nn.GlobalAvgPool2d()(np.ones((5, 8, 8, 64), np.float32)).shape
    (5, 64)
    """

    def forward(self, x: Any) -> Tensor:
        check_images(self, x)
        return mean(x, axis=(1, 2))


def _settings(layer: MaxPool2d | AvgPool2d) -> str:
    parts = [f"kernel_size={compact(layer.kernel_size)}"]
    if layer.stride != layer.kernel_size:
        parts.append(f"stride={compact(layer.stride)}")
    if layer.padding != (0, 0):
        parts.append(f"padding={compact(layer.padding)}")
    return ", ".join(parts)
