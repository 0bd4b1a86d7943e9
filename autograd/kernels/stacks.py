"""Matrices cut into stacks of smaller ones, whose products BLAS takes without a copy of its arguments.

BLAS copies matrices into another order before it multiplies them ("packing": Goto and van de Geijn, "Anatomy of
High-Performance Matrix Multiplication", 2008, section 4). Where one of the matrices is small, that is a third to a half
of the work. OpenBLAS has kernels for processors with AVX-512 that take up to a million multiplications without it
(float32 and float64, the second matrix not transposed), and NumPy's product of a stack calls BLAS for one matrix after
the other, without the interpreter: 1792 rows of 144 numbers times (144, 16) took 0.67 of the time in 7 pieces. Where
BLAS packs all the same, pieces would take 1.01 to 1.08 of the time, so matrices stay whole (`blas.has_unpacked`).
"""

from functools import lru_cache
from typing import Any

import numpy as np

from .blas import UNPACKED, has_unpacked

__all__ = ["by_rows", "pieces"]

Array = np.ndarray[Any, Any]

_LEAST = 32  # rows or columns of a piece, else calls cost more than packing
_FINER = 2  # so many times more pieces than are needed may be taken, for the sake of an equal length


@lru_cache(maxsize=1024)
def pieces(length: int, each: int, least: int = 0) -> int:
    """How many pieces of equal length the rows, or columns, of a product are best cut into; 1 leaves it whole.

    each   how many multiplications one of them takes
    least  of them make a piece
    """
    longest, least = UNPACKED // max(each, 1), max(least, _LEAST)
    if length <= longest or longest < least or not has_unpacked():
        return 1
    needed = -(-length // longest)
    counts = range(needed, min(_FINER * needed, length // least) + 1)
    return next((count for count in counts if length % count == 0), 1)


def by_rows(matrix: Array, each: int) -> Array:
    """(.., n, k) -> (.., pieces, n / pieces, k), a view: a row takes `each` multiplications."""
    *stack, n, k = matrix.shape
    count = pieces(n, each)
    return matrix.reshape(*stack, count, n // count, k)  # (.., n, k) -> (.., pieces, n / pieces, k)
