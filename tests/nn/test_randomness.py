"""Random numbers: from `rng=`, else from `with nn.rng(seed):`, else from the system; nothing global."""

import re
import threading

import numpy as np
import pytest

import nn


def _weights(*layers):
    return [layer.weight.data for layer in layers]


def test_a_seed_settles_a_layer_and_a_generator_is_drawn_from_in_turn():
    assert np.array_equal(*_weights(nn.Dense(3, 3, rng=1), nn.Dense(3, 3, rng=1)))
    draws = np.random.default_rng(1)
    first, second = nn.Dense(3, 3, rng=draws), nn.Dense(3, 3, rng=draws)
    assert np.array_equal(*_weights(first, nn.Dense(3, 3, rng=1)))
    assert not np.array_equal(*_weights(first, second))


def test_without_a_seed_two_layers_differ():
    assert not np.array_equal(*_weights(nn.Dense(3, 3), nn.Dense(3, 3)))


def test_inside_nn_rng_two_layers_differ_and_the_seed_settles_both():
    def build():
        with nn.rng(4):
            return _weights(nn.Dense(3, 3), nn.Conv2d(1, 1, 3), nn.Embedding(2, 2), nn.Dense(3, 3))

    first, second = build(), build()
    assert all(map(np.array_equal, first, second))
    assert not np.array_equal(first[0], first[3])


def test_rng_of_a_layer_goes_before_nn_rng_and_takes_nothing_from_it():
    with nn.rng(4):
        (expected,) = _weights(nn.Dense(3, 3))
    with nn.rng(4):
        own = nn.Dense(3, 3, rng=9)
        after = nn.Dense(3, 3)
    assert np.array_equal(after.weight.data, expected)
    assert np.array_equal(*_weights(own, nn.Dense(3, 3, rng=9)))


def test_nn_rng_nests_ends_and_takes_a_generator():
    draws = np.random.default_rng(0)
    with nn.rng(draws) as outer:
        assert outer is draws
        with nn.rng(1) as inner:
            assert inner is not draws
            (within,) = _weights(nn.Dense(2, 2))
        assert nn.Dropout().rng is draws
    assert np.array_equal(within, nn.Dense(2, 2, rng=1).weight.data)
    assert nn.Dropout().rng is not draws


def test_nn_rng_ends_with_an_error_too():
    with pytest.raises(KeyError), nn.rng(0) as draws:
        raise KeyError
    assert nn.Dropout().rng is not draws


def test_nn_rng_holds_in_its_thread_only():
    found = []
    with nn.rng(0) as draws:
        thread = threading.Thread(target=lambda: found.append(nn.Dropout().rng))
        thread.start()
        thread.join()
    assert found[0] is not draws


@pytest.mark.parametrize("seed", ["0", 1.5, True, np.random])
def test_a_seed_is_a_whole_number_or_a_generator(seed):
    text = "expected a seed (a whole number) or a numpy Generator, got "
    with pytest.raises(TypeError, match=re.escape(f"nn.rng: {text}{seed!r}")), nn.rng(seed):
        pass
    with pytest.raises(TypeError, match=re.escape(f"rng: {text}{seed!r}")):
        nn.Dense(2, 2, rng=seed)


def test_a_negative_seed_is_refused():
    with pytest.raises(ValueError, match="rng: a seed must be at least 0, got -1"):
        nn.Dropout(rng=-1)
