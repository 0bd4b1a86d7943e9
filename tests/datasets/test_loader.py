"""DataLoader: each example once an epoch, an order that follows from the seed, and batches that are yours."""

import itertools
import re
import tracemalloc
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets import DataLoader, Dataset


def _numbered(n, height=2, width=3, channels=1):
    """n images of random bytes, the label of each its number."""
    images = np.random.default_rng(n).integers(256, size=(n, height, width, channels), dtype=np.uint8)
    return Dataset(images, np.arange(n), [str(i) for i in range(n)], "numbered", "train")


def _order(loader):
    """The labels of one epoch, in the order in which they come."""
    return [label for _, labels in loader for label in labels.tolist()]


def _pairs(n):
    return np.arange(n, dtype=np.float32), np.arange(n)


def test_a_batch_is_the_images_as_floats_from_0_to_1_and_their_labels():
    data = _numbered(10, channels=3)
    batches = list(DataLoader(data, batch_size=4))
    assert [x.shape for x, _ in batches] == [(4, 2, 3, 3), (4, 2, 3, 3), (2, 2, 3, 3)]
    for i, (x, labels) in zip((0, 4, 8), batches, strict=True):
        assert x.dtype == np.float32
        assert labels.dtype == np.int64
        assert x.flags.c_contiguous
        assert np.array_equal(x, data.images[i : i + 4].astype(np.float32) / np.float32(255))
        assert labels.tolist() == list(range(i, min(i + 4, 10)))


def test_byte_0_becomes_0_and_byte_255_becomes_1_and_each_is_the_nearest_float():
    [(x, _)] = DataLoader((np.arange(256, dtype=np.uint8), np.zeros(256, int)), batch_size=256)
    assert x.tolist() == [float(np.float32(i / 255)) for i in range(256)]
    assert (x[0], x[255]) == (0, 1)


def test_the_default_batch_has_64():
    assert [len(x) for x, _ in DataLoader(_numbered(130))] == [64, 64, 2]


@settings(deadline=None)
@given(n=st.integers(1, 40), batch_size=st.integers(1, 45), shuffle=st.booleans(), drop_last=st.booleans())
def test_an_epoch_has_each_example_once_and_len_batches(n, batch_size, shuffle, drop_last):
    if drop_last and n < batch_size:
        return
    loader = DataLoader(_numbered(n), batch_size, shuffle, seed=0, drop_last=drop_last)
    sizes = [len(labels) for _, labels in loader]
    assert len(loader) == len(sizes)
    assert sizes[:-1] == [batch_size] * (len(sizes) - 1)
    assert sum(sizes) == (n - n % batch_size if drop_last else n)
    seen = _order(loader)
    assert len(set(seen)) == len(seen)
    assert set(seen) <= set(range(n))


def test_images_and_labels_stay_together_when_shuffled():
    data = _numbered(50)
    for x, labels in DataLoader(data, 7, shuffle=True, seed=3):
        for image, label in zip(x, labels, strict=True):
            assert np.array_equal(image, (data.images[label] / 255).astype(np.float32))


def test_without_shuffle_each_epoch_is_in_order():
    loader = DataLoader(_numbered(10), 3)
    assert _order(loader) == _order(loader) == list(range(10))


def test_each_epoch_has_an_order_of_its_own():
    loader = DataLoader(_numbered(50), 8, shuffle=True, seed=0)
    orders = [tuple(_order(loader)) for _ in range(5)]
    assert len(set(orders)) == 5


def test_the_same_seed_gives_the_same_epochs():
    first, second = (DataLoader(_numbered(50), 8, shuffle=True, seed=11) for _ in range(2))
    assert [_order(first) for _ in range(4)] == [_order(second) for _ in range(4)]
    assert _order(DataLoader(_numbered(50), 8, shuffle=True, seed=12)) != _order(
        DataLoader(_numbered(50), 8, shuffle=True, seed=11)
    )


def test_every_order_is_equally_likely():
    loader = DataLoader(_numbered(3), 3, shuffle=True, seed=0)
    counts = Counter(tuple(_order(loader)) for _ in range(1200))
    assert set(counts) == set(itertools.permutations(range(3)))
    chi_square = sum((count - 200) ** 2 / 200 for count in counts.values())
    assert chi_square < 20.5  # 5 degrees of freedom: once in a thousand seeds


def test_an_epoch_that_was_broken_off_does_not_change_the_next():
    broken, whole = (DataLoader(_numbered(50), 8, shuffle=True, seed=5) for _ in range(2))
    next(iter(broken))
    _order(whole)
    assert _order(broken) == _order(whole)


