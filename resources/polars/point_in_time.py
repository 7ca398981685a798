"""Point-in-time join on Polars, by one sorted as-of join."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import polars as pl

from loopline.platform_core.foundation.names import CREATED_AT, EVENT_TIME

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.contracts.engine import ViewRows
    from loopline.platform_core.features.compute.point_in_time import Matches

_LABEL, _PLACE, _KNOWN = "_label", "_place", "_known"


def matching(labels: pa.Table, views: Sequence[ViewRows]) -> Iterator[Matches]:
    """Sort the labels once, then join view by view."""
    entities = dict.fromkeys(each.view.entity for each in views)
    asks = pl.DataFrame(pl.from_arrow(labels.select([*entities, EVENT_TIME]))).with_row_index(_LABEL)
    asks = asks.drop_nulls(EVENT_TIME).sort(EVENT_TIME)
    for each in views:
        yield _matches(asks, each.rows, each.view.entity)


def _matches(asks: pl.DataFrame, rows: pa.Table, entity: str) -> Matches:
    known = _knowledge(pl.DataFrame(pl.from_arrow(rows.select([entity, EVENT_TIME, CREATED_AT]))), entity)
    found = (
        asks.select(_LABEL, entity, EVENT_TIME)
        .join_asof(known, left_on=EVENT_TIME, right_on=_KNOWN, by=entity, check_sortedness=False)
        .drop_nulls(_PLACE)
    )
    return found[_LABEL].to_numpy(), found[_PLACE].to_numpy()


def _knowledge(rows: pl.DataFrame, entity: str) -> pl.DataFrame:
    """Keep what was the newest event at the moment it became known, sorted by that moment.

    A row can be used from ``max(event, created)`` on. Walking an entity's rows in that order, one whose event is
    older than an event already seen will never be the newest; and of equal events the later created comes later.
    """
    known = (
        rows.with_row_index(_PLACE)
        .drop_nulls([entity, EVENT_TIME, CREATED_AT])
        .with_columns(pl.max_horizontal(EVENT_TIME, CREATED_AT).alias(_KNOWN))
        .sort(_KNOWN, EVENT_TIME, CREATED_AT)
    )
    outdated = _outdated(known, entity)
    return known.filter(~pl.col(_PLACE).is_in(outdated.implode())).select(entity, _KNOWN, _PLACE)


def _outdated(known: pl.DataFrame, entity: str) -> pl.Series:
    """Find the places of rows whose entity had a newer event before.

    Few rows are older than any event before them, and a running maximum for each of many entities is dear: so it is
    taken only of entities that have such a row.
    """
    event = pl.col(EVENT_TIME)
    late = known.filter(event < event.cum_max())[entity].unique()
    doubtful = known.filter(pl.col(entity).is_in(late.implode()))
    return doubtful.filter(event < event.cum_max().over(entity))[_PLACE]
