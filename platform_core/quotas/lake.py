"""Lake wrapper that refuses appends beyond the storage quota."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from pydantic import PrivateAttr

from loopline.platform_core.contracts.lake import Committed, Lake, TableName, Tidied

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.contracts.lake_files import LakeFiles
    from loopline.platform_core.quotas.storage import Storage


class BoundedLake(Lake):
    """The bound lake, of which an append waits for room; what only commits transactions, or takes rows out, goes on.

    A table that is moved here file by file is not held up, but counted once it is there.
    """

    _own: Lake = PrivateAttr()
    _storage: Storage = PrivateAttr()

    @classmethod
    def of(cls, lake: Lake, storage: Storage) -> BoundedLake:
        """Bound a lake."""
        made = cls()
        made._own, made._storage = lake, storage
        return made

    @property
    def can(self) -> frozenset[str]:  # type: ignore[override] # of the lake that it bounds
        """Return what the bound lake can."""
        return self._own.can

    @property
    def bounded(self) -> Lake:
        """Return the lake itself."""
        return self._own

    def append(
        self,
        table: TableName,
        rows: pa.Table,
        transactions: Mapping[str, int] | None = None,
        after: Mapping[str, int] | None = None,
    ) -> int:
        """Append, if there is room.

        Raises:
            QuotaReached: there is none; neither row nor transaction was written.
        """
        if not len(rows):
            return self._own.append(table, rows, transactions, after)
        with self._storage.writing(f"{len(rows)} rows of {table}", rows.nbytes):
            return self._own.append(table, rows, transactions, after)

    def read(self, table: TableName, **chosen: Any) -> pa.Table:
        """Read."""
        return self._own.read(table, **chosen)

    def version(self, table: TableName) -> int | None:
        """Look it up."""
        return self._own.version(table)

    def committed(self, table: TableName, applications: Sequence[str] | None = None) -> Mapping[str, int]:
        """Look them up."""
        return self._own.committed(table, applications)

    def mark(self, table: TableName) -> str:
        """Return the lake's."""
        return self._own.mark(table)

    def committed_since(self, table: TableName, mark: str) -> Committed | None:
        """Look them up."""
        return self._own.committed_since(table, mark)

    def tidy(self, table: TableName, keep: Collection[int], older_than: timedelta) -> Tidied:
        """Tidy, and look again what is used."""
        done = self._own.tidy(table, keep, older_than)
        self._storage.changed()
        return done

    def drop_days(self, table: TableName, before: date) -> int:
        """Drop, and look again what is used."""
        done = self._own.drop_days(table, before)
        self._storage.changed()
        return done

    def erase(self, table: TableName, among: Mapping[str, pa.Array]) -> int:
        """Erase, however full it is, and look again what is used."""
        done = self._own.erase(table, among)
        self._storage.changed()
        return done

    def files(self) -> LakeFiles:
        """Return the lake's."""
        return self._own.files()

    def place(self, table: TableName) -> str:
        """Return the lake's."""
        return self._own.place(table)

    def tables(self) -> Sequence[TableName]:
        """List them."""
        return self._own.tables()

    def kept_bytes(self) -> int | None:
        """Add them up."""
        return self._own.kept_bytes()

    def set_apart(self, name: str) -> AbstractContextManager[Any]:
        """Give a place of the lake's, which nothing bounds: it is gone when it is left."""
        return self._own.set_apart(name)

    def close(self) -> None:
        """Close the lake."""
        self._own.close()
