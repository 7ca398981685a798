"""In-memory lake."""

from __future__ import annotations

import threading
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import uuid4

from pydantic import PrivateAttr

from loopline.platform_core.contracts.lake import ERASES, Committed, Lake, TableName, Tidied
from loopline.platform_core.contracts.lake_files import FILES, LakeFiles
from loopline.platform_core.errors import CommitConflict, ContractBroken, NotFound
from loopline.platform_core.foundation.names import DATE

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass
class LakeTable:
    """A table: the rows of each append, the version of each application, and the versions that were let go.

    ``log`` has the transactions of each append; ``identity`` tells it from other tables, of its name too.
    """

    appends: list[pa.Table] = field(default_factory=list)
    committed: dict[str, int] = field(default_factory=dict)
    gone: set[int] = field(default_factory=set)
    before: dict[int, list[pa.Table]] = field(default_factory=dict)
    """Appends as they were up to a version, for versions from which days were taken later."""
    log: list[Mapping[str, int]] = field(default_factory=list)
    identity: str = field(default_factory=lambda: uuid4().hex)

    @property
    def mark(self) -> str:
        """Name how far the log goes."""
        return f"{self.identity} {len(self.log)}"

    def as_of(self, version: int) -> list[pa.Table]:
        """Return the appends as a version shows them."""
        return self.before[min(later)] if (later := [at for at in self.before if at >= version]) else self.appends


_shared: dict[str, dict[TableName, LakeTable]] = {}
_lock = threading.RLock()


