"""What gradcheck found: true or false, and readable."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Mismatch", "Report"]


@dataclass(frozen=True)
class Mismatch:
    """The worst comparison for one input: the one with the largest error in units of its tolerance.

    order      1: the gradient itself; 2: the gradient of the gradient, and so on
    where      "input 0 (2, 3)", "cotangent 0 (2, 3)" or "random direction 1"
    index      of the element; None for a direction
    analytic   what the backward rules gave
    numeric    the central difference
    error, tolerance   |analytic - numeric|, and what was allowed
    checked    how many comparisons this is the worst of, and of how many possible
    """

    order: int
    where: str
    index: tuple[int, ...] | None
    analytic: complex
    numeric: complex
    error: float
    tolerance: float
    checked: tuple[int, int]

    @property
    def ok(self) -> bool:
        """True where the error is within the tolerance (a NaN is not)."""
        return self.error <= self.tolerance

    def __str__(self) -> str:
        place = f" at {self.index}" if self.index is not None else ""
        part = "" if self.checked[0] == self.checked[1] else f"  ({self.checked[0]} of {self.checked[1]} checked)"
        return (f"{'ok  ' if self.ok else 'FAIL'} order {self.order}, {self.where}: worst{place}: "
                f"analytic {self.analytic:.9g}, numeric {self.numeric:.9g}, "
                f"error {self.error:.2g} (tolerance {self.tolerance:.2g}){part}")


@dataclass
class Report:
    """The outcome of a gradcheck: `bool(report)` is the verdict, `print(report)` says why.

    `worst` holds the worst comparison of each input and direction at each order, first the failed ones.
    """

    name: str
    worst: list[Mismatch] = field(default_factory=list)

    def __bool__(self) -> bool:
        return all(mismatch.ok for mismatch in self.worst)

    @property
    def failed(self) -> list[Mismatch]:
        """Those that are out of tolerance."""
        return [mismatch for mismatch in self.worst if not mismatch.ok]

    def __str__(self) -> str:
        verdict = "passed" if self else f"FAILED ({len(self.failed)} of {len(self.worst)} comparisons)"
        rows = sorted(self.worst, key=lambda mismatch: mismatch.ok)
        return "\n".join([f"gradcheck of {self.name}: {verdict}", *(f"  {row}" for row in rows)])

    __repr__ = __str__
