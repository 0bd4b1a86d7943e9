"""The data sets by name. To add one, write its file and add a line here."""

import os
from collections.abc import Callable

from .cifar import load_cifar10
from .dataset import Dataset
from .idx import load_fashion_mnist, load_mnist
from .mnist_small import load_mnist_small

__all__ = ["load"]

# Those that ship with the package, and those that are read from a folder of the user's.
_SHIPPED: dict[str, Callable[[str], Dataset]] = {
    "mnist-small": load_mnist_small,
}
_FROM_FOLDER: dict[str, Callable[[str, str | os.PathLike[str] | None], Dataset]] = {
    "mnist": load_mnist,
    "fashion-mnist": load_fashion_mnist,
    "cifar10": load_cifar10,
}
_SPLITS = ("train", "test")


def load(name: str, split: str, root: str | os.PathLike[str] | None = None) -> Dataset:
    """The data set called `name`: "mnist-small", "mnist", "fashion-mnist" or "cifar10".

    The first ships with the package. The others are read from files that are already in the folder `root`:
    IDX files, gzipped or not, and the binary version of CIFAR-10 (in `root` or in its cifar-10-batches-bin).
    Nothing is downloaded.
    Shapes: images uint8 (N, 28, 28, 1), for cifar10 (N, 32, 32, 3); labels int64 (N,). split is "train" or
    "test".
    Raises: ValueError for an unknown name or split, a root that is not given or not wanted, or a damaged
    file, which it names; FileNotFoundError for missing files, which it lists, or a root that does not exist;
    NotADirectoryError for a root that is no folder; RuntimeError if the package's own file is damaged.

    >>> test = load("mnist-small", split="test")
    >>> test.images.shape, test.images.dtype, test.labels.shape
    ((1000, 28, 28, 1), dtype('uint8'), (1000,))
    """
    if name not in _SHIPPED and name not in _FROM_FOLDER:
        raise ValueError(
            f"load: there is no data set {name!r}; there are {_listed([*_SHIPPED, *_FROM_FOLDER])}"
        )
    if split not in _SPLITS:
        raise ValueError(f"load: there is no split {split!r}; there are {_listed(_SPLITS)}")
    if name in _FROM_FOLDER:
        return _FROM_FOLDER[name](split, root)
    if root is not None:
        raise ValueError(
            f"load: {name!r} ships with the package and is not read from root={str(root)!r}; leave root out"
        )
    return _SHIPPED[name](split)


def _listed(names: list[str] | tuple[str, ...]) -> str:
    return ", ".join(repr(name) for name in names)
