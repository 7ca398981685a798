"""Starts programs, watches them, starts again those that die, and ends them in order."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby
from types import TracebackType
from typing import Self

from loopline.up import watchdog
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


class Supervisor:
    """Keeps programs running until it is left; use it as a context manager."""

    def __init__(self, report: Callable[[Event], None], patience: Patience | None = None) -> None:
        self.report = report
        self.patience = patience or Patience()
        self.children: dict[str, Child] = {}
        self._groups: set[int] = set()
        self._lock = threading.RLock()
        self._ending = threading.Event()
        self._watcher = threading.Thread(target=self._watch, name="supervisor", daemon=True)
        self._watchdog: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        """Start watching."""
        self._watchdog = subprocess.Popen(  # noqa: S603 - our own script
            (sys.executable, "-I", "-S", watchdog.__file__), stdin=subprocess.PIPE, text=True, start_new_session=True
        )
        self._watcher.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End everything in order."""
        self.end()

    def start(self, program: Program) -> Child:
        """Start a program."""
        with self._lock:
            child = self.children[program.name] = Child(program, spawn(program))
            self._guard(child.pid)
        self.report(Event(program.name, "started", f"pid {child.pid}"))
        return child

    def end(self, grace_seconds: float = 15.0) -> None:
        """End programs rank by rank, and with them whatever they started; calling twice is harmless."""
        if self._ending.is_set():
            return
        self._ending.set()
        self._watcher.join()
        ranked = sorted(self.children.values(), key=lambda child: child.program.rank)
        for _, children in groupby(ranked, key=lambda child: child.program.rank):
            self._end(list(children), grace_seconds)
        watchdog.end(self._groups, grace_seconds)  # what programs left behind, such as run workers
        self._release()

    def _end(self, children: Iterable[Child], grace_seconds: float) -> None:
        alive = [child for child in children if child.running]
        for child in alive:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGTERM)  # its run workers hear it at once, not when it gives up on them
        give_up = time.monotonic() + grace_seconds
        for child in alive:
            try:
                child.process.wait(max(0.0, give_up - time.monotonic()))
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(child.pid, signal.SIGKILL)
                child.process.wait()
            self.report(Event(child.program.name, "ended"))

    def _guard(self, group: int) -> None:
        self._groups.add(group)
        if self._watchdog and self._watchdog.stdin:
            with contextlib.suppress(BrokenPipeError):
                self._watchdog.stdin.write(f"+{group}\n")
                self._watchdog.stdin.flush()

    def _release(self) -> None:
        if self._watchdog and self._watchdog.stdin:
            with contextlib.suppress(BrokenPipeError):
                self._watchdog.stdin.write("".join(f"-{group}\n" for group in self._groups))
                self._watchdog.stdin.close()
            self._watchdog.wait()

    def _watch(self) -> None:
        while not self._ending.wait(POLL_SECONDS):
            for child in list(self.children.values()):
                self._look_at(child)

    def _look_at(self, child: Child) -> None:
        if child.running or child.gave_up:
            return
        if child.restart_at is None:
            self._mourn(child)
        elif time.monotonic() >= child.restart_at:
            self._restart(child)

    def _mourn(self, child: Child) -> None:
        soon = time.monotonic() - child.born < self.patience.healthy_seconds
        child.deaths = child.deaths + 1 if soon else 1
        if not watchdog.alive(child.pid):
            self._groups.discard(child.pid)  # its number may come to mean somebody else
        self.report(Event(child.program.name, "died", child.ending))
        if child.deaths >= self.patience.tries:
            child.gave_up = True
            self.report(Event(child.program.name, "gave up", f"{child.deaths} deaths in a row"))
            return
        pause = min(self.patience.longest_seconds, self.patience.first_seconds * 2 ** (child.deaths - 1))
        child.restart_at = time.monotonic() + pause

    def _restart(self, child: Child) -> None:
        with self._lock:
            child.process = spawn(child.program)
            child.born, child.restart_at = time.monotonic(), None
            self._guard(child.pid)
        self.report(Event(child.program.name, "restarted", f"pid {child.pid}"))
