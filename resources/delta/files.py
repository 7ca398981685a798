"""Delta lake as files for migration: data first, then the log in order, so that a copy is never inconsistent."""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Collection, Iterator
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from loopline.platform_core.contracts.lake_files import LakeFiles, StoredFile, TableFiles
from loopline.platform_core.errors import NotFound, StoreUnavailable
from loopline.resources.delta.away import translating, unavailable
from loopline.resources.delta.opened import ABSENT, LOG

if TYPE_CHECKING:
    from pyarrow import NativeFile
    from pyarrow.fs import FileSystem

    from loopline.resources.delta.lake import DeltaLake

HINT = f"{LOG}/_last_checkpoint"
"""Where the log says from which checkpoint on to read: the one file that is written again."""
DRAFTS = ".drafts"
"""Folder of a local lake in which files are written before they get their names; no table lies so high."""
PIECE = 8 * 2**20
_VERSION = re.compile(rf"{LOG}/(\d{{20}})\.")


class DeltaFiles(LakeFiles):
    """Files below a Delta lake's root, on this machine or in an object store."""

    form: ClassVar[str] = "delta"

    def __init__(self, lake: DeltaLake, root: str, store: FileSystem) -> None:
        self._lake, self.root, self._store = lake, root, store

    def of(self, table: str) -> TableFiles:
        """List what lies in the table's folder: what no version holds any more is there too, until it is tidied."""
        self._lake.open(table)
        folder = self._lake.uri(table).removeprefix(f"{self.root}/")
        found = self.below(folder)
        inside = sorted((path.removeprefix(f"{folder}/"), size) for path, size in found.items())
        data = [StoredFile(f"{folder}/{path}", size) for path, size in inside if not _is_log(path)]
        sizes = {path: size for path, size in inside if _is_log(path)}
        return TableFiles(folder, data, [StoredFile(f"{folder}/{p}", sizes[p], p == HINT) for p in _ordered(sizes)])

    @translating
    def below(self, folder: str) -> dict[str, int]:
        """List recursively; a folder that is not there has none."""
        from pyarrow.fs import FileSelector, FileType

        found = self._store.get_file_info(FileSelector(folder, allow_not_found=True, recursive=True))
        return {info.path: int(info.size) for info in found if info.type == FileType.File}

    @translating
    def read(self, path: str) -> Iterator[bytes]:
        """Read by pieces of 8 MiB."""
        try:
            stream = self._store.open_input_stream(path)
        except ABSENT as error:
            raise NotFound(f"{self.root}/{path} is not there", "see whether the table was tidied meanwhile") from error
        return self._pieces(stream, path)

    def _pieces(self, stream: NativeFile, path: str) -> Iterator[bytes]:
        with stream:
            while True:
                try:
                    piece = stream.read(PIECE)
                except OSError as error:
                    raise _unavailable(self.root, path, error) from error
                if not piece:
                    return
                yield piece

    def put(self, path: str, content: Path) -> None:
        """Write a draft and rename it, or hand the file to the object store, which shows it once it is whole."""
        try:
            self._put_here(path, content) if self._is_local else self._put_away(path, content)
        except OSError as error:
            raise _unavailable(self.root, path, error) from error

    @cached_property
    def _is_local(self) -> bool:
        return "://" not in self.root

    def _put_here(self, path: str, content: Path) -> None:
        """Write; a draft that a killed process left is written anew, since it is called after what it becomes."""
        draft = Path(self.root, DRAFTS, hashlib.sha256(path.encode()).hexdigest())
        target = Path(self.root, path)
        for folder in (draft.parent, target.parent):
            folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(content, draft)
        draft.replace(target)

    def _put_away(self, path: str, content: Path) -> None:
        """Stream it, through a buffer larger than a piece: delta-rs takes bytes, and gets Arrow's buffers without."""
        with content.open("rb") as file, self._store.open_output_stream(path, buffer_size=2 * PIECE) as stream:
            while piece := file.read(PIECE):
                stream.write(piece)


def _is_log(path: str) -> bool:
    return path == HINT or _VERSION.match(path) is not None


def _ordered(log: Collection[str]) -> list[str]:
    """Order a log: versions up to the newest as far as none between them is gone, the hint, then those before.

    A reader takes a version for the newest when the next one is not there, so none may be seen before a gap. A
    checkpoint comes before its commit: of a log that was trimmed it needs nothing before it.
    """
    versions = {path: int(found[1]) for path in log if (found := _VERSION.match(path))}
    there, first = set(versions.values()), max(versions.values(), default=0)
    while first - 1 in there:
        first -= 1
    ordered = sorted(versions, key=lambda path: (versions[path], path.endswith(".json")))
    newest, before = ([p for p in ordered if (versions[p] >= first) is wanted] for wanted in (True, False))
    return [*newest, *([HINT] if HINT in log else []), *before]


def _unavailable(root: str, path: str, error: OSError) -> StoreUnavailable:
    fix = "look at space and permissions of the lake, and whether its store answers; then do it again"
    return unavailable(f"the lake at {root} fails at {path}", error, fix)
