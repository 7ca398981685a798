"""Drift window: counts and judges served requests against the profile of the version that answered."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.foundation.names import EVENT_TIME
from loopline.platform_core.monitor.drift import joint
from loopline.platform_core.monitor.drift.columns import CategoryTally, Column, Tally, added
from loopline.platform_core.monitor.drift.drift_verdicts import JOINT, ColumnVerdict, WindowVerdict
from loopline.platform_core.monitor.drift.profile import Profile
from loopline.platform_core.monitor.drift.served import as_table
from loopline.platform_core.monitor.drift.threshold import beyond_blocks, bound, chance, missing_bound
from loopline.platform_core.monitor.drift.values import is_answer
from loopline.platform_core.specs.model import Drift

CHUNK = 250_000
"""Rows of a column that are counted at a time, so that memory does not grow with the window."""

MANY, THREADS = 50_000, 2
"""From so many rows on, so many columns are counted at a time."""


@dataclass(frozen=True)
class WindowProfile:
    """Tallies of a window's columns against the reference named by ``digest``; those of several windows merge.

    ``seconds`` is how long the window lasts, where that is known.
    """

    digest: str
    rows: int
    columns: Mapping[str, Tally] = field(repr=False)
    seconds: float | None = None


def judge_window(profile: Profile, window: pa.Table, min_rows: int = Drift.min_rows) -> WindowVerdict:
    """Judge rows of the prediction log (``features`` as JSON objects, ``score``)."""
    if window.num_rows < min_rows:
        return WindowVerdict(window.num_rows, enough=False, columns={})
    rows = as_table(window, profile.sample.schema)
    return judge_table(profile, rows, profile_window(profile, rows, lasted(window)))


def judge_table(profile: Profile, rows: pa.Table, counted: WindowProfile | None = None) -> WindowVerdict:
    """Judge rows whose columns are those of the profile's sample, also when they are millions.

    ``counted`` are the same rows, where they were counted already.
    """
    counted = counted or profile_window(profile, rows)
    verdict = judge(profile, counted)
    found = joint.judge(profile, rows, chance(profile), without=verdict.drifted)
    if found is None:
        return verdict
    blocks = beyond_blocks(profile, JOINT, counted.rows, counted.seconds)
    bound = max(found.threshold, joint.HALF + blocks.reach)
    drifted = found.area >= bound
    bound = min(bound, 1.0)
    how = _sentence(found.tells, blocks.words if drifted and bound > found.threshold else "")
    together = ColumnVerdict(found.area, bound, drifted, 0.0, 0.0, "joint", how)
    return WindowVerdict(verdict.rows, verdict.enough, {**verdict.columns, JOINT: together})


def judge_batches(profile: Profile, batches: Iterable[pa.Table]) -> WindowVerdict:
    """Judge one window that comes in pieces, such as row groups of a file; memory is that of a piece.

    Raises:
        ContractBroken: there is no piece.
    """
    counted: list[WindowProfile] = []
    kept: list[pa.Table] = []
    for batch in batches:
        counted.append(profile_window(profile, batch))
        kept.append(joint.sampled(batch, seed=len(kept)))
        counted = [merge(counted)]
    return judge_table(profile, pa.concat_tables(kept), merge(counted)) if kept else judge(profile, merge(counted))


def lasted(window: pa.Table) -> float | None:
    """Return how many seconds lie between a window's first and last event; None where it has no times."""
    if EVENT_TIME not in window.column_names or not window.num_rows:
        return None
    ends = pc.min_max(window.column(EVENT_TIME)).as_py()
    return float((ends["max"] - ends["min"]).total_seconds())


def profile_window(profile: Profile, rows: pa.Table, seconds: float | None = None) -> WindowProfile:
    """Count rows whose columns are those of the profile's sample, and say how long they lasted."""
    with ThreadPoolExecutor(THREADS if rows.num_rows > MANY else 1) as pool:  # sorting lets other threads go on
        tallies = pool.map(lambda name: _tally(profile.columns[name], rows.column(name)), profile.columns)
        return WindowProfile(profile.digest, rows.num_rows, dict(zip(profile.columns, tallies, strict=True)), seconds)


def merge(windows: Sequence[WindowProfile]) -> WindowProfile:
    """Add windows up: the result is that of one window with all their rows.

    Raises:
        ContractBroken: they were counted against different references, or there is none.
    """
    if len({window.digest for window in windows}) != 1:
        raise ContractBroken("windows of different model versions do not add up", "merge those of one version")
    names = windows[0].columns
    columns = {name: added([window.columns[name] for window in windows]) for name in names}
    lengths = [window.seconds for window in windows if window.seconds is not None]
    seconds = sum(lengths) if len(lengths) == len(windows) else None
    return WindowProfile(windows[0].digest, sum(window.rows for window in windows), columns, seconds)


def judge(profile: Profile, window: WindowProfile) -> WindowVerdict:
    """Judge what was counted, column by column; what was answered only where answers were counted."""
    names = [name for name in profile.columns if window.columns[name].rows or not is_answer(name)]
    verdicts = {name: _judge(profile, name, window.columns[name], window.seconds) for name in names}
    return WindowVerdict(window.rows, enough=True, columns=verdicts)


def _tally(column: Column, values: pa.ChunkedArray) -> Tally:
    starts = range(0, max(len(values), 1), CHUNK)
    return added([column.count(values.slice(start, CHUNK)) for start in starts])


def _judge(profile: Profile, name: str, window: Tally, seconds: float | None) -> ColumnVerdict:
    column = profile.columns[name]
    measured = [(part, bound(profile, name, window.rows, seconds, part.name)) for part in column.measure(window)]
    part, limit = max(measured, key=lambda pair: pair[0].score / pair[1].value)
    missing = 1 - window.rows / window.total if window.total else 0.0
    allowed = missing_bound(profile, name, window.total, seconds)
    lost = not is_answer(name) and abs(missing - column.missing_share) > allowed.value
    unseen = window.unseen / window.rows if isinstance(window, CategoryTally) and window.rows else 0.0
    far = part.score >= limit.value
    moved = _sentence(
        f"missing {column.missing_share:.0%} → {missing:.0%}" if lost else "",
        allowed.words if lost else "",
        column.describe(window) if window.rows and column.rows else "",
        limit.words if far else "",
    )
    return ColumnVerdict(part.score, limit.value, far or lost, unseen, missing, column.kind, moved)


def _sentence(*parts: str) -> str:
    return ", ".join(part for part in parts if part)
