"""Pages of feature views: owners, freshness, readers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, ClassVar, Literal

from fastapi import APIRouter, Query, Response

from loopline.portal import feature_rows
from loopline.portal.feature_rows import ViewRow
from loopline.portal.ordering import ListQuery, ordered
from loopline.portal.page import Page, Slice
from loopline.portal.page_request import CurrentRequest
from loopline.portal.pages.params import ModelInPath, Size, Start, TeamInPath, Text
from loopline.portal.view_facts import LinkOut, Meant, Reading, SourceOf, facts

router = APIRouter()
PAGE = 50
Sort = Literal["view", "owner", "entity", "source", "newest", "rows", "readers"]
Show = Literal["all", "active", "fresh", "stale", "unread", "retired", "not_known"]


@dataclass(frozen=True)
class Asking(ListQuery):
    """What the list was asked for: ``text`` is looked for in names, owners, entities and sources."""

    show: Show
    sort: Sort


@dataclass(frozen=True)
class Totals:
    """How many versions of views of the whole organisation there are, and in which state."""

    views: int
    active: int
    stale: int
    unread: int


@dataclass(frozen=True)
class FeaturesPage(Page):
    """A page of the list of all versions of feature views."""

    template: ClassVar[str] = "features.html"
    section: ClassVar[str] = "/features"
    totals: Totals
    teams: list[str]
    asked: Asking
    slice: Slice
    views: list[ViewRow]

    @property
    def title(self) -> str:
        """Return what the list is of."""
        return "Features"


@dataclass(frozen=True)
class ViewPage(Page):
    """A version of a view: what it holds, what it means, where it comes from and who reads it."""

    template: ClassVar[str] = "view.html"
    section: ClassVar[str] = "/features"
    row: ViewRow
    description: str
    served: str
    time: str
    features: dict[str, str]
    registered_at: datetime
    registered_by: str
    changed_at: datetime
    versions: list[int]
    source: SourceOf
    readers: list[Reading]
    history: list[Meant]
    code: list[str]
    links: list[LinkOut]

    @property
    def title(self) -> str:
        """Return the version's name."""
        return f"{self.row.team}/{self.row.view} version {self.row.version}"

    @property
    def crumbs(self) -> list[tuple[str, str]]:
        """Return the list of views, and the team's in it."""
        return [("Features", "/features"), (self.row.team, f"/features?team={self.row.team}")]


@router.get("/features", response_model=FeaturesPage)
def features(  # noqa: PLR0913, PLR0917 - each is a filter
    ask: CurrentRequest,
    text: Text = "",
    team: Annotated[str, Query(max_length=128)] = "",
    show: Show = "active",
    sort: Sort = "view",
    descending: bool = False,
    start: Start = 0,
    size: Size = PAGE,
) -> Response:
    """List versions of feature views."""
    asked, every = Asking(text, team, show, sort, descending), feature_rows.read(ask.portal)
    found = ordered([row for row in every if _matches(row, asked)], _ORDERS[sort], descending)
    page = FeaturesPage(
        totals=Totals(len(every), *(sum(map(_SHOWN[name], every)) for name in ("active", "stale", "unread"))),
        teams=sorted({row.team for row in every}),
        asked=asked,
        slice=Slice(start, size, len(found)),
        views=found[start : start + size],
    )
    return ask.answer(page)


@router.get("/features/{team}/{view}", response_model=ViewPage)
def view(
    ask: CurrentRequest,
    team: TeamInPath,
    view: ModelInPath,
    version: Annotated[int | None, Query(ge=1, le=999_999_999)] = None,
) -> Response:
    """Show a version of a view, the newest when none is named."""
    return ask.answer(ViewPage(**facts(ask.portal, team, view, version)))


_SHOWN: dict[Show, Callable[[ViewRow], bool]] = {
    "all": lambda _: True,
    "active": lambda row: row.state == "active",
    "fresh": lambda row: row.fresh == "fresh",
    "stale": lambda row: row.fresh == "stale",
    "unread": lambda row: row.state == "active" and row.readers == 0,
    "retired": lambda row: row.state == "retired",
    "not_known": lambda row: row.fresh == "not known",
}
_ORDERS: dict[Sort, Callable[[ViewRow], Any]] = {
    "view": lambda row: (row.team, row.view, row.version),
    "owner": lambda row: row.owner.casefold() or None,
    "entity": lambda row: row.entity,
    "source": lambda row: row.source,
    "newest": lambda row: row.newest_event,
    "rows": lambda row: row.rows,
    "readers": lambda row: row.readers,
}


def _matches(row: ViewRow, asked: Asking) -> bool:
    searched = f"{row.team}/{row.view} {row.owner} {row.entity} {row.source}".casefold()
    return asked.team in {"", row.team} and asked.text.casefold() in searched and _SHOWN[asked.show](row)
