"""NumPy's own functions on Tensors: the table from np.f to the op that stands for it.

What is not in the table raises a TypeError that names it: never an object array, never a constant that
has lost its gradient without a word.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from . import ops
from .tensor import Tensor, value_of

__all__ = ["ARRAY_FUNCTIONS", "PLAIN_FUNCTIONS", "UFUNCS"]

_e, _r, _s = ops.elementwise, ops.reduce, ops.shape

UFUNCS: dict[Callable, Callable] = {
    np.add: _e.add,
    np.subtract: _e.subtract,
    np.multiply: _e.multiply,
    np.divide: _e.divide,
    np.power: _e.power,
    np.negative: _e.negative,
    np.remainder: _e.mod,
    np.floor_divide: _e.floor_divide,
    np.absolute: _e.abs,
    np.sqrt: _e.sqrt,
    np.square: _e.square,
    np.exp: _e.exp,
    np.expm1: _e.expm1,
    np.log: _e.log,
    np.log1p: _e.log1p,
    np.sin: _e.sin,
    np.cos: _e.cos,
    np.tan: _e.tan,
    np.tanh: _e.tanh,
    np.maximum: _e.maximum,
    np.minimum: _e.minimum,
    np.sign: _e.sign,
    np.floor: _e.floor,
    np.ceil: _e.ceil,
    np.conjugate: _e.conj,
    np.matmul: ops.linalg.matmul,
}

ARRAY_FUNCTIONS: dict[Callable, Callable] = {
    np.clip: _e.clip,
    np.where: _e.where,
    np.round: _e.round,
    np.real: _e.real,
    np.imag: _e.imag,
    np.sum: _r.sum,
    np.mean: _r.mean,
    np.var: _r.var,
    np.max: _r.max,
    np.min: _r.min,
    np.prod: _r.prod,
    np.cumsum: _r.cumsum,
    np.linalg.norm: _r.norm,
    np.dot: ops.linalg.dot,
    np.einsum: ops.linalg.einsum,
    np.reshape: _s.reshape,
    np.transpose: _s.transpose,
    np.moveaxis: _s.moveaxis,
    np.swapaxes: _s.swapaxes,
    np.expand_dims: _s.expand_dims,
    np.squeeze: _s.squeeze,
    np.broadcast_to: _s.broadcast_to,
    np.concatenate: _s.concatenate,
    np.stack: _s.stack,
    np.split: _s.split,
    np.pad: _s.pad,
    np.flip: _s.flip,
    np.roll: _s.roll,
    np.repeat: _s.repeat,
    np.tile: _s.tile,
    np.ravel: _s.flatten,
    np.take: ops.index.take,
}

# No gradient flows through these by their nature; they look at the arrays and give plain arrays.
PLAIN_FUNCTIONS: frozenset[Callable] = frozenset([
    np.equal, np.not_equal, np.less, np.less_equal, np.greater, np.greater_equal, np.isfinite, np.isinf, np.isnan,
    np.signbit, np.argmax, np.argmin, np.argsort, np.searchsorted, np.count_nonzero, np.nonzero, np.shape, np.ndim,
    np.size, np.array_equal, np.allclose, np.isclose, np.zeros_like, np.ones_like, np.empty_like, np.full_like,
    np.iscomplexobj, np.isrealobj, np.result_type, np.array2string, np.array_repr, np.array_str,
    np.shares_memory, np.may_share_memory,
])


def _array_ufunc(self: Tensor, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Any:
    name = ufunc.__name__
    if method != "__call__":
        raise TypeError(f"np.{name}.{method}: not available on Tensors; use sum, prod, cumsum, or .data for the array")
    if kwargs.get("out") is not None and any(type(out) is Tensor for out in kwargs["out"]):
        raise TypeError(f"np.{name}: a Tensor cannot be written into (out=...); take the result instead")
    if kwargs:
        raise TypeError(f"np.{name}: the keyword {next(iter(kwargs))!r} is not available on Tensors; "
                        "use .data for the array")
    if ufunc in PLAIN_FUNCTIONS:
        return ufunc(*map(value_of, inputs))
    if ufunc not in UFUNCS:
        raise TypeError(_unknown(f"np.{name}"))
    return UFUNCS[ufunc](*inputs)


def _array_function(self: Tensor, function: Any, types: Any, args: tuple, kwargs: dict) -> Any:
    name = f"{function.__module__.replace('numpy', 'np')}.{function.__name__}"
    if function in PLAIN_FUNCTIONS:
        return function(*map(value_of, args), **{key: value_of(value) for key, value in kwargs.items()})
    if function not in ARRAY_FUNCTIONS:
        raise TypeError(_unknown(name))
    args, kwargs = _translated(name, function, args, kwargs)
    return ARRAY_FUNCTIONS[function](*args, **kwargs)


def _translated(name: str, function: Any, args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    """NumPy's arguments as ours: settings go by name, since NumPy has more of them and in another order.

    What the op does not take raises, unless it was given as None or left at NumPy's own "no value".
    """
    theirs = _signature(function)
    takes, n_arrays = _ours(ARRAY_FUNCTIONS[function])
    settings = dict(zip(theirs[n_arrays:], args[n_arrays:], strict=False)) if theirs else {}
    settings |= {_our_name(key, takes, theirs, n_arrays): value for key, value in kwargs.items()}
    for key in [key for key in settings if key not in takes]:
        value = settings.pop(key)
        if value is not None and value is not np._NoValue:
            raise TypeError(f"{name}: the argument {key!r} is not available on Tensors; it takes {', '.join(takes)}")
    return args[:n_arrays] if theirs else args, settings


def _our_name(key: str, takes: list[str], theirs: list[str], n_arrays: int) -> str:
    """NumPy calls its arrays a (or m, or ary), we x; what must be given stands in the same place in both."""
    return takes[theirs.index(key)] if key in theirs[:n_arrays] else key


@functools.cache
def _ours(target: Any) -> tuple[list[str], int]:
    """The names of our function's arguments, and how many of them stand where NumPy's stand."""
    parameters = inspect.signature(target).parameters
    required = sum(parameter.default is parameter.empty for parameter in parameters.values())
    return list(parameters), max(len(getattr(target, "input_names", ())), required)


@functools.cache
def _signature(function: Any) -> list[str]:
    """The names of a NumPy function's arguments; none where it takes any number of arrays, or does not tell."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except ValueError:
        return []
    variadic = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    return [] if variadic else [p.name for p in parameters]


def _unknown(name: str) -> str:
    return (f"{name}: not supported on Tensors (the gradient would be lost); use an op of autograd, an ag.Op of your "
            "own with a rule, or .data if no gradient is wanted")


Tensor.__array_ufunc__ = _array_ufunc
Tensor.__array_function__ = _array_function
