"""A day is scored as the server would have answered at each row's moment, once a day and version."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from benchmarks.peers.spark_cluster import LITTLE
from loopline.platform_core.contracts.serving import DesiredState, Served
from loopline.platform_core.errors import InvalidSpec, NotFound, TaskFailed
from loopline.platform_core.foundation.names import EVENT_TIME, ModelRef, scores_table
from loopline.platform_core.runtime.answering.inference import Inference, ModelState
from loopline.platform_core.runtime.answering.routes import Route
from loopline.platform_core.runtime.prediction_log import log_table
from loopline.platform_core.runtime.prediction_log.log import Record
from loopline.platform_core.runtime.wire.protocol import decode
from loopline.platform_core.scoring.batch import score_day
from loopline.platform_core.testing.engines.engine_tables import at
from loopline.platform_core.testing.parts.model_packages import Constant, write_package
from tests.platform_core.three_classes import Three, chances, installed, package_of

REF = ModelRef("shop", "large_orders")
FIRST, SECOND = date(2020, 1, 1), date(2020, 1, 2)
ORDERS = [
    (1, 1.0, 1.25, 31.0, "tray"),
    (2, 2.0, 2.25, 7.5, "clock"),
    (1, 5.0, 5.25, 12.125, "rød vase"),
    (3, 20.0, 20.25, 80.0, "unheard of"),
    (1, 26.0, 26.25, 3.0, "tray"),
    (2, 30.0, 30.25, 44.0, "clock"),
    (4, 47.0, 47.25, 0.1, "tray"),
]
"""Customer, hour, hour of arrival, amount, article: four orders of the first day, three of the second."""


class Asking:
    """The server's inference over the shop's online store, asked at each order's moment before its own row is known."""

    def __init__(self, shop: Any, served: Served) -> None:
        self.shop, self.records = shop, list[Record]()
        self.inference = Inference(shop.platform.online_store, lambda _, record: self.records.append(record))
        state = DesiredState(REF.dotted, 1, served)
        self.inference.models[REF.dotted] = ModelState(Route.build(state, None))

    def ask(self, customer: int, hour: float, amount: float) -> None:
        """Ask about one order."""
        inputs = [("customer", "INT64", customer), ("amount", "FP64", amount)]
        tensors = [{"name": name, "shape": [1], "datatype": kind, "data": [value]} for name, kind, value in inputs]
        body = {"inputs": tensors, "parameters": {"event_time": at(hour).isoformat()}}
        asyncio.run(self.inference.infer(REF.dotted, decode(json.dumps(body).encode())))


def played(shop: Any, served: Served) -> list[Record]:
    """Let each order be asked about when it is placed, and land afterwards."""
    asking = Asking(shop, served)
    for order in ORDERS:
        customer, hour, arrived, amount, _ = order
        asking.ask(customer, hour, amount)
        shop.land(order, hour=arrived)
    return asking.records


def rows_of(shop: Any) -> list[dict[str, Any]]:
    """Read the table of scores, in order: whoever reads predictions reads it, for it has the columns of the log."""
    rows = shop.platform.lake.read(scores_table(*REF))
    assert rows.schema.field("_date").type == pa.date32()
    assert rows.schema.remove(rows.schema.get_field_index("_date")).equals(log_table.schema())
    return sorted(rows.to_pylist(), key=lambda row: (row["version"], row[EVENT_TIME]))


def engines(name: str) -> Any:
    """Make an engine."""
    if name == "duckdb":
        from loopline.resources.duckdb.engine import DuckdbEngine

        return DuckdbEngine()
    if name == "pyspark":
        from loopline.resources.pyspark.engine import PysparkEngine

        return PysparkEngine(options={"spark.driver.extraJavaOptions": LITTLE})  # Spark plans as it does by default
    from loopline.resources.polars.engine import PolarsEngine

    return PolarsEngine()


@pytest.mark.parametrize(
    ("kind", "engine"), [("lightgbm", "polars"), ("onnx", "polars"), ("lightgbm", "duckdb"), ("lightgbm", "pyspark")]
)
def test_a_batch_says_what_the_server_said(
    kind: str, engine: str, new_shop: Callable[..., Any], write_model: Callable[..., Served], tmp_path: Path
) -> None:
    """Scores to the bit; keys, features, missing and stale views as they were logged, on every engine."""
    shop = new_shop()
    served = shop.live(write_model(kind, tmp_path / "package"))
    records = played(shop, served)
    shop.platform.environment.bindings["engine"] = engines(engine)
    done = [score_day(shop.platform, shop.team, shop.model, day) for day in (FIRST, SECOND)]
    assert [(each.rows, each.already) for each in done] == [(4, False), (3, False)]
    rows = rows_of(shop)
    assert [row["score"] for row in rows] == [record.scores[0] for record in records]
    for name in ("keys", "features", "missing", "stale"):
        assert [row[name] for row in rows] == [getattr(record, name)[0] for record in records], name
    assert {len(row["stale"]) + len(row["missing"]) for row in rows} == {0, 1}
    assert {(row["version"], row["cycle"], row["role"], row["status"]) for row in rows} == {
        ("1", "cycle-1", "batch", 200)
    }
    assert {row["request_id"] for row in rows} == {"batch-2020-01-01-1", "batch-2020-01-02-1"}


