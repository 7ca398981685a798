"""What processes spend while nobody asks: processor time and memory of each, from ``/proc``."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import psutil

PROC = Path("/proc")
MODELS = "BENCH_MODELS"
"""By this variable a side is told of how many models its team is."""
TICKS = os.sysconf("SC_CLK_TCK")
_UTIME, _CHILDREN = 11, 13
"""Places of a process's own two times, and of those of its children that have ended, behind the name in ``stat``."""


class Spent(NamedTuple):
    """Of one process: the share of a core in percent, and memory in MB, what is shared counted once (PSS)."""

    cpu_percent: float
    memory_mb: float


def watched(pids: Mapping[str, int], seconds: float) -> dict[str, Spent]:
    """Watch named processes, with whatever they have started, for so long."""
    before, began = _cpu(pids), time.monotonic()
    time.sleep(seconds)
    after, took = _cpu(pids), time.monotonic() - began
    return {
        name: Spent(100 * (after[name] - before[name]) / took, sum(map(_memory_mb, family(pid))))
        for name, pid in pids.items()
    }


def _cpu(pids: Mapping[str, int]) -> dict[str, float]:
    return {name: sum(map(cpu_seconds, family(pid))) for name, pid in pids.items()}


def family(pid: int, of_all_groups: bool = False) -> list[int]:
    """Return a process and what it has started; of its own group alone: another's is watched by a name of its own."""
    with suppress(psutil.NoSuchProcess):
        found = psutil.Process(pid)
        below = [child.pid for child in found.children(recursive=True)]
        return [pid, *(child for child in below if of_all_groups or os.getpgid(child) == pid)]
    return []


def cpu_seconds(pid: int) -> float:
    """Return what a process has used, with its children that ended and were waited for."""
    with suppress(OSError):
        fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        return sum(int(fields[place]) for place in range(_UTIME, _CHILDREN + 2)) / TICKS
    return 0.0


def _memory_mb(pid: int) -> float:
    with suppress(OSError):
        lines = (PROC / str(pid) / "smaps_rollup").read_text().splitlines()
        return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
    return 0.0
