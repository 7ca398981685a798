"""How often the checks of a landing doubt a right one, and whether they find wrong ones at their first landing.

    python -m benchmarks.landings [seeds]

Four sets: a weekly panel of shops with chain-wide promotions and a season, a census-like set of a year each, and the
demo's two years of orders and of sales, a day each. Each landing is judged by those before it, doubted ones left out.
Panel and census also begin with one file of a history.
"""

from __future__ import annotations

import io
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from pyarrow import compute, csv

from loopline.platform_core.foundation.names import ARRIVAL
from loopline.platform_core.ingestion.quality.landing_profile import Landing, profile, with_blocks
from loopline.platform_core.ingestion.quality.quality_bounds import ENOUGH, judge
from loopline.platform_core.specs.contracts.contract_file import Column, RowContract

DAY, HOURS = timedelta(days=1), timedelta(hours=6)
Random = np.random.Generator
Dated = tuple[datetime, pa.Table]
"""When a table landed, and the table."""
Change = Callable[[pa.Table, Random], pa.Table]


def contract(columns: Mapping[str, str]) -> RowContract:
    """Make a contract of columns and their types."""
    named = tuple(Column(name, name, kind) for name, kind in columns.items())  # type: ignore[arg-type]
    return RowContract("landings", "1.0.0", named, (), None)  # type: ignore[arg-type]


PANEL = contract(
    {"shop": "string", "region": "string", "article": "string", "price": "number", "cost": "number",
     "units": "integer", "promoted": "boolean", "footfall": "number", "at": "timestamp"},
)  # fmt: skip
CENSUS = contract(
    {"age": "integer", "hours": "number", "schooling": "integer", "income": "number", "married": "boolean",
     "region": "string", "occupation": "string", "at": "timestamp"},
)  # fmt: skip
ORDERS = contract(
    {"invoice": "string", "stock_code": "string", "description": "string", "quantity": "integer",
     "at": "timestamp", "price": "number", "customer_id": "integer", "country": "string"},
)  # fmt: skip
SALES = contract({"series": "string", "at": "timestamp", "group": "string", "country": "string", "pieces": "integer"})


def panel(random: Random, weeks: int = 104, shops: int = 80, articles: int = 10) -> Iterator[Dated]:
    """Yield a table a week: a row a shop and article; promotions hold in the whole chain, December sells double."""
    base = random.lognormal(1.0, 0.8, articles)
    margin, size = random.uniform(0.5, 0.8, articles), random.lognormal(0, 0.4, shops)
    shop, article = np.repeat(np.arange(shops), articles), np.tile(np.arange(articles), shops)
    for week in range(weeks):
        at = datetime(2020, 1, 6, tzinfo=UTC) + 7 * week * DAY
        chosen = random.random(articles) < (random.uniform(0.4, 1.0) if random.random() < 0.15 else 0.0)
        price = base * np.where(chosen, random.uniform(0.6, 0.85), 1.0) * 1.03 ** (week / 52)
        season = 1 + 0.3 * np.sin(week / 52 * 2 * np.pi) + (at.month == 12)
        lift = np.where(chosen, random.uniform(1.3, 2.5), 1.0)[article]
        rows = {
            "shop": np.char.add("s", shop.astype(str)), "region": np.array(list("NESW"))[shop % 4],
            "article": np.char.add("a", article.astype(str)), "price": np.round(price, 2)[article],
            "cost": (base * margin)[article],
            "units": random.poisson(20 * size[shop] * season * lift * random.lognormal(0, 0.05)),
            "promoted": chosen[article], "footfall": random.normal(1000, 60, shops)[shop] * size[shop] * season,
        }  # fmt: skip
        opened = random.random(shops)[shop] > 0.02
        yield at + 7 * DAY + HOURS, table({name: values[opened] for name, values in rows.items()}, at)


def census(random: Random, years: int = 24, people: int = 4000) -> Iterator[Dated]:
    """Yield a table a year of people, who grow older and richer; now and then there is a bad year."""
    for year in range(years):
        at, bad = datetime(1998 + year, 7, 1, tzinfo=UTC), random.random() < 0.15
        count = int(people * random.normal(1 + 0.01 * year, 0.03))
        works = random.random(count) < (0.62 if bad else 0.7)
        rows = {
            "age": np.clip(random.normal(40 + 0.15 * year, 15, count), 16, 95).astype(int),
            "hours": np.where(works, np.clip(random.normal(39, 9, count), 1, 99), 0.0),
            "schooling": np.clip(random.normal(13 + 0.03 * year, 3, count), 0, 24).astype(int),
            "income": np.where(works, random.lognormal(10.3 + 0.03 * year - 0.1 * bad, 0.8, count), 0.0),
            "married": random.random(count) < 0.5 - 0.004 * year,
            "region": np.char.add("r", random.integers(0, 9, count).astype(str)),
            "occupation": np.char.add("o", random.integers(0, 30, count).astype(str)),
        }  # fmt: skip
        yield at + 200 * DAY, table(rows, at)


