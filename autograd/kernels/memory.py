"""Memory that is kept, so that a step does not pay for the same pages again.

A fresh array of megabytes costs as much as the arithmetic on it: the system hands out its pages one by one and
clears each. Two remedies, both for the whole process:

- `keep_freed_memory` tells glibc's allocator to keep what is freed for the next array, where it gives large arrays
  back at once by default. np.maximum(x, 0) into new memory then took 0.22 in place of 0.63 ms for 1 MiB and 3.2 in
  place of 4.0 ms for 16 MiB, as long as into an array that is there already. Called when autograd is imported;
  the environment variable IM2GRAD_KEEP_MEMORY=0 leaves the allocator as it is.
- `Scratch` lends a thread the buffers that its last kernel used. They never leave the kernel: what a kernel
  returns is always a new array.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Callable
from math import prod
from typing import Any, TypeVar

import numpy as np

__all__ = ["Scratch", "keep_freed_memory"]

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # mallopt(3), malloc.h
_LARGEST_INT = 2**31 - 1
_MOST_VIEWS = 512  # kept by a thread: a network has some dozens

View = TypeVar("View")


def keep_freed_memory() -> bool:
    """Has the allocator keep up to 2 GiB of freed memory; False where it is not glibc's, or is to stay as it is."""
    if os.environ.get("IM2GRAD_KEEP_MEMORY") == "0" or not _is_glibc():
        return False
    mallopt = ctypes.CDLL(None).mallopt
    # arrays of up to 1 GiB come from the heap, and the heap's top goes back when 2 GiB of it are free
    return bool(mallopt(_M_MMAP_THRESHOLD, 2**30) and mallopt(_M_TRIM_THRESHOLD, _LARGEST_INT))


def _is_glibc() -> bool:
    try:
        return (os.confstr("CS_GNU_LIBC_VERSION") or "").startswith("glibc")
    except (AttributeError, ValueError, OSError):  # Windows has no confstr, macOS and musl not this name
        return False


class Scratch:
    """The calling thread's buffers, lent inside `with Scratch() as scratch:` and kept for the next one.

    >>> with Scratch() as scratch:
    ...     columns = scratch.array("columns", (2, 3), np.float32)  # what was in it is anybody's guess
    >>> columns.shape, columns.dtype
    ((2, 3), dtype('float32'))
    """

    __slots__ = ("_buffers", "_contents", "_views")

    _of_thread = threading.local()

    def __enter__(self) -> Scratch:
        # taken out of the thread's hands, so that a kernel that begins inside of this one makes its own
        kept: tuple[dict, dict, dict] = self._of_thread.__dict__.pop("kept", None) or ({}, {}, {})
        self._buffers, self._views, self._contents = kept
        return self

    def __exit__(self, kind: object, *error: object) -> None:
        if kind is None:  # after Ctrl-C another thread may still write into a buffer that this one has let it use
            self._of_thread.kept = self._buffers, self._views, self._contents

    def array(self, name: str, shape: tuple[int, ...], dtype: Any) -> np.ndarray:
        """An array of that shape whose contents are undefined; the same memory whenever the name is the same."""
        dtype = np.dtype(dtype)
        size = prod(shape) * dtype.itemsize
        buffer = self._buffers.get(name)
        self._contents.pop(name, None)
        if buffer is None or buffer.size < size:
            if buffer is not None:
                self._views.clear()  # they would keep the smaller one alive
            buffer = self._buffers[name] = np.empty(size, np.uint8)
        return buffer[:size].view(dtype).reshape(shape)  # (bytes,) -> (n,) -> shape

    def views(self, make: Callable[[Any, Scratch], View], key: Any) -> View:
        """`make(key, scratch)`, made once for each key as long as the buffers stay the same.

        Views of buffers take 1 us each to make, which a kernel on one image feels: 10 of them are a third of its time.
        """
        found = self._views.get((make, key))
        if found is None:
            if len(self._views) >= _MOST_VIEWS:
                self._views.clear()
            found = make(key, self)
            self._views[make, key] = found
        return found

    def holds(self, name: str, content: Any) -> bool:
        """Whether the buffer of that name still has what `now_holds` said last."""
        return self._contents.get(name) is content

    def now_holds(self, name: str, content: Any) -> None:
        """Says what has been written into a buffer; afterwards, for the writing may be interrupted."""
        self._contents[name] = content
