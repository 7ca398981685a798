"""Generates what is joined: three feature views, and labels that ask for them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from loopline.platform_core.foundation.names import CREATED_AT, DATE, EVENT_TIME
from loopline.platform_core.specs import FeatureView, Source

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

LABELS = 100_000
DAYS, LABEL_DAYS = 90, 60
LATE_SHARE = 0.02
DAY_US = 86_400_000_000
START_US = 1_767_225_600_000_000
"""2026-01-01 in UTC."""


class Shape(NamedTuple):
    """A feature view: how many entities, features, and days until a row is too old."""

    view: str
    entity: str
    entities: int
    features: int
    ttl_days: int

    @property
    def names(self) -> list[str]:
        """Name the features, each once among all views."""
        return [f"{self.view}_f{number}" for number in range(self.features)]

    def spec(self) -> FeatureView:
        """Declare it; its function is never run here."""
        return FeatureView(
            self.view, Source(self.view, ""), self.entity, EVENT_TIME, lambda rows: rows, float(self.ttl_days)
        )


SHAPES = (
    Shape("customer", "customer_id", 50_000, 10, 30),
    Shape("product", "product_id", 5_000, 5, 7),
    Shape("store", "store_id", 400, 5, 2),
)


def write(folder: Path, rows: int) -> None:
    """Write ``labels.parquet``, a Parquet file a view, and the views as lake tables under ``lake``."""
    import numpy as np
    import pyarrow as pa
    from pyarrow import compute, parquet

    from loopline.resources.delta.lake import DeltaLake

    random = np.random.default_rng(7)
    lake = DeltaLake(root=str(folder / "lake"))
    for shape in SHAPES:
        table = _view(random, shape, rows)
        parquet.write_table(table, folder / f"{shape.view}.parquet")
        lake.append(lake_table(shape), table.append_column(DATE, compute.cast(table[EVENT_TIME], pa.date32())))
    parquet.write_table(_labels(random), folder / "labels.parquet")


def lake_table(shape: Shape) -> str:
    """Name a view's table in the lake."""
    return f"bench/features/{shape.view}.v1"


def checked(columns: dict[str, Any]) -> dict[str, list[float]]:
    """Sum up a result so that two can be compared: per feature the values that are there, and their sum."""
    import numpy as np

    found = {}
    for shape in SHAPES:
        for name in shape.names:
            values: NDArray[np.float64] = np.asarray(columns[name], dtype=np.float64)
            found[name] = [int(np.isfinite(values).sum()), float(np.nansum(values))]
    return found


def _view(random: np.random.Generator, shape: Shape, rows: int) -> pa.Table:
    """Rows in no order; most are known at once, some up to five days late."""
    import numpy as np
    import pyarrow as pa

    event = START_US + random.integers(0, DAYS * DAY_US, rows)
    late = np.where(random.random(rows) < LATE_SHARE, random.integers(0, 5 * DAY_US, rows), 0)
    columns = {
        shape.entity: random.integers(0, shape.entities, rows),
        EVENT_TIME: _instants(event),
        CREATED_AT: _instants(event + late),
    }
    return pa.table(columns | {name: random.normal(size=rows) for name in shape.names})


def _labels(random: np.random.Generator) -> pa.Table:
    import pyarrow as pa

    event = START_US + (DAYS - LABEL_DAYS) * DAY_US + random.integers(0, LABEL_DAYS * DAY_US, LABELS)
    keys = {shape.entity: random.integers(0, shape.entities, LABELS) for shape in SHAPES}
    return pa.table({**keys, EVENT_TIME: _instants(event)})


def _instants(microseconds: NDArray[np.int64]) -> pa.Array:
    import pyarrow as pa

    return pa.array(microseconds).cast(pa.timestamp("us", "UTC"))