def table(columns: Mapping[str, Any], at: datetime) -> pa.Table:
    """Make a table of one arrival, whose rows are of one time."""
    size = len(next(iter(columns.values())))
    instants = pa.repeat(pa.scalar(at, pa.timestamp("us", "UTC")), size)
    return pa.table({**{name: pa.array(of) for name, of in columns.items()}, "at": instants, ARRIVAL: ["a"] * size})


@lru_cache(maxsize=1)
def orders() -> tuple[Dated, ...]:
    """Return a table a day of the demo's orders: the rows that their contract accepts."""
    import retail

    from loopline.demo.days import days

    log = Path(retail.__file__).with_name("data") / "online_retail.csv.xz"
    found = [(day.date, _read(day.content, ORDERS, "%m/%d/%Y %H:%M")) for day in days(log)]
    kept = [
        (at, rows.filter((pa.compute.field("price") > 0) & ~pa.compute.field("customer_id").is_null()))
        for at, rows in found
    ]
    return tuple((_morning(at), rows) for at, rows in kept if len(rows))


@lru_cache(maxsize=1)
def sales() -> tuple[Dated, ...]:
    """Return a table a day of the demo's sales: a row a series, whatever was sold."""
    from demand.sales import days

    return tuple((_morning(day.date), _read(day.content, SALES, "%Y-%m-%d %H:%M")) for day in days()[:300])


def _morning(day: Any) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + DAY + HOURS


def _read(content: bytes, own: RowContract, form: str) -> pa.Table:
    names = [column.name for column in own.columns]
    texts = {column.name: pa.string() for column in own.columns if column.type in {"string", "timestamp"}}
    options = csv.ReadOptions(column_names=names, skip_rows=1)
    rows = csv.read_csv(io.BytesIO(content), options, convert_options=csv.ConvertOptions(column_types=texts))
    at = compute.strptime(rows["at"], form, "us").cast(pa.timestamp("us", "UTC"))
    return rows.set_column(names.index("at"), "at", at).append_column(ARRIVAL, pa.array(["a"] * len(rows)))


def times(column: str, factor: float) -> Change:
    """Return what multiplies a column."""

    def change(rows: pa.Table, _: Random) -> pa.Table:
        return rows.set_column(rows.column_names.index(column), column, compute.multiply(rows[column], factor))

    return change


def swapped(one: str, other: str) -> Change:
    """Return what swaps two columns; what is no whole number is a dead letter where the contract wants one."""

    def change(rows: pa.Table, _: Random) -> pa.Table:
        turned = rows.rename_columns([{one: other, other: one}.get(name, name) for name in rows.column_names])
        for name in (one, other):
            if pa.types.is_integer(rows[name].type) and pa.types.is_floating(turned[name].type):
                turned = turned.filter(compute.equal(compute.floor(turned[name]), turned[name]))
        return turned

    return change


def without_values(column: str) -> Change:
    """Return what leaves out a third of a column's values."""

    def change(rows: pa.Table, random: Random) -> pa.Table:
        kept = pa.array(random.random(len(rows)) > 1 / 3)
        return rows.set_column(rows.column_names.index(column), column, compute.if_else(kept, rows[column], None))

    return change


