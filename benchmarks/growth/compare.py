"""What one more costs after a history a hundred times as long, and how the whole grows: as exponents."""

from __future__ import annotations

import math
import os
from contextlib import ExitStack

from benchmarks.growth.home import ANSWERED, CUSTOMERS, ENTRIES, NAMES, ROWS
from benchmarks.page import Promise, Section
from benchmarks.turns import asked, in_turns, medians

SIZES = (100, 10_000)
QUICK = (10, 100)
TURNS, QUICK_TURNS = 10, 3
MORE_WHOLES = 4
"""Of the short history, which is over in half a second; the long one takes a minute, in which chance is nothing."""
BOUNDS = {"one more": 0.1, "whole": 1.05}
A_FILE_US = 10.0
"""How much one more may cost more for each file that ever came: a second after a hundred thousand files."""
Name = tuple[str, str]
"""Of one more or of the whole, and what is measured."""
HOW = f"""Processor milliseconds of the process with all its threads, after a short and after a long history of files
of {ROWS} rows in a folder, on Delta, Polars and SQLite; beside each file {ENTRIES} lines in the ledger and {ANSWERED}
predictions; tables are tidied as each night. The whole is measured once, of the short history five times (the median);
then one more of each in ten turns, by the short and by the long history, the least of which counts; each by a platform
that is opened anew, as a run does; that every 30 seconds all files are looked at is not among it. The history of each
of the {CUSTOMERS} customers, of whom one more file has 50, is as many times as long. Of quality the increment is one
more file of labels and answers: what it changes is one window of a day, about as many rows in the short history as in
the long one; its labels say that they reach a day; windows of before that still wait for labels are looked at and
found unchanged. The exponent is how the cost grows with the history: 0 is not at all, 1 in proportion; *a file* is by
how much, divided by the files of the history. What the system takes to list the folder stands beside as it is, and is
part of every poll and landing. What still grows, and why it may: decision 0074."""


def compare(quick: bool = False) -> Section:
    """Measure both histories."""
    sizes = QUICK if quick else SIZES
    short, long = _measured(sizes, QUICK_TURNS if quick else TURNS)
    times = sizes[1] / sizes[0]
    exponents = {name: math.log(long[name] / max(short[name], 1e-6)) / math.log(times) for name in short}
    per_file = {name: 1e6 * (long[name] - short[name]) / (sizes[1] - sizes[0]) for name in short}
    rows = [
        [*name, _ms(short[name]), _ms(long[name]), f"{exponent:.2f}", f"{per_file[name]:,.1f} µs"]
        for name, exponent in sorted(exponents.items(), key=lambda each: each[0][0])
    ]
    ours = {name: exponent for name, exponent in exponents.items() if name[1] != NAMES}
    promises = [_promise(kind, {n: e for n, e in ours.items() if n[0] == kind}) for kind in BOUNDS]
    dearest = max((name for name in ours if name[0] == "one more"), key=per_file.__getitem__)
    promises.append(Promise(f"one more, a file that ever came ({dearest[1]})", per_file[dearest], A_FILE_US, " µs"))
    load = f"\nThe load was {os.getloadavg()[1]:.0f} on {os.cpu_count()} cores meanwhile."
    header = ("", "what", f"{sizes[0]:,} files", f"{sizes[1]:,} files", "exponent", "a file")
    return Section("Growth with history", HOW + load, header, rows, promises)


def _measured(sizes: tuple[int, int], turns: int) -> list[dict[Name, float]]:
    with ExitStack() as open_until_done:
        sides = {str(size): open_until_done.enter_context(asked("benchmarks.growth.side", size)) for size in sizes}
        wholes = {size: side() for size, side in sides.items()}
        small = str(sizes[0])
        wholes[small] = medians([wholes[small], *(_whole_of(sizes[0]) for _ in range(MORE_WHOLES))])
        more = in_turns(sides, turns)
        return [
            {("whole", what): seconds for what, seconds in wholes[size].items()}
            | {("one more", what): min(each[what] for each in more[size]) for what in more[size][0]}
            for size in sides
        ]


def _whole_of(size: int) -> dict[str, float]:
    with asked("benchmarks.growth.side", size) as side:
        return side()


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:,.1f} ms"


def _promise(kind: str, exponents: dict[Name, float]) -> Promise:
    steepest = max(exponents, key=lambda name: exponents[name])
    return Promise(f"the steepest exponent of {kind} ({steepest[1]})", exponents[steepest], BOUNDS[kind])
