"""Tables of the feature registry: views, sources and readers, with the ledger entry of each change."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, RowMapping, delete, insert, select, update

from loopline.platform_core.features.registry.meaning import Meaning
from loopline.platform_core.features.registry.view_ref import ViewRef
from loopline.platform_core.loop.ledger import tables
from loopline.platform_core.loop.ledger.ledger import Entry, Ledger, append

State = Literal["active", "retired"]
REGISTERED, CHANGED, RETIRED = "feature_view.registered", "feature_view.changed", "feature_view.retired"
_view, _source, _reader = tables.feature_views.c, tables.feature_sources, tables.feature_readers


@dataclass(frozen=True)
class ViewRecord:
    """A version of a view as registered; ``registered_at`` is when this version first was, by the platform's clock."""

    ref: ViewRef
    state: State
    owner: str
    description: str
    meaning: Meaning
    registered_at: datetime
    registered_by: str
    changed_at: datetime


@dataclass(frozen=True)
class SourceRecord:
    """A source of a team, with the version that its contract's file states."""

    team: str
    name: str
    contract: str
    contract_version: str
    arrives: str
    description: str


def read_views(connection: Connection, team: str | None = None) -> dict[ViewRef, ViewRecord]:
    """Return the versions of views, of one team or of all, in order of name and version."""
    query = select(tables.feature_views).order_by(_view.team, _view.name, _view.version)
    rows = connection.execute(query if team is None else query.where(_view.team == team)).mappings()
    return {record.ref: record for record in map(_record, rows)}


def meaning_hash(ledger: Ledger, ref: ViewRef) -> str | None:
    """Return the hash of what a version of a view means, as registered; None where it is not."""
    with ledger.reading() as connection:
        record = read_views(connection, ref.team).get(ref)
    return record.meaning.hash if record else None


def write_view(connection: Connection, record: ViewRecord, why: Entry, *, new: bool) -> None:
    """Put a version of a view and the ledger's entry of it into a transaction."""
    values = _values(record)
    if new:
        connection.execute(insert(tables.feature_views).values(values))
    else:
        named = (_view.team == record.ref.team, _view.name == record.ref.view, _view.version == record.ref.version)
        connection.execute(update(tables.feature_views).where(*named).values(values))
    append(connection, why)


def entry(kind: str, record: ViewRecord, by: str, reason: str, mends: Meaning | None = None) -> Entry:
    """Make the ledger's entry of what happened to a version of a view; it keeps the whole meaning.

    ``mends`` is the meaning for which it stands in, because it gives the same rows.
    """
    ref = record.ref
    details = {"view": ref.view, "meaning": record.meaning.hash, "definition": record.meaning.to_json()}
    details |= {} if mends is None else {"mends": mends.hash}
    said = f"{ref}: {reason}" if reason else str(ref)
    return Entry(kind, record.changed_at, ref.team, version=str(ref.version), actor=by, reason=said, details=details)


def read_sources(connection: Connection, team: str | None = None) -> list[SourceRecord]:
    """Return sources, of one team or of all, in order of name."""
    query = select(_source).order_by(_source.c.team, _source.c.name)
    rows = connection.execute(query if team is None else query.where(_source.c.team == team)).mappings()
    return [SourceRecord(**{key: row[key] for key in SourceRecord.__dataclass_fields__}) for row in rows]


def replace_sources(connection: Connection, team: str, records: Iterable[SourceRecord], now: datetime) -> None:
    """Let a team have these sources and no others."""
    connection.execute(delete(_source).where(_source.c.team == team))
    for record in records:
        connection.execute(insert(_source).values({**record.__dict__, "changed_at": now}))


def read_models(connection: Connection, team: str) -> set[tuple[str, ViewRef]]:
    """Return which models of a team declare which views."""
    query = select(_reader).where(_reader.c.team == team, _reader.c.kind == "model")
    rows = connection.execute(query).mappings()
    return {(row["name"], ViewRef(row["team"], row["view"], row["version"])) for row in rows}


def replace_models(connection: Connection, team: str, reads: Collection[tuple[str, ViewRef]], now: datetime) -> None:
    """Let a team's models declare these views and no others."""
    connection.execute(delete(_reader).where(_reader.c.team == team, _reader.c.kind == "model"))
    for name, ref in sorted(reads):
        connection.execute(insert(_reader).values(kind="model", name=name, contact="", since=now, **ref._asdict()))


def _values(record: ViewRecord) -> Mapping[str, Any]:
    meaning, ref = record.meaning, record.ref
    plain = ("state", "owner", "description", "registered_at", "registered_by", "changed_at")
    return {
        **{name: getattr(record, name) for name in plain},
        "team": ref.team,
        "name": ref.view,
        "version": ref.version,
        "entity": meaning.entity,
        "source": meaning.source,
        "meaning": meaning.hash,
        "definition": meaning.to_json(),
    }


def _record(row: RowMapping) -> ViewRecord:
    plain = ("state", "owner", "description", "registered_at", "registered_by", "changed_at")
    ref, meaning = ViewRef(row["team"], row["name"], row["version"]), Meaning.from_json(row["definition"])
    return ViewRecord(ref=ref, meaning=meaning, **{name: row[name] for name in plain})
