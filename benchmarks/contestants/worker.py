"""One contestant in a process of its own: `python worker.py ours` does what it is asked to, until stdin ends.

Each request is a line of JSON, {"do": name, ...}, and so is each reply. The first line comes unasked: what the
contestant says about itself, or the module that is missing. Nothing but the standard library is imported before.
"""

import importlib
import json
import os
import resource
import sys
import traceback
from collections.abc import Callable
from statistics import median
from time import perf_counter
from typing import Any, TextIO

__all__ = ["Work", "peak_memory", "serve"]


def peak_memory() -> int:
    """The most bytes of memory that this process has had at a time (its resident set)."""
    try:
        # On Linux ru_maxrss also remembers the process that started this one, which can have been larger.
        with open("/proc/self/status", encoding="ascii") as status:
            [line] = [line for line in status if line.startswith("VmHWM:")]
        return int(line.split()[1]) * 1024
    except FileNotFoundError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return most if sys.platform == "darwin" else most * 1024


class Work:
    """What can be asked of a contestant: a module with one function per kind of work.

    Such a function takes the sizes and gives a step, to be repeated, and facts that must be equal for all.
    """

    def __init__(self, name: str) -> None:
        self._at_start = peak_memory()
        self._contestant = importlib.import_module(name)
        self._after_imports = peak_memory()
        self._step: Callable[[], Any] = lambda: None

    def about(self) -> dict:
        """Versions, and what else tells how fast it can be."""
        return self._contestant.about()

    def prepare(self, kind: str, arguments: dict) -> dict:
        """The facts of this work; all that happens once is done here."""
        self._step, facts = getattr(self._contestant, kind)(**arguments)
        return facts

    def time(self, seconds: float) -> dict:
        """The median time of the steps that fit into `seconds` (one at least), after one that is not counted."""
        self._step()
        times: list[float] = []
        end = perf_counter() + seconds
        while not times or perf_counter() < end:
            before = perf_counter()
            self._step()
            times.append(perf_counter() - before)
        return {"value": median(times), "steps": len(times)}

    def peak_above_interpreter(self) -> dict:
        """The peak of memory after some steps, beyond the one before anything was imported."""
        return {"value": self._peak() - self._at_start}

    def peak_above_imports(self) -> dict:
        """The peak of memory after some steps, beyond the one when everything was imported."""
        return {"value": self._peak() - self._after_imports}

    def _peak(self) -> int:
        for _ in range(3):  # momentum is there from the first step on, and allocators settle in the second
            self._step()
        return peak_memory()

    def result(self) -> dict:
        """The number that a step gives, where the step itself is a measurement."""
        return {"value": self._step()}


def serve(name: str, requests: TextIO, replies: TextIO) -> None:
    """Answers requests until there are no more."""

    def reply(do: Callable[..., dict], **arguments: Any) -> None:
        try:
            answer = do(**arguments)
        except Exception:
            answer = {"error": traceback.format_exc()}
        print(json.dumps(answer), file=replies, flush=True)

    try:
        work = Work(name)
    except ModuleNotFoundError as error:
        missing = (error.name or name).split(".")[0]
        reply(lambda: {"missing": missing})
        return
    reply(work.about)
    for line in requests:
        arguments = json.loads(line)
        reply(getattr(work, arguments.pop("do")), **arguments)


if __name__ == "__main__":
    # What a library prints must not get between the replies, so standard output becomes standard error.
    own_output = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    serve(sys.argv[1], sys.stdin, own_output)
