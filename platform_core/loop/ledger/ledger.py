"""The ledger: append-only entries on cycles, deployments and decisions, and its transactions.

Importing this module imports SQLAlchemy: import it inside the function that opens a ledger.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import (
    CompoundSelect,
    Connection,
    Engine,
    RowMapping,
    Select,
    Table,
    false,
    func,
    insert,
    select,
    text,
    union_all,
    update,
)
from sqlalchemy.exc import IntegrityError, OperationalError, StatementError

from loopline.platform_core.errors import LooplineError, StoreUnavailable
from loopline.platform_core.loop.ledger import audited, database, tables
from loopline.platform_core.redaction import redacted

if TYPE_CHECKING:
    from loopline.platform_core.foundation.names import ModelRef

_Query = Select[Any] | CompoundSelect[Any]
Json = Any
"""What ``json.dumps`` accepts and ``json.loads`` returns."""


@dataclass(frozen=True)
class Entry:
    """One thing that happened: a decision, a change, an observation.

    ``at`` is the platform's clock, by which decisions are made and history is asked; ``recorded_at`` is the wall's.
    ``kind`` is ``noun.verb``, such as ``deployment.changed``. ``details`` carries the figures, as JSON.
    """

    kind: str
    at: datetime
    team: str = ""
    model: str = ""
    cycle: str = ""
    version: str = ""
    actor: str = "platform"
    reason: str = ""
    details: Mapping[str, Json] = field(default_factory=dict)
    entry_id: int | None = None
    recorded_at: datetime | None = None


class Ledger:
    """The database of the loop: entries for ever, and the state machines' tables."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    @classmethod
    def open(cls, url: str) -> Ledger:
        """Open a ledger by SQLAlchemy URL, brought to the newest schema; several processes may do so at once.

        Raises:
            InvalidEnvironment: the URL is wrong, or a newer Loopline wrote the ledger. StoreUnavailable: no answer.
        """
        return cls(database.connect(url))

    def close(self) -> None:
        """Let every connection go."""
        self.engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Open a transaction that only reads."""
        with _answering(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """Open a transaction that only reads, and sees nothing of what others write meanwhile."""
        with _answering(), database.unmoved(self.engine).connect() as connection:
            yield connection

    @contextmanager
    def writing(self, ref: ModelRef | None = None) -> Iterator[Connection]:
        """Open a transaction that writes; those of one model happen one after the other."""
        with _answering(), database.writer(self.engine).begin() as connection:
            if ref is not None and connection.dialect.name == "postgresql":  # SQLite has one writer anyway
                connection.execute(text("SELECT pg_advisory_xact_lock(hashtext(:name))"), {"name": ref.dotted})
            yield connection

    def record(self, entry: Entry, once: str | None = None) -> int:
        """Append an entry and return its id; with the key ``once`` a repeated call returns the first one's id."""
        with self.writing() as connection:
            return append(connection, entry, once)

    def upsert(self, table: Table, key: Mapping[str, Any], values: Mapping[str, Any], **fresh: Any) -> None:
        """Update the row of a key, or insert it with ``fresh`` beside; of two who insert it the second one updates."""
        here = [table.c[name] == value for name, value in key.items()]
        for _ in range(2):
            with suppress(IntegrityError), self.writing() as connection:
                if not connection.execute(update(table).where(*here).values(values)).rowcount:
                    connection.execute(insert(table).values({**fresh, **values, **key}))
                return

    def entries(  # noqa: PLR0913, PLR0917 - each filter is optional
        self,
        ref: ModelRef | None = None,
        kinds: Sequence[str] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        limit: int | None = None,
        newest_first: bool = False,
        version: str | None = None,
        cycle: str | None = None,
    ) -> list[Entry]:
        """Read entries in the order in which they were recorded; ``since`` and ``until`` (included) by ``at``."""
        found = _filtered(ref, kinds, since, until, version, cycle)
        return self.selected(merged(found, limit, newest_first=newest_first))

    def kinds(self, ref: ModelRef) -> list[str]:
        """Return the kinds of a model's entries, by one look into an index for each of them."""
        column = tables.entries.c
        own = select(func.min(column.kind).label("kind")).where(column.team == ref.team, column.model == ref.model)
        found = own.cte(recursive=True)
        later = own.where(column.kind > found.c.kind).correlate(found).scalar_subquery()
        found = found.union_all(select(later).where(found.c.kind.is_not(None)))
        with self.reading() as connection:
            return [kind for (kind,) in connection.execute(select(found.c.kind)) if kind is not None]

    def selected(self, query: _Query) -> list[Entry]:
        """Read the entries that a query over the whole ``tables.entries`` selects."""
        with self.reading() as connection:
            return [_entry(row) for row in connection.execute(query).mappings().all()]


