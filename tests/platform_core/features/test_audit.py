"""An audit finds views whose values are wrong: because they rest on others, were computed otherwise, or lost online."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import narwhals as nw
import pyarrow.compute as pc
import pytest

from loopline.platform_core import alarms
from loopline.platform_core.contracts.engine import ViewRows
from loopline.platform_core.features.compute.row_scope import Tables
from loopline.platform_core.features.materialization import audit as audits
from loopline.platform_core.features.materialization.audit import audit
from loopline.platform_core.features.materialization.materialize import recompute
from loopline.platform_core.features.registry import watermarks as standings
from loopline.platform_core.features.registry.watermarks import standing
from loopline.platform_core.foundation.names import online_view, view_table
from loopline.platform_core.specs import FeatureView
from loopline.platform_core.testing.engines.engine_tables import at, spending
from loopline.stories.shop import Shop

LEAST = 8
"""Raw rows from which a view is computed incrementally in these tests."""


def popularity(rows: ViewRows) -> ViewRows:
    """How often an article had been bought by anybody, up to this order."""
    so_far = nw.col("customer").cum_count().over("article", order_by=["ordered_at", "customer"])
    return rows.select("customer", "ordered_at", spend=so_far.cast(nw.Float64))


popular = replace(spending, name="popular", compute=popularity, ttl_days=None)


@pytest.fixture
def shop(shop_of: Callable[..., Shop]) -> Shop:
    """Open a shop of two views."""
    return shop_of(spending, popular)


def deceived(shop: Shop, view: FeatureView = popular, *, incremental: bool = True) -> None:
    """Let a view pass its trial while no article is shared, then let three customers share one."""
    shop.land(*[(n, n, n, 1.0, f"article {n}") for n in range(1, 11)])
    assert shop.turn(20, view, whole_below=LEAST).rows == 10
    for hour in (21, 22, 23):
        shop.land((hour, hour, hour, 1.0, "shared"))
        assert shop.turn(hour, view, whole_below=LEAST).incremental is incremental


def causes(shop: Shop) -> list[str]:
    """List the causes that stand."""
    return [one.alarm.cause for one in alarms.standing(shop.platform.ledger)]


def test_a_view_that_rests_on_others_is_found_told_and_computed_whole(shop: Shop) -> None:
    """The alarm names view, key, values and cause; what was wrong is written anew, and from then on computed whole."""
    deceived(shop)
    assert shop.online("21", "22", "23", view=popular) == [(1.0,)] * 3
    found = audit(shop.platform, shop.team, popular)
    assert (found.entities, found.differing, found.cause, found.mended) == (13, 2, "rests on others", 2)
    (one,) = alarms.standing(shop.platform.ledger)
    assert one.alarm.cause == "audit:shop/popular"
    assert "2 of 13 entities of feature view shop/popular" in one.alarm.problem
    assert "'spend' of 22 at " in one.alarm.problem
    assert "is 2.0 computed whole and 1.0 by its own rows alone" in one.alarm.problem
    assert 'rests_on="all"' in one.alarm.fix
    assert shop.online("21", "22", "23", view=popular) == [(1.0,), (2.0,), (3.0,)]

    shop.land((24, 24, 24, 1.0, "shared"))
    assert not shop.turn(24, popular, whole_below=LEAST).incremental
    assert shop.online("24", view=popular) == [(4.0,)]
    assert audit(shop.platform, shop.team, popular) == audits.Audited("shop/popular", 14)
    assert causes(shop) == []


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let ten rows be many."""
    monkeypatch.setattr(standings, "WHOLE_BELOW", 1)


@pytest.mark.usefixtures("few")
def test_it_is_tried_again_when_the_rows_have_doubled(shop: Shop) -> None:
    """Without any audit: ten rows were tried, so with twenty the view is computed whole once, and found out."""
    deceived(shop)
    for hour in range(24, 30):
        shop.land((hour, hour, hour, 1.0, "shared"))
        assert shop.turn(hour, popular, whole_below=LEAST).incremental
    shop.land((30, 30, 30, 1.0, "shared"))
    done = shop.turn(30, popular, whole_below=LEAST)
    assert (done.incremental, done.rows) == (False, 9)
    assert shop.online("21", "29", "30", view=popular) == [(1.0,), (9.0,), (10.0,)]
    assert not standing(Tables(shop.platform, shop.team, popular)).rests_on_its_entity


