"""The input gradient of a convolution as one product, whose rows are added up where windows overlap.

Each output pixel is multiplied with the weights of all its taps at once, which gives what it adds to each pixel that
it sees. The other way, a convolution of the output gradient (`phases.py`), copies KH * KW * O numbers for each input
pixel, and multiplies zeros around the image; here KH * KW * C numbers are added up for each output pixel. So this way
is better where the input has fewer channels than the output, and where kernels are large and the output is smaller
than the input, as in LeNet-5: 6 <- 16 channels, 5x5 on 14x14 pixels, took 0.55 of the time, 20 <- 50 on 12x12 0.5.

Outputs of a row are taken several at a time as the channels of one (`bands.py`): the rows that are added become longer,
and overlap less. It is the transpose of im2col step by step, as Dumoulin and Visin have it in "A guide to convolution
arithmetic for deep learning", 2016, section 4.

Arrays are NHWC, weights (KH, KW, C, O). Chunks are whole images, cut by shape alone, and sums are taken in a fixed
order: the same bits for any number of threads.
"""

from collections.abc import Iterator
from functools import lru_cache
from math import prod
from typing import Any, NamedTuple

import numpy as np

from .bands import banded, in_blocks
from .chunks import even
from .memory import Scratch
from .threads import share
from .window import Window

__all__ = ["conv2d_input_grad", "fits", "nanoseconds"]

Array = np.ndarray[Any, Any]

_CHUNK_BYTES = 1 << 20  # of products: more falls out of the cache, less makes calls of NumPy short
_LEAST_SHARED = 300_000  # nanoseconds of work: below, threads cost as much as they save


def fits(window: Window, w_shape: tuple[int, ...], groups: int, dtype: np.dtype[Any]) -> bool:
    """Whether it can be taken: stride 1, one group, several taps side by side, float32 or float64, no large image.

    With a stride it is no faster than `subpixel.py`.
    """
    return (
        groups == 1
        and window.stride == (1, 1)
        and window.dilation[1] == 1
        and window.kernel != (1, 1)
        and min(w_shape) > 0
        and dtype in (np.float32, np.float64)
        and prod(window.out) * prod(w_shape[:3]) * dtype.itemsize <= _CHUNK_BYTES
    )


def conv2d_input_grad(dout: Array, w: Array, window: Window) -> Array:
    """The gradient of sum(dout * conv2d(x, w)) with respect to x, for what `fits`.

    dout (N, OH, OW, O), w (KH, KW, C, O) -> (N, H, W, C), where (H, W) is the window's size. Products that would go to
    padding are made as well, and may warn of an overflow.

    >>> from autograd.kernels.window import resolve
    >>> window = resolve("conv2d", size=(3, 3), kernel=2, stride=1, padding=0)
    >>> conv2d_input_grad(np.ones((1, 2, 2, 1)), np.arange(1.0, 5.0).reshape(2, 2, 1, 1), window)[0, :, :, 0]
    array([[ 1.,  3.,  2.],
           [ 4., 10.,  6.],
           [ 3.,  7.,  4.]])
    """
    dtype = np.result_type(dout, w)
    plan = _plan(len(dout), window, w.shape, dtype)
    # (KH*taps*C, block*O) -> (block*O, KH*taps*C)
    weights = banded(w.astype(dtype, copy=False), plan.window, plan.block).T
    dx = np.zeros((len(dout), window.size[0], window.size[1] * w.shape[2]), dtype)

    def work(pieces: Iterator[slice]) -> None:
        with Scratch() as scratch:
            for images in pieces:
                seen = dout[images]
                if seen.dtype != dtype or not seen.flags.c_contiguous:
                    seen = scratch.array("seen", seen.shape, dtype)
                    seen[...] = dout[images]
                blocks = seen.reshape(-1, len(weights))  # (n, OH, OW, O) -> (n*OH*OW/block, block*O)
                product = scratch.array("products", (len(blocks), plan.numbers), dtype)
                np.matmul(blocks, weights, out=product)
                # (n*OH*OW/block, KH*taps*C) -> (n, OH, OW/block, KH, taps*C)
                by_place = product.reshape(-1, *plan.places)
                part = dx[images]
                for step in plan.steps:
                    target = part[:, step.rows, step.columns]
                    target += by_place[:, step.outputs, step.block, step.tap, step.run]

    share(work, plan.pieces, blas=True)
    return dx.reshape(len(dout), *window.size, w.shape[2])  # (N, H, W*C) -> (N, H, W, C)


