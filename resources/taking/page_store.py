"""Store of pulled pages: write-once keys in a folder or an object store."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from loopline.platform_core.errors import StoreUnavailable
from loopline.resources.object_store.objects import Found, Objects


class Shelf(Protocol):
    """Content by key; what an object store's client of ours and a folder have in common."""

    def read(self, key: str) -> tuple[bytes, str] | None:
        """Return content and ETag, None where there is none."""

    def write(self, key: str, content: bytes) -> None:
        """Write, whatever was there."""

    def write_if(self, key: str, content: bytes, etag: str | None) -> bool:
        """Write only if nothing is there (``etag`` None); say whether it was written."""

    def delete(self, keys: list[str]) -> None:
        """Delete; what is not there is no trouble."""

    def listed(self, folder: str) -> list[Found]:
        """List all that lies below a folder, by key."""


class FolderShelf:
    """A folder of this machine, or one that several mount; what was written outlives the machine's power.

    Raises:
        StoreUnavailable: it cannot be read or written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def read(self, key: str) -> tuple[bytes, str] | None:
        """Read a file."""
        with self._told():
            try:
                return (self.root / key).read_bytes(), ""
            except FileNotFoundError:
                return None

    def write(self, key: str, content: bytes) -> None:
        """Write a file of which readers see the old content or the new."""
        with self._draft(key, content) as draft:
            draft.replace(self.root / key)

    def write_if(self, key: str, content: bytes, etag: str | None) -> bool:  # noqa: ARG002 - only what is new is written
        """Link a file to its place: of several who do, one does."""
        with self._draft(key, content) as draft:
            try:
                os.link(draft, self.root / key)
            except FileExistsError:
                return False
            return True

    def listed(self, folder: str) -> list[Found]:
        """List files; drafts are none."""
        with self._told():
            files = [path for path in (self.root / folder).rglob("[!.]*") if path.is_file()]
            return sorted((self._found(path) for path in files), key=lambda found: found.key)

    def _found(self, path: Path) -> Found:
        state = path.stat()
        written_at = datetime.fromtimestamp(state.st_mtime, UTC)
        return Found(path.relative_to(self.root).as_posix(), state.st_size, written_at, "")

    def delete(self, keys: list[str]) -> None:
        """Delete files."""
        with self._told():
            for key in keys:
                (self.root / key).unlink(missing_ok=True)

    @contextmanager
    def _draft(self, key: str, content: bytes) -> Iterator[Path]:
        """Give a file beside its place that is on the disk; so is its name when the block ends."""
        folder = (self.root / key).parent
        draft = folder / f".{uuid.uuid4().hex}"
        with self._told():
            folder.mkdir(parents=True, exist_ok=True)
            try:
                with draft.open("wb") as file:
                    file.write(content)
                    file.flush()
                    os.fsync(file.fileno())
                yield draft
            finally:
                draft.unlink(missing_ok=True)
            there = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(there)
            finally:
                os.close(there)

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            fix = "let the platform read and write there"
            raise StoreUnavailable(f"{self.root}: {error.strerror}: {error.filename}", fix, 30) from error


def shelf_of(place: str, options: Mapping[str, str]) -> Shelf:
    """Open a folder, or a URL such as ``s3://bucket/prefix`` with the options of its store."""
    return Objects(place, options) if "://" in place else FolderShelf(Path(place))
