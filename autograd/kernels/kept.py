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
    copy: bytearray | None = None
    made: Array | None = None

    @property
    def nbytes(self) -> int:
        return 0 if self.copy is None or self.made is None else len(self.copy) + self.made.nbytes


class Kept:
    """What `make(array, *settings)` gives, kept while the array lives and has the same bytes.

    The array is compared with a copy, byte by byte: whoever has written into it, in whatever way, gets what is made of
    its new numbers. It is kept from the second time on that an array is asked for: training makes new ones in each
    step. At most so many bytes are kept with the copies; what comes when they are used up is made anew each time. (To
    make room would be worse: a network that asks for its layers in turns would find none of them.)
    Any number of threads may ask; none waits for another.

    >>> def double(array):
    ...     print("made")
    ...     return 2 * array
    >>> kept, x = Kept(double, most_bytes=100), np.ones(2)
    >>> kept.of(x), kept.of(x), kept.of(x)
    made
    made
    (array([2., 2.]), array([2., 2.]), array([2., 2.]))
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
        key = id(array), array.shape, array.dtype, settings  # an array's shape may be changed in place, too
        entry = self._entries.get(key)
        if entry is not None and entry.copy is None:
            return self._kept(key, array)
        # by the method: it compares memory as it lies, and does not fall back to the array's own ==
        if entry is not None and entry.made is not None and entry.copy.__eq__(array) is True:
            return entry.made
        self._enter(key, array)
        return self._make(array, *settings)

    @property
    def nbytes(self) -> int:
        """How many bytes are kept."""
        return sum(entry.nbytes for entry in list(self._entries.values()))  # list: one step for other threads

    def _kept(self, key: tuple[Any, ...], array: Array) -> Array:
        """What is made of an array that was asked for before, kept if it can be."""
        if not array.flags.c_contiguous:  # its bytes are not side by side
            return self._make(array, *key[-1])
        copy = bytearray(array)
        # of the copy, as another thread may write into the array meanwhile: (bytes,) -> (n,) -> the array's shape
        made = self._make(np.frombuffer(copy, array.dtype).reshape(array.shape), *key[-1])
        if self.nbytes + len(copy) + made.nbytes <= self._most_bytes:
            self._enter(key, array, copy, made)
        return made

    def _enter(self, key: tuple[Any, ...], array: Array, copy: bytearray | None = None,
               made: Array | None = None) -> None:
        entries = self._entries
        entries[key] = _Entry(ref(array, lambda _: entries.pop(key, None)), copy, made)
