"""Finds what repeats: stretches of equal structure, one after another, where each works on what the one before gave.

Items get a number each, equal for those that look alike. A period shows as items that have the number of those
`period` places before; whether the stretches are also wired alike is then compared value by value.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from .reading import Call, Value

__all__ = ["Run", "Wiring", "find_runs", "look_of"]

_LONGEST_PERIOD = 256
_FEWEST_OPS = 6  # of a run without modules: two or three equal ops in a row are quicker read than a count
_COMPARISONS = 20  # for each item, at most: a graph that is alike everywhere and wired at random has nothing to find

Span = tuple[int, int]  # calls[start:stop]


class Run(NamedTuple):
    """items[start : start + period * times] repeat."""

    start: int
    period: int
    times: int


class Wiring:
    """Who makes and who uses each value, by the numbers of the calls in the order of the forward."""

    def __init__(self, calls: Sequence[Call]) -> None:
        self.calls = calls
        self.made_by: dict[Value, tuple[int, int]] = {}  # the call, and which of its outputs
        self.used_by: dict[Value, list[int]] = {}
        for i, call in enumerate(calls):
            self.made_by.update({value: (i, place) for place, (_, value) in enumerate(call.outputs)})
            for _, value in call.inputs:
                self.used_by.setdefault(value, []).append(i)

    def is_used_outside(self, value: Value, span: Span) -> bool:
        users = self.used_by.get(value, [span[0]])  # in ascending order
        return value.is_output or not span[0] <= users[0] <= users[-1] < span[1]

    def form(self, span: Span) -> tuple[list[Any], list[Value]]:
        """How the calls of a stretch are joined, without saying to what; and what comes in from outside."""
        joints: list[Any] = []
        outside: dict[Value, int] = {}
        for i in range(*span):
            for _, value in self.calls[i].inputs:
                maker, place = self.made_by.get(value, (-1, 0))
                if maker >= span[0]:
                    joints.append((i - maker, place))
                elif value.kind == "constant":
                    joints.append("constant")
                else:
                    joints.append((outside.setdefault(value, len(outside)), value.shape, value.dtype))
        return joints, list(outside)

    def chained(self, spans: Iterator[Span]) -> Iterator[Span]:
        """Of stretches that look alike, those from the first on that make a chain."""
        first = previous = next(spans)
        yield first
        joints: list[Any] | None = None
        sources: list[Any] | None = None
        for span in spans:
            if any(self.is_used_outside(value, (previous[0], span[1])) for value in self._results(previous)):
                return
            if joints is None:
                joints, given = self.form(first)
            form, outside = self.form(span)
            if form != joints:
                return
            found = [self._source(value, one, span, previous) for value, one in zip(outside, given, strict=True)]
            sources = found if sources is None else sources
            if found != sources or None in found or not any(type(source) is tuple for source in found):
                return
            yield span
            previous = span

    def _results(self, span: Span) -> Iterator[Value]:
        return (value for call in self.calls[span[0]:span[1]] for _, value in call.outputs)

    def _source(self, value: Value, of_first: Value, span: Span, previous: Span) -> Any:
        """Where a stretch takes it from: the one before, all the same, a leaf of its own; None for anything else."""
        maker, place = self.made_by.get(value, (-1, 0))
        if previous[0] <= maker < previous[1]:
            return maker - previous[0], place
        if value is of_first:
            return "shared"
        return "own" if maker < 0 and not self.is_used_outside(value, span) else None


def find_runs(looks: Sequence[Hashable], spans: Sequence[Span], are_modules: Sequence[bool],
              wiring: Wiring) -> list[Run]:
    """Runs of the shortest period that repeats at all, from left to right; [] where nothing does.

    looks        what each item looks like
    spans        the calls that it holds
    are_modules  whether it is a module, of which two are enough
    """
    numbers: dict[Hashable, int] = {}
    ids = np.array([numbers.setdefault(look, len(numbers)) for look in looks])
    budget = _COMPARISONS * len(ids)
    for period in range(1, min(len(ids) // 2, _LONGEST_PERIOD) + 1):
        runs: list[Run] = []
        for start, stop in _stretches(ids[period:] == ids[:-period], period):
            start = max(start, runs[-1].start + period * runs[-1].times if runs else 0)
            while start + period <= stop and budget > 0:
                units = ((spans[i][0], spans[i + period - 1][1]) for i in range(start, stop + 1, period))
                times = len(list(wiring.chained(units)))
                budget -= period * times
                enough = 2 if any(are_modules[start:start + period]) else max(3, -(-_FEWEST_OPS // period))
                if times >= enough:
                    runs.append(Run(start, period, times))
                start += period * times if times >= enough else 1
        if runs:
            return runs
    return []


def _stretches(same: np.ndarray, shortest: int) -> list[tuple[int, int]]:
    """(start, stop) of each stretch of True that is at least so long."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], same, [False]]).astype(np.int8)))
    return [(int(start), int(stop)) for start, stop in edges.reshape(-1, 2) if stop - start >= shortest]


def look_of(call: Call) -> Hashable:
    """What a call looks like: op, parameters, shapes. Which part getitem takes may differ from step to step."""
    params = tuple((name, repr(value)) for name, value in call.params.items() if name != "key")
    return call.op, params, tuple((value.shape, value.dtype) for _, value in call.outputs)
