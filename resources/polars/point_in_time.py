"""The point-in-time join: features as they were known when each label's event happened."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import polars as pl

from platform_core.errors import ContractBroken, InvalidSpec
from platform_core.names import CREATED_AT, DATE, EVENT_TIME

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pyarrow as pa

    from platform_core.contracts.engine import ViewRows
    from platform_core.specs.features import FeatureView

INSTANT = pl.Datetime("us", "UTC")
BEFORE_ALL = pl.lit(-(2**62)).cast(INSTANT)
_ROW, _KNOWN, _EVENT, _AT = "_row", "_known", "_event", "_at"


def point_in_time(labels: pa.Table, views: Sequence[ViewRows]) -> pa.Table:
    """Join each label's row with the newest features that both happened and were known by its event time.

    Returns:
        The labels' rows and columns in their order, then each view's features.

    Raises:
        ContractBroken: a time is not UTC, or a key has another type than in the labels.
        InvalidSpec: the labels lack a view's entity, or two columns have one name.
    """
    frame = _demand_utc(pl.DataFrame(pl.from_arrow(labels)), (EVENT_TIME,), "labels").with_row_index(_ROW)
    for each in views:
        frame = _joined(frame, each.view, pl.DataFrame(pl.from_arrow(each.rows)))
    return _like(frame.sort(_ROW).drop(_ROW), [labels, *(each.rows for each in views)])


def _joined(labels: pl.DataFrame, view: FeatureView, rows: pl.DataFrame) -> pl.DataFrame:
    what = f"feature view {view.name!r}"
    features = [c for c in rows.columns if c not in (view.entity, EVENT_TIME, CREATED_AT, DATE)]
    _check(labels, view, rows, features)
    known = _knowledge(_demand_utc(rows, (EVENT_TIME, CREATED_AT), what), view.entity).select(
        view.entity, _KNOWN, pl.col(EVENT_TIME).alias(_EVENT), *features
    )
    # The join needs a sorted left side, so a null time goes where nothing is known yet.
    sides = labels.with_columns(pl.col(EVENT_TIME).fill_null(BEFORE_ALL).alias(_AT))
    joined = sides.sort(_AT).join_asof(
        known, left_on=_AT, right_on=_KNOWN, by=view.entity, strategy="backward", check_sortedness=False
    )
    fresh = pl.col(EVENT_TIME).is_not_null()
    if view.ttl_days is not None:
        fresh &= (pl.col(EVENT_TIME) - pl.col(_EVENT)) <= timedelta(days=view.ttl_days)
    return joined.with_columns(pl.when(fresh).then(pl.col(name)).alias(name) for name in features).drop(
        _AT, _KNOWN, _EVENT, strict=False
    )


def _knowledge(rows: pl.DataFrame, entity: str) -> pl.DataFrame:
    """Keep what was the newest event at the moment it became known, sorted by that moment.

    A row can be used from ``max(event, created)`` on. Walking an entity's rows in that order, one whose event is
    older than an event already seen will never be the newest; and of equal events the later created comes later.
    """
    return (
        rows.lazy()
        .drop_nulls([entity, EVENT_TIME, CREATED_AT])
        .with_columns(pl.max_horizontal(EVENT_TIME, CREATED_AT).alias(_KNOWN))
        .sort(_KNOWN, EVENT_TIME, CREATED_AT)
        .filter(pl.col(EVENT_TIME) >= pl.col(EVENT_TIME).cum_max().over(entity))
        .collect(engine="in-memory")
    )


def _check(labels: pl.DataFrame, view: FeatureView, rows: pl.DataFrame, features: Sequence[str]) -> None:
    what = f"feature view {view.name!r}"
    if view.entity not in labels.columns:
        raise InvalidSpec(f"{what}: the labels have no column {view.entity!r}", "add it to the labels' entities")
    ours, theirs = rows.schema[view.entity], labels.schema[view.entity]
    if ours != theirs:
        raise ContractBroken(f"{what}: {view.entity!r} is {ours} here and {theirs} in the labels", "give both one type")
    twice = sorted(set(features) & set(labels.columns))
    if twice:
        raise InvalidSpec(f"{what}: columns {twice} are there already", "give each feature of a model its own name")


def _demand_utc(frame: pl.DataFrame, names: Sequence[str], what: str) -> pl.DataFrame:
    for name in names:
        kind = frame.schema.get(name)
        if not isinstance(kind, pl.Datetime) or kind.time_zone != "UTC":
            raise ContractBroken(
                f"{what}: {name!r} is {kind}, no instant in UTC", "give a timestamp with time zone UTC"
            )
    return frame.with_columns(pl.col(*names).cast(INSTANT))


def _like(frame: pl.DataFrame, sources: Sequence[pa.Table]) -> pa.Table:
    """Convert to Arrow with the types that the columns came with."""
    import pyarrow as pa

    types = {field.name: field.type for source in reversed(sources) for field in source.schema}
    return frame.to_arrow().cast(pa.schema([(name, types[name]) for name in frame.columns])).combine_chunks()
