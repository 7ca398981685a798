"""Folders that take minutes to make and lie in the cache: the last few of each name, and none that a process uses."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path

NEWEST = 2
"""How many of a name stay: this clone's, and another's or the one before."""
_MAKING = "making"
_in_use: list[int] = []


def folder(within: Path, name: str, key: str, make: Callable[[Path], Path]) -> Path:
    """Return the folder of a name and key; where there is none, ``make`` gets an empty one and returns one below it.

    One process makes at a time; the others wait. Nobody removes what a process was given before it ends; older ones of
    the name that nobody uses are removed.
    """
    within.mkdir(parents=True, exist_ok=True)
    target = within / f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    with within.joinpath(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            _made(within / _MAKING, make).rename(target)
            shutil.rmtree(within / _MAKING)
        os.utime(target)  # the last used is the newest
        _in_use.append(_held(target, fcntl.LOCK_SH))
        of_name = [one for one in within.iterdir() if one.name.rpartition("-")[0] == name]
        for older in sorted(of_name, key=lambda one: one.stat().st_mtime)[:-NEWEST]:
            _remove_unless_used(older)
    return target


def _made(scratch: Path, make: Callable[[Path], Path]) -> Path:
    if scratch.exists():  # of somebody who was killed
        shutil.rmtree(scratch)
    scratch.mkdir()
    return make(scratch)


def _remove_unless_used(path: Path) -> None:
    try:
        descriptor = _held(path, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return
    shutil.rmtree(path)
    os.close(descriptor)


def _held(path: Path, how: int) -> int:
    """Lock a folder; the lock ends with the descriptor, and so with the process at the latest."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, how)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor
