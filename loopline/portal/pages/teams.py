"""Pages of teams: their models and sources, and the state of their code locations."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from fastapi import APIRouter, Response
from sqlalchemy import func, select

from loopline.platform_core.errors import LooplineError, NotFound
from loopline.platform_core.features.registry import catalog
from loopline.platform_core.loop.ledger import tables
from loopline.portal.page import Page
from loopline.portal.page_request import CurrentRequest, Portal
from loopline.portal.pages.params import TeamInPath

if TYPE_CHECKING:
    from loopline.platform_core.features.registry.view_table import SourceRecord
    from loopline.platform_core.plugins import Quarantined
    from loopline.platform_core.specs import Team

router = APIRouter()
WAIT_SECONDS = 2.0
"""How long Dagster is waited for; a page that is late helps nobody."""


@dataclass(frozen=True)
class TeamRow:
    """One team: how many models, live ones, active versions of views and sources; ``loads`` False is quarantine."""

    team: str
    owner: str
    loads: bool
    models: int
    live: int
    views: int
    sources: int

    @property
    def path(self) -> str:
        """Return the address of its page."""
        return f"/teams/{self.team}"


@dataclass(frozen=True)
class Broken:
    """A package that does not load: where, why, and what to do. Its models go on as they are."""

    team: str
    file: str
    line: int
    reason: str
    fix: str


@dataclass(frozen=True)
class TeamsPage(Page):
    """All teams: those that load, and those in quarantine."""

    template: ClassVar[str] = "teams.html"
    section: ClassVar[str] = "/teams"
    teams: list[TeamRow]
    quarantined: list[Broken]

    @property
    def title(self) -> str:
        """Return what the list is of."""
        return "Teams"


@dataclass(frozen=True)
class SourceRow:
    """A source of a team, with the version that its contract's file stated when it was registered."""

    name: str
    contract: str
    contract_version: str
    arrives: str
    description: str
    letters: str


@dataclass(frozen=True)
class ModelRow:
    """A model that the team declares."""

    model: str
    description: str
    owner: str
    path: str


@dataclass(frozen=True)
class TeamPage(Page):
    """One team; ``broken`` is set while its package does not load, and what is shown is what the registry holds."""

    template: ClassVar[str] = "team.html"
    section: ClassVar[str] = "/teams"
    row: TeamRow
    folder: str
    broken: Broken | None
    models: list[ModelRow]
    sources: list[SourceRow]

    @property
    def title(self) -> str:
        """Return the team's name."""
        return self.row.team

    @property
    def crumbs(self) -> list[tuple[str, str]]:
        """Return the list of teams."""
        return [("Teams", "/teams")]


@dataclass(frozen=True)
class LocationRow:
    """A code location of Dagster: ``state`` is ``loading``, ``loaded``, or ``broken`` with a reason."""

    name: str
    state: str
    reason: str


@dataclass(frozen=True)
class LocationsPart(Page):
    """What Dagster has loaded, asked just now; ``trouble`` says why it could not be asked."""

    template: ClassVar[str] = "locations.html"
    locations: list[LocationRow]
    trouble: str


@router.get("/teams", response_model=TeamsPage)
def teams(ask: CurrentRequest) -> Response:
    """List teams."""
    rows = _rows(ask.portal)
    return ask.answer(TeamsPage(list(rows.values()), [_broken(one) for one in ask.portal.quarantined]))


@router.get("/teams/locations", response_model=LocationsPart)
def locations(ask: CurrentRequest) -> Response:
    """Ask Dagster which code locations it has loaded."""
    dagster = ask.portal.dagster(WAIT_SECONDS)
    if dagster is None:
        return ask.answer(LocationsPart([], "this portal knows no Dagster: 'loopline up' starts both"))
    try:
        found = dagster.locations()
    except LooplineError as error:
        return ask.answer(LocationsPart([], f"{error.problem}; {error.fix}"))
    return ask.answer(LocationsPart([LocationRow(one.name, one.state, one.reason) for one in found], ""))


@router.get("/teams/{team}", response_model=TeamPage)
def team(ask: CurrentRequest, team: TeamInPath) -> Response:
    """Show a team."""
    portal, rows = ask.portal, _rows(ask.portal)
    if team not in rows:
        raise NotFound(f"no team {team!r} is installed", f"installed are {', '.join(rows) or 'none'}")
    loaded = next((one for one in portal.teams if one.name == team), None)
    broken = next((_broken(one) for one in portal.quarantined if one.team == team), None)
    sources = [_source(team, record) for record in catalog.sources(portal.platform.ledger, team)]
    folder = str(loaded.folder) if loaded else ""
    return ask.answer(TeamPage(rows[team], folder, broken, _models(loaded) if loaded else [], sources))


def _rows(portal: Portal) -> dict[str, TeamRow]:
    """Read every team that is installed, in order of name."""
    live, views, sources = _counts(portal)
    owners = {team.name: team.owner for team in portal.teams}
    models = {team.name: len(team.models) for team in portal.teams}
    broken = {one.team for one in portal.quarantined}
    return {
        name: TeamRow(
            name, owners.get(name, ""), name in owners, models.get(name, 0), live[name], views[name], sources[name]
        )
        for name in sorted({*owners, *broken})
    }


def _counts(portal: Portal) -> tuple[Counter[str], Counter[str], Counter[str]]:
    """Count live models, active versions of views and sources by team."""
    place, view, source = tables.deployments.c, tables.feature_views.c, tables.feature_sources.c
    asked = (
        select(place.team, func.count()).where(place.stable.is_not(None)).group_by(place.team),
        select(view.team, func.count()).where(view.state == "active").group_by(view.team),
        select(source.team, func.count()).group_by(source.team),
    )
    with portal.platform.ledger.reading() as connection:
        live, views, sources = (Counter({row[0]: row[1] for row in connection.execute(query)}) for query in asked)
    return live, views, sources


def _broken(one: Quarantined) -> Broken:
    fix = f"mend the line, then run 'loopline plugin check {one.team}' and restart"
    return Broken(one.team, one.file, one.line, one.reason, fix)


def _models(team: Team) -> list[ModelRow]:
    return [
        ModelRow(model.name, model.description, model.owner or team.owner, f"/models/{team.name}/{model.name}")
        for model in sorted(team.models, key=lambda model: model.name)
    ]


def _source(team: str, record: SourceRecord) -> SourceRow:
    plain = {name: getattr(record, name) for name in ("name", "contract", "contract_version", "arrives", "description")}
    return SourceRow(**plain, letters=f"/dead-letters/{team}/{record.name}")
