"""Feature views become offline rows that never change, and their newest rows go online; on real vendors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import narwhals as nw
import pytest

from loopline.platform_core.contracts.engine import ViewRows
from loopline.platform_core.errors import ContractBroken, InvalidSpec, StoreUnavailable
from loopline.platform_core.features.materialization.materialize import Materialized, refill
from loopline.platform_core.foundation.names import online_view, view_table
from loopline.platform_core.testing.engines.engine_tables import asked, at, spending
from loopline.stories.shop import Shop

basket = replace(spending, name="basket", served="request", ttl_days=None)


@pytest.fixture
def shop(shop_of: Callable[..., Shop]) -> Shop:
    """Open a shop of two views."""
    return shop_of(spending, basket)


def test_nothing_has_landed(shop: Shop) -> None:
    """Without raw rows there is nothing to do, and no table appears."""
    assert shop.turn(0) == Materialized("spending", 0, 0, 0, None, None)
    assert shop.platform.lake.tables() == []


def test_the_first_run_believes_arrivals_and_a_second_adds_nothing(shop: Shop) -> None:
    """A backfill is known as of its rows' arrivals; newest rows are online; on the same rows nothing is done again."""
    shop.land((1, 0, 1, 2.0, "a"), (1, 4, 5, 3.0, "b"), (2, 2, 3, 7.0, "c"))
    assert shop.turn(20) == Materialized("spending", 3, 2, 2, 0, at(4))
    assert shop.turn(21) == Materialized("spending", 0, 0, 0, 0, None)
    assert shop.offline() == [(1, at(0), at(1), 2.0), (2, at(2), at(3), 7.0), (1, at(4), at(5), 5.0)]
    assert shop.online("1", "2", "3") == [("b", 1, 5.0), ("c", 1, 7.0), None]


def test_later_rows_are_known_from_now(shop: Shop) -> None:
    """What is materialized late was not known when it arrived: nobody could have been served it."""
    shop.land((1, 0, 1, 2.0, "a"))
    shop.turn(2)
    shop.land((1, 3, 4, 3.0, "b"), (2, 3, 4, 1.0, "b"))
    assert shop.turn(9) == Materialized("spending", 2, 2, 2, 1, at(3))
    assert shop.offline() == [(1, at(0), at(1), 2.0), (1, at(3), at(9), 5.0), (2, at(3), at(9), 1.0)]


def test_a_late_row_corrects_without_forgetting(shop: Shop) -> None:
    """A raw row that comes late changes all that rests on it; what was believed before stays to be read."""
    shop.land((1, 0, 1, 2.0, "a"), (1, 4, 5, 3.0, "b"))
    shop.turn(5)
    shop.land((1, 2, 8, 10.0, "c"))
    assert shop.turn(8) == Materialized("spending", 2, 1, 1, 1, at(4))
    assert shop.offline()[2:] == [(1, at(2), at(8), 12.0), (1, at(4), at(8), 15.0)]
    assert shop.online("1") == [("b", 1, 15.0)]
    held = ViewRows(spending, shop.platform.lake.read(view_table("shop", spending)).drop_columns("_date"))
    found = shop.platform.engine.point_in_time(asked((1, 7), (1, 8)), [held])
    assert found["spend"].to_pylist() == [5.0, 15.0]


def test_corrections_follow_each_other_while_the_clock_stands_still(shop: Shop) -> None:
    """Two corrections of one event at one instant do not tie: the later one counts, in a lost store's refill too."""
    shop.land((1, 0, 1, 2.0, "a"))
    shop.turn(1)
    for amount in (10.0, 100.0):
        shop.land((1, 0, 1, amount, "b"))
        assert shop.turn(1).rows == 1
    assert [row[3] for row in shop.offline()] == [2.0, 12.0, 112.0]
    assert len({row[2] for row in shop.offline()}) == 3
    shop.platform.online_store.drop(online_view("shop", spending))
    assert refill(shop.platform, shop.team, spending) == 1
    assert shop.online("1") == [("a", 3, 112.0)]


