"""Optimizers: the papers' formulas number by number, arrays that are never written to, and clear refusals."""

import contextlib
import copy
import json
import math
import re
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import autograd as ag
from autograd.graph import current_mode
from autograd.kernels import blocks
from nn import optim, optimizer
from nn.optim import SGD, Adam, AdamW, RMSprop, clip_grad_norm, clip_grad_value
from nn.optimizer import _BLOCK

# ---------------------------------------------------------------------- the formulas, on one Python float


def _sgd(p, gradients, lr, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False):
    b = None
    for gradient in gradients:
        g = gradient + weight_decay * p
        b = g if b is None else momentum * b + (1 - dampening) * g
        p = p - lr * (g + momentum * b if nesterov else b)
    return p


def _adam(p, gradients, lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, decoupled=False):
    m = v = 0.0
    for t, gradient in enumerate(gradients, start=1):
        g = gradient if decoupled else gradient + weight_decay * p
        if decoupled:
            p = p - lr * weight_decay * p
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g**2
        m_hat = m / (1 - betas[0] ** t)
        v_hat = v / (1 - betas[1] ** t)
        p = p - lr * m_hat / (math.sqrt(v_hat) + eps)
    return p


def _adamw(p, gradients, weight_decay=1e-2, **settings):
    return _adam(p, gradients, weight_decay=weight_decay, decoupled=True, **settings)


def _rmsprop(p, gradients, lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0, centered=False):
    v = a = b = 0.0
    for gradient in gradients:
        g = gradient + weight_decay * p
        v = alpha * v + (1 - alpha) * g**2
        a = alpha * a + (1 - alpha) * g
        spread = max(v - a**2, 0.0) if centered else v
        b = momentum * b + g / (math.sqrt(spread) + eps)
        p = p - lr * b
    return p


_CASES = [
    (SGD, _sgd, dict(lr=0.1)),
    (SGD, _sgd, dict(lr=0.1, weight_decay=0.3)),
    (SGD, _sgd, dict(lr=0.1, momentum=0.9)),
    (SGD, _sgd, dict(lr=0.1, momentum=0.8, dampening=0.5, weight_decay=0.3)),
    (SGD, _sgd, dict(lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.3)),
    (Adam, _adam, {}),
    (Adam, _adam, dict(lr=0.1, betas=(0.5, 0.8), eps=0.5, weight_decay=0.3)),
    (AdamW, _adamw, {}),
    (AdamW, _adamw, dict(lr=0.1, betas=(0.5, 0.8), eps=0.5, weight_decay=0.3)),
    (RMSprop, _rmsprop, {}),
    (RMSprop, _rmsprop, dict(lr=0.1, alpha=0.7, eps=0.5, weight_decay=0.3)),
    (RMSprop, _rmsprop, dict(lr=0.1, momentum=0.9)),
    (RMSprop, _rmsprop, dict(lr=0.1, alpha=0.7, centered=True, eps=0.1)),
    (RMSprop, _rmsprop, dict(lr=0.1, alpha=0.7, centered=True, momentum=0.5, eps=0.1, weight_decay=0.3)),
]
_cases = pytest.mark.parametrize(("optimizer", "formula", "settings"), _CASES)


def _parameter(shape, seed=0, dtype=np.float64):
    return ag.Tensor(np.random.default_rng(seed).normal(size=shape).astype(dtype), requires_grad=True)


def _gradients(shape, steps, seed=1, dtype=np.float64):
    return np.random.default_rng(seed).normal(size=(steps, *shape)).astype(dtype)


def _take_steps(opt, p, gradients):
    for g in gradients:
        p.grad = ag.Tensor(g)
        opt.step()


@_cases
def test_the_numbers_are_those_of_the_papers_formula(optimizer, formula, settings):
    p, gradients = _parameter((3, 4)), _gradients((3, 4), steps=7)
    start = p.numpy()
    _take_steps(optimizer([p], **settings), p, gradients)
    for i in np.ndindex(3, 4):
        expected = formula(float(start[i]), [float(g[i]) for g in gradients], **settings)
        assert p.data[i] == pytest.approx(expected, rel=1e-12, abs=1e-14)


