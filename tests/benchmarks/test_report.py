"""The table and the JSON, from results that were made up."""

import json

import pytest

from benchmarks.measures import Result
from benchmarks.report import cell, record, table, write
from benchmarks.rows import Comparison, Entrant, Row

ENTRANTS = tuple(Entrant(label, "") for label in ("ours", "one layout", "other layout"))
ROW = Row("made-up", "some work", ENTRANTS, (Comparison("the better one", ("one layout", "other layout"), 0.8, 0.6),))
ABOUT = {"machine": {"processor": "abacus", "cores": "10"}}


def results(ours, one, other):
    return {"ours": ours, "one layout": one, "other layout": other}


def line(found):
    return table(ABOUT, [found]).splitlines()[-1]


def test_the_better_of_two_counts():
    found = record(ROW, results(Result([1.0, 3.0]), Result([4.0, 4.0]), Result([5.0, 1.0])))
    [comparison] = found["comparisons"]
    assert comparison["best"] == "other layout"  # 3 in the median, against 4
    assert comparison["ratio"]["of_medians"] == pytest.approx(2 / 3)
    assert comparison["ratio"]["by_round"]["median"] == pytest.approx((1 / 5 + 3) / 2)
    assert line(found) == (
        "| `made-up` | some work | 2 s (1.5 to 2.5) | the better one | 3 s (2 to 4), other layout | **0.667** | "
        "1.6 (0.9 to 2.3) | ≤ 0.8 (0.6) | yes |"
    )


@pytest.mark.parametrize(("ours", "verdict"), [(0.6, "aim"), (0.7, "yes"), (0.81, "no")])
def test_whether_it_was_reached(ours, verdict):
    found = record(ROW, results(Result([ours]), Result([1.0]), Result([1.0])))
    assert line(found).endswith(f"| ≤ 0.8 (0.6) | {verdict} |")


@pytest.mark.parametrize(("wanted", "aim", "end"), [
    (None, 1.0, "| (1) |  |"), (None, 2.0, "| (2) | aim |"), (1.9, None, "| ≤ 1.9 | no |"), (None, None, "|  |  |"),
])  # fmt: skip
def test_ratios_that_are_not_asked_for(wanted, aim, end):
    row = Row("made-up", "some work", ENTRANTS, (Comparison("one", ("one layout",), wanted, aim),))
    assert line(record(row, results(Result([2.0]), Result([1.0]), Result([1.0])))).endswith(end)


def test_one_that_is_missing_leaves_the_other_to_compare_with():
    missing = Result(note="no one: pip install one")
    found = record(ROW, results(Result([1.0]), missing, Result([2.0])))
    assert found["entrants"]["one layout"] == {"note": "no one: pip install one"}
    assert "2 s (2 to 2), other layout | **0.5** |" in line(found)


def test_without_any_the_line_says_what_to_install():
    missing = Result(note="no one: pip install one")
    found = record(ROW, results(Result([1.0]), missing, missing))
    assert line(found).endswith("| 1 s (1 to 1) | the better one | no one: pip install one |  |  | ≤ 0.8 (0.6) |  |")


def test_a_failure_is_told_in_one_line_that_stays_in_its_cell():
    failed = Result(note="ours: 'time' raised TypeError: int | None\nTraceback: ...", failed=True)
    found = record(ROW, results(failed, Result([1.0]), Result([1.0])))
    assert line(found).count("ours: 'time' raised TypeError: int \\| None |") == 2
    assert "Traceback" not in line(found)


@pytest.mark.parametrize(("median", "unit", "text"), [
    (1.5, "s", "1.5 s"), (0.0125, "s", "12.5 ms"), (2e-6, "s", "2 µs"), (5e-8, "s", "0.05 µs"),
    (2.5 * 2**30, "B", "2.5 GiB"), (1023 * 2**20, "B", "1023 MiB"), (512.0, "B", "0.5 KiB"),
])  # fmt: skip
def test_units(median, unit, text):
    found = {"median": median, "low": median, "high": median}
    assert cell(found, unit) == f"{text} ({text.split()[0]} to {text.split()[0]})"


def test_the_machine_stands_above_the_table():
    assert table(ABOUT, []).splitlines()[0] == "processor: abacus; cores: 10"


def test_the_file_holds_every_sample(tmp_path):
    found = record(ROW, results(Result([1.0, 2.0]), Result([3.0, 4.0]), Result(note="no other: µ")))
    write(tmp_path / "all.json", ABOUT, [found])
    back = json.loads((tmp_path / "all.json").read_text(encoding="utf-8"))
    assert back == {**ABOUT, "rows": [found]}
    assert back["rows"][0]["entrants"]["one layout"]["samples"] == [3.0, 4.0]
