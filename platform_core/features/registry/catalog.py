"""Catalog queries of the feature registry: views, versions, history, readers, freshness."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING

from loopline.platform_core.errors import NotFound
from loopline.platform_core.features.registry import view_table
from loopline.platform_core.features.registry.announcements import known
from loopline.platform_core.features.registry.meaning import Meaning
from loopline.platform_core.features.registry.readers import Reader, readers
from loopline.platform_core.features.registry.view_table import SourceRecord, State, ViewRecord
from loopline.platform_core.foundation.names import EVENT_TIME, ModelRef

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.features.registry.view_ref import ViewRef
    from loopline.platform_core.loop.ledger.ledger import Ledger
    from loopline.platform_core.platform import Platform

LOOK_BACK_DAYS = (2, 60)
"""How far back the newest event is looked for before the whole table is read."""


@dataclass(frozen=True)
class Wanted:
    """Which versions are asked for; a field left out allows all, ``text`` is looked for in names and descriptions."""

    team: str | None = None
    entity: str | None = None
    owner: str | None = None
    source: str | None = None
    text: str | None = None
    state: State | None = None

    def __call__(self, record: ViewRecord) -> bool:
        """Say whether a version is among them."""
        meaning = record.meaning
        pairs = (
            (self.team, record.ref.team),
            (self.entity, meaning.entity),
            (self.owner, record.owner),
            (self.source, meaning.source),
            (self.state, record.state),
        )
        return all(asked in (None, value) for asked, value in pairs) and self._mentions(record)

    def _mentions(self, record: ViewRecord) -> bool:
        names = (record.ref.view, record.meaning.entity, record.meaning.source, *record.meaning.features)
        said = "\n".join((*names, record.owner, record.description))
        return self.text is None or self.text.casefold() in said.casefold()


@dataclass(frozen=True)
class Meant:
    """What a version meant from ``at`` on; ``summary`` tells what changed, ``kind`` is the ledger's."""

    at: datetime
    by: str
    kind: str
    summary: str
    meaning: Meaning


@dataclass(frozen=True)
class Freshness:
    """The newest event among a version's offline rows and its age now, by the platform's clock; None without rows."""

    newest_event: datetime | None
    age_seconds: float | None


def views(ledger: Ledger, wanted: Wanted | None = None) -> list[ViewRecord]:
    """Return versions of views in order of team, name and version."""
    wanted = wanted or Wanted()
    with ledger.reading() as connection:
        return [record for record in view_table.read_views(connection, wanted.team).values() if wanted(record)]


def versions(ledger: Ledger, team: str, view: str) -> list[ViewRecord]:
    """Return the versions of a view.

    Raises:
        NotFound: none is registered.
    """
    found = [record for record in views(ledger, Wanted(team)) if record.ref.view == view]
    if not found:
        names = sorted({record.ref.view for record in views(ledger, Wanted(team))})
        raise NotFound(f"team {team!r} has no feature view {view!r}", f"it has {', '.join(names) or 'none'}")
    return found


def version(ledger: Ledger, ref: ViewRef) -> ViewRecord:
    """Return one version of a view.

    Raises:
        NotFound: it is not registered.
    """
    with ledger.reading() as connection:
        return known(connection, ref)


def sources(ledger: Ledger, team: str | None = None) -> list[SourceRecord]:
    """Return sources in order of team and name."""
    with ledger.reading() as connection:
        return view_table.read_sources(connection, team)


def who_reads(ledger: Ledger, team: str | None = None) -> list[Reader]:
    """Return the readers of views, in order of what they read."""
    with ledger.reading() as connection:
        return readers(connection, team)


def history(ledger: Ledger, ref: ViewRef) -> list[Meant]:
    """Return every meaning that a version had, oldest first, and when it was retired."""
    kinds = (view_table.REGISTERED, view_table.CHANGED, view_table.RETIRED)
    return list(_meant(ledger, ref, kinds))


def freshness(platform: Platform, ref: ViewRef) -> Freshness:
    """Look for the newest event among a version's offline rows, in its newest days first."""
    from pyarrow import compute

    table, now = ref.table, platform.clock.now()
    if platform.lake.version(table) is None:
        return Freshness(None, None)
    for since in (*(now.date() - timedelta(days) for days in LOOK_BACK_DAYS), None):
        newest = compute.max(_event_times(platform, table, since)).as_py()
        if newest is not None:
            return Freshness(newest, (now - newest).total_seconds())
    return Freshness(None, None)


def _event_times(platform: Platform, table: str, since: date | None) -> pa.ChunkedArray:
    return platform.lake.read(table, columns=[EVENT_TIME], since=since)[EVENT_TIME]


def _meant(ledger: Ledger, ref: ViewRef, kinds: tuple[str, ...]) -> Iterator[Meant]:
    for entry in ledger.entries(ModelRef(ref.team, ""), kinds):
        if (entry.details["view"], entry.version) == (ref.view, str(ref.version)):
            meaning = Meaning.from_json(entry.details["definition"])
            yield Meant(entry.at, entry.actor, entry.kind, entry.reason, meaning)
