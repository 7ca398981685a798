"""Pages of retraining cycles: the list, and each one's timeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal

from fastapi import APIRouter, Query, Response
from sqlalchemy import func, select

from loopline.platform_core.errors import LooplineError
from loopline.platform_core.loop import history
from loopline.platform_core.loop.cycles.cycle_holds import Hold, holds
from loopline.platform_core.loop.cycles.cycles import Cycle, cycle, from_row
from loopline.platform_core.loop.ledger import tables
from loopline.platform_core.loop.ledger.ledger import Ledger
from loopline.platform_core.loop.rollouts import arrival
from loopline.platform_core.loop.rollouts.arrival import Answers
from loopline.portal.cycle_steps import Step, steps
from loopline.portal.page import Page, Slice
from loopline.portal.page_request import CurrentRequest, Portal
from loopline.portal.pages.params import CycleInPath, Start

router = APIRouter()
PAGE = 50
State = Literal["all", "open", "promoted", "rejected", "rolled_back", "failed"]
WAITING_SECONDS = 3.0
"""How long a page waits for Dagster before it goes without its runs."""


@dataclass(frozen=True)
class CycleRow:
    """One turn of the loop; ``verdict`` is "" while it is open, ``seconds`` by the platform's clock."""

    cycle_id: str
    team: str
    model: str
    cause: str
    state: str
    opened_at: datetime
    closed_at: datetime | None
    seconds: float | None
    verdict: str
    drill: dict[str, float]


@dataclass(frozen=True)
class CyclesPage(Page):
    """Cycles of all models, the newest first."""

    template: ClassVar[str] = "cycles.html"
    section: ClassVar[str] = "/cycles"
    state: State
    team: str
    model: str
    counts: dict[str, int]
    slice: Slice
    cycles: list[CycleRow]

    @property
    def title(self) -> str:
        """Return what the list is of."""
        return f"Cycles of {self.team}/{self.model}" if self.model else "Cycles"


@dataclass(frozen=True)
class CyclePage(Page):
    """One cycle in order, and when it was held by its data. ``runs_url`` lists its runs in Dagster, "" without one.

    ``answers`` says since when an endpoint answers everybody with its version.
    """

    template: ClassVar[str] = "cycle.html"
    section: ClassVar[str] = "/cycles"
    cycle: CycleRow
    holds: list[Hold]
    answers: Answers
    steps: list[Step]
    runs_url: str

    @property
    def title(self) -> str:
        """Return what the cycle is of, and when it opened."""
        return f"Cycle of {self.cycle.team}/{self.cycle.model}, {self.cycle.opened_at:%Y-%m-%d %H:%M} UTC"

    @property
    def crumbs(self) -> list[tuple[str, str]]:
        """Return the list, and the model."""
        name = f"{self.cycle.team}/{self.cycle.model}"
        return [("Cycles", "/cycles"), (name, f"/models/{name}")]


@dataclass(frozen=True)
class RunRow:
    """A run of Dagster that turned the cycle; times are the wall's."""

    run_id: str
    job: str
    status: str
    started_at: datetime | None
    seconds: float | None
    url: str


@dataclass(frozen=True)
class RunsPart(Page):
    """The runs of a cycle, as Dagster tells them; ``trouble`` says why there are none to tell."""

    template: ClassVar[str] = "cycle_runs.html"
    runs: list[RunRow]
    trouble: str


@router.get("/cycles", response_model=CyclesPage)
def page(
    ask: CurrentRequest,
    state: State = "all",
    team: Annotated[str, Query(max_length=128)] = "",
    model: Annotated[str, Query(max_length=128)] = "",
    start: Start = 0,
) -> Response:
    """List cycles."""
    ledger = ask.platform.ledger
    of = {"team": team, "model": model}
    counts = _counts(ledger, of)
    chosen = of | ({} if state == "all" else {"state": state})
    total = sum(counts.values()) if state == "all" else counts.get(state, 0)
    rows = [row_of(found) for found in _select(ledger, chosen, start)]
    return ask.answer(CyclesPage(state, team, model, counts, Slice(start, PAGE, total), rows))


@router.get("/cycles/{cycle_id}", response_model=CyclePage)
def one(ask: CurrentRequest, cycle_id: CycleInPath) -> Response:
    """Tell a cycle."""
    ledger = ask.platform.ledger
    found = cycle(ledger, cycle_id)
    told, answers = history.of_cycle(ledger, found.ref, cycle_id), arrival.answers(ledger, found)
    runs_url = ask.portal.links.runs_of_cycle(cycle_id)
    return ask.answer(CyclePage(row_of(found), holds(told), answers, steps(told), runs_url))


@router.get("/cycles/{cycle_id}/runs", response_model=RunsPart)
def runs(ask: CurrentRequest, cycle_id: CycleInPath) -> Response:
    """Ask Dagster for a cycle's runs; a part of the cycle's page."""
    try:
        return ask.answer(RunsPart(_runs(ask.portal, cycle_id), ""))
    except LooplineError as error:
        return ask.answer(RunsPart([], f"{error.problem}; {error.fix}"))


def row_of(shown: Cycle) -> CycleRow:
    """Return a cycle as a row."""
    seconds = (shown.closed_at - shown.opened_at).total_seconds() if shown.closed_at else None
    plain = (shown.cycle_id, *shown.ref, shown.cause, shown.state, shown.opened_at, shown.closed_at)
    return CycleRow(*plain, seconds, shown.verdict, dict(shown.drill))


def _select(ledger: Ledger, chosen: dict[str, str], start: int) -> Sequence[Cycle]:
    newest = (tables.cycles.c.opened_at.desc(), tables.cycles.c.entry_id.desc())
    query = select(tables.cycles).where(*_conditions(chosen)).order_by(*newest).offset(start).limit(PAGE)
    with ledger.reading() as connection:
        return [from_row(row) for row in connection.execute(query).mappings()]


def _counts(ledger: Ledger, chosen: dict[str, str]) -> dict[str, int]:
    state = tables.cycles.c.state
    query = select(state, func.count()).where(*_conditions(chosen)).group_by(state)
    with ledger.reading() as connection:
        return {str(name): int(count) for name, count in connection.execute(query)}


def _conditions(chosen: dict[str, str]) -> list[Any]:
    return [tables.cycles.c[name] == value for name, value in chosen.items() if value]


def _runs(portal: Portal, cycle_id: str) -> list[RunRow]:
    dagster = portal.dagster(WAITING_SECONDS)
    return [_run(portal, run) for run in dagster.runs({"loopline/cycle": cycle_id})] if dagster else []


def _run(portal: Portal, run: dict[str, Any]) -> RunRow:
    began, ended = run["startTime"], run["endTime"]
    at = datetime.fromtimestamp(began, UTC) if began else None
    seconds = ended - began if began and ended else None
    return RunRow(run["runId"], run["jobName"], run["status"].lower(), at, seconds, portal.links.run(run["runId"]))
