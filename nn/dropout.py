"""Dropout: some elements set to zero at random, in training alone."""

from __future__ import annotations

from typing import Any

from autograd.tensor import Tensor

from . import functional
from .checks import probability
from .module import Module
from .randomness import Seed, generator

__all__ = ["Dropout"]


class Dropout(Module):
    """Sets each element to 0 with probability p and divides the others by 1 - p: any shape -> the same.

    So the mean stays as it is, and in `eval()` x is returned unchanged. It draws at each call, from the generator
    chosen when it was made: `rng=`, else that of `nn.rng`. The generator's state is not part of `state_dict`.

    Raises ValueError unless p lies in [0, 1].

    Srivastava et al., "Dropout", 2014, section 10 (the inverted form).

    >>> import nn, numpy as np
    >>> layer = nn.Dropout(0.5, rng=0)
    >>> layer(np.ones(6, np.float32)).data.tolist()
    [2.0, 2.0, 2.0, 0.0, 0.0, 0.0]
    >>> layer.eval()(np.ones(6, np.float32)).data.tolist()
    [1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    """

    def __init__(self, p: float = 0.5, rng: Seed = None) -> None:
        self.p = probability("Dropout", "p", p)
        self.rng = generator(rng)

    def forward(self, x: Any) -> Tensor:
        return functional.dropout(x, self.p, self.training, self.rng)

    def extra_repr(self) -> str:
        return f"p={self.p}"
