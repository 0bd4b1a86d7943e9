"""One pool of threads for the process, to which kernels hand out chunks of their work.

NumPy lets go of the interpreter's lock in copies, ufuncs and products, so threads of Python keep several cores
busy. A kernel cuts its work into items by shape alone and each item writes where no other does: whichever
thread takes an item, the bits of the result are the same.

While the pool works on products BLAS is limited to one thread (`blas.py`); where it cannot be limited, products stay in
the calling thread and BLAS uses its own threads.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextvars import copy_context
from operator import index
from queue import SimpleQueue
from threading import Lock, Thread, local
from time import perf_counter, thread_time
from typing import Any, SupportsIndex, TypeVar

import numpy as np

from .blas import one_blas_thread
from .cpus import number_of_cpus

__all__ = ["get_num_threads", "set_num_threads", "share"]

Item = TypeVar("Item")

_ROWS, _LOOKS = 200, 25_000  # looks at a flag before a thread sleeps, some 2 ms in all: few ops take longer
_OFF_CORE = 3e-3  # seconds that a thread is taken off its core: a slice of the system's, not a wait for a lock
_RESTS = 50  # times that no thread looks then: two trainings at once on two cores took 26 ms a step in place of 40


def get_num_threads() -> int:
    """The number of threads that an op may use, the calling one counted.

    At first this is the number of CPUs that the process may run on, or fewer where a container's quota allows fewer.
    """
    return _num_threads


def set_num_threads(n: SupportsIndex) -> None:
    """Let ops on large arrays use up to n threads, the calling one counted, from the next call on.

    Convolution, pooling, normalization, dense layers, softmax, ReLU and optimizers do; their results have the same bits
    for any n. After an op its threads look for more work for up to 2 ms; more of them than CPUs are slower. Products
    outside of ops, and `einsum`, are BLAS's own, with its own setting.
    Raises TypeError if n is no integer, ValueError if it is less than 1.

    >>> before = get_num_threads()
    >>> set_num_threads(1)
    >>> get_num_threads()
    1
    >>> set_num_threads(before)
    """
    global _num_threads
    if isinstance(n, bool) or not hasattr(n, "__index__"):
        raise TypeError(f"set_num_threads: n must be an integer, not {n!r}; give the number of threads, 1 or more")
    if index(n) < 1:
        raise ValueError(f"set_num_threads: n must be at least 1, not {n}; 1 uses the calling thread alone")
    _num_threads = index(n)


def share(work: Callable[[Iterator[Item]], None], items: Sequence[Item], blas: bool = False) -> None:
    """Call work(iterator) in several threads at once; the iterators hand each of the items to one of them.

    `work` makes the scratch of its thread and then loops over its iterator. blas tells that it calls BLAS, which
    is then limited to one thread, also where one thread does all (the same bits). A single item stays in the
    calling thread, as do calls from within work. An error in a thread ends the others and is raised here.

    >>> doubled = [0] * 4
    >>> def work(places):
    ...     for i in places:
    ...         doubled[i] = 2 * i
    >>> share(work, range(4))
    >>> doubled
    [0, 2, 4, 6]
    """
    if getattr(_here, "at_work", False):
        work(iter(items))
    elif not blas:
        _share(work, items)
    else:
        with one_blas_thread() as is_limited:
            if is_limited:
                _share(work, items)
            else:
                work(iter(items))


def _share(work: Callable[[Iterator[Item]], None], items: Sequence[Item]) -> None:
    helpers = min(_num_threads, len(items)) - 1
    if helpers < 1:
        work(iter(items))
        return
    job = _Job(work, items)
    _workers.call(job, helpers)
    job.finish()


class _Looker:
    """How a thread looks for a while whether something has come, without the interpreter's lock, before it sleeps.

    A thread that sleeps takes 50 to 100 us to wake, more on a virtual machine whose core has gone to rest, and a step
    of a network hands out a hundred jobs of a millisecond. In Python a thread can only look with the interpreter's
    lock, which the others need. But np.logical_or.reduce lets go of it, and goes on to the next row at the first True:
    over a view that reads the flag of a row again and again, it ends soon after the flags are set.

    The last row's flag is never set. While it is read, some 9 us, who has set the others comes to where it lets go of
    the lock: to wait for it would be to sleep.

    Where other programs want the cores as well, looking takes their time and ours: if a thread has been off its core
    for some milliseconds while it looked, all threads go straight to sleep for a while.
    """

    rest = 0  # so many times no thread looks

    def __init__(self) -> None:
        self._flags = np.zeros(_ROWS, bool)
        self._view = np.ndarray((_ROWS, _LOOKS), bool, self._flags, 0, (1, 0))

    def set(self) -> None:
        self._flags[:-1] = True

    def clear(self) -> None:
        self._flags[:-1] = False

    def look(self) -> None:
        """Until the flags are set, 2 ms at the most."""
        if _Looker.rest:
            _Looker.rest -= 1
            return
        began, worked = perf_counter(), thread_time()
        np.logical_or.reduce(self._view, axis=1)
        if perf_counter() - began - (thread_time() - worked) > _OFF_CORE:
            _Looker.rest = _RESTS


class _Mailbox:
    """A queue whose readers look for a while before they sleep."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[Any] = SimpleQueue()
        self._lookers: list[_Looker] = []

    def put(self, item: Any) -> None:
        self._queue.put(item)
        for looker in tuple(self._lookers):  # others come and go meanwhile
            looker.set()

    def get(self) -> Any:
        if self._queue.empty():
            looker = _here.__dict__.get("looker") or _here.__dict__.setdefault("looker", _Looker())
            looker.clear()
            self._lookers.append(looker)
            if self._queue.empty():  # who puts now sees the looker
                looker.look()
            self._lookers.remove(looker)
        return self._queue.get()


