"""Ten, a hundred and a thousand models: ours beside bare Dagster."""

from __future__ import annotations

from benchmarks.page import Promise, Section
from benchmarks.turns import in_turns, json_lines, medians

TIMES = {10: 7, 100: 5, 1000: 3}
HOW = """What a code server does before it can answer: define, resolve, and serialise the snapshot with all jobs; CPU
time of its one thread, each time in a fresh process, imports not counted. A model has a source and a view of its own:
9 assets, 1 external asset, 11 checks; 6 jobs, 4 sensors and 4 schedules serve all models. The bare side
(`benchmarks/load/bare.py`) is the same graph written with Dagster's decorators alone; a test
compares them. Each side collects garbage as its code server does: ours seldom, bare Dagster's as Python does."""
HEADER = ("models", "assets", "checks", "ours", "bare", "ratio", "ours a model", "bare a model", "memory ours / bare")


def compare(quick: bool = False) -> Section:
    """Measure; quick leaves out the thousand."""
    sizes = {10: 3, 100: 1} if quick else TIMES
    found = {models: _both(models, times) for models, times in sizes.items()}
    rows = [_row(models, *both) for models, both in found.items()]
    promises = [
        Promise(f"ours / bare, {models} models", ours["total"] / bare["total"], 1.2)
        for models, (ours, bare) in found.items()
    ]
    *_, before, most = found
    growth, bare = (_a_model(found, most, side) / _a_model(found, before, side) for side in (0, 1))
    promises.append(Promise(f"linear: a model at {most:,} models, beside {before:,} (bare: {bare:.2f})", growth, 1.3))
    return Section("Loading a code location", HOW, HEADER, rows, promises)


def _a_model(found: dict[int, tuple[dict[str, float], dict[str, float]]], models: int, side: int) -> float:
    return found[models][side]["total"] / models


def _both(models: int, times: int) -> tuple[dict[str, float], dict[str, float]]:
    taken = in_turns(
        {side: lambda side=side: json_lines("benchmarks.load.once", side, models)[0] for side in ("ours", "bare")},
        times,
    )
    return medians(taken["ours"]), medians(taken["bare"])


def _row(models: int, ours: dict[str, float], bare: dict[str, float]) -> list[str]:
    totals = ours["total"], bare["total"]
    return [
        f"{models:,}",
        f"{ours['assets']:,.0f}",
        f"{ours['checks']:,.0f}",
        *(f"{total:.2f} s" for total in totals),
        f"{totals[0] / totals[1]:.2f}",
        *(f"{total / models * 1e6:,.0f} µs" for total in totals),
        f"{ours['memory_mb']:.0f} / {bare['memory_mb']:.0f} MB",
    ]