def test_two_passes_at_a_time_do_not_disturb_each_other():
    loader, other = (DataLoader(_numbered(20), 4, shuffle=True, seed=5) for _ in range(2))
    pairs = [(a.tolist(), b.tolist()) for (_, a), (_, b) in zip(loader, loader, strict=True)]
    assert [label for a, _ in pairs for label in a] == _order(other)
    assert [label for _, b in pairs for label in b] == _order(other)


def test_an_earlier_run_can_be_gone_on_with():
    loader = DataLoader(_numbered(20), 4, shuffle=True, seed=5)
    orders = [_order(loader) for _ in range(4)]
    assert loader.epoch == 4
    later = DataLoader(_numbered(20), 4, shuffle=True, seed=5)
    later.epoch = 2
    assert [_order(later), _order(later)] == orders[2:]


def test_without_a_seed_the_system_gives_one_and_the_loader_tells_it():
    loaders = [DataLoader(_numbered(50), 8, shuffle=True) for _ in range(3)]
    orders = [_order(loader) for loader in loaders]
    assert orders[0] != orders[1] or orders[1] != orders[2]
    assert _order(DataLoader(_numbered(50), 8, shuffle=True, seed=loaders[0].seed)) == orders[0]


def test_numpys_global_random_state_is_neither_read_nor_changed():
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    first = _order(DataLoader(_numbered(50), 8, shuffle=True, seed=1))
    assert np.array_equal(np.random.get_state()[1], before)
    np.random.seed(1)
    assert _order(DataLoader(_numbered(50), 8, shuffle=True, seed=1)) == first


@pytest.mark.parametrize("shuffle", [False, True])
@pytest.mark.parametrize("kind", ["dataset", "floats"])
def test_a_batch_shares_memory_with_nothing(shuffle, kind):
    x = np.random.default_rng(0).random((8, 2, 2, 1), dtype=np.float32)
    y = np.arange(8)
    data = _numbered(8) if kind == "dataset" else (x, y)
    sources = [data.images, data.labels] if kind == "dataset" else [x, y]
    kept = [source.copy() for source in sources]
    loader = DataLoader(data, 4, shuffle=shuffle, seed=0)
    arrays = [array for batch in [*loader, *loader] for array in batch]
    for a, b in itertools.combinations([*arrays, *sources], 2):
        assert a is b or not np.shares_memory(a, b) or (a is sources[0] and b is sources[1])
    for array in arrays:
        array[...] = 0
    for source, copy in zip(sources, kept, strict=True):
        assert np.array_equal(source, copy)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_of_a_pair_pass_as_they_are(dtype):
    x = np.array([-3, 0.1, 700], dtype)
    [(batch, _)] = DataLoader((x, np.arange(3)))
    assert batch.dtype == dtype
    assert np.array_equal(batch, x)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int32, np.int64, bool])
