"""Matrix products in pieces: against NumPy's, exact where the sums are, and without waking BLAS's threads."""

import time

import numpy as np
import pytest
import threadpoolctl
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import autograd as ag
from autograd.kernels import blas, products

SHAPES = st.sampled_from([
    ((5, 4), (4, 3)), ((1, 4), (4, 9)), ((9, 4), (4, 1)), ((2, 3, 4), (4, 5)), ((2, 3, 4), (2, 4, 5)),
    ((3, 4), (2, 4, 5)), ((4,), (4, 5)), ((5, 4), (4,)), ((4,), (4,)), ((0, 4), (4, 3)), ((3, 0), (0, 2)),
    ((2, 1, 3, 4), (5, 4, 2)),
])  # fmt: skip


def whole_numbers(shape, dtype, seed=0):
    """So that every sum is exact and can be compared with ==."""
    return np.random.default_rng(seed).integers(-4, 5, shape).astype(dtype)


@given(SHAPES, st.sampled_from("fdFDil"), st.integers(1, 50))
def test_it_is_the_product_however_it_is_cut(shapes, dtype, piece):
    x, y = (whole_numbers(shape, dtype, i) for i, shape in enumerate(shapes))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(products, "SMALL_PRODUCT", 0)
        patch.setattr(products, "_PIECE", piece)
        got = products.matmul(x, y)
    expected = np.matmul(x, y)
    np.testing.assert_array_equal(got, expected)
    assert np.asarray(got).dtype == expected.dtype


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(
    ("n", "k", "m"), [(64, 4096, 256), (4096, 64, 256), (1, 4096, 1024), (1, 4100, 256), (3000, 300, 7)]
)
def test_large_products_have_the_same_bits_for_any_number_of_threads(n, k, m, order):
    rng = np.random.default_rng(0)
    x, y = (np.asarray(rng.standard_normal(shape, np.float32), order=order) for shape in ((n, k), (k, m)))
    before = ag.get_num_threads()
    found = []
    for threads in (1, 2, 3):
        ag.set_num_threads(threads)
        found.append(products.matmul(x, y))
    ag.set_num_threads(before)
    assert found[0].tobytes() == found[1].tobytes() == found[2].tobytes()
    exact = x.astype(np.float64) @ y.astype(np.float64)
    assert np.abs(found[0] - exact).max() < 1e-5 * np.sqrt(k) * np.abs(exact).max()


@given(st.integers(1, 100) | st.sampled_from([0, 16, 48]), st.integers(0, 40), st.sampled_from("efdFDil"),
       st.sampled_from("CF"), st.booleans())
def test_one_row_times_much_in_narrow_rows_is_the_product(k, m, dtype, order, is_view):
    x, y = whole_numbers((1, k), dtype, 0), np.asarray(whole_numbers((k, m), dtype, 1), order=order)
    if is_view:
        x, y = x[:, ::-2], y[::-2]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"SMALL_PRODUCT": 0, "_MUCH": 0, "_NARROW": (0, 100)}.items():
            patch.setattr(products, name, value)
        got = products.matmul(x, y)
    expected = np.matmul(x, y)
    np.testing.assert_array_equal(got, expected)
    assert (got.shape, got.dtype) == (expected.shape, expected.dtype)


@pytest.mark.parametrize(("k", "m"), [(4096, 256), (8200, 128), (2100, 512)])
def test_one_row_times_much_in_narrow_rows_has_no_more_than_half_of_a_plain_sums_error(k, m):
    rng = np.random.default_rng(0)
    x, y = rng.random((1, k), np.float32), rng.random((k, m), np.float32)  # all are positive: errors add up
    exact = x.astype(np.float64) @ y.astype(np.float64)
    plain = np.zeros((1, m), np.float32)
    for i in range(k):
        plain += x[:, i] * y[i]
    ours, usual = (np.abs(each - exact).max() for each in (products.matmul(x, y), plain))
    assert 0 < ours < usual / 2


