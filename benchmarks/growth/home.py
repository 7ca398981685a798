"""A source, a view, labels and a model, and as many arrivals as asked for: landed, predicted and written down."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from benchmarks.scorecard import past
from loopline.platform_core.contracts.registry import Publication
from loopline.platform_core.contracts.serving import DesiredState, Served
from loopline.platform_core.environment import Environment
from loopline.platform_core.foundation.clock import ReplayClock
from loopline.platform_core.foundation.names import ModelRef, online_view
from loopline.platform_core.ingestion.landing import land
from loopline.platform_core.loop.deployments.deployments import change
from loopline.platform_core.monitor.quality.predictions import compact
from loopline.platform_core.platform import Platform
from loopline.platform_core.runtime.model.manifest import ViewField
from loopline.platform_core.specs import Model, Quality, Source, Team, feature_view, labels
from loopline.platform_core.testing.fakes.registry import InMemoryRegistry
from loopline.platform_core.testing.fakes.serving import InMemoryServing
from loopline.platform_core.testing.parts.model_packages import Constant, write_package
from loopline.platform_core.training import lake_care
from loopline.resources.delta.lake import DeltaLake
from loopline.resources.folder.event_source import FolderEventSource
from loopline.resources.polars.engine import PolarsEngine
from loopline.resources.sqlite.online_store import SqliteOnlineStore

if TYPE_CHECKING:
    import narwhals as nw

ROWS, CUSTOMERS = 50, 997
"""Rows of an arrival, and customers that they are of."""
ANSWERED = 20
"""Predictions beside each arrival: of its first rows."""
TOGETHER = 10
"""Arrivals whose predictions are compacted together in the past; of one more they are compacted at once."""
ENTRIES = 20
"""Lines in the ledger beside each arrival."""
BEGUN = datetime(2024, 11, 25, tzinfo=UTC)
HOUR = timedelta(hours=1)
CONTRACT = """
apiVersion: v3.1.0
kind: DataContract
id: orders
version: 1.0.0
status: active
schema:
  - name: orders
    properties:
      - {name: customer, logicalType: integer, required: true}
      - {name: ordered_at, logicalType: timestamp, required: true}
      - {name: amount, logicalType: number}
"""
ORDERS = Source("orders", contract="orders.yaml")


@feature_view(ORDERS, entity="customer", time="ordered_at")
def spending(orders: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Per customer and moment: spend so far."""
    import narwhals as nw

    moments = orders.group_by("customer", "ordered_at").agg(nw.col("amount").sum())
    so_far = nw.col("amount").cum_sum().over("customer", order_by="ordered_at")
    return moments.select("customer", "ordered_at", spend=so_far)


