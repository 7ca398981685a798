"""Three views of one entity, ten features together; the newest row of each entity."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from loopline.platform_core.foundation.names import CREATED_AT, EVENT_TIME

ENTITY = "customer_id"
NEWEST_US = 1_298_980_800_000_000
HOUR_US = 3_600_000_000


class Shape(NamedTuple):
    """A view and its features, floats all of them."""

    view: str
    features: tuple[str, ...]


SHAPES = (
    Shape("history", ("orders", "spend", "cancelled", "days")),
    Shape("basket", ("lines", "units", "value")),
    Shape("visits", ("week", "month", "last")),
)
EVERYTHING = Shape("everything", tuple(name for shape in SHAPES for name in shape.features))
"""The same features in a single view."""


def write(folder: Path, entities: int) -> None:
    """Write ``<view>.parquet`` for each view: entity (int64), event_time and created_at (UTC, µs), features.

    ``everything.parquet`` has the features of all of them, with the times of the first.
    """
    whole = None
    for number, shape in enumerate(SHAPES):
        random = np.random.default_rng(number)
        times = NEWEST_US - random.integers(0, 24 * HOUR_US, entities)
        instants = {name: pa.array(times, pa.timestamp("us", "UTC")) for name in (EVENT_TIME, CREATED_AT)}
        features = {name: random.random(entities) for name in shape.features}
        made = pa.table({ENTITY: np.arange(entities), **instants, **features})
        pq.write_table(made, file(folder, shape))
        whole = made if whole is None else pa.table({**_columns(whole), **_columns(made.select(shape.features))})
    pq.write_table(whole, file(folder, EVERYTHING))


def file(folder: Path, shape: Shape) -> Path:
    """Return the place of a view's rows."""
    return folder / f"{shape.view}.parquet"


def rows(folder: Path, shape: Shape) -> pa.Table:
    """Read a view's rows as an online store takes them."""
    return pq.read_table(file(folder, shape), columns=[ENTITY, EVENT_TIME, *shape.features])


def _columns(rows: pa.Table) -> dict[str, pa.ChunkedArray]:
    return dict(zip(rows.column_names, rows.columns, strict=True))
