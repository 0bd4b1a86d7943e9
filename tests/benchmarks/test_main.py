"""`python -m benchmarks`: each row once at a tiny size, with ours alone; peers are in no test's environment."""

import json
import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.__main__ import main
from benchmarks.rows import ROWS

ROOT = Path(__file__).parents[2]
NAMES = [row.name for row in ROWS]


def run(*arguments, **variables):
    command = [sys.executable, "-m", "benchmarks", *map(str, arguments)]
    environment = {**os.environ, **variables}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, encoding="utf-8")


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    """What was printed, and what was written."""
    path = tmp_path_factory.mktemp("smoke") / "new" / "benchmarks.json"
    done = run("--tiny", "--peers", "/nowhere/python", "--json", path, OPENBLAS_L2_SIZE="1000000")
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(path.read_text(encoding="utf-8"))


def test_the_file_holds_every_row(smoke):
    assert [row["name"] for row in smoke[1]["rows"]] == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_every_row_gives_numbers_of_ours(smoke, name):
    [row] = [row for row in smoke[1]["rows"] if row["name"] == name]
    ours = [entrant for entrant in row["entrants"].values() if "note" not in entrant]
    assert row["entrants"]["ours"] in ours
    for entrant in ours:
        assert len(entrant["samples"]) == 1
        assert all(math.isfinite(entrant[key]) and entrant[key] > 0 for key in ("median", "low", "high"))
    for comparison in row["comparisons"]:
        found = comparison["ratio"]["of_medians"] if "ratio" in comparison else 1.0
        assert math.isfinite(found)
        assert found > 0


def test_every_peer_is_noted_as_missing(smoke):
    of_peers = {(row.name, e.label) for row in ROWS for e in row.entrants if e.contestant != "ours"}
    noted = {
        (row["name"], label)
        for row in smoke[1]["rows"]
        for label, entrant in row["entrants"].items()
        if entrant.get("note") == "no environment at /nowhere/python: see benchmarks/README.md"
    }
    assert noted == of_peers


def test_the_table_has_a_line_for_each_comparison(smoke):
    lines = smoke[0].splitlines()
    for row in ROWS:
        assert sum(line.startswith(f"| `{row.name}` | {row.work} |") for line in lines) == len(row.comparisons)
    assert len({line.count("|") for line in lines if line.startswith("|")}) == 1


def test_the_machine_and_the_versions_are_described(smoke):
    described = {"processor", "cores", "memory", "system", "Python", "load at the start", "im2grad", "NumPy", "BLAS"}
    assert described == set(smoke[1]["machine"])
    assert "; NumPy: " in smoke[0].splitlines()[0]


def test_what_was_taken_from_the_environment_is_recorded(smoke):
    assert smoke[1]["settings"]["removed from the environment"]["OPENBLAS_L2_SIZE"] == "1000000"
    assert smoke[1]["settings"]["tiny"] is True


def test_names_choose_rows_and_peers_can_be_told_by_a_variable(tmp_path):
    path = tmp_path / "some.json"
    done = run("scalar", "--tiny", "--rounds", 2, "--json", path, IM2GRAD_PEERS="/elsewhere/python")
    assert done.returncode == 0, done.stderr
    [scalar] = json.loads(path.read_text(encoding="utf-8"))["rows"]
    assert scalar["name"] == "scalar"
    assert scalar["entrants"]["micrograd"]["note"].startswith("no environment at /elsewhere/python")
    assert len(scalar["entrants"]["ours"]["samples"]) == 2


def test_names_of_rows_differ_and_each_row_has_its_own():
    assert len(set(NAMES)) == len(NAMES)
    for row in ROWS:
        labels = [entrant.label for entrant in row.entrants]
        assert len(set(labels)) == len(labels)
        assert "ours" in labels
        assert {label for comparison in row.comparisons for label in comparison.entrants} == set(labels) - {"ours"}


@pytest.mark.parametrize(("arguments", "message"), [
    (["cifar-step", "mnist"], "no row is called mnist; there are cifar-step, small-step, lenet-step"),
    (["--rounds", "0"], "argument --rounds: expected a number of at least 1, but got 0"),
    (["--json", "/dev/null/x.json"], "argument --json: cannot write /dev/null/x.json: "),
])  # fmt: skip
def test_what_cannot_be_done_is_said_before_anything_is_measured(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)  # where out/ would be made
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err
