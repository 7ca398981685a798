"""New feature rows go online, then offline with the moment from which they could be served."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from loopline.platform_core.contracts.online_store import Keep
from loopline.platform_core.features.changes import News, feature_names, last_of_each
from loopline.platform_core.foundation.names import BEGUN_AT, CREATED_AT, DATE, EVENT_TIME, online_view, view_table

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
        keep = None if view.ttl_days is None else Keep(view.ttl_days + LATE_DAYS, now)
        store, name = self.platform.online_store, online_view(self.team.name, view)
        return store.write(name, view.entity, newest.select(columns), keep)

    def as_held(self, now: datetime, entities: pa.Array | None = None) -> int:
        """Write online what the offline table holds of entities (all when None); returns the keys."""
        table, entity = view_table(self.team.name, self.view), self.view.entity
        held = self.platform.lake.read(table, among=None if entities is None else {entity: entities})
        return self.go_online(last_of_each(held, [entity, EVENT_TIME], by=CREATED_AT), now)

    def known_from(self, found: News, written_at: datetime) -> pa.Table:
        """Set ``created_at``: once written; but what a request brings is known when it happens, or is a correction."""
        import pyarrow as pa
        from pyarrow import compute

        created, earlier = (rows[CREATED_AT].cast(pa.int64()) for rows in (found.rows, found.before))
        now = compute.max_element_wise(created, compute.add(earlier, 1), _instant(written_at).cast(pa.int64()))
        if self.view.served == "request":
            now = compute.if_else(compute.is_null(earlier), created, now)
        place = found.rows.column_names.index(CREATED_AT)
        return found.rows.set_column(place, CREATED_AT, now.cast(found.rows[CREATED_AT].type))

    def go_offline(self, rows: pa.Table, begun: datetime, transactions: dict[str, int], after: dict[str, int]) -> int:
        """Append rows to the view's table and tell the ledger, if nobody else has gone on from where this began."""
        import pyarrow as pa
        from pyarrow import compute

        from loopline.platform_core.features import extents  # SQLAlchemy costs time

        rows = rows.append_column(BEGUN_AT, pa.repeat(_instant(begun), len(rows)))
        rows = rows.append_column(DATE, compute.cast(rows[EVENT_TIME], pa.date32()))
        version = self.platform.lake.append(view_table(self.team.name, self.view), rows, transactions, after)
        extents.record(self.platform, self.team, self.view, rows, version)
        return version


def happened(rows: pa.Table, now: datetime) -> pa.Table:
    """Leave out rows whose event lies ahead."""
    from pyarrow import compute

    return rows.filter(compute.less_equal(rows[EVENT_TIME], _instant(now)))


def _instant(instant: datetime) -> pa.Scalar:
    import pyarrow as pa

    return pa.scalar(instant, pa.timestamp("us", "UTC"))
