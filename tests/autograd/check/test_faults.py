"""The checker is checked: faults planted in right rules are all found, and nearly all called by their name."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import autograd as ag
from autograd.check import CAUSES
from tests.autograd.check.faults import confusion, draw_faults, table
from tests.autograd.ops.cases import CASES, Case

N, SEED = 440, 2026
PAGE = Path(__file__).parents[3] / "docs" / "gradcheck.md"


@pytest.fixture(scope="module")
def outcome():
    faults = draw_faults(N, SEED)
    return faults, *confusion(faults)


def test_every_fault_is_found(outcome):
    _, _, passed = outcome
    assert passed == []


def test_nine_of_ten_faults_are_called_by_their_name(outcome):
    faults, counts, _ = outcome
    assert sum(n for (cause, named), n in counts.items() if cause == named) >= 0.9 * len(faults)


def test_the_faults_are_spread_over_ops_and_causes(outcome):
    faults, _, _ = outcome
    assert len({fault.case.op for fault in faults}) > 50
    assert {fault.cause for fault in faults} == set(CAUSES) - {"not finite", "unknown"}
    assert len({tuple(a.shape for a in fault.arrays) for fault in faults}) > 100


def test_the_page_shows_the_confusion_table(outcome):
    _, counts, _ = outcome
    shown = [line for line in PAGE.read_text().splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in shown]
    names = rows[0][1:]
    written = {(row[0], name): int(cell) for row in rows[2:] for name, cell in zip(names, row[1:], strict=True) if cell}
    # a number that lies on the edge of a tolerance may fall to the other side on another machine
    differing = sum(abs(written.get(key, 0) - counts.get(key, 0)) for key in {*written, *counts})
    assert differing <= 6, f"the table in {PAGE.name} is out of date; it should be\n{table(counts)}"
    named = sum(n for (cause, name), n in written.items() if cause == name)
    assert re.search(rf"\*\*{named} of {N}\*\*", PAGE.read_text())


# ---------------------------------------------------------------------- no false alarms


def at_kinks(array: np.ndarray, unit: float) -> np.ndarray:
    """Rounded to multiples of a unit: zeros, ties, and whole numbers, which is where kinks are."""
    return array if array.dtype.kind != "f" else (np.round(array / unit) * unit).astype(array.dtype)


def is_inside(case: Case, arrays: list[np.ndarray]) -> bool:
    """Whether the op is defined there, and its inputs do not contradict each other."""
    if case.id == "clip" and np.any(arrays[1] >= arrays[2]):  # between equal bounds there is no room to move
        return False
    with np.errstate(all="ignore"):
        outs = case.call(*arrays)
    return all(np.isfinite(out).all() for out in (outs if isinstance(outs, tuple) else (outs,)))


@pytest.mark.parametrize("precision", ["double", "single"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_right_rules_pass_at_kinks_and_away_from_them(case, precision):
    kinds = "df" if "d" in case.dtypes else "DF"
    smooth = case.arrays(kinds[precision == "single"])
    for arrays in (smooth, *([at_kinks(a, unit) for a in smooth] for unit in (0.5, 1.0))):
        if is_inside(case, arrays):
            report = ag.gradcheck(case.call, *arrays, order=2)
            assert report, report
