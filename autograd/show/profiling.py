"""profile(): where the time goes, by op or by scope, forward and backward apart.

An observer takes the time around every call of an op and of a rule. Time is *self* time: what has a row of
its own is taken off the call around it, so that nothing is counted twice and the rows and what lies between
them make up the wall time. Numbers are all that is kept, never an array or a node.
"""

from __future__ import annotations

import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from math import prod
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from ..backward import gradients
from ..graph import Node, Observer, current_mode, observe
from ..op import Op
from ..ops import registry
from ..ops.conv import conv2d, conv2d_grads, conv2d_input_grad, conv2d_weight_grad
from ..ops.elementwise import add, astype, real
from ..ops.linalg import matmul
from ..ops.shape import sum_to
from ..tensor import Tensor, value_of

__all__ = ["NodeCost", "Profile", "Row", "profile"]

_Key = tuple[str, str, str]  # op, scope, direction
_REMEMBERED = 65_536  # calls of each thread that are known one by one: some 10 MB, however long the block runs
_HEADINGS = ("direction", "calls", "ms", "share", "MiB", "GFLOP/s")


class Row(NamedTuple):
    """All calls of one op, or within one scope, in one direction."""

    op: str | None  # None in a row of `by_scope`
    scope: str | None  # None in a row of `rows`; "" where there was no scope
    direction: str  # "forward", or "backward": the op's rules
    calls: int  # of the op, or of its rules, one for each input that needs a gradient
    seconds: float  # self time
    bytes: int  # of the arrays that went in and came out
    flops: int  # floating point operations in products; 0 where there are none

    @property
    def gflops(self) -> float | None:
        """GFLOP/s, 1e9 operations per second; None where no products are counted."""
        return self.flops / self.seconds / 1e9 if self.flops and self.seconds else None


class NodeCost(NamedTuple):
    """What one call of an op took, and what its rules took."""

    seconds: float = 0.0  # self time
    bytes: int = 0  # of the arrays that went in and came out
    rule_seconds: float = 0.0
    rule_bytes: int = 0


class Profile:
    """What `ag.profile` found; `print` shows it as a table. Within the block it tells what is known so far.

    rows      a Row for each op and direction, most time first
    by_scope  a Row for each scope and direction, most time first
    seconds   wall time of the block
    between   seconds of it that lie between ops: Python, the engine's own bookkeeping, the optimizer, the data
    by_node   a NodeCost for each node, by `node.order`, so that `ag.draw(y, colour=report)` can colour what led to y

    `by_node` has the last 65,536 calls of each thread: numbers alone, some 10 MB where it is full. To note them takes
    about 0.2 microseconds a call.
    """

    def __init__(self) -> None:
        self._timer = _Timer()
        self._start = perf_counter()
        self._ended: tuple[float, list[tuple[_Key, tuple]], list[tuple]] | None = None

    def _end(self) -> None:
        seconds = perf_counter() - self._start
        # a thread may go on in a copy of the context: that is not counted
        self._ended = seconds, self._timer.sums(), self._timer.calls()

    @property
    def seconds(self) -> float:
        return self._ended[0] if self._ended else perf_counter() - self._start

    @property
    def between(self) -> float:
        return self.seconds - sum(row.seconds for row in self.rows)

    @property
    def rows(self) -> list[Row]:
        return self._rows(lambda op, scope, direction: (op, None, direction))

    @property
    def by_scope(self) -> list[Row]:
        return self._rows(lambda op, scope, direction: (None, scope, direction))

    @property
    def by_node(self) -> dict[int, NodeCost]:
        costs: dict[int, list] = {}
        for order, is_rule, seconds, n_bytes in self._ended[2] if self._ended else self._timer.calls():
            cost = costs.setdefault(order, [0.0, 0, 0.0, 0])
            cost[2 * is_rule] += seconds
            cost[2 * is_rule + 1] += n_bytes
        return {order: NodeCost(*cost) for order, cost in costs.items()}

    def _rows(self, group: Callable[[str, str, str], tuple]) -> list[Row]:
        groups: dict[tuple, list[tuple]] = {}
        for key, sums in self._ended[1] if self._ended else self._timer.sums():
            groups.setdefault(group(*key), []).append(sums)
        rows = [Row(*key, *map(sum, zip(*found, strict=True))) for key, found in groups.items()]
        return sorted(rows, key=lambda row: row.seconds, reverse=True)

    def table(self, by: str = "op") -> str:
        """The rows by "op" or by "scope" as text, what lies between ops, and the wall time that they add up to.

        Raises ValueError for another `by`.
        """
        if by not in ("op", "scope"):
            raise ValueError(f'table: by must be "op" or "scope", got {by!r}')
        rows, wall = self.rows if by == "op" else self.by_scope, self.seconds
        lines = [_cells(row, wall) for row in rows] or [("no op was called", *[""] * 6)]
        between = wall - sum(row.seconds for row in rows)  # not self.between: within the block time goes on
        lines.append(("between ops", "", "", *_time_cells(between, wall), "", ""))
        lines.append(("total", "", "", *_time_cells(wall, wall), "", ""))
        text = _in_columns([(by, *_HEADINGS), *lines])
        return text if self._ended else f"so far, as the block has not ended:\n{text}"

    def __str__(self) -> str:
        return self.table()

    __repr__ = __str__


