"""How often quiet windows alarm, and which share of moved ones is found, by the size of the window."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache, partial
from multiprocessing import get_context
from typing import NamedTuple, cast

import numpy as np
import pyarrow as pa

from benchmarks.drift import shop
from benchmarks.page import Promise, Section
from loopline.platform_core.monitor.drift.alarm import alarm
from loopline.platform_core.monitor.drift.columns import NumericColumn
from loopline.platform_core.monitor.drift.drift_verdicts import JOINT, WindowVerdict
from loopline.platform_core.monitor.drift.profile import Profile
from loopline.platform_core.monitor.drift.threshold import FLOOR, threshold
from loopline.platform_core.monitor.drift.window import judge_table
from loopline.platform_core.specs import Drift

SIZES = (100, 200, 500, 1_000, 5_000)
WINDOWS, REFERENCES = 200, 4
SHIFTS = (0.15, 0.2, 0.25, 0.3, 0.4, 0.5)
POWER_WINDOWS = 40
HOW = f"""{WINDOWS} windows of each size of a shop that does not change, against {REFERENCES} training sets of
{shop.REFERENCE:,} rows ({WINDOWS // REFERENCES} windows each, in order): 14 columns, of which eight are numbers
(skewed, heavy, counted, some missing), three categories of up to {shop.ARTICLES:,} values, a text, a vector and a
score, and all of them together. *Alarms* are those of the default rule (a column in 2 of 3 windows, or 30 % of the
columns at once). *Any column* is the share of windows with one that drifted (5 % are calibrated). *At 0.1*: what the
same windows would show by Evidently's thresholds. Below, the share of {POWER_WINDOWS} moved windows in which it is
found: one column shifted by so many deviations ({shop.COLUMN} is normal, {shop.SKEWED} skewed), prices that no longer
follow the lead, remarks with new words, vectors moved in each coordinate."""
QUIET = ("quiet: alarms", "quiet: any column", "quiet: at 0.1")


class Quiet(NamedTuple):
    """Of windows in order: in how many an alarm stood, any column drifted, and any lay above the plain threshold."""

    windows: int
    alarms: int
    any_column: int
    plain: int


def compare(quick: bool = False) -> Section:
    """Judge quiet and moved windows of each size."""
    sizes, windows, moved = ((100, 500), 10, 5) if quick else (SIZES, WINDOWS // REFERENCES, POWER_WINDOWS)
    with ProcessPoolExecutor(max_workers=2, mp_context=get_context("spawn")) as pool:
        asked = [(size, number) for size in sizes for number in range(REFERENCES)]
        each = list(pool.map(partial(_quiet, windows), asked))
        by_size = [_sum([found for (size, _), found in zip(asked, each, strict=True) if size == one]) for one in sizes]
        powers = list(pool.map(partial(_powers, moved), sizes))
    rows = [_row(name, by_size, index) for index, name in enumerate(QUIET, 1)]
    rows += [[name, *(f"{100 * power[name]:.0f} %" for power in powers)] for name in powers[0]]
    promises = [
        Promise(f"quiet windows of {size} rows that alarm", 100 * found.alarms / found.windows, 1, " %")
        for size, found in zip(sizes, by_size, strict=True)
    ]
    header = ("windows of", *(f"{size:,}" for size in sizes))
    return Section("Drift: false alarms and power", HOW, header, rows, promises)


def quiet(profile: Profile, size: int, windows: int, seed: int) -> Quiet:
    """Judge windows of the reference's own source, one after the other, under the default rule."""
    random = np.random.default_rng([seed, size, 1])
    verdicts = [judge_table(profile, shop.rows(random, size)) for _ in range(windows)]
    rule = Drift(min_rows=size)
    return Quiet(
        windows,
        sum(alarm(rule, verdicts[: end + 1]) is not None for end in range(windows)),
        sum(bool(verdict.drifted) for verdict in verdicts),
        sum(_plain(verdict) for verdict in verdicts),
    )


def power(profile: Profile, size: int, windows: int, column: str, move: Callable[[pa.Table], pa.Table]) -> float:
    """Return the share of moved windows in which a column is found to have drifted."""
    random = np.random.default_rng([size, 2])
    return float(np.mean([finds(profile, move(shop.rows(random, size)), column) for _ in range(windows)]))


def finds(profile: Profile, rows: pa.Table, column: str) -> bool:
    """Say whether a column drifted; of all together only that takes a judgement of the whole window."""
    if column == JOINT:
        return JOINT in judge_table(profile, rows).drifted
    counted = profile.columns[column].count(rows.column(column))
    parts = profile.columns[column].measure(counted)
    return any(part.score >= threshold(profile, column, counted.rows, part.name) for part in parts)


def shifted(column: str, deviations: float, profile: Profile, rows: pa.Table) -> pa.Table:
    """Add so many of the reference's deviations to a column of numbers."""
    std = cast("NumericColumn", profile.columns[column]).std
    values = np.asarray(rows.column(column).to_numpy()) + deviations * std
    return rows.set_column(rows.column_names.index(column), column, pa.array(values))


def _quiet(windows: int, asked: tuple[int, int]) -> Quiet:
    size, number = asked
    return quiet(_reference(number), size, windows, number)


def _powers(windows: int, size: int) -> dict[str, float]:
    profile = _reference(0)
    random = np.random.default_rng([size, 3])
    found = {
        f"{column} by {shift} deviations": power(
            profile, size, windows, column, partial(shifted, column, shift, profile)
        )
        for column in (shop.COLUMN, shop.SKEWED)
        for shift in SHIFTS
    }
    for together in (0.5, 0.2):
        move = partial(_apart, together, random)
        found[f"correlation of price and lead 0.8 → {together}"] = power(profile, size, windows, JOINT, move)
    for share in (0.1, 0.3):
        found[f"new words in {share:.0%} of remarks"] = power(profile, size, windows, "remark", partial(_said, share))
    for shift in (0.15, 0.3):
        move = partial(_vectors, shift)
        found[f"vectors by {shift} deviations in each coordinate"] = power(profile, size, windows, "meaning", move)
    return found


def _apart(together: float, random: np.random.Generator, rows: pa.Table) -> pa.Table:
    return shop.rows(random, len(rows), together=together)


def _said(share: float, rows: pa.Table) -> pa.Table:
    texts = rows.column("remark").to_pylist()
    every = round(1 / share)
    said = [text + " parcel came too late" if place % every == 0 else text for place, text in enumerate(texts)]
    return rows.set_column(rows.column_names.index("remark"), "remark", pa.array(said))


def _vectors(shift: float, rows: pa.Table) -> pa.Table:
    vectors = np.array(rows.column("meaning").to_pylist())
    moved = (vectors + shift * vectors.std(axis=0)).tolist()
    return rows.set_column(rows.column_names.index("meaning"), "meaning", pa.array(moved))


def _plain(verdict: WindowVerdict) -> bool:
    return any(one.score >= FLOOR for name, one in verdict.columns.items() if name != JOINT)


def _sum(found: Sequence[Quiet]) -> Quiet:
    return Quiet(*(sum(values) for values in zip(*found, strict=True)))


def _row(name: str, found: Sequence[Quiet], index: int) -> list[str]:
    return [name, *(f"{100 * one[index] / one.windows:.1f} %" for one in found)]


@lru_cache
def _reference(number: int) -> Profile:
    return shop.reference(number)
