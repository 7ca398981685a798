"""Supervisor: starts programs, restarts those that die, and stops them in order."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from types import TracebackType
from typing import Self

from loopline.up.guard import Guard
from loopline.up.program import Child, Event, Program, spawn

POLL_SECONDS = 0.1


@dataclass(frozen=True)
class Patience:
    """How deaths are answered.

    Pauses double from ``first_seconds`` to ``longest_seconds``; a death counts as another in a row within
    ``healthy_seconds`` of its start, and after ``tries`` of those we give up.
    """

    first_seconds: float = 0.5
    longest_seconds: float = 30.0
    healthy_seconds: float = 60.0
    tries: int = 6

    def mourn(self, child: Child, now: float) -> None:
        """Count a death, and say when the program is started again, or that it is given up."""
        child.deaths = child.deaths + 1 if now - child.born < self.healthy_seconds else 1
        child.gave_up = child.deaths >= self.tries
        pause = min(self.longest_seconds, self.first_seconds * 2 ** (child.deaths - 1))
        child.restart_at = now + pause


class Supervisor:
    """Keeps programs running until it is left; use it as a context manager. ``report`` is called from its thread."""

    def __init__(self, report: Callable[[Event], None], patience: Patience | None = None) -> None:
        self.report = report
        self.patience = patience or Patience()
        self.children: dict[str, Child] = {}
        self._ending = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="supervisor", daemon=True)

    def __enter__(self) -> Self:
        """Start watching."""
        self._guard = Guard()
        self._watcher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End everything in order."""
        self.end()

    def start(self, program: Program) -> Child:
        """Start a program."""
        child = Child(program, spawn(program))
        self._guard.add(child.pid)
        self.children[program.name] = child  # the watcher sees it from here on
        self.report(Event(program.name, "started", f"pid {child.pid}"))
        return child

    def end(self, grace_seconds: float = 15.0) -> None:
        """End programs rank by rank, and with them whatever they started; calling twice is harmless."""
        if self._ending.is_set():
            return
        self._ending.set()
        self._watcher.join()
        ranked = sorted(self.children.values(), key=_rank)
        for _, children in groupby(ranked, key=_rank):
            for child in _end(list(children), grace_seconds):
                self.report(Event(child.program.name, "ended"))
        self._guard.end(grace_seconds)

    def _watch(self) -> None:
        while not self._ending.wait(POLL_SECONDS):
            for child in list(self.children.values()):
                if not child.running and not child.gave_up:
                    self._answer(child, time.monotonic())

    def _answer(self, child: Child, now: float) -> None:
        """Answer a death: report it, or start the program again when its pause is over."""
        name = child.program.name
        if child.restart_at is None:
            _signal(child, signal.SIGTERM)  # to what is left of its group: run workers of a code server that is gone
            self._guard.forget(child.pid)
            self.patience.mourn(child, now)
            self.report(Event(name, "died", child.ending))
            if child.gave_up:
                self.report(Event(name, "gave up", f"{child.deaths} deaths in a row"))
        elif now >= child.restart_at:
            child.process = spawn(child.program)
            self._guard.add(child.pid)
            child.born, child.restart_at = now, None
            self.report(Event(name, "restarted", f"pid {child.pid}"))


def _rank(child: Child) -> int:
    return child.program.rank


def _end(children: Sequence[Child], grace_seconds: float) -> list[Child]:
    """End programs of one rank at once and return those that ran."""
    running = [child for child in children if child.running]
    for child in running:
        _signal(child, signal.SIGTERM)  # to the group: run workers hear it at once
    give_up = time.monotonic() + grace_seconds
    for child in running:
        try:
            child.process.wait(max(0.0, give_up - time.monotonic()))
        except subprocess.TimeoutExpired:
            _signal(child, signal.SIGKILL)
            child.process.wait()
    return running


def _signal(child: Child, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child.pid, number)
