"""Pooling and unpooling, each the transpose of the other.

Images are NHWC. `kernel` and `stride` are an int or a pair (stride defaults to the kernel); `padding` as
for conv2d. Which element of a window was largest is told by its tap: its number kh * KW + kw within the
window, one byte, where a flat index would take eight.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..kernels import pooling
from ..kernels.remembered import remembered
from ..kernels.window import Window, resolve
from ..op import Op
from ..tensor import value_of

__all__ = ["avg_pool2d", "avg_unpool2d", "max_pool2d", "max_unpool2d", "pick_taps", "unpool_taps"]


@Op
def _max_pool2d(x, kernel, stride=None, padding=0, *, need_aux):
    x = np.asarray(x)
    pool = _max_pool2d_for(x.shape, x.dtype, kernel, stride, padding, need_aux)
    return pool(x) if need_aux else (pool(x), None)


@remembered
def _max_pool2d_for(shape: tuple, dtype: Any, kernel: Any, stride: Any, padding: Any, with_taps: bool) -> Any:
    """The function of x for its shape and dtype: all that follows from those alone is looked up at once."""
    window = _window("max_pool2d", shape, kernel, stride, padding)
    return (pooling.max_pool2d_taps_for if with_taps else pooling.max_pool2d_for)(shape, dtype, window)


@Op
def unpool_taps(x, taps, size, kernel, stride=None, padding=0):
    """Zeros of `size` with x added at the tapped place of each window: the transpose of pick_taps.

    x (N, OH, OW, C), taps (N, OH, OW, C) integers, size (H, W) -> (N, H, W, C).

    >>> import numpy as np
    >>> taps = np.array([3, 0]).reshape(1, 1, 2, 1)
    >>> unpool_taps(np.array([5.0, 7.0]).reshape(1, 1, 2, 1), taps, (2, 4), kernel=2)[0, :, :, 0]
    array([[0., 0., 7., 0.],
           [0., 5., 0., 0.]])
    """
    return pooling.unpool_taps(np.asarray(x), taps, _window("unpool_taps", (0, *size, 0), kernel, stride, padding))


@Op
def pick_taps(x, taps, kernel, stride=None, padding=0):
    """The tapped element of each window: x (N, H, W, C), taps (N, OH, OW, C) integers -> (N, OH, OW, C).

    >>> import numpy as np
    >>> taps = np.array([3, 0]).reshape(1, 1, 2, 1)
    >>> pick_taps(np.arange(8.0).reshape(1, 2, 4, 1), taps, kernel=2).ravel()
    array([5., 2.])
    """
    x = np.asarray(x)
    return pooling.pick_taps(x, taps, _window("pick_taps", x.shape, kernel, stride, padding))


_max_pool2d.vjp(
    lambda g, aux, x_shape, kernel, stride, padding: unpool_taps(g, aux, x_shape[1:3], kernel, stride, padding)
)
unpool_taps.vjp(lambda g, taps, kernel, stride, padding: pick_taps(g, taps, kernel, stride, padding), None)
pick_taps.vjp(
    lambda g, taps, x_shape, kernel, stride, padding: unpool_taps(g, taps, x_shape[1:3], kernel, stride, padding), None
)


def max_pool2d(x: Any, kernel: Any, stride: Any = None, padding: Any = 0, return_indices: bool = False) -> Any:
    """The largest element of each window; padding counts as -inf, and of equal elements the first is taken.

    x (N, H, W, C) -> (N, OH, OW, C). With `return_indices=True` the pair (out, indices), indices int64 of out's
    shape: the place h * W + w of each maximum in its plane, as `max_unpool2d` takes them.

    Raises ValueError where the window does not fit.

    >>> import autograd as ag, numpy as np
    >>> x = ag.Tensor(np.arange(16.0).reshape(1, 4, 4, 1))
    >>> ag.max_pool2d(x, 2).data.reshape(2, 2)
    array([[ 5.,  7.],
           [13., 15.]])
    """
    if not return_indices:
        return _max_pool2d(x, kernel, stride, padding)
    array = np.asarray(value_of(x))
    window = _window("max_pool2d", array.shape, kernel, stride, padding)
    taps = pooling.max_pool2d_taps(array, window)[1]
    return pick_taps(x, taps, kernel, stride, padding), pooling.taps_to_indices(taps, window)


def max_unpool2d(x: Any, indices: Any, kernel: Any, stride: Any = None, padding: Any = 0,
                 size: tuple[int, int] | None = None) -> Any:
    """Puts each element of x at its index in a plane of zeros; elements that meet (overlapping windows) add up.

    x and indices (N, OH, OW, C) as from `max_pool2d(..., return_indices=True)` -> (N, H, W, C). `size` is (H, W); by
    default (OH - 1) * stride - 2 * padding + kernel, the smallest that pools to (OH, OW).

    Raises ValueError where an index is not in its window, or shapes do not fit.

    Zeiler and Fergus, "Visualizing and Understanding Convolutional Networks", 2014, section 2.1.

    >>> import autograd as ag, numpy as np
    >>> out, indices = ag.max_pool2d(np.arange(8.0).reshape(1, 2, 4, 1), 2, return_indices=True)
    >>> ag.max_unpool2d(out, indices, 2)[0, :, :, 0]
    array([[0., 0., 0., 0.],
           [0., 5., 0., 7.]])
    """
    shape = np.shape(value_of(x))
    if len(shape) != 4 or np.shape(value_of(indices)) != shape:
        raise ValueError(f"max_unpool2d: x and indices must both be (N, OH, OW, C), got x {shape} and indices "
                         f"{np.shape(value_of(indices))}")
    if size is None:
        probe = _window("max_unpool2d", (0, 1 << 30, 1 << 30, 0), kernel, stride, padding)
        size = tuple((n - 1) * s - p[0] - p[1] + k for n, s, p, k
                     in zip(shape[1:3], probe.stride, probe.padding, probe.kernel, strict=True))
    window = _window("max_unpool2d", (0, *size, 0), kernel, stride, padding)
    if window.out != shape[1:3]:
        raise ValueError(f"max_unpool2d: a plane of size {tuple(size)} has {window.out} windows (kernel "
                         f"{window.kernel}, stride {window.stride}), but x {shape} has {shape[1:3]}")
    taps = pooling.indices_to_taps(np.asarray(value_of(indices)), window, "max_unpool2d")
    return unpool_taps(x, taps, tuple(size), kernel, stride, padding)


@Op
def avg_pool2d(x, kernel, stride=None, padding=0, count_include_pad=False):
    """The mean of each window: x (N, H, W, C) -> (N, OH, OW, C).

    Padding is left out of the mean unless `count_include_pad`. Raises ValueError where the window does not fit.

    >>> import autograd as ag, numpy as np
    >>> ag.avg_pool2d(np.arange(8.0).reshape(1, 2, 4, 1), 2).ravel()
    array([2.5, 4.5])
    """
    x = np.asarray(x)
    return pooling.avg_pool2d(x, _window("avg_pool2d", x.shape, kernel, stride, padding), count_include_pad)


@Op
def avg_unpool2d(x, size, kernel, stride=None, padding=0, count_include_pad=False):
    """Spreads each element evenly over its window: the transpose of avg_pool2d.

    x (N, OH, OW, C), size (H, W) -> (N, H, W, C).

    >>> import numpy as np
    >>> avg_unpool2d(np.array([4.0, 8.0]).reshape(1, 1, 2, 1), (2, 4), kernel=2)[0, :, :, 0]
    array([[1., 1., 2., 2.],
           [1., 1., 2., 2.]])
    """
    window = _window("avg_unpool2d", (0, *size, 0), kernel, stride, padding)
    return pooling.avg_unpool2d(np.asarray(x), window, count_include_pad)


avg_pool2d.vjp(lambda g, x_shape, kernel, stride, padding, count_include_pad: (
    avg_unpool2d(g, x_shape[1:3], kernel, stride, padding, count_include_pad)
))
avg_unpool2d.vjp(lambda g, kernel, stride, padding, count_include_pad: (
    avg_pool2d(g, kernel, stride, padding, count_include_pad)
))


def _window(op: str, shape: tuple, kernel: Any, stride: Any, padding: Any) -> Window:
    if len(shape) != 4:
        raise ValueError(f"{op}: x must be (N, H, W, C), got {shape}"
                         + ("; add the batch axis with x[None]" if len(shape) == 3 else ""))
    return resolve(op, shape[1:3], kernel, kernel if stride is None else stride, padding)
