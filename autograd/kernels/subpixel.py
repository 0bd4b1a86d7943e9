"""The input gradient of a strided convolution as one convolution, whose outputs are blocks of stride x stride pixels.

Pixels of each remainder by the stride have a convolution of their own (`phases.py`), of a few taps each. Here these are
the outputs of one whose kernel has the taps of all, with zeros for those that a phase does not have: four times the
channels for stride 2, which are then laid out as pixels (depth to space). The zeros are multiplied in vain, 7 of 16 for
3x3 and stride 2, none where the kernel is as large as the stride. Still a product of many outputs is fast, what it
sees is copied once, and there is one piece of work for the threads in place of four. With stride 2, 2x2 (32 <- 64
channels) took 0.75 of the time on one core and 0.65 on two, 5x5 (16 <- 32) 0.8 and 0.7, 3x3 (16 <- 32) 0.9 and 0.7,
but 3x3 on many channels (64 <- 128) 1.3 and 1.1 times as long.

Shi and others, "Is the deconvolution layer the same as a convolutional layer?", 2016.
"""

from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import numpy as np

from .phases import Phase, phases
from .runs import copy_runs
from .window import Window

__all__ = ["Blocks", "blocks", "lay_out", "weights"]

Array = np.ndarray[Any, Any]


class Blocks(NamedTuple):
    """How the gradients of all pixels come from the output's at once.

    stride  a block of so many pixels is an output
    seen    of the output gradient
    window  of stride 1, over what is seen; its outputs are the blocks
    parts   of the kernel, for each phase: its remainder, its taps in `w`, and where they stand, all in rows and columns
    """

    stride: tuple[int, int]
    seen: tuple[slice, slice]
    window: Window
    parts: tuple[tuple[tuple[int, int], tuple[slice, slice], tuple[slice, slice]], ...]


class _Axis(NamedTuple):
    seen: slice
    size: int
    kernel: int
    padding: tuple[int, int]
    out: int
    first: int  # the output that block 0 sees by its first tap, negative in the padding


@lru_cache(maxsize=1024)
def blocks(window: Window) -> Blocks | None:
    """The blocks of a window; None where taps have gaps, or a stride is larger than kernel or image.

    A larger stride leaves pixels out, which the phases do not touch.

    >>> from autograd.kernels.window import resolve
    >>> found = blocks(resolve("demo", size=(8, 8), kernel=3, stride=2, padding=1))
    >>> found.window.kernel, found.window.out, len(found.parts)
    ((2, 2), (4, 4), 4)
    """
    ways = phases(window)
    larger = any(stride > min(kernel, size) for stride, kernel, size in
                 zip(window.stride, window.kernel, window.size, strict=True))
    if window.dilation != (1, 1) or larger or not ways:
        return None
    pairs: Any = zip(_along(window, ways, 0), _along(window, ways, 1), strict=True)
    seen, size, kernel, padding, out, first = pairs
    parts = tuple((_remainder(phase), phase.taps, _place(phase, first)) for phase in ways)
    return Blocks(window.stride, seen, Window(size, kernel, (1, 1), padding, (1, 1), out), parts)


def _along(window: Window, ways: tuple[Phase, ...], axis: int) -> _Axis:
    count = -(-window.size[axis] // window.stride[axis])
    first = min(_first(phase, axis) for phase in ways)
    kernel = max(_first(phase, axis) + phase.window.kernel[axis] for phase in ways) - first
    last = first + kernel + count - 1  # after what the last block sees
    start, stop = max(first, 0), min(last, window.out[axis])
    return _Axis(slice(start, stop), stop - start, kernel, (start - first, last - stop), count, first)


def _first(phase: Phase, axis: int) -> int:
    """The output that pixel 0 of a phase sees by its first tap, negative in the padding."""
    return phase.seen[axis].start - phase.window.padding[axis][0]


def _remainder(phase: Phase) -> tuple[int, int]:
    return phase.pixels[0].start, phase.pixels[1].start


def _place(phase: Phase, first: tuple[int, int]) -> tuple[slice, slice]:
    """Where the taps of a phase, backwards, stand in the kernel of all."""
    starts = [_first(phase, axis) - first[axis] for axis in (0, 1)]
    rows, columns = (slice(start, start + n) for start, n in zip(starts, phase.window.kernel, strict=True))
    return rows, columns


def weights(w: Array, found: Blocks) -> Array:
    """w (KH, KW, C, O) -> (kernel of the blocks, O, SH*SW*C), for a convolution of the output gradient."""
    _, _, channels, outputs = w.shape
    kernel = np.zeros((*found.window.kernel, outputs, *found.stride, channels), w.dtype)
    for remainder, taps, (rows, columns) in found.parts:
        # (taps, C, O), backwards -> (taps, O, C)
        kernel[rows, columns, :, *remainder] = w[taps][::-1, ::-1].swapaxes(2, 3)
    # (.., O, SH, SW, C) -> (.., O, SH*SW*C)
    return kernel.reshape(*found.window.kernel, outputs, prod(found.stride) * channels)


def lay_out(outs: Array, found: Blocks, dx: Array) -> None:
    """Writes blocks (n, ceil(H / SH), ceil(W / SW), SH*SW*C) into dx (n, H, W, C): depth to space."""
    (sh, sw), (n, height, width, channels) = found.stride, dx.shape
    by_row = outs.reshape(*outs.shape[:3], sh, sw * channels)  # (.., SH*SW*C) -> (.., SH, SW*C)
    whole = width // sw  # blocks that are not cut off by the edge
    inside = whole * sw * channels
    for row in range(sh):
        count = len(range(row, height, sh))
        target = dx[:, row::sh].reshape(n, count, width * channels)  # (n, count, W, C) -> (n, count, W*C), a view
        blocks = by_row[:, :count, :, row]
        # (n, count, whole*SW*C) -> (n, count, whole, SW*C), a view
        copy_runs(target[:, :, :inside].reshape(n, count, whole, sw * channels), blocks[:, :, :whole])
        target[:, :, inside:] = blocks[:, :, -1, : width * channels - inside]
