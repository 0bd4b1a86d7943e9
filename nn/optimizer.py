"""Optimizer: what all optimizers share.

A step never writes into a parameter's array, which a graph may have saved or somebody may hold: it makes a
new array and binds it (`p.data = new`). Arrays of the optimizer's own (momentum and the like) are written in
place.

Every rule is elementwise, so `step` hands it blocks of a large parameter that stay in the cache over the ten or so
passes of a rule (up to 20 % faster on a million numbers), and threads share the blocks, with the same bits for any
number of them. A rule works in two blocks of memory: `new`, where its result goes, and `t`.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any, ClassVar

import numpy as np

from autograd.graph import current_mode
from autograd.kernels.blocks import run
from autograd.kernels.chunks import even
from autograd.kernels.memory import Scratch

from .checks import within
from .trainable import Params, checked_params, trained

__all__ = ["Optimizer"]

_BLOCK = 1 << 17  # numbers in a block: small for the cache, but large beside what handing it over costs
_WALKS = 4  # through a block, at least, that most rules make

_LIMITS: dict[str, dict[str, float]] = {
    "lr": dict(least=0.0),
    "momentum": dict(least=0.0),
    "dampening": {},
    "weight_decay": dict(least=0.0),
    "betas": dict(least=0.0, below=1.0),
    "alpha": dict(least=0.0, below=1.0),
    "eps": dict(least=0.0),
}


class Optimizer:
    """What all optimizers share; a subclass gives `_slots` (its arrays) and `_update` (its rule).

    params: Tensors or pairs (name, Tensor), as from `model.parameters()`: real leaves, each once. Those that
    do not require a gradient are frozen, and skipped. The attribute `params` is the list of pairs.

    >>> import autograd as ag, numpy as np
    >>> class SignSGD(Optimizer):
    ...     _settings = ("lr",)
    ...     def __init__(self, params, lr):
    ...         super().__init__(params, lr=lr)
    ...     def _slots(self):
    ...         return ()
    ...     def _update(self, step, p, g, new, t):
    ...         np.multiply(np.sign(g), self.lr, out=new)
    ...         np.subtract(p, new, out=new)
    >>> w = ag.Tensor([1.0, -2.0], requires_grad=True)
    >>> opt = SignSGD([w], lr=0.5)
    >>> (w * w).sum().backward(); opt.step(); w.data
    array([ 0.5, -1.5], dtype=float32)
    """

    _settings: ClassVar[tuple[str, ...]]  # attributes that state_dict keeps

    def __init__(self, params: Params, **settings: Any) -> None:
        self._name = type(self).__name__
        self.params = checked_params(self._name, params)
        self._state: list[dict[str, Any]] = [{} for _ in self.params]
        self._warned: set[str] = set()
        within(self._name, "lr", settings["lr"], above=0.0)  # a schedule may bring it to 0 later
        self._configure(settings)

    @property
    def lr(self) -> float:
        """The learning rate; may be set to any number of at least 0, as schedules do."""
        return self._lr

    @lr.setter
    def lr(self, lr: float) -> None:
        self._lr = _setting(self._name, "lr", lr)

    def zero_grad(self) -> None:
        """Sets `.grad` of every parameter to None."""
        for _, p in self.params:
            p.grad = None

    def step(self) -> None:
        """Moves every parameter that has a gradient, and binds a new array to it.

        Warns, once and by name, about a parameter without a gradient. Raises RuntimeError where none has one.
        An infinite or NaN gradient makes infinite or NaN parameters without a word: see `clip_grad_norm`.
        """
        self._warn_of_missing()
        observer = current_mode().observer
        if observer is None:
            self._move_all()
        else:
            observer.around_step(f"{self._name}.step", self._bytes_of_a_step(), self._move_all)

    def state_dict(self) -> dict[str, Any]:
        """All that a later run needs to go on exactly: the settings, and each parameter's arrays by its place.

        {"optimizer": "Adam", "settings": {"lr": 0.001, ...}, "state": [{"step": 3, "exp_avg": array, ...}, ...]};
        the arrays are copies.

        >>> import autograd as ag, nn
        >>> w = ag.Tensor([1.0, 2.0], requires_grad=True)
        >>> opt = nn.optim.SGD([w], lr=0.5, momentum=0.9)
        >>> w.sum().backward(); opt.step()
        >>> opt.state_dict()["state"]
        [{'step': 1, 'momentum_buffer': array([1., 1.], dtype=float32)}]
        """
        return {
            "optimizer": self._name,
            "settings": {name: getattr(self, name) for name in self._settings},
            "state": [_copied(state) for state in self._state],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over the settings and arrays of a `state_dict`, which are copied.

        Raises ValueError, and changes nothing, where it is of another optimizer or other parameters.
        """
        self._check_state_dict(state_dict)
        self._configure(state_dict["settings"])
        self._state = [_copied(state) for state in state_dict["state"]]

    def __repr__(self) -> str:
        settings = ", ".join(f"{name}={getattr(self, name)}" for name in self._settings)
        return f"{self._name}({len(self.params)} parameters, {settings})"

    # ------------------------------------------------------------------ for subclasses

    def _slots(self) -> tuple[str, ...]:
        """The names of the arrays that the rule keeps for each parameter; they start as zeros."""
        raise NotImplementedError(f"{self._name}: an optimizer needs _slots")

    def _update(self, step: int, p: np.ndarray, g: np.ndarray, new: np.ndarray, t: np.ndarray,
                *slots: np.ndarray) -> None:
        """Writes into `new` what becomes of the numbers p with the gradients g; all arrays are (n,).

        step counts this parameter's steps from 1; slots are the arrays that `_slots` names, to be brought
        up to date in place; `new` and `t` may be used as scratch. Several threads call it, each with numbers of its
        own, so it changes nothing besides its arguments.
        """
        raise NotImplementedError(f"{self._name}: an optimizer needs _update")

    # ------------------------------------------------------------------ the rest

    def _configure(self, settings: dict[str, Any]) -> None:
        # checked before any is set, so that a bad one changes nothing
        checked = {name: _setting(self._name, name, settings[name]) for name in self._settings}
        for name, value in checked.items():
            setattr(self, name, value)

    def _move_all(self) -> None:
        with np.errstate(all="ignore"):
            for (_, p), state in zip(self.params, self._state, strict=True):
                grad = p.grad
                if grad is not None and p.requires_grad:
                    p.data = self._moved(p.data, grad.data, state)

    def _bytes_of_a_step(self) -> int:
        """Of gradients once, of parameters and the rule's own arrays twice: they are read and written."""
        twice = 1 + len(self._slots())
        return sum(p.grad.data.nbytes + 2 * twice * p.data.nbytes
                   for _, p in self.params if p.requires_grad and p.grad is not None)

    def _moved(self, p: np.ndarray, g: np.ndarray, state: dict[str, Any]) -> np.ndarray:
        """A new array: p after one step along g."""
        step = state["step"] = state.get("step", 0) + 1
        names = self._slots()
        for name in names:
            if name not in state:
                state[name] = np.zeros(p.shape, p.dtype)
        new = np.empty(p.shape, p.dtype)
        flat = [a.reshape(-1) for a in (p, g, new, *[state[name] for name in names])]  # (..) -> (p.size,)
        if p.size <= _BLOCK:  # most parameters are small, and what goes around a rule costs as much as the rule
            self._update(step, *flat[:3], np.empty(p.size, p.dtype), *flat[3:])
            return new

        def work(parts: Iterator[slice]) -> None:
            with Scratch() as scratch:
                for part in parts:
                    p, g, new, *slots = (a[part] for a in flat)
                    self._update(step, p, g, new, scratch.array("t", p.shape, p.dtype), *slots)

        run(work, list(even(p.size, _BLOCK)), _WALKS * p.size)
        return new

    def _warn_of_missing(self) -> None:
        named = trained(f"{self._name}.step", self.params)
        missing = [name for name, p in named if p.grad is None and name not in self._warned]
        self._warned.update(missing)
        for name in missing:
            warnings.warn(f"{self._name}: {name} has no gradient and stays as it is: the loss does not depend on it; "
                          "use it in forward, or freeze it with requires_grad = False", stacklevel=3)

    def _check_state_dict(self, state_dict: dict[str, Any]) -> None:
        where = f"{self._name}.load_state_dict"
        if state_dict["optimizer"] != self._name:
            raise ValueError(f"{where}: the state is of {state_dict['optimizer']}; make that optimizer, or start anew")
        missing = [name for name in self._settings if name not in state_dict["settings"]]
        if missing:
            raise ValueError(f"{where}: the settings {missing} are missing")
        states = state_dict["state"]
        if len(states) != len(self.params):
            raise ValueError(f"{where}: the state is of {len(states)} parameters, but this optimizer has "
                             f"{len(self.params)}; give it the same parameters in the same order")
        wrong = [
            f"{key} of {name} is {value.shape} {value.dtype}, expected {p.shape} {p.dtype}"
            for (name, p), state in zip(self.params, states, strict=True)
            for key, value in state.items()
            if key != "step" and (value.shape != p.shape or value.dtype != p.dtype)
        ]
        if wrong:
            raise ValueError(f"{where}: {'; '.join(wrong)}; give the optimizer the same parameters in the same order")


def _setting(where: str, name: str, value: Any) -> Any:
    """The value of a setting, within its limits."""
    if name in ("nesterov", "centered"):
        return bool(value)
    if name != "betas":
        return within(where, name, value, **_LIMITS[name])
    if not isinstance(value, (tuple, list)) or len(value) != 2:
        raise TypeError(f"{where}: betas must be a pair of numbers, got {value!r}")
    return tuple(within(where, "betas", beta, **_LIMITS["betas"]) for beta in value)


def _copied(state: dict[str, Any]) -> dict[str, Any]:
    return {key: value.copy() if isinstance(value, np.ndarray) else value for key, value in state.items()}
