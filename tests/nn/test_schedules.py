"""Schedules: each rate against another way to work it out, and saved training that goes on with the same rates."""

import json
import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import autograd as ag
from nn.optim import SGD, CosineAnnealingLR, LinearLR, LinearWarmup, OneCycleLR, Schedule, StepLR


def _optimizer(lr=0.5):
    return SGD([ag.Tensor([1.0], requires_grad=True)], lr=lr)


_MAKE = {
    "StepLR": lambda opt: StepLR(opt, step_size=3, gamma=0.5),
    "CosineAnnealingLR": lambda opt: CosineAnnealingLR(opt, T_max=7, eta_min=0.01),
    "OneCycleLR": lambda opt: OneCycleLR(opt, max_lr=0.3, total_steps=12),
    "LinearLR": lambda opt: LinearLR(opt, start_factor=0.1, end_factor=0.8, total_iters=6),
    "LinearWarmup": lambda opt: LinearWarmup(CosineAnnealingLR(opt, T_max=6), warmup_steps=4),
}
_schedules = pytest.mark.parametrize("make", _MAKE.values(), ids=_MAKE)


# ---------------------------------------------------------------------- the rates


@given(step_size=st.integers(1, 7), gamma=st.floats(0.1, 1.0), lr=st.floats(0.01, 2.0))
def test_step_lr_multiplies_by_gamma_every_step_size_steps(step_size, gamma, lr):
    schedule = StepLR(_optimizer(lr), step_size, gamma)
    rate = lr
    for step in range(1, 25):
        if step % step_size == 0:
            rate *= gamma
        assert schedule.lr_at(step) == pytest.approx(rate, rel=1e-12)


@given(T_max=st.integers(1, 30), eta_min=st.floats(0.0, 0.1), lr=st.floats(0.2, 2.0))
def test_cosine_annealing_is_the_recursion_that_it_solves(T_max, eta_min, lr):
    schedule = CosineAnnealingLR(_optimizer(lr), T_max, eta_min)
    rate = lr
    for step in range(T_max):
        assert schedule.lr_at(step) == pytest.approx(rate, rel=1e-9)
        shrink = (1 + math.cos(math.pi * (step + 1) / T_max)) / (1 + math.cos(math.pi * step / T_max))
        rate = eta_min + (rate - eta_min) * shrink
    for step in (T_max, T_max + 1, 3 * T_max):
        assert schedule.lr_at(step) == pytest.approx(eta_min, abs=1e-15)


def _half_cosine(start, end, way):
    return start + (end - start) * math.sin(math.pi * way / 2) ** 2


@given(total=st.integers(2, 60), pct_start=st.floats(0.05, 0.95), div=st.floats(1.5, 50), final=st.floats(1.5, 1e4))
def test_one_cycle_goes_up_to_max_lr_and_down_to_the_end(total, pct_start, div, final):
    max_lr = 0.7
    schedule = OneCycleLR(_optimizer(), max_lr, total, pct_start, div, final)
    rates = [schedule.lr_at(step) for step in range(total)]
    peak = max(pct_start * total - 1, 0.0)
    for step, rate in enumerate(rates):
        if step < peak:
            expected = _half_cosine(max_lr / div, max_lr, step / peak)
        else:
            expected = _half_cosine(max_lr, max_lr / div / final, (step - peak) / (total - 1 - peak))
        assert rate == pytest.approx(expected, rel=1e-9, abs=1e-15)
    assert rates[-1] == pytest.approx(max_lr / div / final, rel=1e-6)
    top = int(np.argmax(rates))
    assert rates[: top + 1] == sorted(rates[: top + 1])
    assert rates[top:] == sorted(rates[top:], reverse=True)


def test_one_cycle_reaches_max_lr_where_it_says():
    schedule = OneCycleLR(_optimizer(), max_lr=1.0, total_steps=100)
    assert schedule.lr_at(0) == pytest.approx(1 / 25)
    assert schedule.lr_at(29) == pytest.approx(1.0)
    assert schedule.lr_at(99) == pytest.approx(1 / 25 / 1e4)


def test_one_cycle_raises_when_it_is_stepped_too_often():
    schedule = OneCycleLR(_optimizer(), max_lr=1.0, total_steps=4)
    for _ in range(4):  # one call after each of 4 batches
        schedule.step()
    rate = schedule.optimizer.lr
    with pytest.raises(ValueError, match=r"OneCycleLR: step 5 is beyond total_steps 4;.*epochs \* len\(loader\)"):
        schedule.step()
    assert (schedule.steps, schedule.optimizer.lr) == (4, rate)


@given(start=st.floats(0.01, 1.0), end=st.floats(0.0, 2.0), total=st.integers(1, 20))
def test_linear_lr_is_the_straight_line_between_its_ends(start, end, total):
    schedule = LinearLR(_optimizer(0.5), start, end, total)
    steps = np.arange(total + 5)
    expected = np.interp(steps, [0, total], [0.5 * start, 0.5 * end])
    np.testing.assert_allclose([schedule.lr_at(int(step)) for step in steps], expected, rtol=1e-12, atol=1e-12)


@given(warmup=st.integers(1, 10))
def test_a_warm_up_rises_evenly_and_hands_over(warmup):
    inner = StepLR(_optimizer(0.5), step_size=2, gamma=0.5)
    schedule = LinearWarmup(inner, warmup)
    rates = [schedule.lr_at(step) for step in range(warmup + 5)]
    np.testing.assert_allclose(np.diff([0.0, *rates[: warmup + 1]]), 0.5 / (warmup + 1), rtol=1e-12)
    assert rates[warmup:] == [0.5, 0.5, 0.25, 0.25, 0.125]


