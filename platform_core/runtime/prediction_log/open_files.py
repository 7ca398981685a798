"""Limit of open files of a process, shared between connections and prediction logs."""

from __future__ import annotations

import resource
from contextlib import suppress

_MOST_SEGMENTS = 4096


def take_all() -> None:
    """Let this process open as many files as it may ask for; the usual 1,024 are few where there are many models."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # a container may forbid it
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def for_logs() -> int:
    """Return how many files the logs may have open: half of what there are, the rest is for connections."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST_SEGMENTS if soft == resource.RLIM_INFINITY else min(soft // 2, _MOST_SEGMENTS)
