"""Dataset: images, what each of them shows, and the names of the classes."""

import operator
from collections.abc import Sequence
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from .checks import kind

__all__ = ["Dataset"]


class Dataset:
    """Labelled images of one size, kept as bytes.

    Shapes: images uint8 (N, H, W, C), labels whole numbers (N,), kept as int64; classes: the name of each
    label. Indexing works as with arrays: a number gives (image, label); a slice, an index array or a mask
    gives a Dataset (a slice shares memory with this one).
    Raises: TypeError for other dtypes, ValueError if the shapes do not fit or a label has no class.

    >>> import numpy as np
    >>> images = np.zeros((3, 8, 8, 3), np.uint8)
    >>> pets = Dataset(images, [0, 1, 1], ("cat", "dog"), name="pets", split="train")
    >>> pets
    Dataset('pets', 'train': 3 images (8, 8, 3) uint8, 2 classes: 'cat', 'dog')
    >>> len(pets[1:]), len(pets[pets.labels == 0]), len(pets[[2, 1, 0]])
    (2, 1, 3)
    >>> image, label = pets[2]
    >>> pets.classes[label]
    'dog'
    """

    images: npt.NDArray[np.uint8]
    labels: npt.NDArray[np.int64]
    classes: tuple[str, ...]
    name: str
    split: str

    def __init__(
        self,
        images: npt.NDArray[np.uint8],
        labels: npt.ArrayLike,
        classes: Sequence[str],
        name: str,
        split: str,
    ) -> None:
        self.images = _checked_images(images)
        self.labels = _checked_labels(labels, len(self.images), len(classes))
        self.classes = tuple(classes)
        self.name = name
        self.split = split

    def __len__(self) -> int:
        return len(self.images)

    @overload
    def __getitem__(self, index: int | np.integer[Any]) -> tuple[npt.NDArray[np.uint8], int]: ...

    @overload
    def __getitem__(self, index: slice | Sequence[int] | npt.NDArray[Any]) -> "Dataset": ...

    def __getitem__(self, index: Any) -> "tuple[npt.NDArray[np.uint8], int] | Dataset":
        try:
            number = operator.index(index)
        except TypeError:
            pass
        else:
            return self.images[number], int(self.labels[number])
        if not isinstance(index, slice):
            index = _checked_index(index)
        return Dataset(self.images[index], self.labels[index], self.classes, self.name, self.split)

    def __repr__(self) -> str:
        names = [repr(name) for name in self.classes]
        if len(names) > 5:
            names[3:-1] = ["..."]
        return (
            f"Dataset({self.name!r}, {self.split!r}: {len(self)} images {self.images.shape[1:]} uint8, "
            f"{len(self.classes)} classes: {', '.join(names)})"
        )


def _checked_images(images: object) -> npt.NDArray[np.uint8]:
    if not isinstance(images, np.ndarray) or images.dtype != np.uint8:
        raise TypeError(
            f"Dataset: images must be a uint8 array, got {kind(images)}; "
            "arrays of floats need no Dataset: give DataLoader the pair (x, y)"
        )
    if images.ndim != 4:
        raise ValueError(
            f"Dataset: images must be (N, height, width, channels), got shape {images.shape}; "
            "for grey images add the channel axis with images[..., None]"
        )
    return images


def _checked_labels(labels: npt.ArrayLike, images: int, classes: int) -> npt.NDArray[np.int64]:
    labels = np.asarray(labels)
    if labels.shape != (images,):
        raise ValueError(f"Dataset: {images} images need labels of shape ({images},), got {labels.shape}")
    if not images:
        return labels.astype(np.int64)  # an empty list has floats' dtype
    if not np.issubdtype(labels.dtype, np.integer):
        raise TypeError(f"Dataset: labels must be whole numbers, got {labels.dtype}")
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"Dataset: labels must be from 0 to {classes - 1} for {classes} classes, "
            f"got {labels.min()} to {labels.max()}"
        )
    return labels.astype(np.int64, copy=False)


def _checked_index(given: object) -> npt.NDArray[Any]:
    index = np.asarray(given)
    if index.size == 0 and index.dtype != np.bool_:
        index = index.astype(np.intp)  # an empty list has floats' dtype
    if index.ndim != 1 or index.dtype.kind not in "iub":
        raise TypeError(
            "Dataset: an index is a whole number, a slice, or a list of whole numbers or a mask with one "
            f"axis, got {index.dtype} of shape {index.shape}"
        )
    return index
