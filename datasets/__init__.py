"""Images to train on: data sets, batches of them, and random changes for training.

`load` gives a Dataset by name, `DataLoader` cuts it into shuffled batches of floats in [0, 1], and the
transforms change a batch at random. This package needs NumPy alone and knows nothing of tensors or modules.

>>> import datasets
>>> train = datasets.load("mnist-small", split="train")
>>> train
Dataset('mnist-small', 'train': 8000 images (28, 28, 1) uint8, 10 classes: '0', '1', '2', ..., '9')
>>> loader = datasets.DataLoader(train, shuffle=True, seed=0, transform=datasets.RandomShift(2))
>>> x, labels = next(iter(loader))
>>> x.shape, x.dtype, labels.shape, labels.dtype
((64, 28, 28, 1), dtype('float32'), (64,), dtype('int64'))
"""

from .augment import Compose, RandomAffine, RandomCrop, RandomFlip, RandomShift
from .dataset import Dataset
from .loader import DataLoader
from .registry import load

__all__ = [
    "Compose",
    "DataLoader",
    "Dataset",
    "RandomAffine",
    "RandomCrop",
    "RandomFlip",
    "RandomShift",
    "load",
]
