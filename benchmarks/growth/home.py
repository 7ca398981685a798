"""A source, a view, labels and a model, and as many arrivals as asked for: landed, predicted and written down."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.scorecard import past
from loopline.platform_core.contracts.serving import DesiredState, Served
from loopline.platform_core.environment import Environment
from loopline.platform_core.foundation.clock import ReplayClock
from loopline.platform_core.ingestion.landing import land
from loopline.platform_core.monitor.predictions import compact
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import Model, Source, Team, feature_view, labels
from loopline.platform_core.testing.fakes.serving import InMemoryServing
from loopline.platform_core.testing.model_packages import Constant, write_package
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
"""Predictions of a compaction."""
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


@labels(ORDERS, entities=("customer",), time="ordered_at", label="large", known_at="later")
def large(orders: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Per order: whether it is larger than 50, known an hour later."""
    import narwhals as nw

    later = nw.col("ordered_at").dt.offset_by("1h")
    return orders.with_columns(large=nw.col("amount") > 50, later=later).select(
        "customer", "ordered_at", "large", "later"
    )


MODEL = Model("large", (spending,), large, fit=lambda *_: None)  # type: ignore[arg-type, return-value]


@dataclass
class Home:
    """A folder with all of it; ``opened`` is what a new process sees, but for the log of answers."""

    folder: Path
    serving: InMemoryServing
    arrivals: int = 0

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
                f"{(number * ROWS + row) * 7919 % CUSTOMERS},{at + timedelta(seconds=row):%Y-%m-%dT%H:%M:%S},{row}"
                for row in range(ROWS)
            ]
            file = folder / f"{number:06}.csv"
            file.write_text("customer,ordered_at,amount\n" + "\n".join(lines) + "\n")
            os.utime(file, (at.timestamp(),) * 2)
        self.arrivals += count
        ReplayClock(self.folder / "clock").set(BEGUN + self.arrivals * HOUR)

    def answer(self) -> None:
        """Let the model answer."""
        for number in range(ANSWERED):
            self.serving.answer("shop.large", f"{number}", {"1": 0.5}, features={"spend": 1.0})


def home(folder: Path) -> Home:
    """Make a home without a past."""
    (folder / "orders.yaml").write_text(CONTRACT)
    write_package(folder / "package", Constant(0.5))
    made = Home(folder, InMemoryServing())
    made.serving.apply(DesiredState("shop.large", 1, Served("1", folder / "package", "c")))
    made.deliver(0)
    return made


def age(made: Home, arrivals: int) -> None:
    """Give a home whose files have landed the rest of its past, and what the care of each night does to its tables."""
    platform = made.opened()
    past.write(platform.ledger, ENTRIES * arrivals)
    for _ in range(arrivals):
        made.answer()
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
