"""profile(): where the time goes, by op or by scope, forward and backward apart.

An observer (timing.py) takes the time around every call of an op and of a rule, every reverse pass and every
optimizer's step; the rows and what lies between them make up the wall time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from itertools import chain
from time import perf_counter
from typing import NamedTuple

from ..graph import observe
from .timing import BETWEEN_OPS, BETWEEN_RULES, Key, Sums, Timer

__all__ = ["NodeCost", "Profile", "Row", "profile"]

_HEADINGS = ("direction", "calls", "ms", "share", "MiB", "GFLOP/s")


class Row(NamedTuple):
    """All calls of one op or optimizer, or within one scope, in one direction."""

    op: str | None  # or "Adam.step"; None in a row of `by_scope`
    scope: str | None  # None in a row of `rows`; "" where there was no scope
    direction: str  # "forward", "backward" (the op's rules), or "update" (an optimizer's step)
    calls: int  # of the op or step, or of the op's rules, one for each input that needs a gradient
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

    rows           a Row for each op and direction, and for each optimizer's steps, most time first
    by_scope       a Row for each scope and direction, most time first
    seconds        wall time of the block
    between        seconds of it that are in no row: the sum of the next three
    between_ops    seconds from the end of an op to the next, with no reverse pass and no step in between: the Python of
                   modules and losses, and all that the user's own code does there
    between_rules  seconds of reverse passes besides their rules: the engine itself, and hooks
    outside        seconds of the rest: before the first op, after the last, around reverse passes and steps
    by_node        a NodeCost for each node, by `node.order`, so that `ag.draw(y, colour=report)` can colour what led
                   to y

    `by_node` has the last 65,536 calls of each thread: numbers alone, some 10 MB where it is full. To note them takes
    about 0.2 microseconds a call.
    """

    def __init__(self) -> None:
        self._timer = Timer()
        self._start = perf_counter()
        self._ended: tuple[float, Sums, list[tuple]] | None = None

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
    def between_ops(self) -> float:
        return _seconds_of(BETWEEN_OPS, self._sums)

    @property
    def between_rules(self) -> float:
        return _seconds_of(BETWEEN_RULES, self._sums)

    @property
    def outside(self) -> float:
        return self.between - self.between_ops - self.between_rules

    @property
    def rows(self) -> list[Row]:
        return _rows(self._sums, by="op")

    @property
    def by_scope(self) -> list[Row]:
        return _rows(self._sums, by="scope")

    @property
    def by_node(self) -> dict[int, NodeCost]:
        costs: dict[int, list] = {}
        for order, is_rule, seconds, n_bytes in self._ended[2] if self._ended else self._timer.calls():
            cost = costs.setdefault(order, [0.0, 0, 0.0, 0])
            cost[2 * is_rule] += seconds
            cost[2 * is_rule + 1] += n_bytes
        return {order: NodeCost(*cost) for order, cost in costs.items()}

    @property
    def _sums(self) -> Sums:
        return self._ended[1] if self._ended else self._timer.sums()

    def table(self, by: str = "op") -> str:
        """The rows by "op" or by "scope" as text, what lies between them, and the wall time that they add up to.

        Raises ValueError for another `by`.
        """
        if by not in ("op", "scope"):
            raise ValueError(f'table: by must be "op" or "scope", got {by!r}')
        found, wall = self._sums, self.seconds  # each once: within the block time goes on
        rows = [_cells(row, wall) for row in _rows(found, by)] or [("no op was called", *[""] * 6)]
        outside = wall - sum(seconds for _, (_, seconds, *_) in found)
        between = [
            _time_line("between ops", "forward", _seconds_of(BETWEEN_OPS, found), wall),
            _time_line("between rules", "backward", _seconds_of(BETWEEN_RULES, found), wall),
            _time_line("outside", "", outside, wall),
        ]
        text = _in_columns([[(by, *_HEADINGS)], rows, between, [_time_line("total", "", wall, wall)]])
        return text if self._ended else f"so far, as the block has not ended:\n{text}"

    def __str__(self) -> str:
        return self.table()

    __repr__ = __str__


