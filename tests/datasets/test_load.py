"""load: the names it knows, the digits that ship with it, and what it says when something is wrong."""

import hashlib
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import datasets
from datasets import mnist_small

_DATA = Path(datasets.__file__).parent / "data"


@pytest.mark.parametrize(("split", "n"), [("train", 8000), ("test", 1000)])
def test_mnist_small_has_the_promised_shapes(split, n):
    digits = datasets.load("mnist-small", split)
    assert digits.images.shape == (n, 28, 28, 1)
    assert digits.images.dtype == np.uint8
    assert digits.images.flags.c_contiguous
    assert digits.labels.shape == (n,)
    assert digits.labels.dtype == np.int64
    assert digits.classes == ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
    assert (digits.name, digits.split, len(digits)) == ("mnist-small", split, n)


def test_train_is_the_first_part_of_the_file_and_test_the_last():
    with np.load(_DATA / "mnist_small.npz") as file:
        images, labels = file["images"], file["labels"]
    train, test = datasets.load("mnist-small", "train"), datasets.load("mnist-small", "test")
    assert np.array_equal(np.concatenate([train.images, test.images])[..., 0], images)
    assert np.array_equal(np.concatenate([train.labels, test.labels]), labels)


def test_no_test_digit_is_among_the_training_digits():
    train, test = datasets.load("mnist-small", "train"), datasets.load("mnist-small", "test")
    assert not {image.tobytes() for image in train.images} & {image.tobytes() for image in test.images}


def test_the_labels_belong_to_the_images():
    """The nearest of the ten mean digits is right four times in five; a wrong pairing gives one in ten."""
    train, test = datasets.load("mnist-small", "train"), datasets.load("mnist-small", "test")
    means = np.stack([train.images[train.labels == digit].mean(axis=0) for digit in range(10)])
    distances = [((image - means) ** 2).sum(axis=(1, 2, 3)) for image in test.images]
    assert np.mean(np.argmin(distances, axis=1) == test.labels) > 0.75


def test_each_load_gives_arrays_of_its_own():
    first = datasets.load("mnist-small", "test")
    first.images[:] = 7
    first.labels[:] = 7
    second = datasets.load("mnist-small", "test")
    assert second.images.min() == 0
    assert len(set(second.labels.tolist())) == 10


def test_the_notice_says_where_the_digits_are_from_and_what_file_it_speaks_of():
    notice = (_DATA / "NOTICE.md").read_text(encoding="utf-8")
    assert hashlib.sha256((_DATA / "mnist_small.npz").read_bytes()).hexdigest() in notice
    for fact in ("LeCun", "Cortes", "Burges", "CC BY-SA 3.0", "`mnist` 1.1.0", "first 8,000", "last 1,000"):
        assert fact in notice


def test_a_damaged_package_file_is_refused(tmp_path, monkeypatch):
    content = bytearray((_DATA / "mnist_small.npz").read_bytes())
    content[len(content) // 2] ^= 1  # one bit, in the middle
    damaged = tmp_path / "mnist_small.npz"
    damaged.write_bytes(content)
    monkeypatch.setattr(mnist_small, "_FILE", damaged)
    with pytest.raises(RuntimeError, match=r"mnist_small.npz.* is damaged \(SHA-256 .*install im2grad again"):
        datasets.load("mnist-small", "train")


def test_a_missing_package_file_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(mnist_small, "_FILE", tmp_path / "mnist_small.npz")
    with pytest.raises(RuntimeError, match=r"mnist_small.npz.* is missing; install im2grad again"):
        datasets.load("mnist-small", "train")


def test_an_unknown_name_lists_the_known_ones():
    known = "'mnist-small', 'mnist', 'fashion-mnist', 'cifar10'"
    with pytest.raises(ValueError, match=f"load: there is no data set 'imagenet'; there are {known}"):
        datasets.load("imagenet", "train")


@pytest.mark.parametrize("name", ["mnist-small", "mnist", "fashion-mnist", "cifar10"])
def test_an_unknown_split_lists_the_known_ones(name, tmp_path):
    with pytest.raises(ValueError, match="load: there is no split 'val'; there are 'train', 'test'"):
        datasets.load(name, "val", root=tmp_path)


def test_the_digits_of_the_package_take_no_root(tmp_path):
    with pytest.raises(ValueError, match=r"'mnist-small' ships with the package .* leave root out"):
        datasets.load("mnist-small", "train", root=tmp_path)


@pytest.mark.parametrize(
    ("name", "origin"), [("mnist", "LeCun"), ("fashion-mnist", "Zalando"), ("cifar10", "Krizhevsky")]
)
class TestTheOthersNeedAFolder:
    def test_root_must_be_given(self, name, origin):
        with pytest.raises(ValueError, match=f"'{name}' needs root=, the folder .*{origin}"):
            datasets.load(name, "train")

    def test_root_must_exist(self, name, origin, tmp_path):
        nowhere = tmp_path / "nowhere"
        with pytest.raises(FileNotFoundError, match=f"{re.escape(str(nowhere))}' does not exist.*{origin}"):
            datasets.load(name, "train", root=nowhere)

    def test_root_must_be_a_folder(self, name, origin, tmp_path):
        file = tmp_path / "file"
        file.write_bytes(b"")
        with pytest.raises(NotADirectoryError, match=f"{re.escape(str(file))}' is not a folder"):
            datasets.load(name, "train", root=str(file))


def test_the_package_stands_apart():
    """It imports NumPy and the standard library alone."""
    found = subprocess.run(
        [sys.executable, "-c", "import datasets, sys; print(*{m.partition('.')[0] for m in sys.modules})"],
        cwd=Path(datasets.__file__).parents[1],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    from_elsewhere = {"autograd", "nn", "examples", "scipy", "matplotlib", "PIL", "tqdm", "safetensors"}
    assert {"numpy", "datasets"} <= set(found)
    assert not from_elsewhere & set(found)
