"""What Spark is asked to do: a feature view over so many orders, and a batch of so many rows for a model."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from loopline.platform_core.foundation.names import ARRIVED_AT
from loopline.platform_core.specs import Source, feature_view

if TYPE_CHECKING:
    import narwhals as nw
    import numpy as np
    import pyarrow as pa
    from numpy.typing import NDArray

ORDERS = Source("orders", contract="orders.yaml")
DAYS, A_DAY = 100, 10
"""Days of orders, and about how many orders a customer has each day."""
DAY_US = 86_400_000_000
START_US = 1_767_225_600_000_000
"""2026-01-01 in UTC."""
FEATURES = ("f00", "f01", "f02", "f03")


@feature_view(ORDERS, entity="customer", time="ordered_at")
def spending(orders: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Per customer and day with orders, as of its end: orders of the day, and spend so far in cents."""
    import narwhals as nw

    days = (
        orders.with_columns(ordered_at=nw.col("ordered_at").dt.truncate("1d").dt.offset_by("1d"))
        .group_by("customer", "ordered_at")
        .agg(nw.col("cents").sum(), orders=nw.len())
    )
    so_far = nw.col("cents").cum_sum().over("customer", order_by="ordered_at")
    return days.select("customer", "ordered_at", "orders", spend=so_far)


def orders(rows: int) -> pa.Table:
    """Make raw orders of so many customers that each has ten a day, some an hour late."""
    import numpy as np
    import pyarrow as pa

    random, instant = np.random.default_rng(7), pa.timestamp("us", "UTC")
    at = START_US + random.integers(0, DAYS * DAY_US, rows)
    columns = {
        "customer": pa.array(random.integers(0, max(1, rows // (DAYS * A_DAY)), rows)),
        "ordered_at": pa.array(at).cast(instant),
        ARRIVED_AT: pa.array(at + random.integers(0, 3_600_000_000, rows)).cast(instant),
        "cents": pa.array(random.integers(1, 10_000, rows)),
    }
    return pa.table(columns)


def batch(rows: int) -> pa.Table:
    """Make rows for the model, column by column: a hundred million are in memory once."""
    import numpy as np
    import pyarrow as pa

    random = np.random.default_rng(3)
    return pa.table({name: random.normal(size=rows) for name in FEATURES})


def package(folder: Path) -> None:
    """Fit a LightGBM model of 50 small trees and package it as the platform does."""
    import lightgbm
    import numpy as np

    from loopline.platform_core.runtime.model.manifest import FeatureField, Manifest, Parity
    from loopline.platform_core.training.packaging.package import package as packaged

    sample = _numbers(5_000, 1)
    label = (sample[:, 0] + sample[:, 1] * sample[:, 2] + np.random.default_rng(2).normal(size=len(sample)) > 0) * 1
    parameters = {"objective": "binary", "num_leaves": 15, "num_threads": 1, "verbosity": -1}
    model = lightgbm.train(parameters, lightgbm.Dataset(sample, label), 50)
    manifest = Manifest(
        model="bench",
        kind="pickle",
        file="",
        features=[FeatureField(name, "request") for name in FEATURES],
        views=[],
        entities=["customer"],
        vocabulary={},
        threshold=0.5,
        training_set="bench",
        cycle="cycle-1",
        parity=Parity(0, 0.0, ""),
    )
    packaged(model, manifest, sample, folder)


def _numbers(rows: int, seed: int) -> NDArray[np.float64]:
    import numpy as np

    return np.random.default_rng(seed).normal(size=(rows, len(FEATURES)))
