"""CIFAR-10, from its binary files that are already on the disk.

From: Alex Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009 (University of Toronto);
    the "binary version (suitable for C programs)" among the downloads that he offers, cifar-10-binary.tar.gz.
Licence: none is stated; the author asks that the report above be cited.
MD5 of cifar-10-binary.tar.gz as published: c32a1d4ab5d03f1284b67883e8d87530 (of the archive, so not compared
here).
Shapes: train 50,000 and test 10,000 images, uint8 (N, 32, 32, 3); labels int64 (N,), 0 to 9.

Each file is a row of records without a header, 10,000 of them in the published files: a byte for the label,
then 1,024 bytes each for red, green and blue, row by row. So a file's size must be a multiple of 3,073; a
file of fewer records is accepted. The Python version holds pickles, which can run any code when they are
opened: they are never read.
"""

import os
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .dataset import Dataset
from .files import check_labels, find_all, root_folder

__all__ = ["load_cifar10"]

_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_FILES = {"train": tuple(f"data_batch_{i}.bin" for i in range(1, 6)), "test": ("test_batch.bin",)}
_FOLDER = "cifar-10-batches-bin"
_ARCHIVE = "cifar-10-binary.tar.gz"
_PICKLES = ("cifar-10-batches-py", "cifar-10-python.tar.gz", "data_batch_1", "test_batch")
_RECORD = 1 + 3 * 32 * 32  # bytes


def load_cifar10(split: str, root: str | os.PathLike[str] | None) -> Dataset:
    """CIFAR-10 from the binary files in `root` or in its cifar-10-batches-bin.

    Shapes: images uint8 (N, 32, 32, 3), labels int64 (N,).
    """
    needs = (
        f"The files are {', '.join(_FILES[split])} of the binary version of CIFAR-10 by A. Krizhevsky, "
        f'"CIFAR-10 binary version (suitable for C programs)"; unpack {_ARCHIVE} into a folder and give it '
        "as root=."
    )
    folder = root_folder("cifar10", root, needs)
    paths = find_all(*_place(folder, split), _hint(folder) + needs)
    batches = [_read_batch(path) for path in paths]
    images = np.concatenate([images for images, _ in batches])
    labels = np.concatenate([labels for _, labels in batches])
    return Dataset(images, labels, _CLASSES, "cifar10", split)


def _place(folder: Path, split: str) -> tuple[Path, list[tuple[str]]]:
    """Where to look, and for which names."""
    inner = folder / _FOLDER
    return inner if inner.is_dir() else folder, [(name,) for name in _FILES[split]]


def _hint(folder: Path) -> str:
    """What to say first if the files are there in another form."""
    if (folder / _ARCHIVE).is_file():
        return f"{_ARCHIVE} is there: unpack it. "
    pickles = [name for name in _PICKLES if (folder / name).exists()]
    if pickles:
        return (
            f"{pickles[0]} is the Python version, made of pickles, which can run any code and are not read: "
            "get the binary version. "
        )
    return ""


def _read_batch(path: Path) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Images (N, 32, 32, 3) and labels (N,) of one file."""
    data = np.fromfile(path, np.uint8)
    if data.size == 0 or data.size % _RECORD:
        raise ValueError(
            f"load: {path} is damaged: it has {data.size} bytes, which is not a whole number of records "
            f"of {_RECORD} bytes (a published file has 30730000); get it again"
        )
    records = data.reshape(-1, _RECORD)  # (N * 3073,) -> (N, 3073)
    labels = records[:, 0]
    check_labels(labels, len(_CLASSES), path)
    planes = records[:, 1:].reshape(-1, 3, 32, 32)  # (N, 3072) -> (N, C, H, W)
    return np.ascontiguousarray(planes.transpose(0, 2, 3, 1)), labels  # (N, C, H, W) -> (N, H, W, C)