def nanoseconds(images: int, window: Window, w_shape: tuple[int, ...], itemsize: int) -> float:
    """About what it takes on one core."""
    return _nanoseconds(images, window, w_shape, itemsize, _block_of(images, window, w_shape, itemsize))


def _block_of(images: int, window: Window, w_shape: tuple[int, ...], itemsize: int) -> int:
    """How many outputs of a row are best taken as one."""
    width = window.out[1]
    blocks = (block for block in range(1, width + 1) if width % block == 0)
    return min(blocks, key=lambda block: _nanoseconds(images, window, w_shape, itemsize, block))


def _nanoseconds(images: int, window: Window, w_shape: tuple[int, ...], itemsize: int, block: int) -> float:
    """About what it takes in such blocks, by the figures of one machine (Zen 3, AVX2): BLAS as in `bands.py`, and sums.

    A run of n numbers takes 50 + 0.5 n to add, each call of NumPy 2000, and the band as there. For 6 <- 16 channels and
    5x5 on 14x14 pixels that gives 492, 296, 209 and 244 an output for blocks of 1, 2, 5 and 10, where 539, 336, 233 and
    267 were measured.
    """
    kh, _, channels, outputs = w_shape
    run = in_blocks(window, block).kernel[1] * channels
    worked_on = -(-kh * run // 16) * 16
    of_block = worked_on * (block * outputs / 40 + 0.25) + kh * (50 + 0.5 * run)
    in_row = window.out[1] // block
    pieces = -(-images * window.out[0] * in_row * kh * run * itemsize // _CHUNK_BYTES)
    band = 3000 + kh * run * block * outputs
    return images * window.out[0] * in_row * of_block + pieces * in_row * kh * 2000 + band


class _Step(NamedTuple):
    """What one block of each row of outputs adds by one row of taps: the outputs and the pixels, and its place."""

    rows: slice
    columns: slice  # of W*C
    outputs: slice
    block: int
    tap: int
    run: slice  # of taps*C, without those that see padding


class _Plan:
    """What follows from shapes and dtype alone, worked out once for a network that asks for the same in every step.

    block    so many outputs of a row are taken as the channels of one, by a `window` that is wider
    numbers  in the product of a block, KH*taps*C
    places   (OH, OW/block, KH, taps*C), of those of an image
    """

    def __init__(self, images: int, window: Window, w_shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
        kh, _, channels, _ = w_shape
        self.block = _block_of(images, window, w_shape, dtype.itemsize)
        self.window = in_blocks(window, self.block)
        self.numbers = kh * self.window.kernel[1] * channels
        self.places = (*self.window.out, kh, self.window.kernel[1] * channels)
        self.steps = tuple(_steps(self.window, channels))
        image_bytes = prod(self.places) * dtype.itemsize
        most = max(_CHUNK_BYTES // max(image_bytes, 1), 1)
        if _nanoseconds(images, window, w_shape, dtype.itemsize, self.block) >= _LEAST_SHARED:
            most = max(min(most, images // 2), 1)  # two chunks at least, for two threads
        self.pieces = list(even(images, most))


_plan = lru_cache(maxsize=1024)(_Plan)


def _steps(window: Window, channels: int) -> Iterator[_Step]:
    """By rows of taps and then by blocks, each step of a window over blocks; none where all is padding."""
    for tap in range(window.kernel[0]):
        outputs, rows = window.tap(0, tap)
        for block in range(window.out[1]):
            first = block * window.stride[1] - window.padding[1][0]  # the pixel that the first tap sees
            start, stop = max(first, 0), min(first + window.kernel[1], window.size[1])
            if start < stop and outputs.start < outputs.stop:
                columns = slice(start * channels, stop * channels)
                run = slice((start - first) * channels, (stop - first) * channels)
                yield _Step(rows, columns, outputs, block, tap, run)
