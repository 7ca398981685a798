"""Knowledge time of a first materialization: since when its rows can have been known, given withdrawn raw rows."""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from typing import TYPE_CHECKING, Any

from loopline.platform_core.foundation.names import CREATED_AT, EVENT_TIME
from loopline.platform_core.ingestion.current_rows import LOST_AT

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.specs import FeatureView

Steps = tuple[list[int], list[int]]
"""Event times (µs), rising, and from each on the latest moment (µs) at which something up to it was taken back."""


def known_no_sooner(rows: pa.Table, turned: pa.Table, entity: str | None, view: FeatureView) -> pa.Table:
    """Let ``created_at`` be no earlier than the moment at which a raw row up to the row's event ceased to hold.

    Before, the platform would have computed another row. ``turned`` are the raw rows with that moment; those of the
    row's ``entity`` count, or all of them when None, for a view that may rest on other entities' rows.
    """
    import pyarrow as pa

    steps = _steps(turned, entity, view.time)
    if not steps:
        return rows
    keys = [None] * len(rows) if entity is None else rows[entity].to_pylist()
    times, created = (rows[name].cast(pa.int64()).to_pylist() for name in (EVENT_TIME, CREATED_AT))
    known = [
        max(was, _latest(steps[key], event)) if key in steps else was
        for key, event, was in zip(keys, times, created, strict=True)
    ]
    place = rows.column_names.index(CREATED_AT)
    return rows.set_column(place, CREATED_AT, pa.array(known, pa.int64()).cast(rows[CREATED_AT].type))


def _steps(turned: pa.Table, entity: str | None, time: str) -> dict[Any, Steps]:
    import pyarrow as pa

    keys = [None] * len(turned) if entity is None else turned[entity].to_pylist()
    times, lost = (turned[name].cast(pa.int64()).to_pylist() for name in (time, LOST_AT))
    found: dict[Any, Steps] = defaultdict(lambda: ([], []))
    rows = [(at, key, moment) for key, at, moment in zip(keys, times, lost, strict=True) if at is not None]
    for at, key, moment in sorted(rows, key=lambda row: row[0]):
        events, latest = found[key]
        events.append(at)
        latest.append(max(moment, latest[-1]) if latest else moment)
    return dict(found)


def _latest(steps: Steps, event: int) -> int:
    """Return the latest moment of what lies up to an event; long ago where nothing does."""
    place = bisect_right(steps[0], event)
    return steps[1][place - 1] if place else -(2**62)