@pytest.mark.usefixtures("few")
def test_a_view_that_still_rests_on_its_entity_stays_incremental(shop: Shop) -> None:
    """Tried again on twenty rows, it is next tried on forty."""
    shop.land(*[(n % 5, n, n, 1.0, "a") for n in range(10)])
    shop.turn(20, whole_below=LEAST)
    incremental = []
    for hour in range(20, 60):
        shop.land((hour % 7, hour, hour, 1.0, "a"))
        incremental.append(shop.turn(hour, whole_below=LEAST).incremental)
    assert [hour for hour, done in enumerate(incremental, 20) if not done] == [29, 49]
    assert audit(shop.platform, shop.team, spending).problem == ""


def test_what_is_declared_is_not_tried(shop: Shop) -> None:
    """A view that says it rests on all is computed whole from the first row on, and right."""
    declared = replace(popular, rests_on="all")
    deceived(shop, declared, incremental=False)
    assert shop.online("21", "22", "23", view=declared) == [(1.0,), (2.0,), (3.0,)]
    assert audit(shop.platform, shop.team, declared).problem == ""


@pytest.mark.parametrize("view", [popular, replace(popular, rests_on="all")])
def test_others_late_rows_are_not_known_before_they_came(shop: Shop, view) -> None:
    """In a first run: what five others bought on the first was reported on the eleventh, so no row counts it before."""
    shop.land(*[(20 + n, 24 + n, 48, 10.0, "hat") for n in range(3)])
    shop.land(*[(n, n, 240, 10.0, "hat") for n in range(1, 6)])
    shop.turn(300, view)
    created = {customer: when for customer, _, when, _ in shop.offline(view)}
    assert {created[customer] for customer in (20, 21, 22)} == {at(240)}
    alone = replace(spending, ttl_days=None)
    shop.turn(300, alone)
    assert {when for customer, _, when, _ in shop.offline(alone) if customer in (20, 21, 22)} == {at(48)}


def test_a_row_that_is_lost_online_is_found_and_written_again_when_asked(shop: Shop) -> None:
    """Only told at first, for whoever lost it may lose it again; with ``mend`` it is as it was."""
    shop.land((1, 0, 1, 2.0, "a"), (2, 0, 1, 3.0, "b"))
    shop.turn(2)
    before = shop.online("1", "2")
    shop.platform.online_store.drop(online_view("shop", spending))
    found = audit(shop.platform, shop.team, spending)
    assert (found.differing, found.cause, found.mended) == (2, "online differs", 0)
    assert "has nothing online" in found.problem
    assert causes(shop) == ["audit:shop/spending"]
    assert shop.online("1", "2") == [None, None]
    assert audit(shop.platform, shop.team, spending, mend=True).mended == 2
    assert shop.online("1", "2") == before
    assert audit(shop.platform, shop.team, spending).problem == ""
    assert causes(shop) == []


def test_a_value_of_nobody_knows_whom_online_is_found(shop: Shop) -> None:
    """Something else writes into the store: the newest row there is not the newest that is held."""
    shop.land((1, 0, 1, 2.0, "a"), (2, 0, 1, 3.0, "b"))
    shop.turn(2)
    held = shop.platform.lake.read(view_table("shop", spending))
    other = held.select(["customer", "event_time", "article", "orders", "spend"]).slice(0, 1)
    other = other.set_column(4, "spend", pc.add(other["spend"], 7.0))
    shop.platform.online_store.write(online_view("shop", spending), "customer", other)
    found = audit(shop.platform, shop.team, spending)
    assert (found.differing, found.cause) == (1, "online differs")


def test_what_is_kept_no_longer_online_is_no_difference(shop: Shop) -> None:
    """A row that has outlived its time is gone, as it should be."""
    short = replace(spending, ttl_days=1.0)
    shop.land((1, 0, 1, 2.0, "a"), (2, 24 * 30, 24 * 30, 3.0, "b"))
    shop.turn(24 * 30, short)
    assert shop.online("1", view=short) == [None]
    assert audit(shop.platform, shop.team, short).problem == ""