@pytest.fixture
def shop(new_shop: Callable[..., Any]) -> Any:
    """Give a shop whose orders have landed."""
    shop = new_shop()
    shop.land(*ORDERS, hour=48)
    return shop


def test_a_day_is_scored_once_by_a_version(shop: Any) -> None:
    """Again, and with rows that came late, nothing is added or replaced; another version scores the day beside it."""
    shop.serve()
    assert score_day(shop.platform, shop.team, shop.model, FIRST).rows == 4
    before = rows_of(shop)
    shop.land((9, 22.0, 50.0, 1.0, "late"), hour=50)
    again = score_day(shop.platform, shop.team, shop.model, FIRST)
    assert (again.rows, again.already) == (4, True)
    assert rows_of(shop) == before
    shop.serve("onnx", version="2")
    assert score_day(shop.platform, shop.team, shop.model, FIRST).rows == 5
    assert [row for row in rows_of(shop) if row["version"] == "1"] == before
    assert len(rows_of(shop)) == 9


def test_runs_at_once_write_a_day_once(shop: Any) -> None:
    """Two runs of a day that both find nothing there: the table's transaction lets one in; its days are partitions."""
    shop.serve()
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(score_day, shop.platform, shop.team, shop.model, FIRST) for _ in range(2)]
    assert [run.result().rows for run in runs] == [4, 4]
    assert len(rows_of(shop)) == len(shop.platform.lake.read(scores_table(*REF), since=FIRST, until=FIRST)) == 4


def test_a_day_without_rows_is_scored_too(shop: Any) -> None:
    """It is written down that there was nothing, so that a late row does not make the day a new one."""
    shop.serve()
    empty = FIRST + timedelta(days=7)
    assert score_day(shop.platform, shop.team, shop.model, empty).rows == 0
    assert score_day(shop.platform, shop.team, shop.model, empty).already


def test_a_model_that_fails_writes_nothing(shop: Any, tmp_path: Path) -> None:
    """Half a day scored would look like a day."""
    package = write_package(tmp_path / "failing", Constant(float("nan")))
    manifest = json.loads((package / "manifest.json").read_text())
    (package / "manifest.json").write_text(json.dumps(manifest | {"entities": ["customer"]}))
    shop.live(Served("1", package, "cycle-1"))
    with pytest.raises(TaskFailed, match="no number"):
        score_day(shop.platform, shop.team, shop.model, FIRST)
    assert shop.platform.lake.version(scores_table(*REF)) is None


def test_what_cannot_be_scored(shop: Any, tmp_path: Path) -> None:
    """Nothing live, no batch, an entity that the rows lack, a feature that nothing gives."""
    with pytest.raises(NotFound, match="no version of shop/large_orders is live"):
        score_day(shop.platform, shop.team, shop.model, FIRST)
    with pytest.raises(InvalidSpec, match="declares no batch"):
        score_day(shop.platform, shop.team, replace(shop.model, batch=None), FIRST)
    shop.serve()
    without = replace(shop.model, features=shop.model.features[:1])
    with pytest.raises(InvalidSpec, match=r"nothing gives the batch of shop\.large_orders its amount"):
        score_day(shop.platform, shop.team, without, FIRST)
    shop.live(Served("2", write_package(tmp_path / "2", Constant(0.5)), "cycle-2"))
    with pytest.raises(InvalidSpec, match="without customer_id"):
        score_day(shop.platform, shop.team, shop.model, FIRST)


def test_a_row_of_several_numbers(shop: Any, tmp_path: Path) -> None:
    """The table holds all of them, and their reading as the score."""
    package = package_of(tmp_path / "package", "customer")
    shop.live(Served("1", package, "cycle-1"))
    with installed(Three):
        assert score_day(shop.platform, shop.team, shop.model, FIRST).rows == 4
    rows = rows_of(shop)
    amounts = [json.loads(row["features"])["amount"] for row in rows]
    assert len(set(amounts)) > 1
    assert [(row["score"], row["raw"]) for row in rows] == [(max(chances(a)), chances(a)) for a in amounts]
