"""Deadline of a pending managed job: logs why it waits, and gives up when the environment says so."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from typing import Literal, Protocol

from loopline.platform_core.errors import LooplineError, Overloaded

WAIT_SECONDS = 10.0
"""What is in the way for so long is told; a machine is often there a moment later."""


@dataclass(frozen=True)
class Wait:
    """Why a job does not run yet; ``usual``: every job waits for that for some minutes, and nobody gives up so soon."""

    words: str
    usual: bool = False


class Waiting(Protocol):
    """What an environment says about waiting."""

    @property
    def waiting(self) -> Literal["wait", "fail"]:
        """Return whether to wait for what is not there now."""

    @property
    def patience_minutes(self) -> float:
        """Return for how long."""


class Patience:
    """Knows since when a job waits; ``told`` is what was said last."""

    def __init__(self, settings: Waiting, name: str) -> None:
        self.settings = settings
        self.name = name
        self.since: float | None = None
        self.told = ""

    def record_wait(self, wait: Wait | None) -> LooplineError | None:
        """Take what is in the way now; returns the error if nobody shall wait for it any longer."""
        if wait is None:
            self.since, self.told = None, ""
            return None
        self.since = self.since or time.monotonic()
        waited = time.monotonic() - self.since
        if waited < WAIT_SECONDS:
            return None
        hurried = self.settings.waiting == "fail" and not wait.usual
        if hurried or waited > self.settings.patience_minutes * 60:
            return _given_up(self.name, wait)
        if wait.words != self.told:
            self.told = wait.words
            write_line(f"{self.name} waits: {wait.words}")
        return None


def write_line(line: str) -> None:
    """Write a line where whoever looks at the run sees it."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _given_up(name: str, wait: Wait) -> LooplineError:
    return Overloaded(
        f"{name} cannot start now: {wait.words}",
        "wait for what runs there to end, or have the quota raised; 'waiting: wait' and 'patience_minutes' wait longer",
        delay_seconds=60,
    )
