"""Conv2d and ConvTranspose2d: convolutions of images, and their transposes, which make images larger."""

from __future__ import annotations

from math import prod, sqrt
from typing import Any

from autograd.ops.conv import conv2d, conv_transpose2d
from autograd.tensor import Tensor

from . import init
from .checks import IntOrPair, Padding, check_images, compact, pair, whole_number, window_padding
from .module import Module
from .randomness import Seed, generator

__all__ = ["Conv2d", "ConvTranspose2d"]


class Conv2d(Module):
    """Slides a kernel over images: x (N, H, W, in_channels) -> (N, OH, OW, out_channels).

    kernel_size, stride, dilation  in pixels, an int or a pair (rows, columns)
    padding                        the same, or "same" (out = ceil(in / stride)), "valid" (none)
    groups                         cuts the channels into groups that do not see each other
    weight (KH, KW, in_channels / groups, out_channels) and bias (out_channels,) start uniform in +-1 / sqrt(fan_in)
    with fan_in = KH * KW * in_channels / groups, PyTorch's default (`init.kaiming_uniform`, negative_slope sqrt(5)).

    Raises ValueError where settings or the shape of x do not fit, TypeError for other types.

    >>> import nn, numpy as np
    >>> layer = nn.Conv2d(1, 16, 3, padding="same"); layer
    Conv2d(1, 16, kernel_size=3, padding='same', NHWC)
    >>> layer(np.ones((2, 28, 28, 1), np.float32)).shape
    (2, 28, 28, 16)
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: IntOrPair, stride: IntOrPair = 1,
                 padding: Padding = 0, dilation: IntOrPair = 1, groups: int = 1, bias: bool = True,
                 rng: Seed = None) -> None:
        self.in_channels, self.out_channels, self.groups = _channels("Conv2d", in_channels, out_channels, groups)
        self.kernel_size = pair("Conv2d", "kernel_size", kernel_size)
        self.stride = pair("Conv2d", "stride", stride)
        self.padding = window_padding("Conv2d", padding)
        self.dilation = pair("Conv2d", "dilation", dilation)
        shape = (*self.kernel_size, self.in_channels // self.groups, self.out_channels)
        bound = 1 / sqrt(prod(shape[:3]))
        self.weight, self.bias = _weight_and_bias(shape, self.out_channels, bound, bias, rng)

    def forward(self, x: Any) -> Tensor:
        check_images(self, x, self.in_channels)
        return conv2d(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)

    def extra_repr(self) -> str:
        return _settings(self, stride=(1, 1), padding=(0, 0), dilation=(1, 1), groups=1)


class ConvTranspose2d(Module):
    """The transpose of a convolution: x (N, H, W, in_channels) -> (N, OH, OW, out_channels), larger by the stride.

    OH = (H - 1) * stride - 2 * padding + dilation * (KH - 1) + 1 + output_padding, or H * stride for "same".

    Arguments as for Conv2d; `output_padding`, smaller than the stride, makes the output larger at its end.
    weight (KH, KW, out_channels, in_channels / groups) and bias (out_channels,) start uniform in +-1 / sqrt(fan)
    with fan = KH * KW * out_channels / groups, PyTorch's default.

    Raises ValueError where settings or the shape of x do not fit, TypeError for other types.

    >>> import nn, numpy as np
    >>> nn.ConvTranspose2d(16, 3, 2, stride=2)(np.ones((1, 8, 8, 16), np.float32)).shape
    (1, 16, 16, 3)
    """

    def __init__(self, in_channels: int, out_channels: int, kernel_size: IntOrPair, stride: IntOrPair = 1,
                 padding: Padding = 0, output_padding: IntOrPair = 0, groups: int = 1, bias: bool = True,
                 dilation: IntOrPair = 1, rng: Seed = None) -> None:
        name = "ConvTranspose2d"
        self.in_channels, self.out_channels, self.groups = _channels(name, in_channels, out_channels, groups)
        self.kernel_size = pair(name, "kernel_size", kernel_size)
        self.stride = pair(name, "stride", stride)
        self.padding = window_padding(name, padding)
        self.output_padding = pair(name, "output_padding", output_padding, at_least=0)
        self.dilation = pair(name, "dilation", dilation)
        if any(extra >= stride for extra, stride in zip(self.output_padding, self.stride, strict=True)):
            raise ValueError(f"{name}: output_padding {output_padding} must be smaller than stride {stride}")
        shape = (*self.kernel_size, self.out_channels, self.in_channels // self.groups)
        bound = 1 / sqrt(prod(shape[:3]) / self.groups)
        self.weight, self.bias = _weight_and_bias(shape, self.out_channels, bound, bias, rng)

    def forward(self, x: Any) -> Tensor:
        check_images(self, x, self.in_channels)
        return conv_transpose2d(x, self.weight, self.bias, self.stride, self.padding, self.output_padding,
                                self.dilation, self.groups)

    def extra_repr(self) -> str:
        return _settings(self, stride=(1, 1), padding=(0, 0), output_padding=(0, 0), groups=1, dilation=(1, 1))


def _channels(where: str, in_channels: int, out_channels: int, groups: int) -> tuple[int, int, int]:
    """The three numbers, checked: groups must divide both numbers of channels."""
    in_channels = whole_number(where, "in_channels", in_channels)
    out_channels = whole_number(where, "out_channels", out_channels)
    groups = whole_number(where, "groups", groups)
    if in_channels % groups or out_channels % groups:
        raise ValueError(f"{where}: {in_channels} input and {out_channels} output channels cannot both be divided into "
                         f"{groups} groups")
    return in_channels, out_channels, groups


def _weight_and_bias(shape: tuple[int, ...], out_channels: int, bound: float, bias: bool,
                     rng: Seed) -> tuple[Tensor, Tensor | None]:
    draws = generator(rng)
    weight = Tensor(init.uniform(shape, -bound, bound, draws), requires_grad=True)
    if not bias:
        return weight, None
    return weight, Tensor(init.uniform((out_channels,), -bound, bound, draws), requires_grad=True)


def _settings(layer: Conv2d | ConvTranspose2d, **defaults: Any) -> str:
    """What the repr shows: channels, kernel, and the settings that are not the defaults."""
    parts = [f"{layer.in_channels}, {layer.out_channels}, kernel_size={compact(layer.kernel_size)}"]
    parts += [f"{name}={compact(getattr(layer, name))}" for name, default in defaults.items()
              if getattr(layer, name) != default]
    parts += ["bias=False"] if layer.bias is None else []
    return ", ".join([*parts, "NHWC"])
