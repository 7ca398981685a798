"""Nothing is served before its time: a row whose event lies ahead waits, and then appears."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

import pyarrow as pa
import pytest

from loopline.platform_core.contracts.online_store import OnlineRow
from loopline.platform_core.errors import StoreUnavailable
from loopline.platform_core.features.compute.row_scope import Tables
from loopline.platform_core.features.materialization import future_rows
from loopline.platform_core.features.materialization.materialize import refill
from loopline.platform_core.features.online import fetch_online, read_online
from loopline.platform_core.features.registry.watermarks import standing
from loopline.platform_core.features.selection import FeatureNames
from loopline.platform_core.foundation.names import EVENT_TIME, online_view
from loopline.platform_core.runtime.answering.freshness import fresh_rows, mark_missing
from loopline.platform_core.runtime.model.manifest import ViewField
from loopline.platform_core.testing.engines.engine_tables import at, spending
from loopline.platform_core.training.offline import historical
from loopline.stories.shop import Shop

view = replace(spending, ttl_days=None)


@pytest.fixture
def shop(shop_of: Callable[..., Shop]) -> Shop:
    """Open a shop of one view."""
    return shop_of(view)


def _due(shop: Shop, hour: float) -> bool:
    shop.clock(hour)
    return future_rows.due(shop.platform, shop.team, view, standing(Tables(shop.platform, shop.team, view))) is not None


def _offline(shop: Shop, hour: float) -> object:
    asked = FeatureNames(shop.platform, shop.team).ask(["spending:spend"], None)
    rows = pa.table({"customer": [7], EVENT_TIME: pa.array([at(hour)], pa.timestamp("us", "UTC"))})
    return historical(shop.platform, shop.team, asked, rows)["spending:spend"][0].as_py()


def _online(shop: Shop, hour: float) -> object:
    shop.clock(hour)
    asked = FeatureNames(shop.platform, shop.team).ask(["spending:spend"], None)
    return read_online(shop.platform, asked, {"customer": [7]}).features["spending:spend"][0]


def test_a_row_ahead_of_its_time_waits_and_appears(shop: Shop) -> None:
    """Until its hour the row before it is served; then it is, without anything new having landed."""
    shop.land((7, 0, 0, 10.0, "x"), (7, 6, 0, 1000.0, "x"), (8, 0, 0, 1.0, "x"))
    assert shop.turn(1, view).online == 2
    assert (_online(shop, 1), _offline(shop, 1)) == (10.0, 10.0)
    assert not _due(shop, 5)
    assert _due(shop, 6)
    assert shop.turn(6, view).online == 1
    assert (_online(shop, 6), _offline(shop, 6)) == (1010.0, 1010.0)
    assert not standing(Tables(shop.platform, shop.team, view)).waits
    assert shop.turn(7, view) == replace(shop.turn(8, view), online=0)


def test_later_rows_heal_what_waits(shop: Shop) -> None:
    """Rows that come meanwhile are served at once, and correct what waits; several wait, each until its own hour."""
    shop.land((7, 0, 0, 1.0, "x"), (7, 10, 0, 100.0, "x"), (7, 20, 0, 1000.0, "x"))
    shop.turn(1, view)
    shop.land((7, 3, 3, 2.0, "x"), (8, 15, 3, 5.0, "x"))
    shop.turn(4, view)
    assert _online(shop, 4) == 3.0
    seen = []
    for hour in (9, 10.5, 14, 15.5, 19, 20.5, 21):
        if _due(shop, hour):
            shop.turn(hour, view)
        seen.append((_online(shop, hour), _offline(shop, hour)))
    assert seen == [(spend, spend) for spend in (3.0, 103.0, 103.0, 103.0, 103.0, 1103.0, 1103.0)]
    assert shop.online("8", view=view) == [("x", 1, 5.0)]
    assert not standing(Tables(shop.platform, shop.team, view)).waits


def test_a_kill_between_online_and_the_mark_is_made_up_for(shop: Shop) -> None:
    """The row appears once more, which changes nothing; and a refilled store shows no row before its time."""
    shop.land((7, 0, 0, 1.0, "x"), (7, 10, 0, 100.0, "x"))
    shop.turn(1, view)

    def dies() -> None:
        raise StoreUnavailable("the power went off", "switch it on")

    shop.platform.lake.before = dies  # type: ignore[attr-defined]
    with pytest.raises(StoreUnavailable):
        shop.turn(10, view)
    assert _due(shop, 11)
    shop.turn(11, view)
    assert _online(shop, 11) == 101.0
    shop.platform.online_store.drop(online_view("shop", view))
    shop.clock(5)
    refill(shop.platform, shop.team, view)
    assert _online(shop, 5) == 1.0


def test_a_row_that_is_ahead_of_the_instant_asked_about_is_missing(shop: Shop) -> None:
    """A store of before may hold one; it is not served, neither at once nor asynchronously."""
    shop.land((7, 10, 0, 100.0, "x"))
    shop.turn(10, view)
    asked = FeatureNames(shop.platform, shop.team).ask(["spending:spend"], None)
    for hour, status in ((9.99, "missing"), (10, "present")):
        read = read_online(shop.platform, asked, {"customer": [7]}, at(hour))
        again = asyncio.run(fetch_online(shop.platform, asked, {"customer": [7]}, at(hour)))
        assert read == again
        assert read.views["spending"].status == [status]
        assert read.features["spending:spend"] == ((100.0,) if status == "present" else (None,))


@pytest.mark.parametrize("ttl_days", [None, 1.0])
def test_the_endpoint_takes_a_row_that_is_ahead_for_missing(ttl_days: float | None) -> None:
    """One row or several, with a TTL or without; a row of that very instant counts."""
    fields = ViewField(view="v", entity="e", features=["f"], ttl_days=ttl_days)
    now, ahead = OnlineRow(100, (1.0,)), OnlineRow(101, (2.0,))
    assert fresh_rows(fields, [ahead], 100)[0] == [None]
    for rows in ([ahead], [now, ahead, None]):
        fresh, use = fresh_rows(fields, rows, 100)
        assert list(fresh) == [now if row is now else None for row in rows]
        assert (use.missing, use.stale) == (len(rows) - rows.count(now), 0)
        missing: list[list[str]] = [[] for _ in rows]
        stale: list[list[str]] = [[] for _ in rows]
        mark_missing(fields, rows, fresh, 100, missing, stale)
        assert missing == [[] if row is now else ["v"] for row in rows]
        assert stale == [[] for _ in rows]
