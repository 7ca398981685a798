"""The lake on Delta tables, written and read without a JVM; one folder a table."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING, Any

from pydantic import Field, PrivateAttr

from platform_core.contracts.lake import Lake, TableName
from platform_core.errors import CommitConflict, ContractBroken, NotFound, StoreUnavailable
from platform_core.names import DATE

if TYPE_CHECKING:
    import pyarrow as pa
    from deltalake import DeltaTable

LEVELS = 3  # a table's name is team/stage/name


class DeltaLake(Lake):
    """Delta tables under ``root``, a path or a URL that delta-rs knows (``s3://``, ``gs://``, ``az://``).

    ``storage_options`` go to the object store as they are; ``attempts`` bounds how often a commit that lost to
    another writer is tried again.
    """

    root: str
    storage_options: dict[str, str] = Field(default_factory=dict)
    attempts: int = 10
    _seen: dict[TableName, tuple[int, dict[str, int | None]]] = PrivateAttr(default_factory=dict)

    def append(self, table: TableName, rows: pa.Table, transactions: Mapping[str, int] | None = None) -> int:
        """Add rows; a commit that lost is tried again on what the winner left."""
        from deltalake.exceptions import DeltaError

        rows, wanted = _canonical(rows), dict(transactions or {})
        for attempt in range(self.attempts):
            try:
                return _append_once(self, table, rows, wanted)
            except (DeltaError, OSError) as error:
                if not _lost_a_race(error):
                    raise StoreUnavailable(
                        f"{table}: {error}", f"look at space and permissions of {self._root}"
                    ) from error
            time.sleep(random.uniform(0.5, 1) * min(1.0, 0.02 * 2**attempt))  # noqa: S311 - spreads writers, no secret
        raise CommitConflict(f"{table}: {self.attempts} commits lost to other writers", "append again in a while")

    def read(
        self,
        table: TableName,
        *,
        version: int | None = None,
        columns: Sequence[str] | None = None,
        since: date | None = None,
        until: date | None = None,
    ) -> pa.Table:
        """Read by Polars, which prunes partitions and is some ten times faster here than a dataset of Arrow."""
        import polars as pl

        frame = pl.scan_delta(self._open(table, version))
        frame = frame if since is None else frame.filter(pl.col(DATE) >= since)
        frame = frame if until is None else frame.filter(pl.col(DATE) <= until)
        return _canonical((frame.select(columns) if columns is not None else frame).collect().to_arrow())

    def version(self, table: TableName) -> int | None:
        """Look at the log only."""
        found = self.find(table)
        return int(found.version()) if found else None

    def committed(self, table: TableName, applications: Sequence[str]) -> Mapping[str, int]:
        """Look each application up once a version of the table: a look-up costs about half a millisecond."""
        found = self.find(table)
        if found is None:
            return {}
        version, known = self._seen.get(table, (-1, {}))
        if version != found.version():
            known = {}
        known |= {app: found.transaction_version(app) for app in applications if app not in known}
        self._seen[table] = (found.version(), known)
        return {app: at for app in applications if (at := known[app]) is not None}

    def tables(self) -> Sequence[TableName]:
        """List folders that hold a Delta log."""
        from deltalake.fs import DeltaStorageHandler
        from pyarrow.fs import FileSelector, FileType, PyFileSystem

        if "://" not in self.root and not os.path.isdir(self.root):  # noqa: PTH112 - root may be a URL
            return []
        store = PyFileSystem(DeltaStorageHandler(self._root, self.storage_options))
        folders = [""]
        for _ in range(LEVELS):
            inside = [info for folder in folders for info in store.get_file_info(FileSelector(folder))]
            folders = [info.path for info in inside if info.type == FileType.Directory]
        return sorted(name for name in folders if self.find(name))

    @property
    def _root(self) -> str:
        return self.root.rstrip("/") if "://" in self.root else os.path.abspath(self.root)  # noqa: PTH100 - or a URL

    def uri(self, table: TableName) -> str:
        """Return the URL or path of a table's folder."""
        return f"{self._root}/{table}"

    def find(self, table: TableName) -> DeltaTable | None:
        """Open a table at its newest version, None where there is none."""
        from deltalake import DeltaTable
        from deltalake.exceptions import TableNotFoundError

        try:
            return DeltaTable(self.uri(table), storage_options=self.storage_options)
        except TableNotFoundError:
            return None

    def _open(self, table: TableName, version: int | None) -> DeltaTable:
        from deltalake import DeltaTable
        from deltalake.exceptions import DeltaError

        found = self.find(table)
        if found is None:
            raise NotFound(f"table {table!r} was never written", f"tables are {', '.join(self.tables()) or 'none yet'}")
        if version is None or version == found.version():
            return found
        try:
            return DeltaTable(self.uri(table), version=version, storage_options=self.storage_options)
        except DeltaError as error:
            newest = f"its newest is {found.version()}; older ones may be vacuumed"
            raise NotFound(f"table {table!r} has no version {version}", newest) from error


def _append_once(lake: DeltaLake, table: TableName, rows: pa.Table, wanted: Mapping[str, int]) -> int:
    from deltalake import CommitProperties, Transaction, write_deltalake

    found = lake.find(table)
    if found is not None:
        _same_types(table, found, rows)
        if _all_committed(table, found, wanted):
            return int(found.version())
    # The very object that was looked at is written to, so that delta-rs holds what was committed in between
    # against these transactions. It cannot for a table's first commit, which therefore may not be repeated.
    write_deltalake(
        found if found is not None else lake.uri(table),
        rows,
        mode="append" if found is not None else "error",
        schema_mode="merge",
        partition_by=[DATE] if DATE in rows.column_names else None,
        storage_options=lake.storage_options,
        commit_properties=CommitProperties(
            max_commit_retries=None if found is not None else 0,
            app_transactions=[Transaction(app, at) for app, at in wanted.items()],
        ),
    )
    return int(found.version()) if found is not None else 0


def _all_committed(table: TableName, found: DeltaTable, wanted: Mapping[str, int]) -> bool:
    held = {app: found.transaction_version(app) for app in wanted}
    done = [app for app, at in held.items() if at is not None and at >= wanted[app]]
    if done and len(done) < len(wanted):  # their rows cannot be told from the others', so nothing may be written
        raise CommitConflict(
            f"{table}: {len(done)} of {len(wanted)} transactions are committed already, such as {done[0]!r}",
            "ask for what is committed, and append only what is not",
        )
    return bool(done)


def _lost_a_race(error: Exception) -> bool:
    from deltalake.exceptions import CommitFailedError

    words = ("already exists", "concurrent", "conflict", "commit failed")
    return isinstance(error, CommitFailedError) or any(word in str(error).lower() for word in words)


def _same_types(table: TableName, found: DeltaTable, rows: pa.Table) -> None:
    import pyarrow as pa

    held: Any = {field.name: field.type for field in pa.schema(found.schema().to_arrow())}
    for field in rows.schema:
        was = _plain(held.get(field.name, field.type))
        if was != field.type:
            raise ContractBroken(
                f"{table}: column {field.name!r} is {was} in the table and {field.type} in the rows",
                "cast the column, or write a table of a new name",
            )


def _canonical(rows: pa.Table) -> pa.Table:
    """Cast to the types that a table keeps, every column nullable, so that what is read equals what was written."""
    import pyarrow as pa

    return rows.cast(pa.schema([pa.field(field.name, _plain(field.type)) for field in rows.schema]))


def _plain(kind: pa.DataType) -> pa.DataType:
    import pyarrow as pa
    from pyarrow import types

    if types.is_timestamp(kind):  # without a zone it is UTC by the platform's rule
        return pa.timestamp("us", "UTC")
    if types.is_large_string(kind) or types.is_string_view(kind):
        return pa.string()
    if types.is_dictionary(kind):
        return _plain(kind.value_type)
    if types.is_list(kind) or types.is_large_list(kind):
        return pa.list_(_plain(kind.value_type))
    return kind
