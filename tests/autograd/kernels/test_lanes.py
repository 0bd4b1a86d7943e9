"""Sums of parts in any order: what they are, and that the order leaves no trace."""

import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograd.kernels import lanes
from autograd.kernels.chunks import Chunk, Plan
from autograd.kernels.lanes import Lanes
from autograd.kernels.memory import Scratch


def parts_of(count, seed=0):
    return np.random.default_rng(seed).standard_normal((count, 3, 2)).astype(np.float32)


def summed(parts, order):
    total = Lanes(len(parts), parts.shape[1:], parts.dtype)
    with Scratch() as scratch:
        for part in order:
            place = total.place(part, scratch)
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
        while True:
            with lock:
                part = next(todo, None)
            if part is None:
                return
            with Scratch() as scratch:
                place = total.place(part, scratch)
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


@given(st.integers(0, 300))
def test_the_parts_of_a_plan_are_all_its_steps_in_their_order_and_few(count):
    class OneImageEach(Plan):
        def chunks(self):
            return [Chunk(slice(n, n + 1), slice(0, 1)) for n in range(count)]

    plan = OneImageEach(height=1, top=0, stride=1, span=1, out=(1, 1))
    found = plan.parts()
    assert [step.images.start for part in found for step in part] == list(range(count))
    assert len(found) <= 64
    assert len(found) == count or count > 64
    assert (plan.parts() is found) == (count <= 256)  # steps of larger plans are not kept


@given(st.lists(st.integers(1, 4), min_size=1, max_size=8).flatmap(
    lambda lengths: st.tuples(st.just(lengths), st.permutations(range(len(lengths))))))
def test_a_part_is_the_sum_of_its_steps_in_their_order(lengths_and_order):
    lengths, order = lengths_and_order
    numbers = parts_of(sum(lengths))
    ends = np.cumsum(lengths)
    steps = [range(end - length, end) for length, end in zip(lengths, ends, strict=True)]
    written = []

    def write(step, array):
        written.append(step)
        array[...] = numbers[step]

    def total(order):
        lanes_ = Lanes(len(steps), numbers.shape[1:], numbers.dtype)
        with Scratch() as scratch:
            for part in order:
                lanes_.sum_up(part, steps[part], write, scratch)
        return lanes_.total()

    got = total(order)
    assert written == [step for part in order for step in steps[part]]
    assert got.tobytes() == total(range(len(steps))).tobytes()
    np.testing.assert_allclose(got, numbers.astype(np.float64).sum(axis=0), rtol=1e-5, atol=1e-6)
