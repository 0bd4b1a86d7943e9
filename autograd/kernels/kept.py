"""What was made of an array, kept as long as the array lives and has the same bytes.

Inference asks for the same weights in every call, and what a convolution makes of them can take longer than the rest.
"""

from collections.abc import Callable
from typing import Any, NamedTuple
from weakref import ref

import numpy as np

__all__ = ["Kept"]

Array = np.ndarray[Any, Any]


class _Entry(NamedTuple):
    array: "ref[Array]"  # whose end takes the entry away
    copy: bytearray
    made: Array

    @property
    def nbytes(self) -> int:
        return len(self.copy) + self.made.nbytes


class Kept:
    """What `make(array, *settings)` gives, kept while the array lives and has the same bytes.

    The array is compared with a copy, byte by byte: whoever has written into it, in whatever way, gets what is made of
    its new numbers. At most so many bytes are kept with the copies; what comes when they are used up is made anew each
    time. (To make room would be worse: a network that asks for its layers in turns would find none of them.)
    Any number of threads may ask; none waits for another.

    >>> def double(array):
    ...     print("made")
    ...     return 2 * array
    >>> kept, x = Kept(double, most_bytes=100), np.ones(2)
    >>> kept.of(x), kept.of(x)
    made
    (array([2., 2.]), array([2., 2.]))
    >>> x[0] = 5
    >>> kept.of(x)
    made
    array([10.,  2.])
    """

    def __init__(self, make: Callable[..., Array], most_bytes: int) -> None:
        self._make, self._most_bytes = make, most_bytes
        self._entries: dict[tuple[Any, ...], _Entry] = {}

    def of(self, array: Array, *settings: Any) -> Array:
        """What is made of the array, which is not to be written to."""
        key = id(array), settings
        entry = self._entries.get(key)
        # by the method: it compares memory as it lies, and does not fall back to the array's own ==
        if entry is not None and entry.copy.__eq__(array) is True:
            return entry.made
        if not array.flags.c_contiguous:  # its bytes are not side by side
            return self._make(array, *settings)
        copy = bytearray(array)
        # of the copy, as another thread may write into the array meanwhile: (bytes,) -> (n,) -> the array's shape
        made = self._make(np.frombuffer(copy, array.dtype).reshape(array.shape), *settings)
        self._keep(key, array, copy, made)
        return made

    @property
    def nbytes(self) -> int:
        """How many bytes are kept."""
        return sum(entry.nbytes for entry in list(self._entries.values()))  # list: one step for other threads

    def _keep(self, key: tuple[Any, ...], array: Array, copy: bytearray, made: Array) -> None:
        entries = self._entries
        entries.pop(key, None)
        entry = _Entry(ref(array, lambda _: entries.pop(key, None)), copy, made)
        if self.nbytes + entry.nbytes <= self._most_bytes:
            entries[key] = entry
