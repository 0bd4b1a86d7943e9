"""The input gradient of a convolution of any stride as convolutions of stride 1: one for each remainder of a pixel.

Input pixel i is seen through tap k by output o where i + padding = o * stride + k * dilation. So pixels of the same
remainder by the stride are seen through the same taps, and along them the gradient is a convolution of the output
gradient with those taps, read backwards. For stride 1 there is one such phase; for stride 2 and 3x3 there are four, of
2x2, 2x1, 1x2 and 1 taps: no product with a zero in between, and each pixel is written once.

This is what makes a transposed convolution "sub-pixel": Shi and others, "Is the deconvolution layer the same as a
convolutional layer?", 2016.
"""

from collections.abc import Iterator
from functools import lru_cache
from math import gcd
from typing import Any, NamedTuple

from .window import Window

__all__ = ["Phase", "phases"]


class Phase(NamedTuple):
    """Pixels of one remainder by the stride, rows and columns, and how their gradient comes from the output's."""

    pixels: tuple[slice, slice]  # of the input
    taps: tuple[slice, slice]  # of the weights, forwards
    seen: tuple[slice, slice]  # of the output gradient
    window: Window  # of stride 1, over what is seen, for the taps backwards; its output are the pixels


class _Axis(NamedTuple):
    pixels: slice
    taps: slice
    seen: slice
    size: int
    kernel: int
    padding: tuple[int, int]
    dilation: int
    out: int


@lru_cache(maxsize=1024)  # a network asks for the same few windows in every step
def phases(window: Window) -> tuple[Phase, ...]:
    """The phases that any output sees; the gradient is 0 in all other pixels.

    >>> from autograd.kernels.window import resolve
    >>> [phase.window.kernel for phase in phases(resolve("demo", size=(8, 8), kernel=3, stride=2, padding=1))]
    [(1, 1), (1, 2), (2, 1), (2, 2)]
    """
    return tuple(_phase(rows, columns) for rows in _along(window, 0) for columns in _along(window, 1))


def _phase(rows: _Axis, columns: _Axis) -> Phase:
    pairs: Any = zip(rows, columns, strict=True)
    pixels, taps, seen, size, kernel, padding, dilation, out = pairs
    return Phase(pixels, taps, seen, Window(size, kernel, (1, 1), padding, dilation, out))


def _along(window: Window, axis: int) -> Iterator[_Axis]:
    pairs: Any = window
    size, kernel, stride, (before, _), dilation, out = (pair[axis] for pair in pairs)
    step = stride // gcd(stride, dilation)  # from one tap of a phase to the next
    for remainder in range(min(stride, size)):
        taps = [k for k in range(kernel) if (remainder + before - k * dilation) % stride == 0]
        if not taps:
            continue
        count = -(-(size - remainder) // stride)  # of the pixels
        first = (remainder + before - taps[-1] * dilation) // stride  # the output that sees pixel 0 by the last tap,
        last = (remainder + before - taps[0] * dilation) // stride + count - 1  # and the last pixel by the first one
        start, stop = max(first, 0), min(last + 1, out)  # those that there are
        if start < stop:
            yield _Axis(
                pixels=slice(remainder, None, stride),
                taps=slice(taps[0], taps[-1] + 1, step),
                seen=slice(start, stop),
                size=stop - start,
                kernel=len(taps),
                padding=(start - first, last + 1 - stop),
                dilation=step * dilation // stride,
                out=count,
            )
