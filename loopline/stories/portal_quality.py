"""Synthetic weekly quality and fairness figures, for the portal's test data."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from msgspec.structs import replace

from loopline.platform_core.loop.rollouts import quality_table
from loopline.platform_core.loop.rollouts.quality_table import Row
from loopline.platform_core.monitor.quality import fairness_verdicts, quality_figures
from loopline.platform_core.monitor.quality.fairness_verdicts import Group, Judged, Verdict
from loopline.platform_core.monitor.quality.quality_figures import WindowFigure

if TYPE_CHECKING:
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.platform import Platform

SEGMENTS = {"": 0.0, "country=France": 0.012, "country=Spain": -0.021, "country=Italy": 0.004}
SPAN = timedelta(days=7)
LATE = 3
"""Weeks at the end whose labels have not all come."""


def tell(platform: Platform, ref: ModelRef, changes: dict[str, datetime], now: datetime) -> None:
    """Keep a window a week: ``changes`` says when each version went live; labels of the last weeks still come."""
    begins = sorted(changes.items(), key=_at)
    rows: list[Row] = []
    for place, (version, since) in enumerate(begins):
        until = begins[place + 1][1] if place + 1 < len(begins) else now
        rows += _weeks(version, since, until, now)
    quality_table.put(platform.ledger, ref, rows, "story")


def _weeks(version: str, since: datetime, until: datetime, now: datetime) -> Iterator[Row]:
    for week in range(int((until - since) / SPAN)):
        begin = since + week * SPAN
        left = (now - begin) / SPAN
        labelled = min(1.0, left / (LATE + 1))
        measured = quality_figures.encode(list(_figures(version, week, labelled)))
        judged = fairness_verdicts.encode([_judged(week, labelled)])
        yield Row(version, begin, begin + SPAN, now, "story", measured, judged)


def _figures(version: str, week: int, labelled: float) -> Iterator[WindowFigure]:
    level = 0.72 + 0.012 * (int(version) % 4) - 0.004 * week
    for segment, apart in SEGMENTS.items():
        rows = 7000 if not segment else 1900
        wide = 0.9 / math.sqrt(rows * labelled)
        for metric, less in (("roc_auc", 0.0), ("recall", 0.08)):
            value = level + apart - less + 0.004 * math.sin(week + len(segment))
            yield _window_figure(metric, segment, value, wide, (rows, int(rows * labelled)))
        value = level + apart + 0.006
        yield replace(_window_figure("roc_auc", segment, value, 0.015, (rows, int(rows * labelled))), estimated=True)


def _window_figure(metric: str, segment: str, value: float, wide: float, counts: tuple[int, int]) -> WindowFigure:
    return WindowFigure(
        metric=metric,
        segment=segment,
        value=value,
        low=value - wide,
        high=value + wide,
        rows=counts[0],
        labelled=counts[1],
        estimated=False,
    )


def _judged(week: int, labelled: float) -> Judged:
    gap = -0.03 - 0.006 * week
    counted = int(1900 * labelled)
    groups = [
        Group(name, 0.66 + apart, 0.63 + apart, 0.69 + apart, counted)
        for name, apart in (("France", 0.01), ("Italy", 0.0), ("Spain", gap))
    ]
    verdict: Verdict = "unfair" if gap < -0.09 else "open" if gap < -0.06 else "fair"
    return Judged("country", "recall", 0.08, verdict, "Spain", gap, gap - 0.03, gap + 0.03, 3 * counted, groups)


def _at(change: tuple[str, datetime]) -> datetime:
    return change[1]
