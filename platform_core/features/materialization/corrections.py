"""Corrections: marks which offline rows correct others, and reads rows as if they had been right from the start."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from loopline.platform_core.features.compute.changes import ROW, News, last_of_each, places
from loopline.platform_core.foundation.names import ARRIVED_AT, CORRECTS_SINCE, CREATED_AT, EVENT_TIME, GONE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    import pyarrow as pa

    from loopline.platform_core.specs import FeatureView

_UNTIL, _SINCE = "_until", "_since"


def marked(found: News, turned: pa.Table, view: FeatureView, *, alone: bool) -> News:
    """Write into changed and gone rows since when what each of them corrects was known; null where it corrects nothing.

    A row corrects the one before it if a raw row up to its event is among the ``turned`` ones, which hold no more, or
    again: one of its entity, or any where the view's rows do not rest on their entity ``alone``. What only rests on raw
    rows that came late corrects nothing. A row that is again, after it was no more, corrects that.
    """
    entity = view.entity if alone else None
    firsts = _firsts(turned, entity, view.time)
    back = found.before[GONE].to_pylist() if GONE in found.before.column_names else [None] * len(found.before)
    since = _since(found.rows, found.before, firsts, entity, back)
    if any(at is not None for at in since):
        found = replace(found, rows=_with_since(found.rows, since))
    if found.gone is None or not len(found.gone):
        return found
    since = _since(found.gone, found.gone, firsts, entity, [True] * len(found.gone))
    return replace(found, gone=_with_since(found.gone, since))


def as_if_right(rows: pa.Table, entity: str, as_of: datetime) -> pa.Table | None:
    """Put the newest correction of each entity and event, by ``as_of``, in place of what it corrects.

    None where nothing was corrected by then.
    """
    import pyarrow as pa
    from pyarrow import compute

    keys = [entity, EVENT_TIME]
    if CORRECTS_SINCE not in rows.column_names:
        return None
    known = rows.filter(compute.less_equal(rows[CREATED_AT], pa.scalar(as_of, pa.timestamp("us", "UTC"))))
    newest = last_of_each(known.filter(known[CORRECTS_SINCE].is_valid()), keys, by=CREATED_AT)
    if not len(newest):
        return None
    newest = newest.select([*keys, CREATED_AT, CORRECTS_SINCE]).rename_columns([*keys, _UNTIL, _SINCE])
    bounds = places(known, keys).join(newest, keys, join_type="left outer").sort_by(ROW)
    created, until, since = known[CREATED_AT], bounds[_UNTIL], bounds[_SINCE]
    stays = compute.or_(compute.less(created, since), compute.greater_equal(created, until))
    moved = compute.if_else(compute.fill_null(compute.equal(created, until), fill_value=False), since, created)
    righted = known.set_column(known.column_names.index(CREATED_AT), CREATED_AT, moved)
    return righted.filter(compute.fill_null(stays, fill_value=True))


class _First(NamedTuple):
    """The first raw row that turned: its time, and when the first of them came (both µs)."""

    time: int
    arrived: int


def _firsts(turned: pa.Table, entity: str | None, time: str) -> Mapping[Any, _First]:
    """Return it by entity; under None of all of them."""
    import pyarrow as pa

    if not len(turned):
        return {}
    keys = [] if entity is None else [entity]
    found = turned.group_by(keys).aggregate([(time, "min"), (ARRIVED_AT, "min")])
    times, arrived = (found[f"{name}_min"].cast(pa.int64()).to_pylist() for name in (time, ARRIVED_AT))
    names = [None] * len(found) if entity is None else found[entity].to_pylist()
    return {key: _First(*each) for key, *each in zip(names, times, arrived, strict=True) if None not in each}


def _since(
    rows: pa.Table, before: pa.Table, firsts: Mapping[Any, _First], entity: str | None, is_back: Sequence[bool | None]
) -> list[int | None]:
    import pyarrow as pa
    from pyarrow import compute

    known = before[CREATED_AT]
    if CORRECTS_SINCE in before.column_names:
        known = compute.coalesce(before[CORRECTS_SINCE], known)
    keys = [None] * len(rows) if entity is None else rows[entity].to_pylist()
    events, knowns = (column.cast(pa.int64()).to_pylist() for column in (rows[EVENT_TIME], known))
    return [
        None if at is None else _corrects(firsts.get(key), event, at, back=bool(back))
        for key, event, at, back in zip(keys, events, knowns, is_back, strict=True)
    ]


def _corrects(first: _First | None, event: int, known: int, *, back: bool) -> int | None:
    if first is not None and first.time <= event:
        return min(known, max(first.arrived, event))
    return known if back else None


def _with_since(rows: pa.Table, since: Sequence[int | None]) -> pa.Table:
    import pyarrow as pa

    values = pa.array(since, pa.int64()).cast(pa.timestamp("us", "UTC"))
    held = rows.drop_columns([CORRECTS_SINCE]) if CORRECTS_SINCE in rows.column_names else rows
    return held.append_column(CORRECTS_SINCE, values)
