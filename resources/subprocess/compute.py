"""Compute on this machine: each task in a process of its own."""

from __future__ import annotations

import contextlib
import fcntl
import glob
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Self

from loopline.platform_core import worker
from loopline.platform_core.contracts.compute import Compute, Json
from loopline.platform_core.foundation.files import lent, write
from loopline.platform_core.specs.model import Requirements
from loopline.resources.subprocess import gang

PID = "pid"


class SubprocessCompute(Compute):
    """Runs each task in its own process, which outlives its caller.

    ``<root>/<key>/`` holds ``job.json``, ``pid``, ``result.json`` or ``error.json``, and ``log.txt``. The worker
    inherits the locked descriptor of ``lock``: the kernel frees it when the worker ends, however it ends, so a free
    lock means that nobody runs the key. Workers give way to everything else on the machine by ``niceness`` (0 to 19;
    their caller's, if that is more). Of a task with several workers each is a process, with a port of this machine.
    """

    can: ClassVar[frozenset[str]] = frozenset({"cancel", "gang"})
    _gang_module: ClassVar[str] = gang.MODULE
    root: Path
    niceness: int = 5

    def run(self, task: str, args: Mapping[str, Json], requirements: Requirements, key: str) -> Json:
        """Start a worker, or wait for the one that already runs the key.

        Raises:
            TaskFailed: the task raised. Transient: the worker was killed before it had an answer.
        """
        worker.require(requirements)
        folder = self.root.absolute() / worker.file_name(key)
        folder.mkdir(parents=True, exist_ok=True)
        began = time.time_ns()
        with _locked(folder / "lock") as (lock, waited):
            failed = waited and _failed_since(folder, began)  # while this caller waited: one run for both
            if (folder / worker.RESULT).exists() or failed:
                return worker.answer(folder)
            worker.assign(folder, task, args, lock)
            process = _start(self._command(folder, requirements), folder, lock, max(1, int(requirements.cpu)))
            own = os.getpriority(os.PRIO_PROCESS, 0)
            os.setpriority(os.PRIO_PROCESS, process.pid, max(self.niceness, own))  # to raise it takes root
            write(folder / PID, str(process.pid).encode())
        process.wait()
        return worker.answer(folder)

    def _command(self, folder: Path, requirements: Requirements) -> list[str]:
        alone = requirements.workers == 1
        module, more = ("loopline.platform_core.worker", []) if alone else (self._gang_module, [requirements.workers])
        return [sys.executable, "-m", module, str(folder), *map(str, more)]

    @contextmanager
    def set_apart(self, name: str) -> Iterator[Self]:
        """Give a folder of its own in this one; who works there still is killed before it goes."""
        with lent(self.root / name) as folder:
            try:
                yield self.with_settings(root=folder)
            finally:
                for each in folder.iterdir():
                    _end(each)

    def cancel(self, key: str, args: Mapping[str, Json] | None = None) -> None:  # noqa: ARG002 - all run here
        """Kill the workers of the key and of those below it, with all that they started, if they are at work."""
        root, below = self.root.absolute(), worker.file_name(f"{key}/")
        for folder in (root / worker.file_name(key), *root.glob(f"{glob.escape(below)}*")):
            _end(folder)


def _start(command: list[str], folder: Path, lock: int, threads: int) -> subprocess.Popen[bytes]:
    limits = {name: str(threads) for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
    with (folder / worker.LOG).open("ab") as log:
        return subprocess.Popen(  # noqa: S603 - our own interpreter and module
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env=os.environ | limits,
            pass_fds=(lock,),
            start_new_session=True,  # neither Ctrl-C nor the caller's death reaches it
        )


def _end(folder: Path) -> None:
    """Kill the worker of a key with all that it started, if it is at work."""
    if folder.joinpath(PID).exists() and _at_work(folder / "lock"):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(int(folder.joinpath(PID).read_text()), signal.SIGKILL)


def _at_work(path: Path) -> bool:
    """Say whether a worker lives: it holds the lock."""
    with path.open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def _failed_since(folder: Path, began_ns: int) -> bool:
    error = folder / worker.ERROR
    return error.exists() and error.stat().st_mtime_ns >= began_ns


@contextmanager
def _locked(path: Path) -> Iterator[tuple[int, bool]]:
    """Lock a file: the descriptor, and whether somebody else had it first."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    waited = False
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waited = True
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock, waited
    finally:
        os.close(lock)  # no LOCK_UN: that would free the worker's inherited lock as well