class _Job:
    """Items that threads take one by one. Nobody is waited for who has not begun when all are taken."""

    def __init__(self, work: Callable[[Iterator[Any]], None], items: Sequence[Any]) -> None:
        self._work = work
        self._items = deque(items)
        self._errors: list[BaseException] = []
        self._lock = Lock()
        self._open = True
        self._helpers = 0
        self._helper_left = _Mailbox()

    def help(self) -> None:
        """What a worker does."""
        with self._lock:
            if not self._open:
                return
            self._helpers += 1
        self._run()
        self._helper_left.put(None)

    def finish(self) -> None:
        """What the calling thread does."""
        self._run()
        with self._lock:
            self._open = False
        for _ in range(self._helpers):
            self._helper_left.get()
        del self._work  # a worker that comes too late must not keep the arrays alive
        if self._errors:
            del self._errors[1:]
            raise self._errors.pop()

    def _run(self) -> None:
        _here.at_work = True
        try:
            self._work(self._take())
        except BaseException as error:
            self._errors.append(error)
            self._items.clear()  # for nobody
        finally:
            _here.at_work = False

    def _take(self) -> Iterator[Any]:
        while True:
            try:
                item = self._items.popleft()  # in one step, for all threads
            except IndexError:
                return
            yield item


class _Workers:
    """Threads that wait for jobs. They start when they are first needed, and end with the process."""

    def __init__(self) -> None:
        self._calls = _Mailbox()
        self._number = 0
        self._lock = Lock()

    def call(self, job: _Job, helpers: int) -> None:
        if self._number < helpers:
            self._start(helpers)
        for _ in range(helpers):
            self._calls.put((job, copy_context()))  # np.errstate is part of the context

    def _start(self, number: int) -> None:
        with self._lock:
            while self._number < number:
                Thread(target=_wait_for_jobs, args=(self._calls,), name="im2grad", daemon=True).start()
                self._number += 1


def _wait_for_jobs(calls: _Mailbox) -> None:
    while True:
        job, context = calls.get()
        context.run(job.help)
        del job, context  # while this thread waits it keeps nothing alive


_num_threads = number_of_cpus()
_here = local()
_workers = _Workers()


def _after_fork_in_child() -> None:
    global _workers
    _workers = _Workers()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
