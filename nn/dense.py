"""Dense: every output is a weighted sum of all inputs."""

from __future__ import annotations

from math import prod, sqrt
from typing import Any

import numpy as np

from autograd.ops.linalg import matmul
from autograd.tensor import Tensor, value_of

from . import init
from .checks import check_floats, whole_number
from .module import Module
from .randomness import Seed, generator

__all__ = ["Dense"]


class Dense(Module):
    """x @ weight + bias: x (.., in_features) -> (.., out_features).

    weight (in_features, out_features) and bias (out_features,) start uniform in +-1 / sqrt(in_features), which is
    PyTorch's default (`init.kaiming_uniform` with negative_slope sqrt(5)). `bias=False` leaves the bias out.

    Raises ValueError where x has another last axis, TypeError where it holds whole numbers.

    >>> import nn, numpy as np
    >>> nn.Dense(4, 2)(np.ones((5, 4), np.float32)).shape
    (5, 2)
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True, rng: Seed = None) -> None:
        self.in_features = whole_number("Dense", "in_features", in_features)
        self.out_features = whole_number("Dense", "out_features", out_features)
        draws = generator(rng)
        bound = 1 / sqrt(self.in_features)
        shape = (self.in_features, self.out_features)
        self.weight = Tensor(init.uniform(shape, -bound, bound, draws), requires_grad=True)
        self.bias: Tensor | None = None
        if bias:
            self.bias = Tensor(init.uniform(shape[1:], -bound, bound, draws), requires_grad=True)

    def forward(self, x: Any) -> Tensor:
        array = np.asarray(value_of(x))
        if not array.ndim or array.shape[-1] != self.in_features or array.dtype.kind not in "fc":
            self._refuse(array)
        out = matmul(x, self.weight)
        return out if self.bias is None else out + self.bias

    def _refuse(self, x: np.ndarray) -> None:
        shape = x.shape
        if not shape or shape[-1] != self.in_features:
            hint = ""
            if prod(shape[1:]) == self.in_features:
                hint = "; put nn.Flatten() before this layer"
            raise ValueError(f"{self!r}: x must be (.., {self.in_features}), got {shape}{hint}")
        check_floats(self, x)

    def extra_repr(self) -> str:
        return f"{self.in_features}, {self.out_features}{', bias=False' if self.bias is None else ''}"