def test_what_a_request_brings_is_known_when_it_happens(shop: Shop) -> None:
    """Rows of a request view keep ``created_at`` on their event, corrections come later, and nothing goes online."""
    shop.land((1, 0, 1, 2.0, "a"))
    shop.turn(2, basket)
    shop.land((1, 3, 4, 3.0, "b"), (1, 0, 4, 1.0, "b"))
    assert shop.turn(9, basket).online == 0
    assert shop.offline(basket) == [(1, at(0), at(0), 2.0), (1, at(3), at(3), 6.0), (1, at(0), at(9), 3.0)]
    assert shop.online("1", view=basket) == [None]


def test_a_run_that_dies_half_way_is_made_up_for(shop: Shop) -> None:
    """If the process dies after writing online and before writing offline, the next run does both."""
    shop.land((1, 0, 1, 2.0, "a"))
    shop.turn(1)
    shop.land((1, 2, 3, 3.0, "b"))

    def dies() -> None:
        raise StoreUnavailable("the power went off", "switch it on")

    shop.platform.lake.before = dies  # type: ignore[attr-defined]
    with pytest.raises(StoreUnavailable):
        shop.turn(3)
    assert len(shop.offline()) == 1
    assert shop.turn(4).rows == 1
    assert shop.offline()[1:] == [(1, at(2), at(4), 5.0)]
    assert shop.online("1") == [("b", 1, 5.0)]


def test_raw_rows_that_change_nothing_are_looked_at_once(shop: Shop) -> None:
    """A raw version that brings the view nothing is written down as done all the same."""
    shop.land((1, 0, 1, 2.0, "a"))
    shop.turn(1)
    shop.land((None, 3, 4, 9.0, "z"))
    done = shop.turn(5)
    assert (done.rows, done.version) == (0, 1)
    assert shop.turn(6).version == 1
    assert len(shop.offline()) == 1


def test_other_features_need_another_version(shop: Shop) -> None:
    """A view that returns other columns than its table holds is told its next version's number."""
    shop.land((1, 0, 1, 2.0, "a"))
    shop.turn(1)
    shop.land((1, 2, 3, 2.0, "a"))
    changed = replace(spending, compute=lambda orders: spending.compute(orders).with_columns(more=nw.lit(1)))
    with pytest.raises(InvalidSpec, match="version=2"):
        shop.turn(3, changed)
    assert shop.turn(3, replace(changed, version=2)).rows == 2


def total(orders: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Sum over all orders of the customer, the later ones too."""
    return orders.select("customer", "ordered_at", spend=nw.col("amount").sum().over("customer"))


def next_order(orders: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Look at the following order."""
    return orders.select(
        "customer", "ordered_at", spend=nw.col("amount").shift(-1).over("customer", order_by="ordered_at")
    )


def first_half(orders: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Leave out a customer's newest order."""
    newest = nw.col("ordered_at").max().over("customer")
    return orders.filter(nw.col("ordered_at") < newest).select("customer", "ordered_at", spend="amount")


@pytest.mark.parametrize("function", [total, next_order, first_half])
def test_a_view_may_not_look_ahead(shop: Shop, function: Callable[[Any], Any]) -> None:
    """A feature that would be another without later rows could never be served; it is refused before it is kept."""
    shop.land(*((n % 2, n, n + 1, float(n), "a") for n in range(10)))
    with pytest.raises(ContractBroken, match=r"'spending' looks ahead.*of [01] at 2020-01-01"):
        shop.turn(20, replace(spending, compute=function))
    assert shop.platform.lake.version(view_table("shop", spending)) is None


def test_buckets_are_known_at_their_end(shop: Shop) -> None:
    """Sums of two hours, stamped with the end of the two, look back only; an order at an end is the next bucket's."""
    end = nw.col("ordered_at").dt.truncate("2h").dt.offset_by("2h")

    def by_two_hours(orders: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
        return orders.with_columns(ordered_at=end).group_by("customer", "ordered_at").agg(spend=nw.col("amount").sum())

    shop.land(*((1, n, n + 0.5, float(n), "a") for n in range(10)))
    shop.turn(20, replace(spending, compute=by_two_hours))
    assert [(event, spend) for _, event, _, spend in shop.offline()] == [(at(2 * n + 2), 4.0 * n + 1) for n in range(5)]
