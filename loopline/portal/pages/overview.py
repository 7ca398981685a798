"""List of all models: what is live and how it does; sorted, filtered and paged."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from fastapi import APIRouter, Query, Response

from loopline.portal import fleet_rows
from loopline.portal.fleet_rows import ModelRow
from loopline.portal.ordering import ListQuery, ordered
from loopline.portal.page import Page, Slice
from loopline.portal.page_request import CurrentRequest
from loopline.portal.pages.params import Size, Start, Text

router = APIRouter()
PAGE = 50
Sort = Literal["model", "since", "drift", "quality", "alarms", "cycle"]
Show = Literal["all", "live", "rollout", "drifted", "alarms", "frozen", "nothing_live"]


@dataclass(frozen=True)
class Asking(ListQuery):
    """What the list was asked for: ``text`` is looked for in team, model and owner."""

    show: Show
    sort: Sort


@dataclass(frozen=True)
class Totals:
    """How many models of the whole organisation are in which state."""

    models: int
    live: int
    rollouts: int
    drifted: int
    alarms: int
    frozen: int


@dataclass(frozen=True)
class OverviewPage(Page):
    """A page of the list of all models. ``everything_frozen`` says who froze everything and why, "" for nobody."""

    template: ClassVar[str] = "overview.html"
    section: ClassVar[str] = "/models"
    totals: Totals
    teams: list[str]
    everything_frozen: str
    quarantined: dict[str, str]
    asked: Asking
    slice: Slice
    models: list[ModelRow]

    @property
    def title(self) -> str:
        """Return what the list is of."""
        return "Models"


@router.get("/models", response_model=OverviewPage)
def models(  # noqa: PLR0913, PLR0917 - each is a filter
    ask: CurrentRequest,
    text: Text = "",
    team: Annotated[str, Query(max_length=128)] = "",
    show: Show = "all",
    sort: Sort = "model",
    descending: bool = False,
    start: Start = 0,
    size: Size = PAGE,
) -> Response:
    """List models."""
    asked = Asking(text, team, show, sort, descending)
    fleet = fleet_rows.read(ask.portal)
    found = ordered([row for row in fleet.rows if _matches(row, asked)], _ORDERS[sort], descending)
    page = OverviewPage(
        totals=_totals(fleet.rows),
        teams=sorted({row.team for row in fleet.rows}),
        everything_frozen=fleet.everything_frozen,
        quarantined={broken.team: f"{broken.file}:{broken.line}: {broken.reason}" for broken in ask.portal.quarantined},
        asked=asked,
        slice=Slice(start, size, len(found)),
        models=found[start : start + size],
    )
    return ask.answer(page)


_SHOWN: dict[Show, Callable[[ModelRow], bool]] = {
    "all": lambda _: True,
    "live": lambda row: row.version != "",
    "rollout": lambda row: row.rollout is not None,
    "drifted": lambda row: row.drift is not None and row.drift.drifted,
    "alarms": lambda row: row.alarms > 0,
    "frozen": lambda row: row.frozen != "",
    "nothing_live": lambda row: row.version == "",
}


def _matches(row: ModelRow, asked: Asking) -> bool:
    searched = f"{row.team}/{row.model} {row.owner}".lower()
    return asked.team in {"", row.team} and asked.text.lower() in searched and _SHOWN[asked.show](row)


_ORDERS: dict[Sort, Callable[[ModelRow], Any]] = {
    "model": lambda row: (row.team, row.model),
    "since": lambda row: row.since,
    "drift": lambda row: row.drift and (row.drift.drifted, row.drift.at),
    "quality": lambda row: row.quality and row.quality.value,
    "alarms": lambda row: row.alarms,
    "cycle": lambda row: row.cycle_opened_at,
}


def _totals(rows: Sequence[ModelRow]) -> Totals:
    live, rollouts, drifted, frozen = (
        sum(map(_SHOWN[name], rows)) for name in ("live", "rollout", "drifted", "frozen")
    )
    return Totals(len(rows), live, rollouts, drifted, sum(row.alarms for row in rows), frozen)
