"""anomaly: names the op in which a NaN or an infinity first appears, forward or backward."""

from __future__ import annotations

import os
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np

from ..graph import Node, Observer, observe
from ..tensor import Tensor

__all__ = ["anomaly"]

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def anomaly() -> Any:
    """Inside `with anomaly():` a result or gradient that is not finite raises, naming op, input and source line.

    Raises RuntimeError where the result of an op is NaN or infinite although its inputs are finite, or a
    backward rule makes such a gradient. Slower: every array is looked through.

    >>> import autograd as ag
    >>> x = ag.Tensor([0.0, 1.0], requires_grad=True)
    >>> with ag.anomaly():
    ...     ag.sqrt(x).sum().backward()
    Traceback (most recent call last):
    RuntimeError: anomaly: the backward rule of sqrt made inf at (0,) for input 'x' (2,), called at ...
    """
    return observe(_Watch())


class _Watch(Observer):
    def __init__(self) -> None:
        self.origins: dict[int, str] = {}  # by node.order, which no two nodes share

    def around_op(self, op: Any, args: tuple, params: dict, run: Callable[[], Any]) -> Any:
        with np.errstate(all="ignore"):
            result = run()
        for part in result if type(result) is tuple else (result,):
            if type(part) is not Tensor:
                continue
            node = part._node
            if node is not None:
                origin = node if node.index is None else node.parents[0]
                self.origins[origin.order] = _caller()
            found = _not_finite(part.data)
            if found and not any(_not_finite(a) for arg in (*args, *params.values()) for a in _arrays(arg)):
                raise RuntimeError(f"anomaly: {op.name} made {found}, called {_caller()}")
        return result

    def around_rule(self, node: Node, index: int | None, g: Any, run: Callable[[], Any]) -> Any:
        given = run()
        if any(_not_finite(a) for a in _arrays(g)):
            return given
        for i, part in enumerate(given) if index is None else ((index, given),):
            found = next(filter(None, map(_not_finite, _arrays(part))), "")
            if found and node.parents[i] is not None:
                called = self.origins.get(node.order, "before anomaly mode was on")
                raise RuntimeError(f"anomaly: the backward rule of {node.op.name} made {found} for input "
                                   f"{node.op.input_name(i)!r} {node.parents[i].shape}, {_scope(node)}called {called}")
        return given


def _scope(node: Node) -> str:
    return f"in scope {node.scope!r}, " if node.scope else ""


def _arrays(value: Any) -> list[Any]:
    if type(value) is tuple:
        return [array for part in value for array in _arrays(part)]
    return [value.data if type(value) is Tensor else value]


def _not_finite(array: Any) -> str:
    """"nan" or "inf" and where, or nothing."""
    if array is None or np.asarray(array).dtype.kind not in "fc":
        return ""
    bad = ~np.isfinite(array)
    if not bad.any():
        return ""
    index = tuple(int(i) for i in np.argwhere(bad)[0])
    value = np.asarray(array)[index]
    kind = "nan" if np.isnan(value) else "inf"
    return f"{kind} at {index}" if index else kind


def _caller() -> str:
    """The line outside of the engine that called the op."""
    for frame in reversed(traceback.extract_stack()):
        if not os.path.abspath(frame.filename).startswith(_PACKAGE + os.sep):
            return f"at {frame.filename}:{frame.lineno}: {frame.line}"
    return "from an unknown line"
