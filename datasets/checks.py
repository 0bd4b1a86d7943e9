"""What the arguments' checks share."""

import operator
from typing import Any

import numpy as np

__all__ = ["kind", "whole_number"]


def whole_number(where: str, name: str, value: Any, at_least: int) -> int:
    """`value` as an int; TypeError if it is no whole number (True is none), ValueError if it is too small."""
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, bool):
        raise TypeError(f"{where}: {name} must be a whole number, got {value!r}")
    if number < at_least:
        raise ValueError(f"{where}: {name} must be at least {at_least}, got {number}")
    return number


def kind(value: object) -> str:
    """What an error says that it got: an array's dtype, or the type's name of what is no array."""
    return str(value.dtype) if isinstance(value, np.ndarray) else type(value).__name__
