"""Rows a second that land: files, a stream in a folder, a stream on Kafka."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from itertools import count
from pathlib import Path

from benchmarks.page import Promise, Section
from benchmarks.peers.kafka_broker import broker
from benchmarks.turns import in_turns, json_lines, medians

HOW = """Six columns, a contract of six rules, one row in a hundred a dead letter with its reason. Files: {files:,} rows
in 40 CSV files, landed by one call of `land`. Streams: {records:,} JSON records, landed in micro-batches of 10,000,
rows and offsets in one Delta commit; Kafka is a real broker (KRaft) on the same machine, with three partitions. By hand
is Polars' CSV reader with its types guessed, a filter, and one append by delta-rs: no contract, no reasons, no letters,
no record of what has landed. Each side in a process of its own, after a small
part has warmed it up."""
HEADER = ("side", "rows", "time", "rows / s", "memory")
SIDES = {
    "files": "files",
    "files, Polars and delta-rs by hand": "by_hand",
    "stream in a folder": "folder",
    "stream on Kafka": "kafka",
}
FLOORS = {"files": 150_000, "stream on Kafka": 20_000}
"""Rows a second that we promise."""
Figures = Mapping[str, float]


def compare(quick: bool = False) -> Section:
    """Measure each side, in turns."""
    files, records = (20_000, 5_000) if quick else (1_000_000, 200_000)
    numbers = count()
    with tempfile.TemporaryDirectory(prefix="loopline-bench-") as name, broker(Path(name)) as servers:

        def call(side: str) -> Figures:
            rows = files if side in {"files", "by_hand"} else records
            home = Path(name) / f"{side}_{next(numbers)}"
            return json_lines("benchmarks.ingestion.side", side, home, rows, servers)[0]

        calls = {side: lambda argument=argument: call(argument) for side, argument in SIDES.items()}
        taken = in_turns(calls, 1 if quick else 2)
    found = {side: medians(runs) for side, runs in taken.items()}
    rows = [_row(side, figures) for side, figures in found.items()]
    promises = [_promise(side, found[side], floor) for side, floor in FLOORS.items()]
    return Section("Ingestion", HOW.format(files=files, records=records), HEADER, rows, promises)


def _promise(side: str, found: Figures, floor: int) -> Promise:
    return Promise(f"{side}: µs a row", found["seconds"] / found["rows"] * 1e6, round(1e6 / floor, 1), " µs")


def _row(side: str, found: Figures) -> list[str]:
    pace = found["rows"] / found["seconds"]
    return [side, f"{found['rows']:,.0f}", f"{found['seconds']:.2f} s", f"{pace:,.0f}", f"{found['peak_mb']:,.0f} MB"]
