"""The transforms of Winograd's convolutions, F(2x2, 3x3) and F(4x4, 3x3), as matrix products.

A tile of m x m outputs sees (m + 2) x (m + 2) inputs. Transformed by constant matrices (d -> B' d B, w -> G w G'), both
need one product at each of the (m + 2)^2 places; A' p A leads back. Each transform is two matrix products, by its 1-D
matrix along one axis of the tiles and then along the other, so BLAS does all of the arithmetic.

Lavin and Gray, "Fast Algorithms for Convolutional Neural Networks", 2016. For 4x4 the interpolation points are 0,
+-sqrt(1/2), +-sqrt(2) and infinity: the matrices are dense here anyway, so points need not be nice numbers, and these
have a quarter of the error of the usual 0, +-1, +-2 (2.0e-6 against 8.7e-6 of the largest output at 128 channels; the
choice is of Alam, Anderson, Barabasz and Gregg, "Winograd Convolution for Deep Neural Networks: Efficient Point
Selection", 2022).
"""

from collections.abc import Iterator
from functools import cache, lru_cache
from typing import Any, NamedTuple

import numpy as np

from .blas import SMALL_PRODUCT
from .chunks import even
from .kept import Kept
from .threads import share

__all__ = [
    "MOST_KEPT", "PAIRS", "Matrices", "Product", "kept_weights", "matrices", "products", "run", "transform",
    "transformed_weights",
]

Array = np.ndarray[Any, Any]
Product = tuple[Array, Array, Array]  # a and b, whose product is written into the third

# pairs of channels and outputs that are transformed at a time: 0.2 ms, some handovers long. They are 18 multiplications
# each in a product at the most, so that BLAS makes it in one thread without being limited
PAIRS = SMALL_PRODUCT // 32
MOST_KEPT = 1 << 17  # pairs of weights that are worth keeping: more would take too much of the memory for what is kept

_POINTS = {2: (0.0, 1.0, -1.0), 4: (0.0, 0.5**0.5, -(0.5**0.5), 2**0.5, -(2**0.5))}  # by m; and infinity


class Matrices(NamedTuple):
    """The three 1-D transforms, in float32; s is m + 2."""

    tiles: Array  # (s, s), B': s inputs to s places
    weights: Array  # (s, 3), G: 3 weights to s places
    back: Array  # (m, s), A': s places to m outputs


@cache
def matrices(m: int) -> Matrices:
    """Those for tiles of m x m outputs, 2 or 4: by Toom and Cook's interpolation, in float64 and then rounded once.

    With the points p of a polynomial product of m + 3 - 1 = s values, f_i = prod(p_i - p_l over l != i):
    A'[k, i] = p_i^k, G[i, j] = p_i^j / f_i, B'[i] = the coefficients of prod(x - p_l over l != i), and a last row
    each for the point at infinity.

    >>> matrices(2).back
    array([[ 1.,  1.,  1.,  0.],
           [ 0.,  1., -1.,  1.]], dtype=float32)
    """
    points = np.array(_POINTS[m])
    others = [np.delete(points, i) for i in range(len(points))]
    factors = np.array([np.prod(p - rest) for p, rest in zip(points, others, strict=True)])
    a = np.vstack([np.vander(points, m, increasing=True), np.eye(m)[-1]])  # (s, m)
    # factors (s - 1,) -> (s - 1, 1), beside (s - 1, 3); with the row for infinity (s, 3)
    g = np.vstack([np.vander(points, 3, increasing=True) / factors[:, None], [0, 0, 1]])
    b = np.vstack([*(np.append(np.poly(rest)[::-1], 0) for rest in others), np.poly(points)[::-1]])  # (s, s)
    return Matrices(*(np.ascontiguousarray(each, np.float32) for each in (b, g, a.T)))  # a (s, m) -> (m, s)


def transform(matrix: Array, x: Array, out: Array) -> None:
    """M t M' for each tile t, along both axes of tiles: a matrix M (k, n), x (n, n, N) -> out (k, k, N).

    The first product is along the first axis, N columns of n numbers for each place of the second, and so in turn. One
    product with the Kronecker square, (k * k, n * n), has two to three times the arithmetic, and took 1.3 to 1.8 times
    as long with AVX-512, up to 1.3 times with AVX2.

    >>> out = np.empty((1, 1, 2))
    >>> transform(np.ones((1, 3)), np.ones((3, 3, 2)), out)
    >>> out
    array([[[9., 9.]]])
    """
    k, n = matrix.shape
    run(products(matrix, x, np.empty(k * n * x.shape[2], out.dtype), out))


def products(matrix: Array, x: Array, unused: Array, out: Array) -> tuple[Product, Product]:
    """The two products of `transform`, whose views are made once where they are made again and again.

    What is between them lies in `unused`, any memory of k * n * N numbers at least. Best is some that is in the cache.
    """
    (k, n), width = matrix.shape, x.shape[2]
    between = unused.reshape(-1)[: k * n * width].reshape(k, n, width)  # (..) -> (k * n * N,) -> (k, n, N)
    # (k, n) @ (second n, n, N) -> (second n, k, N), (k, n) @ (first k, n, N) -> (first k, k, N)
    return (matrix, x.swapaxes(0, 1), between.swapaxes(0, 1)), (matrix, between, out)


def run(pair: tuple[Product, Product]) -> None:
    """Makes both products, one after the other."""
    for a, b, out in pair:
        np.matmul(a, b, out)


def transformed_weights(w: Array, m: int, parts: int = 1) -> Array:
    """w (3, 3, C, O) -> (parts, s * s, C, o), the O outputs in parts of o that lie side by side."""
    _, _, channels, outputs = w.shape
    s, each = m + 2, outputs // parts
    out = np.empty((parts, s, s, channels * each), np.float32)

    def work(pieces: Iterator[_Piece]) -> None:
        for piece in pieces:
            # (3, 3, some channels, o) -> (3, 3, some * o), a copy where there are several parts
            some = w[:, :, piece.channels, piece.outputs].reshape(3, 3, piece.width)
            transform(matrices(m).weights, some, out[piece.part, ..., piece.pairs])

    share(work, _pieces(parts, channels, each), blas=each > PAIRS)
    return out.reshape(parts, s * s, channels, each)  # (parts, s, s, C*o) -> (parts, s * s, C, o)


class _Piece(NamedTuple):
    """What is transformed at a time."""

    part: int
    channels: slice
    outputs: slice
    pairs: slice  # of the part
    width: int  # how many pairs


@lru_cache(maxsize=1024)
def _pieces(parts: int, channels: int, each: int) -> list[_Piece]:
    return [
        _Piece(i, some, slice(i * each, (i + 1) * each), slice(some.start * each, some.stop * each),
               (some.stop - some.start) * each)
        for i in range(parts) for some in even(channels, max(PAIRS // max(each, 1), 1))
    ]


kept_weights = Kept(transformed_weights, most_bytes=1 << 26)  # in the whole process
