"""One table that gives Tensor its operators and methods; importing this file applies it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from . import ops
from .backward import backward
from .graph import current_mode
from .op import Op
from .tensor import Tensor, value_of

__all__ = ["METHODS", "OPERATORS"]

_e, _r, _s = ops.elementwise, ops.reduce, ops.shape

# operator -> op; each also gets its reflected form (2 - x) and its in-place form (x -= 2)
OPERATORS: dict[str, Op] = {
    "add": _e.add,
    "sub": _e.subtract,
    "mul": _e.multiply,
    "truediv": _e.divide,
    "floordiv": _e.floor_divide,
    "mod": _e.mod,
    "pow": _e.power,
    "matmul": ops.linalg.matmul,
}

_UNARY: dict[str, Callable] = {
    "neg": _e.negative,
    "abs": _e.abs,
    "round": _e.round,
}

# comparisons give plain boolean arrays: no gradient flows through them
_COMPARISONS: dict[str, Callable] = {
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
}

METHODS: dict[str, Callable] = {
    **{op.__name__: op for op in (
        _e.abs, _e.astype, _e.clip, _e.conj, _e.cos, _e.exp, _e.log, _e.relu, _e.round, _e.sigmoid, _e.sin, _e.sqrt,
        _e.square, _e.tanh,
        _r.cumsum, _r.logsumexp, _r.max, _r.mean, _r.min, _r.norm, _r.prod, _r.sum, _r.var,
        _s.broadcast_to, _s.expand_dims, _s.flatten, _s.flip, _s.moveaxis, _s.pad, _s.repeat, _s.roll, _s.split,
        _s.squeeze, _s.swapaxes, _s.tile,
        ops.index.put, ops.index.take, ops.linalg.dot, ops.linalg.matmul, ops.softmax.log_softmax, ops.softmax.softmax,
    )},
    "backward": backward,
}


def _method(name: str, function: Callable) -> Callable:
    """A plain function, so that it binds to a Tensor: an Op object would not."""

    def method(self: Tensor, *args: Any, **kwargs: Any) -> Any:
        return function(self, *args, **kwargs)

    method.__name__ = name
    method.__qualname__ = f"Tensor.{name}"
    method.__doc__ = function.__doc__
    return method


def _binary(op: Op) -> Callable:
    of_two = op.of_two

    def operator(self: Tensor, other: Any) -> Any:
        return of_two(self, other)

    return operator


def _reflected(op: Op) -> Callable:
    of_two = op.of_two

    def operator(self: Tensor, other: Any) -> Any:
        return of_two(other, self)

    return operator


def _in_place(symbol: str, op: Callable) -> Callable:
    """`a += b` means `a = a + b`; under no_grad a leaf stays the same Tensor and gets the new array."""

    def operator(self: Tensor, other: Any) -> Tensor:
        if self._node is None or not self._node.is_leaf:
            return op(self, other)
        if current_mode().recording:
            raise RuntimeError(f"{symbol}: a leaf that requires a gradient cannot be changed while its use is "
                               "recorded; write it under `with ag.no_grad():`, or as a = a + b for a new Tensor")
        new = np.asarray(op(self.data, value_of(other)))
        if new.shape != self.shape:
            raise ValueError(f"{symbol}: the result has shape {new.shape}, but the leaf has {self.shape}")
        if not np.can_cast(new.dtype, self.dtype, "same_kind"):
            raise TypeError(f"{symbol}: the result is {new.dtype}, but the leaf is {self.dtype}")
        self.data = new.astype(self.dtype, copy=False)
        return self

    return operator


def _compare(compare: Callable) -> Callable:
    def operator(self: Tensor, other: Any) -> Any:
        if other is None or isinstance(other, str):
            return NotImplemented
        return compare(self.data, value_of(other))

    return operator


def _from_shape(op: Callable, default: tuple | None) -> Callable:
    """Takes a shape (or axes) as one tuple or as several numbers: x.reshape(2, 3), x.reshape((2, 3))."""

    def method(self: Tensor, *shape: Any) -> Any:
        if len(shape) != 1 or isinstance(shape[0], (int, np.integer)):
            return op(self, shape or default)
        return op(self, shape[0] if shape[0] is None else tuple(shape[0]))

    method.__name__ = op.__name__
    method.__doc__ = op.__doc__
    return method


def _iterate(self: Tensor) -> Iterator[Tensor]:
    """The Tensor's parts along its first axis."""
    for i in range(len(self)):
        yield self[i]


def _argmax(self, axis=None, keepdims=False):
    """Where the largest element stands: a plain integer array."""
    return np.argmax(self.data, axis=axis, keepdims=keepdims)


def _argmin(self, axis=None, keepdims=False):
    """Where the smallest element stands: a plain integer array."""
    return np.argmin(self.data, axis=axis, keepdims=keepdims)


def _apply() -> None:
    for name, op in OPERATORS.items():
        setattr(Tensor, f"__{name}__", _binary(op))
        setattr(Tensor, f"__r{name}__", _reflected(op))
        setattr(Tensor, f"__i{name}__", _in_place(f"in-place {name}", op))
    for name, function in _UNARY.items():
        setattr(Tensor, f"__{name}__", _method(f"__{name}__", function))
    for name, compare in _COMPARISONS.items():
        setattr(Tensor, f"__{name}__", _compare(compare))
    for name, function in METHODS.items():
        setattr(Tensor, name, _method(name, function))
    table: dict[str, Any] = {
        "__pos__": lambda self: self,
        "__getitem__": ops.index.index,
        "__iter__": _iterate,
        "reshape": _from_shape(_s.reshape, ()),
        "transpose": _from_shape(_s.transpose, None),
        "argmax": _argmax,
        "argmin": _argmin,
        "T": property(lambda self: _s.transpose(self), doc="The Tensor with its axes reversed."),
        "real": property(lambda self: _e.real(self), doc="The real part."),
        "imag": property(lambda self: _e.imag(self), doc="The imaginary part."),
    }
    for name, value in table.items():
        setattr(Tensor, name, value)


_apply()
