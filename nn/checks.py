"""What the checks of layers, optimizers and training share. `where` names the caller in the error."""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import index
from typing import Any

import numpy as np

from autograd.tensor import value_of

__all__ = ["IntOrPair", "Padding", "check_floats", "check_images", "compact", "element", "floats_of_bytes", "one_of",
           "pair", "probability", "whole_number", "window_padding"]

IntOrPair = int | tuple[int, int]  # (rows, columns)
Padding = str | IntOrPair | tuple[tuple[int, int], tuple[int, int]]  # ((top, bottom), (left, right))


def whole_number(where: str, name: str, value: Any, at_least: int = 1) -> int:
    """`value` as an int; TypeError if it is no whole number (True is none), ValueError if it is too small."""
    number = _index(value)
    if number is None:
        raise TypeError(f"{where}: {name} must be a whole number, got {value!r}")
    if number < at_least:
        raise ValueError(f"{where}: {name} must be at least {at_least}, got {number}")
    return number


def pair(where: str, name: str, value: Any, at_least: int = 1) -> tuple[int, int]:
    """`value`, one number or two, as (rows, columns); raises as `whole_number` does."""
    both = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    numbers = [_index(one) for one in both]
    if len(numbers) != 2 or numbers[0] is None or numbers[1] is None:
        raise TypeError(f"{where}: {name} must be a whole number or a pair of them (rows, columns), got {value!r}")
    if min(numbers[0], numbers[1]) < at_least:
        raise ValueError(f"{where}: {name} must be at least {at_least}, got {value!r}")
    return numbers[0], numbers[1]


def window_padding(where: str, value: Padding) -> Any:
    """`value` as "same", "valid", (rows, columns) or ((top, bottom), (left, right)); raises for anything else."""
    if isinstance(value, str):
        if value not in ("same", "valid"):
            raise ValueError(f"{where}: padding {value!r} is unknown; use a whole number, a pair, 'same' or 'valid'")
        return value
    if isinstance(value, (tuple, list)) and len(value) == 2 and all(isinstance(v, (tuple, list)) for v in value):
        return tuple(pair(where, "padding", ends, at_least=0) for ends in value)
    return pair(where, "padding", value, at_least=0)


def probability(where: str, name: str, value: float) -> float:
    """`value` as a float; ValueError unless it lies in [0, 1]."""
    if not 0 <= value <= 1:
        raise ValueError(f"{where}: {name} must be from 0 to 1, got {value!r}")
    return float(value)


def one_of(where: str, name: str, value: Any, *allowed: str) -> Any:
    """`value`; ValueError unless it is one of those allowed."""
    if value not in allowed:
        known = f"{', '.join(map(repr, allowed[:-1]))} or {allowed[-1]!r}"
        raise ValueError(f"{where}: {name} must be {known}, got {value!r}")
    return value


def within(where: str, name: str, value: Any, least: float = -math.inf, above: float = -math.inf,
           below: float = math.inf) -> float:
    """`value` as a float, if it is at least `least`, greater than `above` and below `below`.

    Raises TypeError for what is no real number, ValueError for one that is not finite or outside the limits.

    >>> within("SGD", "lr", 0, above=0)
    Traceback (most recent call last):
    ValueError: SGD: lr must be greater than 0 and finite, got 0
    """
    if isinstance(value, bool) or not isinstance(value, (int, float, np.integer, np.floating)):
        raise TypeError(f"{where}: {name} must be a number, got {value!r}")
    if least <= value < below and value > above and math.isfinite(value):
        return float(value)
    wanted = [f"at least {least:g}"] if math.isfinite(least) else []
    wanted += [f"greater than {above:g}"] if math.isfinite(above) else []
    wanted += [f"below {below:g}" if math.isfinite(below) else "finite"]
    raise ValueError(f"{where}: {name} must be {' and '.join(wanted)}, got {value}")


def compact(value: Any) -> str:
    """A setting as a repr shows it: a pair of equal numbers as one number."""
    if isinstance(value, tuple) and len(value) == 2 and value[0] == value[1]:
        return compact(value[0])
    return repr(value)


def element(name: str, values: np.ndarray, where: np.ndarray) -> str:
    """The first element at which `where` is true, in words: "target[3] is 12"; "" where there is none."""
    found = np.argwhere(where)
    if not len(found):
        return ""
    at = tuple(found[0].tolist())
    return f"{name}[{', '.join(map(str, at))}] is {values[at].tolist()}"


def check_floats(where: Any, x: Any) -> None:
    """TypeError where x holds whole numbers or bools."""
    dtype = np.asarray(value_of(x)).dtype
    if dtype.kind in "fc":
        return
    advice = "x.astype(np.float32)"
    if dtype == np.uint8:
        advice = "images of bytes as x.astype(np.float32) / 255, which datasets.DataLoader does"
    raise TypeError(f"{where}: x holds {dtype}, but the layer computes with floating numbers; give {advice}")


def check_images(where: Any, x: Any, channels: int | None = None) -> None:
    """Raises unless x is a batch of images (N, H, W, C) of floats; `channels` is the C that is expected."""
    array = np.asarray(value_of(x))
    shape = array.shape
    if len(shape) == 4 and array.dtype.kind in "fc" and channels in (None, shape[3]):
        return
    if len(shape) != 4:
        raise ValueError(f"{where}: x must be images (N, H, W, C), got {shape}{_missing_axis(shape, channels)}")
    check_floats(where, array)
    hint = "images are NHWC"
    if shape[1] == channels:
        hint = ("x looks like NCHW, but images are NHWC here: convert a PyTorch model with nn.from_torch, or an array "
                "with x.transpose(0, 2, 3, 1)")
    raise ValueError(f"{where}: x {shape} has {shape[3]} channels but {channels} are expected; {hint}")


def floats_of_bytes(x: np.ndarray) -> np.ndarray:
    """Bytes (uint8) divided by 255 in float32, as `datasets.DataLoader` does; any other array as it is."""
    return np.divide(x, np.float32(255)) if x.dtype == np.uint8 else x


def _missing_axis(shape: Sequence[int], channels: int | None) -> str:
    if len(shape) != 3:
        return ""
    if channels == 1 and shape[2] != 1:
        return "; add the channel axis with x[..., None]"
    return "; add the batch axis with x[None]"


def _index(value: Any) -> int | None:
    """The value as an int, None where it is no whole number."""
    if isinstance(value, bool):
        return None
    try:
        return index(value)
    except TypeError:
        return None
