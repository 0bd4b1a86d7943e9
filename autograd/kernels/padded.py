"""Images with zeros around them, a chunk at a time, in a buffer that the thread's next chunk overwrites."""

from math import prod
from typing import Any

import numpy as np

from .chunks import Kind, Step
from .memory import Scratch

__all__ = ["Padded"]

Array = np.ndarray[Any, Any]

_OWN_BYTES = 1 << 14  # of a buffer that is its kind's own: 8 MB a thread for as many kinds as `Scratch` keeps views of


class Padded:
    """A thread's buffer for what chunks of one kind see, `width` columns of it: made once, see `Scratch.views`.

    A small buffer is not shared with other kinds, so that its zeros stay: to write them anew for each convolution took
    2 % of the time in which one image goes through the small MNIST net.

    array  (images, rows, width, times * C), where the image has the window's size and padding, and each of its channels
           is there `times` times, one after the other
    """

    def __init__(self, kind: Kind, scratch: Scratch, width: int, dtype: Any, times: int = 1) -> None:
        plan, rows = kind.plan, kind.above + kind.real + kind.below
        shape = kind.images, rows, width, times * plan.channels
        self._is_own = prod(shape) * np.dtype(dtype).itemsize <= _OWN_BYTES
        self.array: Array = np.zeros(shape, dtype) if self._is_own else scratch.array("padded", shape, dtype)
        left = plan.window.padding[1][0]
        right = left + plan.window.size[1]
        real = slice(kind.above, kind.above + kind.real)
        inside = self.array[:, real, left:right]
        self._insides = [inside[..., i::times] for i in range(times)]
        sides = (self.array[:, real, :left], self.array[:, real, right:])
        borders = (self.array[:, : kind.above], self.array[:, real.stop :], *sides)
        self._borders = [border for border in borders if border.size]

    def fill(self, x: Array, step: Step, scratch: Scratch) -> None:
        """Writes what the chunk sees of x; the zeros only where another chunk or kernel has had the buffer since."""
        if not (self._is_own or scratch.holds("padded", self)):
            for border in self._borders:
                border[...] = 0
            scratch.now_holds("padded", self)
        for inside in self._insides:
            inside[...] = x[step.images, step.seen]
