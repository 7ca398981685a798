"""Upserts of feature rows: to the online store first, then offline with their knowledge time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from loopline.platform_core.contracts.online_store import Keep
from loopline.platform_core.features.compute.changes import News, feature_names, last_of_each, living, without
from loopline.platform_core.foundation.names import (
    BEGUN_AT,
    CORRECTS_SINCE,
    CREATED_AT,
    DATE,
    EVENT_TIME,
    GONE,
    online_view,
    view_table,
)

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import FeatureView, Team

LATE_DAYS = 7.0
"""How long a row outlives its TTL online: a reader holds its age against the event asked about, which may be past."""


@dataclass(frozen=True)
class Keeping:
    """Keeps rows of one view."""

    platform: Platform
    team: Team
    view: FeatureView

    def go_online(self, rows: pa.Table, now: datetime) -> int:
        """Write the newest row of each entity that has happened; returns the keys that now hold a row of these.

        A row whose event lies ahead waits: nothing is served before its time.
        """
        view, rows = self.view, happened(rows, now)
        if view.served != "online" or not len(rows):
            return 0
        newest = last_of_each(rows, [view.entity], by=EVENT_TIME)
        columns = [view.entity, EVENT_TIME, *feature_names(rows, view.entity)]
        store, name = self.platform.online_store, online_view(self.team.name, view)
        return store.write(name, view.entity, newest.select(columns), self._keep(now))

    def _keep(self, now: datetime) -> Keep | None:
        return None if self.view.ttl_days is None else Keep(self.view.ttl_days + LATE_DAYS, now)

    def heal(self, gone: pa.Table, rows: pa.Table, now: datetime) -> int:
        """Let no row stay online that is ``gone``: what holds beside ``rows`` takes its place, or nothing does."""
        from pyarrow import compute

        entity, keys = self.view.entity, [self.view.entity, EVENT_TIME]
        if self.view.served != "online" or not len(gone):
            return 0
        entities = compute.unique(gone[entity])
        held = self._held(entities)
        left = without(without(last_of_each(held, keys, by=CREATED_AT), gone, keys), rows, keys)
        own = rows.filter(compute.is_in(rows[entity], value_set=entities))
        return self._replace(_together(living(left), own), gone, now)

    def as_held(self, now: datetime, entities: pa.Array | None = None, wrote: pa.Table | None = None) -> int:
        """Write online what the offline table holds of entities (all when None); returns the keys.

        What a run that came second ``wrote`` stays only as far as the table holds it too.
        """
        held = self._held(entities)
        live = living(last_of_each(held, [self.view.entity, EVENT_TIME], by=CREATED_AT))
        if self.view.served != "online" or (wrote is None and GONE not in held.column_names):
            return self.go_online(live, now)
        return self._replace(live, held if wrote is None else _together(held, wrote), now)

    def known_from(self, news: News, written_at: datetime) -> pa.Table:
        """Set ``created_at``: once written; but what a request brings is known when it happens, or is a correction."""
        rows = self._known_from(news.rows, news.before, written_at)
        if news.gone is None or not len(news.gone):
            return rows
        return _together(rows, self._known_from(_deletions(news.gone, self.view.entity), news.gone, written_at))

    def _known_from(self, rows: pa.Table, before: pa.Table, written_at: datetime) -> pa.Table:
        import pyarrow as pa
        from pyarrow import compute

        created, earlier = (each[CREATED_AT].cast(pa.int64()) for each in (rows, before))
        now = compute.max_element_wise(created, compute.add(earlier, 1), _instant(written_at).cast(pa.int64()))
        if self.view.served == "request":
            now = compute.if_else(compute.is_null(earlier), created, now)
        return rows.set_column(rows.column_names.index(CREATED_AT), CREATED_AT, now.cast(rows[CREATED_AT].type))

    def _held(self, entities: pa.Array | None) -> pa.Table:
        among = None if entities is None else {self.view.entity: entities}
        return self.platform.lake.read(view_table(self.team.name, self.view), among=among)

    def _replace(self, live: pa.Table, void: pa.Table, now: datetime) -> int:
        """Write the newest living row of each entity of ``void`` in place of any up to the newest event there."""
        view, live = self.view, happened(live, now)
        newest = last_of_each(live, [view.entity], by=EVENT_TIME)
        columns = [view.entity, EVENT_TIME, *feature_names(live, view.entity)]
        until = last_of_each(void.select([view.entity, EVENT_TIME]), [view.entity], by=EVENT_TIME)
        store, name = self.platform.online_store, online_view(self.team.name, view)
        return store.replace(name, view.entity, newest.select(columns), until, self._keep(now))

    def go_offline(self, rows: pa.Table, begun: datetime, transactions: dict[str, int], after: dict[str, int]) -> int:
        """Append rows to the view's table, if nobody else has gone on from where this began."""
        import pyarrow as pa
        from pyarrow import compute

        rows = rows.append_column(BEGUN_AT, pa.repeat(_instant(begun), len(rows)))
        rows = rows.append_column(DATE, compute.cast(rows[EVENT_TIME], pa.date32()))
        return self.platform.lake.append(view_table(self.team.name, self.view), rows, transactions, after)


def happened(rows: pa.Table, now: datetime) -> pa.Table:
    """Leave out rows whose event lies ahead."""
    from pyarrow import compute

    return rows.filter(compute.less_equal(rows[EVENT_TIME], _instant(now)))


def _deletions(rows: pa.Table, entity: str) -> pa.Table:
    """Say of rows that they are no more: a row each without features."""
    import pyarrow as pa

    said = {name: rows[name] for name in (entity, EVENT_TIME, CREATED_AT, CORRECTS_SINCE) if name in rows.column_names}
    features = {name: pa.nulls(len(rows), rows.schema.field(name).type) for name in feature_names(rows, entity)}
    return pa.table({**said, **features, GONE: pa.repeat(pa.scalar(value=True), len(rows))})


def _together(*rows: pa.Table) -> pa.Table:
    import pyarrow as pa

    return pa.concat_tables(rows, promote_options="default")


def _instant(instant: datetime) -> pa.Scalar:
    import pyarrow as pa

    return pa.scalar(instant, pa.timestamp("us", "UTC"))
