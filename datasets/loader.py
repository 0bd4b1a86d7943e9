"""DataLoader: batches of a data set, in order or shuffled, as floats in [0, 1]."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from .augment import FloatArray, Transform
from .checks import kind, whole_number
from .dataset import Dataset

__all__ = ["DataLoader"]

Array = npt.NDArray[Any]


class DataLoader:
    """Batches (x, labels) of a Dataset, or of a pair of arrays (x, y); each `for` over it is one epoch.

    Shapes: images uint8 (N, H, W, C) -> x float32 (batch_size, H, W, C), the bytes divided by 255; labels
    int64 (batch_size,). Of a pair, x (N, ...) may be uint8, which is divided by 255 as well, or floats, which
    keep their values and dtype; of y (N, ...), whole numbers and bools become int64 and floats keep their
    dtype. x and labels are contiguous, and new in each batch: they are yours to keep and to write to.

    batch_size: examples in a batch; the last batch may be smaller, and drop_last=True leaves it out.
    shuffle: a new order for each epoch.
    seed: a whole number. An epoch's order and the random numbers that transform gets follow from the seed and
    the epoch's number alone. Without a seed, one is drawn from the system's entropy; `loader.seed` tells it.
    transform: called as transform(x, rng) on each batch, to change it at random; see RandomShift and the
    others. Its result is brought back to x's dtype.
    The attribute `epoch` is the number of the next epoch, from 0; set it to go on where an earlier run ended.
    Raises: ValueError for a batch_size below 1, no examples, lengths that differ, or no batch at all with
    drop_last; TypeError for other types.

    >>> import numpy as np
    >>> loader = DataLoader((np.arange(5.0), np.arange(5)), batch_size=2)
    >>> len(loader)
    3
    >>> [labels.tolist() for x, labels in loader]
    [[0, 1], [2, 3], [4]]
    """

    def __init__(
        self,
        dataset: Dataset | tuple[Array, Array],
        batch_size: int = 64,
        shuffle: bool = False,
        seed: int | None = None,
        drop_last: bool = False,
        transform: Transform | None = None,
    ) -> None:
        self.dataset = dataset
        self.batch_size = whole_number("DataLoader", "batch_size", batch_size, at_least=1)
        self.shuffle = shuffle
        self.seed = _entropy() if seed is None else whole_number("DataLoader", "seed", seed, at_least=0)
        self.drop_last = drop_last
        self.transform = _checked_transform(transform)
        self.epoch = 0
        self._x, self._y = _checked_arrays(dataset)
        if not len(self):
            raise ValueError(
                f"DataLoader: {len(self._x)} examples make no whole batch of {batch_size}, and drop_last "
                "leaves the rest out; use a smaller batch_size or drop_last=False"
            )

    def __len__(self) -> int:
        """The number of batches in an epoch."""
        if self.drop_last:
            return len(self._x) // self.batch_size
        return -(-len(self._x) // self.batch_size)  # rounded up

    def __iter__(self) -> Iterator[tuple[FloatArray, Array]]:
        # Seeded by the epoch's number, and the order apart from the transforms: so an epoch is the same
        # whether the one before it was read to its end or not, and the order is the same with and without a
        # transform.
        order_seed, transform_seed = np.random.SeedSequence(self.seed, spawn_key=(self.epoch,)).spawn(2)
        self.epoch += 1
        order = np.arange(len(self._x))
        if self.shuffle:
            np.random.default_rng(order_seed).shuffle(order)
        return self._batches(order, np.random.default_rng(transform_seed))

    def __repr__(self) -> str:
        source = (
            self.dataset if isinstance(self.dataset, Dataset) else f"x {self._x.shape}, y {self._y.shape}"
        )
        return (
            f"DataLoader({source}; {len(self)} batches of {self.batch_size}, shuffle={self.shuffle}, "
            f"seed={self.seed}, drop_last={self.drop_last}, transform={self.transform})"
        )

    def _batches(
        self, order: npt.NDArray[np.intp], rng: np.random.Generator
    ) -> Iterator[tuple[FloatArray, Array]]:
        for start in range(0, len(self) * self.batch_size, self.batch_size):
            chosen = order[start : start + self.batch_size]
            x = _as_floats(self._x.take(chosen, axis=0))  # take copies, so a batch shares memory with nothing
            if self.transform is not None:
                x = _transformed(self.transform, x, rng)
            yield x, self._y.take(chosen, axis=0)


def _as_floats(x: Array) -> FloatArray:
    return np.divide(x, np.float32(255)) if x.dtype == np.uint8 else x


def _transformed(transform: Transform, x: FloatArray, rng: np.random.Generator) -> FloatArray:
    """transform(x, rng), contiguous and of x's dtype: noise in float64 must not make all training float64."""
    out: object = transform(x, rng)
    if not isinstance(out, np.ndarray) or not np.issubdtype(out.dtype, np.floating):
        raise TypeError(
            f"DataLoader: the transform {transform!r} must return a NumPy array of floats, got {kind(out)}"
        )
    if out.shape[:1] != x.shape[:1]:
        raise ValueError(
            f"DataLoader: the transform {transform!r} must keep the {len(x)} examples of a batch, but it "
            f"made shape {out.shape} of shape {x.shape}"
        )
    return np.ascontiguousarray(out, x.dtype)


def _entropy() -> int:
    """A seed from the system's entropy, short enough to be written down."""
    return int(np.random.SeedSequence().generate_state(1, np.uint32)[0])


def _checked_transform(transform: object) -> Transform | None:
    if transform is not None and not callable(transform):
        raise TypeError(
            f"DataLoader: transform must be a callable (images, rng) -> images, got {transform!r}; "
            "several go into a Compose([...])"
        )
    return transform


def _checked_arrays(dataset: object) -> tuple[Array, Array]:
    """x and y of a Dataset or of a pair, contiguous, so that taking a batch copies that batch alone."""
    if isinstance(dataset, Dataset):
        x, y = dataset.images, dataset.labels
    elif isinstance(dataset, tuple | list) and len(dataset) == 2:
        x, y = _checked_x(dataset[0]), _checked_y(dataset[1])
    else:
        raise TypeError(
            f"DataLoader: dataset must be a Dataset or a pair of arrays (x, y), got {kind(dataset)}"
        )
    if len(x) != len(y):
        raise ValueError(
            f"DataLoader: x and y must be equally long, got {len(x)} and {len(y)} (x {x.shape}, y {y.shape})"
        )
    if not len(x):
        raise ValueError(f"DataLoader: there are no examples (x {x.shape}); give at least one")
    return np.ascontiguousarray(x), np.ascontiguousarray(y)


def _checked_x(x: object) -> Array:
    if not isinstance(x, np.ndarray):
        raise TypeError(f"DataLoader: x must be a NumPy array, got {kind(x)}")
    if x.dtype != np.uint8 and not np.issubdtype(x.dtype, np.floating):
        raise TypeError(f"DataLoader: x must be uint8 or floats, got {x.dtype}; use x.astype(np.float32)")
    if not x.ndim:
        raise ValueError("DataLoader: x must have a first axis of examples, got shape ()")
    return x


def _checked_y(y: object) -> Array:
    if not isinstance(y, np.ndarray):
        raise TypeError(f"DataLoader: y must be a NumPy array, got {kind(y)}")
    if y.dtype.kind not in "biuf":
        raise TypeError(f"DataLoader: y must be whole numbers (labels) or floats, got {y.dtype}")
    if not y.ndim:
        raise ValueError("DataLoader: y must have a first axis of examples, got shape ()")
    return y if y.dtype.kind == "f" else y.astype(np.int64, copy=False)