def test_whole_numbers_as_y_become_int64(dtype):
    [(_, labels)] = DataLoader((np.zeros(2), np.array([1, 0], dtype)))
    assert labels.dtype == np.int64
    assert labels.tolist() == [1, 0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floats_as_y_keep_their_dtype_and_shape(dtype):
    y = np.array([[0.5, 1], [2, 3], [4, 5]], dtype)
    batches = [labels for _, labels in DataLoader([np.zeros((3, 7)), y], batch_size=2)]
    assert [b.dtype for b in batches] == [dtype, dtype]
    assert np.array_equal(np.concatenate(batches), y)


def test_a_batch_of_a_transposed_array_is_contiguous():
    nchw = np.random.default_rng(0).random((4, 3, 5, 6), dtype=np.float32)
    [(x, _)] = DataLoader((nchw.transpose(0, 2, 3, 1), np.arange(4)))
    assert x.flags.c_contiguous
    assert x[2, 4, 1, 0] == nchw[2, 0, 4, 1]


def test_a_batch_of_a_transposed_array_copies_that_batch_alone():
    loader = DataLoader((np.zeros((3, 1_000_000), np.float32).T, np.zeros(1_000_000, int)), batch_size=10)
    batches = iter(loader)
    tracemalloc.start()
    x, _ = next(batches)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert x.shape == (10, 3)
    assert peak < 100_000


def _noise(x, rng):
    return x + rng.normal(size=x.shape)


def test_a_transform_gets_each_batch_and_the_same_random_numbers_for_the_same_seed():
    first, second = (DataLoader(_numbered(10), 4, seed=7, transform=_noise) for _ in range(2))
    for epoch in range(2):
        one, other = [x for x, _ in first], [x for x, _ in second]
        for a, b in zip(one, other, strict=True):
            assert np.array_equal(a, b), epoch
    again = [x for x, _ in first]
    assert not any(np.array_equal(a, b) for a, b in zip(one, again, strict=True))
    x, _ = next(iter(DataLoader(_numbered(10), 4, seed=8, transform=_noise)))
    assert not np.array_equal(x, one[0])


def test_a_transform_does_not_change_the_order():
    plain = DataLoader(_numbered(20), 4, shuffle=True, seed=7)
    noisy = DataLoader(_numbered(20), 4, shuffle=True, seed=7, transform=_noise)
    for _ in range(3):
        assert _order(plain) == _order(noisy)


def test_what_a_transform_makes_is_float32_and_contiguous_again():
    def transform(x, rng):
        return x[:, :, ::-1].astype(np.float64)

    data = _numbered(4)
    [(x, _)] = DataLoader(data, transform=transform)
    assert x.dtype == np.float32
    assert x.flags.c_contiguous
    assert np.array_equal(x, (data.images / 255).astype(np.float32)[:, :, ::-1])


@pytest.mark.parametrize(
    ("transform", "error", "message"),
    [
        (lambda x, rng: None, TypeError, "must return a NumPy array of floats, got None"),
        (lambda x, rng: x.astype(np.uint8), TypeError, "must return a NumPy array of floats, got uint8"),
        (lambda x, rng: x[1:], ValueError, "must keep the 4 examples of a batch, but it made shape (3, "),
    ],
)
def test_a_transform_that_returns_something_else_is_named(transform, error, message):
    with pytest.raises(error, match=r"DataLoader: the transform <function .*" + re.escape(message)):
        next(iter(DataLoader(_numbered(4), transform=transform)))


def test_its_repr_says_how_it_was_made():
    loader = DataLoader(_numbered(10), 4, shuffle=True, seed=3)
    assert re.fullmatch(
        r"DataLoader\(Dataset\('numbered'.*\); 3 batches of 4, shuffle=True, seed=3, drop_last=False, "
        r"transform=None\)",
        repr(loader),
    )
    assert "x (5,), y (5,); 1 batches of 64" in repr(DataLoader(_pairs(5)))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (dict(batch_size=0), ValueError, "batch_size must be at least 1, got 0"),
        (dict(batch_size=-3), ValueError, "batch_size must be at least 1, got -3"),
        (dict(batch_size=2.0), TypeError, "batch_size must be a whole number, got 2.0"),
        (dict(batch_size=True), TypeError, "batch_size must be a whole number, got True"),
        (dict(seed=-1), ValueError, "seed must be at least 0, got -1"),
        (dict(seed="x"), TypeError, "seed must be a whole number, got 'x'"),
        (dict(transform=3), TypeError, "transform must be a callable (images, rng) -> images, got 3"),
        (
            dict(batch_size=6, drop_last=True),
            ValueError,
            "5 examples make no whole batch of 6, and drop_last",
        ),
        (dict(dataset=np.zeros(3)), TypeError, "must be a Dataset or a pair of arrays (x, y), got float64"),
        (dict(dataset=(1, 2, 3)), TypeError, "must be a Dataset or a pair of arrays (x, y), got tuple"),
        (dict(dataset=([1.0], np.zeros(1))), TypeError, "x must be a NumPy array, got list"),
        (dict(dataset=(np.zeros(1), [1])), TypeError, "y must be a NumPy array, got list"),
        (dict(dataset=(np.zeros(2, int), np.zeros(2, int))), TypeError, "uint8 or floats, got int64"),
        (dict(dataset=(np.zeros(2, complex), np.zeros(2))), TypeError, "uint8 or floats, got complex128"),
        (dict(dataset=(np.zeros(2), np.array(["a", "b"]))), TypeError, "y must be whole numbers (labels)"),
        (dict(dataset=(np.zeros(()), np.zeros(1))), ValueError, "x must have a first axis of examples"),
        (dict(dataset=(np.zeros(1), np.zeros(()))), ValueError, "y must have a first axis of examples"),
        (dict(dataset=(np.zeros((3, 2)), np.zeros(4))), ValueError, "got 3 and 4 (x (3, 2), y (4,))"),
        (dict(dataset=(np.zeros((0, 2)), np.zeros(0))), ValueError, "there are no examples (x (0, 2))"),
        (dict(dataset=_numbered(5)[:0]), ValueError, "there are no examples (x (0, 2, 3, 1))"),
    ],
)
def test_bad_arguments_are_named(arguments, error, message):
    with pytest.raises(error, match="DataLoader: .*" + re.escape(message)):
        DataLoader(**{"dataset": _numbered(5), **arguments})
