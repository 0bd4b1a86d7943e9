"""MNIST and Fashion-MNIST, from IDX files that are already on the disk.

MNIST
    From: "The MNIST database of handwritten digits", Yann LeCun, Corinna Cortes and Christopher J. C. Burges.
    Licence: CC BY-SA 3.0. Described in Y. LeCun et al., Gradient-Based Learning Applied to Document
    Recognition, 1998.
    MD5 of the files as published:
        train-images-idx3-ubyte.gz  f68b3c2dcbeaaa9fbdd348bbdeb94873
        train-labels-idx1-ubyte.gz  d53e105ee54ea40749a09fcbcd1e9432
        t10k-images-idx3-ubyte.gz   9fb629c4189551a2d022fa330f9573f3
        t10k-labels-idx1-ubyte.gz   ec29112dd5afa0611ce80d1b7f02629c
Fashion-MNIST
    From: Zalando Research; Han Xiao, Kashif Rasul, Roland Vollgraf, Fashion-MNIST: a Novel Image Dataset for
    Benchmarking Machine Learning Algorithms, 2017. Licence: MIT.
    MD5 of the files as published:
        train-images-idx3-ubyte.gz  8d4fb7e6c68d591d4c3dfef9ec88bf0d
        train-labels-idx1-ubyte.gz  25c81989df183df01b3e8a0aad5dffbe
        t10k-images-idx3-ubyte.gz   bef4ecab320f06d8554ea6380940ec79
        t10k-labels-idx1-ubyte.gz   bb300cfdad3c16e7a12a480ee83cd310
Both: train 60,000 and test 10,000 images, uint8 (N, 28, 28, 1); labels int64 (N,), 0 to 9; the files hold
bytes.

The checksums are not compared on loading: a file that was unpacked, or packed again (as Debian's
Fashion-MNIST is), has another one. What is checked: every size against its header, gzip's own checksum, and
the labels. A smaller file of the same form is accepted.

The IDX format (all numbers big-endian): two zero bytes; a byte for the dtype, 8 for unsigned bytes; a byte
for the number of axes; four bytes for the length of each axis; then the data, last axis fastest.
"""

import math
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from .dataset import Dataset
from .files import check_labels, find_all, open_maybe_gzip, read_up_to, root_folder

__all__ = ["load_fashion_mnist", "load_mnist"]

_IMAGE = (28, 28)
_PREFIX = {"train": "train", "test": "t10k"}
_DTYPES = {0x08: "uint8", 0x09: "int8", 0x0B: "int16", 0x0C: "int32", 0x0D: "float32", 0x0E: "float64"}


@dataclass(frozen=True)
class _Family:
    name: str
    classes: tuple[str, ...]
    origin: str


_MNIST = _Family(
    "mnist",
    tuple("0123456789"),
    '"The MNIST database of handwritten digits" by Y. LeCun, C. Cortes and C. J. C. Burges',
)
_FASHION_MNIST = _Family(
    "fashion-mnist",
    (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ),
    '"Fashion-MNIST" by H. Xiao, K. Rasul and R. Vollgraf of Zalando Research '
    "(in Debian, the package dataset-fashion-mnist)",
)


def load_mnist(split: str, root: str | os.PathLike[str] | None) -> Dataset:
    """MNIST from the IDX files in `root`: images uint8 (N, 28, 28, 1), labels int64 (N,)."""
    return _load(_MNIST, split, root)


def load_fashion_mnist(split: str, root: str | os.PathLike[str] | None) -> Dataset:
    """Fashion-MNIST from the IDX files in `root`: images uint8 (N, 28, 28, 1), labels int64 (N,)."""
    return _load(_FASHION_MNIST, split, root)


def _load(family: _Family, split: str, root: str | os.PathLike[str] | None) -> Dataset:
    stems = [_PREFIX[split] + "-images", _PREFIX[split] + "-labels"]
    needs = (
        f"The files are {stems[0]}-idx3-ubyte and {stems[1]}-idx1-ubyte, each with or without .gz, of "
        f"{family.origin}; put them into one folder and give it as root=."
    )
    folder = root_folder(family.name, root, needs)
    images_path, labels_path = find_all(folder, [_spellings(stems[0], 3), _spellings(stems[1], 1)], needs)
    images = _read_idx(images_path, ("images", "rows", "columns"))
    labels = _read_idx(labels_path, ("labels",))
    if images.shape[1:] != _IMAGE:
        raise ValueError(
            f"load: {images_path} holds images of {images.shape[1]}x{images.shape[2]} pixels, but "
            f"{family.name} has {_IMAGE[0]}x{_IMAGE[1]}; is it a file of another data set?"
        )
    if len(images) != len(labels):
        raise ValueError(
            f"load: {images_path} holds {len(images)} images but {labels_path} holds {len(labels)} "
            "labels; take both from the same copy of the data set"
        )
    check_labels(labels, len(family.classes), labels_path)
    # (N, 28, 28) -> (N, 28, 28, 1)
    return Dataset(images[..., None], labels, family.classes, family.name, split)


def _spellings(stem: str, axes: int) -> list[str]:
    """The names a file goes by; some mirrors write a dot for the second dash."""
    plain = [f"{stem}-idx{axes}-ubyte", f"{stem}.idx{axes}-ubyte"]
    return [name + ending for name in plain for ending in ("", ".gz")]


def _read_idx(path: Path, axes: tuple[str, ...]) -> npt.NDArray[np.uint8]:
    """The bytes in an IDX file, with one axis for each name in `axes`."""
    with open_maybe_gzip(path) as stream:
        header = bytes(read_up_to(stream, 4 + 4 * len(axes), path))
        shape = _shape(header, path, axes)
        size = math.prod(shape)
        data = read_up_to(stream, size + 1, path)  # one more, to see whether the file ends where it should
    if len(data) != size:
        found = "more" if len(data) > size else f"only {len(data)}"
        raise ValueError(
            f"load: {path} is damaged: its header promises {size} bytes of data, shape {shape}, but there "
            f"are {found}; get it again"
        )
    return np.frombuffer(data, np.uint8).reshape(shape)  # (bytes,) -> (N, H, W) or (N,)


def _shape(header: bytes, path: Path, axes: tuple[str, ...]) -> tuple[int, ...]:
    if len(header) < 4 or header[:2] != b"\x00\x00":
        start = header[:4].hex(" ") or "nothing"
        raise ValueError(
            f"load: {path} is no IDX file: it starts with {start} where an IDX file starts with 00 00, "
            "the dtype and the number of axes; get it again"
        )
    if header[2] != 0x08:
        raise ValueError(
            f"load: {path} holds {_DTYPES.get(header[2], 'an unknown dtype')} (code 0x{header[2]:02x}) "
            "where unsigned bytes (code 0x08) are expected; is it a file of another data set?"
        )
    if header[3] != len(axes):
        raise ValueError(
            f"load: {path} holds an array with {header[3]} axes where {len(axes)} are expected "
            f"({', '.join(axes)}); were images and labels swapped?"
        )
    if len(header) < 4 + 4 * len(axes):
        raise ValueError(
            f"load: {path} is damaged: it ends within its header, after {len(header)} bytes; get it again"
        )
    shape = tuple(int(length) for length in np.frombuffer(header, ">u4", offset=4))
    if shape[0] == 0:
        raise ValueError(f"load: {path} holds no {axes[0]}; get it again")
    return shape
