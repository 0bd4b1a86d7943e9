"""Contestants in processes of their own: what they are started with, how they are asked, and how they end.

Peers run in an environment of their own, since HIPS autograd's import name is ours. There the project cannot be
imported; ours finds this checkout before anything that is installed.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import tempfile
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

__all__ = [
    "CONTESTANTS", "PATIENCE", "ROOT", "MissingError", "Worker", "WorkerError", "environment", "removed_settings",
]

ROOT = Path(__file__).parents[1]
CONTESTANTS = Path(__file__).with_name("contestants")
PATIENCE = 600.0  # seconds to wait for a reply

# Every contestant starts without these, since they would slow some of them down and leave the others as they are.
# OPENBLAS_CORETYPE and OPENBLAS_L2_SIZE pin OpenBLAS to an older processor's kernels, which slows ours (and any
# other on NumPy); the ISA settings do the same to PyTorch and TensorFlow. All use both cores, whatever is set for
# other programs. Without its .pyc files `import autograd, nn` would be compiled anew each time, and NumPy would not.
_SETTINGS = (
    "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "ATEN_CPU_CAPABILITY", "ONEDNN_MAX_CPU_ISA", "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "PYTHONDONTWRITEBYTECODE",
)

_REQUIREMENTS = {"torch": "torch==2.13.0", "tensorflow": "tensorflow-cpu"}


class MissingError(Exception):
    """A peer, or the environment of the peers, is not installed."""


class WorkerError(Exception):
    """A contestant raised an error, ended, or did not answer in time."""


def removed_settings() -> dict[str, str]:
    """What was set in this process's environment and is not in the contestants'."""
    return {name: os.environ[name] for name in _SETTINGS if name in os.environ}


def environment(contestant: str) -> dict[str, str]:
    """The environment variables for a contestant's process; the project is on the path of ours alone."""
    variables = {name: value for name, value in os.environ.items() if name not in {*_SETTINGS, "PYTHONPATH"}}
    return variables | {"PYTHONPATH": str(ROOT)} if contestant == "ours" else variables


class Worker:
    """A contestant's process. `about` is what it says of itself; as a context manager it ends with the block.

    Raises MissingError where there is no such Python or a module is missing in it, WorkerError for all else.
    """

    def __init__(self, contestant: str, python: Path, patience: float = PATIENCE, folder: Path = CONTESTANTS) -> None:
        if not python.exists():
            raise MissingError(f"no environment at {python}: see benchmarks/README.md")
        self.contestant = contestant
        self._patience = patience
        self._complaints = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 (open as long as the process)
        self._process = subprocess.Popen(
            [python, folder / "worker.py", contestant], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self._complaints, text=True, cwd=folder, env=environment(contestant),
        )
        self._replies: SimpleQueue[str] = SimpleQueue()
        Thread(target=self._listen, daemon=True).start()
        try:
            self.about = self._reply("start")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def ask(self, do: str, **arguments: Any) -> dict:
        """The reply to a request, which see in contestants/worker.py."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended, and the reply says so
            print(json.dumps({"do": do, **arguments}), file=self._process.stdin, flush=True)
        return self._reply(do)

    def close(self) -> None:
        """Ends the process: it does so itself when nobody can ask any more, else it is made to."""
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()  # type: ignore[union-attr]
        try:
            self._process.wait(timeout=min(self._patience, 10.0))
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._complaints.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as replies:
            for line in replies:
                self._replies.put(line)
        self._replies.put("")

    def _reply(self, do: str) -> dict:
        try:
            line = self._replies.get(timeout=self._patience)
        except Empty:
            self._process.kill()
            raise WorkerError(f"{self.contestant}: no reply to {do!r} within {self._patience:g} seconds") from None
        if not line:
            raise WorkerError(f"{self.contestant}: ended without a reply to {do!r}; it wrote:\n{self._last_words()}")
        reply = json.loads(line)
        if "missing" in reply:
            name = reply["missing"]
            raise MissingError(f"no {name}: pip install {_REQUIREMENTS.get(name, name)}")
        if "error" in reply:
            what = reply["error"].strip().splitlines()[-1]
            raise WorkerError(f"{self.contestant}: {do!r} raised {what}\n{reply['error']}")
        return reply

    def _last_words(self) -> str:
        self._process.wait()
        self._complaints.seek(0)
        return "".join(self._complaints.readlines()[-20:])
