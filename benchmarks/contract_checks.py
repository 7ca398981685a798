"""Checking text rows against a contract: split, typed, and each bad row with every reason."""

from __future__ import annotations

from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa

from benchmarks.measured import Cost, measured
from benchmarks.page import Promise, Section
from loopline.platform_core.contracts.event_source import MALFORMED
from loopline.platform_core.foundation.names import LINE
from loopline.platform_core.specs.contracts.contract_file import Column, RowContract, Rule
from loopline.resources.polars.engine import PolarsEngine

HOW = """A million rows of text, as they are read from a file, of seven columns: they are parsed to the contract's types
and held against eight rules (required, unique, pattern, one of, bounds) and against being parsable at all; 0.9 % of
them break one or two. What is measured is `Engine.check_rows` on Polars, from Arrow to Arrow: good rows typed, bad rows
as they came with the list of their reasons. Memory is the peak above what the process held before, the million rows of
text not counted."""
COUNTRIES = ("UK", "FR", "DE", "US", "ES")
COLUMNS = (
    Column("id", "Id", "integer", required=True),
    Column("sku", "Sku", "string"),
    Column("country", "Country", "string"),
    Column("quantity", "Quantity", "integer"),
    Column("price", "Price", "number"),
    Column("total", "Total", "number"),
    Column("at", "At", "timestamp"),
)
RULES = (
    ("id", "required", ()),
    ("id", "unique", ()),
    ("sku", "pattern", (r"^SKU\d{5}$",)),
    ("country", "one_of", COUNTRIES),
    ("quantity", "required", ()),
    ("quantity", "minimum", (1,)),
    ("quantity", "maximum", (1000,)),
    ("price", "exclusive_minimum", (0,)),
)
TYPED = ("id", "quantity", "price", "total", "at")
SECONDS = 1.0


def contract() -> RowContract:
    """Make the contract: the eight rules, and that each value can be parsed."""
    rules = [Rule(f"{column}.{kind}", column, kind, arguments) for column, kind, arguments in RULES]
    rules += [Rule(f"{column}.parsable", column, "parsable") for column in TYPED]
    return RowContract("lines", "1.0.0", COLUMNS, tuple(rules), Path("lines.yaml"))


def rows(size: int) -> pa.Table:
    """Make rows of text, nine in a thousand of which break a rule."""
    random = np.random.default_rng(0)
    kind = random.random(size)
    quantity, price = random.integers(1, 50, size), random.gamma(2, 5, size).round(2) + 0.01
    price = np.where(kind < 0.003, -1.0, price)
    seconds = random.integers(0, 10**6, size).astype("timedelta64[s]")
    country = np.where((kind > 0.002) & (kind < 0.005), "XX", random.choice(COUNTRIES, size))
    sku = np.char.add("SKU", np.char.zfill(random.integers(0, 5000, size).astype(str), 5))
    texts = {
        "Id": np.where((kind > 0.008) & (kind < 0.009), 7, np.arange(size)).astype(str),
        "Sku": np.where((kind > 0.005) & (kind < 0.007), "bad sku", sku),
        "Country": country,
        "Quantity": quantity.astype(str),
        "Price": price.round(2).astype(str),
        "Total": (quantity * price).round(2).astype(str),
        "At": np.datetime_as_string(np.datetime64("2026-01-01T00:00:00") + seconds),
    }
    missing = {"Quantity": (kind > 0.007) & (kind < 0.008)}
    columns = {name: pa.array(values, pa.string(), mask=missing.get(name)) for name, values in texts.items()}
    return pa.table({**columns, LINE: np.arange(2, size + 2), MALFORMED: pa.nulls(size, pa.string())})


def compare(quick: bool = False) -> Section:
    """Measure the first call of a process and later ones."""
    size, engine, held = 50_000 if quick else 1_000_000, PolarsEngine(), contract()
    table = rows(size)
    taken = [measured(lambda: engine.check_rows(table, held)) for _ in range(2 if quick else 7)]
    checked, first = taken[0]
    later = [cost for _, cost in taken[1:]]
    counts = f"{len(checked.good):,} good, {len(checked.bad):,} bad"
    lines = [_row("first call", size, first, counts), _row("later calls, median", size, _median(later), counts)]
    promise = Promise("a million rows by eight rules", _median(later).seconds * 1_000_000 / size, SECONDS, " s")
    return Section("Contract checks", HOW, ("call", "rows", "time", "memory", "split"), lines, [promise])


def _median(costs: list[Cost]) -> Cost:
    return Cost(median(cost.seconds for cost in costs), median(cost.peak_mb for cost in costs))


def _row(name: str, size: int, cost: Cost, counts: str) -> list[str]:
    return [name, f"{size:,}", f"{cost.seconds:.2f} s", f"{cost.peak_mb:.0f} MB", counts]
