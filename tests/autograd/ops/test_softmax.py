"""Softmax and its logarithm: every axis, large logits, masked logits."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import special

import autograd as ag
from autograd.kernels import blocks, rows
from autograd.kernels import softmax as kernel
from autograd.ops.softmax import softmax_cross_entropy, softmax_cross_entropy_grad
from tests.autograd.ops import naive

BOTH = pytest.mark.parametrize(("op", "reference"), [(ag.softmax, special.softmax),
                                                     (ag.log_softmax, special.log_softmax)],
                               ids=["softmax", "log_softmax"])


def leaf(value: Any) -> ag.Tensor:
    return ag.Tensor(np.asarray(value, np.float64), requires_grad=True)


@BOTH
@given(data=st.data())
@settings(max_examples=15)
def test_any_shape_and_axis(op, reference, data):
    shape = data.draw(hnp.array_shapes(max_dims=3, max_side=4))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    x = np.random.default_rng(0).standard_normal(shape)
    np.testing.assert_allclose(op(x, axis), reference(x, axis), rtol=1e-12, atol=1e-14)
    report = ag.gradcheck(lambda t: op(t, axis), x, order=1)
    assert report, report


@BOTH
def test_the_last_axis_is_meant_if_none_is_given(op, reference):
    x = np.random.default_rng(0).standard_normal((3, 4))
    np.testing.assert_allclose(op(x), reference(x, 1))


@BOTH
@pytest.mark.parametrize("shift", [1e4, -1e4])
def test_large_logits_give_what_their_differences_give(op, reference, shift):
    x, near = leaf(np.array([1.0, 3.0, 2.0]) + shift), leaf([1.0, 3.0, 2.0])
    weights = np.array([1.0, -2.0, 0.5])
    np.testing.assert_allclose(op(x).data, reference(near.data), rtol=1e-11)
    (g,), (expected,) = (ag.gradients((op(t) * weights).sum(), [t]) for t in (x, near))
    np.testing.assert_allclose(g.data, expected.data, rtol=1e-11)


def test_probabilities_far_apart_keep_their_logarithm():
    x = leaf([0.0, 1e4])
    assert ag.softmax(x).data.tolist() == [0, 1]
    assert ag.log_softmax(x).data.tolist() == [-1e4, 0]
    (g,) = ag.gradients(ag.log_softmax(x)[0], [x])
    assert g.data.tolist() == [1, -1]


def test_a_logit_of_minus_infinity_has_probability_0_and_gradient_0():
    x = leaf([[1.0, -np.inf, 2.0]])
    expected = special.softmax([1.0, 2.0])
    out = ag.softmax(x)
    np.testing.assert_allclose(out.data, [[expected[0], 0, expected[1]]])
    (g,) = ag.gradients(out[0, 0], [x])
    slope = expected[0] * expected[1]
    np.testing.assert_allclose(g.data, [[slope, 0, -slope]])
    log = ag.log_softmax(x)
    np.testing.assert_allclose(log.data[0, [0, 2]], np.log(expected))
    (g,) = ag.gradients(log[0, 0], [x])
    np.testing.assert_allclose(g.data, [[expected[1], 0, -expected[1]]])


@BOTH
def test_integers_count_as_float64(op, reference):
    out = op(np.array([[1, 2, 3]]))
    assert out.dtype == np.float64
    np.testing.assert_allclose(out, reference(np.array([[1.0, 2, 3]]), 1))


@BOTH
def test_complex_logits_are_refused(op, reference):
    with pytest.raises(TypeError, match=f"{op.name}: it is defined for real numbers only, but an argument is complex"):
        op(np.array([1j, 2]))


@BOTH
def test_rows_that_are_not_there(op, reference):
    x = leaf(np.zeros((0, 3)))
    out = op(x)
    assert out.shape == (0, 3)
    (g,) = ag.gradients(out.sum(), [x])
    assert g.shape == (0, 3)


@BOTH
def test_errors_name_the_op_and_the_shape(op, reference):
    with pytest.raises(ValueError, match=rf"{op.name}: axis 2 is out of bounds .*x \(2, 3\) float64, axis=2"):
        op(leaf(np.ones((2, 3))), 2)
    with pytest.raises(ValueError, match=rf"{op.name}: .*x \(2, 0\) float64"):
        op(leaf(np.ones((2, 0))))


# ---------------------------------------------------------------------- cross entropy, and many rows


@contextmanager
def cut(block: int, short: int, shared: bool) -> Iterator[None]:
    """Blocks of a few numbers, and rows that count as long from a few numbers on."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(rows, "BLOCK", block)
        patch.setattr(kernel, "_SHORT", short)
        patch.setattr(blocks, "_LEAST_SHARED", 0 if shared else 1 << 21)
        yield


