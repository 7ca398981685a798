"""Stored pages as files, for a migration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from loopline.platform_core.contracts.lake_files import PageFiles, StoredFile, TableFiles
from loopline.platform_core.errors import NotFound
from loopline.resources.taking.page_log import ANSWERS, LOG, WHOLE
from loopline.resources.taking.page_store import Shelf


@dataclass(frozen=True)
class TakenFiles(PageFiles):
    """The files of all sources below a folder of a shelf; drafts of who was killed are none."""

    shelf: Shelf
    root: str

    def folders(self) -> Sequence[str]:
        """List ``<root>/<team>/<source>``."""
        return sorted({"/".join(path.split("/")[:3]) for path in self.below(self.root)})

    def of(self, table: str) -> TableFiles:
        """List pages and answers, then the log by its numbers, and in the end the piece that has them all."""
        files = sorted(StoredFile(path, size, path.endswith(WHOLE)) for path, size in self.below(table).items())
        log = f"{table}/{LOG}/"
        data, pieces = ([file for file in files if file.path.startswith(log) is wanted] for wanted in (False, True))
        return TableFiles(table, data, pieces)

    def below(self, folder: str) -> dict[str, int]:
        """List recursively."""
        return {found.key: found.size for found in self.shelf.listed(folder)}

    def read(self, path: str) -> Iterator[bytes]:
        """Read a file at once: none is larger than an answer may be."""
        found = self.shelf.read(path)
        if found is None:
            raise NotFound(f"{path} is not there", "see whether its source was at work meanwhile")
        return iter([found[0]])

    def put(self, path: str, content: Path) -> None:
        """Write it."""
        self.shelf.write(path, content.read_bytes())

    def may_be_left(self, path: str) -> bool:
        """Say so of an answer: the next page's takes its place."""
        return f"/{ANSWERS}/" in path
