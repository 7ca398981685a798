"""Experiments section of a model's page: difference with its interval by look, and verdicts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from loopline.platform_core.loop.rollouts import experiments
from loopline.portal.page import Chart, Line, Mark, Point

if TYPE_CHECKING:
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.loop.ledger.ledger import Entry
    from loopline.platform_core.loop.rollouts.experiments import Standing
    from loopline.portal.page_request import Portal

SHOWN = 5
POINTS = 200
"""Looks that are drawn: the newest."""


@dataclass(frozen=True)
class SideRow:
    """One side of an experiment: entities that met it, those of which the outcome is known, and their mean."""

    version: str
    met: int
    known: int
    mean: float | None


@dataclass(frozen=True)
class RailRow:
    """A guardrail: by how much the candidate is worse, and what it may be; None where too few are known."""

    name: str
    worse: float | None
    low: float | None
    at_most: float


@dataclass(frozen=True)
class ExperimentPart:
    """An experiment as it stands or ended; ``verdict`` is "" while it runs, ``said`` how its newest look went."""

    name: str
    outcome: str
    percent: int
    planned: int
    started_at: datetime
    by: str
    reason: str
    verdict: str
    why: str
    said: str
    sides: list[SideRow]
    rails: list[RailRow]
    chart: Chart | None


def read(portal: Portal, ref: ModelRef) -> list[ExperimentPart]:
    """Read the newest experiments of a model, the newest first."""
    ledger = portal.platform.ledger
    found = experiments.every(ledger, ref)[:SHOWN]
    return [_part(one, experiments.looks(ledger, one), place) for place, one in enumerate(found)]


def charts(portal: Portal, ref: ModelRef) -> list[Chart]:
    """Return the picture of each, an empty one where too little is known."""
    return [one.chart or Chart(one.outcome, [], []) for one in read(portal, ref)]


def _part(one: Standing, looks: Sequence[Entry], place: int) -> ExperimentPart:
    newest = looks[-1].details if looks else {}
    return ExperimentPart(
        name=one.name,
        outcome=str(one.settled["outcome"]),
        percent=one.percent,
        planned=one.settled["planned"],
        started_at=one.started_at,
        by=one.actor,
        reason=one.reason,
        verdict=one.end.verdict if one.end else "",
        why=one.end.reason if one.end else "",
        said=looks[-1].reason if looks else "",
        sides=_sides(one, newest),
        rails=[_rail(rail) for rail in newest.get("rails", [])],
        chart=_chart(one, looks[-POINTS:], place),
    )


def _sides(one: Standing, seen: Any) -> list[SideRow]:
    named = (("candidate", one.version), ("stable", one.stable))
    found = [(version, seen[side]) for side, version in named if side in seen]
    return [SideRow(version, side["met"], side["known"], side["mean"]) for version, side in found]


def _rail(rail: Any) -> RailRow:
    worse = rail["worse"] or {"value": None, "low": None}
    return RailRow(rail["name"], worse["value"], worse["low"], rail["at_most"])


def _chart(one: Standing, looks: Sequence[Entry], place: int) -> Chart | None:
    """Draw the difference with its interval, between the bounds within which two versions count as alike."""
    told = [(entry.at, entry.details["difference"], entry.reason) for entry in looks if entry.details["difference"]]
    if not told:
        return None
    points = [Point(at, found["value"], found["low"], found["high"], said) for at, found, said in told]
    effect, ends = one.settled["effect"], [told[0][0], told[-1][0]]
    bounds = [
        Line(f"{name} by the effect", [Point(at, value) for at in ends], "bound")
        for name, value in (("more", effect), ("less", -effect))
    ]
    title = f"{one.settled['outcome']}: version {one.version} less version {one.stable}".replace("_", " ")
    marks = [Mark(one.end.at, one.end.verdict)] if one.end else []
    source = f"/models/{one.ref}/charts/experiments/{place}"
    return Chart(title, [Line("difference", points), *bounds], marks, source=source)