@pytest.mark.parametrize(("in_x", "in_y", "kind"), [(1e30, 1e30, "overflow"), (np.inf, 0, "invalid")])
@pytest.mark.parametrize(("k", "m"), [(4096, 256), (4100, 256), (4096, 1024)])  # by einsum, with a rest, and by BLAS
def test_one_row_times_a_matrix_says_what_numpy_says_of_numbers_that_are_too_large(in_x, in_y, kind, k, m):
    x, y = np.full((1, k), in_x, np.float32), np.full((k, m), in_y, np.float32)
    with pytest.warns(RuntimeWarning, match=f"{kind} .* in matmul") as said:
        found = products.matmul(x, y)
    assert len(said) == 1
    assert not np.isfinite(found).any()
    with np.errstate(all="raise"), pytest.raises(FloatingPointError, match=f"{kind} .* in matmul"):
        products.matmul(x, y)


def test_the_number_of_blas_threads_is_what_it_was_afterwards():
    before = threadpoolctl.threadpool_info()
    products.matmul(np.ones((600, 600)), np.ones((600, 600)))
    assert threadpoolctl.threadpool_info() == before


def seconds_at_work_after(n, k, m, transposed):
    """Of all threads in the 20 ms after a product (n, k) @ (k, m), five times; OpenBLAS's spin for some 30."""
    x = np.ones((k, n), np.float32).T if transposed else np.ones((n, k), np.float32)
    y, out = np.ones((k, m), np.float32), np.empty((n, m), np.float32)
    found = []
    for _ in range(5):
        time.sleep(0.05)  # those of the product before sleep again
        np.matmul(x, y, out=out)
        before = time.process_time()
        time.sleep(0.02)
        found.append(time.process_time() - before)
    return found


@pytest.mark.parametrize("transposed", [False, True])
def test_a_product_that_is_small_wakes_no_thread_of_blas(transposed):
    k, m = 144, 32
    n = max(n for n in range(1, 400) if blas.is_small(n * k * m, min(n, k, m), is_transposed=False))
    assert n in (blas.SMALL_PRODUCT // (k * m), blas.UNPACKED // (k * m))
    assert min(seconds_at_work_after(n, k, m, transposed)) < 0.005
    if all(found["num_threads"] > 1 for found in threadpoolctl.threadpool_info()):  # what the test would see
        assert max(seconds_at_work_after(40 * n, k, m, transposed)) > 0.005


@pytest.mark.parametrize("size", [0, 1, 8191, 8192, 8193, 50_000])
@pytest.mark.parametrize("dtype", "fdFD")
def test_one_number_that_is_not_finite_is_found_wherever_it_is(size, dtype):
    x = np.ones(size, dtype)
    assert products.is_finite(x)
    for place in {0, size // 2, size - 1} & set(range(size)):
        for value in (np.nan, np.inf, -np.inf):
            spoiled = x.copy()
            spoiled[place] = value
            assert not products.is_finite(spoiled)


@given(hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5), st.sampled_from("efdFD"), st.integers(1, 12),
       st.sampled_from([1, 1e18, 1e200]), st.data())
def test_all_is_finite_where_every_number_is_unless_the_sum_of_squares_overflows(shape, dtype, part, scale, data):
    """Sizes below, at and beyond some parts; several numbers, which may cancel, infinite or NaN."""
    largest = float(np.finfo(dtype).max)
    x = (np.random.default_rng(0).uniform(-1, 1, shape) * min(scale, largest)).astype(dtype)
    for place in data.draw(st.lists(st.integers(0, x.size - 1), max_size=3)) if x.size else []:
        x.flat[place] = data.draw(st.sampled_from([np.inf, -np.inf, np.nan]))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(products, "_DOT", part)
        found = products.is_finite(x)
    assert not found or np.isfinite(x).all()
    squares = sum(abs(v) * abs(v) for v in x.astype(complex).ravel().tolist())  # as Python's numbers, without a warning
    assert found or not squares < 0.9 * largest  # NaN and infinity are not
