"""A lake of before may hold instants that nothing else can, or the empty date of .NET: views go on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pyarrow as pa
import pytest

from loopline.platform_core.foundation.names import DATE, raw_table
from loopline.platform_core.testing.engines.engine_tables import raw_orders, spending
from loopline.stories.shop import Shop

YEAR_10000_US = 253_402_300_800_000_000
YEAR_1_US = -62_135_596_800_000_000
looking_back = replace(spending, name="looking_back", lookback_days=30, ttl_days=None)


@pytest.fixture
def shop(shop_of: Callable[..., Shop]) -> Shop:
    """Open a shop of two views."""
    return shop_of(spending, looking_back)


def _land_at(shop: Shop, time_us: int) -> None:
    """Put a row into the raw table as a platform of before did."""
    rows = raw_orders((8, 1, 1, 2.0, "a"))
    at = pa.chunked_array([pa.array([time_us], pa.int64()).cast(pa.timestamp("us", "UTC"))])
    rows = rows.set_column(rows.column_names.index("ordered_at"), "ordered_at", at)
    shop.platform.lake.append(raw_table("shop", "orders"), rows.append_column(DATE, at.cast(pa.date32())))


@pytest.mark.parametrize("time_us", [YEAR_10000_US, YEAR_1_US - 1])
def test_an_instant_that_cannot_be_held_stops_nothing(shop: Shop, time_us: int) -> None:
    """It is left out; what is served and what is trained on go on together."""
    shop.land((7, 0, 1, 2.0, "a"), (8, 0, 1, 5.0, "a"))
    shop.turn(2)
    _land_at(shop, time_us)
    shop.turn(3)
    shop.land((7, 4, 4, 3.0, "b"))
    assert shop.turn(5).rows == 1
    assert [row[3] for row in shop.offline()] == [2.0, 5.0, 5.0]
    assert shop.online("7", "8") == [("b", 1, 5.0), ("a", 1, 5.0)]


def test_an_empty_date_stops_no_look_back(shop: Shop) -> None:
    """Year 1 less thirty days is no year: the look back ends where time begins."""
    shop.land((7, 0, 1, 2.0, "a"), (8, 0, 1, 5.0, "a"))
    shop.turn(2, looking_back, whole_below=0)
    for hour in (3, 5):
        _land_at(shop, YEAR_1_US)
        shop.turn(hour, looking_back, whole_below=0)
    shop.land((7, 6, 6, 3.0, "b"))
    assert shop.turn(7, looking_back, whole_below=0).rows == 1
    assert shop.online("7", view=looking_back) == [("b", 1, 5.0)]