@feature_view(ORDERS, entity="customer", time="ordered_at", lookback_days=2, name="recent")
def recent(orders: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Per customer and moment: the amount, by a view that says how far it looks back."""
    import narwhals as nw

    return orders.group_by("customer", "ordered_at").agg(amount_now=nw.col("amount").sum())


@labels(ORDERS, entities=("customer",), time="ordered_at", label="large", known_at="later", reach_days=1)
def large(orders: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Per order: whether it is larger than 15, known an hour later."""
    import narwhals as nw

    later = nw.col("ordered_at").dt.offset_by("1h")
    return orders.with_columns(large=nw.col("amount") > 15, later=later).select(
        "customer", "ordered_at", "large", "later"
    )


MODEL = Model("large", (spending, recent), large, fit=lambda *_: None, quality=Quality(days=1))  # type: ignore[arg-type, return-value]
"""Its windows of quality are as long as the short history, so that what one more file changes is one window of each."""
REF = ModelRef("shop", MODEL.name)
NAMES = "the folder's names, by the system alone"
"""What every poll of a folder in which something arrived has to ask for."""


class LoggingServing(InMemoryServing):
    """An endpoint whose log is written here, at the times of the platform's clock."""

    def log(self, rows: list[dict[str, Any]]) -> None:
        """Add answered rows."""
        self._log.setdefault(REF.dotted, []).extend(rows)


@dataclass
class Home:
    """A folder with all of it; ``opened`` is what a new process sees, but for the log of answers."""

    folder: Path
    serving: LoggingServing
    registry: InMemoryRegistry
    arrivals: int = 0
    answers: int = 0
    spent: dict[int, float] = field(default_factory=dict)

    @property
    def team(self) -> Team:
        """Return the team."""
        return Team("shop", self.folder, (MODEL,))

    def opened(self) -> Platform:
        """Open everything anew: nothing is remembered."""
        bindings = {
            "lake": DeltaLake(root=str(self.folder / "lake")),
            "online_store": SqliteOnlineStore(path=str(self.folder / "online.db")),
            "event_source": FolderEventSource(root=str(self.folder / "landing")),
            "engine": PolarsEngine(),
            "serving": self.serving,
            "registry": self.registry,
        }
        url = f"sqlite:///{self.folder}/ledger.db"
        return Platform(
            Environment("growth", self.folder / "e.yaml", bindings, url, self.folder / "clock", self.folder)
        )

    def deliver(self, count: int = 1) -> None:
        """Let files arrive, an hour each."""
        folder = self.folder / "landing/shop/orders"
        folder.mkdir(parents=True, exist_ok=True)
        for number in range(self.arrivals, self.arrivals + count):
            at = BEGUN + number * HOUR
            lines = [
                f"{customer(number, row)},{at + timedelta(seconds=row):%Y-%m-%dT%H:%M:%S},{row}" for row in range(ROWS)
            ]
            file = folder / f"{number:06}.csv"
            file.write_text("customer,ordered_at,amount\n" + "\n".join(lines) + "\n")
            os.utime(file, (at.timestamp(),) * 2)
        self.arrivals += count
        ReplayClock(self.folder / "clock").set(BEGUN + self.arrivals * HOUR)

    def names(self) -> list[str]:
        """List the names of the files, as the system gives them."""
        return os.listdir(self.folder / "landing/shop/orders")  # noqa: PTH208 - as whoever polls does

    def rest(self) -> None:
        """Let some seconds pass since the last file came."""
        earlier = (self.folder / "landing/shop/orders").stat().st_mtime - 60
        os.utime(self.folder / "landing/shop/orders", (earlier, earlier))

    def answer(self, number: int) -> None:
        """Let the model answer about the first rows of an arrival, with the features that are online then."""
        at, rows = BEGUN + number * HOUR, []
        for row in range(ROWS):
            who = customer(number, row)
            self.spent[who] = self.spent.get(who, 0.0) + row
            if row < ANSWERED:
                rows.append(self._answer(at + timedelta(seconds=row), who))
        self.serving.log(rows)

    def _answer(self, at: datetime, who: int) -> dict[str, Any]:
        self.answers += 1
        asked = at + HOUR + timedelta(minutes=5)
        return {
            "request_id": f"r{self.answers:08}",
            "row": 0,
            "event_time": at,
            "logged_at": asked,
            "asked_at": asked,
            "version": "1",
            "cycle": "c",
            "role": "stable",
            "status": 200,
            "latency_ms": 1.0,
            "score": who % 100 / 100,
            "keys": json.dumps({"customer": who}),
            "features": json.dumps({"spend": self.spent[who]}),
            "missing": [],
            "stale": [],
        }


def customer(number: int, row: int) -> int:
    """Say whose order a row of an arrival is."""
    return (number * ROWS + row) * 7919 % CUSTOMERS


def home(folder: Path) -> Home:
    """Make a home without a past."""
    (folder / "orders.yaml").write_text(CONTRACT)
    online = ViewField(online_view("shop", spending), "customer", ["spend"], ttl_days=None)
    served = Served("1", write_package(folder / "packages" / REF.dotted / "1", Constant(0.5), [online]), "c")
    made = Home(folder, LoggingServing(), InMemoryRegistry())
    made.serving.apply(DesiredState(REF.dotted, 1, served))
    made.registry.publish(Publication(REF.dotted, served.package, None, pa.table({"spend": [1.0]})))  # type: ignore[arg-type]
    made.deliver(0)
    platform = made.opened()
    change(platform, REF, served, None, 0, actor="t", reason="t", cycle="c", now=BEGUN)
    platform.close()
    return made


def age(made: Home, arrivals: int) -> None:
    """Give a home whose files have landed the rest of its past, and what the care of each night does to its tables."""
    platform = made.opened()
    past.write(platform.ledger, ENTRIES * arrivals)
    for number in range(arrivals):
        made.answer(number)
        if number % TOGETHER == TOGETHER - 1:
            compact(platform, made.team, MODEL)
    compact(platform, made.team, MODEL)
    old = (BEGUN - timedelta(days=30)).timestamp()
    for path in (made.folder / "lake").rglob("*"):
        os.utime(path, (old, old))
    lake_care.care(platform, "shop")
    platform.close()


def landed(made: Home) -> None:
    """Land what has arrived, as a run does."""
    platform = made.opened()
    land(platform, made.team, ORDERS)
    platform.close()
