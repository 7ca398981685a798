"""What is computed of touched entities only equals what is computed of everything, over generated histories."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import narwhals as nw
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow import compute

from loopline.platform_core.environment import Environment
from loopline.platform_core.features.compute.changes import last_of_each
from loopline.platform_core.features.materialization.materialize import backfill
from loopline.platform_core.foundation.names import BEGUN_AT, CREATED_AT, DATE, EVENT_TIME, raw_table, view_table
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import FeatureView, Model, Team
from loopline.platform_core.testing.engines.engine_tables import (
    ORDERS,
    at,
    large_order,
    put_contract,
    raw_orders,
    spending,
)
from loopline.platform_core.testing.fakes.lake import InMemoryLake
from loopline.platform_core.testing.fakes.online_store import InMemoryOnlineStore
from loopline.resources.polars.engine import PolarsEngine
from loopline.stories.shop import Shop
from tests.repeats import repeats

Order = tuple[int | None, float, float, float | None, str | None]
FIRST: list[Order] = [(1, 0, 1, 2.0, "a"), (2, 30, 31, 3.0, "b"), (3, 60, 61, 4.0, None)]


def last_two_days(orders: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Per customer and moment: spend and orders of two days, and the last article of the moment."""
    moments = orders.group_by("customer", "ordered_at").agg(
        nw.col("amount").sum(), orders=nw.len(), article=nw.col("article").max()
    )
    then, now = nw.col("then"), nw.col("ordered_at")
    past = moments.select("customer", "amount", "orders", then="ordered_at")
    sums = (
        moments.select("customer", "ordered_at")
        .join(past, on="customer")
        .filter(then <= now, then > now.dt.offset_by("-2d"))
        .group_by("customer", "ordered_at")
        .agg(nw.col("amount", "orders").sum())
    )
    return sums.join(moments.select("customer", "ordered_at", "article"), on=["customer", "ordered_at"]).select(
        "customer", "ordered_at", "article", "orders", spend="amount"
    )


recent = FeatureView("recent", ORDERS, "customer", "ordered_at", last_two_days, lookback_days=2)
far = replace(recent, name="far", lookback_days=None)
VIEWS = (replace(spending, ttl_days=None), recent, far)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Open a shop; its lake is given anew for each history."""
    folder = tmp_path_factory.mktemp("shop")
    put_contract(folder / "orders.yaml")
    bindings = {"lake": InMemoryLake(), "engine": PolarsEngine(), "online_store": InMemoryOnlineStore()}
    bound = Environment("t", folder / "e.yaml", bindings, f"sqlite:///{folder}/l.db", folder / "clock", folder)
    return Shop(Platform(bound), Team("shop", folder, (Model("large", VIEWS, large_order, fit=None),)))  # type: ignore[arg-type]


def emptied(home: Shop) -> Shop:
    """Give the shop a lake without tables."""
    home.platform.environment.bindings["lake"] = InMemoryLake()  # type: ignore[index]
    return home


def whole(shop: Shop, view: FeatureView) -> pa.Table:
    """Compute a view of all raw rows."""
    raw = shop.platform.lake.read(raw_table("shop", "orders"))
    return in_order(shop.platform.engine.compute_view(view, raw).drop_columns([CREATED_AT]))


def newest(shop: Shop, view: FeatureView) -> pa.Table:
    """Return the row that was created last of each customer and moment."""
    held = shop.platform.lake.read(view_table("shop", view))
    return in_order(
        last_of_each(held, ["customer", EVENT_TIME], by=CREATED_AT).drop_columns([CREATED_AT, BEGUN_AT, DATE])
    )


def in_order(rows: pa.Table) -> pa.Table:
    """Sort by key."""
    return rows.sort_by([("customer", "ascending"), (EVENT_TIME, "ascending")]).combine_chunks()


hours = st.integers(0, 24 * 8).map(float)
orders = st.tuples(
    st.sampled_from([1, 2, 3, 4, None]),
    hours,
    st.just(0.0),
    st.one_of(st.none(), st.integers(-5, 5).map(float)),
    st.sampled_from(["a", "b", None]),
)
histories = st.lists(st.lists(orders, max_size=6), min_size=1, max_size=4)
quick = settings(
    max_examples=repeats(8),
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.mark.parametrize("view", [VIEWS[0], recent, far], ids=lambda view: view.name)
@quick
@given(batches=histories)
def test_increments_equal_the_whole(home: Shop, view: FeatureView, batches: Sequence[Sequence[Order]]) -> None:
    """Late, repeated, corrected, null and tied rows, cut anywhere: the newest rows are those of one computation."""
    shop = emptied(home)
    land(shop, FIRST)
    shop.turn(200, view)
    for number, batch in enumerate(batches):
        land(shop, batch)
        done = shop.turn(201 + number, view, whole_below=0)
        assert done.incremental
        assert done.rows <= 4 * 24 * 8
        assert newest(shop, view).equals(whole(shop, view))


@pytest.mark.parametrize("view", [VIEWS[0], recent], ids=lambda view: view.name)
@quick
@given(batches=histories, day=st.integers(0, 7), days=st.integers(0, 3))
def test_a_backfill_equals_the_whole(
    home: Shop, view: FeatureView, batches: Sequence[Sequence[Order]], day: int, days: int
) -> None:
    """The rows of some days, computed again, are those of one computation; what is outside stays as it was."""
    shop = emptied(home)
    land(shop, FIRST)
    shop.turn(200, view)
    before = newest(shop, view)
    for batch in batches:
        land(shop, batch)
    first = date(2020, 1, 1) + timedelta(days=day)
    shop.clock(300)
    backfill(shop.platform, shop.team, view, first, first + timedelta(days=days))
    inside = (compute.field(EVENT_TIME) >= at(24 * day)) & (compute.field(EVENT_TIME) < at(24 * (day + days + 1)))
    assert newest(shop, view).filter(inside).equals(whole(shop, view).filter(inside))
    assert newest(shop, view).filter(~inside).equals(before.filter(~inside))


def land(shop: Shop, batch: Sequence[Order]) -> None:
    """Add raw rows that arrive when their event happens; none at all is a batch too."""
    rows = raw_orders(*[(who, hour, hour, amount, what) for who, hour, _, amount, what in batch or FIRST[:1]])  # type: ignore[arg-type]
    rows = rows if batch else rows.slice(0, 0)
    dated = rows.append_column(DATE, compute.cast(rows["ordered_at"], pa.date32()))
    shop.platform.lake.append(raw_table("shop", "orders"), dated)