@_cases
def test_float32_stays_float32_and_is_close_to_the_formula(optimizer, formula, settings):
    p, gradients = _parameter((5,), dtype=np.float32), _gradients((5,), steps=7, dtype=np.float32)
    start = p.numpy()
    opt = optimizer([p], **settings)
    _take_steps(opt, p, gradients)
    assert p.data.dtype == np.float32
    arrays = [value for value in opt.state_dict()["state"][0].values() if isinstance(value, np.ndarray)]
    assert all(a.dtype == np.float32 and a.shape == (5,) for a in arrays)
    expected = [formula(float(start[i]), [float(g[i]) for g in gradients], **settings) for i in range(5)]
    np.testing.assert_allclose(p.data, expected, rtol=1e-4, atol=1e-6)


@_cases
def test_a_parameter_of_many_blocks_moves_as_a_small_one_does(optimizer, formula, settings):
    n, steps = _BLOCK * 2 + 3, 3
    p, gradients = _parameter((n,)), _gradients((n,), steps)
    start = p.numpy()
    _take_steps(optimizer([p], **settings), p, gradients)
    for i in (0, 1, _BLOCK - 1, _BLOCK, 2 * _BLOCK - 1, 2 * _BLOCK, n - 1):
        expected = formula(float(start[i]), [float(g[i]) for g in gradients], **settings)
        assert p.data[i] == pytest.approx(expected, rel=1e-12)


@_cases
def test_the_bits_do_not_depend_on_the_number_of_threads(optimizer, formula, settings):
    n, before, found = 4 * _BLOCK + 5, ag.get_num_threads(), []
    for threads in (1, 3):
        ag.set_num_threads(threads)
        p = _parameter((n,), dtype=np.float32)
        _take_steps(optimizer([p], **settings), p, _gradients((n,), steps=2, dtype=np.float32))
        found.append(p.data.tobytes())
    ag.set_num_threads(before)
    assert found[0] == found[1]


@settings(max_examples=30)
@given(case=st.sampled_from(_CASES), shape=st.lists(st.integers(0, 3), max_size=4).map(tuple))
def test_any_shape_works_also_none_at_all(case, shape):
    optimizer, formula, settings = case
    p, gradients = _parameter(shape), _gradients(shape, steps=2)
    start = p.numpy()
    _take_steps(optimizer([p], **settings), p, gradients)
    assert p.shape == shape
    for i in np.ndindex(shape):
        expected = formula(float(start[i]), [float(g[i]) for g in gradients], **settings)
        assert p.data[i] == pytest.approx(expected, rel=1e-12, abs=1e-14)


@settings(max_examples=60)
@given(case=st.sampled_from(_CASES), shape=st.lists(st.integers(1, 5), max_size=3).map(tuple), block=st.integers(1, 12),
       dtype=st.sampled_from([np.float32, np.float64]), shared=st.booleans(), seed=st.integers(0, 99))
def test_every_number_of_every_block_moves_as_the_formula_says(case, shape, block, dtype, shared, seed):
    make, formula, settings = case
    p, gradients = _parameter(shape, seed, dtype), _gradients(shape, 3, seed + 1, dtype)
    start = p.numpy()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(optimizer, "_BLOCK", block)
        patch.setattr(blocks, "_LEAST_SHARED", 0 if shared else 1 << 21)
        _take_steps(make([p], **settings), p, gradients)
    expected = [formula(float(start[i]), [float(g[i]) for g in gradients], **settings) for i in np.ndindex(shape)]
    close = dict(rtol=1e-4, atol=1e-5) if dtype is np.float32 else dict(rtol=1e-12, atol=1e-13)
    assert p.data.dtype == dtype
    np.testing.assert_allclose(p.data, np.array(expected).reshape(shape), **close)


