"""What materializations tell of a view's rows is what its table holds, without a row being read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from loopline.platform_core.features.extents import MATERIALIZED, Extents
from loopline.platform_core.features.view_ref import ViewRef
from loopline.platform_core.foundation.names import CREATED_AT, EVENT_TIME, view_table
from loopline.platform_core.loop import new_entries
from loopline.platform_core.testing.engine_tables import at, spending
from loopline.platform_core.testing.fakes.lake import InMemoryLake
from loopline.platform_core.testing.fakes.online_store import InMemoryOnlineStore
from loopline.stories.shop import Shop

SECOND = replace(spending, version=2)
V1, V2 = ViewRef("shop", "spending", 1), ViewRef("shop", "spending", 2)


@pytest.fixture
def shop(shop_of: Callable[..., Shop]) -> Shop:
    """Open a shop with two versions of a view."""
    return shop_of(spending, SECOND, lake=InMemoryLake(), online_store=InMemoryOnlineStore())


def test_extents_are_what_the_tables_hold(shop: Shop) -> None:
    """After several materializations rows and newest times are the table's, of each version by itself."""
    asked = Extents()
    assert asked.newest(shop.platform.ledger) == {}
    for hour, view in ((1, spending), (2, spending), (2, SECOND), (4, spending)):
        shop.land((7, hour - 0.5, hour - 0.5, 2.0, "cup"), (8, hour - 0.6, hour - 0.5, 1.0, "cup"))
        shop.turn(hour, view)
        found = asked.newest(shop.platform.ledger)
        table = shop.platform.lake.read(view_table("shop", view)).to_pylist()
        own = found[V1 if view is spending else V2]
        assert own.rows == len(table)
        assert own.newest_event == max(row[EVENT_TIME] for row in table)
        assert own.newest_created == max(row[CREATED_AT] for row in table)
        assert (own.at, own.version) == (at(hour), shop.platform.lake.version(view_table("shop", view)))
    assert Extents().newest(shop.platform.ledger) == found
    assert set(found) == {V1, V2}


def test_nothing_new_is_not_told(shop: Shop) -> None:
    """A materialization that adds no row writes nothing."""
    shop.land((7, 1, 1, 2.0, "cup"))
    shop.turn(2)
    shop.turn(3)
    assert len(shop.platform.ledger.entries(kinds=[MATERIALIZED])) == 1


def test_what_was_read_is_kept(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who asks again reads what is new only: a view that was materialized long ago is still known."""
    monkeypatch.setattr(new_entries, "LOOKED_AT", 1)
    kept = Extents()
    shop.land((7, 1, 1, 2.0, "cup"))
    shop.turn(2, spending)
    assert set(kept.newest(shop.platform.ledger)) == {V1}
    shop.turn(3, SECOND)
    assert set(kept.newest(shop.platform.ledger)) == {V1, V2}
    assert set(Extents().newest(shop.platform.ledger)) == {V2}
