"""Processes that hang: they keep their connections and answer nobody."""

from __future__ import annotations

import os
import signal
import time

import psutil

from tests.waiting import until


def hang(pid: int) -> None:
    """Let a process hang, and return when all of its threads do: one that still runs may answer once more."""
    os.kill(pid, signal.SIGSTOP)
    until(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED, 10, every=0.001)
    time.sleep(0.05)  # its first thread does; others may be on another core, and on their way
