"""Random changes of a batch of images, for training: shift, flip, crop, rotate and scale.

Each one is a callable `(images, rng) -> images`: floats (N, H, W, C) and a numpy Generator in, a new array of
the same dtype out. The input is never written to, and the generator decides everything: the same state gives
the same bits.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from .checks import kind, whole_number

__all__ = ["Compose", "RandomAffine", "RandomCrop", "RandomFlip", "RandomShift", "Transform"]

FloatArray = npt.NDArray[np.floating[Any]]
Transform = Callable[[FloatArray, np.random.Generator], FloatArray]


@dataclass(frozen=True)
class RandomShift:
    """Move each image by up to `pixels` pixels, up or down and left or right, and fill with zeros.

    Shapes: images (N, H, W, C) -> (N, H, W, C). Both distances are drawn for each image, evenly from the
    whole numbers -pixels..pixels.
    Raises: ValueError if pixels is negative, or not smaller than the images' sides; TypeError if it is no
    whole number.

    >>> import numpy as np
    >>> image = np.arange(1, 10, dtype=np.float32).reshape(1, 3, 3, 1)
    >>> RandomShift(1)(image, np.random.default_rng(0))[0, :, :, 0]
    array([[4., 5., 6.],
           [7., 8., 9.],
           [0., 0., 0.]], dtype=float32)
    """

    pixels: int

    def __post_init__(self) -> None:
        whole_number("RandomShift", "pixels", self.pixels, at_least=0)

    def __call__(self, images: FloatArray, rng: np.random.Generator) -> FloatArray:
        _check_call("RandomShift", images, rng)
        height, width = images.shape[1:3]
        if self.pixels >= min(height, width):
            raise ValueError(
                f"RandomShift: a shift by up to {self.pixels} pixels can push a whole image of "
                f"{height}x{width} out of the frame; give fewer pixels"
            )
        return _random_crop(images, (height, width), self.pixels, rng)


@dataclass(frozen=True)
class RandomFlip:
    """Mirror each image left to right, or leave it, with equal chances.

    Shapes: images (N, H, W, C) -> (N, H, W, C). For photographs; digits and letters do not survive it.

    >>> import numpy as np
    >>> images = np.array([[1, 2, 3], [1, 2, 3]], dtype=np.float32).reshape(2, 1, 3, 1)
    >>> RandomFlip()(images, np.random.default_rng(0))[:, 0, :, 0]
    array([[1., 2., 3.],
           [3., 2., 1.]], dtype=float32)
    """

    def __call__(self, images: FloatArray, rng: np.random.Generator) -> FloatArray:
        _check_call("RandomFlip", images, rng)
        flipped = rng.random(len(images)) < 0.5
        out = images.copy()
        out[flipped] = images[flipped, :, ::-1]
        return out


@dataclass(frozen=True)
class RandomCrop:
    """Cut a window of `size` out of each image at a random place, after `padding` zeros on every side.

    Shapes: images (N, H, W, C) -> (N, size, size, C), or (N, height, width, C) for size=(height, width).
    Every place where the window fits is equally likely. RandomCrop(32, padding=4) is what residual networks
    are trained with on CIFAR-10 (He et al., Deep Residual Learning for Image Recognition, 2016, section 4.2).
    Raises: ValueError if size is below 1, padding is negative, or the window is larger than the padded image;
    TypeError if one of them is no whole number.

    >>> import numpy as np
    >>> RandomCrop(24)(np.zeros((64, 28, 28, 1), np.float32), np.random.default_rng(0)).shape
    (64, 24, 24, 1)
    """

    size: int | tuple[int, int]
    padding: int = 0

    def __post_init__(self) -> None:
        if isinstance(self.size, tuple) and len(self.size) != 2:
            raise ValueError(
                f"RandomCrop: size must be a whole number or a pair (height, width), got {self.size}"
            )
        for side in self._window():
            whole_number("RandomCrop", "size", side, at_least=1)
        whole_number("RandomCrop", "padding", self.padding, at_least=0)

    def __call__(self, images: FloatArray, rng: np.random.Generator) -> FloatArray:
        _check_call("RandomCrop", images, rng)
        height, width = (side + 2 * self.padding for side in images.shape[1:3])
        window = self._window()
        if window[0] > height or window[1] > width:
            raise ValueError(
                f"RandomCrop: the window {window[0]}x{window[1]} is larger than the padded image "
                f"{height}x{width} (images {images.shape}, padding {self.padding}); "
                "give a smaller size or more padding"
            )
        return _random_crop(images, window, self.padding, rng)

    def _window(self) -> tuple[int, int]:
        return self.size if isinstance(self.size, tuple) else (self.size, self.size)


@dataclass(frozen=True)
class RandomAffine:
    """Turn each image about its centre by up to `degrees` either way, and scale it by a factor from `scale`.

    Shapes: images (N, H, W, C) -> (N, H, W, C). The angle (positive: counterclockwise) and the factor (2
    makes things twice as large) are drawn evenly for each image. A pixel of the result is the bilinear mean
    of the four pixels around the place that it comes from; outside the image there are zeros.
    Raises: ValueError if degrees is not in 0..180 or scale is no pair 0 < low <= high.
    Formula: bilinear interpolation of the inverse map, R. C. Gonzalez and R. E. Woods, Digital Image
    Processing, 4th ed., section 2.6 (geometric transformations).

    >>> import numpy as np
    >>> turn = RandomAffine(degrees=10, scale=(0.9, 1.1))
    >>> turn(np.ones((64, 28, 28, 1), np.float32), np.random.default_rng(0)).shape
    (64, 28, 28, 1)
    """

    degrees: float
    scale: tuple[float, float] = (1.0, 1.0)

    def __post_init__(self) -> None:
        if not 0 <= self.degrees <= 180:
            raise ValueError(f"RandomAffine: degrees must be from 0 to 180, got {self.degrees}")
        if not isinstance(self.scale, tuple) or len(self.scale) != 2:
            raise ValueError(
                f"RandomAffine: scale must be a pair (low, high) such as (0.9, 1.1), got {self.scale!r}"
            )
        if not 0 < self.scale[0] <= self.scale[1] < np.inf:
            raise ValueError(f"RandomAffine: scale must be a pair 0 < low <= high, got {self.scale}")

    def __call__(self, images: FloatArray, rng: np.random.Generator) -> FloatArray:
        _check_call("RandomAffine", images, rng)
        angles = rng.uniform(-self.degrees, self.degrees, len(images)) * (np.pi / 180)
        factors = rng.uniform(self.scale[0], self.scale[1], len(images))
        return _sample_bilinear(images, *_source_places(images, angles, factors))


class Compose:
    """Apply several changes one after the other: Compose([RandomShift(2), RandomAffine(10)]).

    Raises: TypeError if one of them cannot be called.

    >>> import numpy as np
    >>> change = Compose([RandomFlip(), RandomCrop(24)])
    >>> change(np.zeros((64, 28, 28, 1), np.float32), np.random.default_rng(0)).shape
    (64, 24, 24, 1)
    >>> change
    Compose([RandomFlip(), RandomCrop(size=24, padding=0)])
    """

    def __init__(self, transforms: Sequence[Transform]) -> None:
        self.transforms = tuple(transforms)
        for transform in self.transforms:
            if not callable(transform):
                raise TypeError(
                    f"Compose: each transform must be a callable (images, rng) -> images, got {transform!r}"
                )

    def __call__(self, images: FloatArray, rng: np.random.Generator) -> FloatArray:
        for transform in self.transforms:
            images = transform(images, rng)
        return images

    def __repr__(self) -> str:
        return f"Compose([{', '.join(map(repr, self.transforms))}])"


def _check_call(name: str, images: object, rng: object) -> None:
    if not isinstance(images, np.ndarray) or not np.issubdtype(images.dtype, np.floating):
        raise TypeError(
            f"{name}: images must be a NumPy array of floats, got {kind(images)}; "
            "a DataLoader makes such batches, or use images.astype(np.float32) / 255"
        )
    if images.ndim != 4:
        raise ValueError(f"{name}: images must be (N, height, width, channels), got shape {images.shape}")
    if not isinstance(rng, np.random.Generator):
        raise TypeError(
            f"{name}: rng must be a numpy Generator such as np.random.default_rng(0), got "
            f"{type(rng).__name__}"
        )


def _random_crop(
    images: FloatArray, window: tuple[int, int], padding: int, rng: np.random.Generator
) -> FloatArray:
    """Cut the window (height, width) out of each zero-padded image, at places drawn evenly."""
    n, height, width, channels = images.shape
    padded = np.zeros((n, height + 2 * padding, width + 2 * padding, channels), images.dtype)
    padded[:, padding : padding + height, padding : padding + width] = images
    tops = rng.integers(padded.shape[1] - window[0] + 1, size=n)
    lefts = rng.integers(padded.shape[2] - window[1] + 1, size=n)
    # (N, tops, lefts, 1, window height, window width, C): a view with one entry for each place of the window.
    places = np.lib.stride_tricks.sliding_window_view(padded, (*window, channels), axis=(1, 2, 3))
    cropped: FloatArray = places[np.arange(n), tops, lefts, 0]
    return cropped


def _source_places(
    images: FloatArray, angles: FloatArray, factors: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """The row and the column, as floats (N, H, W), of the place that each pixel of the result shows.

    The inverse of "turn, then enlarge about the centre". Rows count downwards, so a counterclockwise turn on
    the screen has the sine's sign that is below.
    """
    height, width = images.shape[1:3]
    dtype = np.result_type(images.dtype, np.float32)  # float16 cannot tell the pixels of a large image apart
    cos = (np.cos(angles) / factors).astype(dtype)[:, None, None]
    sin = (np.sin(angles) / factors).astype(dtype)[:, None, None]
    middle_row, middle_column = (height - 1) / 2, (width - 1) / 2
    down = (np.arange(height, dtype=dtype) - middle_row)[:, None]  # (H, 1)
    right = np.arange(width, dtype=dtype) - middle_column  # (W,)
    rows = cos * down + (sin * right + middle_row)  # (N, H, 1) + (N, 1, W) -> (N, H, W)
    columns = cos * right - (sin * down - middle_column)  # (N, 1, W) + (N, H, 1) -> (N, H, W)
    return rows, columns


def _sample_bilinear(images: FloatArray, rows: FloatArray, columns: FloatArray) -> FloatArray:
    """The bilinear mean of each image at its places (N, H, W); outside the image there are zeros."""
    n, height, width, channels = images.shape
    # One pixel of zeros before and two after, so that a place clipped to -1..H still has all four neighbours.
    # Channels come first: NumPy is several times faster over a long last axis than over one of 3.
    planes = np.zeros((channels, n, height + 3, width + 3), images.dtype)
    planes[:, :, 1 : height + 1, 1 : width + 1] = images.transpose(3, 0, 1, 2)
    rows = np.clip(rows + 1, 0, height + 1)
    columns = np.clip(columns + 1, 0, width + 1)
    top = rows.astype(np.intp)  # rounds down, since nothing is negative
    left = columns.astype(np.intp)
    down = (rows - top.astype(rows.dtype)).astype(images.dtype)  # in 0..1, as `right` is
    right = (columns - left.astype(rows.dtype)).astype(images.dtype)
    # Where the upper left neighbour stands in a plane's list of pixels, (N, H, W).
    first = (np.arange(n)[:, None, None] * (height + 3) + top) * (width + 3) + left
    out = np.empty_like(images, order="C")
    for channel in range(channels):
        pixels = planes[channel].reshape(-1)  # (N, H + 3, W + 3) -> (N * (H + 3) * (W + 3),)
        upper = _between(pixels.take(first), pixels.take(first + 1), right)
        first_below = first + (width + 3)
        lower = _between(pixels.take(first_below), pixels.take(first_below + 1), right)
        out[..., channel] = _between(upper, lower, down)
    return out


def _between(start: FloatArray, end: FloatArray, part: FloatArray) -> FloatArray:
    """start + part * (end - start), written into `end`: fresh memory for it would cost more than the sums."""
    end -= start
    end *= part
    end += start
    return end
