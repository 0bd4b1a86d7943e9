"""A description of the machine, without which no time says anything."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

__all__ = ["machine"]


def machine() -> dict[str, str]:
    """The processor, its cores as far as this process may use them, memory, system, Python, and the load now."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": _processor(),
        "cores": str(_cores()),
        "memory": f"{memory:.1f} GiB",
        "system": platform.platform(),
        "Python": platform.python_version(),
        "load at the start": f"{os.getloadavg()[0]:.2f}",
    }


def _processor() -> str:
    if platform.system() == "Darwin":
        name = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(name, capture_output=True, text=True).stdout.strip() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return platform.machine()
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
