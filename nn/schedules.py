"""Schedules: the learning rate as a function of the number of steps taken.

    opt = nn.optim.SGD(model.parameters(), lr=0.1)
    schedule = nn.optim.CosineAnnealingLR(opt, T_max=1000)
    for ...:
        ...; opt.step(); schedule.step()

A schedule is closed-form: `lr_at(step)` depends on the step and on the settings alone, so that training which
goes on from a saved step has the same rates as training that was never stopped. What a step is, a batch or an
epoch, is up to the caller. The optimizer's lr when the schedule is made is its base lr, and is set to
`lr_at(0)`.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar, Protocol

from .checks import whole_number, within

__all__ = ["CosineAnnealingLR", "HasLR", "LinearLR", "LinearWarmup", "OneCycleLR", "Schedule", "StepLR"]


class HasLR(Protocol):
    """What a schedule needs of an optimizer: a learning rate that can be set."""

    lr: float


class Schedule:
    """What all schedules share; a subclass gives `_lr`.

    `steps` counts the steps taken; `optimizer` is the one whose lr is set.

    >>> import autograd as ag
    >>> from nn import optim
    >>> class Halving(Schedule):
    ...     _settings = ()
    ...     def _lr(self, step):
    ...         return self.base_lr / 2**step
    >>> opt = optim.SGD([ag.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = Halving(opt); schedule.step(); opt.lr
    0.5
    """

    _settings: ClassVar[tuple[str, ...]]  # attributes that state_dict keeps, besides base_lr

    def __init__(self, optimizer: HasLR, **settings: Any) -> None:
        self._name = type(self).__name__
        if not hasattr(optimizer, "lr"):
            raise TypeError(f"{self._name}: expected an optimizer, got {type(optimizer).__name__}")
        self.optimizer = optimizer
        self.base_lr = float(optimizer.lr)
        self.steps = 0
        for name in self._settings:
            setattr(self, name, settings[name])
        optimizer.lr = self.lr_at(0)

    def lr_at(self, step: int) -> float:
        """The learning rate after `step` steps of the schedule, of which none need have been taken."""
        return self._lr(whole_number(f"{self._name}.lr_at", "step", step, at_least=0))

    def step(self) -> None:
        """Counts one step and sets the optimizer's lr; call it after the optimizer's step."""
        lr = self.lr_at(self.steps + 1)
        self.steps += 1
        self.optimizer.lr = lr

    def state_dict(self) -> dict[str, Any]:
        """The step count and the settings: numbers and strings."""
        settings = {name: getattr(self, name) for name in ("base_lr", *self._settings)}
        return {"schedule": self._name, "steps": self.steps, "settings": settings}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over the step count and the settings of a `state_dict`, and sets the optimizer's lr.

        Raises ValueError, and changes nothing, where it is of another schedule.
        """
        self._check_state_dict(state_dict)
        for name in ("base_lr", *self._settings):
            setattr(self, name, state_dict["settings"][name])
        self.steps = state_dict["steps"]
        self.optimizer.lr = self.lr_at(self.steps)

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={getattr(self, name)}" for name in ("base_lr", *self._settings))
        return f"{self._name}({settings}; {self.steps} steps taken)"

    def _lr(self, step: int) -> float:
        raise NotImplementedError(f"{self._name}: a schedule needs _lr(step)")

    def _check_state_dict(self, state_dict: dict[str, Any]) -> None:
        where = f"{self._name}.load_state_dict"
        if state_dict["schedule"] != self._name:
            raise ValueError(f"{where}: the state is of {state_dict['schedule']}; make that schedule, or start anew")
        missing = [name for name in ("base_lr", *self._settings) if name not in state_dict["settings"]]
        if missing:
            raise ValueError(f"{where}: the settings {missing} are missing")


class StepLR(Schedule):
    """lr times gamma every step_size steps: base_lr * gamma^(step // step_size).

    Raises ValueError for a step_size below 1 or a gamma that is not greater than 0.

    >>> import autograd as ag
    >>> from nn import optim
    >>> opt = optim.SGD([ag.Tensor([1.0], requires_grad=True)], lr=0.5)
    >>> schedule = StepLR(opt, step_size=2, gamma=0.5)
    >>> [schedule.lr_at(step) for step in range(5)]
    [0.5, 0.5, 0.25, 0.25, 0.125]
    """

    _settings = ("step_size", "gamma")
    step_size: int
    gamma: float

    def __init__(self, optimizer: HasLR, step_size: int, gamma: float = 0.1) -> None:
        super().__init__(optimizer, step_size=whole_number("StepLR", "step_size", step_size),
                         gamma=within("StepLR", "gamma", gamma, above=0.0))

    def _lr(self, step: int) -> float:
        return self.base_lr * self.gamma ** (step // self.step_size)


class CosineAnnealingLR(Schedule):
    """From the base lr to eta_min along half a cosine, over T_max steps, and eta_min after that.

        eta_min + (base_lr - eta_min) * (1 + cos(pi * step / T_max)) / 2        up to step T_max

    Raises ValueError for T_max below 1 or a negative eta_min.

    Loshchilov and Hutter, "SGDR: Stochastic Gradient Descent with Warm Restarts", 2017, equation 5, without
    restarts. (PyTorch's rises again after T_max.)

    >>> import autograd as ag
    >>> from nn import optim
    >>> opt = optim.SGD([ag.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = CosineAnnealingLR(opt, T_max=4)
    >>> [round(schedule.lr_at(step), 3) for step in range(6)]
    [1.0, 0.854, 0.5, 0.146, 0.0, 0.0]
    """

    _settings = ("T_max", "eta_min")
    T_max: int
    eta_min: float

    def __init__(self, optimizer: HasLR, T_max: int, eta_min: float = 0.0) -> None:
        super().__init__(optimizer, T_max=whole_number("CosineAnnealingLR", "T_max", T_max),
                         eta_min=within("CosineAnnealingLR", "eta_min", eta_min, least=0.0))

    def _lr(self, step: int) -> float:
        return _cosine(self.base_lr, self.eta_min, min(step / self.T_max, 1.0))


class OneCycleLR(Schedule):
    """One cycle over all of training: up to max_lr, and down to far below where it began, along half cosines.

    From max_lr / div_factor at step 0 to max_lr at step pct_start * total_steps - 1, and on to
    max_lr / div_factor / final_div_factor at the last step, total_steps - 1. The base lr is not used, and momentum
    is left alone.

    Raises ValueError for settings out of range, and for a step beyond total_steps.

    Smith and Topin, "Super-Convergence: Very Fast Training of Neural Networks Using Large Learning Rates",
    2018, with PyTorch's defaults.

    >>> import autograd as ag
    >>> from nn import optim
    >>> opt = optim.SGD([ag.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = OneCycleLR(opt, max_lr=1.0, total_steps=6, pct_start=0.5, div_factor=4, final_div_factor=10)
    >>> [round(schedule.lr_at(step), 3) for step in range(6)]
    [0.25, 0.625, 1.0, 0.756, 0.269, 0.025]
    """

    _settings = ("max_lr", "total_steps", "pct_start", "div_factor", "final_div_factor")
    max_lr: float
    total_steps: int
    pct_start: float
    div_factor: float
    final_div_factor: float

    def __init__(self, optimizer: HasLR, max_lr: float, total_steps: int, pct_start: float = 0.3,
                 div_factor: float = 25.0, final_div_factor: float = 1e4) -> None:
        super().__init__(
            optimizer,
            max_lr=within("OneCycleLR", "max_lr", max_lr, above=0.0),
            total_steps=whole_number("OneCycleLR", "total_steps", total_steps, at_least=2),
            pct_start=within("OneCycleLR", "pct_start", pct_start, above=0.0, below=1.0),
            div_factor=within("OneCycleLR", "div_factor", div_factor, above=0.0),
            final_div_factor=within("OneCycleLR", "final_div_factor", final_div_factor, above=0.0),
        )

    def _lr(self, step: int) -> float:
        if step > self.total_steps:  # after the last of them, step() is called once more
            raise ValueError(f"OneCycleLR: step {step} is beyond total_steps {self.total_steps}; it counts every call "
                             "of step(): epochs * len(loader) where it is called after each batch")
        first = self.max_lr / self.div_factor
        peak = max(self.pct_start * self.total_steps - 1, 0.0)
        if step < peak:
            return _cosine(first, self.max_lr, step / peak)
        down = min((step - peak) / (self.total_steps - 1 - peak), 1.0)
        return _cosine(self.max_lr, first / self.final_div_factor, down)


class LinearLR(Schedule):
    """From start_factor to end_factor times the base lr on a straight line, over total_iters steps; then constant.

        base_lr * (start_factor + (end_factor - start_factor) * step / total_iters)        up to total_iters

    Raises ValueError for total_iters below 1, a start_factor that is not above 0 or a negative end_factor.

    >>> import autograd as ag
    >>> from nn import optim
    >>> opt = optim.SGD([ag.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = LinearLR(opt, start_factor=0.25, total_iters=3)
    >>> [schedule.lr_at(step) for step in range(5)]
    [0.25, 0.5, 0.75, 1.0, 1.0]
    """

    _settings = ("start_factor", "end_factor", "total_iters")
    start_factor: float
    end_factor: float
    total_iters: int

    def __init__(self, optimizer: HasLR, start_factor: float = 1 / 3, end_factor: float = 1.0,
                 total_iters: int = 5) -> None:
        super().__init__(
            optimizer,
            start_factor=within("LinearLR", "start_factor", start_factor, above=0.0),
            end_factor=within("LinearLR", "end_factor", end_factor, least=0.0),
            total_iters=whole_number("LinearLR", "total_iters", total_iters),
        )

    def _lr(self, step: int) -> float:
        way = min(step / self.total_iters, 1.0)
        return self.base_lr * (self.start_factor + (self.end_factor - self.start_factor) * way)


class LinearWarmup(Schedule):
    """A warm-up in front of another schedule: warmup_steps steps up to the rate with which that one begins.

        schedule.lr_at(0) * (step + 1) / (warmup_steps + 1)        for step < warmup_steps
        schedule.lr_at(step - warmup_steps)                        after that

    So no step is wasted on a rate of 0. Call `step()` of this one only.

    Raises ValueError for warmup_steps below 1, TypeError where `schedule` is none.

    Goyal et al., "Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour", 2017, section 2.2.

    >>> import autograd as ag
    >>> from nn import optim
    >>> opt = optim.SGD([ag.Tensor([1.0], requires_grad=True)], lr=1.0)
    >>> schedule = LinearWarmup(StepLR(opt, step_size=2, gamma=0.5), warmup_steps=3)
    >>> [schedule.lr_at(step) for step in range(8)]
    [0.25, 0.5, 0.75, 1.0, 1.0, 0.5, 0.5, 0.25]
    """

    _settings = ("warmup_steps",)
    warmup_steps: int

    def __init__(self, schedule: Schedule, warmup_steps: int) -> None:
        if not isinstance(schedule, Schedule):
            raise TypeError(f"LinearWarmup: expected a schedule to follow the warm-up, got {type(schedule).__name__}; "
                            "LinearLR(optimizer) is a warm-up by itself")
        self.schedule = schedule
        super().__init__(schedule.optimizer, warmup_steps=whole_number("LinearWarmup", "warmup_steps", warmup_steps))

    def _lr(self, step: int) -> float:
        if step < self.warmup_steps:
            return self.schedule.lr_at(0) * (step + 1) / (self.warmup_steps + 1)
        return self.schedule.lr_at(step - self.warmup_steps)

    def state_dict(self) -> dict[str, Any]:
        """The step count and the settings, and the state of the schedule inside."""
        return {**super().state_dict(), "inner": self.schedule.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """As `Schedule.load_state_dict`, for the schedule inside as well."""
        self._check_state_dict(state_dict)
        self.schedule.load_state_dict(state_dict["inner"])
        super().load_state_dict(state_dict)

    def __repr__(self) -> str:
        return f"LinearWarmup({self.schedule!r}, warmup_steps={self.warmup_steps}; {self.steps} steps taken)"


def _cosine(start: float, end: float, way: float) -> float:
    """From start (way = 0) to end (way = 1) along half a cosine."""
    return end + (start - end) * (1.0 + math.cos(math.pi * way)) / 2.0
