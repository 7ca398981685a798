"""The team's own declarations come out the same on every engine."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa
import pytest
from retail.features import customer_history, order_shape
from retail.labels import cancelled_within_30_days, ordered_again_within_30_days

from benchmarks.peers.spark_cluster import SMALL
from loopline.platform_core.contracts.engine import Engine
from loopline.platform_core.testing.engines.engine_histories import assert_same
from loopline.resources.duckdb.engine import DuckdbEngine
from loopline.resources.polars.engine import PolarsEngine
from loopline.resources.pyspark.engine import PysparkEngine

ROWS, CUSTOMERS, INVOICES, DAYS = 3_000, 40, 400, 200


@pytest.fixture(scope="module")
def lines() -> pa.Table:
    """Make lines of invoices over 200 days: a fifth are cancellations, files come a day later, some lines twice."""
    random = np.random.default_rng(11)
    customer, day = random.integers(0, CUSTOMERS, INVOICES), random.integers(0, DAYS * 24 * 60, INVOICES)
    taken = random.random(INVOICES) < 0.2
    invoice = random.integers(0, INVOICES, ROWS)
    times = [datetime(2010, 2, 1, tzinfo=UTC) + timedelta(minutes=int(minute)) for minute in day[invoice]]
    quantity = random.integers(1, 60, ROWS) * np.where(taken[invoice], -1, 1)
    instant = pa.timestamp("us", "UTC")
    rows = pa.table(
        {
            "invoice": [f"{'C' if taken[number] else ''}{500_000 + number}" for number in invoice],
            "stock_code": [f"{code}" for code in random.integers(100, 130, ROWS)],
            "description": ["thing"] * ROWS,
            "quantity": quantity,
            "invoiced_at": pa.array(times, instant),
            "price": random.integers(1, 4000, ROWS) / 100,
            "customer_id": customer[invoice],
            "country": [("United Kingdom", "France", "EIRE")[number % 3] for number in customer[invoice]],
            "_line": np.arange(ROWS),
            "_arrived_at": pa.array([time + timedelta(days=1) for time in times], instant),
        }
    )
    return pa.concat_tables([rows, rows.slice(0, 100)])


@pytest.mark.parametrize("engine", [DuckdbEngine(), PysparkEngine(options=SMALL)], ids=["duckdb", "pyspark"])
def test_views_and_labels_are_those_of_polars(engine: Engine, lines: pa.Table) -> None:
    """Both feature views and both labels: types, and values to 1e-9."""
    polars = PolarsEngine()
    for view in (customer_history, order_shape):
        found = engine.compute_view(view, lines)
        assert_same(found, polars.compute_view(view, lines))
        assert len(found) > INVOICES / 2
    for labels in (cancelled_within_30_days, ordered_again_within_30_days):
        found = engine.compute_labels(labels, lines)
        assert_same(found, polars.compute_labels(labels, lines))
        assert set(found["label"].to_pylist()) == {0.0, 1.0}
