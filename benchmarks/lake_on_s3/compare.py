"""Appends to a Delta table on S3: our lake, and delta-rs alone, on the same server."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa

from benchmarks.page import Promise, Section
from benchmarks.turns import in_turns, medians
from loopline.resources.delta.lake import DeltaLake
from tests.s3_server import S3Server

HOW = """A table with an event time, a key and ten numbers, on SeaweedFS' S3 here; {commits} appends of a
day each, one after the other, each with a transaction by which a repeated one is known. delta-rs alone is
`write_deltalake` on a table that was opened once, with the same settings of the table, transactions and conditional
puts, partitioned by the day. Ours also looks at what is committed, marks its commit so that a lost answer is known
for what it was, and refuses other types: a few requests an append, however many rows it has, which few rows show. The
first append of a table makes it."""
HEADER = ("rows an append", "side", "first append", "append", "rows / s")
BY_HAND, OURS = "delta-rs alone", "our lake"
BEGAN = date(2026, 1, 1)
FEW, MANY = 1_000, 50_000
Figures = Mapping[str, float]


def compare(quick: bool = False) -> Section:
    """Measure both sides, in turns, with few rows an append and with many."""
    commits, times = (4, 1) if quick else (12, 5)
    with TemporaryDirectory(prefix="loopline-bench-") as folder:
        server = S3Server(Path(folder))
        server.start()
        try:
            found = {rows: _measured(server, commits, rows, times) for rows in (FEW, MANY)}
        finally:
            server.kill()
    table = [
        [
            f"{rows:,}",
            side,
            f"{one['first'] * 1000:.0f} ms",
            f"{one['append'] * 1000:.0f} ms",
            f"{rows / one['append']:,.0f}",
        ]
        for rows, sides in found.items()
        for side, one in sides.items()
    ]
    ratio = found[MANY][OURS]["append"] / found[MANY][BY_HAND]["append"]
    promise = Promise(f"an append of {MANY:,} rows, beside delta-rs alone", ratio, 1.2, "x")
    return Section("Appends to a lake on S3", HOW.format(commits=commits), HEADER, table, [promise])


def _measured(server: S3Server, commits: int, rows: int, times: int) -> dict[str, Figures]:
    options = {**server.options, "aws_allow_http": "true"}
    days = [_day(number, rows) for number in range(commits)]
    sides = {
        BY_HAND: lambda: _timed(_by_hand(f"{server.place()}/table", options), days),
        OURS: lambda: _timed(_ours(server.place(), options), days),
    }
    for side in sides.values():
        side()  # libraries and connections are warm then
    return {side: medians(runs) for side, runs in in_turns(sides, times).items()}


def _timed(append: Callable[[pa.Table], object], days: list[pa.Table]) -> Figures:
    taken = []
    for rows in days:
        began = time.perf_counter()
        append(rows)
        taken.append(time.perf_counter() - began)
    first, *others = taken
    return {"first": first, "append": sum(others) / len(others)}


def _ours(place: str, options: Mapping[str, str]) -> Callable[[pa.Table], object]:
    lake, numbers = DeltaLake(root=place, storage_options=dict(options)), count(1)
    return lambda rows: lake.append("shop/raw/orders", rows, {"landing": next(numbers)})


def _by_hand(uri: str, options: Mapping[str, str]) -> Callable[[pa.Table], object]:
    from deltalake import CommitProperties, DeltaTable, Transaction, write_deltalake

    from loopline.resources.delta.commits import OURS as SETTINGS

    numbers, opened = count(1), list[DeltaTable]()

    def append(rows: pa.Table) -> None:
        said = CommitProperties(app_transactions=[Transaction("landing", next(numbers))])
        if opened:
            write_deltalake(opened[0], rows, mode="append", commit_properties=said)
            return
        made = {"partition_by": ["date"], "configuration": SETTINGS, "commit_properties": said}
        write_deltalake(uri, rows, mode="error", storage_options=dict(options), **made)
        opened.append(DeltaTable(uri, storage_options=dict(options)))

    return append


def _day(number: int, rows: int) -> pa.Table:
    """Make a day's rows."""
    drawn, day = np.random.default_rng(number), BEGAN + timedelta(days=number)
    began = datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
    micros = (began * 1e6 + drawn.integers(0, 86_400_000_000, rows)).astype(np.int64)
    columns = {f"feature_{n}": pa.array(drawn.normal(size=rows)) for n in range(10)}
    return pa.table(
        {
            "key": pa.array([uuid.UUID(int=int(n)).hex for n in drawn.integers(0, 100_000, rows)]),
            "event_time": pa.array(micros).cast(pa.timestamp("us", "UTC")),
            **columns,
            "date": pa.array([day] * rows, pa.date32()),
        }
    )
