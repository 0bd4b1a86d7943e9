"""The geometry of a sliding 2-D window: one place that turns stride, padding and dilation into numbers.

Convolutions and poolings share it. Index 0 of every pair is the row axis (height), index 1 the column axis.
"""

from collections.abc import Sequence
from functools import lru_cache
from operator import index
from typing import Any, NamedTuple, SupportsIndex

from .remembered import remembered

__all__ = ["IntOrPair", "Padding", "Window", "resolve"]

Pair = tuple[int, int]
IntOrPair = SupportsIndex | Sequence[SupportsIndex]
Padding = IntOrPair | str | Sequence[Sequence[SupportsIndex]]


class Window(NamedTuple):
    """The resolved geometry of a sliding window; all in pixels. Make one with `resolve`.

    Output pixel o of an axis sees the input pixels `o * stride - padding_before + k * dilation` for the
    taps k = 0 .. kernel - 1; those outside of the image are padding.
    """

    size: Pair  # (H, W) of the input
    kernel: Pair  # (KH, KW)
    stride: Pair  # (SH, SW)
    padding: tuple[Pair, Pair]  # ((top, bottom), (left, right))
    dilation: Pair  # (DH, DW)
    out: Pair  # (OH, OW)

    @property
    def span(self) -> Pair:
        """(rows, columns) from the first tap to the last, both counted: the kernel if dilation is 1."""
        return _span(self.kernel, self.dilation)

    @property
    def padded(self) -> bool:
        """Whether there is any padding."""
        return self.padding != ((0, 0), (0, 0))

    def tap(self, axis: int, k: int, first: int = 0, stop: int | None = None) -> tuple[slice, slice]:
        """The outputs in first .. stop whose tap k lies on a real pixel, and those pixels: (outputs, pixels).

        Both slices have the same length (0 if there is none) and so can be assigned to each other.

        >>> resolve("demo", size=(5, 5), kernel=3, stride=2, padding=1).tap(axis=0, k=0)
        (slice(1, 3, None), slice(1, 4, 2))
        """
        size, stride = self.size[axis], self.stride[axis]
        offset = k * self.dilation[axis] - self.padding[axis][0]  # the pixel that output 0 sees
        last = (size - 1 - offset) // stride
        stop = min(self.out[axis] if stop is None else stop, last + 1)
        first = max(first, -(offset // stride))  # that is ceil(-offset / stride)
        if stop <= first:
            return slice(0, 0), slice(0, 0, stride)
        return slice(first, stop), slice(first * stride + offset, (stop - 1) * stride + offset + 1, stride)


def resolve(
    op: str,
    size: Sequence[SupportsIndex],
    kernel: IntOrPair,
    stride: IntOrPair,
    padding: Padding,
    dilation: IntOrPair = 1,
) -> Window:
    """The Window of a kernel sliding over an image of `size` (H, W), for the op of that name.

    kernel, stride, dilation: an int or a pair (rows, columns). padding: an int; a pair (rows, columns), the
    same at both ends; "valid" (none); "same" (TensorFlow's: out = ceil(in / stride), the odd pixel at the
    end); or ((top, bottom), (left, right)). Else `out = (in + padding - span) // stride + 1`
    (Dumoulin and Visin, A guide to convolution arithmetic for deep learning, 2016).

    Raises ValueError for values that make no window, TypeError for wrong types; both begin with `op`.

    >>> resolve("conv2d", size=(28, 28), kernel=3, stride=2, padding="same").padding
    ((0, 1), (0, 1))
    """
    return _resolve_given(op, size, kernel, stride, padding, dilation)


@remembered
def _resolve_given(op: str, size: Any, kernel: Any, stride: Any, padding: Any, dilation: Any) -> Window:
    return _resolve(
        op,
        _pair(op, "size", size),
        _pair(op, "kernel", kernel),
        _pair(op, "stride", stride),
        _padding(op, padding),
        _pair(op, "dilation", dilation),
    )


@lru_cache(maxsize=1024)  # the same Window for what means the same
def _resolve(
    op: str, size: Pair, kernel: Pair, stride: Pair, padding: str | tuple[Pair, Pair], dilation: Pair
) -> Window:
    ones = "to see single pixels", "to skip no window", "for taps side by side"
    for name, pair, why in zip(("kernel", "stride", "dilation"), (kernel, stride, dilation), ones, strict=True):
        if min(pair) < 1:
            raise ValueError(f"{op}: {name} must be at least 1 on both axes, not {pair}; use 1 {why}")
    if min(size) < 1:
        raise ValueError(f"{op}: the image has no pixels: its size (H, W) is {size}")
    pads = _same(size, _span(kernel, dilation), stride) if isinstance(padding, str) else padding
    if min(*pads[0], *pads[1]) < 0:
        raise ValueError(f"{op}: padding must not be negative, not {pads}; crop the input instead")
    span = _span(kernel, dilation)
    padded = (size[0] + sum(pads[0]), size[1] + sum(pads[1]))
    if span[0] > padded[0] or span[1] > padded[1]:
        covers = f" with dilation {dilation} covers {span} and" if dilation != (1, 1) else ""
        raise ValueError(
            f"{op}: kernel {kernel}{covers} is larger than the padded input {padded} "
            f"(size {size}, padding {pads}); use a smaller kernel or more padding"
        )
    out = ((padded[0] - span[0]) // stride[0] + 1, (padded[1] - span[1]) // stride[1] + 1)
    return Window(size, kernel, stride, pads, dilation, out)


def _span(kernel: Pair, dilation: Pair) -> Pair:
    return (kernel[0] - 1) * dilation[0] + 1, (kernel[1] - 1) * dilation[1] + 1


def _same(size: Pair, span: Pair, stride: Pair) -> tuple[Pair, Pair]:
    """TensorFlow's "same" padding: just enough for ceil(in / stride) outputs, the odd pixel at the end."""

    def axis(size: int, span: int, stride: int) -> Pair:
        out = -(-size // stride)
        total = max((out - 1) * stride + span - size, 0)
        return total // 2, total - total // 2

    return axis(size[0], span[0], stride[0]), axis(size[1], span[1], stride[1])


def _padding(op: str, padding: Any) -> str | tuple[Pair, Pair]:
    """Padding as "same" or ((top, bottom), (left, right))."""
    if isinstance(padding, str):
        if padding == "valid":
            return (0, 0), (0, 0)
        if padding != "same":
            raise ValueError(
                f'{op}: padding {padding!r} is unknown; use an int, a pair, "valid", "same" '
                "or ((top, bottom), (left, right))"
            )
        return padding
    if isinstance(padding, (tuple, list)) and any(isinstance(p, (tuple, list)) for p in padding):
        if len(padding) != 2 or not all(isinstance(p, (tuple, list)) for p in padding):
            raise ValueError(f"{op}: padding must be ((top, bottom), (left, right)), not {padding!r}")
        return _pair(op, "padding", padding[0]), _pair(op, "padding", padding[1])
    rows, columns = _pair(op, "padding", padding)
    return (rows, rows), (columns, columns)


def _pair(op: str, name: str, value: Any) -> Pair:
    if not isinstance(value, (tuple, list)):
        n = _integer(op, name, value, value)
        return n, n
    if len(value) != 2:
        raise ValueError(f"{op}: {name} must be an int or a pair of ints, not {value!r}")
    return _integer(op, name, value[0], value), _integer(op, name, value[1], value)


def _integer(op: str, name: str, item: Any, given: Any) -> int:
    # True is an int to Python, but as a stride or a padding it is a mistake.
    if not isinstance(item, bool):
        try:
            return index(item)
        except TypeError:
            pass  # not an integer: said below with the name of the op
    raise TypeError(f"{op}: {name} must be an int or a pair of ints, not {given!r}")
