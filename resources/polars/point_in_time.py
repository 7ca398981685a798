"""Which row of a feature view counts for each label: one sorted as-of join."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import polars as pl

from platform_core.names import CREATED_AT, EVENT_TIME

if TYPE_CHECKING:
    import pyarrow as pa

    from platform_core.contracts.engine import ViewRows
    from platform_core.specs.features import FeatureView

_LABEL, _PLACE, _KNOWN = "_label", "_place", "_known"


def places(labels: pa.Table, views: Sequence[ViewRows]) -> Iterator[pa.Array]:
    """Find, view by view, the place of the row that counts for each label (null: none)."""
    entities = list(dict.fromkeys(each.view.entity for each in views))
    asks = pl.DataFrame(pl.from_arrow(labels.select([*entities, EVENT_TIME]))).with_row_index(_LABEL)
    asks = asks.drop_nulls(EVENT_TIME).sort(EVENT_TIME)
    for each in views:
        yield _places(asks, len(labels), each.view, each.rows)


def _places(asks: pl.DataFrame, size: int, view: FeatureView, rows: pa.Table) -> pa.Array:
    import numpy as np
    import pyarrow as pa

    known = _knowledge(pl.DataFrame(pl.from_arrow(rows.select([view.entity, EVENT_TIME, CREATED_AT]))), view.entity)
    found = asks.select(_LABEL, view.entity, EVENT_TIME).join_asof(
        known, left_on=EVENT_TIME, right_on=_KNOWN, by=view.entity, strategy="backward", check_sortedness=False
    )
    found = found.drop_nulls(_PLACE)
    place, none = np.zeros(size, np.int64), np.ones(size, bool)
    place[found[_LABEL].to_numpy()] = found[_PLACE].to_numpy()
    none[found[_LABEL].to_numpy()] = False
    return pa.array(place, mask=none)


def _knowledge(rows: pl.DataFrame, entity: str) -> pl.DataFrame:
    """Keep what was the newest event at the moment it became known, sorted by that moment.

    A row can be used from ``max(event, created)`` on. Walking an entity's rows in that order, one whose event is
    older than an event already seen will never be the newest; and of equal events the later created comes later.
    """
    return (
        rows.lazy()
        .with_row_index(_PLACE)
        .drop_nulls([entity, EVENT_TIME, CREATED_AT])
        .with_columns(pl.max_horizontal(EVENT_TIME, CREATED_AT).alias(_KNOWN))
        .sort(_KNOWN, EVENT_TIME, CREATED_AT)
        .filter(pl.col(EVENT_TIME) >= pl.col(EVENT_TIME).cum_max().over(entity))
        .select(entity, _KNOWN, _PLACE)
        .collect(engine="in-memory")
    )
