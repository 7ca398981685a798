"""What materializations tell of a view's rows is what its table holds, without a row being read."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from loopline.platform_core.features.registry import extents
from loopline.platform_core.features.registry.extents import MATERIALIZED, Extents
from loopline.platform_core.features.registry.view_ref import ViewRef
from loopline.platform_core.foundation.names import CREATED_AT, EVENT_TIME, view_table
from loopline.platform_core.loop.ledger import new_entries
from loopline.platform_core.testing.engines.engine_tables import at, spending
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


@pytest.mark.parametrize("is_more", [False, True])
def test_what_a_kill_kept_from_the_ledger_is_told_next(
    is_more: bool, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows went offline, and nobody heard of them: the next materialization tells it, whether it adds any or not."""
    shop.land((7, 0.5, 0.5, 2.0, "cup"))
    shop.turn(1)
    shop.land((8, 1.5, 1.5, 2.0, "cup"), (9, 1.5, 1.5, 2.0, "cup"))

    def dies(*_: object, **__: object) -> None:
        raise SystemExit

    with monkeypatch.context() as killed:
        killed.setattr(extents, "record", dies)
        with pytest.raises(SystemExit):
            shop.turn(2)
    if is_more:
        shop.land((9, 2.5, 2.5, 2.0, "cup"))
    shop.turn(3)
    table = shop.platform.lake.read(view_table("shop", spending)).to_pylist()
    assert len(table) == 3 + is_more
    found = Extents().newest(shop.platform.ledger)[V1]
    told = (found.rows, found.newest_event, found.newest_created)
    assert told == (len(table), max(row[EVENT_TIME] for row in table), max(row[CREATED_AT] for row in table))
    added = [entry.details["added"] for entry in shop.platform.ledger.entries(kinds=[MATERIALIZED])]
    assert added == [1, len(table) - 1]
    shop.turn(4)
    assert len(shop.platform.ledger.entries(kinds=[MATERIALIZED])) == 2


def test_what_a_table_of_before_holds_is_counted_once(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its commits do not say it; a line that was lost then is made good as well."""
    append = InMemoryLake.append

    def uncounted(lake: InMemoryLake, table: str, rows: Any, said: Mapping[str, int] | None = None, *more: Any) -> int:
        left = {name: number for name, number in (said or {}).items() if not name.startswith("kept:")}
        return append(lake, table, rows, left, *more)

    shop.land((7, 0.5, 0.5, 2.0, "cup"))
    with monkeypatch.context() as before:
        before.setattr(extents, "record", lambda *_: None)
        before.setattr(InMemoryLake, "append", uncounted)
        shop.turn(1)
    shop.land((8, 1.5, 1.5, 2.0, "cup"))
    shop.turn(2)
    assert Extents().newest(shop.platform.ledger)[V1].rows == 2


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
