"""Stacks of small matrices: how they are cut, what their products are, and where BLAS has kernels for them."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autograd.kernels import blas, stacks


# of a module, so that Hypothesis may use it: no test changes it
@pytest.fixture(autouse=True, scope="module", params=[True, False], ids=["unpacked", "packed"])
def unpacked(request):
    """With kernels that need no packing and without, whatever this machine has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stacks, "has_unpacked", lambda: request.param)
        stacks.pieces.cache_clear()
        yield request.param
    stacks.pieces.cache_clear()


@given(length=st.integers(0, 5000), each=st.integers(0, 100_000))
def test_pieces_are_equal_and_none_is_too_long_or_too_short(length, each, unpacked):
    count = stacks.pieces(length, each)
    assert count * (length // count) == length
    if count > 1:
        assert unpacked
        assert length // count >= 32
        assert length // count * each <= 1_000_000


@pytest.mark.parametrize(
    ("length", "each", "expected"),
    [
        pytest.param(1792, 144 * 16, 7, id="256 rows each"),
        pytest.param(434, 144 * 16, 1, id="one piece is short enough"),
        pytest.param(4096, 36 * 36, 8, id="a power of 2"),
        pytest.param(1009, 144 * 16, 1, id="a prime number of rows"),
        pytest.param(41 * 41, 144 * 16, 1, id="41 pieces where 4 would do"),
        pytest.param(512, 576 * 128, 1, id="13 rows would be too short"),
    ],
)
def test_there_are_as_few_pieces_as_can_be(length, each, expected, unpacked):
    assert stacks.pieces(length, each) == (expected if unpacked else 1)


def test_products_of_stacks_are_those_of_the_whole():
    rng = np.random.default_rng(0)
    x, y = rng.integers(-9, 9, (2, 600, 50)).astype(float), rng.integers(-9, 9, (50, 40)).astype(float)
    product = np.empty((2, 600, 40))
    np.matmul(stacks.by_rows(x, y.size), y, out=stacks.by_rows(product, y.size))
    np.testing.assert_array_equal(product, np.einsum("bnk,km->bnm", x, y))


def test_pieces_with_a_least_length_are_not_shorter(unpacked):
    assert stacks.pieces(1024, 144 * 16, least=256) == (4 if unpacked else 1)
    assert stacks.pieces(1024, 144 * 16, least=257) == 1


@pytest.mark.parametrize(
    ("libraries", "expected"),
    [
        ([("openblas", "SkylakeX")], True),
        ([("openblas", "Cooperlake"), ("openblas", "SapphireRapids")], True),
        ([("openblas", "Haswell")], False),
        ([("openblas", "SkylakeX"), ("openblas", "Zen")], False),
        ([("mkl", None), ("openblas", "SkylakeX")], False),
        ([("mkl", None)], False),
        ([], False),
    ],
)
def test_openblas_alone_has_unpacked_kernels_on_processors_with_avx512(libraries, expected, monkeypatch):
    look_at(libraries, limits=[None] * len(libraries), monkeypatch=monkeypatch)
    assert blas.has_unpacked() is expected


def test_a_blas_whose_threads_cannot_be_limited_gets_whole_matrices(monkeypatch):
    """It shares a large product out to its threads, but not a small one."""
    look_at([("openblas", "SkylakeX")], limits=[], monkeypatch=monkeypatch)
    assert not blas.has_unpacked()


@pytest.mark.parametrize(("count", "thinnest", "is_transposed", "expected"), [
    (blas.SMALL_PRODUCT, 1, True, True), (blas.SMALL_PRODUCT + 1, 2, True, False), (blas.UNPACKED, 2, False, True),
    (blas.UNPACKED + 1, 2, False, False), (blas.SMALL_PRODUCT + 1, 1, False, False),
])  # fmt: skip
def test_a_product_is_small_where_blas_takes_one_thread(count, thinnest, is_transposed, expected, monkeypatch):
    monkeypatch.setattr(blas, "has_unpacked", lambda: True)
    assert blas.is_small(count, thinnest, is_transposed) == expected
    monkeypatch.setattr(blas, "has_unpacked", lambda: False)
    assert blas.is_small(count, thinnest, is_transposed) == (count <= blas.SMALL_PRODUCT)


def look_at(libraries, limits, monkeypatch):
    """As if NumPy and others had loaded these, each an API and a name for the processor."""
    found = [SimpleNamespace(internal_api=api, architecture=name) for api, name in libraries]
    monkeypatch.setattr(blas, "_blas_libraries", lambda: found)
    monkeypatch.setattr(blas, "_limits", lambda libraries: limits)
    monkeypatch.setattr(blas, "_blas", blas._Blas())
