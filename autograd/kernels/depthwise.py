"""Depthwise convolution: each channel by itself, with a kernel of its own or m of them (a channel multiplier).

Sifre, "Rigid-Motion Scattering for Image Classification", 2014, and Howard and others, "MobileNets: Efficient
Convolutional Neural Networks for Mobile Vision Applications", 2017.

A product of columns would have one output, so there are no columns. An output row is a sum over taps of what the tap
sees of a row, times the tap's weights, number by number: `np.einsum` multiplies and adds in one pass, in 0.2 ns a
number where np.multiply and np.add take 0.5. That holds for long rows only: with C numbers (64) at a time it took 0.29
ms where whole rows of OW * C, with the weights repeated OW times, take 0.10 (one image, 32x32x64, 3x3). With a stride
along the row what a tap sees is not one piece, so few channels are first copied together, KW * OW * C numbers for a row
of the input: 0.19 in place of 0.31 ms for 64 channels, 0.18 of 0.68 for 8, but 0.86 of 0.61 for 256, which are left
where they are.

With a multiplier each channel of the input is there m times in the padded copy. The input gradient of that is a
convolution of m channels to one for each group: the same, and then m outputs are added up.

im2col cuts the work, shares it out and calls this in place of its columns.
"""

from math import prod
from typing import Any

import numpy as np

from .chunks import Kind, Step
from .memory import Scratch
from .padded import Padded
from .runs import copy_runs, strides_of
from .window import Window

__all__ = ["MOST_SUMMED", "Layout", "Taps", "is_depthwise"]

Array = np.ndarray[Any, Any]

_MOST_TIMES = 8  # of a channel: products of columns are about as fast with more
_LONG, _LONG_FOR_SUMS = 256, 64  # channels that are not worth a copy which makes runs longer
_LONGEST = 1 << 13  # numbers in a run: repeated weights for wider rows would take more memory than the images
_EINSUM_BUFFER = 8192  # numbers: where several runs fit in, einsum copies them there first, see `_add_rows`
_SHORT = 1 << 15  # numbers: less takes less time than a call of einsum
MOST_SUMMED = 256  # rows in a chunk: sums in single precision add up no more
_NANOSECONDS = 0.25  # for a product of two numbers that is added to a sum


def is_depthwise(w_shape: tuple[int, ...], groups: int) -> bool:
    """Whether w (KH, KW, C / groups, O) has one channel in each group, or one output, and at most 8 of the other."""
    depth, outputs = w_shape[2], w_shape[3] // groups
    return groups > 1 and min(depth, outputs) == 1 and max(depth, outputs) <= _MOST_TIMES