def _rows(found: Sums, by: str) -> list[Row]:
    """By "op" or by "scope", and by direction; most time first."""
    groups: dict[tuple, list[tuple]] = {}
    for key, sums in found:
        if key not in (BETWEEN_OPS, BETWEEN_RULES):
            op, scope, direction = key
            groups.setdefault((op, None, direction) if by == "op" else (None, scope, direction), []).append(sums)
    rows = [Row(*group, *map(sum, zip(*of_group, strict=True))) for group, of_group in groups.items()]
    return sorted(rows, key=lambda row: row.seconds, reverse=True)


def _seconds_of(key: Key, found: Sums) -> float:
    return sum(sums[1] for other, sums in found if other == key)


def _cells(row: Row, wall: float) -> tuple[str, ...]:
    name = row.op if row.scope is None else row.scope or "(no scope)"
    speed = "-" if row.gflops is None else f"{row.gflops:,.1f}"
    return (name or "", row.direction, f"{row.calls:,}", *_time_cells(row.seconds, wall),
            f"{row.bytes / 2**20:,.2f}", speed)


def _time_line(name: str, direction: str, seconds: float, wall: float) -> tuple[str, ...]:
    return (name, direction, "", *_time_cells(seconds, wall), "", "")


def _time_cells(seconds: float, wall: float) -> tuple[str, str]:
    return f"{seconds * 1e3:,.2f}", f"{seconds / wall if wall else 0:.1%}"


def _in_columns(parts: list[list[tuple[str, ...]]]) -> str:
    """Names to the left, numbers to the right, and a rule between one part of the table and the next."""
    widths = [max(map(len, column)) for column in zip(*chain(*parts), strict=True)]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    return f"\n{rule}\n".join("\n".join(_line(cells, widths) for cells in part) for part in parts)


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    padded = (cell.ljust(width) if i < 2 else cell.rjust(width)
              for i, (cell, width) in enumerate(zip(cells, widths, strict=True)))
    return "  ".join(padded).rstrip()


def profile() -> AbstractContextManager[Profile]:
    """Inside `with profile() as report:` the time of all that is done is taken; `print(report)` is the table.

    `print(report.table(by="scope"))` shows the same by module, and `report.rows` and `report.by_scope` have the
    numbers. A row of an op's rules ("backward") holds all that the rules call, at every order. An op that another
    op's forward calls, and a backward pass that a rule runs (`checkpoint`), have rows of their own, and their time
    is taken off the one around them. What the reverse pass calls itself, as `sum_to` to undo broadcasting, is
    backward, too. `conv_transpose2d` is `conv2d_input_grad` and an `add`. The steps of an optimizer of `nn.optim` are a
    row of direction "update".

    What is in no row stands in three lines. "between ops" is the time from the end of an op to the next, where neither
    a reverse pass nor a step comes between: the Python of modules and losses, but also your own code and the data that
    you load there, as between two batches of an evaluation, which look the same from here. "between rules" is what
    reverse passes take besides their rules: the engine itself, and hooks. "outside" is the rest: your code and the data
    before the first op, after the last, and around reverse passes and steps.

    calls    of an op, or of its rules: one for each input that needs a gradient, a joint rule counting once
    ms       self time; all lines together are the wall time of the block exactly
    share    of the wall time
    MiB      of the arrays that an op was given and gave, or that a rule was given (the cotangent, the saved values that
             it names) and gave: what their `nbytes` say, whether a kernel reads them once, often or, as for a view,
             not at all; scratch memory and Python numbers do not count. Of a step: gradients once, parameters and the
             optimizer's own arrays, which are read and written, twice
    GFLOP/s  1e9 operations per second in the products `matmul` (and `dot`), `einsum`, `conv2d` and its gradients, also
             where rules call them, two for each multiply-add of the textbook's loops, taps on padding included, also
             where a faster algorithm does fewer; "-" where there are none

    Watching costs two to three microseconds a call, which show in the lines "between" where arrays are small. Ops in
    another thread are seen where it runs in a copy of this context. The times of threads that ran at once add up to
    more than the wall time, so that less than nothing can be left "outside". Profiles nest, and each counts for
    itself. Where the block raises, the report tells what was done up to then.

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
