"""Pages of the scorecard: DORA metrics, service levels, cost and reuse, with definitions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, ClassVar

from fastapi import APIRouter, Path, Query, Response

from loopline import scorecard
from loopline.platform_core.errors import NotFound
from loopline.portal.page import Chart, ChartPage, Line, Page, Point
from loopline.portal.page_request import CurrentRequest, Portal
from loopline.portal.sparks import spark
from loopline.scorecard.definitions import DEFINITIONS, TOPICS, Definition

if TYPE_CHECKING:
    from loopline.scorecard import Figure

router = APIRouter()
SPARK_DAYS = 90
SCOPES_DRAWN = 6
Scope = Annotated[str, Query(max_length=256)]
FigureInPath = Annotated[str, Path(pattern=r"^\w+$", max_length=64)]


@dataclass(frozen=True)
class FigureRow:
    """One figure of a scope as it is now; ``spark`` is its last 90 days as the points of a line in a box of 100 by 24.

    ``value`` is None where there is nothing to compute it from, and ``reason`` says why; ``count`` is of cases.
    """

    name: str
    title: str
    value: float | None
    unit: str
    better: str
    count: int
    reason: str
    how: str
    at: datetime
    before: float | None
    spark: str

    @property
    def path(self) -> str:
        """Return the address of its page."""
        return f"/scorecard/{self.name}"


@dataclass(frozen=True)
class TopicPart:
    """Figures of one topic."""

    title: str
    figures: list[FigureRow]


@dataclass(frozen=True)
class ScorecardPage(Page):
    """The scorecard of the whole organisation (scope ""), or of a team, or of one model."""

    template: ClassVar[str] = "scorecard.html"
    section: ClassVar[str] = "/scorecard"
    scope: str
    scopes: list[str]
    at: datetime | None
    topics: list[TopicPart]

    @property
    def title(self) -> str:
        """Return whose scorecard it is."""
        return f"Scorecard of {self.scope}" if self.scope else "Scorecard"


@dataclass(frozen=True)
class ScopeRow:
    """A figure of one scope."""

    scope: str
    value: float | None
    count: int
    reason: str


@dataclass(frozen=True)
class FigurePage(Page):
    """One figure: how it is computed, over time, and each team's."""

    template: ClassVar[str] = "figure.html"
    section: ClassVar[str] = "/scorecard"
    name: str
    heading: str
    unit: str
    better: str
    how: str
    chart: Chart | None
    scopes: list[ScopeRow]

    @property
    def title(self) -> str:
        """Return the figure's title."""
        return self.heading

    @property
    def crumbs(self) -> list[tuple[str, str]]:
        """Return the scorecard."""
        return [("Scorecard", "/scorecard")]


@router.get("/scorecard", response_model=ScorecardPage)
def page(ask: CurrentRequest, scope: Scope = "") -> Response:
    """Show the scorecard of a scope."""
    newest = scorecard.latest(ask.platform)
    scopes = sorted({figure.scope for figure in newest} | {team.name for team in ask.portal.teams})
    figures = [f for f in newest if f.scope == scope] or scorecard.latest(ask.platform, scope)
    if scope and scope not in scopes and not figures:
        raise NotFound(f"there is no scorecard of {scope!r}", f"there are those of {', '.join(filter(None, scopes))}")
    past = scorecard.histories(ask.platform, scope)
    rows = [_row(figure, past.get(figure.name, [])) for figure in figures]
    topics = [
        TopicPart(title, [row for row in rows if DEFINITIONS[row.name].topic == topic])
        for topic, title in TOPICS.items()
    ]
    at = max((figure.at for figure in figures), default=None)
    return ask.answer(ScorecardPage(scope, [s for s in scopes if s], at, [part for part in topics if part.figures]))


@router.get("/scorecard/{name}", response_model=FigurePage)
def figure(ask: CurrentRequest, name: FigureInPath) -> Response:
    """Show one figure."""
    return ask.answer(_figure(ask.portal, name))


@router.get("/scorecard/{name}/chart", response_model=ChartPage)
def chart(ask: CurrentRequest, name: FigureInPath) -> Response:
    """Show what the chart of a figure draws."""
    page = _figure(ask.portal, name)
    if page.chart is None:
        raise NotFound(f"{page.heading!r} was not computed yet", "run 'loopline scorecard --refresh'")
    return ask.answer(ChartPage(page.chart, (page.heading, f"/scorecard/{name}")))


def _figure(portal: Portal, name: str) -> FigurePage:
    if name not in DEFINITIONS:
        raise NotFound(f"no figure is called {name!r}", f"there are {', '.join(DEFINITIONS)}")
    found, newest = DEFINITIONS[name], [f for f in scorecard.latest(portal.platform) if f.name == name]
    rows = [ScopeRow(f.scope, f.value, f.count, f.reason) for f in sorted(newest, key=lambda f: f.scope)]
    unit = newest[0].unit if newest else found.unit
    drawn = _chart(portal, found, unit, [row.scope for row in rows])
    return FigurePage(name, found.title, unit, found.better, found.how, drawn, rows)


def _row(figure: Figure, past: Sequence[Figure]) -> FigureRow:
    definition = DEFINITIONS[figure.name]
    values = [one.value for one in past[-SPARK_DAYS:]]
    earlier = [value for value in values[:-1] if value is not None]
    return FigureRow(
        name=figure.name,
        title=definition.title,
        value=figure.value,
        unit=figure.unit,
        better=definition.better,
        count=figure.count,
        reason=figure.reason,
        how=figure.how,
        at=figure.at,
        before=earlier[0] if earlier else None,
        spark=spark(values),
    )


def _chart(portal: Portal, found: Definition, unit: str, scopes: Sequence[str]) -> Chart | None:
    lines = [
        Line(scope or "all teams", [Point(one.at, one.value) for one in past])
        for scope in scopes[:SCOPES_DRAWN]
        if (past := scorecard.history(portal.platform, found.name, scope))
    ]
    source = f"/scorecard/{found.name}/chart"
    return Chart(found.title, lines, [], "%" if unit == "share" else unit, source=source) if lines else None
