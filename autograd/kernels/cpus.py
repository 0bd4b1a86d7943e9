"""The number of CPUs that the process may use, which can be fewer than the machine has."""

import os
import sys

__all__ = ["number_of_cpus"]


def number_of_cpus() -> int:
    """Those that it may run on, or fewer where a container's quota allows fewer; at least 1."""
    return max(min(_cpus_to_run_on(), _quota("/sys/fs/cgroup")), 1)


def _cpus_to_run_on() -> int:
    if hasattr(os, "process_cpu_count"):  # from Python 3.13 on
        return os.process_cpu_count() or 1
    if hasattr(os, "sched_getaffinity"):  # on Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _quota(groups: str) -> int:
    """The number of CPUs whose time a container may use, rounded up; the largest integer where there is no limit.

    Linux's control groups, version 2 and 1. More threads than that are stopped for a part of each tenth of a second.
    """
    for names in [("cpu.max",), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")]:
        try:
            quota, period = map(int, " ".join(_text(os.path.join(groups, name)) for name in names).split())
        except (OSError, ValueError):  # no such file; "max" in the place of a number
            continue
        if quota > 0 and period > 0:  # version 1 says -1 for no limit
            return -(-quota // period)
    return sys.maxsize


def _text(path: str) -> str:
    with open(path, encoding="ascii") as file:
        return file.read()
