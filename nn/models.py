"""Networks for classifying images, built for any image size, number of channels and classes.

Each takes the shape of one image (H, W, C), the number of classes and `rng` (a seed or a numpy Generator), and
gives logits: x (N, H, W, C) -> (N, classes). Weights start as the layers' docstrings say unless noted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autograd.ops.elementwise import relu
from autograd.ops.shape import pad
from autograd.tensor import Tensor

from . import init
from .activations import ReLU
from .checks import whole_number
from .conv import Conv2d
from .dense import Dense
from .flatten import Flatten
from .module import Module
from .normalization import BatchNorm2d
from .pooling import GlobalAvgPool2d, MaxPool2d
from .randomness import Seed, generator
from .sequential import Sequential

__all__ = ["BasicBlock", "cifar", "lenet", "resnet20", "small"]

_Shape = Sequence[int]


def small(image_shape: _Shape = (28, 28, 1), classes: int = 10, rng: Seed = None) -> Sequential:
    """Two convolutions with pooling and a dense layer; 20,490 parameters for digits. Images of 4x4 and more.

    >>> import nn
    >>> len(nn.models.small((28, 28, 1), classes=10).parameters())
    6
    """
    height, width, channels = _image_shape("small", image_shape, at_least=4)
    draws = generator(rng)
    return Sequential(
        Conv2d(channels, 16, 3, padding="same", rng=draws),
        ReLU(),
        MaxPool2d(2),
        Conv2d(16, 32, 3, padding="same", rng=draws),
        ReLU(),
        MaxPool2d(2),
        Flatten(),
        Dense((height // 4) * (width // 4) * 32, classes, rng=draws),
    )


def lenet(image_shape: _Shape = (28, 28, 1), classes: int = 10, rng: Seed = None) -> Sequential:
    """LeNet-5 in its modern form: ReLU, max pooling, and logits at the end. Images of 12x12 and more.

    The first convolution pads by 2, which makes the paper's 32x32 of images of 28x28.

    LeCun et al., "Gradient-Based Learning Applied to Document Recognition", 1998, section II.

    >>> import nn
    >>> sum(p.size for p in nn.models.lenet().parameters())
    61706
    """
    height, width, channels = _image_shape("lenet", image_shape, at_least=12)
    draws = generator(rng)
    rows, columns = ((size // 2 - 4) // 2 for size in (height, width))
    return Sequential(
        Conv2d(channels, 6, 5, padding=2, rng=draws),
        ReLU(),
        MaxPool2d(2),
        Conv2d(6, 16, 5, rng=draws),
        ReLU(),
        MaxPool2d(2),
        Flatten(),
        Dense(rows * columns * 16, 120, rng=draws),
        ReLU(),
        Dense(120, 84, rng=draws),
        ReLU(),
        Dense(84, classes, rng=draws),
    )


def cifar(image_shape: _Shape = (32, 32, 3), classes: int = 10, rng: Seed = None) -> Sequential:
    """Four convolutions of 64, 128, 128 and 256 channels with three poolings, and three dense layers.

    Images of 8x8 and more; 32x32 gives 4 * 4 * 256 = 4096 features.

    >>> import nn
    >>> nn.models.cifar()[12]
    Dense(4096, 256)
    """
    height, width, channels = _image_shape("cifar", image_shape, at_least=8)
    draws = generator(rng)
    return Sequential(
        Conv2d(channels, 64, 3, padding="same", rng=draws),
        ReLU(),
        Conv2d(64, 128, 3, padding="same", rng=draws),
        ReLU(),
        MaxPool2d(2),
        Conv2d(128, 128, 3, padding="same", rng=draws),
        ReLU(),
        MaxPool2d(2),
        Conv2d(128, 256, 3, padding="same", rng=draws),
        ReLU(),
        MaxPool2d(2),
        Flatten(),
        Dense((height // 8) * (width // 8) * 256, 256, rng=draws),
        ReLU(),
        Dense(256, 64, rng=draws),
        ReLU(),
        Dense(64, classes, rng=draws),
    )


def resnet20(image_shape: _Shape = (32, 32, 3), classes: int = 10, rng: Seed = None) -> Sequential:
    """The residual network of 20 layers for CIFAR-10: three stages of three blocks with 16, 32 and 64 channels.

    Where a stage halves the image, shortcuts take every other pixel and pad the new channels with zeros (the
    paper's option A), so they have no parameters. Images of any size. Convolutions have no bias, since batch
    normalization follows, and start as `init.kaiming_normal`, as in the paper.

    He et al., "Deep Residual Learning for Image Recognition", 2015, section 4.2 (0.27 million parameters).

    >>> import nn
    >>> sum(p.size for p in nn.models.resnet20().parameters())
    269722
    """
    channels = _image_shape("resnet20", image_shape, at_least=1)[2]
    draws = generator(rng)
    stages = [(16, 16, 1), (16, 16, 1), (16, 16, 1), (16, 32, 2), (32, 32, 1), (32, 32, 1), (32, 64, 2), (64, 64, 1),
              (64, 64, 1)]
    return Sequential(
        _conv3x3(channels, 16, 1, draws),
        BatchNorm2d(16),
        ReLU(),
        *(BasicBlock(n_in, n_out, stride, rng=draws) for n_in, n_out, stride in stages),
        GlobalAvgPool2d(),
        Dense(64, classes, rng=draws),
    )


class BasicBlock(Module):
    """relu(x + BN(conv(relu(BN(conv(x)))))): x (N, H, W, in_channels) -> (N, H / stride, W / stride, out_channels).

    Both convolutions are 3x3; H / stride and W / stride are rounded up. `in_channels` must not be the larger one.

    He et al., "Deep Residual Learning for Image Recognition", 2015, figure 2; shortcuts as in `resnet20`.

    >>> import nn, numpy as np
    >>> nn.models.BasicBlock(16, 32, stride=2)(np.ones((1, 8, 8, 16), np.float32)).shape
    (1, 4, 4, 32)
    """

    def __init__(self, in_channels: int, out_channels: int, stride: int = 1, rng: Seed = None) -> None:
        if out_channels < in_channels:
            raise ValueError(f"BasicBlock: its shortcut can add channels but not drop any, got in_channels "
                             f"{in_channels} and out_channels {out_channels}")
        draws = generator(rng)
        self.new_channels = out_channels - in_channels
        self.stride = stride
        self.conv1 = _conv3x3(in_channels, out_channels, stride, draws)
        self.norm1 = BatchNorm2d(out_channels)
        self.conv2 = _conv3x3(out_channels, out_channels, 1, draws)
        self.norm2 = BatchNorm2d(out_channels)

    def forward(self, x: Any) -> Tensor:
        out = relu(self.norm1(self.conv1(x)))
        return relu(self.norm2(self.conv2(out)) + self._shortcut(x))

    def _shortcut(self, x: Any) -> Any:
        if self.stride > 1:
            x = x[:, :: self.stride, :: self.stride]  # (N, H, W, C) -> (N, OH, OW, C)
        if self.new_channels:
            x = pad(x, ((0, 0), (0, 0), (0, 0), (0, self.new_channels)))  # (N, OH, OW, C) -> (N, OH, OW, O)
        return x


def _conv3x3(in_channels: int, out_channels: int, stride: int, rng: Seed) -> Conv2d:
    conv = Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False, rng=rng)
    conv.weight.data = init.kaiming_normal(conv.weight.shape, rng)
    return conv


def _image_shape(where: str, image_shape: _Shape, at_least: int) -> tuple[int, int, int]:
    """(H, W, C), checked: an image must leave a pixel after all poolings."""
    if not isinstance(image_shape, (tuple, list)) or len(image_shape) != 3:
        raise ValueError(f"{where}: image_shape must be (H, W, C), got {image_shape!r}")
    height, width, channels = (whole_number(where, f"image_shape[{i}]", n) for i, n in enumerate(image_shape))
    if min(height, width) < at_least:
        hint = ""
        if channels >= at_least and height <= 4:
            hint = "; images are NHWC: give the shape as (H, W, C)"
        raise ValueError(f"{where}: images of {height}x{width} are too small, its poolings need at least "
                         f"{at_least}x{at_least}{hint}")
    return height, width, channels
