"""Training sets hold what was known, and the same rows can be had again bit for bit; on real vendors."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import pyarrow as pa
import pytest

from loopline.platform_core.errors import ContractBroken, InvalidSpec, NotFound
from loopline.platform_core.features.materialization.materialize import materialize
from loopline.platform_core.foundation.names import raw_table
from loopline.platform_core.loop.cycles import quarantines
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import Model, Team
from loopline.platform_core.testing.engines.engine_tables import at, large_order, put_contract, raw_orders, spending
from loopline.platform_core.training import training_set
from loopline.platform_core.training.fingerprints import row_hash, spec_hash
from loopline.resources.sqlite.online_store import SqliteOnlineStore
from tests.platform_core.homes import opened

LIMIT = 2


def size(orders: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Say per order how large it is, and whether that is beyond the limit."""
    return orders.select("customer", "ordered_at", size="amount", beyond=beyond(nw.col("amount")))


def beyond(amount: nw.Expr) -> nw.Expr:
    """Compare with the limit."""
    return amount > LIMIT


order = replace(spending, name="order", served="request", compute=size, ttl_days=None)
LARGE = Model("large", (spending, order), large_order, fit=lambda *_: None)  # type: ignore[arg-type,return-value]


@dataclass
class Shop:
    """A team whose raw rows land when the test says so."""

    platform: Platform
    team: Team

    def land(self, hour: float, *rows: tuple[int | None, float, float, float, str]) -> None:
        """Add raw rows of (customer, hour, arrival's hour, amount, article) and materialize at an hour."""
        self.platform.clock.set(at(hour))
        self.platform.lake.append(raw_table("shop", "orders"), raw_orders(*rows))
        for view in self.team.views:
            materialize(self.platform, self.team, view)

    def build(self, hour: float, model: Model = LARGE) -> training_set.TrainingSet:
        """Build a training set of what was known at an hour."""
        return training_set.build(self.platform, self.team, model, at(hour))

    def rows(self, pinned: training_set.TrainingSet, model: Model = LARGE) -> pa.Table:
        """Rebuild it."""
        return training_set.rows(self.platform, self.team, model, pinned)


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """Open a shop with a contract and no orders."""
    put_contract(tmp_path / "orders.yaml")
    store = SqliteOnlineStore(path=str(tmp_path / "online.db"))
    return Shop(opened(tmp_path, at(0), online_store=store), Team("shop", tmp_path, (LARGE,)))