class InMemoryLake(Lake):
    """Tables as lists of appends; instances of one ``name`` share them within the process, as processes a disk."""

    can: ClassVar[frozenset[str]] = frozenset({FILES, ERASES})

    name: str = ""
    _own: dict[TableName, LakeTable] = PrivateAttr(default_factory=dict)
    _marks: dict[TableName, str] = PrivateAttr(default_factory=dict)

    @property
    def held(self) -> dict[TableName, LakeTable]:
        """Return the tables by name."""
        return _shared.setdefault(self.name, {}) if self.name else self._own

    def kept_bytes(self) -> int:
        """Return what the rows take in memory."""
        with _lock:
            return sum(rows.nbytes for table in self.held.values() for rows in table.appends)

    def append(
        self,
        table: TableName,
        rows: pa.Table,
        transactions: Mapping[str, int] | None = None,
        after: Mapping[str, int] | None = None,
    ) -> int:
        """Keep the rows as the next version."""
        wanted = dict(transactions or {})
        with _lock:
            kept = self.held.get(table, LakeTable())
            if after is not None and any(kept.committed.get(app) != after.get(app) for app in wanted):
                raise CommitConflict(f"{table}: the writer builds on {dict(after)}", "begin from what is committed")
            done = [app for app, version in wanted.items() if kept.committed.get(app, -1) >= version]
            if done and len(done) < len(wanted):
                raise CommitConflict(f"{table}: {done[0]!r} is committed already", "append only what is not")
            if not done:
                self.keep(kept, plain(rows), wanted)
                self.held[table] = kept
            return len(kept.appends) - 1

    def keep(self, content: LakeTable, rows: pa.Table, transactions: Mapping[str, int]) -> None:
        """Add rows and transactions to a table."""
        joined([*content.appends, rows])
        content.appends.append(rows)
        content.committed.update(transactions)
        content.log.append(dict(transactions))

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
        """Join the appends up to a version."""
        import pyarrow.compute as pc

        with _lock:
            last = self.existing(table, version)
            appends = self.held[table].as_of(last)
            rows = joined(appends[: last + 1])
            if newer_than is not None:
                rows = rows.slice(sum(map(len, appends[: newer_than + 1])))
        for column, values in (among or {}).items():
            rows = rows.filter(pc.is_in(rows[column], values.cast(rows[column].type), skip_nulls=True))
        rows = rows if since is None else rows.filter(pc.field(DATE) >= since)
        rows = rows if until is None else rows.filter(pc.field(DATE) <= until)
        return rows if columns is None else rows.select(columns)

    def version(self, table: TableName) -> int | None:
        """Count the appends."""
        return len(self.held[table].appends) - 1 if table in self.held else None

    def committed(self, table: TableName, applications: Sequence[str] | None = None) -> Mapping[str, int]:
        """Look the applications up."""
        with _lock:
            known = self.held[table].committed if table in self.held else {}
            self._marks[table] = self.held[table].mark if table in self.held else ""
            return {app: known[app] for app in (known if applications is None else applications) if app in known}

    def mark(self, table: TableName) -> str:
        """Return how far the log went at the last look."""
        return self._marks.get(table, "")

    def committed_since(self, table: TableName, mark: str) -> Committed | None:
        """Read on in the log."""
        with _lock:
            kept, (identity, _, entries) = self.held.get(table), mark.partition(" ")
            if kept is None or identity != kept.identity:
                return None
            newer: dict[str, int] = {}
            for transactions in kept.log[int(entries) :]:
                newer |= transactions
            return Committed(newer, kept.mark)

    def existing(self, table: TableName, version: int | None) -> int:
        """Return the version, the newest when None."""
        newest = self.version(table)
        if newest is None or (version is not None and (version > newest or version in self.held[table].gone)):
            raise NotFound(f"table {table!r} has no version {version}", f"its newest is {newest}")
        return newest if version is None else version

    def tidy(self, table: TableName, keep: Collection[int], older_than: timedelta) -> Tidied:
        """Let older versions go; an append is taken for a file, and its age is not known, so that it is old."""
        with _lock:
            newest = self.existing(table, None)
            kept = {self.existing(table, version) for version in [*keep, newest]}
            if not older_than:
                self.held[table].gone = set(range(newest)) - kept
            return Tidied(newest + 1, 1, newest + 1 - len(kept), tuple(sorted(kept)))

    def drop_days(self, table: TableName, before: date) -> int:
        """Note from which day on the newest version has rows."""
        import pyarrow as pa
        import pyarrow.compute as pc

        with _lock:
            newest, kept = self.existing(table, None), self.held[table]
            older: int = self.read(table, until=before - timedelta(days=1)).num_rows
            if older:
                rest = [rows.filter(pc.field(DATE) >= before) for rows in kept.appends]
                kept.before[newest] = kept.appends
                kept.appends = [*rest, pa.table({DATE: pa.array([], pa.date32())})]
            return older

    def erase(self, table: TableName, among: Mapping[str, pa.Array]) -> int:
        """Take the rows out of every append, as it is and as it was."""
        with _lock:
            self.existing(table, None)
            kept = self.held[table]
            before = sum(map(len, kept.appends))
            kept.appends = [without(rows, among) for rows in kept.appends]
            kept.before = {at: [without(rows, among) for rows in older] for at, older in kept.before.items()}
            return before - sum(map(len, kept.appends))

    def files(self) -> LakeFiles:
        """Give appends and their transactions as files."""
        from loopline.platform_core.testing.fakes.lake_files import InMemoryLakeFiles

        return InMemoryLakeFiles(self)

    def tables(self) -> Sequence[TableName]:
        """List the names."""
        return sorted(self.held)


def without(rows: pa.Table, among: Mapping[str, pa.Array]) -> pa.Table:
    """Leave out the rows whose value in each named column is one of those given."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not set(among) <= set(rows.column_names):
        return rows
    meant = pa.chunked_array([pa.repeat(pa.scalar(value=True), len(rows))])
    for column, values in among.items():
        meant = pc.and_(meant, pc.is_in(rows[column], values.cast(rows[column].type), skip_nulls=True))
    return rows.filter(pc.invert(meant))


def joined(appends: Sequence[pa.Table]) -> pa.Table:
    """Join appends; a column that one of them lacks is null there."""
    import pyarrow as pa

    try:
        return pa.concat_tables(appends, promote_options="default")
    except (pa.ArrowTypeError, pa.ArrowInvalid) as error:
        raise ContractBroken(str(error), "append columns of the table's own types") from error


def plain(rows: pa.Table) -> pa.Table:
    """Bring other spellings of text and time to the plain ones."""
    import pyarrow as pa

    def of(kind: Any) -> Any:
        if pa.types.is_timestamp(kind):
            return pa.timestamp("us", "UTC")
        return pa.string() if pa.types.is_dictionary(kind) or pa.types.is_large_string(kind) else kind

    return rows.cast(pa.schema([(field.name, of(field.type)) for field in rows.schema]))
