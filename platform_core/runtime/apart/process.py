"""Estimator in a subprocess: called like a local one, and restarted when it dies or times out."""

from __future__ import annotations

import fcntl
import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from loopline.platform_core.errors import ContractBroken, Overloaded, StoreUnavailable, TaskFailed
from loopline.platform_core.runtime.apart import requirements, worker
from loopline.platform_core.runtime.apart.worker import Memory

START_SECONDS = 120.0
"""How long an estimator may take to load, and to answer for the first time: JAX compiles then."""
_LONGEST_WAIT = 30.0
"""Seconds between tries to start a process that falls each time."""
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")


class _Gone(Exception):  # noqa: N818 - not an error of anybody else's
    """The process ended, or did not answer in time."""


class Child:
    """One such process, which has loaded its estimator.

    Raises:
        ContractBroken: it cannot load it. _Gone: it ended meanwhile, or took too long.
    """

    def __init__(self, estimator: Path, path: Sequence[str], sha256: str = "") -> None:
        self._file = _unnamed()
        self._memory = Memory(self._file)
        self._socket, theirs = socket.socketpair()
        told = {**_ONE_THREAD, **os.environ, "PYTHONPATH": os.pathsep.join(path)}
        command = [sys.executable, "-P", worker.__file__, str(estimator), str(theirs.fileno()), str(self._file), sha256]
        handed = (theirs.fileno(), self._file)
        with theirs:
            self._process = subprocess.Popen(command, pass_fds=handed, env=told)  # noqa: S603
        try:
            self.about = self._said(START_SECONDS)
        except _Gone:
            self.close()
            raise
        if "error" in self.about:
            self.close()
            raise ContractBroken(
                f"the estimator cannot be loaded in a process of its own: {self.about['error']}",
                "name what it needs in Apart(requirements=...), or package it anew with the libraries that are there",
            )

    def ask(self, method: str, given: Any, seconds: float) -> NDArray[np.float64]:
        """Let the estimator answer.

        Raises:
            TaskFailed: it raised. _Gone: the process ended, or took too long; it is over.
        """
        if isinstance(given, np.ndarray):
            self._memory.put(given, 0)
            asked = {"type": given.dtype.str, "shape": given.shape, "ends": given.nbytes}
        else:
            size = _write_table(self._memory, given)
            asked = {"bytes": size, "ends": size}
        try:
            worker.send(self._socket, {"asks": method, **asked})
        except OSError:
            raise self._gone() from None
        said = self._said(seconds)
        if "error" in said:
            raise TaskFailed(f"the estimator raised {said['error']}", "mend it, or send what it was fitted on")
        return self._memory.numbers("<f8", said["shape"], said["at"]).copy()

    def end(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.wait()
        self._socket.close()

    def close(self) -> None:
        """End it, and let go of the memory."""
        self.end()
        os.close(self._file)

    def _said(self, seconds: float) -> dict[str, Any]:
        self._socket.settimeout(seconds)
        try:
            said = worker.receive(self._socket)
        except TimeoutError:
            self.end()
            raise _Gone(f"did not answer within {seconds:g} s") from None
        except OSError:
            said = None
        if said is None:
            raise self._gone()
        return said

    def _gone(self) -> _Gone:
        self._socket.close()
        try:
            code = self._process.wait(1)
        except subprocess.TimeoutExpired:
            self.end()
            code = self._process.returncode
        return _Gone(f"was ended by signal {-code}" if code < 0 else f"ended with {code}")


class Keeper:
    """Keeps such a process there: one call at a time, and a new process when it is gone."""

    def __init__(self, estimator: Path, needs: Sequence[str], seconds: float, sha256: str) -> None:
        self._estimator, self._sha256, self._path, self._seconds = (
            estimator,
            sha256,
            requirements.path_of(needs),
            seconds,
        )
        self._turn, self._is_closed = threading.Lock(), False
        self._first: tuple[str, Any] | None = None  # what was answered first warms each new process
        try:
            self._child: Child | None = Child(self._estimator, self._path, self._sha256)
        except _Gone as error:
            raise ContractBroken(f"the estimator's own process {error}", "let it load within its memory") from error
        self.about, self._why = self._child.about, ""

    def ask(self, method: str, given: Any) -> NDArray[np.float64]:
        """Ask the estimator.

        Raises:
            TaskFailed: it raised. StoreUnavailable: its process ended, or takes too long, and is started again.
            Overloaded: others wait for it already.
        """
        if not self._turn.acquire(timeout=self._seconds):
            raise Overloaded(f"no turn within {self._seconds:g} s", "ask again, or let more servers answer")
        try:
            if self._child is None:
                raise StoreUnavailable(f"the model's own process {self._why}", "ask again: it is being started")
            found = self._child.ask(method, given, self._seconds if self._first else START_SECONDS)
            self._first = self._first or (method, given)
        except _Gone as error:
            self._lost(str(error))
            raise StoreUnavailable(f"the model's own process {error}", "ask again: it is being started") from None
        else:
            return found
        finally:
            self._turn.release()

    def close(self) -> None:
        """End the process."""
        self._is_closed = True
        child, self._child = self._child, None
        if child is not None:
            child.close()

    def _lost(self, why: str) -> None:
        self._why = why
        child, self._child = self._child, None
        if child is not None:
            child.close()
        threading.Thread(target=self._start_again, daemon=True, name="start-apart").start()

    def _start_again(self) -> None:
        wait = 0.5
        while not self._is_closed:
            try:
                self._child = self._warm()
            except (_Gone, ContractBroken, TaskFailed, OSError) as error:
                self._why = str(error)
                time.sleep(wait)
                wait = min(2 * wait, _LONGEST_WAIT)
                continue
            if self._is_closed:  # while it was being started
                self.close()
            return

    def _warm(self) -> Child:
        """Start a process, and let it answer what was answered first."""
        child = Child(self._estimator, self._path, self._sha256)
        try:
            if self._first is not None:
                child.ask(*self._first, START_SECONDS)
        except (_Gone, TaskFailed):
            child.close()
            raise
        return child


def estimator(file: Path, needs: Sequence[str], seconds: float, sha256: str = "") -> Any:
    """Return what is asked as the estimator in the file is; its process ends with it, or with this process.

    Each process that is started unpickles only what has that ``sha256``, where one is given.

    Raises:
        Unsupported: a requirement is not there. ContractBroken: the estimator cannot be loaded.
    """
    keeper = Keeper(file, needs, seconds, sha256)
    about = keeper.about

    def asking(method: str) -> Any:
        return lambda _, given: keeper.ask(method, given)

    found = type(about["name"], (), {method: asking(method) for method in about["asked"]})()
    if about["classes"] is not None:
        found.classes_ = np.asarray(about["classes"])
    if about["regresses"]:
        found._estimator_type = "regressor"  # noqa: SLF001 - as scikit-learn calls it
    weakref.finalize(found, keeper.close)
    return found


def _unnamed() -> int:
    """Open memory without a name: nothing is left of it, whoever is killed. It may grow, and not shrink below us."""
    if sys.platform == "linux":
        file = os.memfd_create("loopline", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        fcntl.fcntl(file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
        return file
    with tempfile.TemporaryFile() as unlinked:
        return os.dup(unlinked.fileno())


def _write_table(memory: Memory, table: Any) -> int:
    import pyarrow as pa

    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    written = sink.getvalue()
    memory.put(np.frombuffer(written, np.uint8), 0)
    return int(written.size)
