"""What a view's rows rest on is found out before only a part of them is computed; on real vendors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import narwhals as nw
import pyarrow as pa
import pytest

from loopline.platform_core.contracts.online_store import Keep
from loopline.platform_core.errors import CommitConflict, ContractBroken, NotFound
from loopline.platform_core.features.materialization.materialize import backfill, materialize
from loopline.platform_core.features.materialization.upserts import LATE_DAYS
from loopline.platform_core.foundation.names import BEGUN_AT, raw_table, view_table
from loopline.platform_core.specs import FeatureView, Model, Team
from loopline.platform_core.testing.engines.engine_tables import ORDERS, at, large_order
from loopline.resources.polars.engine import PolarsEngine
from loopline.resources.sqlite.online_store import SqliteOnlineStore
from loopline.stories.shop import Shop

DAY = 24


class SlowStore(SqliteOnlineStore):
    """A store that takes half an hour of the platform's time to write, and notes for how long it is to keep."""

    kept: list[Keep | None] = []  # noqa: RUF012 - pydantic copies it
    spend: Callable[[], None] = lambda: None

    def write(self, view: str, entity: str, rows: pa.Table, keep: Keep | None = None) -> int:
        """Write, and let time pass."""
        self.kept.append(keep)
        self.spend()
        return super().write(view, entity, rows, keep)


class Watched(PolarsEngine):
    """An engine that notes each view and the raw rows that it got."""

    seen: list[tuple[str, pa.Table]] = []  # noqa: RUF012 - pydantic copies it

    def compute_view(self, view: FeatureView, raw: pa.Table) -> pa.Table:
        """Note, and compute."""
        self.seen.append((view.name, raw))
        return super().compute_view(view, raw)