def ordered_again(orders: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
    """Per order: whether its customer has ordered again within two days, known then."""
    times = nw.col("ordered_at")
    later = orders.with_columns(
        next=times.shift(-1).over("customer", order_by="ordered_at"), later=times.dt.offset_by("2d")
    )
    return later.with_columns(large=(nw.col("next") <= nw.col("later")).fill_null(value=False))


AGAIN = replace(large_order, name="again", compute=ordered_again, reach_days=2)


def test_labels_that_reach_further_than_they_say_are_not_learnt_from(shop: Shop) -> None:
    """Who says two days and looks two days is believed; who says one is told which label it is, and what to do."""
    shop.land(300, *((1 + n % 3, n * 12, n * 12 + 1, 1.0, "a") for n in range(24)))
    plain = shop.build(300, replace(LARGE, labels=replace(AGAIN, reach_days=None)))
    honest = shop.build(300, replace(LARGE, labels=AGAIN))
    assert honest == plain, "a reach changes no row, and no name"
    with pytest.raises(ContractBroken) as refused:
        shop.build(300, replace(LARGE, labels=replace(AGAIN, reach_days=1)))
    assert "labels 'again' reach further than 1 days: that of [" in refused.value.problem
    assert "is another when rows from 20" in refused.value.problem
    assert "raise reach_days" in refused.value.fix
    renamed = replace(AGAIN, time="day", compute=lambda rows: ordered_again(rows).rename({"ordered_at": "day"}))
    with pytest.raises(ContractBroken, match="raw rows have no time 'day'"):
        shop.build(300, replace(LARGE, labels=renamed))


def test_labels_that_look_back_further_than_they_say_are_not_learnt_from(shop: Shop) -> None:
    """Their reach counts to both sides."""

    def first(orders: nw.LazyFrame[Any]) -> nw.LazyFrame[Any]:
        earlier = nw.col("ordered_at").shift(1).over("customer", order_by="ordered_at")
        return orders.with_columns(large=earlier.is_null(), later=nw.col("ordered_at").dt.offset_by("2h"))

    shop.land(300, *((1 + n % 3, n * 12, n * 12 + 1, 1.0, "a") for n in range(24)))
    with pytest.raises(ContractBroken, match="is another when rows before 20"):
        shop.build(300, replace(LARGE, labels=replace(large_order, compute=first, reach_days=1)))


@pytest.mark.parametrize("days", [-1, float("nan"), float("inf"), 1e9])
def test_a_reach_is_a_number_of_days(days: float) -> None:
    """What is none is refused where it is declared."""
    with pytest.raises(InvalidSpec, match=r"reach_days .* is none of 0 to 36,525 days"):
        replace(large_order, reach_days=days)


def test_rows_hold_what_was_known(shop: Shop) -> None:
    """One row per known label, in order of time: keys, features as known at the event, label, segments."""
    shop.land(6, (1, 0, 1, 3.0, "a"), (1, 4, 5, 1.0, "b"), (2, 2, 3, 7.0, "c"))
    pinned = shop.build(6)
    table = shop.rows(pinned)
    features = {
        "orders": [None, None, 1],
        "spend": [None, None, 3.0],
        "size": [3.0, 7.0, 1.0],
        "beyond": [True, True, False],
    }
    assert table.drop_columns("event_time").to_pydict() == {
        "customer": [1, 2, 1],
        **_articles(features),
        "label": [1.0, 1.0, 0.0],
    }
    assert table["event_time"].to_pylist() == [at(0), at(2), at(4)]
    assert (pinned.rows, pinned.described) == (3, {"positives": 2})
    assert pinned.tables == {"shop/raw/orders": 0, "shop/features/spending.v1": 0, "shop/features/order.v1": 0}
    assert pinned.training_set_id.startswith("large-20200101T0600-")


def _articles(features: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """Put the feature in front that is a segment, too: it is the feature's value that stays."""
    return {"article": [None, None, "a"], **features}


def test_a_segment_of_its_own_follows_the_label(shop: Shop) -> None:
    """A segment that is no feature comes from the labels, as the last column."""
    shop.land(6, (1, 0, 1, 3.0, "a"), (1, 4, 5, 1.0, "b"))
    model = replace(LARGE, features=(order,))
    table = shop.rows(shop.build(6, model), model)
    assert table.column_names == ["customer", "event_time", "size", "beyond", "label", "article"]
    assert table["article"].to_pylist() == ["a", "b"]


def test_labels_count_once_known(shop: Shop) -> None:
    """A label is known two hours after its order here; until then its row is not learnt from."""
    shop.land(9, (1, 0, 1, 3.0, "a"), (2, 2, 3, 7.0, "c"))
    assert [shop.build(hour).rows for hour in (2, 3.9, 4, 9)] == [1, 1, 2, 2]


def test_raw_rows_count_once_arrived(shop: Shop) -> None:
    """What had not arrived by ``as_of`` makes no label, though it is in the pinned version."""
    shop.land(50, (1, 0, 1, 3.0, "a"), (2, 2, 40, 7.0, "c"))
    assert [shop.build(hour).rows for hour in (39, 40)] == [1, 2]


def test_the_same_rows_for_ever(shop: Shop) -> None:
    """New raw rows, corrections and features leave a pinned set as it is; what is built anew then differs."""
    shop.land(6, (1, 0, 1, 3.0, "a"), (1, 4, 5, 1.0, "b"), (2, 2, 3, 7.0, "c"))
    pinned = shop.build(6)
    before = shop.rows(pinned)
    assert shop.build(6) == pinned
    shop.land(7, (1, 0.5, 1, 50.0, "a"), (3, 1, 2, 7.0, "c"))
    assert shop.rows(training_set.from_json(json.loads(json.dumps(training_set.to_json(pinned))))).equals(before)
    again = shop.build(7)
    assert again.row_hash != pinned.row_hash
    assert again.training_set_id != pinned.training_set_id
    assert again.spec_hash == pinned.spec_hash


def leave_out(shop: Shop, since: float, until: float) -> quarantines.Quarantine:
    """Quarantine orders between two hours."""
    wanted = quarantines.named("shop", "orders", at(since), at(until), "ada", "prices in cents", at(6))
    return quarantines.quarantine(shop.platform.ledger, wanted)


def test_rows_of_a_window_known_as_bad_are_left_out(shop: Shop) -> None:
    """From its first instant to before its last; what was pinned before, and while it stood, is rebuilt as it was."""
    shop.land(6, (1, 0, 1, 3.0, "a"), (1, 4, 5, 1.0, "b"), (2, 2, 3, 7.0, "c"))
    before = shop.build(6)
    assert "left_out" not in training_set.to_json(before), "a set without is named as ever"
    found = leave_out(shop, 2, 4)
    pinned = shop.build(6)
    assert (before.rows, pinned.rows) == (3, 2)
    assert shop.rows(pinned)["event_time"].to_pylist() == [at(0), at(4)]
    assert pinned.left_out == (found.window,)
    assert pinned.training_set_id != before.training_set_id
    read_back = training_set.from_json(json.loads(json.dumps(training_set.to_json(pinned))))
    assert read_back == pinned
    quarantines.release(shop.platform.ledger, "shop", found.quarantine_id, "ada", "delivered again", at(7))
    assert shop.rows(read_back).num_rows == 2
    assert shop.rows(before).num_rows == 3
    assert shop.build(6) == before, "taken back, everything is as it was"


def test_a_quarantine_of_everything_is_said(shop: Shop) -> None:
    """Nothing is left to learn from, and the error names what is left out; one of another source changes nothing."""
    shop.land(6, (1, 0, 1, 3.0, "a"))
    quarantines.quarantine(
        shop.platform.ledger, quarantines.named("shop", "visits", at(0), at(6), "ada", "torn", at(6))
    )
    assert shop.build(6).left_out == ()
    leave_out(shop, 0, 6)
    with pytest.raises(NotFound, match=r"outside the quarantine of orders 2020-01-01 00:00 to 2020-01-01 06:00"):
        shop.build(6)


def test_rows_that_are_no_longer_the_same_are_refused(shop: Shop) -> None:
    """A changed label function gives other rows under the same pins; the error says that declarations changed."""
    shop.land(6, (1, 0, 1, 3.0, "a"), (1, 4, 5, 1.0, "b"))
    pinned = shop.build(6)
    inverse = replace(
        large_order,
        compute=lambda rows: large_order.compute(rows).with_columns(large=~nw.col("large")),
    )
    with pytest.raises(ContractBroken, match=r"2 rows hash to .*other ones now"):
        shop.rows(pinned, replace(LARGE, labels=inverse))
    with pytest.raises(ContractBroken, match="declarations are the same"):
        shop.rows(replace(pinned, row_hash="0" * 64))


def test_nothing_to_learn_from_is_said(shop: Shop) -> None:
    """No table, no known label, or a moment without zone: each has its own fix."""
    with pytest.raises(NotFound, match=r"shop/raw/orders.*land"):
        shop.build(6)
    shop.land(6, (1, 0, 1, 3.0, "a"))
    with pytest.raises(NotFound, match="no label of shop/large is known by 2020-01-01T01:00"):
        shop.build(1)
    with pytest.raises(ContractBroken, match="time zone"):
        training_set.build(shop.platform, shop.team, LARGE, at(6).replace(tzinfo=None))


def test_features_are_known_without_rows(shop: Shop) -> None:
    """Names and types of features come from running the views on an empty table of the contract's columns."""
    found = training_set.feature_fields(shop.platform, shop.team, LARGE)
    assert [(view.name, names, [str(kind) for kind in types]) for view, names, types in found] == [
        ("spending", ["article", "orders", "spend"], ["string", "int64", "double"]),
        ("order", ["size", "beyond"], ["double", "bool"]),
    ]


def test_features_of_one_name_clash(shop: Shop) -> None:
    """Two views of a model may not both have a feature ``spend``, nor may a feature be called as the labels' column."""
    twin = replace(spending, name="twin")
    with pytest.raises(InvalidSpec, match=r"'article' is a feature of view 'twin' and a column of view 'spending'"):
        training_set.feature_fields(shop.platform, shop.team, replace(LARGE, features=(spending, twin)))
    called = replace(order, compute=lambda rows: size(rows).rename({"size": "article"}))
    entity = replace(
        LARGE, features=(called,), labels=replace(large_order, entities=("customer", "article"), segments=())
    )
    with pytest.raises(InvalidSpec, match="'article' is a feature of view 'order' and a column of the labels"):
        training_set.feature_fields(shop.platform, shop.team, entity)


def test_a_view_that_gained_a_feature_is_not_trained_on(shop: Shop) -> None:
    """Offline rows that lack a feature of the view's present function are no training rows."""
    shop.land(6, (1, 0, 1, 3.0, "a"))
    wider = replace(order, compute=lambda rows: size(rows).with_columns(more=nw.lit(1)))
    with pytest.raises(InvalidSpec, match=r"\['more'\].*version=2"):
        shop.build(6, replace(LARGE, features=(spending, wider)))


TEXT = """
FACTOR = 3

def helper(value):
    return value * 2

def feature(rows):
    return rows.with_columns(x=helper(FACTOR))
"""


def test_the_hash_is_the_same_in_every_process() -> None:
    """Values are hashed: how memory is cut, and what lies under a null, does not matter; nor does the release."""
    table = pa.table(
        {
            "text": ["a", None, "ö", ""],
            "number": [1.5, None, float("nan"), -2.0],
            "whole": pa.array([1, None, 3, 4], pa.int64()),
            "truth": [True, None, False, True],
            "at": pa.array([at(0), None, at(1), at(2)], pa.timestamp("us", "UTC")),
        }
    )
    cut = pa.concat_tables([table.slice(0, 1), table.slice(1, 1), table.slice(2)])
    under_null = pa.array(np.array([1, 7, 3, 4]), mask=np.array([False, True, False, False]))
    known = "ce996be2d97a94dd1915a7d8904c910eaabd69c8865cdcb76da7f60b52766aa8"
    assert {row_hash(one) for one in (table, cut, table.set_column(2, "whole", under_null))} == {known}
    for name, value in (("text", "b"), ("number", 0.0), ("whole", 0), ("truth", False)):
        changed = table.set_column(
            table.column_names.index(name), name, pa.array([value, *table[name].to_pylist()[1:]], table[name].type)
        )
        assert row_hash(changed) != row_hash(table), name
    assert row_hash(table.rename_columns(["words", *table.column_names[1:]])) != row_hash(table)
    assert row_hash(pa.table({"a": ["ab", "c"]})) != row_hash(pa.table({"a": ["a", "bc"]}))


def test_the_spec_hash_sees_what_decides(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names, limits, functions, and constants and helpers which they name; not how the model is fitted."""
    hashes = {spec_hash(LARGE)}
    for other in (
        replace(LARGE, features=(spending,)),
        replace(LARGE, features=(replace(spending, ttl_days=2), order)),
        replace(LARGE, features=(replace(spending, version=2), order)),
        replace(LARGE, labels=replace(large_order, segments=())),
        replace(LARGE, features=(spending, replace(order, compute=lambda rows: size(rows.drop_nulls())))),
    ):
        hashes.add(spec_hash(other))
    assert len(hashes) == 6
    assert spec_hash(replace(LARGE, threshold=0.9, fit=lambda *_: 1)) == spec_hash(LARGE)  # type: ignore[arg-type,return-value]
    monkeypatch.syspath_prepend(str(tmp_path))
    texts = [
        TEXT,
        TEXT.replace("3", "4"),
        TEXT.replace("* 2", "* 5"),
        TEXT.replace("FACTOR)", "FACTOR + 1)"),
        TEXT + "\nOTHER = 1\n",
    ]
    found = []
    for number, text in enumerate(texts):
        (tmp_path / f"small_team_{number}.py").write_text(text)
        found.append(
            spec_hash(replace(LARGE, features=(replace(order, compute=__import__(f"small_team_{number}").feature),)))
        )
    assert len(set(found[:4])) == 4
    assert found[4] == found[0]
