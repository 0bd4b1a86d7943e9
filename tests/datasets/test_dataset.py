"""A Dataset holds what it was given, says what it is, and is indexed as an array is."""

import re

import numpy as np
import pytest

from datasets import Dataset


def _pets(n=6):
    images = np.random.default_rng(0).integers(256, size=(n, 4, 5, 3), dtype=np.uint8)
    return Dataset(images, np.arange(n) % 3, ("cat", "dog", "emu"), name="pets", split="train")


def test_it_keeps_the_images_and_makes_the_labels_int64():
    images = np.zeros((2, 4, 5, 3), np.uint8)
    pets = Dataset(images, np.array([1, 0], np.uint8), ["cat", "dog"], "pets", "test")
    assert pets.images is images
    assert pets.labels.dtype == np.int64
    assert pets.labels.tolist() == [1, 0]
    assert pets.classes == ("cat", "dog")
    assert (pets.name, pets.split, len(pets)) == ("pets", "test", 2)


def test_its_repr_says_what_is_in_it():
    expected = "Dataset('pets', 'train': 6 images (4, 5, 3) uint8, 3 classes: 'cat', 'dog', 'emu')"
    assert repr(_pets()) == expected


def test_a_long_list_of_classes_is_shortened_in_the_repr():
    many = Dataset(np.zeros((1, 2, 2, 1), np.uint8), [0], [f"c{i}" for i in range(100)], "many", "train")
    assert "100 classes: 'c0', 'c1', 'c2', ..., 'c99')" in repr(many)


def test_a_number_gives_one_image_and_its_label():
    pets = _pets()
    for index in (0, 4, -1, np.int64(2)):
        image, label = pets[index]
        assert np.array_equal(image, pets.images[index])
        assert type(label) is int
        assert label == pets.labels[index]
    with pytest.raises(IndexError):
        pets[6]


def test_a_for_loop_sees_each_image_once():
    assert [label for _, label in _pets()] == [0, 1, 2, 0, 1, 2]


@pytest.mark.parametrize(
    ("index", "rows"),
    [
        (slice(4), [0, 1, 2, 3]),
        (slice(4, None), [4, 5]),
        (slice(None, None, -2), [5, 3, 1]),
        ([3, 3, 0], [3, 3, 0]),
        (np.array([-1, 2], np.int32), [5, 2]),
        (np.array([True, False, False, True, False, False]), [0, 3]),
        ([], []),
    ],
)
def test_slices_indices_and_masks_give_a_dataset(index, rows):
    pets = _pets()
    part = pets[index]
    assert len(part) == len(rows)
    assert (part.classes, part.name, part.split) == (pets.classes, "pets", "train")
    for i, row in enumerate(rows):
        assert np.array_equal(part.images[i], pets.images[row])
        assert part.labels[i] == row % 3


@pytest.mark.parametrize("index", ["cat", None, 1.5, [0.5], np.zeros((2, 2), int), (0, 1, "x")])
def test_any_other_index_is_refused(index):
    with pytest.raises(TypeError, match="Dataset: an index is a whole number, a slice, or a list"):
        _pets()[index]


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        (np.zeros((2, 4, 4, 1), np.float32), TypeError, "got float32; .*give DataLoader the pair"),
        ([[0]], TypeError, "uint8 array, got list"),
        (np.zeros((2, 4, 4), np.uint8), ValueError, r"got shape \(2, 4, 4\); .*images\[..., None\]"),
    ],
)
def test_images_must_be_bytes_in_nhwc(images, error, message):
    with pytest.raises(error, match="Dataset: images must be .*" + message):
        Dataset(images, [0, 0], ("a",), "x", "train")


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        ([0, 1, 1], ValueError, "2 images need labels of shape (2,), got (3,)"),
        ([[0], [1]], ValueError, "2 images need labels of shape (2,), got (2, 1)"),
        ([0.0, 1.0], TypeError, "labels must be whole numbers, got float64"),
        ([0, 2], ValueError, "labels must be from 0 to 1 for 2 classes, got 0 to 2"),
        ([-1, 1], ValueError, "labels must be from 0 to 1 for 2 classes, got -1 to 1"),
    ],
)
def test_labels_must_name_a_class_for_each_image(labels, error, message):
    with pytest.raises(error, match=re.escape(f"Dataset: {message}")):
        Dataset(np.zeros((2, 4, 4, 1), np.uint8), labels, ("a", "b"), "x", "train")
