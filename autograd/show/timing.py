"""Taking the time of ops, rules, reverse passes and steps, and counting their bytes and operations.

Time is *self* time: what has a sum of its own is taken off the call around it, so that nothing is counted twice.
Numbers are all that is kept, never an array or a node.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable
from math import prod
from time import perf_counter
from typing import Any

import numpy as np

from ..backward import gradients
from ..graph import Node, Observer, current_mode
from ..op import Op
from ..ops import registry
from ..ops.conv import conv2d, conv2d_grads, conv2d_input_grad, conv2d_weight_grad
from ..ops.elementwise import add, astype, real
from ..ops.linalg import matmul
from ..ops.shape import sum_to
from ..tensor import Tensor, value_of

__all__ = ["BETWEEN_OPS", "BETWEEN_RULES", "Key", "Sums", "Timer"]

Key = tuple[str, str, str]  # op or optimizer's step, scope, direction
Sums = list[tuple[Key, tuple]]  # calls, seconds, bytes and flops by key, for each thread
BETWEEN_OPS: Key = ("between ops", "", "forward")
BETWEEN_RULES: Key = ("between rules", "", "backward")
_REMEMBERED = 65_536  # calls of each thread that are known one by one: some 10 MB, however long the block runs


class _Thread:
    """What one thread has done: what is inside of what is a matter of one thread, and none waits for another.

    sums     calls, seconds, bytes and flops by key
    calls    (order of the node, whether it was a rule, seconds, bytes) of the latest calls
    depth    how many ops, passes and steps are open, one in the other
    ended    when the last op ended, where nothing was open around it and no pass or step came after it; else None
    inner    seconds, within what is open, of calls with sums of their own
    in_rule  whether a rule is open, of which the ops called now are a part
    flops    of the ops that the open rule has called
    scope    of the rule that was called last
    """

    __slots__ = ("calls", "depth", "ended", "flops", "in_rule", "inner", "scope", "sums")

    def __init__(self) -> None:
        self.sums: dict[Key, list] = {}
        self.calls: deque[tuple[int, bool, float, int]] = deque(maxlen=_REMEMBERED)
        self.depth = 0
        self.ended: float | None = None
        self.inner = 0.0
        self.in_rule = False
        self.flops = 0
        self.scope = ""

    def add(self, key: Key, seconds: float, n_bytes: int, flops: int) -> None:
        sums = self.sums.get(key)
        if sums is None:
            sums = self.sums[key] = [0, 0.0, 0, 0]
        sums[0] += 1
        sums[1] += seconds
        sums[2] += n_bytes
        sums[3] += flops


class _Local(threading.local):
    def __init__(self, threads: list[_Thread]) -> None:  # runs in each thread that looks at `thread`
        self.thread = _Thread()
        threads.append(self.thread)


class Timer(Observer):
    """Sums up what is done under `observe(timer)`, in each thread apart."""

    def __init__(self) -> None:
        self._threads: list[_Thread] = []
        self._local = _Local(self._threads)

    def sums(self) -> list[tuple[Key, tuple]]:
        """All sums of all threads as they are now."""
        return [(key, tuple(sums)) for thread in list(self._threads) for key, sums in list(thread.sums.items())]

    def calls(self) -> list[tuple]:
        """The latest calls of all threads; `copy` runs in C, so that a thread may go on meanwhile."""
        return [call for thread in list(self._threads) for call in thread.calls.copy()]

    def around_op(self, op: Op, args: tuple, params: dict, run: Callable[[], Any]) -> Any:
        thread = self._local.thread
        if thread.in_rule:  # a part of what the rule does
            out = run()
            thread.flops += _flops(op, args, params, out)
            return out
        outer, thread.inner = thread.inner, 0.0
        thread.depth += 1
        out = None
        start = perf_counter()
        try:
            out = run()
        finally:
            end = perf_counter()
            seconds = end - start
            thread.depth -= 1
            if not thread.depth:
                if thread.ended is not None:
                    thread.add(BETWEEN_OPS, start - thread.ended, 0, 0)
                thread.ended = end
            is_backward = op in _OPS_OF_THE_PASS and _called_by_the_pass()
            where = (thread.scope, "backward") if is_backward else (current_mode().scope, "forward")
            n_bytes = _n_bytes(out, *args, *params.values())
            thread.add((op.name, *where), seconds - thread.inner, n_bytes, _flops(op, args, params, out))
            order = _order_of(out)
            if order is not None:
                thread.calls.append((order, False, seconds - thread.inner, n_bytes))
            thread.inner = outer + seconds
        return out

    def around_rule(self, node: Node, index: int | None, g: Any, run: Callable[[], Any]) -> Any:
        thread = self._local.thread
        outer = thread.inner, thread.in_rule, thread.flops
        thread.inner, thread.in_rule, thread.flops = 0.0, True, 0
        n_bytes = _n_bytes(g, *_saved(node, index))  # now, since a pass that the rule runs may free what is saved
        given = None
        start = perf_counter()
        try:
            given = run()
        finally:
            seconds = perf_counter() - start
            n_bytes += _n_bytes(given)
            thread.add((node.op.name, node.scope, "backward"), seconds - thread.inner, n_bytes, thread.flops)
            thread.calls.append((node.order, True, seconds - thread.inner, n_bytes))
            thread.inner, thread.in_rule, thread.flops = outer
            thread.inner += seconds
            thread.scope = node.scope
        return given

    def around_pass(self, run: Callable[[], Any]) -> Any:
        return self._around(BETWEEN_RULES, 0, run)

    def around_step(self, name: str, n_bytes: int, run: Callable[[], None]) -> None:
        self._around((name, current_mode().scope, "update"), n_bytes, run)

    def _around(self, key: Key, n_bytes: int, run: Callable[[], Any]) -> Any:
        thread = self._local.thread
        outer, thread.inner = thread.inner, 0.0
        thread.depth += 1
        start = perf_counter()
        try:
            return run()
        finally:
            seconds = perf_counter() - start
            thread.add(key, seconds - thread.inner, n_bytes, 0)
            thread.inner = outer + seconds
            thread.depth -= 1
            if not thread.depth:
                thread.ended = None


_OPS_OF_THE_PASS = frozenset([add, astype, real, sum_to])
_MODULES_OF_THE_PASS = (gradients.__module__, Tensor.__module__)  # a Tensor's `.grad` is added to in the latter
_CALL = Op.__call__.__code__


def _called_by_the_pass() -> bool:
    """Whether it is the reverse pass itself that calls the op: to undo broadcasting, to cast, to add up gradients."""
    frame = sys._getframe(1)
    while frame.f_code is not _CALL and frame.f_back is not None:  # other observers may stand between
        frame = frame.f_back
    return frame.f_back is not None and frame.f_back.f_globals.get("__name__") in _MODULES_OF_THE_PASS


def _order_of(out: Any) -> int | None:
    """Of the node of the op that gave it; None where nothing was recorded."""
    if type(out) is Tensor:
        return None if out._node is None else out._node.order
    if type(out) is tuple:  # the op's node is the parent of those of its outputs
        return next((part._node.parents[0].order for part in out if type(part) is Tensor and part._node), None)
    return None


def _saved(node: Node, index: int | None) -> tuple:
    """The saved values that one rule of the node names."""
    for planned in node.plan.rules:
        if planned.input_index == index:
            return planned.pick(node.saved)
    return ()


def _n_bytes(*values: Any) -> int:
    """Of arrays, of Tensors, and of all in tuples; nothing else has any. A loop, since it runs for every call."""
    total = 0
    for value in values:
        if type(value) is np.ndarray:
            total += value.nbytes
        elif type(value) is Tensor:
            total += value.data.nbytes
        elif type(value) is tuple:
            total += _n_bytes(*value)
    return total


# ---------------------------------------------------------------------- counting operations


def _flops(op: Op, args: tuple, params: dict, out: Any) -> int:
    """Floating point operations of one call, two for a multiply-add; 0 where they are not counted."""
    count = _MULTIPLY_ADDS.get(op)
    if count is None or out is None:  # no out: it has failed
        return 0
    inputs, params = op.bind(args, params)
    first = out[0] if isinstance(out, tuple) else out
    return 2 * count([np.shape(value_of(x)) for x in inputs], np.shape(value_of(first)), params)


def _of_einsum(shapes: list, out: tuple, params: dict) -> int:
    """Every combination of the letters once, an axis of length 1 going with any length; a lone operand has none."""
    letters = params["subscripts"].split("->")[0].split(",")
    lengths: dict[str, int] = {}
    for part, shape in zip(letters, shapes, strict=True):
        lengths.update({c: n for c, n in zip(part, shape, strict=True) if lengths.get(c, 1) == 1})
    return prod(lengths.values()) if len(shapes) > 1 else 0


# from the shapes of inputs and (first) output, and parameters; a convolution has KH * KW * C / groups for each output
_MULTIPLY_ADDS: dict[Op, Callable[[list, tuple, dict], int]] = {
    conv2d: lambda shapes, out, params: prod(out) * prod(shapes[1][:3]),
    conv2d_grads: lambda shapes, out, params: 2 * prod(shapes[1]) * prod(shapes[2][:3]),
    conv2d_input_grad: lambda shapes, out, params: prod(shapes[0]) * prod(shapes[1][:3]),
    conv2d_weight_grad: lambda shapes, out, params: prod(shapes[1]) * prod(out[:3]),
    matmul: lambda shapes, out, params: prod(out) * shapes[0][-1],
    registry()["einsum"]: _of_einsum,
}
