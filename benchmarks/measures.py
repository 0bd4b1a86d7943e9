"""How a row is measured: its entrants take turns, A B C A B C, so that what slows the machine down slows all.

A row's `measure` is one of

    time                     each process lives as long as the row; a turn is the median time of some steps
    peak_above_interpreter   a fresh process in each turn: the most memory that it had while it did some steps,
                             less the most that it had before it imported anything
    peak_above_imports       the same, less the most that it had when everything was imported
    result                   a fresh process in each turn: the number that a step gives
    program                  the time that a whole process takes to run a line of Python
"""

from __future__ import annotations

import math
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from .processes import CONTESTANTS, PATIENCE, MissingError, Worker, WorkerError, environment
from .rows import OURS, Entrant, Row

__all__ = ["Result", "Settings", "measure"]

_TOLERANCE = 1e-3  # relative, for what float32 gives in different orders of summation


@dataclass(frozen=True)
class Settings:
    """With what and for how long.

    ours, peers  the Pythons of the two environments
    rounds       how many turns each entrant has, unless a row says fewer
    seconds      how long a turn measures; it takes one step at least
    pause        seconds between turns, in which the last one's threads stop waiting for more work
    tiny         whether rows take their tiny sizes
    """

    ours: Path
    peers: Path
    rounds: int = 11
    seconds: float = 1.0
    pause: float = 0.2
    tiny: bool = False

    def python(self, contestant: str) -> Path:
        return self.ours if contestant == "ours" else self.peers


@dataclass
class Result:
    """What was found about an entrant: a sample for each round, or a note why there is none."""

    samples: list[float] = field(default_factory=list)
    note: str = ""
    failed: bool = False  # where the note is of more than a missing package
    about: dict[str, str] = field(default_factory=dict)
    facts: dict[str, Any] | None = None

    @contextmanager
    def or_note(self) -> Iterator[None]:
        """An entrant that cannot take part, or fails on the way, leaves the others in the race."""
        try:
            yield
        except (MissingError, WorkerError) as error:
            self.samples = []
            self.note = str(error)
            self.failed = isinstance(error, WorkerError)


def measure(row: Row, settings: Settings) -> dict[str, Result]:
    """The results of all entrants by label. Raises ValueError where they turn out to do different work."""
    results = {entrant.label: Result() for entrant in row.entrants}
    turns: dict[str, Callable[[], float]] = {}
    with ExitStack() as running:
        for entrant in row.entrants:
            with results[entrant.label].or_note():
                turns[entrant.label] = _turn(row, entrant, settings, results[entrant.label], running)
        for _ in range(min(settings.rounds, row.most_rounds or settings.rounds)):
            for label, turn in turns.items():
                result = results[label]
                if not result.note:
                    time.sleep(settings.pause)
                    with result.or_note():
                        result.samples.append(turn())
            _check_that_all_do_the_same(row, results)
    return results


def _turn(row: Row, entrant: Entrant, settings: Settings, result: Result, running: ExitStack) -> Callable[[], float]:
    """A function that gives one measurement; processes that live as long as the row are left to `running`."""
    arguments = {**row.arguments, **entrant.arguments, **(row.tiny if settings.tiny else {})}

    @contextmanager
    def prepared() -> Iterator[Worker]:
        with Worker(entrant.contestant, settings.python(entrant.contestant)) as worker:
            result.about = worker.about
            result.facts = worker.ask("prepare", kind=row.kind, arguments=arguments)
            yield worker

    def in_a_fresh_process() -> float:
        with prepared() as worker:
            return worker.ask(row.measure)["value"]

    if row.measure == "program":
        return _program(arguments["program"], settings)
    if row.measure != "time":
        return in_a_fresh_process
    lasting = running.enter_context(prepared())
    divisor = arguments[row.per] if row.per else 1
    return lambda: lasting.ask("time", seconds=settings.seconds)["value"] / divisor


def _program(program: str, settings: Settings) -> Callable[[], float]:
    def run() -> float:
        before = time.perf_counter()
        subprocess.run([settings.ours, "-c", program], check=True, cwd=CONTESTANTS, env=environment("ours"),
                       timeout=PATIENCE)
        return time.perf_counter() - before

    run()  # not measured: the first time, files are read from the disk and .pyc files are written
    return run


def _check_that_all_do_the_same(row: Row, results: dict[str, Result]) -> None:
    """Peers are held against ours: as many parameters, or the same results."""
    expected = results[OURS].facts
    for entrant in row.entrants:
        facts = results[entrant.label].facts
        if entrant.contestant == "ours" or facts is None or expected is None:
            continue
        for name in expected:
            if not _equal(facts.get(name), expected[name]):
                raise ValueError(f"{row.name}: {entrant.label} has {name} {facts.get(name)}, ours has "
                                 f"{expected[name]}; make contestants/{entrant.contestant}.py do the same work")


def _equal(found: Any, expected: Any) -> bool:
    if isinstance(expected, list):
        return isinstance(found, list) and len(found) == len(expected) and all(map(_equal, found, expected))
    if isinstance(expected, float):
        return isinstance(found, float) and math.isclose(found, expected, rel_tol=_TOLERANCE)
    return found == expected
