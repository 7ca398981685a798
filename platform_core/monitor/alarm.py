"""When drift is worth a turn of the loop."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from platform_core.monitor.values import JOINT

if TYPE_CHECKING:
    from platform_core.monitor.window import ColumnVerdict, WindowVerdict
    from platform_core.specs.model import Drift

NAMED = 6
"""Columns whose figures a reason gives; an alarm's ``columns`` has them all."""
AT_ONCE = 2
"""Columns that must drift together before a single window alarms, however few columns a model has."""


@dataclass(frozen=True)
class Alarm:
    """Drift worth a turn of the loop: the columns that moved, and the rule that says so."""

    columns: tuple[str, ...]
    reason: str


def alarm(rule: Drift, windows: Sequence[WindowVerdict]) -> Alarm | None:
    """Hold a version's windows, newest last, against the rule."""
    if not windows:
        return None
    newest = windows[-1]
    apart, columns = len(set(newest.drifted) - {JOINT}), len(newest.columns.keys() - {JOINT})
    if apart >= max(AT_ONCE, rule.share * columns):
        return Alarm(
            newest.drifted, f"{apart} of {columns} columns drifted at once: {_figures(newest, newest.drifted)}"
        )
    recent = windows[-rule.windows :]
    times = Counter(name for window in recent for name in window.drifted)
    again = tuple(sorted(name for name, count in times.items() if count >= rule.alarms))
    if not again:
        return None
    worst = max(recent, key=lambda window: len(set(again) & set(window.drifted)))
    return Alarm(again, f"drifted in {rule.alarms} of {rule.windows} windows: {_figures(worst, again)}")


def _figures(window: WindowVerdict, names: Sequence[str]) -> str:
    """Name the columns that moved in this window, the farthest beyond their threshold first."""
    moved = {name: window.columns[name] for name in names if name in window.drifted}
    first = sorted(moved, key=lambda name: moved[name].threshold - moved[name].score)
    more = [f"and {len(first) - NAMED} more"] if len(first) > NAMED else []
    return "; ".join([_figure(name, moved[name]) for name in first[:NAMED]] + more)


def _figure(name: str, verdict: ColumnVerdict) -> str:
    """Give a column's score with its threshold, and how it moved."""
    moved = f": {verdict.moved}" if verdict.moved else ""
    if verdict.score >= verdict.threshold:
        return f"{name} {verdict.score:.2f} (from {verdict.threshold:.2f}){moved}"
    return f"{name} missing in {verdict.missing_share:.0%}"
