"""What a prediction costs in a process of its own, beside the same one in the server's; and what columns cost."""

from __future__ import annotations

import asyncio
import pickle
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks.page import Promise, Section
from loopline.platform_core.runtime.apart import process
from loopline.platform_core.runtime.model.batching import Batcher
from loopline.platform_core.runtime.model.encode import Encoder
from loopline.platform_core.runtime.model.given import Columns
from loopline.platform_core.testing.parts.estimators_apart import Number

HOW = """An estimator that adds up each row's 64 numbers, called here, and in a process of its own by memory that both
share: what is added is the way there and back. Then what it takes to put together what a model is given, of a request
of one row: a matrix of four numbers and a category, and a table of four numbers and a text. Medians of 2,000 calls,
turn by turn."""
ROWS = (1, 32, 1_000)
EXTRA_US = 300.0


def compare(quick: bool = False) -> Section:
    """Measure both."""
    calls = 200 if quick else 2_000
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "model.pkl")
        file.write_bytes(pickle.dumps(Number()))
        began = perf_counter()
        apart, here = process.estimator(file, (), 10.0), Number()
        start = perf_counter() - began
        rows, extra = [], 0.0
        for count in ROWS:
            given = np.ones((count, 64))
            one, other = _in_turns(partial(here.predict, given), partial(apart.predict, given), calls)
            rows.append([f"{count:,} row{'s' * (count > 1)} of 64 numbers", f"{one:.0f} µs", f"{other:.0f} µs"])
            extra = extra or other - one
        row = (1.0, 2.0, 3.0, 4.0, "bright glass")
        names = ("a", "b", "c", "d", "said")
        matrix = Encoder(names, {"said": ["bright glass", "red leather"]})
        table = Columns({**dict.fromkeys(names[:4], "number"), "said": "text"}, {})
        one, other = _in_turns(lambda: matrix.rows([row]), lambda: table.rows([row]), calls)
        rows.append(["put together: a matrix, a table", f"{one:.1f} µs", f"{other:.0f} µs"])
        waited = asyncio.run(_queued(apart.predict, calls))
        rows.append(["1 row through the server's queue", "", f"{waited:.0f} µs"])
        rows.append(["start of the process", "", f"{start:.2f} s"])
    promise = Promise("what a process of its own adds to a row", extra, EXTRA_US, " µs")
    return Section(
        "A model in a process of its own", HOW, ("what", "here, or a matrix", "apart, or a table"), rows, [promise]
    )


async def _queued(predict: Callable[[Any], Any], calls: int) -> float:
    """Return the median µs of a request that waits for a thread, as each does whose model is apart."""
    with ThreadPoolExecutor(1) as thread:
        batcher, given, taken = Batcher(predict, 0, thread), np.ones((1, 64)), []
        for _ in range(calls):
            began = perf_counter()
            await batcher(given)
            taken.append((perf_counter() - began) * 1e6)
    return median(taken)


def _in_turns(one: Callable[[], Any], other: Callable[[], Any], calls: int) -> tuple[float, float]:
    """Return the median µs of both."""
    found: tuple[list[float], list[float]] = ([], [])
    for _ in range(calls):
        for call, taken in zip((one, other), found, strict=True):
            began = perf_counter()
            call()
            taken.append((perf_counter() - began) * 1e6)
    return median(found[0]), median(found[1])
