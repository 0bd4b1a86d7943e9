"""Arrays as a page shows them: few numbers as numbers, many as heat maps of limited resolution, images as images.

A heat map holds 16-bit whole numbers on a scale that is symmetric about zero, so that the page can tell each cell to
four digits of the largest; where an array is larger than the resolution, a cell is the mean of a block.
"""

from __future__ import annotations

import base64
import hashlib
import math
from typing import Any, Literal

import numpy as np

from .text import numbers_text

__all__ = ["Layout", "Packer"]

Layout = Literal["", "images", "maps", "kernels"]  # nothing in particular; (N, H, W, C) twice; (KH, KW, C, O)

_FEW = 64  # so many numbers are written out
_WIDEST = 8  # where no row of them is longer
_RESOLUTIONS = (64, 48, 32, 24, 16, 12, 8, 4)  # tried from the first on, until all arrays fit into the budget
_BUDGET = 1_000_000  # characters for all heat maps of a page, which is to stay under 2 MB
_TILES = 16  # planes of one array that are shown
_STEPS = 32767  # of the scale, on each side of zero
_NOT_FINITE = -32768


class Packer:
    """Collects arrays, each once, and gives them as plain data for a page."""

    def __init__(self) -> None:
        self.arrays: list[tuple[np.ndarray, Layout]] = []
        self.places: dict[tuple, int] = {}

    def add(self, value: Any, layout: Layout = "") -> int | None:
        """The place of an array among those of the page; None for None."""
        if value is None:
            return None
        array = np.asarray(value)
        digest = hashlib.sha1(np.ascontiguousarray(array).tobytes(), usedforsecurity=False).digest()
        key = (array.shape, array.dtype.str, layout, digest)
        if key not in self.places:
            self.places[key] = len(self.arrays)
            self.arrays.append((array, layout))
        return self.places[key]

    def packed(self) -> tuple[list[dict[str, Any]], int]:
        """The arrays as plain data, and the resolution to which the large ones were cut."""
        large = [(array, layout) for array, layout in self.arrays if not _is_few(array)]
        costs = {r: sum(_cost(array, layout, r) for array, layout in large) for r in _RESOLUTIONS}
        resolution = next((r for r, cost in costs.items() if cost <= _BUDGET), _RESOLUTIONS[-1])
        return [_numbers(array) if _is_few(array) else _heat_map(array, layout, resolution)
                for array, layout in self.arrays], resolution


def _is_few(array: np.ndarray) -> bool:
    if array.ndim > 3 or (array.ndim == 3 and array.shape[0] > 4):
        return array.size <= 4
    return array.size <= _FEW and (array.ndim == 0 or array.shape[-1] <= _WIDEST)


def _about(array: np.ndarray) -> dict[str, Any]:
    return {"shape": list(array.shape), "dtype": str(array.dtype)}


def _numbers(array: np.ndarray) -> dict[str, Any]:
    return _about(array) | {"numbers": [_plain(x) for x in array.ravel().tolist()]}


def _plain(x: Any) -> Any:
    """A number that JSON can hold, or its text where it cannot: inf, nan, complex and very large whole numbers."""
    if isinstance(x, bool):
        return str(x)
    if isinstance(x, complex):
        return numbers_text(x)
    if isinstance(x, float):
        return x if math.isfinite(x) else str(x)
    return x if abs(x) < 2**53 else str(x)


# -------------------------------------------------------------------- heat maps


def _planes(array: np.ndarray, layout: Layout) -> tuple[np.ndarray, str]:
    """The array as planes (T, H, W) side by side, and what one of them is."""
    if array.ndim <= 1:
        return array.reshape(1, 1, -1), ""  # (n,) -> (1, 1, n)
    if array.ndim == 2:
        return array[None], ""  # (H, W) -> (1, H, W)
    if array.ndim == 4 and layout == "kernels":
        kh, kw, c, o = array.shape
        return array.transpose(3, 2, 0, 1).reshape(o * c, kh, kw), "kernel"  # (KH, KW, C, O) -> (O*C, KH, KW)
    if array.ndim == 4 and layout in ("images", "maps"):
        n, h, w, c = array.shape
        return array.transpose(0, 3, 1, 2).reshape(n * c, h, w), "channel"  # (N, H, W, C) -> (N*C, H, W)
    return array.reshape(-1, *array.shape[-2:]), "plane"  # (.., H, W) -> (T, H, W)


def _is_image(array: np.ndarray, layout: Layout) -> bool:
    """Colours from black to white: what has one or three channels, and no negative numbers."""
    return (layout == "images" and array.ndim == 4 and array.shape[3] in (1, 3) and array.dtype.kind in "fiu"
            and bool((array >= 0).all()))


def _cost(array: np.ndarray, layout: Layout, resolution: int) -> int:
    """Characters that a heat map takes: four for three bytes."""
    planes, _ = _planes(np.broadcast_to(np.int8(0), array.shape), layout)
    tiles, h, w = planes.shape
    return 200 + 8 * min(tiles, _TILES) * _cells(h, resolution) * _cells(w, resolution) // 3


def _cells(n: int, resolution: int) -> int:
    return n if n <= resolution else math.ceil(n / math.ceil(n / resolution))


def _heat_map(array: np.ndarray, layout: Layout, resolution: int) -> dict[str, Any]:
    about = _about(array)
    if array.dtype.kind == "c":
        about["absolute"] = True
        array = np.abs(array)
    array = np.asarray(array, np.float64)
    finite = array[np.isfinite(array)]
    about["stats"] = [float(x) for x in (finite.min(), finite.mean(), finite.max())] if finite.size else None
    about["lost"] = int(array.size - finite.size)  # NaN or infinite
    if _is_image(array, layout):
        about["image"] = array.shape[3]
    planes, about["plane"] = _planes(array, layout)
    about["planes"] = len(planes)
    shown = _smaller(planes[: _most_tiles(about)], resolution)
    about["block"] = [math.ceil(n / resolution) if n > resolution else 1 for n in planes.shape[1:]]
    scale = float(np.abs(shown[np.isfinite(shown)]).max(initial=0.0))
    about |= {"tiles": list(shown.shape), "scale": scale, "cells": _in_steps(shown, scale)}
    return about


def _most_tiles(about: dict[str, Any]) -> int:
    """As many planes as are shown; of a coloured image three belong together."""
    return _TILES // 3 * 3 if about.get("image") == 3 else _TILES


def _smaller(planes: np.ndarray, resolution: int) -> np.ndarray:
    """Planes of at most resolution x resolution cells, each the mean of a block."""
    for axis in (1, 2):
        n = planes.shape[axis]
        if n > resolution:
            block = math.ceil(n / resolution)
            starts = np.arange(0, n, block)
            lengths = np.diff(np.append(starts, n))
            sums = np.add.reduceat(planes, starts, axis=axis)
            planes = sums / (lengths[:, None] if axis == 1 else lengths)
    return planes


def _in_steps(cells: np.ndarray, scale: float) -> str:
    """Base64 of 16-bit whole numbers, low byte first: -32767 to 32767 for -scale to scale, -32768 for not finite."""
    with np.errstate(all="ignore"):
        steps = np.rint(cells / scale * _STEPS) if scale else np.zeros(cells.shape)
    steps = np.where(np.isfinite(cells), steps, _NOT_FINITE)
    return base64.b64encode(steps.astype("<i2").tobytes()).decode("ascii")
