"""Each landing is described once, and judged by those before it: what is odd is found, what is usual is not."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from loopline.platform_core.errors import NotFound
from loopline.platform_core.ingestion.landing import land
from loopline.platform_core.ingestion.quality.landing_profile import Landing, from_table, profile, to_table, with_blocks
from loopline.platform_core.ingestion.quality.quality import history, look
from loopline.platform_core.ingestion.quality.quality_bounds import ENOUGH, LAST, judge
from loopline.platform_core.specs.contracts.contract_file import Column, RowContract
from loopline.platform_core.testing.fakes.lake import InMemoryLake

COLUMNS = (
    Column("price", "price", "number"),
    Column("country", "country", "string"),
    Column("invoice", "invoice", "string"),
    Column("kept", "kept", "boolean"),
    Column("at", "at", "timestamp"),
)
CONTRACT = RowContract("orders", "1.0.0", COLUMNS, (), None)  # type: ignore[arg-type]
MONDAY = datetime(2020, 1, 6, tzinfo=UTC)


def rows(random: np.random.Generator, day: int, size: int = 400, **changes: Any) -> pa.Table:
    """Make a day's rows as they usually are, with some columns changed."""
    seconds = random.integers(0, 86_400, size)
    columns = {
        "price": random.lognormal(1, 1, size),
        "country": random.choice(["UK", "FR", "DE"], size, p=[0.9, 0.07, 0.03]),
        "invoice": [f"{day}-{n}" for n in range(size)],
        "kept": random.random(size) < 0.9,
        "at": pa.array([MONDAY + timedelta(days=day, seconds=int(s)) for s in seconds], pa.timestamp("us", "UTC")),
        **changes,
    }
    return pa.table({**columns, "_arrival": [str(day)] * size})


def landings(days: int, random: np.random.Generator | None = None) -> list[Landing]:
    """Describe the landings of so many quiet days, each on the morning after."""
    random = random or np.random.default_rng(0)
    sizes = random.integers(250, 550, days)
    return [described(day, rows(random, day, int(size))) for day, size in enumerate(sizes)]


def described(day: int, table: pa.Table) -> Landing:
    """Describe one landing on the morning after its day."""
    return profile(table, CONTRACT, day, MONDAY + timedelta(days=day + 1, hours=6))


def failed(before: list[Landing], table: pa.Table) -> set[tuple[str, str, str]]:
    """Return check, column and figure of what is odd about a landing."""
    last = described(len(before), table)
    return {(f.check, f.column, f.what) for f in judge([*before, last], last.landed_at) if not f.passed}


def test_a_landing_is_described_and_read_back() -> None:
    """Volume, nulls, figures of numbers, counts of categories, and the newest event that has happened."""
    at = [MONDAY, MONDAY + timedelta(days=400), None, MONDAY - timedelta(days=1)]
    table = pa.table(
        {
            "price": [1.0, None, 3.0, 8.0],
            "country": ["UK", "UK", None, "FR"],
            "invoice": ["x"] * 4,
            "kept": [True, False, None, True],
            "at": pa.array(at, pa.timestamp("us", "UTC")),
            "_arrival": ["a", "a", "b", "b"],
        }
    )
    found = described(0, table)
    assert (found.rows, found.arrivals, found.newest) == (4, 2, MONDAY)
    price = found.columns["price"]
    assert (price.nulls, price.minimum, price.middle, price.maximum, price.mean) == (1, 1, 3, 8, 4)
    assert found.columns["country"].categories == {"UK": 2, "FR": 1}
    assert found.columns["kept"].mean == pytest.approx(2 / 3)
    assert from_table(to_table(found)) == [found]
    many = described(1, rows(np.random.default_rng(0), 1))
    assert many.columns["invoice"].categories is None


def test_a_short_history_judges_nothing() -> None:
    """Whatever lands, nothing is said before there is enough to say it from."""
    few = landings(ENOUGH - 1)
    last = described(ENOUGH - 1, rows(np.random.default_rng(1), 0, 1, price=[1e9], country=["ZZ"]))
    assert judge([*few, last], last.landed_at + timedelta(days=90)) == []


ODD = {
    "pence for pounds": (
        {"price": np.full(400, 271.0)},
        {("ranges", "price", each) for each in ("lower quartile", "median", "upper quartile")},
    ),
    "one price out of this world": (
        {"price": np.append(np.random.default_rng(2).lognormal(1, 1, 399), 1e7)},
        {("ranges", "price", "maximum")},
    ),
    "prices are missing": ({"price": [None] * 60 + [2.7] * 340}, {("nulls", "price", "share of nulls")}),
    "a new country": (
        {"country": ["ES"] * 50 + ["UK"] * 350},
        {("categories", "country", "share of unseen values")},
    ),
    "yesterday's rows again": (
        {"at": pa.array([MONDAY] * 400, pa.timestamp("us", "UTC"))},
        {("freshness", "", "hours from the newest event to its landing")},
    ),
}


