"""The scorecard over a long ledger, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.page import Promise, Section
from benchmarks.scorecard.past import DAYS, MODELS, TEAMS
from benchmarks.turns import json_lines
from tests.emulators.postgresql import postgresql

ROWS = 100_000
HOW = f"""A ledger of two years of {TEAMS} teams and {MODELS} models: a third of its rows are cycles with their
rollouts, the others windows, skew checks and what sensors saw; no traffic. *Read the whole ledger*: the one pass over
all of it. *Fill in*: the very first computation, a figure a day, scope and name back to the first row. *An hour later*:
what the schedule does each hour. The last three are what a page asks; the first read after an hour's computation reads
the table, later ones see that it has not changed. Memory is the peak above what the process held before."""
HEADER = ("database", "rows", "what", "seconds", "peak MB", "figures written")
HOURLY, READ = "an hour later", "newest figures"


def compare(quick: bool = False) -> Section:
    """Measure both databases."""
    rows = ROWS // 10 if quick else ROWS
    with TemporaryDirectory() as folder:
        found = {"SQLite": _side(f"sqlite:///{Path(folder) / 'ledger.db'}", rows)}
    with postgresql(syncs=True) as server:
        found["PostgreSQL"] = _side(server.url, rows)
    table = [_row(name, rows, one) for name, said in found.items() for one in said]
    promises = [promise for name, said in found.items() for promise in _promises(name, said)]
    return Section(f"Scorecard over {ROWS:,} ledger rows", HOW, HEADER, table, promises)


def _side(url: str, rows: int) -> list[dict[str, Any]]:
    return json_lines("benchmarks.scorecard.side", url, rows)


def _row(name: str, rows: int, one: dict[str, Any]) -> Sequence[str]:
    seconds = f"{one['seconds']:.3f}" if one["seconds"] >= 0.1 else f"{one['seconds']:.4f}"
    memory, figures = (f"{one[key]:,.0f}" if one[key] else "" for key in ("peak_mb", "figures"))
    return name, f"{rows:,}", one["what"], seconds, memory, figures


def _promises(name: str, said: list[dict[str, Any]]) -> list[Promise]:
    by_what = {one["what"]: one for one in said}
    filled = by_what[f"fill in {DAYS} days"]
    return [
        Promise(f"{name}: the scorecard each hour", by_what[HOURLY]["seconds"], 2.0, " s"),
        Promise(f"{name}: memory of the first computation", filled["peak_mb"], 400.0, " MB"),
        Promise(f"{name}: reading the newest figures", 1000 * by_what[READ]["seconds"], 20.0, " ms"),
    ]