class Layout:
    """How the channels are taken.

    channels       those that are worked on, groups * m
    x_times        so many of them come from one of x, one after the other
    out_times      so many are added up to one output
    is_apart       what a tap sees of a row is in pieces of `channels` numbers, for there is a stride along it
    is_gathered    it is copied together for products
    at_once        places of a row that are taken as one
    sums           the dtype in which sums of many rows go on
    weights_shape  (KH, KW, channels)
    """

    def __init__(self, window: Window, w_shape: tuple[int, ...], groups: int, dtype: np.dtype[Any]) -> None:
        depth, outputs = w_shape[2], w_shape[3] // groups
        self.window, self.dtype, self._groups = window, dtype, groups
        self.channels = groups * depth * outputs
        self.x_times, self.out_times = outputs, depth
        self.is_apart = window.stride[1] > 1
        self.is_gathered = self.is_apart and self.channels < _LONG
        self.at_once = 1 if self.is_apart and not self.is_gathered else _at_once(window.out[1], self.channels)
        self.sums = np.dtype(np.result_type(dtype, np.float64)) if dtype.kind in "fc" else dtype
        self.weights_shape = (*window.kernel, self.channels)

    @property
    def is_copied(self) -> bool:
        """Whether x must be copied, be it padded or not."""
        return self.is_gathered or self.x_times > 1

    def nanoseconds(self, images: int) -> float:
        """About what so many images take on one core."""
        return _NANOSECONDS * images * prod(self.window.out) * prod(self.weights_shape)

    def row_bytes(self) -> int:
        """What an output row takes in the cache: itself, and what it sees."""
        width = self.window.size[1] + sum(self.window.padding[1])
        gathered = self.window.kernel[1] * self.window.out[1] if self.is_gathered else 0
        pixels = self.window.out[1] + self.window.stride[0] * (width + gathered)
        return pixels * self.channels * self.dtype.itemsize

    def weights(self, w: Array) -> Array:
        """w (KH, KW, C/groups, O) as `Taps.times` takes it: (KH, KW, at_once * C*m)."""
        taps = self.window.kernel
        by_depth = w.reshape(*taps, self.out_times, self._groups, self.x_times)  # O -> (groups, O/groups)
        row = by_depth.swapaxes(2, 3).reshape(*taps, 1, self.channels)  # (KH, KW, groups, depth, ..) -> (.., 1, C*m)
        rows = np.broadcast_to(row, (*taps, self.at_once, self.channels))
        return rows.reshape(*taps, self.at_once * self.channels)  # (KH, KW, at_once, C*m) -> (KH, KW, at_once*C*m)

    def weights_back(self, weights: Array) -> Array:
        """(KH, KW, C*m) -> (KH, KW, C/groups, O)."""
        taps = self.window.kernel
        by_group = weights.reshape(*taps, self._groups, self.out_times, self.x_times)  # C*m -> (groups, depth, ..)
        return by_group.swapaxes(2, 3).reshape(*taps, self.out_times, -1)  # (KH, KW, depth, groups, ..) -> (.., O)

    def view(self, x: Array, rows: int) -> Array:
        """What each tap sees: x (images, .., W, C*m), padded already -> (images, rows, KH, KW, *run), a view.

        The runs of a row, (OW / at_once, at_once * C*m); with a stride along the row (OW, C*m).
        """
        (sh, sw), (dh, dw) = self.window.stride, self.window.dilation
        n, h, w, c = strides_of(x)
        places = 1 if self.is_apart else self.at_once
        shape = (len(x), rows, *self.window.kernel, self.window.out[1] // places, places * self.channels)
        return np.ndarray(shape, x.dtype, x, 0, (n, h * sh, h * dh, w * dw, w * sw * places, c))


def _at_once(width: int, channels: int) -> int:
    """The most places of a row, a divisor of its width, with at most `_LONGEST` numbers; else 1."""
    return max((k for k in range(1, width + 1) if width % k == 0 and k * channels <= _LONGEST), default=1)


class Taps:
    """A thread's buffers for chunks of one kind: copies of what they see, products and sums, if need be.

    Made once, see `Scratch.views`.
    """

    def __init__(self, kind: Kind, scratch: Scratch) -> None:
        self._layout: Layout = kind.plan.depthwise
        self._kind = kind
        self._pixels = (kind.images, kind.rows, self._layout.window.out[1])
        self._padded: Padded | None = None

    def of(self, x: Array, step: Step, whole: Array | None, scratch: Scratch) -> Array:
        """What the chunk's taps see of x, (images, rows, KH, KW, *run): of `whole` where that needs no copy."""
        if whole is not None:
            return whole[step.images, step.rows]
        self._padded = self._padded or self._pad(scratch)
        self._padded.fill(x, step, scratch)
        return self._seen

    def _pad(self, scratch: Scratch) -> Padded:
        layout, window = self._layout, self._layout.window
        padded = Padded(self._kind, scratch, window.size[1] + sum(window.padding[1]), layout.dtype, layout.x_times)
        self._seen: Array = layout.view(padded.array, self._kind.rows)
        if layout.is_gathered:
            shape = (*padded.array.shape[:2], window.kernel[1], *self._seen.shape[4:])  # (images, .., KW, OW, C*m)
            n, h = padded.array.strides[:2]
            self._apart: Array = np.ndarray(shape, layout.dtype, padded.array, 0, (n, h, *self._seen.strides[3:]))
            self._together = scratch.array("columns", shape, layout.dtype)
            n, h, tap, place, c = self._together.strides
            strides = (n, h * window.stride[0], h * window.dilation[0], tap, layout.at_once * place, c)
            runs = (*self._seen.shape[:4], window.out[1] // layout.at_once, layout.at_once * layout.channels)
            self._gathered: Array = np.ndarray(runs, layout.dtype, self._together, 0, strides)
        return padded

    def _gather(self) -> Array:
        """What the taps see, with the numbers of each row side by side."""
        copy_runs(self._together, self._apart)
        return self._gathered

    def times(self, seen: Array, weights: Array, out: Array, scratch: Scratch) -> None:
        """Writes what the taps see times the weights, added up, to out (1, pixels, O), the pixels of the chunk."""
        layout = self._layout
        seen = self._gather() if layout.is_gathered else seen
        rows = (*self._pixels[:2], *seen.shape[4:])
        if layout.out_times == 1 and out.dtype == layout.dtype:
            np.einsum("nhijrx,ijx->nhrx", seen, weights, out=out.reshape(rows))  # (1, pixels, O) -> (n, rows, *run)
            return
        products = scratch.array("products", rows, layout.dtype)
        np.einsum("nhijrx,ijx->nhrx", seen, weights, out=products)
        by_output = products.reshape(*out.shape, layout.out_times)  # (n, rows, *run) -> (1, pixels, O, m)
        total = by_output[..., 0]
        for i in range(1, layout.out_times):
            total += by_output[..., i]
        out[...] = total

    def weigh(self, seen: Array, dout: Array, dw: Array, scratch: Scratch) -> None:
        """Writes what the taps see times dout (1, pixels, O), summed over pixels, to dw (KH, KW, C*m).

        Sums in the dtype of the products go over the chunk's images and rows alone, or over images and places in a row
        alone; the rest is added up in a wider one.
        """
        layout = self._layout
        if layout.out_times > 1:
            repeated = scratch.array("repeated", (*dout.shape, layout.out_times), layout.dtype)
            for i in range(layout.out_times):
                repeated[..., i] = dout
            dout = repeated
        if layout.is_gathered and layout.channels < _LONG_FOR_SUMS:
            seen = self._gather()
        run = seen.shape[4:]
        if run[0] > 1 and layout.channels >= _LONG_FOR_SUMS:
            seen = seen.reshape(*seen.shape[:4], -1, layout.channels)  # (.., *run) -> (.., OW, C*m), a view
            dout = dout.reshape(*self._pixels, layout.channels)  # (1, pixels, O) or (.., O, m) -> (n, rows, OW, C*m)
            by_row = scratch.array("sums", (self._pixels[1], *dw.shape), dout.dtype)
            np.einsum("nhijrx,nhrx->hijx", seen, dout, out=by_row)
            np.add.reduce(by_row, axis=0, dtype=dw.dtype, out=dw)
            return
        dout = dout.reshape(*self._pixels[:2], *run)  # (1, pixels, O) or (.., O, m) -> (n, rows, *run)
        sums = scratch.array("sums", (*dw.shape[:2], *run), dout.dtype)
        self._add_rows(seen, dout, sums)
        by_place = sums.reshape(*dw.shape[:2], -1, dw.shape[2])  # (KH, KW, *run) -> (KH, KW, OW, C*m)
        np.add.reduce(by_place, axis=2, dtype=dw.dtype, out=dw)

    def _add_rows(self, seen: Array, dout: Array, sums: Array) -> None:
        """Writes the sums of seen times dout over images and rows: (KH, KW, *run).

        In one call; but where the runs of some taps fit in einsum's buffer it copies them into it. Then a call for each
        tap is faster, if runs are not short: 0.18 in place of 0.32 ns a product for 4 images of 32x32x64, 3x3.
        """
        taps = sums.shape[:2]
        if dout.size < _SHORT or taps[1] * sums.shape[3] > _EINSUM_BUFFER:
            np.einsum("nhijrx,nhrx->ijrx", seen, dout, out=sums)
            return
        for tap in np.ndindex(taps):
            np.einsum("nhrx,nhrx->rx", seen[:, :, *tap], dout, out=sums[tap])
