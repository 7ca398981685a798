"""Migration of lake tables as files: data first, then the transaction log; each is read back and compared."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from loopline.platform_core.errors import ContractBroken, Refused, Unsupported
from loopline.platform_core.migration.figures import MovedTable

if TYPE_CHECKING:
    from loopline.platform_core.contracts import Lake
    from loopline.platform_core.contracts.lake_files import LakeFiles, StoredFile, TableFiles

AT_ONCE = 8
"""Files under way together."""
T = TypeVar("T")


def files_of(source: Lake, target: Lake) -> tuple[LakeFiles, LakeFiles]:
    """Open both lakes as files.

    Raises:
        Unsupported: one of them cannot, or they read other files.
    """
    both = source.files(), target.files()
    if both[0].form != both[1].form:
        raise Unsupported(
            f"a lake of {both[0].form} files cannot be moved to one of {both[1].form} files",
            "bind a lake of the same form, or move tables by tools of their own, versions included",
        )
    return both


@dataclass(frozen=True)
class TableMove:
    """The way of one table; ``report`` hears of each file that is about to be put."""

    source: LakeFiles
    target: LakeFiles
    table: str
    newest: int
    report: Callable[[str], None] = field(default=lambda _: None)

    def count(self) -> MovedTable:
        """Count what there is, and what a run would copy; nothing is read.

        Raises:
            Refused: the target has files of its own.
        """
        found, there = self._both()
        return self._moved(found, [file for file in _all(found) if there.get(file.path) != file.size])

    def run(self) -> MovedTable:
        """Copy what is not there, and hold all that is against the source.

        Raises:
            Refused: the target has files of its own. ContractBroken: a file there is another than at the source.
            StoreUnavailable: a store did not answer.
        """
        found, there = self._both()
        with _pool() as pool:
            known = [file for file in _all(found) if file.path in there]
            same = dict(zip((file.path for file in known), _each(pool, self._is_same, known), strict=True))
            new = [file for file in found.data if file.path not in same]
            _each(pool, self._put, new)
        newer = [file for file in found.log if not same.get(file.path)]
        for file in newer:
            self._put(file)
        return self._moved(found, [*new, *newer])

    def _both(self) -> tuple[TableFiles, dict[str, int]]:
        found = self.source.of(self.table)
        there = self.target.below(found.folder)
        more = set(there) - {file.path for file in _all(found)}
        own = sorted(path for path in more if not self.target.may_be_left(path))
        if own:
            raise Refused(
                f"table {self.table!r} has {len(own)} files at the target that the source has not, such as {own[0]}",
                "the target was at work, or the source was tidied since: empty the table's folder at the target, or "
                "choose another place, and run it again",
            )
        return found, there

    def _is_same(self, file: StoredFile) -> bool:
        """Compare a file that is there; one that the vendor writes again may differ.

        Raises:
            ContractBroken: another one does.
        """
        if _sha256(self.source, file.path) == _sha256(self.target, file.path):
            return True
        if not file.changing:
            raise ContractBroken(
                f"{file.path} at the target is not the source's",
                "it was cut short or changed there: delete it at the target, and run it again",
            )
        return False

    def _put(self, file: StoredFile) -> None:
        self.report(file.path)
        with tempfile.TemporaryDirectory(prefix="loopline-move-") as folder:
            content, hashed = Path(folder, "content"), hashlib.sha256()
            with content.open("wb") as copy:
                for piece in self.source.read(file.path):
                    hashed.update(piece)
                    copy.write(piece)
            self.target.put(file.path, content)
        if _sha256(self.target, file.path) != hashed.hexdigest():
            raise ContractBroken(
                f"{file.path} came to the target other than it left the source",
                "see whether somebody else writes there; delete it at the target, and run it again",
            )

    def _moved(self, found: TableFiles, copied: list[StoredFile]) -> MovedTable:
        files = _all(found)
        sizes = sum(file.size for file in files), sum(file.size for file in copied)
        return MovedTable(self.table, self.newest, len(files), sizes[0], len(copied), sizes[1])


def _all(found: TableFiles) -> list[StoredFile]:
    return [*found.data, *found.log]


def _sha256(files: LakeFiles, path: str) -> str:
    hashed = hashlib.sha256()
    for piece in files.read(path):
        hashed.update(piece)
    return hashed.hexdigest()


@contextmanager
def _pool() -> Iterator[ThreadPoolExecutor]:
    """Give threads; what has not begun when one of them fails does not begin."""
    pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="move")
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)


def _each(pool: ThreadPoolExecutor, do: Callable[[StoredFile], T], files: Iterable[StoredFile]) -> list[T]:
    return list(pool.map(do, files))
