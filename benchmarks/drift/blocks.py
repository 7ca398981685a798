"""Windows whose rows depend on each other: false alarms and power with the training set's blocks, and without."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, cast

import numpy as np
import pyarrow as pa

from benchmarks.drift.depending import SOURCES, Source, profiles
from benchmarks.page import Promise, Section
from loopline.platform_core.foundation.names import EVENT_TIME
from loopline.platform_core.monitor.drift.alarm import alarm
from loopline.platform_core.monitor.drift.columns import NumericColumn
from loopline.platform_core.monitor.drift.drift_verdicts import JOINT, WindowVerdict
from loopline.platform_core.monitor.drift.profile import Profile
from loopline.platform_core.monitor.drift.threshold import FLOOR, bound
from loopline.platform_core.monitor.drift.window import judge_table, lasted, profile_window
from loopline.platform_core.specs import Drift

SHIFTS = (0.15, 0.25, 0.5, 1.0, 2.0)
MOVED_WINDOWS = 40
HOW = f"""Quiet windows of four sources, each judged by a profile with its blocks, by the same profile without them (as
before), and at Evidently's 0.1: *independent* rows of a shop (20,000 learnt, windows of 500); a *panel* of 80 shops by
week whose prices, stock and weather move together (63 weeks learnt, windows of 500 rows, four histories); *seasons* of
the day, week and year (60 weeks learnt, 250 rows a day, windows of 500 rows, four histories); real *orders* (the
retail team's features; of every four weeks three are learnt, the fourth is judged in windows of 200 rows). Alarms are
those of the default rule. Below, the share of {MOVED_WINDOWS} windows of which one column, shifted by so many
deviations, drifts: one that moves with its source, and one that does not."""
HEADER = ("", "windows", "with blocks", "as before", "at 0.1")


class Judged(NamedTuple):
    """Verdicts on the same windows: with blocks, and as before."""

    blocks: list[WindowVerdict]
    before: list[WindowVerdict]


def compare(quick: bool = False) -> Section:
    """Judge quiet and moved windows of each source."""
    rows: list[list[str]] = []
    promises: list[Promise] = []
    for source in SOURCES[:2] if quick else SOURCES:
        lives = [_lived(source, seed, 12 if quick else None) for seed in range(1 if quick else source.seeds)]
        rows.append(_row(f"{source.name}: alarms when quiet", lives))
        rows += _powers(source, 5 if quick else MOVED_WINDOWS)
        share = 100 * sum(life[1] for life in lives) / sum(life[0] for life in lives)
        promises.append(Promise(f"quiet windows that alarm, {source.name}", share, 1, " %"))
    return Section("Drift: rows that depend on each other", HOW, HEADER, rows, promises)


def judged(source: Source, seed: int, windows: Sequence[pa.Table]) -> Judged:
    """Judge windows of a source by both profiles of its training set."""
    plain, blocks = profiles(source.learnt(seed), source.rows, seed)
    both = [(_verdict(blocks, window), _verdict(plain, window)) for window in windows]
    return Judged([one for one, _ in both], [one for _, one in both])


def alarms(verdicts: Sequence[WindowVerdict]) -> int:
    """Count the windows at which the default rule alarms."""
    return sum(alarm(Drift(), verdicts[: end + 1]) is not None for end in range(len(verdicts)))


def _lived(source: Source, seed: int, most: int | None) -> tuple[int, ...]:
    """Count windows, alarms with blocks and as before, and windows with a column beyond the plain threshold."""
    found = judged(source, seed, source.quiet(seed)[:most])
    plain = sum(any(_plain(one.columns[name].score, name) for name in one.columns) for one in found.before)
    return len(found.blocks), alarms(found.blocks), alarms(found.before), plain


def _powers(source: Source, most: int) -> list[list[str]]:
    windows = source.quiet(0)[:most]
    plain, blocks = profiles(source.learnt(0), source.rows, 0)
    rows: list[list[str]] = []
    for column in source.moved:
        std = cast("NumericColumn", plain.columns[column]).std
        for shift in SHIFTS:
            found = [_finds(plain, blocks, column, _moved(window, column, shift * std)) for window in windows]
            rows.append([f"{source.name}: {column} by {shift}", f"{len(windows)}", *_shares(found)])
    return rows


def _finds(plain: Profile, blocks: Profile, column: str, window: pa.Table) -> tuple[bool, ...]:
    """Say whether a moved column drifts by both profiles, and by the plain threshold."""
    counted = plain.columns[column].count(window.column(column))
    score = plain.columns[column].measure(counted)[0].score
    bounds = [bound(profile, column, counted.rows, lasted(window)).value for profile in (blocks, plain)]
    return score >= bounds[0], score >= bounds[1], _plain(score, column)


def _moved(window: pa.Table, column: str, by: float) -> pa.Table:
    values = np.asarray(window.column(column).to_numpy()) + by
    return window.set_column(window.column_names.index(column), column, pa.array(values))


def _verdict(profile: Profile, window: pa.Table) -> WindowVerdict:
    rows = window.drop_columns([EVENT_TIME]) if EVENT_TIME in window.column_names else window
    return judge_table(profile, rows, profile_window(profile, rows, lasted(window)))


def _plain(score: float, name: str) -> bool:
    return name != JOINT and score >= FLOOR


def _row(name: str, found: Sequence[tuple[int, ...]]) -> list[str]:
    windows, *counts = (sum(each) for each in zip(*found, strict=True))
    return [name, f"{windows}", *(f"{100 * count / windows:.1f} %" for count in counts)]


def _shares(found: Sequence[tuple[bool, ...]]) -> list[str]:
    return [f"{100 * np.mean(each):.0f} %" for each in zip(*found, strict=True)]
