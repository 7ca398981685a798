"""Twenty histories of data that changes its mind: raw, features, online and training sets say what anyone would."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopline.platform_core.features.materialization.audit import audit
from loopline.platform_core.features.materialization.materialize import materialize
from loopline.platform_core.features.registry import watermarks
from loopline.platform_core.testing.engines.engine_tables import at
from loopline.resources.delta.lake import DeltaLake
from loopline.resources.duckdb.engine import DuckdbEngine
from loopline.resources.pyspark.engine import PysparkEngine
from loopline.resources.sqlite.online_store import SqliteOnlineStore
from loopline.stories.changing_histories import HISTORIES, History, customers, together
from loopline.stories.changing_shop import VIEWS, ChangingShop, Order, Step, Truth, came, put_back, spending, taken_back
from tests.platform_core.corrections.conftest import Opened
from tests.repeats import draws

PINNED = (10.0, 30.0, 40.0)
"""Hours of training sets where an engine takes seconds for each."""


def tell(
    shop: ChangingShop, history: History, whole_below: int = 10_000, pinned_at: Sequence[float] | None = None
) -> None:
    """Let a history happen, and hold the shop against the truth after each of its hours (sets: of some, or all)."""
    names = customers(history)
    for hour, steps in history:
        shop.at(hour, *steps, whole_below=whole_below)
        for view in VIEWS:
            wanted = shop.truth.newest(view.name, hour)
            assert {name: row and row[0] for name, row in shop.online(view, names).items()} == {
                name: wanted.get(name) for name in names
            }, f"{view.name} at {hour}"
        if pinned_at is not None and hour not in pinned_at:
            continue
        made = shop.pin()
        found = set() if made is None else examples(shop.rows(made))
        assert found == shop.truth.examples(hour), f"training set at {hour}"
        made = shop.pin("without_corrected") if pinned_at is None else None
        found = set() if made is None else examples(shop.rows(made))
        wanted = right(shop.truth, hour) if pinned_at is None else set()
        same = found <= wanted if shop.streams else found == wanted  # some before a deletion are left out, though right
        assert same, f"training set without corrected at {hour}"
    for made, rows in shop.pins:
        assert shop.rows(made).equals(rows)


def right(truth: Truth, now: float) -> set[tuple[int, float, float | None, float | None, float]]:
    """Return the examples whose features rested on no order that holds otherwise now, where that changes them."""
    return {
        each
        for each in truth.examples(now)
        if not any(was_wrong(truth, view.name, each[0], each[1], now) for view in VIEWS)
    }


def was_wrong(truth: Truth, view: str, customer: int, event: float, now: float) -> bool:
    """Say whether a view's row of a moment differs from now's as orders were wrong, or taken back and are not."""
    then = max((hour for hour in truth.hours if hour <= event), default=-1.0)
    known, held = truth.holds("orders", then), truth.holds("orders", now)
    place = max((at for who, at in truth.rows(view, then) if who == customer and at <= event), default=event)
    under = (n for n, one in known.items() if one.customer == customer and one.hour <= place)
    if view == "basket":
        under = (n for n in under if known[n].hour == place)
    wrong = any(held.get(n) != known[n] for n in under)
    before = {n for hour in truth.hours if hour <= then for n in truth.holds("orders", hour)}
    back = [held[n] for n in before - known.keys() if n in held and not truth.again_is_new]
    wrong |= any(one.customer == customer and one.hour <= event for one in back)
    return wrong and truth.known(view, customer, event) != truth.newest(view, now, event).get(customer)


def as_records(history: History) -> History:
    """Send what a file's withdrawal would do: each of its rows as it was before, or its deletion."""
    truth, told = Truth(), []
    for hour, steps in history:
        sent = []
        for step in steps:
            before = truth.holds(step.source, hour)
            truth.note(hour, step)
            after = truth.holds(step.source, hour)
            if step.what in ("came", "mend"):
                sent.append(step)
                continue
            changed = [n for n in {**before, **after} if before.get(n) != after.get(n)]
            rows = [after.get(number, Order(number, gone=True)) for number in changed]
            sent.append(came(f"{step.name} again {hour}", *rows, source=step.source))
        told.append((hour, tuple(sent)))
    return tuple(told)


def examples(rows: Any) -> set[tuple[Any, ...]]:
    """Return training rows as the truth tells them."""
    begin = at(0)
    return {
        (r["customer"], (r["event_time"] - begin).total_seconds() / 3600, r["spend"], r["bought"], r["label"])
        for r in rows.to_pylist()
    }


@pytest.mark.parametrize("name", HISTORIES)
def test_a_history_on_polars(opened: Any, name: str) -> None:
    """Computed whole at each hour."""
    tell(opened(), HISTORIES[name])


@pytest.mark.parametrize("name", HISTORIES)
def test_a_history_by_increments(opened: Any, name: str) -> None:
    """Computed of touched entities only, as far as the trial lets."""
    tell(opened(), HISTORIES[name], whole_below=0)


@pytest.mark.parametrize("name", HISTORIES)
def test_a_history_on_a_stream(opened: Any, name: str) -> None:
    """Records come one by one; of one key the later one holds, and ``_deleted`` ends it, or a record without value."""
    tell(opened(streams=True), as_records(HISTORIES[name]), whole_below=0)


def test_all_histories_on_duckdb(opened: Any) -> None:
    """Told at once."""
    shop = opened(engine=DuckdbEngine())
    tell(shop, together(list(HISTORIES.values())))


