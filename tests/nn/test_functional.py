"""Losses: against loops in Python's math and SciPy, at extreme logits, and with targets that do not fit."""

import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

import autograd as ag
from nn.functional import (
    binary_cross_entropy_with_logits,
    cross_entropy,
    dropout,
    elu,
    gelu,
    huber_loss,
    l1_loss,
    leaky_relu,
    mse_loss,
    nll_loss,
    silu,
)

_RNG = np.random.default_rng(0)
_LOGITS = _RNG.normal(0, 2, (4, 3))
_LABELS = np.array([2, 0, 1, 0])
_PROBABILITIES = np.array([[0.2, 0.3, 0.5], [1, 0, 0], [0, 0, 1], [0.25, 0.5, 0.25]])


def _log_probability(logits, c):
    """log(softmax(logits)[c]) of a short list."""
    return logits[c] - math.log(math.fsum(math.exp(v) for v in logits))


# ---------------------------------------------------------------------- cross entropy


@given(n=st.integers(1, 4), classes=st.integers(1, 5), smoothing=st.sampled_from([0.0, 0.1, 1.0]),
       seed=st.integers(0, 99))
def test_cross_entropy_with_class_indices(n, classes, smoothing, seed):
    rng = np.random.default_rng(seed)
    logits, labels = rng.normal(0, 3, (n, classes)), rng.integers(classes, size=n)
    expected = []
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        q = [smoothing / classes + (1 - smoothing) * (c == label) for c in range(classes)]
        expected.append(-math.fsum(q[c] * _log_probability(row, c) for c in range(classes)))
    each = cross_entropy(logits, labels, smoothing, reduction="none")
    assert each.shape == (n,)
    assert each.data == pytest.approx(expected, abs=1e-12)
    assert cross_entropy(logits, labels, smoothing, "sum").item() == pytest.approx(math.fsum(expected), abs=1e-12)
    assert cross_entropy(logits, labels, smoothing).item() == pytest.approx(math.fsum(expected) / n, abs=1e-12)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_cross_entropy_with_probabilities(smoothing):
    q = (1 - smoothing) * _PROBABILITIES + smoothing / 3
    expected = -(q * special.log_softmax(_LOGITS, axis=1)).sum() / 4
    assert cross_entropy(_LOGITS, _PROBABILITIES, smoothing).item() == pytest.approx(expected)


def test_one_hot_probabilities_are_class_indices():
    one_hot = np.eye(3)[_LABELS]
    assert cross_entropy(_LOGITS, one_hot, 0.1).item() == pytest.approx(cross_entropy(_LOGITS, _LABELS, 0.1).item())


@pytest.mark.parametrize("dtype", ["u1", "i4", "i8"])
def test_labels_may_be_of_any_integer_type_also_tensors_and_lists(dtype):
    expected = cross_entropy(_LOGITS, _LABELS).item()
    assert cross_entropy(_LOGITS, _LABELS.astype(dtype)).item() == expected
    assert cross_entropy(_LOGITS, ag.Tensor(_LABELS)).item() == expected
    assert cross_entropy(_LOGITS, _LABELS.tolist()).item() == expected


def test_a_class_for_every_pixel():
    logits, labels = _RNG.normal(size=(2, 3, 4, 5)), _RNG.integers(5, size=(2, 3, 4))
    each = cross_entropy(logits, labels, reduction="none")
    assert each.shape == (2, 3, 4)
    for at in np.ndindex(2, 3, 4):
        assert each.data[at] == pytest.approx(-_log_probability(logits[at].tolist(), labels[at]))


def test_the_gradient_of_cross_entropy_is_softmax_minus_target():
    logits = ag.Tensor(_LOGITS, requires_grad=True)
    cross_entropy(logits, _LABELS).backward()
    assert logits.grad.data == pytest.approx((special.softmax(_LOGITS, axis=1) - np.eye(3)[_LABELS]) / 4)


@pytest.mark.parametrize("target", [_LABELS, _PROBABILITIES], ids=["indices", "probabilities"])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_cross_entropy_gradients_to_second_order(target, smoothing, reduction):
    report = ag.gradcheck(lambda x: cross_entropy(x, target, smoothing, reduction), _LOGITS, order=2)
    assert report, str(report)


def test_a_target_that_requires_a_gradient_gets_one():
    # as in distillation: the gradient by q is -log softmax(logits) / N
    q = ag.Tensor(_PROBABILITIES, requires_grad=True)
    cross_entropy(_LOGITS, q).backward()
    assert q.grad.data == pytest.approx(-special.log_softmax(_LOGITS, axis=1) / 4)


