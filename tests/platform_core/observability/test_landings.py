"""Totals of landings, kept between scrapes."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import event, insert

from loopline.platform_core.loop.ledger import tables
from loopline.platform_core.observability.landings import Landed, Landings
from loopline.platform_core.platform import Platform
from loopline.stories.many_models import NOW

LONG_AGO = NOW - timedelta(days=30)


def _land(platform: Platform, recorded_at: datetime, *, hour: int, source: str = "shop/orders", **counts: int) -> None:
    """Write a landing that was recorded at a time of the wall's clock."""
    at, plain = NOW + timedelta(hours=hour), {"model": "", "cycle": "", "version": "", "actor": "platform"}
    details = {"source": source, **counts}
    row = {"kind": "arrival.landed", "at": at, "recorded_at": recorded_at, "team": "shop", "reason": ""}
    with platform.ledger.writing() as connection:
        connection.execute(insert(tables.entries), [plain | row | {"details": details, "unique_key": None}])


def test_what_was_summed_before_is_added_to(platform: Platform) -> None:
    """Settled landings are summed once, new ones each time, and both are in every answer."""
    landings, wall = Landings(), datetime.now(NOW.tzinfo)
    assert landings.totals(platform.ledger) == {}
    _land(platform, LONG_AGO, hour=2, arrivals=2, rows=100, dead=4)
    _land(platform, wall, hour=1, arrivals=1, rows=50)
    both = {"shop/orders": Landed(2, NOW + timedelta(hours=2), 3, 150, 4)}
    assert landings.totals(platform.ledger) == both
    assert landings.totals(platform.ledger) == both
    _land(platform, LONG_AGO, hour=3, source="shop/returns", arrivals=1, rows=7, dead=0)
    _land(platform, LONG_AGO, hour=3, arrivals=1, rows=10, dead=1)
    told = {
        "shop/orders": Landed(3, NOW + timedelta(hours=3), 4, 160, 5),
        "shop/returns": Landed(1, NOW + timedelta(hours=3), 1, 7, 0),
    }
    assert landings.totals(platform.ledger) == Landings().totals(platform.ledger) == told


def test_a_scrape_reads_only_what_is_not_settled(platform: Platform) -> None:
    """Of landings long ago no row is asked for again."""
    landings = Landings()
    for hour in range(5):
        _land(platform, LONG_AGO, hour=hour, arrivals=1, rows=1, dead=0)
    landings.totals(platform.ledger)
    given: list[Any] = []
    event.listen(platform.ledger.engine, "before_cursor_execute", lambda *each: given.append(each[2:4]))
    assert landings.totals(platform.ledger)["shop/orders"].landings == 5
    (sums,) = (parameters for statement, parameters in given if "sum(" in statement)
    assert 5 in (sums.values() if isinstance(sums, dict) else sums)