@pytest.mark.parametrize("names", [sorted(HISTORIES)[::5], sorted(HISTORIES)], ids=["some", "all"])
def test_histories_on_pyspark(opened: Any, pyspark: PysparkEngine, names: list[str]) -> None:
    """Told at once, by increments; training sets are pinned before, between and behind the corrections.

    All of them cost Spark's overhead some thousand times, so that they are told where Spark is tested.
    """
    shop = opened(engine=pyspark)
    tell(shop, together([HISTORIES[name] for name in names]), whole_below=0, pinned_at=PINNED)


def test_all_histories_on_real_vendors(opened: Any, tmp_path: Path) -> None:
    """Told at once, on Delta and SQLite, by increments as far as the trial lets."""
    vendors = {
        "lake": DeltaLake(root=str(tmp_path / "lake")),
        "online_store": SqliteOnlineStore(path=f"{tmp_path}/o.db"),
    }
    tell(opened(**vendors), together(list(HISTORIES.values())), whole_below=0)


def test_an_audit_finds_nothing_wrong(opened: Any) -> None:
    """What was corrected, deleted and taken back is, in each of the four ways to a row, what it should be."""
    shop = opened()
    tell(shop, together([HISTORIES[name] for name in sorted(HISTORIES)[::4]]), whole_below=0, pinned_at=())
    for view in VIEWS:
        found = audit(shop.platform, shop.team, view)
        assert found.problem == ""


numbers, customers_of, hours = st.integers(1, 4), st.integers(1, 2), st.integers(0, 30).map(float)
orders = st.builds(Order, numbers, customers_of, hours, st.integers(0, 5).map(float), st.booleans())
files = st.lists(orders, min_size=1, max_size=4, unique_by=lambda order: order.number)
drawn_turns = st.lists(
    st.tuples(st.sampled_from(["orders", "outcomes"]), files, st.integers(-3, 9)), min_size=1, max_size=5
)


def history_of(drawn: Sequence[tuple[str, list[Order], int]]) -> History:
    """Let a file come at each hour; a number below zero takes an earlier file of its source back, or puts it back."""
    told: list[tuple[float, tuple[Step, ...]]] = [(33, (came("first", Order(9, 1, 1, 1)),))]
    names: dict[str, list[str]] = {"orders": ["first"], "outcomes": []}
    back: set[str] = set()
    for place, (source, rows, chosen) in enumerate(drawn):
        of_source, hour = names[source], 35.0 + 10 * place
        if chosen < 0 and of_source:
            name = of_source[chosen % len(of_source)]
            told.append((hour, ((put_back if name in back else taken_back)(name, source),)))
            back ^= {name}
            continue
        name = f"{source}{place}"
        of_source.append(name)
        kept = tuple(o._replace(amount=min(o.amount, 1.0)) if source == "outcomes" else o for o in rows)
        told.append((hour, (came(name, *kept, source=source),)))
    return tuple(told)


@draws(5)
@given(drawn=drawn_turns)
def test_whatever_happens_the_shop_says_what_anyone_would(opened: Any, drawn: Any) -> None:
    """Corrections, moves, deletions, late rows, withdrawals, in any order: increments, online and training sets."""
    tell(opened(), history_of(drawn), whole_below=0)


@draws(5)
@given(drawn=drawn_turns, clocks=st.lists(st.integers(-25, 25), min_size=6, max_size=6), streams=st.booleans())
def test_a_clock_that_goes_back_serves_what_came_last(
    opened: Any, drawn: Any, clocks: list[int], streams: bool
) -> None:
    """Whichever clock, ahead or behind, each step had: online is what all of them say in their order."""
    shop, history = opened(streams=streams), history_of(drawn)
    for (hour, steps), ahead in zip(as_records(history) if streams else history, clocks, strict=False):
        shop.at(hour + 30 + ahead, *steps, whole_below=0)
        for view in VIEWS:
            wanted, names = shop.truth.newest(view.name, math.inf), customers(history)
            assert {name: row and row[0] for name, row in shop.online(view, names).items()} == {
                name: wanted.get(name) for name in names
            }


def test_a_first_materialization_claims_nothing_before_a_correction(opened: Any) -> None:
    """What rests on a row that was corrected, taken back or put back is known from then on; the rest as it arrived."""
    shop = opened()
    shop.bring(10, came("f1", Order(1, 1, 2, 100), Order(2, 1, 1, 10), Order(3, 2, 4, 7)), came("g", Order(4, 3, 5, 1)))
    shop.bring(20, came("f2", Order(1, 1, 2, 1)))
    shop.bring(22, taken_back("g"))
    shop.bring(24, put_back("g"))
    shop.at(40)
    rows = shop.platform.lake.read("shop/features/spending.v1").to_pylist()
    known = {(row["customer"], row["event_time"], row["spend"]): row["created_at"] for row in rows}
    assert known == {
        (1, at(1), 10.0): at(10),
        (1, at(2), 11.0): at(20),
        (2, at(4), 7.0): at(10),
        (3, at(5), 1.0): at(24),
    }


def test_rows_that_change_again_and_again_are_computed_whole_ever_more_seldom(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten orders of which one changes each hour: whole when twice as many rows landed as at the last trial."""
    monkeypatch.setattr(watermarks, "WHOLE_BELOW", 1)
    shop = opened()
    shop.bring(10, came("a", *(Order(n, n, 10, 1.0) for n in range(10))))
    whole = []
    for hour in range(10, 60):
        shop.bring(hour, came(f"{hour}", Order(hour % 10, hour % 10, 10, float(hour))))
        if not materialize(shop.platform, shop.team, spending, 5).incremental:
            whole.append(hour)
    assert len(whole) <= 4, whole
    assert audit(shop.platform, shop.team, spending).problem == ""
