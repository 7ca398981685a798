"""Fairness section of a model's page: declared groups, window by window."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from loopline.platform_core.monitor.quality import fairness_verdicts
from loopline.platform_core.specs.quality import unit
from loopline.portal.page import Chart, Line, Point

if TYPE_CHECKING:
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.monitor.quality.fairness_verdicts import FairnessAt
    from loopline.portal.page_request import Portal

SHOWN = 120


@dataclass(frozen=True)
class GroupRow:
    """One group's figure with its 95 % interval, of so many rows."""

    name: str
    value: float
    low: float
    high: float
    rows: int


@dataclass(frozen=True)
class FairnessPart:
    """A rule over time: how far (signed) the farthest group lies from the whole, to stay ``within`` a bound.

    ``unit`` is "%" of shares, else that of the metric.
    """

    column: str
    metric: str
    version: str
    since: datetime
    until: datetime
    verdict: str
    group: str
    gap: float
    within: float
    unit: str
    groups: list[GroupRow]
    chart: Chart


def read(portal: Portal, ref: ModelRef) -> list[FairnessPart]:
    """Read each rule's verdicts; empty where a model declares no groups, or none was judged yet."""
    rules: dict[tuple[str, str], list[FairnessAt]] = {}
    for found in fairness_verdicts.history(portal.platform, ref):
        rules.setdefault((found.column, found.metric), []).append(found)
    path = f"/models/{ref}/charts/fairness"
    model = portal.declared(ref)
    units = ("%" if (told := unit(model, metric)) is None else told for _, metric in rules)
    parts = enumerate(zip(rules.values(), units, strict=True))
    return [_part(history[-SHOWN:], told, f"{path}/{place}") for place, (history, told) in parts]


def _part(history: list[FairnessAt], unit: str, source: str) -> FairnessPart:
    newest = history[-1]
    gap = Line(
        "farthest group", [Point(at.until, at.gap, at.low, at.high, f"{at.group}: {at.verdict}") for at in history]
    )
    above = Line("allowed above", [Point(at.until, at.within) for at in history], "bound")
    below = Line("allowed below", [Point(at.until, -at.within) for at in history], "bound")
    title = f"{newest.metric.replace('_', ' ')} by {newest.column}: the farthest group less the whole"
    return FairnessPart(
        *(newest.column, newest.metric, newest.version, newest.since, newest.until, newest.verdict),
        *(newest.group, newest.gap, newest.within, unit),
        groups=[GroupRow(group.name, group.value, group.low, group.high, group.rows) for group in newest.groups],
        chart=Chart(title, [gap, above, below], [], unit, source=source),
    )
