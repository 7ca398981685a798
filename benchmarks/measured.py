"""Time and memory of one call; needs nothing but Python, so that a peer's environment runs it too."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import NamedTuple, TypeVar

T = TypeVar("T")
PROC = Path("/proc/self")


class Cost(NamedTuple):
    """Wall seconds, and the peak of resident memory above what the process held before (MB)."""

    seconds: float
    peak_mb: float


def measured(call: Callable[[], T]) -> tuple[T, Cost]:
    """Call once."""
    gc.collect()
    (PROC / "clear_refs").write_text("5")  # the kernel's peak starts anew from here
    before, began = memory_mb("VmRSS"), perf_counter()
    found = call()
    seconds = perf_counter() - began
    return found, Cost(seconds, memory_mb("VmHWM") - before)


def memory_mb(name: str) -> float:
    """Return a figure of this process: ``VmRSS``, what it holds, or ``VmHWM``, the most it has held since it began."""
    lines = (PROC / "status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(f"{name}:")) / 1024
