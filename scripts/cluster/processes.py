"""The cluster's processes: each with its log, watched while somebody waits, and reaped by the first of them."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path

_TAIL_BYTES = 2000


class Processes:
    """What was started in the cluster's namespaces, by name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.began = time.monotonic()
        self.running: dict[str, subprocess.Popen[bytes]] = {}

    def say(self, text: str) -> None:
        """Print a line with the seconds since the start."""
        print(f"{time.monotonic() - self.began:7.2f}s {text}", flush=True)

    def start(self, name: str, program: str | Path, *args: str, env: Mapping[str, str] | None = None) -> None:
        """Start a program; what it writes goes to ``<name>.log``."""
        with (self.folder / f"{name}.log").open("ab") as log:
            self.running[name] = subprocess.Popen(
                [str(program), *args],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **(env or {})},
            )

    def wait_for(self, what: str, holds: Callable[[], bool], limit_seconds: float = 180) -> None:
        """Wait until something holds.

        Raises:
            SystemExit: a process ended meanwhile, with the end of its log; or it did not hold in time.
        """
        until = time.monotonic() + limit_seconds
        while not holds():
            for name, process in self.running.items():
                if process.poll() is not None:
                    raise SystemExit(f"{name} ended with {process.returncode}, waiting for {what}:\n{self._tail(name)}")
            if time.monotonic() > until:
                raise SystemExit(f"{what}: not within {limit_seconds:g} s; the logs are in {self.folder}")
            time.sleep(0.1)
        self.say(what)

    def reap(self) -> None:
        """Reap whoever has ended, as the first process of a namespace must; say which of ours it was."""
        ours = {process.pid: name for name, process in self.running.items()}
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid in ours:
                self.say(f"{ours[pid]} ended with {os.waitstatus_to_exitcode(status)}")

    def _tail(self, name: str) -> str:
        return (self.folder / f"{name}.log").read_bytes()[-_TAIL_BYTES:].decode(errors="replace")
