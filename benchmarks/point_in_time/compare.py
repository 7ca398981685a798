"""Point-in-time joins: ours, Polars by hand, and Feast, on the same rows."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.page import Promise, Section
from benchmarks.peers import interpreter
from benchmarks.peers.feast_store import View
from benchmarks.point_in_time import data
from benchmarks.turns import in_turns, json_lines
from loopline.platform_core.foundation.names import CREATED_AT, EVENT_TIME

HOW = """100,000 labels join three feature views (10 + 5 + 5 features of 50,000, 5,000 and 400 entities, valid for 30, 7
and 2 days); 2 % of the feature rows became known up to five days after their event. Each side runs in a process of its
own, joins once on a small part, then once whole: seconds and the peak of memory above what it held before, medians.
Polars by hand is the same join written for these tables. Feast 0.67 reads Parquet files through its DuckDB offline
store, as its documentation recommends, in its own environment: once as it comes, which gives labels values that nobody
knew yet, and once with `filter_by_created_timestamp`, which asks what ours always asks. All sides but the first of
Feast's give the same values: the count and sum of each of the 20 features are compared in every run."""
HEADER = ("rows a view", "side", "time", "memory", "time / ours", "values")
SIDES = {
    "ours, from memory": "memory",
    "ours, from the lake": "lake",
    "ours on DuckDB, from memory": "duckdb",
    "Polars by hand, from memory": "by_hand",
    "Feast as it comes": "default",
    "Feast, known values only": "known",
}
OURS, LAKE, HAND, KNOWN = (
    "ours, from memory",
    "ours, from the lake",
    "Polars by hand, from memory",
    "Feast, known values only",
)
LEAKS = "Feast as it comes"
LARGE = 1_000_000
"""From so many rows a view on Feast is asked for known values only; each of its runs takes long."""
Run = Mapping[str, Any]


def compare(quick: bool = False) -> Section:
    """Measure each size."""
    rows, promises = [], []
    for size in (20_000,) if quick else (333_000, 1_000_000):
        taken = _taken(size, 1 if quick else 3)
        seconds = {side: median(run["seconds"] for run in runs) for side, runs in taken.items()}
        rows += [_row(size, side, runs, seconds, taken[OURS][0]) for side, runs in taken.items()]
        promises += _promises(size, seconds)
    return Section("Point-in-time joins", HOW, HEADER, rows, promises)


def same(one: Run, other: Run) -> bool:
    """Say whether two runs gave as many values, and sums that differ by rounding only."""
    return all(
        counted == other["checks"][name][0]
        and math.isclose(total, other["checks"][name][1], rel_tol=1e-9, abs_tol=1e-6)
        for name, (counted, total) in one["checks"].items()
    )


def _taken(size: int, times: int) -> dict[str, list[Run]]:
    with tempfile.TemporaryDirectory(prefix="loopline-bench-") as name:
        folder = Path(name)
        data.write(folder, size)
        (folder / "feast.json").write_text(json.dumps([_view(folder, shape)._asdict() for shape in data.SHAPES]))
        sides = SIDES if size < LARGE else {side: name for side, name in SIDES.items() if side != LEAKS}
        calls = {side: lambda argument=argument: _run(argument, folder) for side, argument in sides.items()}
        return in_turns(calls, times)


def _run(argument: str, folder: Path) -> Run:
    if argument in {"known", "default"}:
        return json_lines("benchmarks.point_in_time.feast_side", argument, folder, python=interpreter("feast"))[0]
    return json_lines("benchmarks.point_in_time.ours", argument, folder)[0]


def _view(folder: Path, shape: data.Shape) -> View:
    features = [(name, "float64") for name in shape.names]
    path = str(folder / f"{shape.view}.parquet")
    return View(shape.view, shape.entity, "int64", path, EVENT_TIME, CREATED_AT, features, shape.ttl_days)


def _row(size: int, side: str, runs: list[Run], seconds: Mapping[str, float], ours: Run) -> list[str]:
    """Write a side's line.

    Raises:
        ValueError: a side that should give our values gives others.
    """
    agrees = same(ours, runs[0])
    if not agrees and side != LEAKS:
        raise ValueError(f"{side}: other values than ours at {size} rows")
    memory = median(run["peak_mb"] for run in runs)
    ratio = seconds[side] / seconds[OURS]
    return [
        f"{size:,}",
        side,
        f"{seconds[side]:.2f} s",
        f"{memory:,.0f} MB",
        f"{ratio:.2f}",
        "same" if agrees else "leak",
    ]


def _promises(size: int, seconds: Mapping[str, float]) -> list[Promise]:
    feast = min(seconds[side] for side in (LEAKS, KNOWN) if side in seconds)
    return [
        Promise(f"ours / Feast, {size:,} rows", seconds[OURS] / feast, 0.25),
        Promise(f"ours from the lake / Feast, {size:,} rows", seconds[LAKE] / feast, 0.25),
        Promise(f"ours / Polars by hand, {size:,} rows", seconds[OURS] / seconds[HAND], 1.15),
    ]