@pytest.mark.parametrize("name", ODD)
def test_what_is_odd_is_found(name: str) -> None:
    """Each is found by its own check, and by no other."""
    changes, expected = ODD[name]
    assert failed(landings(20), rows(np.random.default_rng(3), 20, **changes)) == expected


def test_a_volume_that_is_far_off_is_found() -> None:
    """A tenth and tenfold are found; half as much again is a busy day."""
    quiet, random = landings(20), np.random.default_rng(3)
    assert failed(quiet, rows(random, 20, 40)) == {("volume", "", "rows an arrival")}
    assert failed(quiet, rows(random, 20, 4000)) == {("volume", "", "rows an arrival")}
    assert failed(quiet, rows(random, 20, 600)) == set()


def test_an_even_history_does_not_make_small_changes_odd() -> None:
    """Where every day was alike, half as much again, a few nulls and a new country in one row are still no alarm."""
    random = np.random.default_rng(6)
    even = [described(day, rows(random, day)) for day in range(20)]
    busy = rows(random, 20, 700, price=[None] * 10 + [2.7] * 690, country=["ES"] + ["UK"] * 699)
    assert failed(even, busy) == set()


def test_an_uneven_history_widens_the_bounds() -> None:
    """Six times as much as the mean is within what such a source does, a hundred and twenty times is not."""
    sizes = [round(100 * 2**power) for _ in range(5) for power in (-2, -1, 0, 1, 2)]
    uneven = [described(day, rows(np.random.default_rng(day), day, size)) for day, size in enumerate(sizes)]
    random = np.random.default_rng(7)
    assert failed(uneven, rows(random, 25, 600)) == set()
    assert failed(uneven, rows(random, 25, 12_000)) == {("volume", "", "rows an arrival")}


def test_many_files_at_once_are_as_many_rows_each() -> None:
    """A landing of thirty files is no volume alarm."""
    random = np.random.default_rng(4)
    table = pa.concat_tables([rows(random, 20 + n) for n in range(30)])
    assert failed(landings(20), table) == set()


def test_quiet_days_raise_hardly_an_alarm() -> None:
    """In 300 quiet days, judged on every figure each day, at most one figure in a thousand is called odd."""
    quiet = landings(300, np.random.default_rng(5))
    found = [
        finding for day in range(1, 300) for finding in judge(quiet[max(0, day - LAST) : day + 1], quiet[day].landed_at)
    ]
    assert len(found) > 2000
    assert sum(not finding.passed for finding in found) <= len(found) / 1000


def chain_wide(random: np.random.Generator, week: int, price: float = 2.0, **changes: Any) -> pa.Table:
    """Make a week of shops that ask one price, and of which each sells about as much every week."""
    at = pa.array([MONDAY + timedelta(days=7 * week)] * 80, pa.timestamp("us", "UTC"))
    columns = {"price": [price] * 80, "cost": [1.4] * 80, "units": random.poisson(40, 80), "at": at}
    return pa.table({**columns, **changes, "_arrival": [str(week)] * 80})


CHAIN = RowContract(
    "weeks",
    "1.0.0",
    (
        *(Column(name, name, "number") for name in ("price", "cost", "units")),
        Column("at", "at", "timestamp"),
    ),
    (),
    None,  # type: ignore[arg-type]
)


def of_week(week: int, table: pa.Table) -> Landing:
    """Describe a week of the chain, when it is over."""
    return profile(table, CHAIN, week, MONDAY + timedelta(days=7 * week + 8))


def odd_of_week(before: list[Landing], table: pa.Table, week: int = 20) -> set[tuple[str, str]]:
    """Return check and column of what is odd about a week."""
    last = of_week(week, table)
    return {(f.check, f.column) for f in judge([*before, last], last.landed_at) if not f.passed}


@pytest.fixture
def weeks() -> list[Landing]:
    """Describe twenty weeks that were alike."""
    return [of_week(week, chain_wide(np.random.default_rng(week), week)) for week in range(20)]


def test_a_first_promotion_is_fine_and_cents_are_not(weeks: list[Landing]) -> None:
    """Where every shop always asked one price, half of it and twice the sales are a promotion."""
    random = np.random.default_rng(8)
    sold = random.poisson(80, 80)
    assert odd_of_week(weeks, chain_wide(random, 20, 1.0, units=sold)) == set()
    assert ("ranges", "price") in odd_of_week(weeks, chain_wide(random, 20, 200.0))


def test_swapped_columns_are_found(weeks: list[Landing]) -> None:
    """Price and cost are alike, and each looks like the other's past; a new price that is the old cost is no swap."""
    random = np.random.default_rng(8)
    turned = chain_wide(random, 20, 1.4, cost=[2.0] * 80)
    assert odd_of_week(weeks, turned) == {("ranges", "price, cost")}
    assert odd_of_week(weeks, chain_wide(random, 20, 1.4)) == set()


