"""Our monitor beside Evidently's data drift preset: seconds, memory, and the same verdicts."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from benchmarks.drift import agreement, shapes
from benchmarks.drift.agreement import Pair
from benchmarks.drift.data import MANY
from benchmarks.page import Promise, Section
from benchmarks.turns import ROOT

SIZES = (10_000, 100_000, 1_000_000)
TIMES = 5
FASTER = 50
HOW = f"""A window of so many rows of 20 columns (15 of numbers, 5 of 2 to 500 categories) against a training set of as
many. *Evidently*: `DataDriftPreset` on the same rows in memory, without its page, once. *Loopline*: every column, and
all of them together, which Evidently does not look at, against the profile that was built with the model version (its
seconds are told apart), median of {TIMES}. *From a file*: the same from Parquet, in pieces of 100,000 rows. Memory is
the peak above what the process held before, the rows in memory not counted. Verdicts are held against Evidently's
threshold of 0.1, without the calibration that makes ours quiet. Column `{MANY}` has 500 categories, of which a profile
counts 50 by name: it does not move, and where rows are few Evidently finds drift in it.

*Shapes* are generated columns, one call of Evidently's own stat-test functions each: normed Wasserstein for numbers,
Jensen-Shannon for categories (of more than 50 both see the 50 and one more; the last line shows what seeing all of them
says). For texts, vectors and all columns together Evidently's methods are others: see decision 0031."""


def compare(quick: bool = False) -> Section:
    """Measure each size, and compare verdicts over generated shapes."""
    rows: list[list[str]] = []
    promises: list[Promise] = []
    for size in SIZES[:1] if quick else SIZES:
        ours, file, theirs = _side("ours", size, TIMES), _side("file", size, TIMES), _side("evidently", size, 1)
        named = {"Evidently": theirs, "Loopline": ours, "Loopline, from a file": file}
        rows += [_row(name, size, side, theirs) for name, side in named.items()]
        if size == SIZES[-1]:
            share = 100 * ours["seconds"] / theirs["seconds"]
            promises.append(Promise("of Evidently's time at a million rows", share, 100 / FASTER, " %"))
            promises.append(Promise("memory from a file", file["peak_mb"], 250, " MB"))
    step = 8 if quick else 1
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = {
            "shapes of numbers": agreement.numeric(range(0, shapes.NUMERIC, step)),
            "shapes of categories": agreement.categorical(range(0, shapes.CATEGORICAL, step)),
            "more than 50 categories, Evidently sees all": agreement.unfolded(range(0, shapes.CATEGORICAL, 1)),
        }
    rows += [_agreed(name, pairs) for name, pairs in found.items()]
    differing = sum(not pair.agrees for name in list(found)[:2] for pair in found[name])
    promises.append(Promise("shapes with another verdict than Evidently's", differing, 0))
    header = ("side", "rows", "time", "memory", "verdicts as Evidently's", "largest difference")
    return Section("Drift beside Evidently", HOW, header, rows, promises)


def _side(side: str, size: int, times: int) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.drift.side", side, str(size), str(times)]
    found = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    told: dict[str, Any] = json.loads(found.stdout.splitlines()[-1])
    return told


def _row(name: str, size: int, side: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    pairs = [Pair(column, side["scores"][column], score) for column, score in theirs["scores"].items()]
    other = [pair.name for pair in pairs if not pair.agrees]
    alike = f"{len(pairs) - len(other)} of {len(pairs)}{'; not ' + ', '.join(other) if other else ''}"
    faster = f", {theirs['seconds'] / side['seconds']:.0f} times as fast" if side is not theirs else ""
    profile = f" (profile {side['profile']:.2f} s, once)" if "profile" in side else ""
    time = f"{side['seconds']:.3f} s{faster}{profile}"
    return [name, f"{size:,}", time, f"{side['peak_mb']:.0f} MB", alike, _largest([p for p in pairs if p.name != MANY])]


def _agreed(name: str, pairs: Sequence[Pair]) -> list[str]:
    alike = sum(pair.agrees for pair in pairs)
    return [name, "", "", "", f"{alike} of {len(pairs)}", _largest(pairs)]


def _largest(pairs: Sequence[Pair]) -> str:
    return f"{max(abs(pair.ours - pair.evidently) for pair in pairs):.1g}"
