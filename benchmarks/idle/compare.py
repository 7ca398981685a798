"""What everything costs while nobody asks, beside Dagster alone, with one model and with a hundred."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

from benchmarks.idle.spent import Spent
from benchmarks.page import Promise, Section
from benchmarks.turns import json_lines

HOW = """Processor time in percent of one core, and memory, of each process with what it has started, watched for two
minutes after everything had settled; from `/proc`, so that another's work on the machine counts little. Memory is the
proportional set size: what processes share is counted once. Ours is `loopline up` as it comes, portal and Dagster's UI
included, every model live with a source, a feature view and labels of its own. Dagster alone is its web server, its
daemon and one code server, as its manual starts them: with an empty code location, and with the graph of so many models
without Loopline (`benchmarks/load/bare.py`), whose four sensors do nothing every five seconds."""
HEADER = ("", "ours, 1 model", "ours, 100 models", "Dagster, empty", "Dagster, 1 model", "Dagster, 100 models")
OURS, DAGSTER = (1, 100), (0, 1, 100)
SETTLE, WATCH = 45, 120
QUICK_SETTLE, QUICK_WATCH = 15, 15
ORDER = ("code", "daemon", "web", "inference", "shadow", "features", "portal", "watchdog", "up")
Side = Mapping[str, Spent]


def compare(quick: bool = False) -> Section:
    """Watch each side, one after another."""
    times = (QUICK_SETTLE, QUICK_WATCH) if quick else (SETTLE, WATCH)
    with tempfile.TemporaryDirectory(prefix="loopline-bench-") as folder:
        ours = [_watched("ours", Path(folder, f"ours-{models}"), models, times) for models in OURS]
        alone = [_watched("dagster", Path(folder, f"dagster-{models}"), models, times) for models in DAGSTER]
    return section(ours, alone)


def section(ours: list[Side], alone: list[Side]) -> Section:
    """Put the sides beside each other; ``ours`` with 1 and 100 models, ``alone`` with none, 1 and 100."""
    sides = [*ours, *alone]
    names = sorted({name for side in sides for name in side}, key=_place)
    rows = [[_words(name), *(_cell(side.get(name)) for side in sides)] for name in names]
    rows.append(["together", *(_cell(_together(side)) for side in sides)])
    own, bare = _together(ours[0]), _together(alone[1])
    return Section(
        "Idle",
        HOW,
        HEADER,
        rows,
        [
            Promise("processor time beside Dagster's own, 1 model", own.cpu_percent - bare.cpu_percent, 15, " %"),
            Promise("memory beside Dagster's own, 1 model", own.memory_mb - bare.memory_mb, 1_000, " MB"),
        ],
    )


def _watched(side: str, home: Path, models: int, times: tuple[float, float]) -> Side:
    (line,) = json_lines(f"benchmarks.idle.run_{side}", home, models, *times)
    return {name: Spent(**spent) for name, spent in line.items()}


def _together(side: Side) -> Spent:
    return Spent(sum(one.cpu_percent for one in side.values()), sum(one.memory_mb for one in side.values()))


def _place(name: str) -> tuple[int, str]:
    return ORDER.index(name.partition(":")[0]), name


def _words(name: str) -> str:
    return {"code": "code server", "code:shops": "code server of the team", "code:loopline": "of the platform"}.get(
        name, name
    )


def _cell(spent: Spent | None) -> str:
    return f"{spent.cpu_percent:.2f} %, {spent.memory_mb:.0f} MB" if spent else ""
