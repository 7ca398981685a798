"""Daily sales by article and market, added up from the order lines that retail's package holds."""

from __future__ import annotations

import lzma
from collections.abc import Iterator
from datetime import date, timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import retail

from loopline.demo.declared import Day

if TYPE_CHECKING:
    import pyarrow as pa

LOG = Path(retail.__file__).with_name("data") / "online_retail.csv.xz"
HOME, ABROAD = "United Kingdom", "elsewhere"
LISTED_ON, DAYS_SOLD = date(2010, 4, 1), {HOME: 62, ABROAD: 25}
"""A series is listed where it was sold on so many days of the first four months."""
GROUPS = ("BAG", "BOX|TIN", "LIGHT|CANDLE", "CAKE|TEA|MUG|BOWL|CUTLERY|LUNCH", "SIGN|DOORMAT|METAL", "HEART|HANGING")
"""Words of descriptions by which articles belong together: the log has no groups of its own."""
HEADER = "Series,Day,Group,Country,Pieces"


@lru_cache(maxsize=1)
def days() -> tuple[Day, ...]:
    """Return a file for each day, the oldest first: a line at its end for each listed series, whatever was sold."""
    return tuple(_days())


def _days() -> Iterator[Day]:
    lines = order_lines()
    listed = _listed(lines)
    by_day = lines.group_by(["series", "day"]).aggregate([("Quantity", "sum")]).to_pylist()
    sold = {(row["series"], row["day"]): row["Quantity_sum"] for row in by_day}
    day, last = date(2009, 12, 1), max(day for _, day in sold)
    while day <= last:
        rows = [f"{name},{day} 23:59,{group},{country},{sold.get((name, day), 0)}" for name, group, country in listed]
        yield Day(day, "\n".join([HEADER, *rows, ""]).encode(), len(rows), "sales")
        day += timedelta(days=1)


def order_lines() -> pa.Table:
    """Read what was ordered, with its day and series; what comes back is none of it."""
    import pyarrow as pa
    from pyarrow import compute, csv

    types = {name: pa.string() for name in ("Invoice", "StockCode", "Description", "InvoiceDate", "Country")}
    options = csv.ConvertOptions(column_types=types, include_columns=[*types, "Quantity"])
    with lzma.open(LOG) as file:
        rows = csv.read_csv(file, convert_options=options)
    bought = compute.invert(compute.starts_with(rows["Invoice"], "C"))
    rows = rows.filter(compute.and_(bought, compute.greater(rows["Quantity"], 0)))
    market = compute.if_else(compute.equal(rows["Country"], HOME), HOME, ABROAD)
    day = compute.strptime(rows["InvoiceDate"], "%m/%d/%Y %H:%M", "s").cast(pa.date32())
    series = compute.binary_join_element_wise(rows["StockCode"], market, " ")
    return rows.append_column("day", day).append_column("market", market).append_column("series", series)


def _listed(lines: pa.Table) -> list[tuple[str, str, str]]:
    """Return each listed series with its group and market."""
    from pyarrow import compute

    early = lines.filter(compute.less(lines["day"], LISTED_ON)).group_by(["series", "market"])
    rows = early.aggregate([("day", "count_distinct"), ("Description", "max")]).to_pylist()
    listed = [row for row in rows if row["day_count_distinct"] >= DAYS_SOLD[row["market"]]]
    return sorted((row["series"], _group(row["Description_max"] or ""), row["market"]) for row in listed)


def _group(description: str) -> str:
    found = next((words for words in GROUPS if any(word in description for word in words.split("|"))), "other")
    return found.partition("|")[0].lower()
