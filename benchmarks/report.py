"""What was measured, as a table in Markdown and as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from .measures import Result
from .rows import OURS, Comparison, Row
from .summary import ratio, summarize

__all__ = ["cell", "record", "table", "write"]

_UNITS = {"s": (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)), "B": (("GiB", 2.0**30), ("MiB", 2.0**20), ("KiB", 2.0**10))}
_HEADER = """\
| name | work | ours | against | theirs | ratio | by round | wanted (aim) | reached |
|---|---|---|---|---|---|---|---|---|"""


def record(row: Row, results: dict[str, Result]) -> dict[str, Any]:
    """A row as it stands in the JSON file: each entrant's samples and spread, each comparison's ratio."""
    return {
        "name": row.name,
        "work": row.work,
        "unit": row.unit,
        "entrants": {label: _entrant(result) for label, result in results.items()},
        "comparisons": [_comparison(comparison, results) for comparison in row.comparisons],
    }


def _entrant(result: Result) -> dict[str, Any]:
    if result.note:
        return {"note": result.note}
    return {**asdict(summarize(result.samples)), "samples": result.samples}


def _comparison(comparison: Comparison, results: dict[str, Result]) -> dict[str, Any]:
    """Ours against the fastest, or the smallest, of those that were measured."""
    found: dict[str, Any] = {"against": comparison.against, "wanted": comparison.wanted, "aim": comparison.aim}
    measured = [label for label in comparison.entrants if results[label].samples]
    if not measured or not results[OURS].samples:
        notes = [results[label].note for label in (OURS, *comparison.entrants) if results[label].note]
        return found | {"note": notes[0]}
    best = min(measured, key=lambda label: summarize(results[label].samples).median)
    return found | {"best": best, "ratio": asdict(ratio(results[OURS].samples, results[best].samples))}


def write(path: Path, about: dict[str, Any], records: list[dict[str, Any]]) -> None:
    """Writes everything as JSON."""
    path.write_text(json.dumps({**about, "rows": records}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def table(about: dict[str, Any], records: list[dict[str, Any]]) -> str:
    """The machine, and one line for each comparison: medians with quartiles, and their ratio."""
    machine = "; ".join(f"{name}: {value}" for name, value in about["machine"].items())
    lines = [_line(row, comparison) for row in records for comparison in row["comparisons"]]
    return "\n".join([machine, "", _HEADER, *lines])


def cell(entrant: dict[str, Any], unit: str) -> str:
    """A median with its quartiles in a unit that suits it, or why there is none."""
    if "note" in entrant:
        return entrant["note"].splitlines()[0]
    name, size = next((u for u in _UNITS[unit] if entrant["median"] >= u[1]), _UNITS[unit][-1])
    median, low, high = (entrant[key] / size for key in ("median", "low", "high"))
    return f"{_three_digits(median)} {name} ({_three_digits(low)} to {_three_digits(high)})"


def _three_digits(number: float) -> str:
    return f"{number:.3g}" if number < 1000 else f"{number:.0f}"


def _line(row: dict[str, Any], comparison: dict[str, Any]) -> str:
    start = [f"`{row['name']}`", row["work"], cell(row["entrants"][OURS], row["unit"]), comparison["against"]]
    wanted = _wanted(comparison)
    if "note" in comparison:
        return _join(*start, comparison["note"].splitlines()[0], "", "", wanted, "")
    found = comparison["ratio"]
    theirs = cell(row["entrants"][comparison["best"]], row["unit"])
    return _join(
        *start,
        f"{theirs}, {comparison['best']}",
        f"**{found['of_medians']:.3g}**",
        "{median:.3g} ({low:.3g} to {high:.3g})".format(**found["by_round"]),
        wanted,
        _reached(found["of_medians"], comparison),
    )


def _join(*cells: str) -> str:
    return "| " + " | ".join(text.replace("|", "\\|") for text in cells) + " |"


def _wanted(comparison: dict[str, Any]) -> str:
    wanted = f"≤ {comparison['wanted']:g}" if comparison["wanted"] is not None else ""
    aim = f"({comparison['aim']:g})" if comparison["aim"] is not None else ""
    return f"{wanted} {aim}".strip()


def _reached(found: float, comparison: dict[str, Any]) -> str:
    if comparison["aim"] is not None and found <= comparison["aim"]:
        return "aim"
    if comparison["wanted"] is None:
        return ""
    return "yes" if found <= comparison["wanted"] else "no"
