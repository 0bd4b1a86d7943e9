"""CIFAR-10: the binary files, record by record, and what is said about anything else."""

import re
import tarfile

import numpy as np
import pytest

import datasets

TRAIN = [f"data_batch_{i}.bin" for i in (1, 2, 3, 4, 5)]


def _value(image, channel, row, column):
    return (image * 59 + channel * 97 + row * 5 + column * 3) % 256


def _record(image, label):
    """A label, then all of red, all of green, all of blue, each row by row."""
    planes = [
        _value(image, channel, row, column)
        for channel in range(3)
        for row in range(32)
        for column in range(32)
    ]
    return bytes([label, *planes])


def _write(folder, name, images, labels):
    (folder / name).write_bytes(b"".join(map(_record, images, labels)))


@pytest.fixture
def root(tmp_path):
    for k, name in enumerate(TRAIN):
        _write(tmp_path, name, [2 * k, 2 * k + 1], [k, 9 - k])
    _write(tmp_path, "test_batch.bin", [20, 21, 22], [5, 6, 7])
    return tmp_path


def test_every_byte_comes_where_it_belongs(root):
    test = datasets.load("cifar10", "test", root=root)
    assert test.images.shape == (3, 32, 32, 3)
    assert test.images.dtype == np.uint8
    assert test.images.flags.c_contiguous
    assert test.labels.dtype == np.int64
    assert test.labels.tolist() == [5, 6, 7]
    for i in range(3):
        for row in range(32):
            for column in range(32):
                expected = [_value(20 + i, channel, row, column) for channel in range(3)]
                assert test.images[i, row, column].tolist() == expected


def test_train_is_the_five_batches_in_order(root):
    train = datasets.load("cifar10", "train", root=root)
    assert train.labels.tolist() == [0, 9, 1, 8, 2, 7, 3, 6, 4, 5]
    assert train.images[:, 3, 4, 1].tolist() == [_value(image, 1, 3, 4) for image in range(10)]
    assert (train.name, train.split) == ("cifar10", "train")
    assert (train.classes[0], train.classes[9]) == ("airplane", "truck")


def test_root_may_be_the_folder_that_holds_the_unpacked_one(root, tmp_path_factory):
    outer = tmp_path_factory.mktemp("outer")
    root.rename(outer / "cifar-10-batches-bin")
    assert len(datasets.load("cifar10", "test", root=outer)) == 3


def test_all_missing_files_are_listed_at_once(root):
    (root / TRAIN[1]).unlink()
    (root / TRAIN[4]).unlink()
    with pytest.raises(FileNotFoundError, match=r"': data_batch_2.bin, data_batch_5.bin[.] .*A. Krizhevsky"):
        datasets.load("cifar10", "train", root=root)


def test_the_packed_archive_is_pointed_out(tmp_path):
    with tarfile.open(tmp_path / "cifar-10-binary.tar.gz", "w:gz"):
        pass
    with pytest.raises(FileNotFoundError, match=r"test_batch.bin[.] cifar-10-binary.tar.gz is there"):
        datasets.load("cifar10", "test", root=tmp_path)


@pytest.mark.parametrize("name", ["data_batch_1", "cifar-10-python.tar.gz", "cifar-10-batches-py"])
def test_pickles_are_not_read_and_the_binary_version_is_asked_for(name, tmp_path):
    (tmp_path / name).mkdir() if name.endswith("py") else (tmp_path / name).write_bytes(b"cos\nsystem\n")
    message = rf"{name} is the Python version, made of pickles, .* get the binary version.*C programs"
    with pytest.raises(FileNotFoundError, match=message):
        datasets.load("cifar10", "train", root=tmp_path)


@pytest.mark.parametrize("size", [0, 1, 3072, 3074, 3 * 3073 - 1])
def test_a_truncated_file_is_named(size, root):
    path = root / "test_batch.bin"
    path.write_bytes(bytes(size))
    message = f"load: {path} is damaged: it has {size} bytes, which is not a whole number of records of 3073"
    with pytest.raises(ValueError, match=re.escape(message)):
        datasets.load("cifar10", "test", root=root)


def test_a_label_out_of_range_is_named(root):
    _write(root, TRAIN[2], [0, 1, 2], [9, 0, 10])
    with pytest.raises(ValueError, match=r"data_batch_3.bin is damaged: label 10 of image 2 is not in"):
        datasets.load("cifar10", "train", root=root)