def thinned(rows: pa.Table, random: Random) -> pa.Table:
    """Leave out a third of the rows, wherever they are."""
    return rows.filter(pa.array(random.permutation(len(rows)) >= len(rows) // 3))


CENTS, HUNDRED, SWAPPED, THIRD, VALUES = (
    "cents",
    "times 100",
    "two columns swapped",
    "a third of rows",
    "a third of values",
)


@dataclass(frozen=True)
class Set:
    """Right landings, their contract, and how each would be wrong."""

    landings: Callable[[int], Sequence[Dated]]
    contract: RowContract
    wrong: Mapping[str, Change]
    histories: tuple[int, ...] = (0,)
    seeded: bool = True


SETS = {
    "panel": Set(
        lambda seed: list(panel(np.random.default_rng(seed))), PANEL,
        {CENTS: times("price", 100.0), HUNDRED: times("units", 100), SWAPPED: swapped("price", "cost"), THIRD: thinned,
         VALUES: without_values("cost")}, (0, 52),
    ),
    "small panel": Set(
        lambda seed: list(panel(np.random.default_rng(seed), articles=1)), PANEL,
        {CENTS: times("price", 100.0), HUNDRED: times("footfall", 100.0), SWAPPED: swapped("price", "cost"),
         THIRD: thinned, VALUES: without_values("cost")}, (0, 52),
    ),
    "census": Set(
        lambda seed: list(census(np.random.default_rng(seed))), CENSUS,
        {CENTS: times("income", 100.0), HUNDRED: times("age", 100), SWAPPED: swapped("age", "hours"), THIRD: thinned,
         VALUES: without_values("hours")}, (0, 10),
    ),
    "retail, orders": Set(
        lambda _: orders(), ORDERS,
        {CENTS: times("price", 100.0), HUNDRED: times("quantity", 100), SWAPPED: swapped("price", "quantity"),
         THIRD: thinned, VALUES: without_values("description")}, seeded=False,
    ),
    "retail, sales": Set(
        lambda _: sales(), SALES,
        {HUNDRED: times("pieces", 100), SWAPPED: swapped("group", "country"), THIRD: thinned,
         VALUES: without_values("group")}, seeded=False,
    ),
}  # fmt: skip


@dataclass
class Tally:
    """How many right landings were judged and doubted, for what; how many wrong ones of a kind there were and found."""

    judged: int = 0
    doubted: int = 0
    figures: Counter[str] = field(default_factory=Counter)
    tried: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)


def measure(name: str, seeds: Sequence[int], every: int = 3, history: int | None = None) -> Tally:
    """Judge each right landing of a set, and of ``every`` so many what it would be if it were wrong."""
    one, tally = SETS[name], Tally()
    histories = one.histories if history is None else (history,)
    for seed, first in product(seeds if one.seeded else seeds[:1], histories):
        _judge(one, _with_history(one.landings(seed), first), np.random.default_rng(seed), every, tally)
    return tally


def _with_history(landings: Sequence[Dated], count: int) -> Sequence[Dated]:
    """Let the first ones land as one file."""
    if not count:
        return landings
    return [(landings[count - 1][0], pa.concat_tables([rows for _, rows in landings[:count]])), *landings[count:]]


def _judge(one: Set, landings: Sequence[Dated], random: Random, every: int, tally: Tally) -> None:
    usual: list[Landing] = []
    for number, (at, rows) in enumerate(landings):
        landing = profile(rows, one.contract, number, at)
        landing = with_blocks(landing, rows, one.contract) if number < ENOUGH else landing
        found = judge([*usual, landing], at)
        failed = [each.name for each in found if not each.passed]
        if any(each.check != "freshness" for each in found):
            tally.judged, tally.doubted = tally.judged + 1, tally.doubted + bool(failed)
            tally.figures.update(failed)
            for kind, change in one.wrong.items() if number % every == 0 else ():
                wrong = change(rows, random)
                if wrong.equals(rows):
                    continue  # a day without sales, times a hundred
                bad = judge([*usual, profile(wrong, one.contract, number, at)], at) if len(wrong) else []
                tally.tried[kind] += 1
                tally.found[kind] += not len(wrong) or not all(each.passed for each in bad)  # all of it dead letters
        if not failed:
            usual = [*usual, landing][-40:]


def main() -> None:
    """Print a line a set."""
    seeds = range(int(sys.argv[1]) if len(sys.argv) > 1 else 10)
    kinds = (CENTS, HUNDRED, SWAPPED, THIRD, VALUES)
    print("| set | right ones doubted |", *(f"{kind} |" for kind in kinds))
    print("| --- | --- |", *("--- |" for _ in kinds))
    for name in SETS:
        tally = measure(name, seeds)
        found = [f"{tally.found[kind]} of {tally.tried[kind]} |" if tally.tried[kind] else " |" for kind in kinds]
        print(f"| {name} | {tally.doubted} of {tally.judged:,} ({tally.doubted / tally.judged:.2%}) |", *found)
        print(f"  {dict(tally.figures.most_common(5))}", file=sys.stderr)


if __name__ == "__main__":
    main()