def two_days(orders: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Per customer and moment: spend of two days."""
    moments = orders.group_by("customer", "ordered_at").agg(nw.col("amount").sum())
    then, now = nw.col("then"), nw.col("ordered_at")
    return (
        moments.select("customer", "ordered_at")
        .join(moments.rename({"ordered_at": "then"}), on="customer")
        .filter(then <= now, then > now.dt.offset_by("-2d"))
        .group_by("customer", "ordered_at")
        .agg(spend=nw.col("amount").sum())
    )


def everyone(orders: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Per customer and moment: what all customers have spent up to then."""
    moments = orders.group_by("customer", "ordered_at").agg(nw.col("amount").sum())
    return moments.select(
        "customer", "ordered_at", spend=nw.col("amount").cum_sum().over(order_by=["ordered_at", "customer"])
    )


recent = FeatureView("recent", ORDERS, "customer", "ordered_at", two_days, lookback_days=2)


@pytest.fixture
def shop(shop_of: Callable[..., Shop], tmp_path: Path) -> Shop:
    """Open a shop in which three customers have ordered every day."""
    store = SlowStore(path=str(tmp_path / "online.db"))
    opened = shop_of(recent, online_store=store)
    opened.land(*((1 + n % 3, n * 8, n * 8 + 1, n + 1.0, "a") for n in range(24)))
    store.spend = lambda: opened.platform.clock.set(opened.platform.clock.now() + timedelta(minutes=30))  # type: ignore[attr-defined]
    return opened


def test_only_touched_entities_are_computed(shop: Shop) -> None:
    """After the first run the engine gets the raw rows of touched customers, as far back as the view looks."""
    shop.turn(200, recent)
    shop.land((1, 192, 193, 5.0, "a"))
    engine = Watched()
    shop.platform.environment.bindings["engine"] = engine  # type: ignore[index]
    done = shop.turn(201, recent, whole_below=0)
    assert (done.rows, done.incremental) == (1, True)
    last = engine.seen[-1][1].select(["customer", "ordered_at"]).to_pylist()
    assert {tuple(row.values()) for row in last} == {(1, at(144)), (1, at(168)), (1, at(192))}


def test_a_view_is_run_on_no_rows_once(shop: Shop) -> None:
    """Registration asks for its features, and the materialization twice: of no rows it is computed once a process."""
    view, engine = replace(recent, name="once"), Watched()
    shop.platform.environment.bindings["engine"] = engine  # type: ignore[index]
    model = Model("large", (view,), large_order, fit=None)  # type: ignore[arg-type]
    team = Team("shop", shop.team.folder, (model,))
    materialize(shop.platform, team, view)
    materialize(shop.platform, replace(team), view)
    runs = [(name, len(raw)) for name, raw in engine.seen]
    assert runs.count(("once", 0)) == 1
    assert ("once", 24) in runs


def test_rows_that_rest_on_others_are_computed_whole(shop: Shop) -> None:
    """A view whose rows rest on other entities' raw rows is not computed from its entity's; its values are right."""
    view = replace(recent, name="other", compute=everyone, lookback_days=None)
    shop.turn(200, view)
    shop.land((1, 4, 201, 100.0, "a"))
    done = shop.turn(201, view, whole_below=0)
    raw = shop.platform.lake.read(raw_table("shop", "orders"))
    computed = {
        (r["customer"], r["event_time"]): r["spend"] for r in PolarsEngine().compute_view(view, raw).to_pylist()
    }
    assert not done.incremental
    assert done.rows > 1
    assert computed == {(who, event): spend for who, event, _, spend in shop.offline(view)}


def test_a_look_back_that_is_too_short_is_refused(shop: Shop) -> None:
    """A view that reaches further back than it says names feature, row and fix, and nothing is kept."""
    with pytest.raises(ContractBroken, match=r"further than 0.5 days: feature 'spend' of [123] at .* lookback_days"):
        shop.turn(200, replace(recent, lookback_days=0.5))
    assert shop.platform.lake.version(view_table("shop", recent)) is None


def test_few_rows_prove_little(shop: Shop) -> None:
    """Below the threshold all is computed and tried again; a table that has passed it is computed in part."""
    shop.turn(200, recent, whole_below=25)
    shop.land((1, 192, 193, 5.0, "a"))
    assert not shop.turn(201, recent, whole_below=25).incremental
    shop.land((2, 192, 193, 5.0, "a"))
    assert shop.turn(202, recent, whole_below=25).incremental


def test_a_view_that_changed_is_computed_whole_once(shop: Shop) -> None:
    """Another function, or another look back, is tried anew, on everything."""
    shop.turn(200, recent)
    doubled = replace(recent, compute=lambda orders: two_days(orders).with_columns(spend=nw.col("spend") * 2))
    for hour, view, rows in ((201, doubled, 25), (202, replace(doubled, lookback_days=3), 1)):
        shop.land((1, hour - 1, hour, 5.0, "a"))
        done = shop.turn(hour, view, whole_below=0)
        assert (done.incremental, done.rows) == (False, rows)
    shop.land((1, 203, 203, 5.0, "a"))
    assert shop.turn(204, replace(doubled, lookback_days=3), whole_below=0).incremental


def test_merged_files_are_no_news_and_deleted_ones_no_harm(shop: Shop) -> None:
    """Tidying between two runs brings nothing; where it let new files go, all is computed."""
    shop.turn(200, recent)
    raw, lake = raw_table("shop", "orders"), shop.platform.lake
    shop.land((1, 190, 193, 5.0, "a"))
    shop.turn(201, recent, whole_below=0)
    assert lake.tidy(raw, [], timedelta(days=1)).files_after == 1
    done = shop.turn(202, recent, whole_below=0)
    assert (done.rows, done.incremental) == (0, True)
    shop.land((2, 200, 201, 5.0, "a"))
    shop.land((3, 201, 201, 5.0, "a"))
    lake.tidy(raw, [], timedelta(0))
    done = shop.turn(203, recent, whole_below=0)
    assert (done.rows, done.incremental) == (2, False)
    assert shop.turn(204, recent).rows == 0


def test_rows_are_known_once_they_are_online(shop: Shop) -> None:
    """``created_at`` is after the online write, ``_begun_at`` before it; a first run believes arrivals."""
    shop.turn(200, recent)
    shop.land((1, 192, 193, 5.0, "a"))
    shop.turn(201, recent)
    rows = shop.platform.lake.read(view_table("shop", recent)).sort_by("created_at").to_pylist()
    assert (rows[0]["created_at"], rows[0][BEGUN_AT]) == (at(1), at(200))
    assert (rows[-1]["created_at"], rows[-1][BEGUN_AT]) == (at(201.5), at(201))


def test_the_store_is_told_how_long_to_keep(shop: Shop) -> None:
    """A view with a TTL is kept that long after its events and a while more, one without for ever."""
    store = shop.platform.online_store
    store.kept.clear()
    shop.turn(200, recent)
    shop.turn(500, replace(recent, name="short", ttl_days=1))
    assert store.kept == [None, Keep(1 + LATE_DAYS, at(500))]
    assert shop.online("1", view=replace(recent, name="short")) == [None]


def test_of_two_materializations_the_slower_is_refused(shop: Shop) -> None:
    """Who computed against what is no longer all writes nothing; online stands what the faster one knew."""
    shop.turn(200, recent)
    shop.land((1, 192, 193, 5.0, "a"))

    def faster() -> None:
        shop.land((1, 192, 194, 100.0, "a"))
        shop.turn(202, recent)

    shop.platform.lake.before = faster  # type: ignore[attr-defined]
    with pytest.raises(CommitConflict):
        shop.turn(201, recent)
    assert shop.turn(203, recent).rows == 0
    assert len(shop.offline(recent)) == 25
    assert shop.online("1", view=recent) == [(shop.offline(recent)[-1][3],)] == [(127.0,)]


def test_a_backfill_needs_a_table(shop: Shop) -> None:
    """A view that was never materialized has no days to compute again."""
    with pytest.raises(NotFound, match="materialize it first"):
        backfill(shop.platform, shop.team, recent, at(0).date(), at(48).date())


def test_a_table_from_before_gets_the_new_column(shop: Shop) -> None:
    """Rows that were kept without ``_begun_at`` read null there, and are compared as ever."""
    rows = PolarsEngine().compute_view(recent, shop.platform.lake.read(raw_table("shop", "orders")))
    dated = rows.append_column("_date", rows["event_time"].cast(pa.date32()))
    shop.platform.lake.append(view_table("shop", recent), dated, {"view:recent": 0})
    shop.land((1, 192, 193, 5.0, "a"))
    assert shop.turn(201, recent).rows == 1
    begun = shop.platform.lake.read(view_table("shop", recent))[BEGUN_AT]
    assert begun.null_count == len(begun) - 1 == 24
