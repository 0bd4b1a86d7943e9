"""The ops, one file per family, forward and backward rules side by side."""

from __future__ import annotations

from types import ModuleType

from ..op import Op
from . import conv, elementwise, index, linalg, norm, pool, reduce, shape, softmax

__all__ = ["FAMILIES", "conv", "elementwise", "index", "linalg", "norm", "pool", "reduce", "registry", "shape",
           "softmax"]

FAMILIES: tuple[ModuleType, ...] = (elementwise, reduce, shape, index, linalg, conv, pool, softmax, norm)


def registry() -> dict[str, Op]:
    """Every op of the project by name, also those that only rules and public functions call.

    >>> sorted(registry())[:3]
    ['abs', 'add', 'astype']
    """
    found = [value for family in FAMILIES for value in vars(family).values()
             if isinstance(value, Op) and value.__module__ == family.__name__]
    return {op.name: op for op in found}
