"""Sums and maps of each channel: against NumPy in float64, for every number of channels and rows, and every cut."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import autograd as ag
from autograd.kernels import blocks, channels

sizes = st.tuples(st.integers(1, 70), st.sampled_from([1, 2, 3, 16, 700, 1500]))


def draws(size, n, dtype=np.float32, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(size).astype(dtype) for _ in range(n)], rng.standard_normal((4, size[1])).astype(dtype)


def close(got, exact, dtype):
    np.testing.assert_allclose(got, exact, rtol=100 * np.finfo(dtype).eps, atol=200 * np.finfo(dtype).eps)


@given(sizes, st.sampled_from([np.float32, np.float64]), st.integers(1, 64), st.sampled_from([8, 60, 8192]))
def test_all_of_them_are_what_their_formulas_say(size, dtype, block, buffer):
    (g, x), (mean, slope, bias, constant) = draws(size, 2, dtype)
    wide = [a.astype(np.float64) for a in (g, x, mean, slope, bias, constant)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(channels, "BLOCK", block)  # several blocks, also of single rows
        patch.setattr(channels, "_BUFFER", buffer)  # long rows, too
        channels.rows_at_once.cache_clear()
        channels._wide_shape.cache_clear()
        got_mean, got_var, _ = channels.moments(x)
        scaled = channels.affine(x, slope, bias)
        products = [channels.products(g, x, mean, near_zero) for near_zero in (False, True)]
        normalized = [channels.normalize(x, mean + far, slope, bias, constant, far == 0) for far in (0, 100)]
        combined = channels.combine(g, x, mean, slope, bias, constant)
        total = channels.sums(x)
        moved = x.copy()
        channels.in_each_row(np.add, x, bias, moved)
    channels.rows_at_once.cache_clear()
    channels._wide_shape.cache_clear()
    g, x, mean, slope, bias, constant = wide
    close(got_mean, x.mean(axis=0), dtype)
    close(got_var, x.var(axis=0), dtype)
    close(scaled, x * slope + bias, dtype)
    close(moved, x + bias, dtype)
    for sum_of_g, along in products:
        close(sum_of_g / len(x), g.sum(axis=0) / len(x), dtype)
        close(along / len(x), (g * (x - mean)).sum(axis=0) / len(x), dtype)
    for far, got in zip((0, 100), normalized, strict=True):
        close(got / (1 + far), ((x - mean - far) * slope * bias + constant) / (1 + far), dtype)
    close(combined, slope * g + bias * (x - mean) + constant, dtype)
    close(total / len(x), x.sum(axis=0) / len(x), dtype)


@given(st.integers(0, 40_000), st.integers(1, 20_000))
def test_rows_are_taken_together_up_to_2_kilobytes_or_from_the_length_of_a_buffer_on(count, channel_count):
    k = channels.rows_at_once(count, channel_count, 4)
    assert k == 1 or count % k == 0
    assert k == 1 or k * channel_count * 4 <= 2048 or 8192 <= k * channel_count <= 16384 + channel_count
    if count % 2 == 0 and channel_count <= 256:
        assert k > 1  # as many as can be
    if count % 2048 == 0 and count and channel_count in (16, 64, 256, 2048):
        assert k * channel_count == 8192


@given(st.integers(2, 5000), st.floats(1, 1e6), st.sampled_from([np.float16, np.float32, np.float64]))
def test_the_variance_of_a_constant_channel_is_not_negative(count, value, dtype):
    mean, var, _ = channels.moments(np.full((count, 2), min(value, 6e4) if dtype is np.float16 else value, dtype))
    assert (var >= 0).all()


@given(st.sampled_from([0.0, 1.0, 3.9, 4.1, 30.0, 1e4]), st.integers(0, 99), st.sampled_from([np.float32, np.float64]))
def test_a_large_mean_does_not_spoil_the_variance(deviations, seed, dtype):
    """Also where the mean of one channel alone is large, and where it is of just the size to go another way."""
    x = np.random.default_rng(seed).standard_normal((4096, 3))
    x[:, 1] += deviations
    x = x.astype(dtype)
    mean, var, _ = channels.moments(x)
    close(mean, x.astype(np.float64).mean(axis=0), dtype)
    close(var, x.astype(np.float64).var(axis=0), dtype)


@pytest.mark.parametrize("shape", [(262143, 3), (87381, 3), (60543, 64), (32768, 16)])
def test_many_rows_in_odd_numbers_are_added_up_exactly(shape):
    """Of two values, whose sums round in one direction for long; the mean is as large as the plain way takes."""
    x = (3.9 + np.where(np.random.default_rng(0).random(shape) < 0.5, 1, -1)).astype(np.float32)
    g = np.random.default_rng(1).standard_normal(shape).astype(np.float32)
    mean, var, _ = channels.moments(x)
    wide = x.astype(np.float64)
    np.testing.assert_allclose(mean, wide.mean(axis=0), rtol=2e-6)
    np.testing.assert_allclose(var, wide.var(axis=0), rtol=1e-4)
    scale = np.abs(g).sum(axis=0)
    for near_zero in (False, True):
        _, along = channels.products(g, x, mean, near_zero)
        assert (np.abs(along - (g * (wide - mean)).sum(axis=0)) < 1e-6 * scale).all()


@pytest.mark.parametrize("count", [1, 20, 100, 127, 128, 129])
def test_few_rows_are_added_up_in_double_precision(count):
    x = np.random.default_rng(count).standard_normal((count, 16)).astype(np.float32)
    np.testing.assert_allclose(channels.sums(x), x.astype(np.float64).sum(axis=0).astype(np.float32), rtol=2e-7)


def test_vectors_of_more_digits_than_x_keep_them():
    x, scale, shift = np.ones((4, 3), np.float32), np.ones(3, np.float32), np.full(3, 1e-12)
    np.testing.assert_array_equal(channels.affine(x, scale, shift), x.astype(np.float64) * scale + shift)


def test_the_variance_does_not_overflow_where_squares_about_the_mean_do_not():
    x = (1e20 + 1e16 * np.random.default_rng(0).standard_normal((4096, 2))).astype(np.float32)
    mean, var, _ = channels.moments(x)
    np.testing.assert_allclose(mean, 1e20, rtol=1e-5)
    np.testing.assert_allclose(var, x.astype(np.float64).var(axis=0), rtol=1e-4)


def test_float16_counts_beyond_2048():
    x = np.ones((5000, 2), np.float16)
    mean, var, _ = channels.moments(x)
    assert mean.dtype == var.dtype == np.float16
    np.testing.assert_array_equal(mean, [1, 1])
    np.testing.assert_array_equal(var, [0, 0])
    total, along = channels.products(x, x, np.zeros(2, np.float16), near_zero=True)
    assert total.dtype == along.dtype == np.float16
    np.testing.assert_array_equal([total, along], np.float16(5000))


def test_threads_change_no_bits(monkeypatch):
    monkeypatch.setattr(channels, "BLOCK", 64)
    monkeypatch.setattr(blocks, "_LEAST_SHARED", 0)
    (g, x), (mean, slope, bias, constant) = draws((1000, 16), 2)
    before = ag.get_num_threads()
    found = []
    for n in (1, 2, 3):
        ag.set_num_threads(n)
        found.append([a.tobytes() for a in (*channels.moments(x)[:2], channels.affine(x, slope, bias),
                                            *channels.products(g, x, mean, False), *channels.products(g, x, mean, True),
                                            channels.combine(g, x, mean, slope, bias, constant))])
    ag.set_num_threads(before)
    assert found[0] == found[1] == found[2]


def test_arguments_may_be_strided_and_are_not_written_to():
    (g, x), (mean, slope, bias, constant) = draws((64, 6), 2)
    x_before = x.copy()
    got = channels.combine(np.asfortranarray(g), np.asfortranarray(x), mean, slope, bias, constant)
    np.testing.assert_array_equal(got, channels.combine(g, x, mean, slope, bias, constant))
    np.testing.assert_array_equal(x, x_before)
