"""How a row is measured: in turns, with those who can take part, and on the same work."""

import sys
from pathlib import Path

import pytest

from benchmarks.measures import Settings, measure
from benchmarks.rows import Comparison, Entrant, Row

HERE = Path(sys.executable)
QUICK = Settings(HERE, HERE, rounds=3, seconds=0.0, pause=0.0)
NOBODY_THERE = Settings(HERE, Path("/nowhere/python"), rounds=2, seconds=0.0, pause=0.0)


def row(measure="time", **settings):
    entrants = (Entrant("ours", "ours"), Entrant("other", "peer"))
    return Row("made-up", "", entrants, (Comparison("other", ("other",)),), measure, "work", **settings)


def work(facts="{}", step="None"):
    return f"def work(**sizes):\n    return lambda: {step}, {facts}\n"


def test_turns_alternate(made_up, tmp_path):
    diary = tmp_path / "diary"
    for name in ("ours", "peer"):
        made_up(name, work(step=f"print({name!r}, file=open({str(diary)!r}, 'a'))"))
    results = measure(row(), QUICK)
    assert diary.read_text().split() == ["ours", "ours", "peer", "peer"] * 3  # one not counted, one that is
    assert [len(result.samples) for result in results.values()] == [3, 3]


def test_a_row_can_do_with_fewer_rounds(made_up):
    made_up("ours", work())
    made_up("peer", work())
    assert len(measure(row(most_rounds=2), QUICK)["ours"].samples) == 2


def test_each_turn_of_a_result_is_in_a_fresh_process(made_up):
    for name in ("ours", "peer"):
        made_up(name, "import os\n" + work(step="os.getpid()"))
    results = measure(row("result"), QUICK)
    assert len({*results["ours"].samples, *results["other"].samples}) == 6


def test_sizes_are_the_rows_then_the_entrants_then_the_tiny_ones(made_up):
    made_up("ours", work(step="sizes['a'] + sizes['b'] + sizes['c']"))
    sizes = {"arguments": {"a": 1, "b": 2, "c": 3}, "tiny": {"c": 300}}
    entrants = (Entrant("ours", "ours", {"b": 20}),)
    found = Row("made-up", "", entrants, (), "result", "work", **sizes)
    assert measure(found, QUICK)["ours"].samples[0] == 1 + 20 + 3
    assert measure(found, Settings(HERE, HERE, 1, pause=0.0, tiny=True))["ours"].samples == [1 + 20 + 300]


def test_time_is_divided_by_the_number_of_ops(made_up):
    made_up("ours", "import time\n" + work(step="time.sleep(0.05)"))
    entrants = (Entrant("ours", "ours", {"ops": 10}),)
    [sample, *_] = measure(Row("made-up", "", entrants, (), kind="work", per="ops"), QUICK)["ours"].samples
    assert 0.005 <= sample < 0.05


def test_without_peers_ours_is_still_measured(made_up):
    made_up("ours", work())
    results = measure(row(), NOBODY_THERE)
    assert len(results["ours"].samples) == 2
    assert results["other"].note == "no environment at /nowhere/python: see benchmarks/README.md"
    assert not results["other"].failed


def test_one_that_fails_on_the_way_leaves_the_others_in_the_race(made_up):
    made_up("ours", work())
    made_up("peer", work(step="1 / 0"))
    results = measure(row(), QUICK)
    assert len(results["ours"].samples) == 3
    assert results["other"].samples == []
    assert results["other"].failed
    assert results["other"].note.startswith("peer: 'time' raised ZeroDivisionError: division by zero")


@pytest.mark.parametrize("measured", ["time", "result"])
@pytest.mark.parametrize(("ours", "theirs", "name"), [
    ({"parameters": 1000}, {"parameters": 1001}, "parameters"),
    ({"sums of squares": [1.0, 2.0]}, {"sums of squares": [1.0, 2.01]}, "sums of squares"),
    ({"sums of squares": [1.0, 2.0]}, {"sums of squares": [1.0]}, "sums of squares"),
    ({"parameters": 1}, {}, "parameters"),
])  # fmt: skip
def test_who_does_other_work_is_refused(made_up, ours, theirs, name, measured):
    made_up("ours", work(ours, step="1.0"))
    made_up("peer", work(theirs, step="1.0"))
    with pytest.raises(ValueError, match=f"made-up: other has {name} .*, ours has .*; make contestants/peer.py do"):
        measure(row(measured), QUICK)


def test_what_float32_makes_of_the_order_of_summation_is_allowed(made_up):
    made_up("ours", work({"sums of squares": [1.0]}))
    made_up("peer", work({"sums of squares": [1.0001]}))
    assert not measure(row(), QUICK)["other"].note
