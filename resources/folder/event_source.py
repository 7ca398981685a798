"""CSV files that land in a folder; a file stays where it is, and its content is its name."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import PrivateAttr

from loopline.platform_core.contracts.event_source import Arrival, EventSource
from loopline.platform_core.errors import NotFound
from loopline.platform_core.foundation.files import write

if TYPE_CHECKING:
    import pyarrow as pa

HASHES = ".hashes.json"
"""Beside the files: ``{name: [size, mtime_ns, sha256]}``, so that a new process need not read every file again."""
Hashes = dict[str, tuple[int, int, str]]


class FolderEventSource(EventSource):
    """Files ``<root>/<team>/<source>/*.csv`` with a header line, in UTF-8.

    A file's modification time says when it arrived. Who writes a file writes it under another name first
    (``.name``, ``name.tmp``, ``name.part``) and renames it: a file under its own name is taken as whole.
    """

    root: str
    _hashes: dict[str, Hashes] = PrivateAttr(default_factory=dict)

    def arrivals(self, source: str, known: Collection[str] = (), limit: int | None = None) -> Sequence[Arrival]:
        """List files by modification time; of several files with the same content the oldest counts."""
        found = sorted(self._arrivals(source), key=lambda a: (a.arrived_at, a.name))
        by_content: dict[str, Arrival] = {}
        for arrival in found:
            by_content.setdefault(arrival.arrival_id, arrival)
        wanted = set(known)
        return [a for a in by_content.values() if a.arrival_id not in wanted][:limit]

    def read(self, source: str, arrival: Arrival) -> pa.Table:
        """Read a file whose content is still that of the arrival."""
        from loopline.resources.folder.csv_rows import read_rows

        path = self._folder(source) / arrival.name
        with contextlib.suppress(FileNotFoundError):
            data = path.read_bytes()
            if hashlib.sha256(data).hexdigest() == arrival.arrival_id:
                return read_rows(data, str(path))
        raise NotFound(f"{path} is gone or no longer what it was when it was listed", "list arrivals again")

    def place(self, source: str) -> str:
        """Return the folder."""
        return str(self._folder(source).absolute())

    def _folder(self, source: str) -> Path:
        return Path(self.root, source)

    def _arrivals(self, source: str) -> Iterator[Arrival]:
        folder = self._folder(source)
        before = self._hashes.get(source) or _remembered(folder)
        now = dict(_hashed(_whole_files(folder), before))
        self._hashes[source] = now
        if now != before:
            _remember(folder, now)
        for name, (_, modified_ns, digest) in now.items():
            yield Arrival(digest, name, datetime.fromtimestamp(modified_ns / 1e9, UTC))


def _whole_files(folder: Path) -> Iterator[os.DirEntry[str]]:
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.endswith(".csv") and not entry.name.startswith(".") and entry.is_file():
                yield entry


def _hashed(files: Iterable[os.DirEntry[str]], before: Hashes) -> Iterator[tuple[str, tuple[int, int, str]]]:
    for file in files:
        with contextlib.suppress(FileNotFoundError):  # it may be taken away while we look
            state = file.stat()
            known = before.get(file.name)
            if known is None or known[:2] != (state.st_size, state.st_mtime_ns):
                digest = hashlib.sha256(Path(file.path).read_bytes()).hexdigest()
                known = (state.st_size, state.st_mtime_ns, digest)
            yield file.name, known


def _remembered(folder: Path) -> Hashes:
    try:
        return {
            name: (size, at, digest) for name, (size, at, digest) in json.loads((folder / HASHES).read_text()).items()
        }
    except (OSError, ValueError):
        return {}


def _remember(folder: Path, hashes: Hashes) -> None:
    with contextlib.suppress(OSError):  # a landing folder may be read-only: then each process reads the files once
        write(folder / HASHES, json.dumps(hashes).encode())
