"""Contestants made up for a test, in a folder of their own."""

import shutil
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from benchmarks import measures
from benchmarks.processes import CONTESTANTS, Worker


@pytest.fixture
def contestant(tmp_path: Path) -> Callable[[str, str], None]:
    """contestant(name, source) writes one; beside them stands the real worker.py."""
    shutil.copy(CONTESTANTS / "worker.py", tmp_path)

    def write(name: str, source: str) -> None:
        about = "def about():\n    return {}\n"
        (tmp_path / f"{name}.py").write_text(about + source, encoding="utf-8")

    return write


@pytest.fixture
def start(tmp_path: Path) -> Callable[..., Worker]:
    """Worker, for contestants that were made up."""
    return partial(Worker, python=Path(sys.executable), folder=tmp_path)


@pytest.fixture
def made_up(contestant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """contestant, and measure() starts what it wrote."""
    monkeypatch.setattr(measures, "Worker", partial(Worker, folder=tmp_path))
    return contestant
