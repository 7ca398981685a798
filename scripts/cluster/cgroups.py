"""The cgroup above all pods of a cluster: made before kubelet starts, taken away when the last process has left."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from scripts.cluster.settings import CGROUPS, Place

_PREFIX = "loopline-"
_WEIGHT = 8
"""As many processes beside it a whole cluster counts where cores are scarce; else a busy machine lets it starve."""


def make(place: Place) -> None:
    """Make it in every hierarchy: kubelet refuses to start where one lacks it, and runc where a cpuset is empty."""
    if CGROUPS.joinpath("cgroup.controllers").exists():  # version 2: one hierarchy, controllers are handed down
        CGROUPS.joinpath("cgroup.subtree_control").write_text("+cpu +cpuset +memory +pids")
        CGROUPS.joinpath(place.cgroup).mkdir(exist_ok=True)
        CGROUPS.joinpath(place.cgroup, "cpu.weight").write_text(str(100 * _WEIGHT))
        return
    for hierarchy in _hierarchies():
        top = hierarchy / place.cgroup
        top.mkdir(exist_ok=True)
        for name in ("cpuset.cpus", "cpuset.mems"):
            if top.joinpath(name).exists():
                top.joinpath(name).write_text(hierarchy.joinpath(name).read_text())
        if top.joinpath("cpu.shares").exists():
            top.joinpath("cpu.shares").write_text(str(1024 * _WEIGHT))


def remove(cgroup: str, limit_seconds: float = 20) -> bool:
    """Take a cluster's cgroups away; the last process may still be leaving. Says whether nothing is left."""
    until = time.monotonic() + limit_seconds
    while left := [top for top in _tops() if top.name == cgroup]:
        for top in left:
            _remove_tree(top)
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def sweep() -> None:
    """Take away what clusters left behind whose owner is gone."""
    for cgroup in {top.name for top in _tops()}:
        owner = cgroup.removeprefix(_PREFIX).partition("-")[0]
        if owner.isdigit() and not _alive(int(owner)):
            remove(cgroup, limit_seconds=1)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _hierarchies() -> Iterator[Path]:
    for folder in CGROUPS.iterdir():
        if not folder.is_symlink() and folder.name != "unified" and folder.joinpath("cgroup.procs").exists():
            yield folder


def _tops() -> list[Path]:
    return [*CGROUPS.glob(f"*/{_PREFIX}*"), *CGROUPS.glob(f"{_PREFIX}*")]


def _remove_tree(top: Path) -> None:
    for folder, _, _ in os.walk(top, topdown=False):  # another cluster's start may sweep it at the same time
        with contextlib.suppress(OSError):
            os.rmdir(folder)  # noqa: PTH106 - names from os.walk
