"""Ops that move elements about without changing them, and their rules, which move them back."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np

from ..kernels.sums import total
from ..op import Op
from ..tensor import as_array, value_of
from .index import ARRAY, getitem

__all__ = [
    "broadcast_to", "concatenate", "expand_dims", "flatten", "flip", "moveaxis", "pad", "repeat", "reshape", "roll",
    "split", "squeeze", "stack", "sum_to", "swapaxes", "tile", "transpose",
]


@Op
def reshape(x, shape):
    """The same elements in another shape (one length may be -1): a view of x where NumPy can make one.

    >>> import autograd as ag
    >>> ag.reshape(ag.Tensor([[1.0, 2.0], [3.0, 4.0]]), -1)
    Tensor([1., 2., 3., 4.], dtype=float32)
    """
    return np.asarray(x).reshape(shape)  # np.reshape takes 1 us more


reshape.vjp(lambda g, x_shape: reshape(g, x_shape))


@Op
def transpose(x, axes=None):
    """x with its axes in the order `axes` (reversed for None): a view of x.

    >>> import autograd as ag, numpy as np
    >>> ag.transpose(np.zeros((2, 3, 4)), (2, 0, 1)).shape
    (4, 2, 3)
    """
    return np.transpose(x, axes)


# e.g. axes (2, 0, 1): (C, A, B) -> (A, B, C)
transpose.vjp(lambda g, axes: transpose(g, None if axes is None else _inverse(axes, len(axes))))


@Op
def broadcast_to(x, shape):
    """x repeated along axes of length 1 and new leading axes, up to `shape`: a read-only view of x.

    >>> import autograd as ag
    >>> ag.broadcast_to(ag.Tensor([1.0, 2.0]), (2, 2))
    Tensor([[1., 2.],
            [1., 2.]], dtype=float32)
    """
    return np.broadcast_to(x, shape)


@Op
def sum_to(x, shape):
    """x summed over the axes that broadcasting `shape` to x.shape would repeat: what undoes broadcasting.

    >>> import numpy as np
    >>> sum_to(np.ones((4, 3, 2)), (3, 1))
    array([[8.],
           [8.],
           [8.]])
    """
    new_axes = np.ndim(x) - len(shape)
    repeated = tuple(i + new_axes for i, n in enumerate(shape) if n == 1 and np.shape(x)[i + new_axes] != 1)
    out = total(np.asarray(x), (*range(new_axes), *repeated), keepdims=True)
    return np.reshape(out, shape)  # drops the new axes: (1, .., C) -> (C,)


broadcast_to.vjp(lambda g, x_shape: sum_to(g, x_shape))
sum_to.vjp(lambda g, x_shape: broadcast_to(g, x_shape))


@Op
def roll(x, shift, axis=None):
    """x with its elements moved round by `shift` places along axes, as np.roll: x's shape.

    >>> import autograd as ag
    >>> ag.roll(ag.Tensor([1.0, 2.0, 3.0]), 1)
    Tensor([3., 1., 2.], dtype=float32)
    """
    return np.roll(x, shift, axis)


roll.vjp(lambda g, shift, axis: roll(g, tuple(-s for s in shift) if np.ndim(shift) else -shift, axis))


@Op
def pad(x, pad_width, mode="constant", constant_values=0):
    """x with `pad_width` elements of a constant before and after each axis, as np.pad.

    pad_width is an int, a (before, after) pair, or one pair per axis. Raises ValueError for another mode.

    >>> import autograd as ag
    >>> ag.pad(ag.Tensor([1.0, 2.0]), (1, 2))
    Tensor([0., 1., 2., 0., 0.], dtype=float32)
    """
    if mode != "constant":
        raise ValueError(f"pad: mode {mode!r} is not supported, only 'constant'; use take or concatenate for others")
    x = np.asarray(x)
    pairs = np.broadcast_to(pad_width, (x.ndim, 2))
    if pairs.dtype.kind not in "iu":
        raise TypeError("pad_width must be a whole number, a pair of them or a pair for each axis")
    if pairs.min(initial=0) < 0:
        raise ValueError("pad_width must not be negative; take a part of x instead")
    pairs = pairs.astype(int)
    if np.ndim(constant_values):  # one for each side
        return np.pad(x, pairs.tolist() or 0, constant_values=constant_values)
    # a third to a half of np.pad's time, which goes from axis to axis
    out = np.empty(np.add(x.shape, pairs.sum(axis=1)), x.dtype)
    out[...] = np.asarray(constant_values)[()]
    out[_inner(pairs, x.shape)] = x
    return out


pad.vjp(lambda g, x_shape, pad_width: getitem(g, key=_inner(pad_width, x_shape)))


@Op
def _concatenate(*xs, axis=0):
    return np.concatenate(xs, axis=axis)


@Op
def _split(x, splits, axis=0):
    return tuple(np.split(x, splits, axis=axis))


_concatenate.vjp(lambda g, xs_shape, axis, wanted: _split(g, splits=_ends([s[axis] for s in xs_shape]), axis=axis))
_split.vjp(lambda g, axis, wanted: (_concatenate(*g, axis=axis),), inputs=1)


def concatenate(xs: Sequence[Any], axis: int | None = 0) -> Any:
    """Joins arrays along an axis that exists already; for axis=None all are made flat first.

    >>> import autograd as ag
    >>> ag.concatenate([ag.Tensor([1.0]), ag.Tensor([2.0, 3.0])])
    Tensor([1., 2., 3.], dtype=float32)
    """
    if axis is None:
        return _concatenate(*(reshape(x, -1) for x in _of_one_precision(xs)), axis=0)  # (..) -> (n,)
    return _concatenate(*_of_one_precision(xs), axis=operator.index(axis))


def stack(xs: Sequence[Any], axis: int = 0) -> Any:
    """Joins arrays of one shape along a new axis.

    >>> import autograd as ag
    >>> ag.stack([ag.Tensor([1.0, 2.0]), ag.Tensor([3.0, 4.0])])
    Tensor([[1., 2.],
            [3., 4.]], dtype=float32)
    """
    shapes = [np.shape(value_of(x)) for x in xs]
    if len(set(shapes)) > 1:
        raise ValueError(f"stack: all arrays must have one shape, got {', '.join(map(str, shapes))}; to join along an "
                         "axis that exists use concatenate")
    # each (A, B) -> (A, 1, B), e.g. for axis 1
    return _concatenate(*(expand_dims(x, axis) for x in _of_one_precision(xs)), axis=operator.index(axis))


def split(x: Any, indices_or_sections: int | Sequence[int], axis: int = 0) -> tuple:
    """Cuts x along an axis, into equal sections or before the given indices: a tuple of views, as np.split.

    >>> import autograd as ag
    >>> ag.split(ag.Tensor([1.0, 2.0, 3.0]), [1])
    (Tensor([1.], dtype=float32), Tensor([2., 3.], dtype=float32))
    """
    sections = indices_or_sections
    shape = np.shape(value_of(x))
    length = shape[_axis("split", axis, len(shape))]
    if not isinstance(sections, (int, np.integer)):
        indices = tuple(map(int, sections))
        places = [max(i + length, 0) if i < 0 else i for i in indices]
        if places != sorted(places):  # the parts would overlap
            raise ValueError(f"split: the indices must not decrease, got {list(indices)} on an axis of length {length}")
        return _split(x, splits=indices, axis=axis)
    if sections <= 0 or length % sections:
        raise ValueError(f"split: an axis of length {length} cannot be cut into {sections} equal sections")
    return _split(x, splits=_ends([length // sections] * int(sections)), axis=axis)


# ---------------------------------------------------------------------- made of the ops above


def flatten(x: Any, start_axis: int = 0) -> Any:
    """x with the axes from `start_axis` on made one.

    >>> import autograd as ag, numpy as np
    >>> ag.flatten(np.zeros((5, 4, 4, 3)), start_axis=1).shape
    (5, 48)
    """
    shape = np.asarray(value_of(x)).shape
    if not 0 <= start_axis <= len(shape):
        raise ValueError(f"flatten: start_axis {start_axis} does not exist; x {shape} has {len(shape)} axes")
    return reshape(x, (*shape[:start_axis], prod(shape[start_axis:])))  # (N, H, W, C) -> (N, H*W*C)


def moveaxis(x: Any, source: int | Sequence[int], destination: int | Sequence[int]) -> Any:
    """x with the axes `source` moved to the places `destination`, the others in their order: a view.

    >>> import autograd as ag, numpy as np
    >>> ag.moveaxis(np.zeros((2, 3, 4)), 0, -1).shape
    (3, 4, 2)
    """
    # e.g. 0 to -1: (A, B, C) -> (B, C, A)
    return transpose(x, _order_of("moveaxis", np.moveaxis, x, source, destination))


def swapaxes(x: Any, axis1: int, axis2: int) -> Any:
    """x with two axes exchanged: a view.

    >>> import autograd as ag, numpy as np
    >>> ag.swapaxes(np.zeros((2, 3, 4)), 0, 2).shape
    (4, 3, 2)
    """
    return transpose(x, _order_of("swapaxes", np.swapaxes, x, axis1, axis2))  # e.g. 0 and 2: (A, B, C) -> (C, B, A)


def expand_dims(x: Any, axis: int | tuple[int, ...]) -> Any:
    """x with new axes of length 1 at the places `axis`.

    >>> import autograd as ag, numpy as np
    >>> ag.expand_dims(np.zeros((2, 3)), (0, -1)).shape
    (1, 2, 3, 1)
    """
    return reshape(x, _shape_of("expand_dims", np.expand_dims, x, axis))  # (N,) -> (N, 1)


def squeeze(x: Any, axis: int | tuple[int, ...] | None = None) -> Any:
    """x without axes of length 1: all of them, or those in `axis` (ValueError where one is longer).

    >>> import autograd as ag, numpy as np
    >>> ag.squeeze(np.zeros((1, 3, 1)), axis=0).shape
    (3, 1)
    """
    return reshape(x, _shape_of("squeeze", np.squeeze, x, axis))  # (N, 1) -> (N,)


def flip(x: Any, axis: int | tuple[int, ...] | None = None) -> Any:
    """x with the elements in reverse order along axes (all for None): a view.

    >>> import autograd as ag
    >>> ag.flip(ag.Tensor([1.0, 2.0, 3.0]))
    Tensor([3., 2., 1.], dtype=float32)
    """
    ndim = np.ndim(value_of(x))
    axes = range(ndim) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    turned = {_axis("flip", a, ndim) for a in axes}
    return getitem(x, key=tuple(slice(None, None, -1 if a in turned else None) for a in range(ndim)))


def repeat(x: Any, repeats: int | Sequence[int] | np.ndarray, axis: int | None = None) -> Any:
    """x with each element repeated along an axis (of the flat x for None), as np.repeat.

    >>> import autograd as ag
    >>> ag.repeat(ag.Tensor([1.0, 2.0]), [1, 2])
    Tensor([1., 2., 2.], dtype=float32)
    """
    if axis is None:
        return repeat(reshape(x, -1), repeats, 0)  # (..) -> (n,)
    shape = np.shape(value_of(x))
    axis = _axis("repeat", axis, len(shape))
    try:
        index = np.repeat(np.arange(shape[axis]), repeats)
    except ValueError as error:
        raise ValueError(f"repeat: {error} (given x {shape}, repeats={repeats!r}, axis={axis})") from error
    return getitem(x, index, key=(*(slice(None),) * axis, ARRAY))


def tile(x: Any, reps: int | Sequence[int]) -> Any:
    """x laid side by side `reps` times along each axis, as np.tile.

    >>> import autograd as ag
    >>> ag.tile(ag.Tensor([1.0, 2.0]), 2)
    Tensor([1., 2., 1., 2.], dtype=float32)
    """
    reps = (reps,) if isinstance(reps, (int, np.integer)) else tuple(reps)
    shape = np.shape(value_of(x))
    ndim = max(len(reps), len(shape))
    shape = (1,) * (ndim - len(shape)) + shape
    reps = (1,) * (ndim - len(reps)) + reps
    x = reshape(x, tuple(n for length in shape for n in (1, length)))  # (H, W) -> (1, H, 1, W)
    x = broadcast_to(x, tuple(n for pair in zip(reps, shape, strict=True) for n in pair))  # -> (RH, H, RW, W)
    return reshape(x, tuple(r * n for r, n in zip(reps, shape, strict=True)))  # -> (RH*H, RW*W)


# ---------------------------------------------------------------------- what several of them need


def _of_one_precision(xs: Sequence[Any]) -> list[Any]:
    """The arrays, and lists as arrays that lose no digits beside them."""
    dtypes = [x.dtype for x in xs if hasattr(x, "dtype")]
    return [x if hasattr(x, "dtype") else as_array(x, np.result_type(as_array(x), *dtypes)) for x in xs]


def _shape_of(op: str, function: Callable, x: Any, *args: Any, shape: Sequence[int] | None = None) -> tuple:
    """The shape that a NumPy function gives an array like x, or of `shape` (no memory is used)."""
    given = np.shape(value_of(x))
    try:
        return function(np.broadcast_to(0, given if shape is None else shape), *args).shape
    except ValueError as error:
        raise ValueError(f"{op}: {error} (given x {given}, {', '.join(map(repr, args))})") from error


def _order_of(op: str, function: Callable, x: Any, *args: Any) -> tuple:
    """Where a NumPy function takes the axes of x from: axis i has length i, so that the shape shows it."""
    return _shape_of(op, function, x, *args, shape=range(np.ndim(value_of(x))))


def _axis(op: str, axis: int, ndim: int) -> int:
    if not -ndim <= axis < ndim:
        raise ValueError(f"{op}: axis {axis} does not exist; x has {ndim} axes")
    return axis % ndim


def _inverse(axes: tuple, ndim: int) -> tuple[int, ...]:
    return tuple(int(i) for i in np.argsort([a % ndim for a in axes]))


def _inner(pad_width: Any, shape: tuple) -> tuple[slice, ...]:
    """The part of a padded array that is the array itself."""
    pairs = np.broadcast_to(pad_width, (len(shape), 2))
    return tuple(slice(int(before), int(before) + n) for (before, _), n in zip(pairs, shape, strict=True))


def _ends(lengths: list[int]) -> tuple[int, ...]:
    """Where pieces of these lengths end, without the last."""
    return tuple(int(end) for end in np.cumsum(lengths)[:-1])
