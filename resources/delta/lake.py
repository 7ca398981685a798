"""Lake on Delta tables, written and read without a JVM; one folder a table."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, PrivateAttr

from loopline.platform_core.contracts.lake import ERASES, Committed, Lake, TableName, Tidied
from loopline.platform_core.contracts.lake_files import FILES
from loopline.platform_core.errors import NotFound
from loopline.platform_core.foundation.files import bytes_below, lent
from loopline.resources.delta.away import bounded, translating
from loopline.resources.delta.commits import Append, insist, was_trimmed
from loopline.resources.delta.folders import folder_of, table_in, with_account
from loopline.resources.delta.log import newest_version
from loopline.resources.delta.opened import MOST_WRITTEN, Opened
from loopline.resources.delta.reading import Wanted, newer_rows, rows_of
from loopline.resources.delta.transactions import NewTransactions, Transactions, chosen, mark_of
from loopline.resources.delta.types import canonical

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable
    from pyarrow.fs import FileSystem

    from loopline.resources.delta.files import DeltaFiles

LEVELS = 3  # a table's name is team/stage/name
LOOKS = 5  # how often a table is opened whose log is trimmed at the same moment


class DeltaLake(Lake):
    """Delta tables under ``root``, a path or a URL that delta-rs knows (``s3://``, ``gs://``, ``az://``).

    ``storage_options`` go to the object store, with bounds on how long it may take where they name none; ``attempts``
    bounds how often a commit that lost to another writer is tried again. A table bears its name and a description; its
    folder is one that catalogs take, with ``__`` for each dot of the name.
    """

    can: ClassVar[frozenset[str]] = frozenset({FILES, ERASES})

    root: str
    storage_options: dict[str, str] = Field(default_factory=dict)
    attempts: int = 10
    _seen: dict[TableName, Transactions] = PrivateAttr(default_factory=dict)
    _new: dict[TableName, NewTransactions] = PrivateAttr(default_factory=dict)
    _opened: Opened = PrivateAttr(default_factory=Opened)
    _whole: FileSystem | None = PrivateAttr(default=None)
    _written: Opened = PrivateAttr(default_factory=lambda: Opened(MOST_WRITTEN))

    @translating
    def append(
        self,
        table: TableName,
        rows: pa.Table,
        transactions: Mapping[str, int] | None = None,
        after: Mapping[str, int] | None = None,
    ) -> int:
        """Add rows; a commit that lost is tried again on what the winner left."""
        append = Append(table, canonical(rows), dict(transactions or {}), after)

        def once() -> int:
            found = self.find(table, own=True)
            known = self._committed(table, found) if found is not None and append.transactions else {}
            uri = self.uri(table)
            version = append.once(found, uri, self._options, lambda: self._store(uri), known)
            if found is not None:
                self._give_back(table, found, append)
            return version

        return int(insist(table, self.attempts, once))

    def _give_back(self, table: TableName, written: DeltaTable, append: Append) -> None:
        """Keep what was written to: of an object store for the next append, which need not open it; else for readers.

        There, opening is what an append of few rows waits for; on this machine it is nothing, and readers come soon.
        """
        opened = self._written if "://" in self.root else self._opened
        commit = opened.keep(folder_of(table), written, self.store(table))
        if table in self._seen:
            self._seen[table].add(int(written.version()), append.transactions, commit)

    @translating
    def read(  # noqa: PLR0913 - each names what is left out
        self,
        table: TableName,
        *,
        version: int | None = None,
        columns: Sequence[str] | None = None,
        since: date | None = None,
        until: date | None = None,
        among: Mapping[str, pa.Array] | None = None,
        newer_than: int | None = None,
    ) -> pa.Table:
        """Read by Polars, which prunes partitions and is some ten times faster here than a dataset of Arrow."""
        found, wanted = self.open(table, version), Wanted(columns, since, until, among or {})
        rows = rows_of(found, wanted) if newer_than is None else newer_rows(found, wanted, newer_than)
        return canonical(rows)

    @translating
    def version(self, table: TableName) -> int | None:
        """Look at the log only, where that tells its last checkpoint."""
        if (newest := self._newest(table)) is not None:
            return newest
        found = self.find(table)
        return int(found.version()) if found else None

    def _newest(self, table: TableName) -> int | None:
        from deltalake.exceptions import TableNotFoundError

        try:
            return newest_version(self.store(table))
        except TableNotFoundError:  # a folder that is not there
            return None

    @translating
    def committed(self, table: TableName, applications: Sequence[str] | None = None) -> Mapping[str, int]:
        """Read them all from the log, once a version of the table and in bulk: a look-up of one costs 2 ms."""
        if applications is None and (known := self._listed(table)) is not None:
            return known
        found = self.find(table)
        if found is None:
            return {}
        return chosen(found, applications, self._committed(table, found))

    def mark(self, table: TableName) -> str:
        """Name the version by the table's place and its commit."""
        seen = self._seen.get(table)
        return mark_of(self.uri(table), seen.version, seen.commit) if seen else ""

    @translating
    def committed_since(self, table: TableName, mark: str) -> Committed | None:
        """Read the commits since."""
        from deltalake.exceptions import TableNotFoundError

        if not mark:
            return None
        uri, new = self.uri(table), self._new.setdefault(table, NewTransactions())
        try:
            known = new.since(mark, uri, self._store(uri))
        except (TableNotFoundError, ValueError):  # a folder that is not there, or a commit that is not ours
            return None
        return None if known is None else Committed(known, new.newest)

    def _listed(self, table: TableName) -> Mapping[str, int] | None:
        """Read them without opening the table; None where no log lies there."""
        from deltalake.exceptions import TableNotFoundError

        try:
            store = self.store(table)
        except TableNotFoundError:  # a folder that is not there
            return None
        return self._seen.setdefault(table, Transactions()).newest(store)

    def _committed(self, table: TableName, found: DeltaTable) -> Mapping[str, int] | None:
        return self._seen.setdefault(table, Transactions()).at(found, self.store(table))

    @translating
    def tidy(self, table: TableName, keep: Collection[int], older_than: timedelta) -> Tidied:
        """Compact each month's files, vacuum files and log; ages are by the machine's clock, as delta-rs has it."""
        from loopline.resources.delta.tidying import tidy

        self.open(table)
        for version in keep:
            self.open(table, version)
        return tidy(self, table, keep, older_than)

    @translating
    def drop_days(self, table: TableName, before: date) -> int:
        """Remove whole partitions: no file is written anew."""
        from loopline.resources.delta.tidying import drop_days

        self.open(table)
        return drop_days(self, table, before)

    @translating
    def erase(self, table: TableName, among: Mapping[str, pa.Array]) -> int:
        """Delete rows; every version before goes, and what the log and the feed of changes held of them."""
        from loopline.resources.delta.erasing import erase

        self.open(table)
        return erase(self, table, among)

    @translating
    def tables(self) -> Sequence[TableName]:
        """List folders that hold a Delta log; one with a dot is no table's."""
        from pyarrow.fs import FileSelector, FileType

        if "://" not in self.root and not os.path.isdir(self.root):  # noqa: PTH112 - root may be a URL
            return []
        store = self._store(self._root)
        folders = [""]
        for _ in range(LEVELS):
            inside = [info for folder in folders for info in store.get_file_info(FileSelector(folder))]
            folders = [info.path for info in inside if info.type == FileType.Directory]
        return sorted(table_in(folder) for folder in folders if "." not in folder and self._at(folder))

    @translating
    def files(self) -> DeltaFiles:
        """Return the files below the root."""
        from loopline.resources.delta.files import DeltaFiles

        return DeltaFiles(self, self._root, self._store(self._root))

    @translating
    def kept_bytes(self) -> int:
        """Add up the files below the root, those of older versions too."""
        if "://" not in self.root:
            return bytes_below(Path(self._root))
        from pyarrow.fs import FileSelector

        found = self._store(self._root).get_file_info(FileSelector("", recursive=True, allow_not_found=True))
        return sum(info.size or 0 for info in found)

    def place(self, table: TableName) -> str:
        """Return the table's folder; of Azure's store with the account, which is part of the name that others use."""
        return with_account(self.uri(table), self.storage_options)

    @contextmanager
    def set_apart(self, name: str) -> Iterator[DeltaLake]:
        """Give a folder of its own in this one, deeper than tables lie: who lists them does not see it."""
        place = self.with_settings(root=f"{self._root}/{name}")
        if "://" not in self.root:
            with lent(Path(place.root)):
                yield place
            return
        try:
            yield place
        finally:
            place.clear()

    @translating
    def clear(self) -> None:
        """Delete every file below the root, of an object store one by one."""
        from pyarrow.fs import FileSelector, FileType

        store = self._store(self._root)
        for info in store.get_file_info(FileSelector("", recursive=True, allow_not_found=True)):
            if info.type == FileType.File:
                store.delete_file(info.path)

    @property
    def _options(self) -> dict[str, str]:
        return bounded(self.root, self.storage_options)

    @property
    def _root(self) -> str:
        return self.root.rstrip("/") if "://" in self.root else os.path.abspath(self.root)  # noqa: PTH100 - or a URL

    def uri(self, table: TableName) -> str:
        """Return the URL or path of a table's folder."""
        return f"{self._root}/{folder_of(table)}"

    def store(self, table: TableName) -> FileSystem:
        """Return a table's folder as a file system."""
        return self._store(self.uri(table))

    def _store(self, uri: str) -> FileSystem:
        """Return a folder as a file system.

        Of this machine by its own calls: delta-rs takes 50 times as long. Of an object store by what the lake's root is
        asked with: another one for a folder would begin with connections of its own.
        """
        from pyarrow.fs import LocalFileSystem, PyFileSystem, SubTreeFileSystem

        if "://" not in uri:
            return SubTreeFileSystem(uri, LocalFileSystem())
        if self._whole is None:
            from deltalake.fs import DeltaStorageHandler

            self._whole = PyFileSystem(DeltaStorageHandler(self._root, self._options))
        below = uri.removeprefix(self._root).strip("/")
        return SubTreeFileSystem(below, self._whole) if below else self._whole

    def find(self, table: TableName, *, own: bool = False) -> DeltaTable | None:
        """Open a table at its newest version, None where there is none; who will change it asks for its ``own``."""
        return self._at(folder_of(table), own=own)

    def _at(self, folder: str, *, own: bool = False) -> DeltaTable | None:
        """Open what lies in a folder, or take what is open already."""
        kept = self._written.take(folder) if own else self._opened.get(folder)
        if kept is not None:
            return kept
        found = self._open(folder)
        if found is not None and not own:
            self._opened.keep(folder, found, self._store(f"{self._root}/{folder}"))
        return found

    def _open(self, folder: str) -> DeltaTable | None:
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError, TableNotFoundError

        for more in range(LOOKS, 0, -1):
            try:
                return DeltaTable(f"{self._root}/{folder}", storage_options=self._options)
            except TableNotFoundError:
                return None
            except DeltaError as error:
                if more == 1 or not was_trimmed(error):
                    raise
        return None

    def open(self, table: TableName, version: int | None = None, *, own: bool = False) -> DeltaTable:
        """Open a table at a version, the newest when None; as ``find``, but it raises ``NotFound``."""
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError

        found = self.find(table, own=own)
        if found is None:
            raise NotFound(f"table {table!r} was never written", f"tables are {', '.join(self.tables()) or 'none yet'}")
        if version is None or version == found.version():
            return found
        try:
            return DeltaTable(self.uri(table), version=version, storage_options=self._options)
        except DeltaError as error:
            newest = f"its newest is {found.version()}; older ones may have been let go by tidying"
            raise NotFound(f"table {table!r} has no version {version}", newest) from error
