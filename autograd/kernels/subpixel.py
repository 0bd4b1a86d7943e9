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
from typing import Any, NamedTuple

import numpy as np

from .phases import Phase, phases
from .window import Window

__all__ = ["Blocks", "blocks", "lay_out", "weights"]

Array = np.ndarray[Any, Any]


class Blocks(NamedTuple):
    """How the gradients of all pixels come from the output's at once.

    stride  a block of so many pixels is an output
    seen    of the output gradient
    window  of stride 1, over what is seen; its output are the blocks
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
    """The blocks of a window; None where its taps have gaps, and where no output sees a pixel.

    >>> from autograd.kernels.window import resolve
    >>> found = blocks(resolve("demo", size=(8, 8), kernel=3, stride=2, padding=1))
    >>> found.window.kernel, found.window.out, len(found.parts)
    ((2, 2), (4, 4), 4)
    """
    ways = phases(window)
    if window.dilation != (1, 1) or not ways:
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
    return kernel.reshape(*found.window.kernel, outputs, -1)  # (.., O, SH, SW, C) -> (.., O, SH*SW*C)


def lay_out(outs: Array, found: Blocks, dx: Array) -> None:
    """Writes blocks (n, ceil(H / SH), ceil(W / SW), SH*SW*C) into dx (n, H, W, C): depth to space."""
    n, rows, columns, _ = outs.shape
    (sh, sw), channels = found.stride, dx.shape[3]
    whole_shape = n, rows * sh, columns * sw, channels
    whole = dx if dx.shape == whole_shape else np.empty(whole_shape, dx.dtype)
    by_row = outs.reshape(n, rows, columns, sh, sw * channels)  # (.., SH*SW*C) -> (.., SH, SW*C)
    # (n, rows*SH, columns*SW, C) -> (n, rows, SH, columns, SW*C), a view, and (n, rows, columns, SH, ..) -> the same
    np.copyto(whole.reshape(n, rows, sh, columns, sw * channels), by_row.transpose(0, 1, 3, 2, 4))
    if whole is not dx:
        dx[...] = whole[:, : dx.shape[1], : dx.shape[2]]
