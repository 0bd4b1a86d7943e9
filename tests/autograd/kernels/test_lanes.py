"""Sums of parts in any order: what they are, and that the order leaves no trace."""

import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograd.kernels import lanes
from autograd.kernels.lanes import Lanes


def parts_of(count, seed=0):
    return np.random.default_rng(seed).standard_normal((count, 3, 2)).astype(np.float32)


def summed(parts, order):
    total = Lanes(len(parts), parts.shape[1:], parts.dtype)
    spare = np.empty(parts.shape[1:], parts.dtype)
    for part in order:
        place = total.place(part, spare)
        place[...] = parts[part]
        total.add(part, place)
    return total.total()


@given(st.integers(1, 12).flatmap(lambda count: st.permutations(range(count))), st.integers(1, 5))
def test_the_bits_are_those_of_the_parts_in_order(order, lane_count):
    parts = parts_of(len(order))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(lanes, "_LANES", lane_count)
        got, in_order = summed(parts, order), summed(parts, range(len(order)))
    assert got.tobytes() == in_order.tobytes()
    np.testing.assert_allclose(got, parts.astype(np.float64).sum(axis=0), rtol=1e-5, atol=1e-6)


def test_threads_of_different_speed_add_up_to_the_same_bits():
    parts = parts_of(40)
    total, todo, lock = Lanes(len(parts), parts.shape[1:], parts.dtype), iter(range(len(parts))), threading.Lock()

    def work(pause):
        spare = np.empty(parts.shape[1:], parts.dtype)
        while True:
            with lock:
                part = next(todo, None)
            if part is None:
                return
            place = total.place(part, spare)
            place[...] = parts[part]
            time.sleep(pause)
            total.add(part, place)

    threads = [threading.Thread(target=work, args=(pause,)) for pause in (0, 0.001, 0.004)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert total.total().tobytes() == summed(parts, range(len(parts))).tobytes()


def test_the_sum_of_no_parts_is_zero():
    np.testing.assert_array_equal(Lanes(0, (2, 3), np.float32).total(), np.zeros((2, 3), np.float32))
