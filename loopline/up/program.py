"""Program to run, and its child process."""

from __future__ import annotations

import re
import signal
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
What = Literal["started", "died", "restarted", "gave up", "ended", "ready", "quarantined", "not served"]


@dataclass(frozen=True)
class Program:
    """A command that is to run until it is told to end; ``rank`` orders the ends, smaller first."""

    name: str
    argv: tuple[str, ...]
    log: Path
    env: Mapping[str, str]
    rank: int = 0


@dataclass(frozen=True)
class Event:
    """Something that happened to a program."""

    program: str
    what: What
    detail: str = ""

    def __str__(self) -> str:
        """Say it in one line."""
        return f"{self.program}: {self.what}{f' ({self.detail})' if self.detail else ''}"


@dataclass
class Child:
    """A program and its process; ``deaths`` counts those in a row that came soon after a start."""

    program: Program
    process: subprocess.Popen[bytes]
    born: float = field(default_factory=time.monotonic)
    deaths: int = 0
    restart_at: float | None = None
    gave_up: bool = False

    @property
    def pid(self) -> int:
        """Return the process's id, which is its group's as well."""
        return self.process.pid

    @property
    def running(self) -> bool:
        """Say whether the process is there."""
        return self.process.poll() is None

    @property
    def ending(self) -> str:
        """Say how the process ended, and the last line that it wrote."""
        code = self.process.returncode or 0
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        last = last_line(self.program.log)
        return f"{how}{': ' + last if last else ''}; log: {self.program.log}"


def spawn(program: Program) -> subprocess.Popen[bytes]:
    """Start a program in a session of its own, so that a terminal's Ctrl-C reaches only us."""
    program.log.parent.mkdir(parents=True, exist_ok=True)
    with program.log.open("ab") as log:
        return subprocess.Popen(  # noqa: S603 - commands are our own
            program.argv,
            env=dict(program.env),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def last_line(log: Path, width: int = 300) -> str:
    """Return the last line of a log that says something, cut to ``width`` characters."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - 4096))
            lines = file.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    bare = (_COLOUR.sub("", line).strip() for line in reversed(lines))
    return next((line[:width] for line in bare if line), "")
