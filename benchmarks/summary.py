"""Numbers that stand for many measurements: the median, with the quartiles as its spread."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median, quantiles

__all__ = ["Ratio", "Summary", "ratio", "summarize"]


@dataclass(frozen=True)
class Summary:
    """The median of some numbers, and the quartiles below and above it."""

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Ratio:
    """Ours divided by a peer's: of the two medians, and what the ratios of the single rounds are like."""

    of_medians: float
    by_round: Summary


def summarize(samples: Sequence[float]) -> Summary:
    """The median and the quartiles, interpolated in a straight line (Hyndman and Fan's type 7, NumPy's default).

    >>> summarize([4.0, 1.0, 2.0, 3.0, 10.0])
    Summary(median=3.0, low=2.0, high=4.0)
    """
    if not samples:
        raise ValueError("summarize: expected at least one number, got none")
    if len(samples) == 1:
        return Summary(samples[0], samples[0], samples[0])
    low, middle, high = quantiles(samples, n=4, method="inclusive")
    return Summary(middle, low, high)


def ratio(ours: Sequence[float], peer: Sequence[float]) -> Ratio:
    """What was measured in turns, compared. The ratios by round leave out what slows both down for a while.

    >>> ratio([1.0, 2.0, 6.0], [2.0, 4.0, 6.0])
    Ratio(of_medians=0.5, by_round=Summary(median=0.5, low=0.5, high=0.75))
    """
    if len(ours) != len(peer):
        raise ValueError(f"ratio: expected as many rounds of ours as of the peer, got {len(ours)} and {len(peer)}")
    by_round = summarize([a / b for a, b in zip(ours, peer, strict=True)])
    return Ratio(median(ours) / median(peer), by_round)
