"""Rows of the feature view list, from the registry and the ledger without opening a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from sqlalchemy import func, select

from loopline.platform_core.features.registry.view_ref import ViewRef
from loopline.platform_core.foundation import names
from loopline.platform_core.loop.ledger import tables

if TYPE_CHECKING:
    from sqlalchemy import Connection, RowMapping

    from loopline.platform_core.features.registry.extents import Extent
    from loopline.portal.page_request import Portal

Fresh = Literal["fresh", "stale", "not known", "retired"]
_view = tables.feature_views.c
_PLAIN = (_view.team, _view.name, _view.version, _view.state, _view.entity, _view.source, _view.owner)


@dataclass(frozen=True)
class ViewRow:
    """One version of a view.

    ``fresh`` holds the age of its newest event against its TTL; without a TTL any age is fresh. ``rows`` and times are
    of its offline table, as materializations told them: None before the first that did. ``live``, ``models`` and
    ``applications`` count its readers.
    """

    team: str
    view: str
    version: int
    state: str
    entity: str
    source: str
    owner: str
    ttl_days: float | None
    features: int
    fresh: Fresh
    newest_event: datetime | None
    newest_created: datetime | None
    age_seconds: float | None
    rows: int | None
    live: int
    models: int
    applications: int

    @property
    def name(self) -> str:
        """Return the view's name among assets: from its second version on with the version."""
        return names.versioned(self.view, self.version)

    @property
    def readers(self) -> int:
        """Return how many read it: models once, whether live or declared, and applications."""
        return max(self.live, self.models) + self.applications

    @property
    def path(self) -> str:
        """Return the address of its page."""
        return f"/features/{self.team}/{self.view}?version={self.version}"


@dataclass(frozen=True)
class Declared:
    """What of a meaning the list shows; kept by the meaning's hash, so that its code is read once."""

    ttl_days: float | None
    features: int


@dataclass(frozen=True)
class Held:
    """What registry and ledger said of all views at one moment: rows, meanings by hash, and readers by kind."""

    rows: Sequence[RowMapping]
    declared: Mapping[str, Declared]
    counts: Mapping[tuple[ViewRef, str], int]


def read(portal: Portal) -> list[ViewRow]:
    """Read every registered version of every view, in order of team, name and version."""
    ledger, now = portal.platform.ledger, portal.platform.clock.now()
    extents = portal.caches.extents.newest(ledger)
    with ledger.reading() as connection:
        held = portal.caches.registry(_stamp(connection), lambda: _held(portal, connection))
    return [_row(row, held.declared[row["meaning"]], extents, held.counts, now) for row in held.rows]


def _held(portal: Portal, connection: Connection) -> Held:
    query = select(*_PLAIN, _view.meaning).order_by(_view.team, _view.name, _view.version)
    rows = list(connection.execute(query).mappings())
    declared = _declared(portal, connection, {row["meaning"] for row in rows})
    return Held(rows, declared, portal.caches.readings(connection))


def _stamp(connection: Connection) -> tuple[Any, ...]:
    """Return what is another once the registry or what is live has changed: both write into the ledger.

    A team that only lets its models read other views does not; that is seen by when they were said to.
    """
    readers = tables.feature_readers.c.since
    newest = connection.scalar(select(func.max(tables.entries.c.entry_id)))
    return newest, *connection.execute(
        select(func.count(), func.max(readers)).select_from(tables.feature_readers)
    ).one()


def _row(
    row: RowMapping,
    declared: Declared,
    extents: Mapping[ViewRef, Extent],
    counts: Mapping[tuple[ViewRef, str], int],
    now: datetime,
) -> ViewRow:
    ref = ViewRef(row["team"], row["name"], row["version"])
    extent = extents.get(ref)
    event = extent.newest_event if extent else None
    age = (now - event).total_seconds() if event else None
    return ViewRow(
        team=ref.team,
        view=ref.view,
        version=ref.version,
        state=row["state"],
        entity=row["entity"],
        source=row["source"],
        owner=row["owner"],
        ttl_days=declared.ttl_days,
        features=declared.features,
        fresh=fresh(row["state"], age, declared.ttl_days),
        newest_event=event,
        newest_created=extent.newest_created if extent else None,
        age_seconds=age,
        rows=extent.rows if extent else None,
        live=counts.get((ref, "live"), 0),
        models=counts.get((ref, "model"), 0),
        applications=counts.get((ref, "application"), 0),
    )


def fresh(state: str, age_seconds: float | None, ttl_days: float | None) -> Fresh:
    """Say how the newest event stands against the TTL."""
    if state == "retired":
        return "retired"
    if age_seconds is None:
        return "not known"
    return "stale" if ttl_days is not None and age_seconds > timedelta(days=ttl_days).total_seconds() else "fresh"


def _declared(portal: Portal, connection: Connection, meanings: set[str]) -> Mapping[str, Declared]:
    known = portal.caches.declared
    unknown = sorted(meanings - known.keys())
    for start in range(0, len(unknown), 500):
        some = unknown[start : start + 500]
        query = select(_view.meaning, _view.definition).where(_view.meaning.in_(some))
        for meaning, definition in connection.execute(query):
            known[meaning] = Declared(definition["ttl_days"], len(definition["features"]))
    return known
