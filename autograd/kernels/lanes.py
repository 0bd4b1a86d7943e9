"""Sums of parts that threads finish in any order, with the same bits each time."""

from collections.abc import Callable, Sequence
from threading import Lock
from typing import Any, TypeVar

import numpy as np

from .memory import Scratch

__all__ = ["Lanes"]

Step = TypeVar("Step")

Array = np.ndarray[Any, Any]

_LANES = 4  # so many threads add at a time; more of them cost memory, and a walk each in the end


class Lanes:
    """The sum of `count` arrays of one shape, the parts 0, 1, 2 .. of a job whose items they are.

    Parts go to the lanes in turns, 0 1 2 3 0 1 2 .., and within a lane they are added in order, so rounding does not
    depend on which thread was first. Nobody waits for his turn: a part that comes too early is put aside, and added by
    whoever ends the wait for it. Where parts are handed out in order few come early; if a thread stands still, those of
    its lane do, a quarter of all.

    sums  (lanes, *shape); the whole is the sum of them, see `total`

    >>> lanes = Lanes(3, (2,), np.float64)
    >>> for part in (2, 0, 1):
    ...     with Scratch() as scratch:
    ...         place = lanes.place(part, scratch)
    ...         place[...] = part
    ...         lanes.add(part, place)
    >>> lanes.total()
    array([3., 3.])
    """

    def __init__(self, count: int, shape: tuple[int, ...], dtype: Any) -> None:
        lanes = min(count, _LANES)
        self.sums: Array = np.empty((lanes, *shape), dtype)
        self._next = list(range(lanes))  # the part that a lane waits for
        self._early: list[dict[int, Array]] = [{} for _ in range(lanes)]
        self._locks = [Lock() for _ in range(lanes)]

    def place(self, part: int, scratch: Scratch) -> Array:
        """Where a thread writes a part before it adds it: the lane itself if it is the first there, else in scratch."""
        if part < len(self.sums):
            return self.sums[part]
        return scratch.array("part", self.sums.shape[1:], self.sums.dtype)

    def sum_up(self, part: int, steps: Sequence[Step], write: Callable[[Step, Array], None], scratch: Scratch) -> None:
        """Adds a part that is itself the sum of what write(step, array) writes for each step, in their order."""
        place = self.place(part, scratch)
        write(steps[0], place)
        for step in steps[1:]:
            next_one = scratch.array("next", place.shape, place.dtype)
            write(step, next_one)
            place += next_one
        self.add(part, place)

    def add(self, part: int, array: Array) -> None:
        """Adds what has been written to the place of a part."""
        lane = part % len(self.sums)
        total, early = self.sums[lane], self._early[lane]
        with self._locks[lane]:
            if part != self._next[lane]:
                early[part] = array.copy()  # the thread's next part overwrites it
                return
            ready: Array | None = array
            while ready is not None:
                if part >= len(self.sums):
                    total += ready
                part += len(self.sums)
                ready = early.pop(part, None)
            self._next[lane] = part

    def total(self) -> Array:
        """The sum of all parts, zeros where there are none; once, for it is made in place."""
        if not len(self.sums):
            return np.zeros(self.sums.shape[1:], self.sums.dtype)
        for lane in self.sums[1:]:
            self.sums[0] += lane
        return self.sums[0]
