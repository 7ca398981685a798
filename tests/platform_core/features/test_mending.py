"""A view that fails while it is read: people are told, and a mended function takes its place if it means the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import narwhals as nw
import pytest

from loopline.platform_core.alarms.active_alarms import standing
from loopline.platform_core.errors import ContractBroken, Refused
from loopline.platform_core.features.registry.declaration import ref_of
from loopline.platform_core.features.registry.registry import FeatureRegistry
from loopline.platform_core.specs import FeatureView, Model, Team
from loopline.platform_core.testing.engines.engine_tables import ORDERS, large_order
from loopline.platform_core.testing.fakes.lake import InMemoryLake
from loopline.platform_core.testing.fakes.online_store import InMemoryOnlineStore
from loopline.stories.shop import Shop


def newest(orders: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Per customer and moment: the amount; it takes for granted that there is one."""
    return orders.select("customer", "ordered_at", spend="amount")


def of_each(orders: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Per customer and moment: the largest amount."""
    return orders.group_by("customer", "ordered_at").agg(spend=nw.col("amount").max())


def doubled(orders: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Per customer and moment: something else."""
    return orders.group_by("customer", "ordered_at").agg(spend=nw.col("amount").max() * 2)


view = FeatureView("newest", ORDERS, "customer", "ordered_at", newest)


def declaring(shop: Shop, one: FeatureView) -> Shop:
    """Let the team declare a view as a new process would find it."""
    models = (Model("large", (one,), large_order, fit=None),)  # type: ignore[arg-type]
    return Shop(shop.platform, Team("shop", shop.team.folder, models))


@pytest.fixture
def shop(shop_of: Callable[..., Shop]) -> Shop:
    """Open a shop whose view an application reads, and which fails by rows that came twice."""
    opened = shop_of(view, lake=InMemoryLake(), online_store=InMemoryOnlineStore())
    opened.land((1, 0, 1, 2.0, "a"), (2, 1, 1, 3.0, "b"))
    opened.turn(2, view)
    FeatureRegistry(opened.platform).announce("checkout", [ref_of(opened.team, view)], "ada")
    opened.land((1, 5, 5, 2.0, "a"), (1, 5, 5, 4.0, "a"))
    with pytest.raises(ContractBroken, match="share their"):
        opened.turn(6, view)
    return opened


def test_a_failing_view_is_told_with_its_fix(shop: Shop) -> None:
    """One alarm, which names who reads it and what to do; failing again adds nothing."""
    with pytest.raises(ContractBroken):
        shop.turn(7, view)
    (told,) = standing(shop.platform.ledger)
    assert told.alarm.cause == "view:shop/newest@1"
    assert "application checkout" in told.alarm.problem
    assert "group by 'customer' and 'ordered_at'" in told.alarm.fix
    assert len(shop.platform.ledger.entries(kinds=["feature_view.failed"])) == 1


def test_a_mended_function_takes_its_place(shop: Shop) -> None:
    """It gives what was given, so it is the same version; what it could not give comes, and the alarm is over."""
    mended = replace(view, compute=of_each)
    after = declaring(shop, mended)
    assert FeatureRegistry(shop.platform).objections(after.team) == ()
    done = after.turn(8, mended)
    assert (done.rows, after.online("1", "2", view=mended)) == (1, [(4.0,), (3.0,)])
    assert standing(shop.platform.ledger) == []
    (changed,) = shop.platform.ledger.entries(kinds=["feature_view.changed"])
    assert "gives the rows that it gave" in changed.reason


def test_another_meaning_is_refused_as_ever(shop: Shop) -> None:
    """Other values for what was materialized, or a change of a view that does not fail."""
    other = replace(view, compute=doubled)
    with pytest.raises(Refused, match="would mean something else"):
        declaring(shop, other).turn(8, other)
    mended = replace(view, compute=of_each)
    declaring(shop, mended).turn(8, mended)
    shop.land((2, 9, 9, 1.0, "b"))
    with pytest.raises(Refused, match="would mean something else"):
        declaring(shop, view).turn(9, view)
