"""Finds and ends stray child processes by a mark in their environment."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from uuid import uuid4

import psutil

MARK = "LOOPLINE_UP"
POLL_SECONDS = 0.05


def new_mark() -> str:
    """Return a mark for the environment of everything that one supervisor starts."""
    return uuid4().hex


def end_marked(mark: str, grace_seconds: float = 3.0) -> int:
    """End what carries the mark, such as the worker of a training, which outlives its caller; says how many it was."""
    found = [process for process in psutil.process_iter() if process.pid != os.getpid() and _carries(process, mark)]
    for process in found:
        _quietly(process.terminate)
    give_up = time.monotonic() + grace_seconds
    while (deaf := [process for process in found if _runs(process)]) and time.monotonic() < give_up:
        time.sleep(POLL_SECONDS)
    for process in deaf:
        _quietly(process.kill)
    return len(found)


def _runs(process: psutil.Process) -> bool:
    """Say whether it has not ended; what has, and was not waited for, may stay in the machine's list."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


def _carries(process: psutil.Process, mark: str) -> bool:
    try:
        return bool(process.environ().get(MARK) == mark)
    except (psutil.Error, OSError):  # another user's, or gone meanwhile
        return False


def _quietly(end: Callable[[], None]) -> None:
    with contextlib.suppress(psutil.Error):
        end()
