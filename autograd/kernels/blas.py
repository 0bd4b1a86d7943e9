"""The BLAS that NumPy calls: whether it packs small matrices, and its threads, which sleep while the pool's work.

BLAS has threads of its own, which would fight with the pool's for the cores. While the pool works on products BLAS
is limited to one thread, which needs the package threadpoolctl: a limit of the whole process, counted under a lock.
Without it, or with a BLAS that it cannot limit (Apple's, one on OpenMP), products stay in the calling thread and BLAS
uses its threads.
"""

import ctypes
import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from threading import RLock, get_ident
from typing import Any, NamedTuple

__all__ = ["SMALL_PRODUCT", "UNPACKED", "has_unpacked", "is_small", "one_blas_thread"]

SMALL_PRODUCT = 1 << 18  # multiplications: up to here OpenBLAS takes one thread by itself
UNPACKED = 1_000_000  # multiplications: so many it takes without packing where it `has_unpacked` kernels, if the
# second matrix, as NumPy counts them, is not transposed

_UNPACKED_ON = frozenset(["SkylakeX", "Cooperlake", "SapphireRapids"])  # its names for processors with AVX-512


def one_blas_thread() -> AbstractContextManager[bool]:
    """BLAS has one thread inside `with one_blas_thread() as is_limited:`, where it can be limited.

    For products outside of `share` too: a product that wakes BLAS's own threads leaves them spinning for some 30 ms
    (OpenBLAS), and so takes a core from the pool.
    """
    return _Region() if _blas.can_be_limited() else nullcontext(False)


def has_unpacked() -> bool:
    """Whether BLAS has kernels for this processor that multiply small matrices as they lie, without packing them.

    False where it cannot be limited: then it uses its own threads, but not for products as small as that.
    """
    return _blas.has_unpacked()


def is_small(multiplications: int, thinnest: int, is_transposed: bool) -> bool:
    """Whether BLAS makes a product of so many multiplications in one thread by itself, and so needs no limit.

    thinnest       the least of rows, columns and depth: of a matrix and a vector other kernels make the product, which
                   share it out from some 460,000 multiplications on
    is_transposed  whether the second matrix is, as NumPy counts them, or may be

    OpenBLAS does for few, and for as many as it takes without packing.
    """
    if multiplications <= SMALL_PRODUCT:
        return True
    return multiplications <= UNPACKED and thinnest > 1 and not is_transposed and has_unpacked()


class _Region:
    """BLAS has one thread inside `with`; regions overlap, in several threads and in one.

    Ctrl-C may come after a region was entered and before its block begins, which then never ends: so an entry that
    fails ends the region itself, and an end that fails is done again.
    """

    __slots__ = ()

    def __enter__(self) -> bool:
        try:
            _blas.enter(self)
        except BaseException:
            _blas.leave(self)
            raise
        return True

    def __exit__(self, *error: object) -> None:
        try:
            _blas.leave(self)
        except BaseException:
            _blas.leave(self)
            raise


class _Blas:
    """The BLAS that NumPy calls: it has one thread while any region is entered, then again what it had before.

    What is known of it is looked up when it is first needed, which costs a millisecond.
    """

    def __init__(self) -> None:
        self.lock = RLock()  # a signal's handler may compute, too
        self._libraries: list[_Limit] = []
        self._has_unpacked = False
        self._looked = False
        self._before: list[int] = []
        self._entered: dict[int, int] = {}  # by the id of a region, the thread's

    def can_be_limited(self) -> bool:
        """Whether it is one whose threads can be limited, and threadpoolctl is there to do it."""
        if not self._looked:
            self._look()
        return bool(self._libraries)

    def has_unpacked(self) -> bool:
        if not self._looked:
            self._look()
        return self._has_unpacked

    def _look(self) -> None:
        found = _blas_libraries()
        self._libraries = _limits(found)
        kinds = [library.internal_api == "openblas" and library.architecture in _UNPACKED_ON for library in found]
        self._has_unpacked = bool(self._libraries) and all(kinds)
        self._looked = True

    def enter(self, region: _Region) -> None:
        with self.lock:
            if not self._entered:
                self._before = [get() for get, _ in self._libraries]
            self._entered[id(region)] = get_ident()
            if len(self._entered) == 1:
                for _, limit in self._libraries:
                    limit(1)

    def leave(self, region: _Region) -> None:
        """Ends the region, if it was entered."""
        with self.lock:
            if len(self._entered) == 1 and id(region) in self._entered:
                self._restore()
            self._entered.pop(id(region), None)

    def _restore(self) -> None:
        for (_, limit), n in zip(self._libraries, self._before, strict=True):
            limit(n)

    def after_fork(self) -> None:
        """In the child, where the other threads are gone, whose regions do not end."""
        self.lock = RLock()
        if self._entered:
            self._entered = {region: thread for region, thread in self._entered.items() if thread == get_ident()}
            if not self._entered:
                self._restore()


class _Limit(NamedTuple):
    """How the number of threads of one BLAS is read and set."""

    get: Callable[[], int]
    set: Callable[[int], Any]


def _limit_of(library: Any) -> _Limit:
    """For OpenBLAS its own two functions, called with the interpreter's lock held: 3 us a region in place of 8.

    From 3.7 on threadpoolctl lets one thread of Python alone set the number, and ignores the others, unless that one is
    forgotten by force. Who limits is known here, so any thread may.
    """
    find: Any = getattr(library, "_get_symbol", lambda name: None)
    found = [find(f"openblas_{verb}_num_threads") for verb in ("get", "set")]
    if all(found):
        functions = ctypes.PyDLL(library.filepath)
        return _Limit(*(functions[function.__name__] for function in found))
    return _Limit(library.get_num_threads, getattr(library, "_real_set_num_threads", library.set_num_threads))


def _blas_libraries() -> list[Any]:
    """threadpoolctl's handles of each BLAS; none without it."""
    try:
        from threadpoolctl import ThreadpoolController
    except ModuleNotFoundError:
        return []
    return ThreadpoolController().select(user_api="blas").lib_controllers


def _limits(libraries: list[Any]) -> list[_Limit]:
    """What limits the threads of each BLAS; none where a limit is of one thread alone."""
    own_limit_per_thread = any(getattr(library, "threading_layer", "") == "openmp" for library in libraries)
    return [] if own_limit_per_thread else [_limit_of(library) for library in libraries]


_blas = _Blas()

if hasattr(os, "register_at_fork"):
    # The lock is held during the fork, so that the child finds the regions and the limit in step.
    os.register_at_fork(
        before=lambda: _blas.lock.acquire(),
        after_in_parent=lambda: _blas.lock.release(),
        after_in_child=lambda: _blas.after_fork(),
    )