# ---------------------------------------------------------------------- setting the optimizer's lr


@_schedules
def test_step_sets_the_optimizers_lr_to_lr_at_the_steps_taken(make):
    opt = _optimizer()
    schedule = make(opt)
    assert opt.lr == schedule.lr_at(0)
    for step in range(1, 11):
        schedule.step()
        assert schedule.steps == step
        assert opt.lr == schedule.lr_at(step)


@_schedules
def test_lr_at_depends_on_the_step_alone(make):
    schedule = make(_optimizer())
    before = [schedule.lr_at(step) for step in range(11)]
    for _ in range(5):
        schedule.step()
    schedule.optimizer.lr = 123.0
    assert [schedule.lr_at(step) for step in reversed(range(11))] == before[::-1]


@_schedules
def test_saved_training_goes_on_with_the_same_rates(make):
    first = make(_optimizer())
    for _ in range(4):
        first.step()
    state = json.loads(json.dumps(first.state_dict()))
    opt = _optimizer(lr=9.0)  # as a restored optimizer's lr may be any
    second = make(opt)
    second.load_state_dict(state)
    assert opt.lr == first.optimizer.lr
    for _ in range(6):
        first.step()
        second.step()
        assert opt.lr == first.optimizer.lr


# ---------------------------------------------------------------------- refusals


@pytest.mark.parametrize(("make", "error", "text"), [
    (lambda opt: StepLR(opt, 0), ValueError, "StepLR: step_size must be at least 1, got 0"),
    (lambda opt: StepLR(opt, 1.5), TypeError, r"StepLR: step_size must be a whole number, got 1\.5"),
    (lambda opt: StepLR(opt, 3, gamma=0), ValueError, "StepLR: gamma must be greater than 0 and finite, got 0"),
    (lambda opt: CosineAnnealingLR(opt, 0), ValueError, "CosineAnnealingLR: T_max must be at least 1, got 0"),
    (lambda opt: CosineAnnealingLR(opt, 5, -0.1), ValueError, "CosineAnnealingLR: eta_min must be at least 0"),
    (lambda opt: OneCycleLR(opt, 0, 10), ValueError, "OneCycleLR: max_lr must be greater than 0"),
    (lambda opt: OneCycleLR(opt, 1, 1), ValueError, "OneCycleLR: total_steps must be at least 2, got 1"),
    (lambda opt: OneCycleLR(opt, 1, 10, 1.0), ValueError,
     r"OneCycleLR: pct_start must be greater than 0 and below 1, got 1\.0"),
    (lambda opt: OneCycleLR(opt, 1, 10, div_factor=0), ValueError, "OneCycleLR: div_factor must be greater than 0"),
    (lambda opt: LinearLR(opt, start_factor=0), ValueError, "LinearLR: start_factor must be greater than 0"),
    (lambda opt: LinearLR(opt, end_factor=math.nan), ValueError, "LinearLR: end_factor must be at least 0"),
    (lambda opt: LinearLR(opt, total_iters=0), ValueError, "LinearLR: total_iters must be at least 1, got 0"),
    (lambda opt: LinearWarmup(StepLR(opt, 1), 0), ValueError, "LinearWarmup: warmup_steps must be at least 1"),
    (lambda opt: LinearWarmup(opt, 3), TypeError, "LinearWarmup: expected a schedule to follow the warm-up, got SGD"),
    (lambda opt: StepLR([opt], 3), TypeError, "StepLR: expected an optimizer, got list"),
])
def test_settings_that_make_no_sense_are_refused(make, error, text):
    opt = _optimizer()
    with pytest.raises(error, match=text):
        make(opt)


@_schedules
def test_a_negative_step_is_refused(make):
    with pytest.raises(ValueError, match=r"lr_at: step must be at least 0, got -1"):
        make(_optimizer()).lr_at(-1)


def test_a_state_of_another_schedule_is_refused():
    state = StepLR(_optimizer(), 3).state_dict()
    with pytest.raises(ValueError, match=r"CosineAnnealingLR\.load_state_dict: the state is of StepLR"):
        CosineAnnealingLR(_optimizer(), 3).load_state_dict(state)


def test_a_state_without_a_setting_is_refused():
    schedule = StepLR(_optimizer(), 3)
    state = schedule.state_dict()
    del state["settings"]["gamma"]
    with pytest.raises(ValueError, match=re.escape("StepLR.load_state_dict: the settings ['gamma'] are missing")):
        schedule.load_state_dict(state)


def test_the_repr_tells_the_settings_and_the_steps():
    schedule = LinearWarmup(StepLR(_optimizer(), 3), 2)
    schedule.step()
    assert repr(schedule) == ("LinearWarmup(StepLR(base_lr=0.5, step_size=3, gamma=0.1; 0 steps taken), "
                              "warmup_steps=2; 1 steps taken)")


def test_a_schedule_of_your_own_gives_one_formula():
    class Halving(Schedule):
        _settings = ()

        def _lr(self, step):
            return self.base_lr * 0.5**step

    opt = _optimizer(1.0)
    schedule = Halving(opt)
    schedule.step()
    schedule.step()
    assert opt.lr == 0.25
