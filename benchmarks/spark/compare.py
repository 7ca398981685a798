"""A feature view and a batch on a cluster of two workers, from a million rows to a hundred million."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.page import Promise, Section
from benchmarks.spark.work import A_DAY, DAYS
from benchmarks.turns import json_lines

SIZES, QUICK = (1_000_000, 10_000_000, 100_000_000), (100_000, 1_000_000)
ROWS = "BENCH_SPARK_ROWS"
"""By this variable other sizes are asked for: ``1000000,10000000``."""
BOUND = 1.05
HOW = f"""A standalone Spark cluster of two workers of one core each, and an object store (SeaweedFS) through which
all tables go, on one machine; a size is a cluster of its own, which has done both once before with few rows. *Feature
view*: orders of {DAYS} days, {A_DAY} a customer and day, to each day's orders and the spend so far. *Batch*: as many
rows of four features, scored by a LightGBM model of 50 trees as the platform packages it. Up to a million rows the
view's answer is compared with Polars', and of each batch a thousand scores with this process's. Processor seconds are
those of all processes, object store included; *others' cores* are those that processes of other work kept busy
meanwhile: seconds are longer by it, exponents are of processor seconds. Memory is the peak of the process that asks,
above what it held before: tables still pass through it."""
HEADER = ("", "rows", "seconds", "processor seconds", "rows a second", "memory", "others' cores", "exponent")
Told = Mapping[str, Any]


def compare(quick: bool = False) -> Section:
    """Measure each size."""
    asked = os.environ.get(ROWS)
    sizes = tuple(map(int, asked.split(","))) if asked else QUICK if quick else SIZES
    return section([told for rows in sizes for told in json_lines("benchmarks.spark.side", rows)])


def section(told: Sequence[Told]) -> Section:
    """Put what each size cost beside the one before it."""
    rows, promises = list[list[str]](), list[Promise]()
    for what in dict.fromkeys(each["what"] for each in told):
        own = [each for each in told if each["what"] == what]
        for before, one in zip([None, *own], own, strict=False):
            rows.append(_row(one, "" if before is None else f"{_exponent(before, one):.2f}"))
        if len(own) > 1:
            ends = f"from {own[0]['rows']:,} to {own[-1]['rows']:,} rows"
            promises.append(Promise(f"growth exponent of a {what}, {ends}", _exponent(own[0], own[-1]), BOUND))
    return Section("On a Spark cluster", HOW, HEADER, rows, promises)


def _exponent(one: Told, other: Told) -> float:
    return math.log(other["cpu_seconds"] / one["cpu_seconds"]) / math.log(other["rows"] / one["rows"])


def _row(one: Told, exponent: str) -> list[str]:
    figures = (f"{one['seconds']:,.1f}", f"{one['cpu_seconds']:,.1f}", f"{one['rows'] / one['seconds']:,.0f}")
    beside = (f"{one['peak_mb']:,.0f} MB", f"{one['others_cores']:.1f}")
    return [one["what"], f"{one['rows']:,}", *figures, *beside, exponent]
