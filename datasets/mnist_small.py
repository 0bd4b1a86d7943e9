"""mnist-small: 9,000 real handwritten digits that ship with the package.

From: 9,000 of the first 10,000 training images of "The MNIST database of handwritten digits" (Yann LeCun,
    Corinna Cortes, Christopher J. C. Burges), all different, in a random order; data/NOTICE.md has the
    details.
Licence: CC BY-SA 3.0.
SHA-256 of data/mnist_small.npz: in _SHA256 below; compared on each load.
Shapes: train 8,000 and test 1,000 images (the first and the last part), uint8 (N, 28, 28, 1); labels int64
(N,), 0 to 9.
"""

import hashlib
import io
from importlib import resources

import numpy as np

from .dataset import Dataset

__all__ = ["load_mnist_small"]

_FILE = resources.files(__package__) / "data" / "mnist_small.npz"
_SHA256 = "4bfbfba6cc8b456556171439ce5bc1723f6e1f571f459ca150faef0cb922806a"
_PART = {"train": slice(0, 8000), "test": slice(8000, 9000)}


def load_mnist_small(split: str) -> Dataset:
    """The digits that ship with the package: images uint8 (N, 28, 28, 1), labels int64 (N,).

    Raises: RuntimeError if the package's file is missing or damaged.
    """
    with np.load(io.BytesIO(_checked_bytes()), allow_pickle=False) as arrays:
        images, labels = arrays["images"], arrays["labels"]
    part = _PART[split]
    # (N, 28, 28) -> (N, 28, 28, 1)
    return Dataset(images[part, :, :, None], labels[part], tuple("0123456789"), "mnist-small", split)


def _checked_bytes() -> bytes:
    try:
        data = _FILE.read_bytes()
    except FileNotFoundError:
        raise RuntimeError(
            f"load: {_FILE}, which is part of the package, is missing; install im2grad again"
        ) from None
    digest = hashlib.sha256(data).hexdigest()
    if digest != _SHA256:
        raise RuntimeError(
            f"load: {_FILE}, which is part of the package, is damaged (SHA-256 {digest}, expected "
            f"{_SHA256}); install im2grad again"
        )
    return data
