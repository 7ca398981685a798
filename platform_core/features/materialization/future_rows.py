"""Future rows: feature rows whose event time lies ahead wait offline, and go online when due.

The view's table keeps two instants in transactions of its own commits (µs since 1970): how far ahead its newest event
lies, and until when rows were shown online. While the first is later than the second, rows wait.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from loopline.platform_core.errors import CommitConflict
from loopline.platform_core.features.compute.changes import last_of_each, living
from loopline.platform_core.features.materialization.upserts import Keeping
from loopline.platform_core.foundation.clock import instant_of, micros
from loopline.platform_core.foundation.names import CREATED_AT, EVENT_TIME, view_table

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.features.registry.watermarks import Progress
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import FeatureView, Team


def marks(view: FeatureView, stands: Progress, rows: pa.Table, begun: datetime) -> Mapping[str, int]:
    """Return the transactions that say of rows about to be kept that some of them wait; none when none does."""
    from pyarrow import compute

    newest_us = compute.max(rows[EVENT_TIME].cast("int64")).as_py()
    if view.served != "online" or newest_us is None or newest_us <= micros(begun):
        return {}
    shown = {} if stands.waits else {stands.shown: micros(begun)}  # what waited before has been shown until earlier
    found = shown | {stands.ahead: newest_us}
    return {name: at for name, at in found.items() if at > stands.committed.get(name, 0)}


def due(platform: Platform, team: Team, view: FeatureView, stands: Progress) -> pa.Table | None:
    """Read the rows whose time has come since rows were shown; None when none waits, or none of them is due."""
    from pyarrow import compute

    if not stands.waits:
        return None
    since_us, now = stands.committed.get(stands.shown, 0), platform.clock.now()
    since, until = instant_of(since_us).date(), now.astimezone(UTC).date()
    rows = platform.lake.read(view_table(team.name, view), since=since, until=until)
    times = rows[EVENT_TIME].cast("int64")
    rows = rows.filter(compute.and_(compute.greater(times, since_us), compute.less_equal(times, micros(now))))
    return rows if len(rows) else None


def appear(platform: Platform, team: Team, view: FeatureView, stands: Progress) -> int:
    """Write online what has waited until now; returns the keys that now hold such a row.

    Online first: who dies in between does it again, and a row that is there already is not written.
    """
    now, rows = platform.clock.now(), due(platform, team, view, stands)
    if rows is None:
        return 0
    newest = living(last_of_each(rows, [view.entity, EVENT_TIME], by=CREATED_AT))
    shown = Keeping(platform, team, view).go_online(newest, now)
    table, transactions = view_table(team.name, view), {stands.shown: micros(now)}
    with contextlib.suppress(CommitConflict):  # another did the same, or goes on from here and will
        platform.lake.append(table, rows.slice(0, 0), transactions, dict(stands.committed))
    return shown
