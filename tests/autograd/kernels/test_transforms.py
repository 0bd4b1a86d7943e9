"""The transforms of Winograd's convolutions against their definition, and what they are for."""

import numpy as np
import pytest

from autograd.kernels import blas, transforms
from autograd.kernels.transforms import matrices, transform, transformed_weights


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


@pytest.mark.parametrize(("m", "channels", "outputs", "parts"), [(2, 3, 8, 4), (4, 300, 64, 1), (2, 200, 96, 2)])
def test_weights_are_transformed_part_by_part(m, channels, outputs, parts):
    w = np.random.default_rng(0).standard_normal((3, 3, channels, outputs), np.float32)
    g = matrices(m).weights.astype(np.float64)
    expected = np.einsum("ka,lb,abco->klco", g, g, w)  # (s, s, C, O)
    found = transformed_weights(w, m, parts)
    each = outputs // parts
    assert found.shape == (parts, (m + 2) ** 2, channels, each)
    for i, part in enumerate(found):
        own = expected[..., i * each : (i + 1) * each].reshape(part.shape)
        np.testing.assert_allclose(part, own, atol=1e-5)


@pytest.mark.parametrize(("outputs", "is_limited"), [(64, False), (1 << 14, True)])
def test_blas_is_limited_while_products_may_wake_its_threads(outputs, is_limited, monkeypatch):
    if not blas._blas.can_be_limited():
        pytest.skip("BLAS cannot be limited here")
    found = []
    monkeypatch.setattr(transforms, "transform", lambda *_: found.append(bool(blas._blas._entered)))
    transformed_weights(np.ones((3, 3, 2, outputs), np.float32), 4)
    assert set(found) == {is_limited}
