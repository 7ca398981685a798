"""Offline replay of logged requests: the features that training's point-in-time join gives for them.

A request looks a row up between ``asked_at`` and ``logged_at``. A row goes online between ``_begun_at`` and
``created_at``. So two readings bound what an answer may have seen: what was there for certain (``created_at`` earlier
than the asking), and what may have been there already (``_begun_at`` no later than the answer).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from loopline.platform_core.contracts.engine import ViewRows
from loopline.platform_core.foundation.names import BEGUN_AT, CREATED_AT, EVENT_TIME, GONE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from loopline.platform_core.contracts.engine import Engine
    from loopline.platform_core.specs import FeatureView

INSTANT = pa.timestamp("us", "UTC")
SERVED_EVENT, SERVED_BEGUN = "row_event_time", "row_begun_at"
"""Of the row that was joined: when it happened, and when its writing began (µs since 1970, null where none was)."""
DAY_US = 86_400_000_000


class Asked(NamedTuple):
    """What was asked of a view: entity keys, event times, and between when it was looked up (int64 µs), one a row."""

    keys: pa.Array
    event_us: NDArray[np.int64]
    asked_us: NDArray[np.int64]
    answered_us: NDArray[np.int64]


class Readings(NamedTuple):
    """A view's features for each row asked, ``certain`` and ``possible``; with ``SERVED_EVENT``, ``SERVED_BEGUN``."""

    certain: pa.Table
    possible: pa.Table


@dataclass(frozen=True)
class OfflineView:
    """A view and its offline rows: entity, event_time, created_at, ``_begun_at`` (may be missing), features."""

    view: FeatureView
    features: tuple[str, ...]
    rows: pa.Table

    def replay(self, engine: Engine, asked: Asked) -> Readings:
        """Join the rows asked as training would, once for each reading."""
        created, begun = _micros(self.rows[CREATED_AT]), _begun(self.rows)
        at = np.minimum(asked.event_us, asked.answered_us)
        before = np.minimum(asked.event_us, asked.asked_us - 1)
        return Readings(
            self._joined(engine, asked, before, created, begun),
            self._joined(engine, asked, at, np.minimum(created, begun), begun),
        )

    def _joined(
        self,
        engine: Engine,
        asked: Asked,
        at: NDArray[np.int64],
        known: NDArray[np.int64],
        begun: NDArray[np.int64],
    ) -> pa.Table:
        ended = [GONE] if GONE in self.rows.column_names else []
        rows = self.rows.select([self.view.entity, EVENT_TIME, *self.features, *ended])
        rows = rows.append_column(CREATED_AT, pa.array(known).cast(INSTANT))
        rows = rows.append_column(SERVED_EVENT, rows[EVENT_TIME].cast(pa.int64()))
        rows = rows.append_column(SERVED_BEGUN, pa.array(begun))
        asks = pa.table({self.view.entity: asked.keys, EVENT_TIME: pa.array(at).cast(INSTANT)})
        joined = engine.point_in_time(asks, [ViewRows(replace(self.view, ttl_days=None), rows)])
        return self._fresh(joined.select([*self.features, SERVED_EVENT, SERVED_BEGUN]), asked.event_us)

    def _fresh(self, joined: pa.Table, event_us: NDArray[np.int64]) -> pa.Table:
        """Null what is older than the TTL at the request's own event time; exactly as old is fresh."""
        if self.view.ttl_days is None:
            return joined
        age = pc.subtract(pa.array(event_us), joined[SERVED_EVENT])
        fresh = pc.fill_null(pc.less_equal(age, int(self.view.ttl_days * DAY_US)), fill_value=False)
        return pa.table({n: pc.if_else(fresh, joined[n], pa.scalar(None, joined[n].type)) for n in joined.column_names})


def _micros(column: pa.ChunkedArray) -> NDArray[np.int64]:
    return np.asarray(column.cast(pa.int64()).to_numpy())


def _begun(rows: pa.Table) -> NDArray[np.int64]:
    """Return when the writing of each row began; rows of before that was kept: when they were known."""
    created = rows[CREATED_AT].cast(pa.int64())
    if BEGUN_AT not in rows.column_names:
        return np.asarray(created.to_numpy())
    return np.asarray(pc.coalesce(rows[BEGUN_AT].cast(pa.int64()), created).to_numpy())
