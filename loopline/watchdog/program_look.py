"""Watchdog check of programs of ``loopline up`` that died for good."""

from __future__ import annotations

from pathlib import Path

from loopline.platform_core.alarms.alarm import Alarm
from loopline.watchdog.look import Looked

CHECKED_OTHERWISE = frozenset({"web", "daemon", "inference", "watchdog"})
"""Looked at by what they do; a code server is missed as its team's location."""


def programs(home: Path) -> Looked:
    """Find programs without a process; where nothing was started by ``up`` there are none."""
    import psutil

    from loopline.platform_core.errors import NotFound
    from loopline.up import lock

    try:
        pids = lock.announced(home)["pids"]
    except NotFound:
        return Looked()
    dead = [name for name, pid in pids.items() if not psutil.pid_exists(pid)]
    names = (name for name in dead if name not in CHECKED_OTHERWISE and not name.startswith("code:"))
    return Looked(tuple(_dead(home, name) for name in names))


def _dead(home: Path, name: str) -> Alarm:
    said = f"the program {name} has died and was not started again"
    return Alarm(f"program:{name}", "error", said, f"read {home / 'logs' / name}.log, then start 'loopline up' again")
