"""A small shop whose orders arrive: real engine and ledger, lake and event source in memory."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import Source, Team
from loopline.platform_core.testing.fakes.event_source import InMemoryDelivery, InMemoryEventSource
from loopline.platform_core.testing.fakes.lake import InMemoryLake
from tests.platform_core.homes import opened

CONTRACT = """\
apiVersion: v3.1.0
kind: DataContract
id: orders
version: %(version)s
schema:
  - name: orders
    properties:
      - {name: customer, physicalName: Customer, logicalType: integer, required: true}
      - {name: price, physicalName: Price, logicalType: number, required: true, logicalTypeOptions: {minimum: %(low)s}}
      - {name: at, physicalName: At, logicalType: timestamp}
"""
HEADER = "Customer,Price,At\n"
DAY_ONE = datetime(2020, 1, 2, tzinfo=UTC)


class Killed(BaseException):
    """The process is gone."""


class DyingLake(InMemoryLake):
    """Dies before or behind its n-th append, or the n-th to tables whose names end so."""

    dies_at: int = 1
    behind: bool = False
    end: str = ""

    def append(self, table: str, *rest: Any, **more: Any) -> int:
        """Count down."""
        counts = table.endswith(self.end)
        self.dies_at -= counts
        if counts and self.dies_at == 0 and not self.behind:
            raise Killed
        version = super().append(table, *rest, **more)
        if counts and self.dies_at == 0:
            raise Killed
        return version


@dataclass
class Shop:
    """A team with one source, on a platform."""

    folder: Path
    platform: Platform
    team: Team
    source: Source

    def contract(self, version: str = "1.0.0", low: float = 1, without: tuple[str, ...] = ()) -> None:
        """Release a contract version, perhaps without some columns."""
        lines = [line for line in CONTRACT.splitlines() if not any(f"name: {name}," in line for name in without)]
        (self.folder / "orders.yaml").write_text("\n".join(lines) % {"version": version, "low": low})

    def deliver(self, name: str, *lines: str, header: str = HEADER, hours: float = 0) -> None:
        """Let a file arrive."""
        content = (header + "\n".join(lines)).encode()
        events: Any = self.platform.event_source
        InMemoryDelivery(events).whole("shop/orders", name, content, DAY_ONE + timedelta(hours=hours))

    def on(self, lake: Any) -> Shop:
        """Move to another lake, as after a restart."""
        self.platform.environment.bindings["lake"] = lake  # type: ignore[index]
        return self

    @property
    def args(self) -> tuple[Platform, Team, Source]:
        """Return what the functions take first."""
        return self.platform, self.team, self.source

    def rows(self, table: str = "shop/raw/orders") -> list[dict[str, Any]]:
        """Read a table, sorted by arrival and line."""
        if self.platform.lake.version(table) is None:
            return []
        rows: list[dict[str, Any]] = self.platform.lake.read(table).to_pylist()
        return sorted(rows, key=lambda row: (row["_arrived_at"], row["_arrival"], row["_line"]))

    def prices(self) -> list[float]:
        """Read the prices of the raw table, sorted."""
        return sorted(row["price"] for row in self.rows())

    def entries(self, kind: str) -> list[Any]:
        """Read the ledger."""
        return self.platform.ledger.entries(kinds=[kind])


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """Open a shop under its first contract."""
    vendors = {"lake": InMemoryLake(), "event_source": InMemoryEventSource()}
    platform = opened(tmp_path, DAY_ONE + timedelta(days=1), **vendors)
    shop = Shop(tmp_path, platform, Team("shop", tmp_path), Source("orders", "orders.yaml"))
    shop.contract()
    return shop