def append(connection: Connection, entry: Entry, once: str | None = None) -> int:
    """Append an entry inside a transaction of ``Ledger.writing``, and to the audit's record with it."""
    column = tables.entries.c
    earlier = select(column.entry_id).where(column.unique_key == once)
    if once is not None and (known := connection.scalar(earlier)) is not None:
        return int(known)
    values = {name: getattr(entry, name) for name in _COLUMNS} | {
        "reason": redacted(entry.reason),
        "details": database.plain(entry.details),
        "recorded_at": datetime.now(UTC),
        "unique_key": once,
    }
    try:
        with connection.begin_nested():
            written = connection.execute(insert(tables.entries).values(values).returning(column.entry_id))
            entry_id = int(written.scalar_one())
            audited.record(connection, entry_id, values)
            return entry_id
    except IntegrityError:
        if once is not None and (known := connection.scalar(earlier)) is not None:
            return int(known)  # another process recorded the same at the same time
        raise


def newest(connection: Connection, ref: ModelRef, kinds: Sequence[str], version: str | None = None) -> Entry | None:
    """Return a model's last entry of these kinds (and about a version), inside a transaction."""
    query = merged(_filtered(ref, kinds, version=version), 1, newest_first=True)
    row = connection.execute(query).mappings().one_or_none()
    return _entry(row) if row else None


def merged(queries: Sequence[Select[Any]], limit: int | None = None, *, newest_first: bool = False) -> _Query:
    """Put queries over the whole ``tables.entries`` together, in the order in which entries were recorded.

    An index gives each of them in that order. Of one query for several kinds SQLite reads every entry of the model
    instead; PostgreSQL sorts all that it finds, but for the limit that each query gets of its own.
    """
    if len(queries) == 1:
        return _ordered(queries[0], limit, newest_first)
    each = queries if limit is None else [select(_ordered(one, limit, newest_first).subquery()) for one in queries]
    return _ordered(union_all(*each), limit, newest_first)


def _ordered(query: _Query, limit: int | None, newest_first: bool) -> _Query:
    order = query.selected_columns.entry_id
    return query.order_by(order.desc() if newest_first else order).limit(limit)


_COLUMNS = ("kind", "at", "team", "model", "cycle", "version", "actor", "reason")


def _filtered(  # noqa: PLR0913, PLR0917 - each filter is optional
    ref: ModelRef | None,
    kinds: Sequence[str] | None,
    since: datetime | None = None,
    until: datetime | None = None,
    version: str | None = None,
    cycle: str | None = None,
) -> list[Select[Any]]:
    """Return a query for each kind, for ``merged``."""
    column = tables.entries.c
    query = select(tables.entries)
    if ref is not None:
        query = query.where(column.team == ref.team, column.model == ref.model)
    if version is not None:
        query = query.where(column.version == version)
    if cycle is not None:
        query = query.where(column.cycle == cycle)
    if since is not None:
        query = query.where(column.at >= since)
    if until is not None:
        query = query.where(column.at <= until)
    if kinds is None:
        return [query]
    return [query.where(column.kind == kind) for kind in dict.fromkeys(kinds)] or [query.where(false())]


def _entry(row: RowMapping) -> Entry:
    return Entry(**{name: row[name] for name in (*_COLUMNS, "details", "entry_id", "recorded_at")})


@contextmanager
def _answering() -> Iterator[None]:
    """Turn a database that is locked or gone into an error worth another try, and give back errors of our own."""
    try:
        yield
    except OperationalError as error:
        raise StoreUnavailable(
            f"the ledger did not answer: {error.orig}", "look at the database; the call may be repeated"
        ) from error
    except StatementError as error:
        if isinstance(error.orig, LooplineError):  # what tables.py refused, wrapped on its way up
            raise error.orig from None
        raise
