"""Client of the reaper process, which ends our process groups should we be killed."""

from __future__ import annotations

import contextlib
import subprocess
import sys

from loopline.up import reaper


class Guard:
    """The process groups that must not outlive us."""

    def __init__(self) -> None:
        self.groups: set[int] = set()
        self._process = subprocess.Popen(  # noqa: S603 - our own script
            (sys.executable, "-I", "-S", reaper.__file__), stdin=subprocess.PIPE, text=True, start_new_session=True
        )

    def add(self, group: int) -> None:
        """Watch over a group."""
        self.groups.add(group)
        self._send(f"+{group}\n")

    def forget(self, group: int) -> None:
        """Let a group go that has no member left: its number may come to mean somebody else."""
        if group in self.groups and not reaper.alive(group):
            self.groups.discard(group)
            self._send(f"-{group}\n")

    def end(self, grace_seconds: float) -> None:
        """End what the groups still hold, such as run workers, and the reaper with them."""
        reaper.end(self.groups, grace_seconds)
        self._send("".join(f"-{group}\n" for group in self.groups))
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()

    def _send(self, lines: str) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # somebody killed the reaper: we end things ourselves
            self._process.stdin.write(lines)
            self._process.stdin.flush()
