"""Indexing: reading elements, adding into them, and putting others in their place.

An index is taken apart: its arrays (integers or a mask) are inputs of the op, and the parameter `key` is
the rest of it, with ARRAY where an array stood. So an op's parameters stay small.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from ..op import Op
from ..tensor import as_array, value_of

__all__ = ["ARRAY", "getitem", "index", "put", "scatter", "take"]


class _Array:
    def __repr__(self) -> str:
        return "ARRAY"

    def __reduce__(self) -> str:  # there is one, also after pickling
        return "ARRAY"


ARRAY: Final = _Array()


@Op
def getitem(x, *indices, key):
    """x[key], with `indices` in the places where key has ARRAY: a view where key has none.

    >>> import numpy as np
    >>> getitem(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([1, 0]), key=(ARRAY, 0))  # x[[1, 0], 0]
    array([3., 1.])
    """
    return x[_whole_key(key, indices)]


getitem.vjp(lambda g, indices, key, x_shape, wanted: (
    (scatter(g, *indices, key=key, shape=x_shape), *[None] * len(indices))
))


@Op
def scatter(x, *indices, key, shape):
    """Zeros of `shape` with x added at [key]: the transpose of getitem. Places named twice get the sum.

    >>> import numpy as np
    >>> scatter(np.array([1.0, 2.0, 4.0]), np.array([0, 2, 2]), key=(ARRAY,), shape=(3,))
    array([1., 0., 6.])
    """
    out = np.zeros(shape, np.asarray(x).dtype)
    whole = _whole_key(key, indices)
    if all(index.dtype == bool for index in indices):  # no place twice, and an assignment is faster
        out[whole] = x
    else:
        np.add.at(out, whole, x)
    return out


scatter.vjp(lambda g, indices, key, wanted: (getitem(g, *indices, key=key), *[None] * len(indices)))


@Op(broadcasts=True)  # value broadcasts to the shape of x[key]
def _put(x, value, *indices, key):
    if np.iscomplexobj(value) and not np.iscomplexobj(x):
        raise TypeError("put: x is real but value is complex; make x complex first with astype, or put real(value)")
    whole = _whole_key(key, indices)
    out = np.array(x)
    if any(index.dtype != bool for index in indices):
        _refuse_repeats(out.shape, whole)
    out[whole] = value
    return out


_put.vjp(lambda g, indices, key, wanted: (
    _put(g, 0, *indices, key=key) if wanted[0] else None,
    getitem(g, *indices, key=key) if wanted[1] else None,
    *[None] * len(indices),
))


def index(x: Any, key: Any) -> Any:
    """x[key] as NumPy has it: ints, slices, None, Ellipsis, integer arrays and masks.

    Raises TypeError for a float index, IndexError for one out of range.

    >>> import autograd as ag
    >>> ag.Tensor([1.0, 2.0, 3.0])[[0, 0, 2]]
    Tensor([1., 1., 3.], dtype=float32)
    """
    key, arrays = _apart(key)
    return getitem(x, *arrays, key=key)


def put(x: Any, key: Any, value: Any) -> Any:
    """x with `value` in place of x[key], as a new array; value broadcasts to the shape of x[key].

    Raises ValueError where the key names a place twice: which value would stay is not defined.

    >>> import autograd as ag
    >>> ag.put(ag.Tensor([1.0, 2.0, 3.0]), slice(0, 2), 0.0)
    Tensor([0., 0., 3.], dtype=float32)
    """
    key, arrays = _apart(key)
    return _put(x, value, *arrays, key=key)


def take(x: Any, indices: Any, axis: int | None = None) -> Any:
    """The elements at integer `indices` along an axis (of the flat x for None), as np.take.

    x (.., n, ..), indices of any shape -> x's shape with that axis replaced by the shape of indices.

    >>> import autograd as ag
    >>> ag.take(ag.Tensor([[1.0, 2.0], [3.0, 4.0]]), [1, 1, 0], axis=0)
    Tensor([[3., 4.],
            [3., 4.],
            [1., 2.]], dtype=float32)
    """
    x = x if hasattr(x, "reshape") else as_array(x)
    if axis is None:
        return index(x.reshape(-1), as_array(indices))  # (..) -> (n,)
    ndim = np.ndim(value_of(x))
    if not -ndim <= axis < ndim:
        raise ValueError(f"take: axis {axis} does not exist; x has {ndim} axes")
    return index(x, (slice(None),) * (axis % ndim) + (as_array(indices),))


# ---------------------------------------------------------------------- keys


def _apart(key: Any) -> tuple[tuple, list[np.ndarray]]:
    """(key with ARRAY for each array, the arrays)."""
    rest: list[Any] = []
    arrays: list[np.ndarray] = []
    for part in key if isinstance(key, tuple) else (key,):
        part = value_of(part)
        if part is None or part is Ellipsis or isinstance(part, slice):
            rest.append(part)
        elif isinstance(part, (int, np.integer)) and not isinstance(part, bool):
            rest.append(int(part))
        else:
            array = np.asarray(part, dtype=None if np.size(part) else np.intp)  # [] is an index of no elements
            if array.dtype.kind not in "biu":
                raise TypeError(f"getitem: an index must be an integer, a slice or a mask, got {array.dtype}")
            rest.append(ARRAY)
            arrays.append(array)
    return tuple(rest), arrays


def _whole_key(key: tuple, indices: tuple) -> tuple:
    """The key with its arrays back in their places."""
    if not indices:
        return key
    arrays = iter(indices)
    return tuple(next(arrays) if part is ARRAY else part for part in key)


def _refuse_repeats(shape: tuple, whole: tuple) -> None:
    """Writes each place's number and reads it back: a place written twice has lost one."""
    probe = np.zeros(shape, np.intp)
    numbers = np.arange(probe[whole].size).reshape(probe[whole].shape)  # (n,) -> the shape of x[key]
    probe[whole] = numbers
    if not np.array_equal(probe[whole], numbers):
        raise ValueError("put: the key names a place more than once; add up the values first (scatter), or make the "
                         "indices unique")
