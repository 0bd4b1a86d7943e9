"""Memory that is kept: the allocator's setting, and buffers that never leave their kernel."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from autograd.kernels import memory
from autograd.kernels.memory import Scratch

ROOT = Path(__file__).parents[3]


def test_the_same_name_gives_the_same_memory_again():
    with Scratch() as scratch:
        first = scratch.array("a", (3, 4), np.float32)
        first[...] = 7
        assert not np.shares_memory(first, scratch.array("b", (3, 4), np.float32))
    with Scratch() as scratch:
        again = scratch.array("a", (12,), np.float32)
        assert np.shares_memory(again, first)
        assert (again == 7).all()


def test_a_larger_array_gets_more_memory_and_a_smaller_one_a_part_of_it():
    with Scratch() as scratch:
        large = scratch.array("grows", (1000,), np.float64)
        assert large.shape == (1000,)
        small = scratch.array("grows", (2, 5), np.complex128)
        assert small.dtype == np.complex128
        assert np.shares_memory(small, large)


def test_a_kernel_within_a_kernel_has_buffers_of_its_own():
    with Scratch() as outer:
        kept = outer.array("a", (8,), np.float64)
        kept[...] = 1
        with Scratch() as inner:
            inner.array("a", (8,), np.float64)[...] = 2
        assert (kept == 1).all()


def test_each_thread_has_its_own():
    with Scratch() as scratch:
        mine = scratch.array("a", (8,), np.float64)
        shared = []

        def other():
            with Scratch() as theirs:
                shared.append(np.shares_memory(mine, theirs.array("a", (8,), np.float64)))

        thread = threading.Thread(target=other)
        thread.start()
        thread.join()
    assert shared == [False]


def test_views_are_made_once_for_a_key_and_anew_where_a_buffer_has_grown():
    made = []

    def make(key, scratch):
        made.append(key)
        return scratch.array("viewed", (10,), np.float64)[:5]

    with Scratch() as scratch:
        first = scratch.views(make, "a")
        assert scratch.views(make, "a") is first
        assert not np.shares_memory(first, scratch.array("other", (10,), np.float64))
    with Scratch() as scratch:
        assert scratch.views(make, "a") is first
        scratch.array("viewed", (10_000,), np.float64)
        assert not np.shares_memory(scratch.views(make, "a"), first)
        assert scratch.views(make, "b") is not scratch.views(make, "a")
    assert made == ["a", "a", "b"]


def test_a_buffer_holds_what_was_last_said_unless_it_was_lent_since():
    with Scratch() as scratch:
        scratch.array("held", (4,), np.float64)
        one, two = object(), object()
        assert not scratch.holds("held", one)
        scratch.now_holds("held", one)
        assert scratch.holds("held", one)
        assert not scratch.holds("held", two)
        scratch.array("held", (2,), np.float64)
        assert not scratch.holds("held", one)


def test_after_an_error_buffers_are_new_ones_for_another_thread_may_still_write_to_the_old():
    with Scratch() as scratch:
        first = scratch.array("a", (8,), np.float64)
    with pytest.raises(ZeroDivisionError), Scratch():
        _ = 1 / 0
    with Scratch() as scratch:
        second = scratch.array("a", (8,), np.float64)
        assert not np.shares_memory(second, first)
    with Scratch() as scratch:
        assert np.shares_memory(scratch.array("a", (8,), np.float64), second)


def page_faults_of_fresh_arrays(keep):
    """How many pages the system handed out for 20 arrays of 40 MiB made one after another, in a fresh process.

    (glibc's own limit, from which it gives arrays back at once, grows with what is freed, but to 32 MiB at most.)
    """
    script = (
        "import resource, numpy as np, autograd\n"
        "for _ in range(3): np.ones(5 << 20)\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt\n"
        "for _ in range(20): np.ones(5 << 20)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)\n"
    )
    environment = {**os.environ, "IM2GRAD_KEEP_MEMORY": keep}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, env=environment,
                          check=True, timeout=60)
    return int(done.stdout)


@pytest.mark.skipif(not memory._is_glibc(), reason="the allocator is not glibc's")
def test_fresh_arrays_come_without_page_faults_unless_they_are_to():
    # huge pages, where the system has them, make few faults of many pages: so a ratio, not a number of pages
    assert page_faults_of_fresh_arrays("1") * 5 < page_faults_of_fresh_arrays("0")


def test_the_allocator_is_left_alone_where_it_is_not_glibc_or_is_to_be(monkeypatch):
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda name: pytest.fail("asked for the C library"))
    monkeypatch.setenv("IM2GRAD_KEEP_MEMORY", "0")
    assert memory.keep_freed_memory() is False
    monkeypatch.delenv("IM2GRAD_KEEP_MEMORY")
    monkeypatch.setattr(memory, "_is_glibc", lambda: False)
    assert memory.keep_freed_memory() is False