def test_values_that_were_computed_otherwise_are_found(shop: Shop) -> None:
    """Another release of a library gave other numbers then: told as such, and written anew when asked."""
    shop.land((1, 0, 1, 2.0, "a"), (2, 0, 1, 3.0, "b"))
    shop.turn(2)
    table = view_table("shop", spending)
    one = shop.platform.lake.read(table).filter(pc.field("customer") == 1)
    later, more = pc.add(one["created_at"], timedelta(hours=1)), pc.add(one["spend"], 1.0)
    one = one.set_column(one.column_names.index("created_at"), "created_at", later)
    shop.platform.lake.append(table, one.set_column(one.column_names.index("spend"), "spend", more))
    shop.clock(4)
    found = audit(shop.platform, shop.team, spending)
    assert (found.differing, found.cause) == (1, "offline differs")
    assert "is 2.0 computed whole and 3.0 offline" in found.problem
    assert audit(shop.platform, shop.team, spending, mend=True).mended == 1
    assert audit(shop.platform, shop.team, spending).problem == ""
    assert standing(Tables(shop.platform, shop.team, spending)).rests_on_its_entity


def test_nothing_is_told_of_what_cannot_be_compared(shop: Shop) -> None:
    """Never materialized, or declared otherwise since: said, and no alarm."""
    assert audit(shop.platform, shop.team, spending).skipped == "it was never materialized"
    shop.land((1, 0, 1, 2.0, "a"), (2, 0, 1, 3.0, "b"))
    shop.turn(2)
    changed = replace(spending, compute=lambda rows: spending.compute(rows).with_columns(spend=nw.col("spend") * 2))
    assert "declared otherwise" in audit(shop.platform, shop.team, changed).skipped
    assert causes(shop) == []


def test_a_view_that_is_behind_is_held_against_what_it_has_seen(shop: Shop) -> None:
    """Rows that landed since the last materialization are no difference."""
    shop.land((1, 0, 1, 2.0, "a"), (2, 0, 1, 3.0, "b"))
    shop.turn(2)
    shop.land((1, 3, 3, 9.0, "c"))
    assert audit(shop.platform, shop.team, spending).problem == ""
    shop.turn(4)
    assert audit(shop.platform, shop.team, spending).problem == ""


def test_a_view_is_found_before_it_lies(shop: Shop) -> None:
    """Customers who share an article came in one batch, so what is held is right; the audit sees what will be wrong."""
    shop.land(*[(n, n, n, 1.0, f"article {n}") for n in range(1, 11)])
    shop.turn(20, popular, whole_below=LEAST)
    shop.land(*[(hour, hour, hour, 1.0, "shared") for hour in (21, 22, 23)])
    assert shop.turn(23, popular, whole_below=LEAST).incremental
    assert shop.online("21", "22", "23", view=popular) == [(1.0,), (2.0,), (3.0,)]
    found = audit(shop.platform, shop.team, popular)
    assert (found.cause, found.mended) == ("rests on others", 0)
    assert not standing(Tables(shop.platform, shop.team, popular)).rests_on_its_entity


def test_the_sample_holds_what_came_last(shop: Shop) -> None:
    """Half of it; the rest is drawn anew each time, and nobody is in it twice."""
    shop.land(*[(n, n, n, 1.0, "a") for n in range(100)], (None, 1, 1, 1.0, "a"))
    raw = shop.platform.lake.read("shop/raw/orders")
    draws = [audits.sampled(raw, "customer", 20).to_pylist() for _ in range(3)]
    for drawn in draws:
        assert drawn[:10] == list(range(99, 89, -1))
        assert len(set(drawn)) == 20
    assert len({tuple(drawn) for drawn in draws}) > 1
    assert sorted(audits.sampled(raw, "customer", 1000).to_pylist()) == list(range(100))


def test_recompute_counts_what_it_has_seen(shop: Shop) -> None:
    """Also of rows that nobody has materialized yet; the next turn has nothing to do."""
    deceived(shop)
    shop.land((24, 24, 24, 1.0, "shared"))
    shop.clock(24)
    assert recompute(shop.platform, shop.team, popular, rests_on_others=True).rows == 3
    assert standing(Tables(shop.platform, shop.team, popular)).nothing_new
    assert shop.online("24", view=popular) == [(4.0,)]
