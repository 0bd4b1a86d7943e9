"""examples/scalar_mlp.py as a user runs it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*arguments, folder):
    return subprocess.run(
        [sys.executable, ROOT / "examples" / "scalar_mlp.py", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )


def losses(output):
    line = re.compile(r"^step +\d+ +loss (\d\.\d+) +accuracy \d\.\d+$", re.MULTILINE)
    return [float(loss) for loss in line.findall(output)]


def test_it_learns_and_ends_with_the_accuracy(tmp_path):
    done = run(folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert len(losses(done.stdout)) == 10
    assert losses(done.stdout)[-1] < losses(done.stdout)[0]
    last = re.fullmatch(r"test accuracy (\d\.\d{4})", done.stdout.splitlines()[-1])
    # a straight line gets about 0.87 of two such moons right: more means that the hidden units do their part
    assert float(last[1]) >= 0.95
    assert list(tmp_path.iterdir()) == []


def test_the_same_seed_gives_the_same_lines(tmp_path):
    first, second, other = (run("--steps", "20", "--seed", seed, folder=tmp_path).stdout for seed in "778")
    assert first == second
    assert first != other


@pytest.mark.needs("matplotlib")
def test_out_draws_the_boundary(tmp_path):
    from matplotlib.image import imread

    done = run("--steps", "20", "--out", "new/moons.png", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    pixels = imread(tmp_path / "new" / "moons.png")[..., :3]
    reds, blues = pixels[..., 0] - pixels[..., 2] > 0.3, pixels[..., 2] - pixels[..., 0] > 0.3
    assert reds.mean() > 0.02
    assert blues.mean() > 0.02


@pytest.mark.needs("matplotlib")
@pytest.mark.parametrize(("arguments", "message"), [
    (("--out", "no-folder/moons.png"), "argument --out: cannot write no-folder/moons.png"),
    (("--out", "moons.jpg"), "argument --out: expected the name of a .png file, but got moons.jpg"),
    (("--steps", "0"), "argument --steps: expected a number of at least 1, but got 0"),
])  # fmt: skip
def test_a_bad_option_is_told_before_training(tmp_path, arguments, message):
    (tmp_path / "no-folder").write_text("a file is in the way")
    done = run(*arguments, folder=tmp_path)
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stdout == ""
