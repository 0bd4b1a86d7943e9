"""The transforms of Winograd's convolutions against their definition, and what they are for."""

import numpy as np
import pytest

from autograd.kernels.transforms import matrices, transform


def test_a_transform_is_the_matrix_along_both_axes():
    """M t M' for each tile, also in the place of the tiles, and where columns are a part of more of them."""
    rng = np.random.default_rng(0)
    matrix, tiles = rng.integers(-3, 4, (4, 6)), rng.integers(-9, 10, (6, 6, 300))
    square = rng.integers(-3, 4, (6, 6)).astype(np.float32)
    whole = tiles.astype(np.float32)
    out = np.empty((4, 4, 400), np.float32)
    transform(matrix.astype(np.float32), whole[..., 50:250], out[..., :200])
    np.testing.assert_array_equal(out[..., :200], np.einsum("ka,lb,abn->kln", matrix, matrix, tiles[..., 50:250]))
    transform(square, whole, whole)
    np.testing.assert_array_equal(whole, np.einsum("ka,lb,abn->kln", square, square, tiles))


@pytest.mark.parametrize("m", [2, 4])
def test_products_of_transformed_tiles_and_weights_lead_back_to_the_convolution(m):
    """A' ((G w G') * (B' d B)) A for each of some tiles is the sum over the nine taps."""
    rng = np.random.default_rng(m)
    tiles, w = rng.integers(-9, 10, (m + 2, m + 2, 50)), rng.integers(-9, 10, (3, 3, 1))
    of_tiles, of_weights, back = matrices(m)
    d, g = np.empty((m + 2, m + 2, 50), np.float32), np.empty((m + 2, m + 2, 1), np.float32)
    out = np.empty((m, m, 50), np.float32)
    transform(of_tiles, tiles.astype(np.float32), d)
    transform(of_weights, w.astype(np.float32), g)
    transform(back, d * g, out)
    expected = sum(w[kh, kw] * tiles[kh : kh + m, kw : kw + m] for kh, kw in np.ndindex(3, 3))
    np.testing.assert_allclose(out, expected, atol=5e-6 * np.abs(expected).max())


def test_tiles_of_2x2_are_transformed_without_a_rounding():
    for matrix in matrices(2):
        np.testing.assert_array_equal(matrix * 2, np.round(matrix * 2))  # 0, 1/2, 1 and their negatives
