"""Three views of one entity, ten features together; the newest row of each entity."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from platform_core.names import CREATED_AT, EVENT_TIME

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


def write(folder: Path, entities: int) -> None:
    """Write ``<view>.parquet`` for each view: entity (int64), event_time and created_at (UTC, µs), features."""
    for number, shape in enumerate(SHAPES):
        random = np.random.default_rng(number)
        times = NEWEST_US - random.integers(0, 24 * HOUR_US, entities)
        instants = {name: pa.array(times, pa.timestamp("us", "UTC")) for name in (EVENT_TIME, CREATED_AT)}
        features = {name: random.random(entities) for name in shape.features}
        pq.write_table(pa.table({ENTITY: np.arange(entities), **instants, **features}), file(folder, shape))


def file(folder: Path, shape: Shape) -> Path:
    """Return the place of a view's rows."""
    return folder / f"{shape.view}.parquet"


def rows(folder: Path, shape: Shape) -> pa.Table:
    """Read a view's rows as an online store takes them."""
    return pq.read_table(file(folder, shape), columns=[ENTITY, EVENT_TIME, *shape.features])
