"""Drift simulation: judges recent windows of predictions with one column shifted; writes nothing."""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from loopline.platform_core.errors import NotFound, Unsupported
from loopline.platform_core.loop.deployments import packages
from loopline.platform_core.loop.deployments.deployments import deployment
from loopline.platform_core.monitor.drift.alarm import Alarm, alarm
from loopline.platform_core.monitor.drift.columns import NumericColumn
from loopline.platform_core.monitor.drift.drift_verdicts import WindowVerdict
from loopline.platform_core.monitor.drift.profile import Profile
from loopline.platform_core.monitor.drift.traffic import traffic, with_own_answers
from loopline.platform_core.monitor.drift.values import SCORE, objects
from loopline.platform_core.monitor.drift.window import judge_window

if TYPE_CHECKING:
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs.model import Drift

LIVE = "recent predictions"
SAMPLE = "the training set's sample"


@dataclass(frozen=True)
class Move:
    """What happens to a numeric column: times ``factor``, plus ``shift`` in its own units."""

    column: str
    factor: float = 1.0
    shift: float = 0.0


@dataclass(frozen=True)
class Simulated:
    """Verdicts on the newest window without and with the move, and whether and when it would alarm.

    ``anyway`` is the alarm of the same rows without the move; ``added`` are the columns that drift by the move alone.
    """

    version: str
    rows_from: str
    before: WindowVerdict
    after: WindowVerdict
    at_once: Alarm | None
    lasting: Alarm | None
    anyway: Alarm | None = None

    @property
    def added(self) -> tuple[str, ...]:
        """Name the columns that drift with the move and not without it."""
        return tuple(name for name in self.after.drifted if name not in self.before.drifted)

    @property
    def would_alarm(self) -> bool:
        """Say whether the move alarms, and not what moved before it."""
        return self.lasting is not None and (self.anyway is None or bool(set(self.added) & set(self.lasting.columns)))


def simulate(  # noqa: PLR0913, PLR0917 - which rows, and how they move
    platform: Platform, ref: ModelRef, rule: Drift, move: Move, rows: int | None, learnt: bool = False
) -> Simulated:
    """Judge the newest windows of ``rows`` rows (the rule's smallest when None) as they are, and moved.

    There are as many as the rule looks at; of fewer each stands again, as if it lasted. ``learnt`` takes rows of the
    training set although there are enough predictions.

    Raises:
        NotFound: nothing is live, or the column is not the model's. Unsupported: the column is a category.
    """
    version, profile = _live(platform, ref)
    _movable(profile, move.column)
    rows = rows or rule.min_rows
    rows_from, windows = LIVE, [] if learnt else _answered(platform, ref, version, profile, rows)
    if not windows:
        rows_from, windows = SAMPLE, [_drawn(profile, rows, seed) for seed in range(rule.windows)]
    before, after = [], []
    for window in windows[-rule.windows :]:
        before.append(judge_window(profile, window, rule.min_rows))
        after.append(judge_window(profile, moved(window, move), rule.min_rows))
    lasting, anyway = (alarm(rule, [*islice(cycle(each), rule.windows)]) for each in (after, before))
    return Simulated(version, rows_from, before[-1], after[-1], alarm(rule, after[-1:]), lasting, anyway)


def moved(window: pa.Table, move: Move) -> pa.Table:
    """Return the window with the column moved in its features; a missing value stays missing."""
    rows = objects(window.column("features"))
    for row in rows:
        if isinstance(row.get(move.column), int | float):
            row[move.column] = row[move.column] * move.factor + move.shift
    place = window.schema.get_field_index("features")
    return window.set_column(place, "features", pa.array([json.dumps(row) for row in rows], pa.string()))


def _live(platform: Platform, ref: ModelRef) -> tuple[str, Profile]:
    found = deployment(platform.ledger, ref)
    if found is None or found.stable is None:
        raise NotFound(f"nothing of {ref} is live", "train and deploy a version first")
    live = found.stable
    package = live.package if live.package.is_dir() else packages.fetched(platform, ref, live.version)
    return live.version, Profile.load(package)


def _movable(profile: Profile, name: str) -> None:
    numeric = [n for n, column in profile.columns.items() if isinstance(column, NumericColumn) and n != SCORE]
    if name in numeric:
        return
    fix = f"use one of {', '.join(numeric)}"
    if name in profile.columns and name != SCORE:
        raise Unsupported(f"column {name!r} is a category: it can be neither shifted nor multiplied", fix)
    raise NotFound(f"the model has no column {name!r}", fix)


def _answered(platform: Platform, ref: ModelRef, version: str, profile: Profile, rows: int) -> list[pa.Table]:
    """Cut what the endpoint answered into windows of about so many rows, as the monitor does."""
    found = traffic(platform, ref, version, profile, None)
    return [with_own_answers(window, version) for window in found.windows(rows, len(found.rows))]


def _drawn(profile: Profile, rows: int, seed: int) -> pa.Table:
    chosen = np.random.default_rng(seed).permutation(profile.sample.num_rows)[:rows]
    sample = profile.sample.take(np.sort(chosen))
    features: list[dict[str, Any]] = sample.drop_columns([SCORE]).to_pylist()
    texts = pa.array([json.dumps(row, default=str) for row in features], pa.string())
    return pa.table({"features": texts, SCORE: sample.column(SCORE)})
