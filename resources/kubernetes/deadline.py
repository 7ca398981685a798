"""Deadline of a pending Job: logs why it waits, and gives up when the environment says so."""

from __future__ import annotations

import sys
import time

from loopline.platform_core.errors import InvalidEnvironment, LooplineError, Overloaded
from loopline.resources.kubernetes.pod_status import Wait
from loopline.resources.kubernetes.settings import Settings

WAIT_SECONDS = 10.0
"""What is in the way for so long is told, or fails; a quota or an image is often there a moment later."""


class Patience:
    """Knows since when a Job waits; ``told`` is what was said last."""

    def __init__(self, settings: Settings, name: str) -> None:
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
        if self.settings.waiting == "fail" or waited > self.settings.patience_minutes * 60:
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
    if wait.passing:
        return Overloaded(
            f"{name} cannot start now: {wait.words}",
            "wait for what runs there to end, or add nodes or quota; 'waiting: wait' in the environment waits longer",
            delay_seconds=60,
        )
    return InvalidEnvironment(
        f"{name} cannot start: {wait.words}",
        "mend the environment's compute: image, image_pull_secrets, service_account, environment_from or claims",
    )
