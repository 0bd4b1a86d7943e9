"""Contestants' processes: what they are asked and answer, how they fail, and that they end."""

import sys
from pathlib import Path

import pytest

from benchmarks.processes import MissingError, Worker, WorkerError, environment, removed_settings

STEADY = """
def work(ops):
    return lambda: ops, {"ops": ops}
"""


def test_a_contestant_prepares_tells_its_facts_and_takes_time(contestant, start):
    contestant("steady", STEADY)
    with start("steady") as worker:
        assert worker.about == {}
        assert worker.ask("prepare", kind="work", arguments={"ops": 3}) == {"ops": 3}
        assert worker.ask("result") == {"value": 3}
        timed = worker.ask("time", seconds=0.01)
    assert 0 < timed["value"] < 0.01
    assert timed["steps"] > 1


def test_the_first_step_of_a_turn_is_not_counted(contestant, start):
    contestant("first", """
import time
def work():
    steps = []
    def step():
        time.sleep(0.0 if steps else 0.2)
        steps.append(step)
    return step, {}
""")
    with start("first") as worker:
        worker.ask("prepare", kind="work", arguments={})
        assert worker.ask("time", seconds=0.0)["value"] < 0.1


def test_memory_is_counted_from_the_interpreter_and_from_the_imports(contestant, start):
    contestant("large", """
kept = bytearray(b"1" * 2**24)
def work():
    return lambda: bytearray(b"1" * 2**25), {}
""")
    with start("large") as worker:
        worker.ask("prepare", kind="work", arguments={})
        above_interpreter = worker.ask("peak_above_interpreter")["value"] / 2**20
        above_imports = worker.ask("peak_above_imports")["value"] / 2**20
    # making an array from a bytes object takes the memory twice; an import frees one of its two again, and
    # the interpreter may have a few pages to spare
    assert 16 + 2 * 32 - 1 <= above_interpreter < 16 + 2 * 32 + 8
    assert 2 * 32 - 16 - 1 <= above_imports < 2 * 32 + 8


def test_what_a_contestant_prints_is_no_reply(contestant, start):
    contestant("chatty", "print('hello')\n" + STEADY)
    with start("chatty") as worker:
        assert worker.ask("prepare", kind="work", arguments={"ops": 1}) == {"ops": 1}


def test_without_an_environment_the_readme_is_named(start):
    with pytest.raises(MissingError, match=r"no environment at /nowhere/python: see benchmarks/README\.md"):
        Worker("peer_torch", Path("/nowhere/python"))


@pytest.mark.parametrize(("module", "requirement"), [
    ("a_package_nobody_has", "a_package_nobody_has"), ("a_package_nobody_has.inner", "a_package_nobody_has"),
])  # fmt: skip
def test_a_missing_module_is_named_with_what_installs_it(contestant, start, module, requirement):
    contestant("bare", f"import {module}\n")
    with pytest.raises(MissingError, match=f"^no {requirement}: pip install {requirement}$"):
        start("bare")


def test_the_version_of_torch_is_part_of_the_hint(contestant, start):
    contestant("bare", "raise ModuleNotFoundError(name='torch')\n")
    with pytest.raises(MissingError, match=r"^no torch: pip install torch==2\.13\.0$"):
        start("bare")


def test_an_error_of_a_contestant_is_told_in_full(contestant, start):
    contestant("wrong", "def work():\n    raise ValueError('too deep')\n")
    with start("wrong") as worker, pytest.raises(WorkerError) as caught:
        worker.ask("prepare", kind="work", arguments={})
    first, *rest = str(caught.value).splitlines()
    assert first == "wrong: 'prepare' raised ValueError: too deep"
    assert any("wrong.py" in line for line in rest)


def test_a_contestant_that_ends_leaves_its_last_words(contestant, start):
    contestant("frail", """
import os
def work():
    os.write(2, b"out of luck")
    os._exit(3)
""")
    with start("frail") as worker, pytest.raises(WorkerError, match=r"frail: ended without a reply .*\nout of luck"):
        worker.ask("prepare", kind="work", arguments={})


def test_a_contestant_that_does_not_answer_is_ended(contestant, start):
    contestant("asleep", """
import time
def work():
    time.sleep(600)
""")
    told = "asleep: no reply to 'prepare' within 1 seconds"
    with start("asleep", patience=1.0) as worker, pytest.raises(WorkerError, match=told):
        worker.ask("prepare", kind="work", arguments={})
    assert worker._process.returncode is not None


def test_it_ends_by_itself_when_nobody_asks_any_more(contestant, start):
    contestant("steady", STEADY)
    with start("steady") as worker:
        pass
    assert worker._process.returncode == 0


def test_settings_that_favour_one_are_taken_from_all(monkeypatch):
    monkeypatch.setenv("OPENBLAS_CORETYPE", "Prescott")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    for contestant in ("ours", "peer_torch"):
        assert not {"OPENBLAS_CORETYPE", "OMP_NUM_THREADS"} & set(environment(contestant))
    assert removed_settings()["OPENBLAS_CORETYPE"] == "Prescott"


def test_only_ours_can_import_the_project(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    assert environment("ours")["PYTHONPATH"] == str(Path(__file__).parents[2])
    assert "PYTHONPATH" not in environment("peer_hips")


def test_ours_is_this_checkout():
    import autograd

    with Worker("ours", Path(sys.executable)) as worker:
        assert worker.about["im2grad"] == autograd.__version__
