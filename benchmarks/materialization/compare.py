"""How fast the newest rows get online: ours, redis-py by hand, and Feast."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping
from pathlib import Path

from pyarrow import parquet

from benchmarks.materialization import data
from benchmarks.online_reads.compare import redis_server
from benchmarks.page import Promise, Section
from benchmarks.peers import interpreter
from benchmarks.turns import in_turns, json_lines, medians

HOW = """{rows:,} rows of {entities:,} entities with ten features go to one Redis server, after a small part has warmed
the process up. redis-py by hand sets the bytes that our store sets, in pipelines of a thousand, packed before it is
timed and with no look at what is there. Our store's `write` packs them and keeps the newest event. `refill` is what
Feast's `materialize` does: read the offline table, find each entity's newest row, write it. `materialize` is the whole
way from raw rows: the view is computed, tried for looking ahead and for resting on its own entity, written online and
appended to the lake; then once more with a twentieth of new rows. Values of 1,000 keys are compared between the sides.
Feast 0.67 in its own environment, from Parquet through DuckDB."""
HEADER = ("side", "keys", "time", "keys / s", "memory")
HAND, WRITE, REFILL, FEAST = "redis-py by hand", "ours: `write`", "ours: `refill`", "Feast: `materialize`"
FIRST, MORE = "ours: `materialize`, all rows", "ours: `materialize`, new rows"
Figures = Mapping[str, float]


def compare(quick: bool = False) -> Section:
    """Measure each side, in turns."""
    size, entities = (20_000, 2_000) if quick else (1_000_000, 50_000)
    with tempfile.TemporaryDirectory(prefix="loopline-bench-") as name, redis_server(Path(name)) as url:
        _write(Path(name), size, entities)
        taken = in_turns({side: lambda side=side: _run(side, name, url) for side in SIDES}, 1 if quick else 2)
    found = {step: medians([run[place] for run in runs]) for side, runs in taken.items() for place, step in SIDES[side]}
    _demand_same(found)
    rows = [_row(step, figures) for step, figures in found.items()]
    how = HOW.format(rows=size, entities=entities)
    return Section("Materialization", how, HEADER, rows, _promises(found))


SIDES = {
    "by_hand": [(0, HAND)],
    "store": [(0, WRITE)],
    "whole": [(0, FIRST), (1, REFILL), (2, MORE)],
    "feast": [(0, FEAST)],
}
"""What each process measures, step by step."""


def _run(side: str, folder: str, url: str) -> list[Figures]:
    if side == "feast":
        return json_lines("benchmarks.materialization.feast_side", side, folder, url, python=interpreter("feast"))
    return json_lines("benchmarks.materialization.ours", side, folder, url)


def _write(folder: Path, size: int, entities: int) -> None:
    raw = data.rows(size, entities)
    parquet.write_table(raw, folder / "raw.parquet")
    parquet.write_table(data.offline(raw), folder / "offline.parquet")


def _demand_same(found: Mapping[str, Figures]) -> None:
    """Compare the values online.

    Raises:
        ValueError: two sides wrote other keys or other values.
    """
    for step, figures in found.items():
        same = math.isclose(figures["value"], found[HAND]["value"], rel_tol=1e-9)
        if step != MORE and not (same and figures["keys"] == found[HAND]["keys"]):
            raise ValueError(f"{step}: {figures} are other keys or values than {found[HAND]}")


def _promises(found: Mapping[str, Figures]) -> list[Promise]:
    seconds = {step: figures["seconds"] for step, figures in found.items()}
    return [
        Promise("`write`, beside redis-py by hand", seconds[WRITE] / seconds[HAND], 2, "x"),
        Promise("`refill`, of the time of Feast's `materialize`", 100 * seconds[REFILL] / seconds[FEAST], 25, " %"),
    ]


def _row(step: str, found: Figures) -> list[str]:
    pace = found["keys"] / found["seconds"]
    return [step, f"{found['keys']:,.0f}", f"{found['seconds']:.2f} s", f"{pace:,.0f}", f"{found['peak_mb']:,.0f} MB"]
