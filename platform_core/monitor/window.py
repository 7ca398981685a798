"""One window of served requests against the profile of the version that answered them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from platform_core.monitor.distance import SMALLEST_STD, Floats, finite, js_distance
from platform_core.monitor.profile import CategoryColumn, Column, NumericColumn, Profile
from platform_core.monitor.threshold import share_threshold, threshold
from platform_core.monitor.values import SCORE, as_counts, as_numbers, numbers, objects
from platform_core.specs.model import Drift

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class ColumnVerdict:
    """How far a column has moved: ``score`` in deviations, or Jensen-Shannon distance; 0 where it has no values.

    ``unseen_share`` of its values the training set never showed. A column has drifted when its score reaches the
    threshold, or when its ``missing_share`` has moved by more than chance and 0.1.
    """

    score: float
    threshold: float
    drifted: bool
    unseen_share: float
    missing_share: float


@dataclass(frozen=True)
class WindowVerdict:
    """What a window shows: a verdict a column; none while there are not ``enough`` rows to judge by."""

    rows: int
    enough: bool
    columns: Mapping[str, ColumnVerdict]

    @property
    def drifted(self) -> tuple[str, ...]:
        """Name the columns that have drifted."""
        return tuple(name for name, verdict in self.columns.items() if verdict.drifted)


def judge_window(profile: Profile, window: pa.Table, min_rows: int = Drift.min_rows) -> WindowVerdict:
    """Judge rows of the prediction log (``features`` as JSON objects, ``score``)."""
    if window.num_rows < min_rows:
        return WindowVerdict(window.num_rows, enough=False, columns={})
    served = columns(profile, window)
    verdicts = {name: _judge(profile, name, values) for name, values in served.items()}
    return WindowVerdict(window.num_rows, enough=True, columns=verdicts)


def columns(profile: Profile, window: pa.Table) -> dict[str, Sequence[Any] | Floats]:
    """Take the profile's columns out of rows of the prediction log; what was not served is None."""
    rows = objects(window.column("features"))
    served: dict[str, Sequence[Any] | Floats] = {
        name: [row.get(name) for row in rows] for name in profile.columns if name != SCORE
    }
    return {**served, SCORE: numbers(window.column(SCORE))}


def numeric_score(column: NumericColumn, values: Floats) -> float:
    """Measure the earth mover's distance between finite values and a profile, in the profile's deviations.

    Between two edges the profile's distribution is taken as a straight line; the values count as they are.
    """
    if not len(values) or not column.edges:
        return 0.0
    points = np.sort(np.concatenate([column.edges, values]))
    left, right = _reference(column, points)
    share = np.searchsorted(np.sort(values), points[:-1], side="right") / len(values)
    area = np.diff(points) @ _mean_gap(left - share, right - share)
    return float(area) / max(column.std, SMALLEST_STD)


def category_score(column: CategoryColumn, counts: Mapping[str, int]) -> float:
    """Measure the Jensen-Shannon distance between counts and a profile; unseen values count as other."""
    named = [counts.get(name, 0) for name in column.counts]
    other = sum(counts.values()) - sum(named)
    return js_distance([*column.counts.values(), column.other], [*named, other])


def _judge(profile: Profile, name: str, values: Sequence[Any] | Floats) -> ColumnVerdict:
    column = profile.columns[name]
    score, present, unseen = _measure(column, values)
    missing = 1 - present / len(values)
    bound = threshold(profile, name, present)
    allowed = share_threshold(column.missing_share, len(values), len(profile.columns))
    lost = name != SCORE and abs(missing - column.missing_share) > allowed
    return ColumnVerdict(score, bound, score >= bound or lost, unseen, missing)


def _measure(column: Column, values: Sequence[Any] | Floats) -> tuple[float, int, float]:
    """Return score, number of values and share of values that the profile does not know."""
    if isinstance(column, NumericColumn):
        present = finite(as_numbers(values))
        return numeric_score(column, present), len(present), 0.0
    counts = as_counts(values)
    total = sum(counts.values())
    unseen = sum(counts[name] for name in counts.keys() - column.counts.keys() - set(column.rest))
    return category_score(column, counts), total, unseen / total if total else 0.0


def _reference(column: NumericColumn, points: Floats) -> tuple[Floats, Floats]:
    """Return the profile's distribution at both ends of each stretch between sorted points, edges among them."""
    edges, at, below = np.array(column.edges), np.array(column.at), np.array(column.below)
    stretch = np.searchsorted(edges, points[:-1], side="right")  # 0: before the first edge
    start = np.concatenate([[0.0], at])[stretch]
    slope = np.concatenate([[0.0], (below[1:] - at[:-1]) / np.diff(edges), [0.0]])[stretch]
    origin = np.concatenate([edges[:1], edges])[stretch]
    return start + slope * (points[:-1] - origin), start + slope * (points[1:] - origin)


def _mean_gap(left: Floats, right: Floats) -> Floats:
    """Average the absolute value of straight lines that run from ``left`` to ``right``."""
    total = np.abs(left) + np.abs(right)
    crossing = (left**2 + right**2) / np.where(total == 0, 1, 2 * total)
    return np.asarray(np.where(left * right >= 0, total / 2, crossing))
