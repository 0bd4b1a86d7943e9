"""Flatten: all axes but the first made one."""

from __future__ import annotations

from typing import Any

import numpy as np

from autograd.ops.shape import flatten
from autograd.tensor import Tensor, value_of

from .module import Module

__all__ = ["Flatten"]


class Flatten(Module):
    """Each example as one vector: x (N, ..) -> (N, features), e.g. (N, H, W, C) -> (N, H * W * C).

    Raises ValueError where x has no axes.

    >>> import nn, numpy as np
    >>> nn.Flatten()(np.ones((5, 14, 14, 16), np.float32)).shape
    (5, 3136)
    """

    def forward(self, x: Any) -> Tensor:
        if not np.asarray(value_of(x)).ndim:
            raise ValueError("Flatten(): x must have a batch axis, (N, ..), got a single number")
        return flatten(x, start_axis=1)