def test_a_first_file_with_a_history_says_what_is_usual() -> None:
    """It is cut into blocks, and the next weekly file is held against its weeks; read back they are there."""
    random = np.random.default_rng(9)
    table = pa.concat_tables([chain_wide(random, week) for week in range(20)])
    first = with_blocks(of_week(19, table), table, CHAIN)
    assert [len(first.blocks[days * 86_400]) for days in (7, 28)] == [19, 4]
    assert {block.rows for block in first.blocks[7 * 86_400]} == {80}
    assert from_table(to_table(first)) == [first]
    assert odd_of_week([first], chain_wide(random, 20)) == set()
    assert ("ranges", "price") in odd_of_week([first], chain_wide(random, 20, 200.0))
    assert ("volume", "") in odd_of_week([first], chain_wide(random, 20).slice(0, 53))


def test_a_trend_is_followed(weeks: list[Landing]) -> None:
    """Prices that rise by a tenth a week are expected to go on; cents are found all the same."""
    random = np.random.default_rng(10)
    rising = [of_week(week, chain_wide(random, week, 2.0 * 1.1**week)) for week in range(20)]
    assert odd_of_week(rising, chain_wide(random, 20, 2.0 * 1.1**20)) == set()
    assert ("ranges", "price") in odd_of_week(rising, chain_wide(random, 20, 200.0 * 1.1**20))


def test_what_is_no_number_is_left_out(weeks: list[Landing]) -> None:
    """Infinities and NaN have no place on a scale; a column of them alone has no figures."""
    odd = chain_wide(np.random.default_rng(8), 20, units=[float("inf"), float("nan")] + [40.0] * 78)
    assert odd_of_week(weeks, odd) == set()
    none = of_week(20, chain_wide(np.random.default_rng(8), 20, units=[float("nan")] * 80))
    assert none.columns["units"].middle is None


def test_what_was_let_go_is_fine_again_and_widens_nothing_else(weeks: list[Landing]) -> None:
    """A week with another currency was let go: so may the next be, and a thousandth is as odd as it was."""
    random = np.random.default_rng(8)
    weeks[-1] = replace(of_week(19, chain_wide(random, 19, 200.0)), let_go=True)
    assert odd_of_week(weeks, chain_wide(random, 20, 200.0)) == set()
    assert ("ranges", "price") in odd_of_week(weeks, chain_wide(random, 20, 0.02))


def deliver(shop: Any, day: int, *lines: str) -> None:
    """Let a file arrive, and land it the next morning."""
    shop.platform.clock.set(MONDAY + timedelta(days=day + 1))
    shop.deliver(f"day {day}", *lines, hours=24 * day)
    land(*shop.args)


def test_each_landing_is_described_once(shop: Any) -> None:
    """Looking again finds the same landing; a look that was left out makes one landing of two."""
    assert look(*shop.args).landing is None
    deliver(shop, 0, "7,2,2020-01-06T10:00:00Z", "7,3,")
    first = look(*shop.args).landing
    assert (first.rows, first.arrivals, first.newest) == (2, 1, MONDAY + timedelta(hours=10))
    assert look(*shop.args).landing == first
    deliver(shop, 1, "7,4,")
    deliver(shop, 2, "8,5,", "8,6,", "9,7,")
    second = look(*shop.args).landing
    assert (second.rows, second.arrivals, second.columns["price"].middle) == (4, 2, 6)
    assert history(*shop.args, 10) == [first, second]
    deliver(shop, 3, "8,0,")
    assert look(*shop.args).landing == second, "dead letters alone are no landing of rows"
    deliver(shop, 4, "8,9,")
    third = look(*shop.args).landing
    assert third.rows == 1


def test_what_is_not_known_any_more_is_not_described(shop: Any) -> None:
    """Rather than everything at once, nothing is: the next landing is looked at as usual."""
    deliver(shop, 0, "7,2,")
    first = look(*shop.args).landing
    deliver(shop, 1, "7,3,", "7,4,")
    read = InMemoryLake.read

    def tidied(lake: InMemoryLake, table: str, *, newer_than: int | None = None, **how: Any) -> pa.Table:
        if newer_than is not None:
            raise NotFound("tidied", "read it whole")
        return read(lake, table, **how)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(InMemoryLake, "read", tidied)
        assert look(*shop.args).landing == first
    deliver(shop, 2, "7,5,")
    assert [landing.rows for landing in history(*shop.args, 5)] == [1]
    last = look(*shop.args).landing
    assert last.rows == 1


def test_the_history_says_when_the_source_has_gone_quiet(shop: Any) -> None:
    """With nothing new the last landing is judged again, and its newest event has grown old."""
    for day in range(ENOUGH + 2):
        deliver(shop, day, f"7,2,{(MONDAY + timedelta(days=day)).isoformat()}")
        found = look(*shop.args).findings
    assert {f.check for f in found} == {"volume", "nulls", "ranges", "freshness"}
    assert all(f.passed for f in found)
    shop.platform.clock.set(shop.platform.clock.now() + timedelta(days=4))
    [old] = [f for f in look(*shop.args).findings if not f.passed]
    assert (old.check, old.history) == ("freshness", ENOUGH + 1)
    assert str(old).startswith("hours since the newest event 120, usually -∞ to 96")