@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_extreme_logits_are_exact_and_finite_at_orders_0_to_2(dtype):
    logits = ag.Tensor(np.array([[1e4, -1e4, 0], [-1e4, 1e4, 0]], dtype), requires_grad=True)
    loss = cross_entropy(logits, np.array([0, 0]), reduction="none")
    assert loss.data.tolist() == [0, 2e4]
    assert loss.dtype == dtype
    (first,) = ag.gradients(loss.sum(), [logits], create_graph=True)
    assert first.data.tolist() == [[0, 0, 0], [-1, 1, 0]]
    (second,) = ag.gradients((first * np.arange(3)).sum(), [logits])
    assert second.data.tolist() == [[0, 0, 0], [0, 0, 0]]


def test_a_class_ruled_out_by_minus_infinity_does_no_harm():
    logits = ag.Tensor(np.array([[0.0, 0.0, -np.inf]]), requires_grad=True)
    for target in (np.array([1]), np.array([[0.0, 1.0, 0.0]])):
        loss = cross_entropy(logits, target)
        assert loss.item() == pytest.approx(math.log(2))
        (gradient,) = ag.gradients(loss, [logits])
        assert gradient.data == pytest.approx(np.array([[0.5, -0.5, 0]]))


def test_float32_logits_give_a_float32_loss():
    for target in (_LABELS, _PROBABILITIES.astype(np.float32)):
        assert cross_entropy(_LOGITS.astype(np.float32), target, 0.1).dtype == np.float32


@pytest.mark.parametrize(("target", "error", "text"), [
    ([0, 1, 3, 0], ValueError, "target[2] is 3, but there are 3 classes, 0 to 2 (logits (4, 3), target (4,) int64)"),
    ([0, 1, -1, 7], ValueError, "target[2] is -1, but there are 3 classes, 0 to 2"),
    ([0.0, 1.0, 2.0, 0.0], TypeError, "class indices must be whole numbers (logits (4, 3), target (4,) float32); use "
                                      "target.astype(np.int64)"),
    ([True] * 4, TypeError, "class indices must be whole numbers (logits (4, 3), target (4,) bool)"),
    ([[0], [1], [2], [0]], ValueError, "target must be class indices of shape (4,) or probabilities of shape (4, 3) "
                                       "(logits (4, 3), target (4, 1) int64); drop its last axis with target[..., 0]"),
    ([0, 1], ValueError, "target must be class indices of shape (4,) or probabilities of shape (4, 3)"),
    (np.eye(4), ValueError, "target must be class indices of shape (4,) or probabilities of shape (4, 3)"),
    (np.eye(3, dtype=int)[_LABELS], TypeError, "target must be class indices of shape (4,), not one-hot whole numbers "
                                               "(logits (4, 3), target (4, 3) int64); use target.argmax(-1)"),
    (2 * _PROBABILITIES, ValueError, "the sum of target[0] is 2.0; a target of the logits' shape must hold the "
                                     "probabilities of the classes, which sum to 1"),
    (np.full((4, 3), np.nan), ValueError, "the sum of target[0] is nan"),
    (_PROBABILITIES[[1, 1, 1, 1]] - [-0.5, 0.5, 0.0], ValueError, "target[0, 1] is -0.5"),
])
def test_targets_that_do_not_fit_are_refused(target, error, text):
    with pytest.raises(error, match=re.escape(f"cross_entropy: {text}")):
        cross_entropy(_LOGITS, target)


@pytest.mark.parametrize("dtype", ["i1", "i2", "i4", "i8", ">i8", "u1", "u8"])
def test_labels_out_of_range_are_found_in_every_integer_type(dtype):
    for outside in (-1, 3, 100) if "i" in dtype else (3, 100):
        with pytest.raises(ValueError, match=re.escape(f"target[1] is {outside}, but there are 3 classes, 0 to 2")):
            cross_entropy(_LOGITS, np.array([0, outside, 2, 1], dtype))
    assert cross_entropy(_LOGITS, _LABELS.astype(dtype)).item() == cross_entropy(_LOGITS, _LABELS).item()


def test_cross_entropy_with_class_indices_is_one_op():
    loss = cross_entropy(ag.Tensor(_LOGITS, requires_grad=True), _LABELS, 0.1)
    assert "op=softmax_cross_entropy" in repr(loss)
    assert len(ag.listing(loss).splitlines()) <= 3


def test_logits_that_are_no_batch_of_floats_are_refused():
    expected = "cross_entropy: logits must be (N, classes), got (3,); add the batch axis with logits[None]"
    with pytest.raises(ValueError, match=re.escape(expected)):
        cross_entropy(_LOGITS[0], 1)
    with pytest.raises(TypeError, match="cross_entropy: logits must be floating numbers, got int64"):
        cross_entropy(np.zeros((2, 3), int), [0, 1])
    with pytest.raises(ValueError, match=re.escape("cross_entropy: the batch is empty: logits has shape (0, 3)")):
        cross_entropy(np.zeros((0, 3)), np.zeros(0, int))


