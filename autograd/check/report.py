"""What gradcheck found: true or false, and why, as text and for a notebook."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

from .causes import Cause
from .html_report import as_html
from .sweeps import Sweep

__all__ = ["Comparison", "OpVerdict", "Report"]


@dataclass(frozen=True)
class Comparison:
    """The worst comparison for one input or direction: of those that are wrong, else of all.

    order      1: the gradient itself; 2: the gradient of the gradient, and so on
    where      "input 0 (2, 3)", "cotangent 0 (2, 3)", "random direction 1", "input 0 (2, 3) in float32"
    index      of the element; None for a direction
    analytic   what the backward rules gave
    numeric    what was measured; `labels` says what the two are where they are something else
    error, tolerance   |analytic - numeric|, and what was allowed
    checked    how many comparisons this is the worst of, and of how many possible
    wrong      how many of them are out of tolerance
    kinks      how many of them are at a kink, where anything between the two slopes is right
    how, why   how the numeric value was found, and why the tolerance is what it is
    note       what else there is to say
    cause      the likely cause, if it is wrong
    """

    order: int
    where: str
    index: tuple[int, ...] | None
    analytic: complex
    numeric: complex
    error: float
    tolerance: float
    checked: tuple[int, int]
    wrong: int = 0
    kinks: int = 0
    how: str = ""
    why: str = ""
    note: str = ""
    cause: Cause | None = None
    labels: tuple[str, str] = ("analytic", "numeric")

    @property
    def ok(self) -> bool:
        """True where the error is within the tolerance (a NaN is not)."""
        return self.error <= self.tolerance

    @property
    def relative(self) -> float:
        """The error as a share of the larger of the two values; 0 where both are 0."""
        size = max(abs(self.analytic), abs(self.numeric))
        return self.error / size if size else 0.0

    @property
    def verdict(self) -> str:
        """"right", "at a kink" or "wrong"."""
        if not self.ok:
            return "wrong"
        return "at a kink" if self.kinks else "right"

    @property
    def place(self) -> str:
        """Where the worst element is."""
        return self.where + ("" if self.index is None else f" at {self.index}")

    @property
    def share(self) -> str:
        """How many were looked at, are wrong and are at a kink, as far as there is something to say."""
        looked, possible = self.checked
        parts = [f"{looked} of {possible} checked"] if looked != possible else []
        parts += [f"{self.wrong} of {looked} wrong"] if self.wrong and looked > 1 else []
        parts += [f"{self.kinks} of {looked} at a kink"] if self.kinks else []
        return ", ".join(parts)

    def __str__(self) -> str:
        if self.ok:
            first, second = self.labels
            share = f"  ({self.share})" if self.share else ""
            return (f"{'kink' if self.kinks else 'ok  '} order {self.order}, {self.where}: worst"
                    f"{'' if self.index is None else f' at {self.index}'}: {first} {self.analytic:.9g}, "
                    f"{second} {self.numeric:.9g}, error {self.error:.2g} (tolerance {self.tolerance:.2g}){share}"
                    + (f"\n     {self.note}" if self.note else ""))
        rows = [f"FAIL order {self.order}, {self.place}" + (f"  ({self.share})" if self.share else "")]
        return "\n     ".join(rows + [f"{name:<10} {text}" for name, text in self.lines()])

    def lines(self) -> list[tuple[str, str]]:
        """All there is to tell, as (name, text)."""
        first, second = self.labels
        given = "what the backward rules gave" if first == "analytic" else ""
        found = [(first, _value(self.analytic, given)), (second, _value(self.numeric, self.how)),
                 ("error", f"{self.error:.3g}, relative {self.relative:.3g}"),
                 ("tolerance", _value(self.tolerance, self.why, 3))]
        return [*found, *([("note", self.note)] if self.note else []),
                *([("cause", f"likely {self.cause}")] if self.cause else [])]


@dataclass(frozen=True)
class OpVerdict:
    """Whether the rules of one call of an op are right, checked alone.

    op, scope  of the call
    call       its number among the calls of this op in this scope, from 0, in the order of the forward, counting
               those that lead to the outputs
    verdict    "right", "at a kink", "wrong" or "not checked"
    cause      what is wrong, and for which of its inputs; "" where nothing is
    """

    op: str
    scope: str
    call: int
    verdict: str
    cause: str = ""

    def __str__(self) -> str:
        scope = f" in scope {self.scope!r}" if self.scope else ""
        number = f" (call {self.call + 1})" if self.call else ""
        return f"{self.op}{number}{scope}: {self.verdict}" + (f", {self.cause}" if self.cause else "")


@dataclass
class Report:
    """The outcome of a gradcheck: `bool(report)` is the verdict, `print(report)` says why.

    `comparisons` holds the worst one of each input and direction at each order; `failed` those out of tolerance,
    `cause` the likely cause of the first, `by_op` a verdict for every call of an op, and `sweep()` the error over the
    steps of the differences. A notebook shows it as a table.
    """

    name: str
    comparisons: list[Comparison] = field(default_factory=list)
    order: int = 1  # that was asked for
    missed: str = ""  # what this check could not see
    _judge: Callable[[], list[OpVerdict]] = field(default=list, repr=False)
    _sweep: Callable[[Comparison | None], Sweep] | None = field(default=None, repr=False)

    def __bool__(self) -> bool:
        return all(row.ok for row in self.comparisons)

    @property
    def failed(self) -> list[Comparison]:
        """Those that are out of tolerance."""
        return [row for row in self.comparisons if not row.ok]

    @property
    def cause(self) -> Cause | None:
        """The likely cause of the failure; None where nothing failed."""
        causes = [row.cause for row in self.failed if row.cause]
        return next((cause for cause in causes if cause.name != "unknown"), causes[0] if causes else None)

    @cached_property
    def by_op(self) -> list[OpVerdict]:
        """A verdict for each call of an op that leads to the outputs, each checked alone; worked out when asked for."""
        return self._judge()

    def sweep(self, comparison: Comparison | None = None) -> Sweep:
        """The error for every step of a difference: of the given comparison, else of the first that failed.

        Where nothing failed it is that of the first random direction. Raises ValueError for a comparison of
        another report or one that is no difference.
        """
        if self._sweep is None:
            raise ValueError("sweep: this report was not made by gradcheck, so there is nothing to measure")
        return self._sweep(comparison or next(iter(self.failed), None))

    def __str__(self) -> str:
        rows = sorted(self.comparisons, key=lambda row: row.ok)
        found = [verdict for verdict in self.by_op if verdict.verdict == "wrong"] if not self else []
        lines = [self.headline, *(str(row) for row in rows), *(f"found in {verdict}" for verdict in found)]
        lines += [f"note: {text}" for text in (self.unchecked, self.missed) if text]
        return "\n  ".join(line.replace("\n", "\n  ") for line in lines)

    __repr__ = __str__

    @property
    def headline(self) -> str:
        """The verdict in one line."""
        if not self:
            return f"gradcheck of {self.name}: FAILED ({len(self.failed)} of {len(self.comparisons)} comparisons)"
        kinks = sum(row.kinks for row in self.comparisons if row.index is not None and row.order == 1)
        return f"gradcheck of {self.name}: passed" + (f" ({kinks} elements at a kink)" if kinks else "")

    @property
    def unchecked(self) -> str:
        """Which orders were left out since one before them is wrong."""
        last = max((row.order for row in self.comparisons), default=self.order)
        if self or last == self.order:
            return ""
        return f"order {last + 1} was not looked at, since order {last} is wrong"

    def _repr_html_(self) -> str:
        return as_html(self)


def _value(number: complex, about: str, digits: int = 9) -> str:
    text = f"{number:.{digits}g}"
    return f"{text:<18} {about}" if about else text
