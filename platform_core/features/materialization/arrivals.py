"""Knowledge time of feature rows that depend on other entities' raw rows: when the last of those arrived."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.platform_core.foundation.names import ARRIVED_AT, CREATED_AT, EVENT_TIME

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.specs import FeatureView


def known_with_all(view: FeatureView, raw: pa.Table, computed: pa.Table) -> pa.Table:
    """Let ``created_at`` be no earlier than any raw row's arrival, of whatever entity, up to each row's event time.

    ``compute_view`` looks at the entity's own arrivals. A row that counts what others did would be said to have been
    known before they were reported, and training would learn from what nobody could have been served.
    """
    import numpy as np
    import pyarrow as pa

    with_time = raw.filter(raw[view.time].is_valid())
    if view.served != "online" or not len(with_time) or not len(computed):
        return computed
    times, arrivals = (with_time[name].cast(pa.int64()).to_numpy() for name in (view.time, ARRIVED_AT))
    order = np.argsort(times, kind="stable")
    latest = np.maximum.accumulate(arrivals[order])
    events, created = (computed[name].cast(pa.int64()).to_numpy() for name in (EVENT_TIME, CREATED_AT))
    before = np.searchsorted(times[order], events, side="right")
    known = np.where(before > 0, latest[np.maximum(before - 1, 0)], created)
    place, kind = computed.column_names.index(CREATED_AT), computed[CREATED_AT].type
    return computed.set_column(place, CREATED_AT, pa.array(np.maximum(created, known)).cast(kind))