def test_the_defaults_are_pytorchs():
    p = _parameter((2,))
    assert SGD([p], 0.1).state_dict()["settings"] == dict(
        lr=0.1, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False)
    assert Adam([p]).state_dict()["settings"] == dict(lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    assert AdamW([p]).state_dict()["settings"] == dict(lr=1e-3, betas=(0.9, 0.999), eps=1e-8, weight_decay=1e-2)
    assert RMSprop([p]).state_dict()["settings"] == dict(
        lr=1e-2, alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0, centered=False)


@_cases
def test_every_optimizer_finds_the_bottom_of_a_bowl(optimizer, formula, settings):
    target = np.array([1.0, -2.0, 0.5])
    w = ag.Tensor(np.zeros(3), requires_grad=True)
    opt = optimizer([w], **{**settings, "lr": 0.05, "weight_decay": 0.0})
    for _ in range(400):
        opt.zero_grad()
        ag.square(w - target).sum().backward()
        opt.step()
    np.testing.assert_allclose(w.data, target, atol=0.1)


# ---------------------------------------------------------------------- what is written to, and what is not


@_cases
def test_a_step_binds_a_new_array_and_writes_into_none_that_others_hold(optimizer, formula, settings):
    p = _parameter((4,))
    opt = optimizer([p], **settings)
    for g in _gradients((4,), steps=3):
        held, gradient = p.data, ag.Tensor(g)
        before = held.copy()
        p.grad = gradient
        opt.step()
        assert not np.shares_memory(p.data, held)
        assert np.array_equal(held, before)
        assert p.grad is gradient
        assert np.array_equal(gradient.data, g)


def test_a_graph_that_saved_a_parameter_is_right_after_a_step():
    w = _parameter((3,))
    start = w.numpy()
    loss = (w * w * w).sum()
    w.grad = ag.Tensor(np.ones(3))
    SGD([w], lr=0.5).step()
    w.grad = None
    loss.backward()
    np.testing.assert_allclose(w.grad.data, 3 * start**2)


def test_a_parameter_that_is_not_contiguous_is_read_in_the_right_order():
    p = _parameter((3, 4))
    p.data = np.asfortranarray(p.data)
    start, g = p.numpy(), np.random.default_rng(1).normal(size=(3, 4))
    p.grad = ag.Tensor(g)
    SGD([p], lr=1.0).step()
    np.testing.assert_allclose(p.data, start - g, rtol=1e-15)


def test_gradients_that_are_not_finite_give_no_warning():
    p = _parameter((3,), dtype=np.float32)
    p.grad = ag.Tensor(np.array([np.inf, np.nan, 3e38], np.float32))
    Adam([p]).step()
    assert np.isnan(p.data[:2]).all()


def test_zero_grad_sets_grad_to_none():
    p = _parameter((3,))
    p.grad = ag.Tensor(np.ones(3))
    SGD([p], lr=0.1).zero_grad()
    assert p.grad is None


# ---------------------------------------------------------------------- who watches


def test_without_an_observer_a_step_looks_at_the_mode_once_and_counts_nothing(monkeypatch):
    looks = []
    w = ag.Tensor([1.0, 2.0], requires_grad=True)
    opt = SGD([w], lr=0.5)
    w.sum().backward()
    monkeypatch.setattr("nn.optimizer.current_mode", lambda: looks.append(1) or current_mode())
    monkeypatch.setattr(SGD, "_bytes_of_a_step", lambda self: pytest.fail("bytes are counted for nobody"))
    opt.step()
    assert looks == [1]
    np.testing.assert_array_equal(w.data, [0.5, 1.5])


@pytest.mark.parametrize("optimizer", [SGD, Adam, AdamW, RMSprop])
def test_watched_steps_give_the_same_bits(optimizer):
    found = []
    for watch in (contextlib.nullcontext(), ag.observe(ag.Observer()), ag.profile(), ag.anomaly()):
        w = ag.Tensor([1.0, -2.0], requires_grad=True)
        opt = optimizer([w], lr=0.1)
        with watch:
            for _ in range(3):
                opt.zero_grad()
                (w * w).sum().backward()
                opt.step()
        found.append(w.data)
    assert found[0][0] != 1.0
    for other in found[1:]:
        np.testing.assert_array_equal(found[0], other)


def test_a_watched_step_warns_of_a_missing_gradient_at_the_same_line():
    w, unused = ag.Tensor([1.0], requires_grad=True), ag.Tensor([1.0], requires_grad=True)
    w.sum().backward()
    with ag.profile(), pytest.warns(UserWarning, match="parameter 1 has no gradient") as seen:
        SGD([w, unused], lr=0.1).step()
    assert seen[0].filename == __file__


# ---------------------------------------------------------------------- frozen, and without a gradient


def test_frozen_parameters_stay_as_they_are():
    trained, frozen = _parameter((2,)), _parameter((2,), seed=5)
    opt = SGD([trained, frozen], lr=0.1, weight_decay=0.5)
    frozen.requires_grad = False
    held = frozen.data
    trained.grad = ag.Tensor(np.ones(2))
    opt.step()
    assert frozen.data is held


def test_a_parameter_without_a_gradient_is_named_once_and_stays():
    used, unused = _parameter((2,)), _parameter((2,), seed=5)
    opt = SGD([("body.weight", used), ("head.bias", unused)], lr=0.1)
    held = unused.data
    used.grad = ag.Tensor(np.ones(2))
    with pytest.warns(UserWarning, match=r"SGD: head\.bias has no gradient and stays as it is") as record:
        opt.step()
    assert len(record) == 1
    assert record[0].filename == __file__
    assert unused.data is held
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        opt.step()


def test_parameters_without_names_are_counted():
    used, unused = _parameter((2,)), _parameter((2,), seed=5)
    used.grad = ag.Tensor(np.ones(2))
    with pytest.warns(UserWarning, match="Adam: parameter 1 has no gradient"):
        Adam([used, unused]).step()


def test_names_are_taken_from_what_model_parameters_gives():
    class Named:
        named = (("a.weight", _parameter((2,))), ("a.bias", _parameter((2,), seed=5)))

        def __iter__(self):
            return (p for _, p in self.named)

    Named.named[0][1].grad = ag.Tensor(np.ones(2))
    with pytest.warns(UserWarning, match=r"Adam: a\.bias has no gradient"):
        Adam(Named()).step()


def test_a_step_without_any_gradient_raises():
    opt = Adam([("0.weight", _parameter((2,)))])
    with pytest.raises(RuntimeError, match=r"Adam\.step: no parameter has a gradient; call loss\.backward\(\) first.*"
                                           r"0\.weight"):
        opt.step()


def test_a_step_with_all_frozen_raises():
    with pytest.raises(RuntimeError, match=r"SGD\.step: all 1 parameters are frozen; set requires_grad = True"):
        SGD([ag.Tensor([1.0])], lr=0.1).step()


# ---------------------------------------------------------------------- refusals


@pytest.mark.parametrize(("params", "error", "text"), [
    ([], ValueError, "Adam: there are no parameters"),
    (ag.Tensor([1.0], requires_grad=True), TypeError, r"Adam: params must be a list of Tensors, got one Tensor"),
    (3, TypeError, r"Adam: params must be a list of Tensors, got int; give model\.parameters\(\)"),
    (["0.weight"], TypeError, "Adam: parameter 0 must be a Tensor, got str"),
    ([np.ones(3)], TypeError, "Adam: parameter 0 must be a Tensor, got ndarray"),
    ([ag.Tensor([1])], TypeError, "Adam: parameter 0 is int64, but parameters must be floats"),
    ([("z", ag.Tensor([1j], requires_grad=True))], TypeError, "Adam: z is complex64, but only real parameters"),
    ([ag.Tensor([1.0], requires_grad=True) * 2], ValueError, "Adam: parameter 0 was made by an op"),
])
def test_parameters_that_cannot_be_optimized_are_refused(params, error, text):
    with pytest.raises(error, match=text):
        Adam(params)


def test_a_parameter_given_twice_is_refused_by_name():
    p = _parameter((2,))
    with pytest.raises(ValueError, match="SGD: b is the same Tensor as a; give each parameter once"):
        SGD([("a", p), ("b", p)], lr=0.1)


@pytest.mark.parametrize(("make", "error", "text"), [
    (lambda p: SGD(p, lr=0), ValueError, "SGD: lr must be greater than 0 and finite, got 0"),
    (lambda p: SGD(p, lr=-1.0), ValueError, r"SGD: lr must be greater than 0 and finite, got -1\.0"),
    (lambda p: Adam(p, lr=math.inf), ValueError, "Adam: lr must be greater than 0 and finite, got inf"),
    (lambda p: Adam(p, lr=math.nan), ValueError, "Adam: lr must be greater than 0 and finite, got nan"),
    (lambda p: Adam(p, lr="fast"), TypeError, "Adam: lr must be a number, got 'fast'"),
    (lambda p: Adam(p, lr=True), TypeError, "Adam: lr must be a number, got True"),
    (lambda p: SGD(p, 0.1, momentum=-0.1), ValueError, r"SGD: momentum must be at least 0 and finite, got -0\.1"),
    (lambda p: SGD(p, 0.1, weight_decay=-1), ValueError, "SGD: weight_decay must be at least 0"),
    (lambda p: SGD(p, 0.1, nesterov=True), ValueError, "SGD: nesterov=True needs momentum > 0 and dampening 0"),
    (lambda p: SGD(p, 0.1, 0.9, 0.1, nesterov=True), ValueError, r"got momentum 0\.9 and dampening 0\.1"),
    (lambda p: Adam(p, betas=(0.9, 1.0)), ValueError, r"Adam: betas must be at least 0 and below 1, got 1\.0"),
    (lambda p: Adam(p, betas=0.9), TypeError, r"Adam: betas must be a pair of numbers, got 0\.9"),
    (lambda p: Adam(p, eps=-1e-8), ValueError, "Adam: eps must be at least 0"),
    (lambda p: RMSprop(p, alpha=1.0), ValueError, r"RMSprop: alpha must be at least 0 and below 1, got 1\.0"),
])
def test_settings_out_of_range_are_refused(make, error, text):
    with pytest.raises(error, match=text):
        make([_parameter((2,))])


def test_lr_can_be_set_to_0_and_no_lower():
    p = _parameter((2,))
    start = p.numpy()
    opt = SGD([p], lr=0.5)
    opt.lr = 0
    p.grad = ag.Tensor(np.ones(2))
    opt.step()
    assert np.array_equal(p.data, start)
    with pytest.raises(ValueError, match="SGD: lr must be at least 0 and finite, got -1"):
        opt.lr = -1
    opt.lr = 0.25
    opt.step()
    np.testing.assert_allclose(p.data, start - 0.25)


def test_the_repr_shows_the_settings():
    assert repr(SGD([_parameter((2,))], lr=0.5)) == (
        "SGD(1 parameters, lr=0.5, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False)")


# ---------------------------------------------------------------------- saving and going on


@_cases
def test_training_goes_on_bit_by_bit_from_a_state_dict(optimizer, formula, settings):
    gradients = _gradients((3, 2), steps=6)
    p = _parameter((3, 2))
    opt = optimizer([p], **settings)
    _take_steps(opt, p, gradients[:3])
    later = ag.Tensor(p.data, requires_grad=True)
    resumed = optimizer([later], lr=123.0)
    resumed.load_state_dict(opt.state_dict())
    _take_steps(opt, p, gradients[3:])
    _take_steps(resumed, later, gradients[3:])
    assert resumed.lr == opt.lr
    assert np.array_equal(p.data, later.data)


def test_a_state_dict_is_a_copy_and_so_is_what_is_loaded():
    p = _parameter((2,))
    opt = Adam([p])
    _take_steps(opt, p, _gradients((2,), steps=2))
    state = opt.state_dict()
    kept = copy.deepcopy(state)
    other = Adam([p])
    other.load_state_dict(state)
    _take_steps(opt, p, _gradients((2,), steps=2))
    _take_steps(other, p, _gradients((2,), steps=2))
    assert state["state"][0]["step"] == kept["state"][0]["step"] == 2
    for name in ("exp_avg", "exp_avg_sq"):
        assert np.array_equal(state["state"][0][name], kept["state"][0][name])


def test_the_settings_of_a_state_dict_survive_json():
    p = _parameter((2,))
    opt = Adam([p], betas=(0.5, 0.75))
    state = opt.state_dict()
    state["settings"] = json.loads(json.dumps(state["settings"]))
    other = Adam([p])
    other.load_state_dict(state)
    assert other.betas == (0.5, 0.75)


def test_a_state_of_another_optimizer_is_refused():
    p = _parameter((2,))
    with pytest.raises(ValueError, match=r"Adam\.load_state_dict: the state is of SGD; make that optimizer"):
        Adam([p]).load_state_dict(SGD([p], lr=0.1).state_dict())


def test_a_state_of_other_parameters_is_refused_and_changes_nothing():
    p, q = _parameter((2,)), _parameter((3,))
    opt = Adam([p], lr=0.5)
    _take_steps(opt, p, _gradients((2,), steps=1))
    other = Adam([("w", q)])
    with pytest.raises(ValueError, match=r"exp_avg of w is \(2,\) float64, expected \(3,\) float64"):
        other.load_state_dict(opt.state_dict())
    assert other.lr == 1e-3
    with pytest.raises(ValueError, match="the state is of 1 parameters, but this optimizer has 2"):
        Adam([p, q]).load_state_dict(opt.state_dict())


def test_a_state_without_a_setting_is_refused():
    p = _parameter((2,))
    state = Adam([p]).state_dict()
    del state["settings"]["eps"]
    with pytest.raises(ValueError, match=re.escape("Adam.load_state_dict: the settings ['eps'] are missing")):
        Adam([p]).load_state_dict(state)


# ---------------------------------------------------------------------- clipping


def _two_with_gradients(scale=1.0, dtype=np.float64):
    a, b = _parameter((2, 3), dtype=dtype), _parameter((4,), dtype=dtype)
    a.grad = ag.Tensor((scale * np.random.default_rng(2).normal(size=(2, 3))).astype(dtype))
    b.grad = ag.Tensor((scale * np.random.default_rng(3).normal(size=4)).astype(dtype))
    return a, b


def _naive_norm(*gradients):
    return math.sqrt(math.fsum(float(x) ** 2 for g in gradients for x in g.reshape(-1)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_clip_grad_norm_scales_all_gradients_together(dtype):
    a, b = _two_with_gradients(dtype=dtype)
    held = a.grad, b.grad
    before = [g.numpy() for g in held]
    norm = clip_grad_norm([a, b], max_norm=0.5)
    assert type(norm) is float
    assert norm == pytest.approx(_naive_norm(*before), rel=1e-12)
    assert _naive_norm(a.grad.data, b.grad.data) == pytest.approx(0.5, rel=1e-6)
    for p, was in zip((a, b), before, strict=True):
        assert p.grad.dtype == dtype
        np.testing.assert_allclose(p.grad.data, was * (0.5 / norm), rtol=1e-6)
    for g, was in zip(held, before, strict=True):
        assert np.array_equal(g.data, was)


def test_a_norm_within_the_limit_leaves_the_gradients_alone():
    a, b = _two_with_gradients()
    held = a.grad, b.grad
    norm = clip_grad_norm([a, b], max_norm=math.inf)
    assert norm == pytest.approx(_naive_norm(a.grad.data, b.grad.data), rel=1e-12)
    assert clip_grad_norm([a, b], max_norm=norm) == norm
    assert a.grad is held[0]
    assert b.grad is held[1]


def test_the_norm_of_large_float32_gradients_does_not_overflow():
    a, b = _two_with_gradients(scale=1e30, dtype=np.float32)
    expected = _naive_norm(a.grad.data, b.grad.data)
    assert clip_grad_norm([a, b], 1.0) == pytest.approx(expected, rel=1e-12)
    assert _naive_norm(a.grad.data, b.grad.data) == pytest.approx(1.0, rel=1e-6)


def test_the_norm_of_a_gradient_of_many_blocks():
    p = _parameter((2 * _BLOCK + 5,), dtype=np.float32)
    p.grad = ag.Tensor(np.random.default_rng(0).normal(size=p.shape).astype(np.float32))
    assert clip_grad_norm([p], math.inf) == pytest.approx(_naive_norm(p.grad.data), rel=1e-12)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_norm_that_is_not_finite_raises_by_name_and_changes_nothing(bad):
    a, b = _two_with_gradients()
    b.grad = ag.Tensor(np.array([1.0, bad, 1.0, 1.0]))
    held = a.grad, b.grad
    with pytest.raises(RuntimeError, match=rf"clip_grad_norm: the norm of the gradients is {bad}; not finite: b;"):
        clip_grad_norm([("a", a), ("b", b)], 1.0)
    assert a.grad is held[0]
    assert b.grad is held[1]


@given(value=st.floats(0.01, 3), seed=st.integers(0, 100))
def test_clip_grad_value_limits_each_number(value, seed):
    p = _parameter((4, 3))
    g = np.random.default_rng(seed).normal(size=(4, 3))
    p.grad = held = ag.Tensor(g)
    clip_grad_value([p], value)
    for i in np.ndindex(4, 3):
        assert p.grad.data[i] == min(max(g[i], -value), value)
    assert p.grad is not held
    assert np.array_equal(held.data, g)


def test_clip_grad_value_keeps_float32():
    p = _parameter((3,), dtype=np.float32)
    p.grad = ag.Tensor(np.array([-5, 0, 5], np.float32))
    clip_grad_value([p], 2)
    assert p.grad.dtype == np.float32
    assert p.grad.data.tolist() == [-2.0, 0.0, 2.0]


@pytest.mark.parametrize("clip", [clip_grad_norm, clip_grad_value])
def test_clipping_skips_frozen_parameters_and_those_without_a_gradient(clip):
    a, b = _two_with_gradients()
    c = _parameter((2,))
    b.requires_grad = False
    held = b.grad
    norm = _naive_norm(a.grad.data)
    assert clip([a, b, c], 0.01) in (None, pytest.approx(norm))
    assert b.grad is held
    assert c.grad is None
    assert abs(a.grad.data).max() <= 0.01


@pytest.mark.parametrize("clip", [clip_grad_norm, clip_grad_value])
def test_clipping_refuses_what_it_cannot_do(clip):
    p = _parameter((2,))
    with pytest.raises(RuntimeError, match=f"{clip.__name__}: no parameter has a gradient"):
        clip([p], 1.0)
    p.grad = ag.Tensor(np.ones(2))
    with pytest.raises(ValueError, match=rf"{clip.__name__}: \w+ must be greater than 0 and finite, got 0"):
        clip([p], 0)
    with pytest.raises(TypeError, match=rf"{clip.__name__}: \w+ must be a number, got None"):
        clip([p], None)


def test_an_optimizer_of_your_own_gives_its_rule_and_its_arrays():
    class SignSGD(optim.Optimizer):
        _settings = ("lr",)

        def __init__(self, params, lr):
            super().__init__(params, lr=lr)

        def _slots(self):
            return ("seen",)

        def _update(self, step, p, g, new, t, seen):
            seen += 1
            np.subtract(p, self.lr * np.sign(g), out=new)

    p = ag.Tensor([1.0, 2.0], requires_grad=True)
    opt = SignSGD([p], lr=0.5)
    _take_steps(opt, p, [np.array([3, -4], np.float32), np.array([0, 9], np.float32)])
    assert p.data.tolist() == [0.5, 2.0]
    assert opt.state_dict()["state"][0]["seen"].tolist() == [2.0, 2.0]
