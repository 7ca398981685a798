"""Test shop with one view, landed and materialized step by step by a test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loopline.platform_core.features.materialization.materialize import Materialized, materialize
from loopline.platform_core.foundation.clock import ReplayClock
from loopline.platform_core.foundation.names import (
    ARRIVAL,
    CREATED_AT,
    DATE,
    EVENT_TIME,
    online_view,
    raw_table,
    view_table,
)
from loopline.platform_core.testing.engines.engine_tables import at, raw_orders, spending

if TYPE_CHECKING:
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import FeatureView, Team


@dataclass
class Shop:
    """A platform with a replay clock, and a team called ``shop``."""

    platform: Platform
    team: Team

    def land(self, *rows: tuple[int | None, float, float, float, str]) -> None:
        """Add raw rows of (customer, hour, arrival's hour, amount, article)."""
        import pyarrow as pa
        from pyarrow import compute

        orders = raw_orders(*rows)
        orders = orders.append_column(ARRIVAL, pa.repeat("a", len(orders)))
        dated = orders.append_column(DATE, compute.cast(orders["ordered_at"], pa.date32()))
        self.platform.lake.append(raw_table("shop", "orders"), dated)

    def clock(self, hour: float) -> None:
        """Set the clock."""
        assert isinstance(self.platform.clock, ReplayClock)
        self.platform.clock.set(at(hour))

    def turn(self, hour: float, view: FeatureView = spending, **how: Any) -> Materialized:
        """Set the clock and materialize."""
        self.clock(hour)
        return materialize(self.platform, self.team, view, **how)

    def offline(self, view: FeatureView = spending) -> list[tuple[Any, ...]]:
        """Return the offline rows as (customer, event, created, spend), in order of creation."""
        rows = self.platform.lake.read(view_table("shop", view)).select(["customer", EVENT_TIME, CREATED_AT, "spend"])
        return sorted((tuple(row.values()) for row in rows.to_pylist()), key=lambda row: (row[2], row[1]))

    def online(self, *keys: str, view: FeatureView = spending) -> list[tuple[Any, ...] | None]:
        """Return what the store holds for keys."""
        rows = self.platform.online_store.read([(online_view("shop", view), keys)])[0]
        return [row.values if row else None for row in rows]