def test_settings_are_checked():
    with pytest.raises(ValueError, match=r"cross_entropy: label_smoothing must be from 0 to 1, got 1\.5"):
        cross_entropy(_LOGITS, _LABELS, 1.5)
    for loss in (cross_entropy, nll_loss):
        with pytest.raises(ValueError, match=f"{loss.__name__}: reduction must be 'mean', 'sum' or 'none', got 'avg'"):
            loss(_LOGITS, _LABELS, reduction="avg")


# ---------------------------------------------------------------------- nll_loss


def test_nll_loss_picks_the_log_probability_of_the_target():
    log_p = special.log_softmax(_LOGITS, axis=1)
    expected = [-log_p[i, c] for i, c in enumerate(_LABELS)]
    assert nll_loss(log_p, _LABELS, "none").data == pytest.approx(expected)
    assert nll_loss(log_p, _LABELS).item() == pytest.approx(sum(expected) / 4)
    assert nll_loss(log_p, _LABELS, "sum").item() == pytest.approx(sum(expected))


def test_nll_loss_of_log_softmax_is_cross_entropy():
    assert nll_loss(ag.log_softmax(_LOGITS), _LABELS).item() == pytest.approx(cross_entropy(_LOGITS, _LABELS).item())


def test_nll_loss_refuses_probabilities_as_target():
    expected = "nll_loss: target must be class indices of shape (4,) (log_probabilities (4, 3), target (4, 1) float64)"
    with pytest.raises(ValueError, match=re.escape(expected)):
        nll_loss(_LOGITS, np.ones((4, 1)))
    with pytest.raises(ValueError, match=re.escape("nll_loss: target[0] is 3, but there are 3 classes")):
        nll_loss(_LOGITS, [3, 0, 0, 0])


# ---------------------------------------------------------------------- binary cross entropy


def test_binary_cross_entropy_is_that_of_the_sigmoid():
    x, t = _RNG.normal(0, 3, (3, 2)), _RNG.uniform(0, 1, (3, 2))
    expected = [-(q * math.log(p) + (1 - q) * math.log(1 - p))
                for p, q in zip(special.expit(x).flat, t.flat, strict=True)]
    assert binary_cross_entropy_with_logits(x, t, "none").data.ravel() == pytest.approx(expected)
    assert binary_cross_entropy_with_logits(x, t).item() == pytest.approx(sum(expected) / 6)


def test_bools_and_whole_numbers_are_targets_too_and_float32_stays():
    x = np.array([1.0, -2.0], np.float32)
    losses = [binary_cross_entropy_with_logits(x, t) for t in ([True, False], [1, 0], np.array([1, 0], np.float32))]
    assert len({loss.item() for loss in losses}) == 1
    assert {loss.dtype.name for loss in losses} == {"float32"}


def test_binary_cross_entropy_at_extreme_logits():
    x = ag.Tensor(np.array([1e4, -1e4, 1e4, -1e4, 20], np.float32), requires_grad=True)
    loss = binary_cross_entropy_with_logits(x, np.array([1, 0, 0, 1, 1]), "none")
    assert loss.data[:4].tolist() == [0, 0, 1e4, 1e4]
    assert loss.data[4] == pytest.approx(math.exp(-20), rel=1e-6)  # 20 + log(1 + e^-20) - 20 would be 0
    (first,) = ag.gradients(loss.sum(), [x], create_graph=True)
    assert first.data.tolist()[:4] == [0, 0, 1, -1]
    (second,) = ag.gradients(first.sum(), [x])
    assert second.data.tolist()[:4] == [0, 0, 0, 0]


@pytest.mark.parametrize(("target", "text"), [([0.0, 1.0, 1.5], "target[2] is 1.5"), ([0, -1, 0], "target[1] is -1.0"),
                                              ([np.nan, 0, 0], "target[0] is nan")])
def test_targets_outside_of_0_to_1_are_refused(target, text):
    expected = f"binary_cross_entropy_with_logits: {text}, expected numbers from 0 to 1"
    with pytest.raises(ValueError, match=re.escape(expected)):
        binary_cross_entropy_with_logits(np.zeros(3), np.array(target))


# ---------------------------------------------------------------------- losses of numbers

_DEFINITIONS = {
    mse_loss: lambda e: e * e,
    l1_loss: abs,
    huber_loss: lambda e: e * e / 2 if abs(e) <= 1 else abs(e) - 0.5,
}
_ELEMENTWISE = [*_DEFINITIONS, binary_cross_entropy_with_logits]


