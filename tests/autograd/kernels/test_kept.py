"""What was made of an array is used again while its bytes are the same, and only then."""

import gc
import sys
import threading

import numpy as np
import pytest

from autograd.kernels.kept import Kept


class Doubling:
    """Doubles arrays, and counts how often."""

    def __init__(self):
        self.times = 0

    def __call__(self, array, factor=2):
        self.times += 1
        return factor * array


@pytest.fixture
def doubling():
    return Doubling()


def test_what_is_made_the_second_time_serves_from_then_on(doubling):
    kept, x = Kept(doubling, 1000), np.arange(6.0).reshape(2, 3)
    first, second = kept.of(x), kept.of(x)
    for _ in range(3):
        assert kept.of(x) is second
    np.testing.assert_array_equal(first, 2 * x)
    np.testing.assert_array_equal(second, 2 * x)
    assert doubling.times == 2


def test_an_array_that_is_asked_for_once_is_not_copied(doubling):
    kept, x = Kept(doubling, 1000), np.arange(6.0)
    kept.of(x)
    assert kept.nbytes == 0


WRITES = {
    "a number": lambda x: x.__setitem__((1, 2), 7.0),
    "through a view": lambda x: x.T[:1].fill(3.0),
    "through its buffer": lambda x: memoryview(x).cast("B").__setitem__(0, 1),
    "in place": lambda x: np.add(x, 1, out=x),
    "its shape": lambda x: x.resize((3, 2), refcheck=False),
    "to NaN": lambda x: x.fill(np.nan),
    "the sign of a zero": lambda x: x.__setitem__((0, 0), -0.0),
}


@pytest.mark.parametrize("write", WRITES.values(), ids=WRITES)
def test_whatever_is_written_into_it_is_seen(write, doubling):
    kept, x = Kept(doubling, 1000), np.arange(6.0).reshape(2, 3)
    for _ in range(3):
        kept.of(x)
    write(x)
    for _ in range(4):
        assert kept.of(x).shape == x.shape
        assert kept.of(x).tobytes() == (2 * x).tobytes()
    assert doubling.times == 4


def test_nan_is_the_same_as_itself(doubling):
    kept, x = Kept(doubling, 1000), np.full(3, np.nan)
    kept.of(x)
    assert kept.of(x) is kept.of(x)


def test_settings_have_results_of_their_own(doubling):
    kept, x = Kept(doubling, 1000), np.arange(3.0)
    for _ in range(4):
        np.testing.assert_array_equal(kept.of(x, 3), 3 * x)
        np.testing.assert_array_equal(kept.of(x, 5), 5 * x)
    assert doubling.times == 4


@pytest.mark.parametrize("of", [np.asfortranarray, lambda x: x[:, ::2], lambda x: x[::-1]])
def test_of_an_array_whose_bytes_are_not_side_by_side_nothing_is_kept(of, doubling):
    kept, x = Kept(doubling, 1000), of(np.arange(6.0).reshape(2, 3))
    for _ in range(4):
        np.testing.assert_array_equal(kept.of(x), 2 * x)
    assert doubling.times == 4
    assert kept.nbytes == 0


def test_it_goes_with_the_array(doubling):
    kept, x = Kept(doubling, 1000), np.arange(6.0)
    for _ in range(2):
        kept.of(x)
        kept.of(x, 3)
    assert kept.nbytes == 4 * x.nbytes  # two results, two copies
    x[0] = 9
    for _ in range(2):
        kept.of(x)
    assert kept.nbytes == 4 * x.nbytes  # in the place of the old one
    del x
    gc.collect()
    assert kept.nbytes == 0


@pytest.mark.parametrize(("room", "fit"), [(8, 4), (7, 3), (6, 3), (5, 2), (1, 0)])
def test_what_does_not_fit_any_more_is_made_each_time_and_the_rest_stays(room, fit, doubling):
    """An array and its result take two of the places that there is room for."""
    arrays = [np.full(10, i, np.float64) for i in range(4)]
    kept = Kept(doubling, room * arrays[0].nbytes)
    for _ in range(5):
        for x in arrays:
            np.testing.assert_array_equal(kept.of(x), 2 * x)
    assert kept.nbytes == 2 * fit * arrays[0].nbytes
    assert doubling.times == 2 * fit + 5 * (4 - fit)


def test_no_function_of_python_runs_when_an_array_goes(doubling):
    """Ctrl-C that came in one would be printed and ignored, and the entry might stay."""
    kept, x, called = Kept(doubling, 1000), np.ones(3), []
    for _ in range(2):
        kept.of(x)
    before = sys.getprofile()
    sys.setprofile(lambda frame, event, _: called.append((event, frame.f_code.co_name)))
    try:
        del x
    finally:
        sys.setprofile(before)
    assert [name for event, name in called if event == "call"] == []
    assert kept.nbytes == 0


def test_what_is_written_while_it_is_made_is_seen_the_next_time():
    """It is made of the copy that later calls compare with, or the old result would be taken for the new numbers'."""
    x = np.arange(3.0)

    writes = iter([5, 6, 7])

    def make(array):
        x[0] = next(writes)  # another thread does
        return 2 * array

    kept = Kept(make, 1000)
    kept.of(x)
    np.testing.assert_array_equal(kept.of(x), [10, 2, 4])
    np.testing.assert_array_equal(kept.of(x)[1:], [2, 4])
    assert x[0] == 7  # it was made anew


def test_several_threads_ask_and_write_at_once(doubling):
    kept, errors = Kept(doubling, 400), []

    def ask(seed):
        rng = np.random.default_rng(seed)
        own = np.zeros(16)
        for _ in range(300):
            own[rng.integers(16)] += 1
            errors.extend([] if np.array_equal(kept.of(own), 2 * own) else ["wrong"])
            errors.extend([] if np.array_equal(kept.of(shared), 2 * shared) else ["wrong"])
            own = own.copy() if rng.random() < 0.2 else own  # the old one goes

    shared = np.arange(4.0)
    threads = [threading.Thread(target=ask, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert errors == []
