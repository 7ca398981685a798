"""Facts of one version of a feature view, for its page."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from loopline.platform_core.errors import NotFound
from loopline.platform_core.features.registry import catalog
from loopline.platform_core.features.registry.view_ref import ViewRef
from loopline.portal import feature_rows

if TYPE_CHECKING:
    from loopline.platform_core.features.registry.readers import Reader
    from loopline.platform_core.features.registry.view_table import SourceRecord
    from loopline.portal.feature_rows import ViewRow
    from loopline.portal.page_request import Portal

SHOWN_HISTORY = 50


@dataclass(frozen=True)
class Reading:
    """Who reads the version: a ``live`` version of a model, a ``model`` by declaration, an ``application``."""

    kind: str
    name: str
    version: str
    role: str
    contact: str
    path: str


@dataclass(frozen=True)
class SourceOf:
    """Where a view's rows come from; ``contract`` is "" where its team is not registered with it any more."""

    name: str
    contract: str
    contract_version: str
    arrives: str


@dataclass(frozen=True)
class Meant:
    """What happened to the version's meaning."""

    at: datetime
    by: str
    summary: str


@dataclass(frozen=True)
class LinkOut:
    """A page of a neighbour; ``url`` is "" where the neighbour is not there."""

    name: str
    url: str


def facts(portal: Portal, team: str, view: str, version: int | None) -> dict[str, Any]:
    """Return the fields of a version's page, the newest when None.

    Raises:
        NotFound: no such view or version.
    """
    ledger = portal.platform.ledger
    view, version = _named(view, version)
    every = {record.ref.version: record for record in catalog.versions(ledger, team, view)}
    if version is not None and version not in every:
        raise NotFound(f"{team}/{view} has no version {version}", f"it has {', '.join(map(str, every))}")
    record = every[version or max(every)]
    row, meaning = _row(portal, record.ref.team, view, record.ref.version), record.meaning
    sources = {source.name: source for source in catalog.sources(ledger, team)}
    told = catalog.history(ledger, record.ref)[-SHOWN_HISTORY:]
    with ledger.reading() as connection:
        readers = [reader for reader in portal.caches.readers(connection, team) if reader.view == record.ref]
    return {
        "row": row,
        "description": record.description,
        "served": meaning.served,
        "time": meaning.time,
        "features": dict(meaning.features),
        "registered_at": record.registered_at,
        "registered_by": record.registered_by,
        "changed_at": record.changed_at,
        "versions": sorted(every, reverse=True),
        "source": _source(meaning.source, sources.get(meaning.source)),
        "readers": sorted(map(_reading, readers), key=lambda one: (one.kind, one.name, one.version)),
        "history": [Meant(m.at, m.by, m.summary) for m in reversed(told)],
        "code": list(meaning.code),
        "links": [LinkOut("Its asset in Dagster", portal.links.asset(team, "features", row.name))],
    }


def _named(view: str, version: int | None) -> tuple[str, int | None]:
    """Take the version from the end of an asset's name, such as ``spending_v2``, where none is asked for."""
    stem, mark, number = view.rpartition("_v")
    return (stem, int(number)) if version is None and mark and stem and number.isdecimal() else (view, version)


def _row(portal: Portal, team: str, view: str, version: int) -> ViewRow:
    """Return the version's row; one whose materializations were told to nobody is looked at in the lake."""
    wanted = (team, view, version)
    row = next(r for r in feature_rows.read(portal) if (r.team, r.view, r.version) == wanted)
    if row.newest_event is not None:
        return row
    found = catalog.freshness(portal.platform, ViewRef(team, view, version))
    told = feature_rows.fresh(row.state, found.age_seconds, row.ttl_days)
    return replace(row, newest_event=found.newest_event, age_seconds=found.age_seconds, fresh=told)


def _source(name: str, record: SourceRecord | None) -> SourceOf:
    if record is None:
        return SourceOf(name, "", "", "")
    return SourceOf(name, record.contract, record.contract_version, record.arrives)


def _reading(reader: Reader) -> Reading:
    path = "" if reader.kind == "application" else f"/models/{reader.name}"
    return Reading(reader.kind, reader.name, reader.version, reader.role, reader.contact, path)
