"""`python -m benchmarks [name ...]`: measures the rows of rows.py in turns, prints a table, and writes JSON."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .machine import machine
from .measures import Settings, measure
from .processes import ROOT, Worker, removed_settings
from .report import cell, record, table, write
from .rows import ROWS

__all__ = ["main"]

_PEERS = ROOT / "benchmarks" / ".venv" / "bin" / "python"


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit status: 1 where a contestant failed, 0 else, whatever the ratios are."""
    options = _options(arguments)
    settings = _settings(options)
    about = _about(settings)
    records: list[dict[str, Any]] = []
    failures: list[str] = []
    for row in options.rows:
        start = time.perf_counter()
        results = measure(row, settings)
        for result in results.values():
            about["machine"] |= result.about
        records.append(record(row, results))
        failures += [f"{row.name}, {label}: {result.note}" for label, result in results.items() if result.failed]
        write(options.json, about, records)  # after each row, so that little is lost where one ends the run
        _say(f"{row.name}: {time.perf_counter() - start:.0f} s, {_medians(records[-1])}")
    print(table(about, records))
    _say(f"written to {options.json}", *failures)
    return 1 if failures else 0


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Ours and peers, measured in turns.")
    parser.add_argument("rows", nargs="*", metavar="name", help=f"what to measure, all if none: {', '.join(_names())}")
    parser.add_argument("--peers", type=_absolute, default=os.environ.get("IM2GRAD_PEERS", str(_PEERS)),
                        metavar="PYTHON",
                        help="the Python of the peers' environment (IM2GRAD_PEERS, or benchmarks/.venv/bin/python)")
    parser.add_argument("--rounds", type=_positive, help="turns of each contestant (11)")
    parser.add_argument("--tiny", action="store_true", help="once, at tiny sizes: tells that it works, not how fast")
    parser.add_argument("--json", type=_writable, default="out/benchmarks.json", metavar="FILE",
                        help="where all numbers go (out/benchmarks.json)")
    options = parser.parse_args(arguments)
    unknown = [name for name in options.rows if name not in _names()]
    if unknown:
        parser.error(f"no row is called {', '.join(unknown)}; there are {', '.join(_names())}")
    options.rows = [row for row in ROWS if row.name in (options.rows or _names())]
    return options


def _settings(options: argparse.Namespace) -> Settings:
    python = Path(sys.executable)
    if options.tiny:
        return Settings(python, options.peers, options.rounds or 1, seconds=0.0, pause=0.0, tiny=True)
    return Settings(python, options.peers, options.rounds or Settings.rounds)


def _names() -> list[str]:
    return [row.name for row in ROWS]


def _absolute(text: str) -> Path:
    """As seen from here, since contestants start in another folder; the links of an environment are kept."""
    return Path(text).absolute()


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a number of at least 1, but got {number}")
    return number


def _writable(text: str) -> Path:
    """Tried before measuring, so that no work is lost."""
    path = Path(text)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("ab").close()
    except OSError as error:
        raise argparse.ArgumentTypeError(f"cannot write {text}: {error.strerror}") from error
    return path


def _about(settings: Settings) -> dict[str, Any]:
    """The machine with the versions of ours, and how it is measured; those of peers come with their results."""
    with Worker("ours", settings.ours) as worker:
        versions = worker.about
    return {
        "machine": machine() | versions,
        "settings": {
            "rounds": settings.rounds, "seconds": settings.seconds, "pause": settings.pause, "tiny": settings.tiny,
            "removed from the environment": removed_settings(),
        },
    }


def _medians(found: dict[str, Any]) -> str:
    """What is seen while the rest is still being measured."""
    return ", ".join(f"{label} {cell(entrant, found['unit'])}" for label, entrant in found["entrants"].items())


def _say(*lines: str) -> None:
    print(*lines, sep="\n", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
