"""A feature view becomes rows of its offline table, and its newest rows go online."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from platform_core.errors import InvalidSpec
from platform_core.features.changes import News, feature_names, last_of_each, news
from platform_core.features.lookahead import refuse_lookahead
from platform_core.features.registration import registered
from platform_core.names import CREATED_AT, DATE, EVENT_TIME, online_view, raw_table, view_table

if TYPE_CHECKING:
    import pyarrow as pa

    from platform_core.platform import Platform
    from platform_core.specs import FeatureView, Team


@dataclass(frozen=True)
class Materialized:
    """What a materialization added: offline rows, their entities, keys renewed online.

    ``version`` is the offline table's (None: never written), ``newest`` the newest event among the added rows.
    """

    view: str
    rows: int
    entities: int
    online: int
    version: int | None
    newest: datetime | None


def materialize(platform: Platform, team: Team, view: FeatureView) -> Materialized:
    """Compute a view and keep what is new: an offline row is never changed, a correction is a later row.

    The first run believes the raw rows' arrival times. Every later run says of its rows that they are known from
    now on, because before now nobody could have been served them. Run again on the same raw rows it adds nothing.

    Raises:
        Refused: the team would change or drop a view that something live reads; nothing is written.
        InvalidSpec: the view's columns are not those of its table, or the function names unknown ones.
        ContractBroken, TaskFailed: as ``Engine.compute_view``; or the view looks ahead.
    """
    table, raw_version = view_table(team.name, view), platform.lake.version(raw_table(team.name, view.source.name))
    version = platform.lake.version(table)
    if raw_version is None or _done(platform, table, view) >= raw_version:
        return Materialized(view.name, 0, 0, 0, version, None)
    registered(platform, team)
    raw = platform.lake.read(raw_table(team.name, view.source.name), version=raw_version)
    computed = platform.engine.compute_view(view, raw)
    if version is None:
        refuse_lookahead(platform.engine, view, raw, computed)
        added = computed
    else:
        added = _known_from_now(platform, view, _news(platform, table, view, computed))
    # Online first: if this process dies in between, the next run finds the rows missing offline and does both again.
    online = _write_online(platform, team, view, added)
    version = platform.lake.append(table, _dated(added), {_application(view): raw_version})
    return _counted(view, added, online, version)


def refill(platform: Platform, team: Team, view: FeatureView) -> int:
    """Write the newest row of every entity online again, for a store that is new or was lost; returns the keys."""
    held = platform.lake.read(view_table(team.name, view))
    newest = last_of_each(held, [view.entity, EVENT_TIME], by=CREATED_AT)
    return _write_online(platform, team, view, newest)


def _news(platform: Platform, table: str, view: FeatureView, computed: pa.Table) -> News:
    held = platform.lake.read(table)
    ours, theirs = (sorted(feature_names(rows, view.entity)) for rows in (computed, held))
    if ours != theirs:
        raise InvalidSpec(
            f"feature view {view.name!r} version {view.version} returns {ours}, but its table holds {theirs}",
            f"give the changed view version={view.version + 1}",
        )
    return news(computed, held, view.entity)


def _known_from_now(platform: Platform, view: FeatureView, found: News) -> pa.Table:
    """Set ``created_at``: now; but what a request brings is known when it happens, unless it is a correction."""
    import pyarrow as pa
    from pyarrow import compute

    created, earlier = (rows[CREATED_AT].cast(pa.int64()) for rows in (found.rows, found.before))
    now_us = pa.scalar(platform.clock.now(), pa.timestamp("us", "UTC")).cast(pa.int64())
    now = compute.max_element_wise(created, compute.add(earlier, 1), now_us)
    if view.served == "request":
        now = compute.if_else(compute.is_null(earlier), created, now)
    place = found.rows.column_names.index(CREATED_AT)
    return found.rows.set_column(place, CREATED_AT, now.cast(found.rows[CREATED_AT].type))


def _write_online(platform: Platform, team: Team, view: FeatureView, rows: pa.Table) -> int:
    if view.served != "online" or not len(rows):
        return 0
    newest = last_of_each(rows, [view.entity], by=EVENT_TIME)
    columns = [view.entity, EVENT_TIME, *feature_names(rows, view.entity)]
    return platform.online_store.write(online_view(team.name, view), view.entity, newest.select(columns))


def _dated(rows: pa.Table) -> pa.Table:
    import pyarrow as pa
    from pyarrow import compute

    return rows.append_column(DATE, compute.cast(rows[EVENT_TIME], pa.date32()))


def _application(view: FeatureView) -> str:
    return f"view:{view.name}"


def _done(platform: Platform, table: str, view: FeatureView) -> int:
    """Return the version of the raw table up to which the view is materialized."""
    return platform.lake.committed(table, [_application(view)]).get(_application(view), -1)


def _counted(view: FeatureView, added: pa.Table, online: int, version: int) -> Materialized:
    from pyarrow import compute

    newest = compute.max(added[EVENT_TIME]).as_py()
    return Materialized(view.name, len(added), len(compute.unique(added[view.entity])), online, version, newest)
