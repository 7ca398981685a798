"""Desired and observed states as files, exchanged between deployments and the server's workers.

::

    <root>/desired/<model>.json             written by ``apply``, read by every worker
    <root>/observed/<worker>/<model>.json   written by a worker
    <root>/observed/<worker>/alive          locked by the worker; the kernel lets go when it dies; its time says when
                                            the worker last moved
"""

from __future__ import annotations

import fcntl
import math
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import msgspec

from loopline.platform_core.contracts.serving import DesiredState, ObservedState
from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.foundation.files import write
from loopline.platform_core.runtime import shadow_log

_ALIVE = "alive"


def desired_folder(root: Path) -> Path:
    """Return the folder of desired states, made if need be."""
    folder = root / "desired"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def desired_files(root: Path) -> list[Path]:
    """Return the file of each desired state.

    Raises:
        OSError: the folder cannot be read (``Path.glob`` would call some such folders empty).
    """
    files = desired_folder(root).iterdir()
    return sorted(file for file in files if file.suffix == ".json" and not file.name.startswith("."))


def write_desired(root: Path, state: DesiredState) -> None:
    """Ask every worker for a state; one that is older than what is asked already changes nothing."""
    folder = desired_folder(root)
    file = folder / f"{state.model}.json"
    with _locked(folder / ".lock"):
        if file.exists() and read_desired(file.read_bytes()).generation > state.generation:
            return
        if state.replaying:  # it begins where the log ends now, whenever its process comes to look
            shadow_log.begin(root, state)
        write(file, msgspec.json.encode(state, enc_hook=str))
        if not state.replaying:
            shadow_log.begin(root, state)


def desired(root: Path, model: str) -> DesiredState | None:
    """Return what is asked of a model; None before anything was."""
    try:
        return read_desired(desired_folder(root).joinpath(f"{model}.json").read_bytes())
    except FileNotFoundError:
        return None


def read_desired(text: bytes) -> DesiredState:
    """Read a state from a file's content.

    Raises:
        ContractBroken: it is none.
    """
    try:
        return _desired(text)
    except msgspec.MsgspecError as error:
        raise ContractBroken(f"no desired state: {error}", "deploy the model again") from error


def observed(root: Path, model: str, silent_seconds: float = math.inf) -> list[ObservedState]:
    """Return what each living worker says of a model; what dead ones left is removed.

    One whose last ``Worker.beat`` is longer ago than ``silent_seconds`` is not ready, whatever it said before.
    """
    found = []
    for folder in sorted((root / "observed").glob("[!.]*")):
        if not _is_alive(folder):
            shutil.rmtree(folder, ignore_errors=True)
            continue
        try:
            seen = _observed(folder.joinpath(f"{model}.json").read_bytes())
        except FileNotFoundError:  # it has not come to look yet: it is on its way, which is no trouble
            seen = ObservedState(None, ready=False)
        found.append(_moving(folder, seen, silent_seconds))
    return found


def living(root: Path) -> set[str]:
    """Return the names of the workers that live."""
    return {folder.name for folder in (root / "observed").glob("[!.]*") if _is_alive(folder)}


def worker_folder(root: Path, name: str) -> Path:
    """Return the folder of a worker."""
    return root / "observed" / name


def leave(root: Path, name: str, file: str, content: bytes) -> None:
    """Leave a file in a worker's folder, for the others to read."""
    write(worker_folder(root, name) / file, content)


class Worker:
    """A server process, known by a folder of its own for as long as it lives."""

    def __init__(self, root: Path, name: str) -> None:
        self.name = name
        self._folder = root / "observed" / name
        draft = self._folder.with_name(f".{name}")
        draft.mkdir(parents=True)
        self._alive = os.open(draft / _ALIVE, os.O_CREAT | os.O_RDWR, 0o644)
        fcntl.flock(self._alive, fcntl.LOCK_EX)
        draft.rename(self._folder)  # only now can a reader see the folder, and find it locked

    def report(self, model: str, state: ObservedState) -> None:
        """Say what a model is in this worker."""
        write(self._folder / f"{model}.json", msgspec.json.encode(asdict(state)))

    def beat(self) -> None:
        """Show that this worker not only lives but moves."""
        os.utime(self._alive)

    def leave(self) -> None:
        """Take the folder away."""
        shutil.rmtree(self._folder, ignore_errors=True)
        os.close(self._alive)


def _is_alive(folder: Path) -> bool:
    try:
        file = os.open(folder / _ALIVE, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


def _moving(folder: Path, state: ObservedState, silent_seconds: float) -> ObservedState:
    """Return what a worker said, unless it has stopped to move since."""
    if time.time() - folder.joinpath(_ALIVE).stat().st_mtime <= silent_seconds:
        return state
    said = (
        f"the worker {folder.name} has not moved for {silent_seconds:g} s: it hangs or is stopped → look into the "
        "server's log, then kill the process whose number ends the worker's name: another is started"
    )
    return replace(state, ready=False, problem=said)


@contextmanager
def _locked(file: Path) -> Iterator[None]:
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _path(wanted: type, value: Any) -> Any:
    return wanted(value)


_desired = msgspec.json.Decoder(DesiredState, dec_hook=_path).decode
_observed = msgspec.json.Decoder(ObservedState).decode
"""Made at once, as ``manifest`` says: states are read in threads."""
