"""Drift rule: when drifted windows of a version start a retraining cycle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from loopline.platform_core.foundation.clock import dates
from loopline.platform_core.monitor.drift.drift_verdicts import JOINT

if TYPE_CHECKING:
    from loopline.platform_core.monitor.drift.drift_verdicts import ColumnVerdict, WindowVerdict
    from loopline.platform_core.specs.model import Drift

NAMED = 4
"""Columns whose figures a reason gives; an alarm's ``columns`` has them all."""
AT_ONCE = 2
"""Columns that must drift together before a single window alarms, however few columns a model has."""


@dataclass(frozen=True)
class Alarm:
    """Drift worth a turn of the loop: the columns that moved, the rule that says so, and how each of them moved.

    ``size`` is how many times its threshold the farthest of them reaches.
    """

    columns: tuple[str, ...]
    reason: str
    moved: Mapping[str, str] = field(default_factory=dict)
    size: float = 0.0


def alarm(rule: Drift, windows: Sequence[WindowVerdict]) -> Alarm | None:
    """Hold a version's windows, newest last, against the rule."""
    if not windows:
        return None
    newest = windows[-1]
    apart, columns = len(set(newest.drifted) - {JOINT}), len(newest.columns.keys() - {JOINT})
    if apart >= max(AT_ONCE, rule.share * columns):
        return _explained(newest.drifted, f"{apart} of {columns} columns drifted at once", [newest])
    recent = windows[-rule.windows :]
    times = Counter(name for window in recent for name in window.drifted)
    again = tuple(sorted(name for name, count in times.items() if count >= rule.alarms))
    return _explained(again, f"drifted in {rule.alarms} of {rule.windows} windows", recent) if again else None


def _explained(names: Sequence[str], what: str, windows: Sequence[WindowVerdict]) -> Alarm:
    """Tell of each column the window in which it moved farthest, the farthest beyond its threshold first."""
    drifted = {name: [w.columns[name] for w in windows if name in w.drifted] for name in names}
    most = {name: max(found, key=_beyond) for name, found in drifted.items()}
    moved = {name: _figure(name, most[name]) for name in sorted(most, key=lambda name: -_beyond(most[name]))}
    more = [f"and {len(moved) - NAMED} more"] if len(moved) > NAMED else []
    size = max(_times(verdict) for verdict in most.values())
    when = dates(windows[0].since, windows[-1].until)
    what = f"{what} ({when})" if when else what
    return Alarm(tuple(names), f"{what}: {'; '.join([*list(moved.values())[:NAMED], *more])}", moved, size)


def _times(verdict: ColumnVerdict) -> float:
    return verdict.score / verdict.threshold if verdict.threshold else 0.0


def _beyond(verdict: ColumnVerdict) -> float:
    return verdict.score - verdict.threshold


def _figure(name: str, verdict: ColumnVerdict) -> str:
    """Give a column's score with its threshold, and how it moved."""
    moved = f": {verdict.moved}" if verdict.moved else ""
    if verdict.score >= verdict.threshold:
        return f"{name} {verdict.score:.2f} (from {verdict.threshold:.2f}){moved}"
    return f"{name} missing in {verdict.missing_share:.0%}{moved}"
