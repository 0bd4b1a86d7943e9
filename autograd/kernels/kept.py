"""What was made of an array, kept as long as the array lives and has the same bytes.

Inference asks for the same weights in every call, and what a convolution makes of them can take longer than the rest.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple
from weakref import ref

import numpy as np

__all__ = ["Kept"]

Array = np.ndarray[Any, Any]


class _Entry(NamedTuple):
    array: "ref[Array]"  # whose end takes the entry away
    size: int  # bytes of copy and result, if they are kept
    copy: bytearray | None = None
    made: Array | None = None


class Kept:
    """What `make(array, *settings)` gives, kept while the array lives and has the same bytes.

    The array is compared with a copy, byte by byte: whoever has written into it, in whatever way, gets what is made of
    its new numbers. It is kept from the second time on that an array is asked for: training makes new ones in each
    step. At most so many bytes are kept with the copies (threads that keep at once may exceed them); what comes when
    they are used up is made anew each time. To make room would be worse: a network that asks for its layers in turns
    would find none of them. Any number of threads may ask; none waits for another.

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
        if entry is not None and entry.copy is None and array.flags.c_contiguous:  # else bytes are not side by side
            return self._again(key, array, entry.size)
        # by the method: it compares memory as it lies, and does not fall back to the array's own ==
        if entry is not None and entry.made is not None and entry.copy.__eq__(array) is True:
            return entry.made
        made = self._make(array, *settings)
        self._enter(key, array, array.nbytes + made.nbytes)
        return made

    @property
    def nbytes(self) -> int:
        """How many bytes are kept."""
        entries = list(self._entries.values())  # one step for other threads
        return sum(entry.size for entry in entries if entry.made is not None)

    def _again(self, key: tuple[Any, ...], array: Array, size: int) -> Array:
        """What is made of an array that was asked for before, kept if there is room."""
        if self.nbytes + size > self._most_bytes:
            return self._make(array, *key[-1])
        copy = bytearray(array)
        # of the copy, as another thread may write into the array meanwhile: (bytes,) -> (n,) -> the array's shape
        made = self._make(np.frombuffer(copy, array.dtype).reshape(array.shape), *key[-1])
        self._enter(key, array, size, copy, made)
        return made

    def _enter(self, key: tuple[Any, ...], array: Array, *rest: Any) -> None:
        # no function of Python, in which Ctrl-C could come and be lost: the reference is pop's default
        self._entries[key] = _Entry(ref(array, partial(self._entries.pop, key)), *rest)
