"""What one more costs after a history a hundred times as long, and how the whole grows: as exponents."""

from __future__ import annotations

import math
import os
from typing import Any

from benchmarks.growth.home import ANSWERED, CUSTOMERS, ENTRIES, ROWS
from benchmarks.page import Promise, Section
from benchmarks.turns import json_lines

SIZES = (20, 2_000)
QUICK = (10, 100)
BOUNDS = {"one more": 0.1, "whole": 1.05}
HOW = f"""Processor milliseconds of the process with all its threads, after a short and after a long history of files of
{ROWS} rows in a folder, on Delta, Polars and SQLite; beside each file {ENTRIES} lines in the ledger and
{ANSWERED} predictions; tables are tidied as each night. The least of five for one more, once for the whole; each by a
platform that is opened anew, as a run does; that every 30 seconds all files are looked at is not among it. The history
of each of the {CUSTOMERS} customers, of whom one more file has 50, is as many times as long. Of quality the increment
is one more file of labels and answers: what it changes is one window of a day, about as many rows in the short history
as in the long one; its labels say that they reach a day;
windows of before that still wait for labels are looked at and found unchanged, and what no window
holds, the figures of a version's whole life, goes on over all answers. The exponent is how the cost grows with the
history: 0 is not at all, 1 in proportion."""


def compare(quick: bool = False) -> Section:
    """Measure both histories."""
    sizes = QUICK if quick else SIZES
    short, long = ({_name(one): one for one in json_lines("benchmarks.growth.side", size)} for size in sizes)
    times = sizes[1] / sizes[0]
    exponents = {
        name: math.log(long[name]["seconds"] / max(short[name]["seconds"], 1e-6)) / math.log(times) for name in short
    }
    rows = [
        [*name, _ms(short[name]), _ms(long[name]), f"{exponent:.2f}"]
        for name, exponent in sorted(exponents.items(), key=lambda each: each[0][0])
    ]
    promises = [_promise(kind, {n: e for n, e in exponents.items() if n[0] == kind}) for kind in BOUNDS]
    load = f"\nThe load was {os.getloadavg()[1]:.0f} on {os.cpu_count()} cores meanwhile."
    header = ("", "what", f"{sizes[0]:,} files", f"{sizes[1]:,} files", "exponent")
    return Section("Growth with history", HOW + load, header, rows, promises)


def _name(one: dict[str, Any]) -> tuple[str, str]:
    return one["kind"], one["what"]


def _ms(one: dict[str, Any]) -> str:
    return f"{1000 * one['seconds']:,.1f} ms"


def _promise(kind: str, exponents: dict[tuple[str, str], float]) -> Promise:
    steepest = max(exponents, key=lambda name: exponents[name])
    return Promise(f"the steepest exponent of {kind} ({steepest[1]})", exponents[steepest], BOUNDS[kind])