def _cells(row: Row, wall: float) -> tuple[str, ...]:
    name = row.op if row.scope is None else row.scope or "(no scope)"
    speed = "-" if row.gflops is None else f"{row.gflops:,.1f}"
    return (name or "", row.direction, f"{row.calls:,}", *_time_cells(row.seconds, wall),
            f"{row.bytes / 2**20:,.2f}", speed)


def _time_cells(seconds: float, wall: float) -> tuple[str, str]:
    return f"{seconds * 1e3:,.2f}", f"{seconds / wall if wall else 0:.1%}"


def _in_columns(lines: list[tuple[str, ...]]) -> str:
    """Names to the left, numbers to the right; a line under the head and one over the total."""
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    head, *body, total = [
        "  ".join(cell.ljust(width) if i < 2 else cell.rjust(width)
                  for i, (cell, width) in enumerate(zip(line, widths, strict=True))).rstrip()
        for line in lines
    ]
    rule = "-" * max(map(len, (head, *body, total)))
    return "\n".join([head, rule, *body, rule, total])


def profile() -> AbstractContextManager[Profile]:
    """Inside `with profile() as report:` the time of every op and rule is taken; `print(report)` is the table.

    `print(report.table(by="scope"))` shows the same by module, and `report.rows` and `report.by_scope` have the
    numbers. A row of an op's rules ("backward") holds all that the rules call, at every order. An op that another
    op's forward calls, and a backward pass that a rule runs (`checkpoint`), have rows of their own, and their time
    is taken off the one around them. What the reverse pass calls itself, as `sum_to` to undo broadcasting, is
    backward, too. `conv_transpose2d` is `conv2d_input_grad` and an `add`.

    calls    of an op, or of its rules: one for each input that needs a gradient, a joint rule counting once
    ms       self time; with "between ops" it adds up to the wall time of the block exactly
    share    of the wall time
    MiB      of the arrays that an op was given and gave, or that a rule was given (the cotangent, the saved values that
             it names) and gave: what their `nbytes` say, whether a kernel reads them once, often or, as for a view,
             not at all; scratch memory and Python numbers do not count
    GFLOP/s  1e9 operations per second in the products `matmul` (and `dot`), `einsum`, `conv2d` and its gradients, also
             where rules call them, two for each multiply-add of the textbook's loops, taps on padding included, also
             where a faster algorithm does fewer; "-" where there are none

    Watching costs two to three microseconds a call, which shows where arrays are small. Ops in another thread are
    seen where it runs in a copy of this context. The times of threads that ran at once add up to more than the wall
    time, so that less than nothing can be left "between ops". Profiles nest, and each counts for itself. Where the
    block raises, the report tells what was done up to then.

    >>> import autograd as ag, numpy as np
    >>> x, w = np.ones((1, 8, 8, 3), np.float32), ag.Tensor(np.ones((3, 3, 3, 16)), requires_grad=True)
    >>> with ag.profile() as report:
    ...     ag.relu(ag.conv2d(x, w)).sum().backward()
    >>> sorted((row.op, row.direction, row.calls, row.flops) for row in report.rows)[:2]
    [('conv2d', 'backward', 1, 31104), ('conv2d', 'forward', 1, 31104)]
    """
    return _profile()


@contextmanager
def _profile() -> Iterator[Profile]:
    report = Profile()
    with observe(report._timer):
        try:
            yield report
        finally:
            report._end()


# ---------------------------------------------------------------------- taking the time


class _Thread:
    """What one thread has done: what is inside of what is a matter of one thread, and none waits for another.

    sums     calls, seconds, bytes and flops by key
    calls    (order of the node, whether it was a rule, seconds, bytes) of the latest calls
    inner    seconds, within the call that is open, of calls with rows of their own
    in_rule  whether a rule is open, of which the ops called now are a part
    flops    of the ops that the open rule has called
    scope    of the rule that was called last
    """

    __slots__ = ("calls", "flops", "in_rule", "inner", "scope", "sums")

    def __init__(self) -> None:
        self.sums: dict[_Key, list] = {}
        self.calls: deque[tuple[int, bool, float, int]] = deque(maxlen=_REMEMBERED)
        self.inner = 0.0
        self.in_rule = False
        self.flops = 0
        self.scope = ""

    def add(self, key: _Key, seconds: float, n_bytes: int, flops: int) -> None:
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


class _Timer(Observer):
    def __init__(self) -> None:
        self._threads: list[_Thread] = []
        self._local = _Local(self._threads)

    def sums(self) -> list[tuple[_Key, tuple]]:
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
        out = None
        start = perf_counter()
        try:
            out = run()
        finally:
            seconds = perf_counter() - start
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
