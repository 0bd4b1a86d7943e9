"""Embedding: a table of vectors, read by whole numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd.ops.index import take
from autograd.tensor import Tensor, value_of

from . import init
from .checks import element, whole_number
from .module import Module
from .randomness import Seed

__all__ = ["Embedding"]


class Embedding(Module):
    """The rows of a table at the given numbers: indices of any shape (..) -> (.., embedding_dim).

    weight (num_embeddings, embedding_dim) starts normal with standard deviation 1, PyTorch's default.

    Raises TypeError where the indices are not whole numbers, ValueError where one is not in 0 .. num_embeddings - 1.

    >>> import nn
    >>> nn.Embedding(100, 8)([[3, 14, 15]]).shape
    (1, 3, 8)
    """

    def __init__(self, num_embeddings: int, embedding_dim: int, rng: Seed = None) -> None:
        self.num_embeddings = whole_number("Embedding", "num_embeddings", num_embeddings)
        self.embedding_dim = whole_number("Embedding", "embedding_dim", embedding_dim)
        table = init.normal((self.num_embeddings, self.embedding_dim), rng=rng)
        self.weight = Tensor(table, requires_grad=True)

    def forward(self, indices: Any) -> Tensor:
        indices = np.asarray(value_of(indices))
        self._check(indices)
        return take(self.weight, indices, axis=0)

    def _check(self, indices: np.ndarray) -> None:
        if indices.dtype.kind not in "iu":
            raise TypeError(f"{self!r}: indices must be whole numbers, got {indices.dtype}; use .astype(np.int64)")
        outside = element("indices", indices, (indices < 0) | (indices >= self.num_embeddings))
        if outside:
            raise ValueError(f"{self!r}: {outside}, but the table has rows 0 to {self.num_embeddings - 1}")

    def extra_repr(self) -> str:
        return f"{self.num_embeddings}, {self.embedding_dim}"
