"""Jobs whose containers have an object store mounted: a folder of each, written back while they run, as FUSE does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from tests.emulators.training_container import HostProcess

GRACE_SECONDS = 5
_LOOK_SECONDS = 0.02


class Objects(Protocol):
    """A client of an object store."""

    def names(self, prefix: str) -> list[str]:
        """List objects."""

    def get(self, name: str) -> bytes:
        """Read one."""

    def put(self, name: str, content: bytes) -> None:
        """Write one."""


@dataclass(frozen=True)
class Mount:
    """A store that lies in a folder of a container."""

    objects: Objects
    folder: Path
    written: dict[Path, tuple[int, int]] = field(default_factory=dict)

    def bring(self, prefix: str) -> int:
        """Put what lies in the store there; returns how many files that were."""
        names = self.objects.names(prefix)
        for name in names:
            file = self.folder / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(self.objects.get(name))
            self.written[file] = _stamp(file)
        return len(names)

    def take(self) -> None:
        """Write back what is new; a name that begins with a dot is a draft."""
        for file in sorted(self.folder.rglob("*")):
            if file.is_file() and not file.name.startswith(".") and self.written.get(file) != _stamp(file):
                self.written[file] = _stamp(file)
                self.objects.put(str(file.relative_to(self.folder)), file.read_bytes())


def _stamp(file: Path) -> tuple[int, int]:
    found = file.stat()
    return found.st_mtime_ns, found.st_size


class Run:
    """The containers of one job, from their start to their end."""

    def __init__(self, containers: list[HostProcess], mounts: list[Mount]) -> None:
        self.containers, self.mounts = containers, mounts

    def ended(self, why: Callable[[], str], pauses: float = _LOOK_SECONDS) -> str:
        """Wait until all have ended, one has fallen, or ``why`` says that they shall end; returns that."""
        found, written = "", time.monotonic()
        while not found and any(one.code is None for one in self.containers):
            if any(one.code for one in self.containers):
                break
            found = why()
            if time.monotonic() - written > 10 * pauses:
                self._take()
                written = time.monotonic()
            time.sleep(pauses)  # between two looks at containers that tell nobody
        for container in self.containers:
            container.end(GRACE_SECONDS if found in {"stopped", "too long"} else 0)
        self._take()
        return found

    def _take(self) -> None:
        for mount in self.mounts:
            mount.take()


class MountedJob:
    """One job's thread; who subclasses it does the steps and keeps the state."""

    def __init__(self, how: dict[str, Any]) -> None:
        self.how = how
        self.stopping = threading.Event()
        self.created, self.began, self.ended = time.time(), 0.0, 0.0

    def go(self) -> None:
        """Begin."""
        threading.Thread(target=self._live, daemon=True).start()

    def _live(self) -> None:
        try:
            self.live()
        except Exception as error:  # noqa: BLE001 - what the fake itself cannot do
            self.fail(repr(error))

    def live(self) -> None:
        """Go through all states."""
        raise NotImplementedError

    def fail(self, why: str) -> None:
        """End as the service's own fault."""
        raise NotImplementedError

    def why_end(self, most_seconds: float) -> str:
        """Say why the containers shall end now; empty: they shall not."""
        if self.stopping.is_set():
            return "stopped"
        if time.time() - self.began > most_seconds:
            return "too long"
        if self.began and time.time() - self.began > self.how.get("interrupt_after", float("inf")):
            self.how.pop("interrupt_after")
            return "taken back"
        return ""
