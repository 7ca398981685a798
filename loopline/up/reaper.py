"""Reaper process: ends process groups when the supervisor that started it is gone.

Run as a script, on the standard library alone, so that it starts in a few milliseconds. Lines on stdin: ``+<group>``
and ``-<group>``. A kernel signal on the parent's death would do on Linux only, would follow the thread that started
the child rather than the process, and would miss grandchildren such as Dagster's run workers.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time

GRACE_SECONDS = 5.0


def main() -> None:
    """Follow stdin to its end, then end what is left."""
    for ignored in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ignored, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        (groups.add if line[0] == "+" else groups.discard)(int(line[1:]))
    end(groups, GRACE_SECONDS)


def end(groups: set[int], grace_seconds: float) -> None:
    """Ask process groups to end; after the grace, end them."""
    _signal(groups, signal.SIGTERM)
    give_up = time.monotonic() + grace_seconds
    while time.monotonic() < give_up and any(map(alive, groups)):
        time.sleep(0.05)
    _signal(groups, signal.SIGKILL)


def alive(group: int) -> bool:
    """Say whether a process group has a member left that runs.

    One that has ended and was not waited for does not: an orphan's parent is the machine's first process, and in a
    container that is often a program which waits for nobody.
    """
    try:
        os.killpg(group, 0)
    except (ProcessLookupError, PermissionError):
        return False
    states = _states(group)
    return not states or any(state not in "ZX" for state in states)


def _states(group: int) -> list[str]:
    """Return the states of a group's members as Linux tells them (proc(5), ``stat``); nothing elsewhere."""
    from pathlib import Path  # most reapers never need it

    states = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, of = stat.read_text(errors="replace").rpartition(")")[2].split()[:3]  # behind the command's name
            if int(of) == group:
                states.append(state)
    return states


def _signal(groups: set[int], number: signal.Signals) -> None:
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, number)


if __name__ == "__main__":
    main()
