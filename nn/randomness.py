"""Where layers get their random numbers from: an argument, `with nn.rng(seed):`, or the system's entropy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeAlias

import numpy as np

__all__ = ["Seed", "generator", "rng"]

# in quotes, so that numpy.random is loaded when it is first used: it takes a tenth of NumPy's time to import
Seed: TypeAlias = "int | np.random.Generator | None"

_current: ContextVar[np.random.Generator | None] = ContextVar("nn_rng", default=None)


@contextmanager
def rng(seed: int | np.random.Generator) -> Iterator[np.random.Generator]:
    """Layers made inside `with nn.rng(seed):` without a `rng=` of their own draw from one generator, in turn.

    It holds in this thread or task only, and an inner one stands in for an outer one. What a layer drew
    stays with it: Dropout keeps the generator for its calls.

    Raises TypeError unless `seed` is a whole number or a numpy Generator, ValueError for a negative one.

    >>> import nn
    >>> with nn.rng(0):
    ...     first = nn.Sequential(nn.Dense(4, 3), nn.Dense(3, 2))
    >>> with nn.rng(0):
    ...     second = nn.Sequential(nn.Dense(4, 3), nn.Dense(3, 2))
    >>> bool((first[1].weight.data == second[1].weight.data).all())
    True
    """
    made = _from_seed("nn.rng", seed)
    token = _current.set(made)
    try:
        yield made
    finally:
        _current.reset(token)


def generator(rng: Seed = None) -> np.random.Generator:
    """The generator that `rng=` means: a Generator itself, a new one from a seed, for None that of `nn.rng`.

    Outside of `with nn.rng(seed):`, None means a new generator from the system's entropy.

    >>> draws = np.random.default_rng(0)
    >>> generator(draws) is draws
    True
    """
    if rng is not None:
        return _from_seed("rng", rng)
    return _current.get() or np.random.default_rng()


def _from_seed(where: str, seed: int | np.random.Generator) -> np.random.Generator:
    if isinstance(seed, np.random.Generator):
        return seed
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise TypeError(f"{where}: expected a seed (a whole number) or a numpy Generator, got {seed!r}")
    if seed < 0:
        raise ValueError(f"{where}: a seed must be at least 0, got {seed}")
    return np.random.default_rng(int(seed))
