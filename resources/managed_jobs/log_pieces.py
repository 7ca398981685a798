"""Log of a managed job in pieces: files that its containers write, read while it runs.

The services have logs of their own, and keep all of it there; to follow them takes another client, rights, and of
requests more than a project is allowed. What goes into the folder of the answers is read with the rights that are
there.
"""

from __future__ import annotations

import os
import re
import select
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from loopline.platform_core.errors import LooplineError
from loopline.platform_core.foundation.files import write
from loopline.resources.managed_jobs.deadline import write_line
from loopline.resources.managed_jobs.folder import LEFT, Folder
from loopline.resources.managed_jobs.service import Lines

_FIRST_SECONDS, _LAST_SECONDS, _SHARE = 0.5, 30.0, 0.05
"""A piece is left after half a second, later after a twentieth of the job's age, and each half a minute in the end."""
_MOST_BYTES = 1_000_000
_REST_SECONDS = 0.2
_PIECE = re.compile(r"log-(\d+)-\d+-\d+\.txt")


def kept(work: Callable[[], int], folder: Path, rank: int) -> NoReturn:
    """Do work in a process below this one, leave in pieces what it writes, and end as it ends.

    This process lives on if the other is killed, as for its memory: the last words are kept, and the exit code is
    that of a shell.
    """
    reader, writer = os.pipe()
    if (child := os.fork()) == 0:
        os.close(reader)
        for stream in (1, 2):
            os.dup2(writer, stream)
        os.close(writer)
        signal.signal(signal.SIGTERM, _end)
        raise SystemExit(work())
    os.close(writer)
    signal.signal(signal.SIGTERM, lambda *_: _forward(child))
    raise SystemExit(_Pieces(folder, rank).followed(reader, child))


def _end(*_: object) -> None:
    """End when the service asks, instead of being killed later."""
    raise SystemExit(128 + signal.SIGTERM)


def _forward(child: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGTERM)


class _Pieces:
    """Writes what comes through a pipe to standard error and into files."""

    def __init__(self, folder: Path, rank: int) -> None:
        self.folder, self.name = folder, f"log-{rank}-{time.time_ns() // 1_000_000:013d}"
        self.began, self.left_at, self.number = time.monotonic(), time.monotonic(), 0
        self.waiting = b""

    def followed(self, reader: int, child: int) -> int:
        """Copy until the process ends; returns its exit code."""
        until: float | None = None
        code: int | None = None
        while until is None or time.monotonic() < until:
            code = _code(child) if until is None else code
            if until is None and code is not None:
                until = time.monotonic() + _REST_SECONDS  # what it left behind may still hold the pipe
            ready = select.select([reader], [], [], 0.05 if until is None else 0)[0]
            content = os.read(reader, 65_536) if ready else b""
            self._took(content)
            if until is not None and not content:
                break
            if ready and not content:
                time.sleep(0.02)  # it closed its streams and works on
        self._leave()
        return code or 0

    def _took(self, content: bytes) -> None:
        if content:
            os.write(2, content)
            self.waiting += content
        age = time.monotonic() - self.began
        pause = min(_LAST_SECONDS, max(_FIRST_SECONDS, age * _SHARE))
        if len(self.waiting) > _MOST_BYTES or time.monotonic() - self.left_at > pause:
            self._leave()

    def _leave(self) -> None:
        if not self.waiting:
            return
        with suppress(OSError):  # the log is still the service's, and the task goes on
            self.folder.mkdir(parents=True, exist_ok=True)
            write(self.folder / f"{self.name}-{self.number:06d}.txt", self.waiting)
        self.number, self.waiting, self.left_at = self.number + 1, b"", time.monotonic()


def _code(child: int) -> int | None:
    pid, status = os.waitpid(child, os.WNOHANG)
    if not pid:
        return None
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code


class LogPieces(Lines):
    """Copies the pieces of each worker of a job; of several each line says whose it is."""

    def __init__(self, folder: Folder, job: str, workers: int) -> None:
        self.folder, self.beginning, self.workers = folder, f"{job}/{LEFT}/log-", workers
        self.seen: set[str] = set()
        self.begun: dict[int, bytes] = {}

    def copy(self) -> None:
        """Copy what came since; a log that cannot be read now does not end what it tells of."""
        with suppress(LooplineError):
            self._copy()

    def finish(self) -> None:
        """Copy the rest: a job's containers have left all of it when the job has ended."""
        self.copy()
        for rank in sorted(self.begun):
            self._tell(rank, b"\n" if self.begun[rank] else b"")

    def _copy(self) -> None:
        for name in self.folder.names(self.beginning):
            piece = _PIECE.fullmatch(name.rpartition("/")[2])
            if piece is None or name in self.seen:
                continue
            if content := self.folder.get(name):
                self._tell(int(piece[1]), content)
                self.seen.add(name)

    def _tell(self, rank: int, content: bytes) -> None:
        *lines, self.begun[rank] = (self.begun.get(rank, b"") + content).split(b"\n")
        prefix = f"[rank {rank}] " if self.workers > 1 else ""
        for line in lines:
            write_line(f"{prefix}{line.decode(errors='replace')}")