@pytest.mark.parametrize("loss", _DEFINITIONS, ids=lambda loss: loss.__name__)
@given(shape=st.lists(st.integers(1, 3), max_size=3), seed=st.integers(0, 99))
def test_each_loss_is_its_definition_element_by_element(loss, shape, seed):
    p, t = np.random.default_rng(seed).normal(0, 2, (2, *shape))
    expected = [_DEFINITIONS[loss](float(a) - float(b)) for a, b in zip(np.ravel(p), np.ravel(t), strict=True)]
    each = loss(p, t, reduction="none")
    assert each.shape == tuple(shape)
    assert each.data.ravel() == pytest.approx(expected)
    assert loss(p, t, reduction="sum").item() == pytest.approx(math.fsum(expected))
    assert loss(p, t).item() == pytest.approx(math.fsum(expected) / len(expected))


@pytest.mark.parametrize("delta", [0.5, 3.0])
def test_huber_loss_is_scipys(delta):
    e = np.linspace(-5, 5, 21)
    assert huber_loss(e, np.zeros(21), delta, "none").data == pytest.approx(special.huber(delta, e))


@pytest.mark.parametrize("loss", _ELEMENTWISE, ids=lambda loss: loss.__name__)
def test_gradients_to_second_order(loss):
    p = np.array([[-2.5, -0.6], [0.7, 3.1]])
    t = np.array([[0.1, 0.9], [0.4, 0.2]])
    report = ag.gradcheck(loss, p, t, order=2)
    assert report, str(report)


def test_the_gradient_of_huber_loss_is_the_error_limited_to_delta():
    p = ag.Tensor(np.array([-3.0, -1.0, 0.25, 1.0, 1e30]), requires_grad=True)
    huber_loss(p, np.zeros(5), reduction="sum").backward()
    assert p.grad.data.tolist() == [-1, -1, 0.25, 1, 1]


@pytest.mark.parametrize("loss", _ELEMENTWISE, ids=lambda loss: loss.__name__)
def test_nothing_is_broadcast(loss):
    name = "logits" if loss is binary_cross_entropy_with_logits else "prediction"
    expected = (f"{loss.__name__}: {name} (4, 1) and target (4,) must have one shape; nothing is broadcast here, so "
                f"make them equal with {name}[..., 0]")
    with pytest.raises(ValueError, match=re.escape(expected)):
        loss(np.zeros((4, 1)), np.zeros(4))
    with pytest.raises(ValueError, match=re.escape("make them equal with target[..., 0]")):
        loss(np.zeros(4), np.zeros((4, 1)))
    with pytest.raises(ValueError, match=re.escape(f"{name} (4, 3) and target (3,) must have one shape")):
        loss(np.zeros((4, 3)), np.zeros(3))


@pytest.mark.parametrize("loss", _ELEMENTWISE, ids=lambda loss: loss.__name__)
def test_empty_batches_whole_numbers_and_unknown_reductions_are_refused(loss):
    with pytest.raises(ValueError, match=f"{loss.__name__}: the batch is empty"):
        loss(np.zeros((0, 2)), np.zeros((0, 2)))
    with pytest.raises(TypeError, match=f"{loss.__name__}: .* must be floating numbers, got int64"):
        loss(np.zeros(2, int), np.zeros(2))
    with pytest.raises(ValueError, match=f"{loss.__name__}: reduction must be 'mean', 'sum' or 'none', got None"):
        loss(np.zeros(2), np.zeros(2), reduction=None)


def test_delta_must_be_positive():
    with pytest.raises(ValueError, match="huber_loss: delta must be positive, got 0"):
        huber_loss(np.zeros(2), np.zeros(2), delta=0)


def test_whole_numbers_as_target_do_not_make_the_loss_wider():
    assert mse_loss(np.zeros(2, np.float32), np.array([1, 2])).dtype == np.float32


def test_losses_return_tensors_also_for_arrays():
    for loss in _ELEMENTWISE:
        for reduction in ("mean", "none"):
            assert type(loss(np.ones(3), np.ones(3), reduction=reduction)) is ag.Tensor
    assert type(cross_entropy(_LOGITS, _LABELS)) is ag.Tensor


# ---------------------------------------------------------------------- activations as functions


@pytest.mark.parametrize("function", [leaky_relu, elu, gelu, silu, dropout], ids=lambda f: f.__name__)
def test_activations_of_arrays_are_arrays_and_of_tensors_tensors(function):
    x = np.array([-1.0, 2.0], np.float32)
    array = function(x, rng=0) if function is dropout else function(x)
    tensor = function(ag.Tensor(x), rng=0) if function is dropout else function(ag.Tensor(x))
    assert type(array) is np.ndarray
    assert type(tensor) is ag.Tensor
    assert array.dtype == np.float32
    assert np.array_equal(array, tensor.data)


def test_dropout_as_a_function_is_the_identity_unless_training():
    x = np.ones(10)
    assert dropout(x, 0.5, training=False) is x
    assert 0 in dropout(x, 0.9, rng=0)
