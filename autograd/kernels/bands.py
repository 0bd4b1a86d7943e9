"""Outputs that lie side by side in a row taken as the channels of one: the same convolution, with few channels faster.

With few channels the columns of im2col have short runs, slow to copy, and the products few outputs, slow in BLAS. The
convolution of a block of outputs has a wider kernel, whose weights are a band: its zeros are multiplied in vain, and
still 1 -> 16 channels took half of the time, 1 -> 6 by 5x5 a third (measured here). The band is a part of the Toeplitz
matrix by which a convolution is a product: Gray, "Toeplitz and Circulant Matrices", 2006.

Arrays are NHWC, weights (KH, KW, C, O).
"""

from math import prod
from typing import Any

import numpy as np

from .window import Window

__all__ = ["banded", "block_of", "from_band", "in_blocks", "nanoseconds_of_pixel"]

Array = np.ndarray[Any, Any]


def block_of(images: int, window: Window, w_shape: tuple[int, ...], groups: int) -> int:
    """How many outputs of a row are best taken as one: what costs least by figures measured on one core.

    To the outputs' time that of the band comes, which matters to a single image: 3 us and 1 ns a number.
    """
    if groups > 1 or window.dilation[1] > 1 or window.kernel == (1, 1):
        return 1
    width = window.out[1]
    pixels = images * prod(window.out)

    def cost(block: int) -> float:
        taps = window.kernel[0] * _columns_of(window, block)
        band = 3000 + taps * w_shape[2] * block * w_shape[3] if block > 1 else 0
        return pixels * nanoseconds_of_pixel(window, w_shape, block) + band

    blocks = (block for block in range(1, width + 1) if width % block == 0)
    return min(blocks, key=cost, default=1)


def _columns_of(window: Window, block: int) -> int:
    """How many columns of the input `block` outputs of a row see."""
    return (block - 1) * window.stride[1] + window.kernel[1]


def nanoseconds_of_pixel(window: Window, w_shape: tuple[int, ...], block: int = 1, copied: bool = True) -> float:
    """About what an output pixel takes on one core, in blocks, by the figures of one machine (Zen 3, AVX2).

    copied  whether columns are made, or are there already

    A column of n numbers takes 0.4 n to write and read again, each of its KH runs 2, and BLAS n / 40 + 0.25 for each of
    its outputs, which it works on by 16. For 1 -> 16 channels and 3x3 on 28x28 pixels that gives 17, 14, 15 and 17 for
    blocks of 1, 2, 4 and 7, where 23, 13, 16 and 16 were measured.
    """
    kh = window.kernel[0]
    _, _, channels, outputs = w_shape
    column = kh * _columns_of(window, block) * channels
    worked_on = -(-block * outputs // 16) * 16
    copies = 0.4 * column + 2 * kh if copied else 0
    return (copies + column * worked_on / 40 + 0.25 * worked_on) / block


def in_blocks(window: Window, block: int) -> Window:
    """The window of the same convolution with `block` outputs of a row as the channels of one output.

    It is wider and takes larger steps; the weights that go with it are a band (`banded`), whose zeros BLAS
    multiplies in vain: few channels cost less so than many short columns.
    """
    sh, sw = window.stride
    kernel, stride = (window.kernel[0], _columns_of(window, block)), (sh, block * sw)
    return window._replace(kernel=kernel, stride=stride, out=(window.out[0], window.out[1] // block))


def banded(w: Array, window: Window, block: int, spare: int = 0) -> Array:
    """w (KH, KW, C, O) as a matrix (KH * ((block - 1) * SW + KW) * C, block * O): moved on by SW for each output.

    window  the wider one, of `in_blocks`
    spare   so many rows of zeros come behind; without any the matrix may be w's own memory
    """
    kh, kw, channels, outputs = w.shape
    numbers = kh * window.kernel[1] * channels
    if block == 1 and not spare:
        return w.reshape(numbers, outputs)  # (KH, KW, C, O) -> (KH*KW*C, O)
    band = np.zeros((numbers + spare, block * outputs), w.dtype)
    if block == 1:  # as they lie, in 0.7 of the time of the diagonals below
        band[:numbers] = w.reshape(numbers, outputs)  # (KH, KW, C, O) -> (KH*KW*C, O)
        return band
    row, o = band.strides
    tap = channels * row
    step = tap * window.stride[1] // block + outputs * o  # from one output of the block to the next, along the taps
    strides = (step, window.kernel[1] * tap, tap, row, o)
    np.ndarray((block, *w.shape), w.dtype, band, 0, strides)[...] = w  # diagonals of the band
    return band


def from_band(band: Array, window: Window, block: int) -> Array:
    """The transpose of `banded`, of the matrix as (KH, (block - 1) * SW + KW, C, block * O): -> (KH, KW, C, O)."""
    if block == 1:
        return band
    kw = window.kernel[1]
    *taps, outputs = band.shape
    by_output = band.reshape(*taps, block, outputs // block)  # (KH, .., C, block*O) -> (KH, .., C, block, O)
    firsts = [i * window.stride[1] for i in range(block)]
    parts = [by_output[:, first : first + kw, :, i] for i, first in enumerate(firsts)]
    return np.add.reduce(parts, dtype=band.dtype)