LOGITS = hnp.arrays(st.sampled_from([np.float32, np.float64]), hnp.array_shapes(max_dims=3, max_side=7),
                    elements=st.floats(-8, 8, width=32))
CUTS = st.builds(cut, st.integers(1, 40), st.integers(1, 8), st.booleans())


def close(got: Any, expected: np.ndarray, dtype: Any) -> None:
    assert got.dtype == dtype
    assert got.shape == expected.shape
    np.testing.assert_allclose(got, expected, rtol=0, atol=100 * np.finfo(dtype).eps)


@given(LOGITS, CUTS)
def test_softmax_and_its_logarithm_are_those_of_loops_however_rows_are_cut(x, cuts):
    with cuts:
        found, log = ag.softmax(x), ag.log_softmax(x)
    expected = naive.scanned(naive.softmax, -1)(x)
    close(found, expected, x.dtype)
    close(log, naive.each(math.log)(expected), x.dtype)


@given(LOGITS, CUTS, st.sampled_from([0.0, 0.2, 1.0]), st.data())
def test_the_cross_entropy_and_its_gradient_are_those_of_loops_however_rows_are_cut(x, cuts, smoothing, data):
    lead = x.shape[:-1]
    labels = data.draw(hnp.arrays(np.int64, lead, elements=st.integers(0, x.shape[-1] - 1)))
    g = data.draw(hnp.arrays(x.dtype, lead, elements=st.floats(-2, 2, width=32)))
    logits = ag.Tensor(x, requires_grad=True)
    with cuts:
        alone = softmax_cross_entropy(x, labels, smoothing, "none")
        loss = softmax_cross_entropy(logits, labels, smoothing, "none")  # which keeps what its gradient needs
        (grad,) = ag.gradients((loss * g).sum(), [logits])
    expected = naive.softmax_cross_entropy(x, labels, smoothing, list)
    close(alone, expected, x.dtype)
    close(loss.data, expected, x.dtype)
    close(grad.data, naive.softmax_cross_entropy_grad(g, x, labels, smoothing, count=1), x.dtype)



def logits_and_labels(rows: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(0, 3, (rows, classes)).astype(np.float32), rng.integers(classes, size=rows)


MANY = pytest.mark.parametrize("shape", [(60_000, 10), (700, 1000), (3, 200_000)], ids=str)  # several blocks of rows


@MANY
@BOTH
def test_many_rows(op, reference, shape):
    x, _ = logits_and_labels(*shape)
    rounding = 1e-6 if op is ag.log_softmax else 0  # logarithms near 0 are differences of larger numbers
    np.testing.assert_allclose(op(x), reference(x.astype(float), 1), rtol=2e-5, atol=rounding)


@MANY
def test_the_cross_entropy_of_many_rows_and_its_gradient(shape):
    x, labels = logits_and_labels(*shape)
    logits = ag.Tensor(x, requires_grad=True)
    loss = softmax_cross_entropy(logits, labels, 0.2, "none")
    q = 0.2 / shape[1] + 0.8 * (np.arange(shape[1]) == labels[:, None])
    np.testing.assert_allclose(loss.data, -np.sum(q * special.log_softmax(x.astype(float), 1), axis=1), rtol=1e-4)
    loss.sum().backward()
    np.testing.assert_allclose(logits.grad.data, special.softmax(x.astype(float), 1) - q, atol=1e-6)


@MANY
def test_the_bits_do_not_depend_on_the_number_of_threads(shape):
    x, labels = logits_and_labels(*shape)
    before, found = ag.get_num_threads(), []
    for n in (1, 3):
        ag.set_num_threads(n)
        logits = ag.Tensor(x, requires_grad=True)
        loss = softmax_cross_entropy(logits, labels)
        loss.backward()
        found.append([a.tobytes() for a in (ag.softmax(x), ag.log_softmax(x), loss.data, logits.grad.data)])
    ag.set_num_threads(before)
    assert found[0] == found[1]


def test_what_the_forward_keeps_gives_the_gradient_that_is_computed_without_it():
    x, labels = logits_and_labels(4, 5)
    logits = ag.Tensor(x, requires_grad=True)
    softmax_cross_entropy(logits, labels).backward()
    alone = softmax_cross_entropy_grad(np.float32(1), x, labels)
    assert np.array_equal(logits.grad.data, alone)


def test_a_class_that_is_not_there_is_refused():
    with pytest.raises(IndexError, match=r"softmax_cross_entropy: index 3 is out of bounds .*logits \(2, 3\) float64"):
        softmax_cross_entropy(np.zeros((2, 3)), np.array([0, 3]))


def test_the_mean_of_many_float16_losses_counts_them_all():
    logits = np.zeros((70_000, 4), np.float16)
    assert softmax_cross_entropy(logits, np.zeros(70_000, int)) == pytest.approx(np.log(4), rel=1e-3)
