"""Matrix products that share their work out to this package's threads, each with BLAS in one thread.

BLAS could use threads of its own, but after a product they go on spinning for some 30 ms in wait of the next
(OpenBLAS), on the cores that the pool needs then: Winograd's convolutions ran at single speed until no product in a
step woke them. Cuts depend on shapes alone, so the bits are the same for any number of threads.
"""

from collections.abc import Iterator
from math import prod
from typing import Any

import numpy as np

from .blas import SMALL_PRODUCT, one_blas_thread
from .chunks import even
from .threads import share

__all__ = ["is_finite", "matmul"]

Array = np.ndarray[Any, Any]

_PIECE = 1 << 23  # multiplications in a piece: about 0.2 ms, a few times what a handover costs
_PIECES = 16  # at the most
_DOT = 1 << 13  # numbers: up to 10,000 OpenBLAS takes a dot product in one thread
_NARROW = 512, 2048  # bytes of a matrix's row: OpenBLAS reads such rows at half of the memory's speed
_MUCH = 1 << 22  # bytes: of so much little is still in the cache when a network comes to it again
_PARTS = 16  # that a sum is taken in: each has a rounding error of its own, and the sum of them is small


def matmul(x: Array, y: Array) -> Array:
    """np.matmul(x, y): x (.., n, k), y (.., k, m) -> (.., n, m), as NumPy broadcasts and promotes them.

    >>> matmul(np.ones((2, 3)), np.ones((3, 1)))
    array([[3.],
           [3.]])
    """
    count = prod(x.shape) * (y.shape[-1] if y.ndim > 1 else 1)
    if count <= SMALL_PRODUCT or x.dtype != y.dtype or x.dtype.kind not in "fc":
        return np.matmul(x, y)
    if y.ndim == 2 and x.ndim > 2:  # one product in place of many
        # (.., n, k) -> (N, k), and (N, m) -> (.., n, m)
        return matmul(x.reshape(-1, x.shape[-1]), y).reshape(*x.shape[:-1], y.shape[1])
    if x.ndim == 2 and len(x) == 1 and _is_narrow(y):
        with np.errstate(all="ignore"):
            found = _row_times_narrow(x, y)
        if np.isfinite(found).all():
            return found  # else np.matmul makes it, and says what went wrong, which einsum does not
    if x.ndim != 2 or y.ndim != 2 or count < 2 * _PIECE:
        with one_blas_thread():
            return np.matmul(x, y)
    return _in_pieces(x, y, -(-count // _PIECE))


def _in_pieces(x: Array, y: Array, pieces: int) -> Array:
    """x (n, k) @ y (k, m), the longer of n and m cut into pieces."""
    n, m = len(x), y.shape[1]
    out = np.empty((n, m), x.dtype)
    cuts = list(even(max(n, m), -(-max(n, m) // min(pieces, _PIECES))))

    def work(parts: Iterator[slice]) -> None:
        for part in parts:
            if n >= m:
                np.matmul(x[part], y, out=out[part])
            else:
                np.matmul(x, y[:, part], out=out[:, part])

    share(work, cuts, blas=True)
    return out


def _is_narrow(y: Array) -> bool:
    """Whether y (k, m) is much memory in narrow rows, one after the other: a dense layer behind convolutions, say."""
    return (
        y.ndim == 2 and y.nbytes >= _MUCH and y.flags.c_contiguous and y.dtype.char in "fd"
        and _NARROW[0] <= y.shape[1] * y.itemsize <= _NARROW[1]
    )


def _row_times_narrow(x: Array, y: Array) -> Array:
    """x (1, k) @ y (k, m) by einsum, which walks through y once, where OpenBLAS goes to and fro between four rows."""
    k, m = y.shape
    each = k // _PARTS
    whole = _PARTS * each
    # (1, k) -> (parts, k / parts), (k, m) -> (parts, k / parts, m)
    parts = x[0, :whole].reshape(_PARTS, each), y[:whole].reshape(_PARTS, each, m)
    out = np.add.reduce(np.einsum("pk,pkm->pm", *parts), keepdims=True)  # (parts, m) -> (1, m)
    return out if whole == k else out + np.matmul(x[:, whole:], y[whole:])


def is_finite(x: Array) -> bool:
    """Whether no number of x is infinite or NaN; may say False where the sum of squares overflows.

    A dot product finds out in one walk, in parts that leave BLAS's threads asleep.

    >>> bool(is_finite(np.array([1.0, np.inf])))
    False
    """
    flat = x.reshape(-1)  # (..) -> (n,)
    whole = flat.size - flat.size % _DOT
    total: Any = np.vdot(flat[whole:], flat[whole:])
    if whole:
        rows = flat[:whole].reshape(-1, _DOT)  # (n,) -> (n / 8192, 8192)
        with np.errstate(invalid="ignore", over="ignore"):  # of which vdot says nothing
            total = total + np.vecdot(rows, rows).sum()
    return bool(np.isfinite(total))
