"""Checkers of notebook 4: a convolution as im2col, and its gradients. All arrays are NHWC, w is (KH, KW, C, O)."""

from __future__ import annotations

from typing import Any

import numpy as np

from .exercise import Exercise, ask, compare

__all__ = ["columns", "input_gradient", "output_size", "weight_gradient"]


@Exercise
def output_size(my_size: Any) -> str:
    """my_size(n, kernel, stride, padding): how many places a kernel has along an axis of n pixels."""
    for n, kernel, stride, padding in ((5, 3, 1, 0), (6, 3, 1, 2), (8, 3, 2, 1), (7, 3, 2, 0), (28, 5, 2, 0),
                                       (6, 1, 3, 0), (5, 5, 1, 0)):
        right, start = 0, -padding
        while start + kernel <= n + padding:  # the kernel, moved until it would stick out
            right, start = right + 1, start + stride
        compare(ask(my_size, n, kernel, stride, padding), right,
                f"my_size(n={n}, kernel={kernel}, stride={stride}, padding={padding})", [
            (right - 1, "one too few: the first place counts too"),
            ((n + 2 * padding - kernel) / stride + 1, "a place is whole: round down where the last step does not fit"),
            ((n + padding - kernel) // stride + 1, "padding is put on at both ends"),
            (n - kernel + 1, "stride and padding are not in it"),
            (n + 2 * padding - kernel + 1, "the stride is not in it"),
            (-(-(n + 2 * padding - kernel) // stride) + 1, "round down, not up: the last window must fit whole"),
        ])
    return "As many places as a kernel has that is moved along until it sticks out"


@Exercise
def columns(my_columns: Any) -> str:
    """my_columns(x, kh, kw, stride): im2col, one row for each window: (N * OH * OW, KH * KW * C)."""
    for shape, kh, kw, stride in (((1, 4, 4, 1), 3, 3, 1), ((2, 5, 6, 3), 2, 3, 1), ((1, 7, 7, 2), 3, 3, 2)):
        x = np.arange(float(np.prod(shape))).reshape(shape)
        right, windows = _columns(x, kh, kw, stride)
        answer, rows = ask(my_columns, x, kh, kw, stride), len(windows)
        compare(answer, right, f"my_columns(x {shape}, kh={kh}, kw={kw}, stride={stride})", [
            (windows.transpose(0, 3, 1, 2).reshape(rows, -1), "the channels must come last in a row: (KH, KW, C)"),
            (windows.transpose(0, 2, 1, 3).reshape(rows, -1), "take a window line by line: KH outside, KW inside"),
            (right.T, "yours is transposed: one row for each window"),
            (_columns(x, kh, kw, 1)[0], "the stride is not in it: windows start every `stride` pixels"),
        ])
    return "One row for each window, channels last, with strides 1 and 2"


@Exercise
def weight_gradient(my_gradient: Any) -> str:
    """my_gradient(g, x, kh, kw): the gradient by w (KH, KW, C, O) of a convolution with stride 1, no padding."""
    rng = np.random.default_rng(3)
    for n, h, w, c, o, kh, kw in ((1, 4, 4, 1, 1, 3, 3), (2, 5, 4, 3, 2, 3, 2)):
        x, g = rng.standard_normal((n, h, w, c)), rng.standard_normal((n, h - kh + 1, w - kw + 1, o))
        right = np.zeros((kh, kw, c, o))
        for b, i, j, u, v in np.ndindex(n, h - kh + 1, w - kw + 1, kh, kw):
            right[u, v] += np.outer(x[b, i + u, j + v], g[b, i, j])  # one use of w[u, v], and its share
        compare(ask(my_gradient, g, x, kh, kw), right, f"my_gradient(g {g.shape}, x {x.shape}, kh={kh}, kw={kw})", [
            (right / n, "you took the mean over the images; their shares add up"),
            (right[::-1, ::-1], "the kernel is upside down: the gradient by w needs no mirroring"),
            (right.reshape(kh * kw * c, o), "the numbers are right: reshape the rows to (KH, KW, C, O)"),
            (right.reshape(-1, o).T.reshape(right.shape), "C and O are mixed up: the columns come first, transposed"),
        ])
    return "Every use of every weight is in it, as loops over them say"


@Exercise
def input_gradient(my_gradient: Any) -> str:
    """my_gradient(g, w, x_shape): the gradient by x of a convolution with stride 1 and no padding."""
    rng = np.random.default_rng(4)
    for n, h, wide, c, o, kh, kw in ((1, 4, 4, 1, 1, 3, 3), (2, 5, 4, 3, 2, 3, 2)):
        w, g = rng.standard_normal((kh, kw, c, o)), rng.standard_normal((n, h - kh + 1, wide - kw + 1, o))
        right, overwritten = np.zeros((n, h, wide, c)), np.zeros((n, h, wide, c))
        for b, i, j in np.ndindex(g.shape[:3]):
            share = w @ g[b, i, j]  # (KH, KW, C): what this output sends to the pixels of its window
            right[b, i : i + kh, j : j + kw] += share
            overwritten[b, i : i + kh, j : j + kw] = share
        mirrored = np.zeros_like(right)
        for b, i, j in np.ndindex(g.shape[:3]):
            mirrored[b, i : i + kh, j : j + kw] += (w @ g[b, i, j])[::-1, ::-1]
        answer = ask(my_gradient, g, w, right.shape)
        compare(answer, right, f"my_gradient(g {g.shape}, w {w.shape}, x_shape={right.shape})", [
            (overwritten, "you overwrote where it must add: windows overlap, and a pixel is in several of them"),
            (mirrored, "the kernel is upside down: a share goes back to the place that it came from"),
        ])
    return "Every pixel has its share from every window that it is in"


def _columns(x: np.ndarray, kh: int, kw: int, stride: int) -> tuple[np.ndarray, np.ndarray]:
    """The columns, and the same as windows (N * OH * OW, KH, KW, C)."""
    n, h, w, _ = x.shape
    windows = [x[b, i : i + kh, j : j + kw] for b in range(n) for i in range(0, h - kh + 1, stride)
               for j in range(0, w - kw + 1, stride)]
    return np.array([window.reshape(-1) for window in windows]), np.array(windows)
