"""The tutorial: notebooks as they are committed, and checkers that know right from wrong.

That the notebooks run from top to bottom is a test of its own: pytest collects docs/tutorial/*.ipynb with nbmake.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import autograd as ag
from docs.tutorial import check, solutions
from docs.tutorial.check.exercise import Exercise
from tests.docs.mistakes import MISTAKES

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "docs" / "tutorial").glob("*.ipynb"))
EXERCISES = {name: exercise for name, exercise in vars(check).items() if isinstance(exercise, Exercise)}
pytestmark = pytest.mark.needs("matplotlib")


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def source(cell):
    return "".join(cell["source"])


def verdict(name, answer):
    """What the checker of that name says; the answers to `diagnosis` are given by name."""
    return EXERCISES[name].verdict(**answer) if name == "diagnosis" else EXERCISES[name].verdict(answer)


# ---------------------------------------------------------------------- the notebooks


def test_there_are_six_in_order():
    assert [path.name.split("-")[0] for path in NOTEBOOKS] == list("123456")


def test_pytest_collects_every_notebook_by_default():
    done = subprocess.run([sys.executable, "-m", "pytest", "--collect-only", "-q", "docs/tutorial"], cwd=ROOT,
                          env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert {path.name for path in NOTEBOOKS} <= set(re.findall(r"[\w-]+\.ipynb", done.stdout))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
class TestNotebook:
    def test_it_is_committed_without_outputs(self, path):
        cells = [cell for cell in read(path)["cells"] if cell["cell_type"] == "code"]
        assert cells
        assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in cells)

    def test_its_metadata_name_python_and_nothing_of_a_machine(self, path):
        notebook = read(path)
        kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
        assert notebook["metadata"] == {"kernelspec": kernel, "language_info": {"name": "python"}}
        assert all(cell["metadata"] == {} for cell in notebook["cells"])
        assert str(Path.home()) not in path.read_text(encoding="utf-8")

    def test_its_links_lead_somewhere(self, path):
        text = "".join(source(cell) for cell in read(path)["cells"] if cell["cell_type"] == "markdown")
        links = [link for link in re.findall(r"\]\(([^)#]+)", text) if "://" not in link]
        assert [link for link in links if not (path.parent / link).exists()] == []

    def test_it_has_two_to_four_exercises_each_with_a_blank(self, path):
        cells = [source(cell) for cell in read(path)["cells"] if cell["cell_type"] == "code"]
        used = [name for cell in cells for name in re.findall(r"^check\.(\w+)\(", cell, re.MULTILINE)]
        assert 2 <= len(used) <= 4
        assert set(used) <= set(EXERCISES)
        assert all("..." in cell for cell in cells if re.search(r"^check\.", cell, re.MULTILINE))


def test_every_checker_is_used_by_exactly_one_notebook():
    used = [name for path in NOTEBOOKS for cell in read(path)["cells"] if cell["cell_type"] == "code"
            for name in re.findall(r"^check\.(\w+)\(", source(cell), re.MULTILINE)]
    assert sorted(used) == sorted(EXERCISES)


# ---------------------------------------------------------------------- what every checker does


@pytest.mark.parametrize("name", EXERCISES)
class TestEveryChecker:
    def test_it_accepts_the_solution(self, name):
        found = verdict(name, getattr(solutions, name))
        assert found.solved is True, found.text
        assert found.text.startswith(f"{name}: right. ")

    def test_it_says_of_a_blank_that_it_is_not_solved_yet(self, name):
        def empty(*args):
            ...

        def unwritten(*args):
            raise NotImplementedError

        blanks = [..., None, empty, unwritten]
        if name == "diagnosis":
            blanks = [dict.fromkeys(solutions.diagnosis, ...), {**solutions.diagnosis, "cube": None}]
        if name == "backward_order":
            blanks = [..., None, [...], []]
        if name == "rule":
            blanks = [..., None, lambda g, x, out: None, lambda g, x: ...]
        for blank in blanks:
            found = verdict(name, blank)
            assert found.solved is None, found.text
            assert found.text.startswith(f"{name}: not solved yet")

    def test_whatever_it_is_given_it_answers_and_does_not_raise(self, name):
        def broken(*args):
            raise KeyError("a bug of the learner")

        answers = [broken, 3.0, "text", [[1], "x"], {"a": [1, 2]}, object(), lambda *args: object(),
                   lambda *args: [[1.0], [2.0, 3.0]], lambda *args: np.nan, lambda *args: "text", lambda: 1.0,
                   lambda *args: np.zeros((7, 7, 7)), lambda *args: {"x": None}, lambda *args: [{}], lambda *args: 1j,
                   lambda *args: (1.0, 2.0)]
        for answer in answers:
            given = dict.fromkeys(solutions.diagnosis, answer) if name == "diagnosis" else answer
            found = verdict(name, given)
            assert found.solved is False, found.text
            assert found.text.startswith(f"{name}: not right yet.\n")
            assert "Traceback" not in found.text

    def test_it_has_a_docstring_that_says_what_is_asked(self, name):
        assert len(EXERCISES[name].__doc__) > 30


def test_calling_a_checker_prints_the_verdict_and_returns_nothing(capsys):
    assert check.slope(...) is None
    assert capsys.readouterr().out == "slope: not solved yet.\n"


def test_a_function_without_return_is_told_apart_from_one_that_is_not_written():
    def my_slope(f, x):
        ...

    def without_return(f, x):
        slope = (f(x + 1e-5) - f(x - 1e-5)) / 2e-5
        print(slope)

    assert check.slope.verdict(my_slope).text == "slope: not solved yet."
    assert check.slope.verdict(without_return).text == (
        "slope: not solved yet (without_return returns None: a `return` may be missing).")


def test_an_error_in_the_answer_is_told_with_its_line():
    def my_slope(f, x):
        return f(x) / nothing  # noqa: F821

    text = check.slope.verdict(my_slope).text
    assert "my_slope raised NameError: name 'nothing' is not defined" in text
    assert "return f(x) / nothing" in text


def test_the_question_is_copied_so_that_an_answer_cannot_spoil_it():
    def spoiling(g, x, w):
        answer = solutions.matmul_rule(g, x, w)
        g[:] = x[:] = w[:] = 0
        return answer

    assert check.matmul_rule.verdict(spoiling).solved


def test_tensors_and_scalars_are_numbers_too():
    assert check.chain_rule.verdict(lambda x: ag.Scalar(solutions.chain_rule(x))).solved
    assert check.matmul_rule.verdict(lambda *args: tuple(map(ag.Tensor, solutions.matmul_rule(*args)))).solved


# ---------------------------------------------------------------------- wrong answers


@pytest.mark.parametrize(("name", "answer", "hint"), MISTAKES, ids=[f"{name}: {hint}" for name, _, hint in MISTAKES])
def test_a_wrong_answer_gets_the_hint_for_its_mistake(name, answer, hint):
    found = verdict(name, answer)
    assert found.solved is False, found.text
    assert hint in found.text


def test_every_checker_is_tried_on_wrong_answers():
    assert {name for name, _, _ in MISTAKES} == set(EXERCISES)


def test_an_image_that_was_not_changed_is_not_solved_yet():
    found = check.fooling.verdict(lambda model, image, label, size: image)
    assert found.solved is None
    assert "comes back as it was" in found.text


def test_the_suspects_are_as_the_answers_say():
    square = np.arange(1.0, 10.0).reshape(3, 3) ** 0.5
    for name, cause in solutions.diagnosis.items():
        suspect, inputs = getattr(check.suspects, name), (square, square[::-1]) if name == "product" else (square,)
        assert bool(ag.gradcheck(suspect, *inputs, order=1)) == (cause == "right"), name
