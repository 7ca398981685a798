"""Prometheus metrics of data: landings, dead letters, feature freshness."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from sqlalchemy import func, select

from loopline.platform_core.features.registry.declaration import ref_of
from loopline.platform_core.features.registry.extents import Extents
from loopline.platform_core.loop.ledger import tables
from loopline.platform_core.loop.ledger.entry_kinds import REFUSED
from loopline.platform_core.observability.families import Family, seconds
from loopline.platform_core.observability.landings import Landings

if TYPE_CHECKING:
    from datetime import datetime

    from loopline.platform_core.loop.ledger.ledger import Ledger
    from loopline.platform_core.specs import Team

_entry = tables.entries.c
_SOURCE = ("team", "source")
_VIEW = ("team", "view", "version")
_extents: WeakKeyDictionary[Ledger, Extents] = WeakKeyDictionary()
_landings: WeakKeyDictionary[Ledger, Landings] = WeakKeyDictionary()
DAY = 86_400


def data_metrics(ledger: Ledger, teams: Iterable[Team], now: datetime) -> Iterator[Family]:
    """Yield every family about data, at an instant of the platform's clock."""
    arrives = {(team.name, source.name): source.arrives for team in teams for source in team.sources}
    yield from _landed(ledger, arrives, now)
    yield _refused(ledger, arrives)
    yield from _views(ledger, teams, now)


def _landed(ledger: Ledger, arrives: dict[tuple[str, str], str], now: datetime) -> Iterator[Family]:
    landings = Family("loopline_landings_total", "counter", "Landings that brought something.", _SOURCE)
    summed = {
        "arrivals": Family("loopline_landed_arrivals_total", "counter", "Files and records that landed.", _SOURCE),
        "rows": Family("loopline_landed_rows_total", "counter", "Rows that landed.", _SOURCE),
        "dead": Family("loopline_dead_letters_total", "counter", "Rows that broke their contract.", _SOURCE),
    }
    age = Family("loopline_landing_age_seconds", "gauge", "Age of the newest landing.", (*_SOURCE, "arrives"))
    for source, total in _landings.setdefault(ledger, Landings()).totals(ledger).items():
        team, _, name = source.partition("/")
        place = (team, name)
        landings.add(total.landings, *place)
        age.add(seconds(total.newest, now), *place, arrives.get(place, "gone"))
        for what, family in summed.items():
            family.add(getattr(total, what), *place)
    for family in (landings, *summed.values()):
        family.begin_at_zero(arrives)
    yield from (landings, *summed.values(), age)


def _refused(ledger: Ledger, sources: Iterable[tuple[str, str]]) -> Family:
    refused = Family("loopline_arrivals_refused_total", "counter", "Files that were refused as a whole.", _SOURCE)
    source = _entry.details["source"].as_string().label("source")
    query = select(source, func.count()).where(_entry.kind == REFUSED).group_by(source)
    with ledger.reading() as connection:
        for name, count in connection.execute(query):
            refused.add(count, *name.split("/", 1))
    refused.begin_at_zero(sources)
    return refused


def _views(ledger: Ledger, teams: Iterable[Team], now: datetime) -> Iterator[Family]:
    rows = Family("loopline_feature_view_rows", "gauge", "Offline rows of a view.", _VIEW)
    event = Family("loopline_feature_view_event_age_seconds", "gauge", "Age of a view's newest event.", _VIEW)
    made = Family("loopline_feature_view_age_seconds", "gauge", "Since when a view got no new row.", _VIEW)
    ttl = Family("loopline_feature_view_ttl_seconds", "gauge", "How old a row may be when it is served.", _VIEW)
    known = _extents.setdefault(ledger, Extents()).newest(ledger)
    for team in teams:
        for view in team.views:
            labels = (team.name, view.name, view.version)
            ttl.add(view.ttl_days * DAY if view.ttl_days else None, *labels)
            if extent := known.get(ref_of(team, view)):
                rows.add(extent.rows, *labels)
                event.add(seconds(extent.newest_event, now), *labels)
                made.add(seconds(extent.at, now), *labels)
    yield from (rows, event, made, ttl)
