"""Page of a model: versions, rollouts, drift, quality and history."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, ClassVar, Literal

from fastapi import APIRouter, Path, Query, Response

from loopline.platform_core.errors import NotFound
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.deployments.deployments import Deployment, deployment
from loopline.platform_core.loop.rollouts import rollout_table
from loopline.portal.model import (
    cost,
    drawings,
    drift,
    experiments,
    facts,
    fairness,
    quality,
    rollouts,
    searched,
    sources,
    story,
    versions,
)
from loopline.portal.model.cost import CostRow
from loopline.portal.model.drawings import DrawnPart
from loopline.portal.model.drift import DriftPart
from loopline.portal.model.experiments import ExperimentPart
from loopline.portal.model.facts import AlarmRow, FeatureRow, LinkOut
from loopline.portal.model.fairness import FairnessPart
from loopline.portal.model.quality import QualityPart
from loopline.portal.model.rollouts import Look, RolloutRow
from loopline.portal.model.searched import SearchPart
from loopline.portal.model.sources import SourceCheckRow
from loopline.portal.model.story import StoryPart
from loopline.portal.model.versions import VersionRow
from loopline.portal.page import Chart, ChartPage, Page
from loopline.portal.page_request import CurrentRequest, Portal
from loopline.portal.pages.params import Before, ModelInPath, TeamInPath

router = APIRouter()
Column = Annotated[str, Query(max_length=256)]
Section = Literal["", "rollouts", "versions", "search", "drift", "quality", "fairness", "features", "cost"]


@dataclass(frozen=True)
class LiveNow:
    """What the endpoint should be and is: ``trouble`` says what keeps it from the newest generation, "" for nothing."""

    version: str
    cycle: str
    since: datetime | None
    candidate: str
    shadow: str
    percent: int
    generation: int
    trouble: str


@dataclass(frozen=True)
class ModelPage(Page):
    """Everything of one model; ``live`` is None before anything was, ``frozen`` says by whom and why.

    As a page it shows the newest rows of each section, of ``whole`` all that are here; the JSON always has them.
    """

    template: ClassVar[str] = "model.html"
    section: ClassVar[str] = "/models"
    team: str
    model: str
    owner: str
    description: str
    declared: bool
    frozen: str
    everything_frozen: bool
    alarms: list[AlarmRow]
    sources: list[SourceCheckRow]
    live: LiveNow | None
    links: list[LinkOut]
    rollouts: list[RolloutRow]
    experiments: list[ExperimentPart]
    versions: list[VersionRow]
    search: SearchPart | None
    features: list[FeatureRow]
    drift: DriftPart | None
    quality: QualityPart | None
    drawn: DrawnPart | None
    fairness: list[FairnessPart]
    cost: list[CostRow]
    ledger: StoryPart
    whole: Section

    @property
    def title(self) -> str:
        """Return the model's name."""
        return f"{self.team}/{self.model}"

    @property
    def crumbs(self) -> list[tuple[str, str]]:
        """Return the list of models, and the team's in it."""
        return [("Models", "/models"), (self.team, f"/models?team={self.team}")]

    @property
    def path(self) -> str:
        """Return the page's own address."""
        return f"/models/{self.team}/{self.model}"


@dataclass(frozen=True)
class RolloutPart(Page):
    """A model's rollout under way, looked at just now; ``rollout`` is None where none runs."""

    template: ClassVar[str] = "model_rollout.html"
    team: str
    model: str
    rollout: RolloutRow | None
    look: Look | None


@router.get("/models/{team}/{model}", response_model=ModelPage)
def page(  # noqa: PLR0913, PLR0917 - each says what is to be shown
    ask: CurrentRequest,
    team: TeamInPath,
    model: ModelInPath,
    column: Column = "",
    before: Before = None,
    everything: bool = False,
    whole: Section = "",
) -> Response:
    """Show a model; ``column`` is drawn in the picture of drift, ``before`` begins the ledger below an entry.

    ``everything`` shows what was observed in the ledger as well: windows, quality, skew. ``whole`` names a section of
    which every row is shown.
    """
    portal, ref = ask.portal, ModelRef(team, model)
    found = facts.known(portal, ref)
    live = deployment(ask.platform.ledger, ref)
    stable = live.stable.version if live and live.stable else ""
    shown = ModelPage(
        **(found.__dict__ | {"team": team, "model": model}),
        sources=sources.read(portal, ref),
        live=_live(portal, live),
        links=facts.links(portal, ref),
        rollouts=rollouts.read(portal, ref),
        experiments=experiments.read(portal, ref),
        versions=versions.read(portal, ref, live),
        search=searched.read(portal, ref, stable),
        features=facts.features(portal, ref),
        drift=drift.read(portal, ref, stable, column) if stable else None,
        quality=quality.read(portal, ref),
        drawn=drawings.read(portal, ref),
        fairness=fairness.read(portal, ref),
        cost=cost.read(portal, ref),
        ledger=story.read(portal, ref, before, everything=everything),
        whole=whole,
    )
    return ask.answer(shown)


@router.get("/models/{team}/{model}/charts/{kind}/{place}", response_model=ChartPage)
def chart(  # noqa: PLR0913, PLR0917 - each says which
    ask: CurrentRequest,
    team: TeamInPath,
    model: ModelInPath,
    kind: Literal["drift", "quality", "fairness", "experiments"],
    place: Annotated[int, Path(ge=0, le=999)],
    column: Column = "",
) -> Response:
    """Show what a chart of a model draws; they are counted from 0 in the order of the page."""
    ref = ModelRef(team, model)
    drawn = list(_charts(ask.portal, ref, kind, column))
    if place >= len(drawn):
        raise NotFound(f"{ref} has {len(drawn)} charts of {kind}", f"go back to /models/{ref}")
    return ask.answer(ChartPage(drawn[place], (str(ref), f"/models/{ref}#{kind}")))


def _charts(portal: Portal, ref: ModelRef, kind: str, column: str) -> Iterator[Chart]:
    if kind == "experiments":
        yield from experiments.charts(portal, ref)
    elif kind == "fairness":
        yield from (rule.chart for rule in fairness.read(portal, ref))
    elif kind == "quality":
        measured = quality.read(portal, ref)
        yield from measured.charts if measured else ()
    else:
        live = deployment(portal.platform.ledger, ref)
        found = drift.read(portal, ref, live.stable.version, column) if live and live.stable else None
        if found and found.chart:
            yield found.chart


@router.get("/models/{team}/{model}/rollout", response_model=RolloutPart)
def rollout(ask: CurrentRequest, team: TeamInPath, model: ModelInPath) -> Response:
    """Look at a model's rollout as it stands now; a part of the model's page, which refreshes itself."""
    ref = ModelRef(team, model)
    record = rollout_table.running(ask.platform.ledger, ref) or rollout_table.watched(ask.platform.ledger, ref)
    if record is None:
        return ask.answer(RolloutPart(team, model, None, None))
    live = deployment(ask.platform.ledger, ref)
    beside = live.shadow if live and record.state == rollout_table.WATCHING else live and live.stable
    stable = beside.version if beside else ""
    return ask.answer(RolloutPart(team, model, rollouts.row_of(record), rollouts.look(ask.portal, record, stable)))


def _live(portal: Portal, live: Deployment | None) -> LiveNow | None:
    if live is None or live.stable is None:
        return None
    return LiveNow(
        version=live.stable.version,
        cycle=live.stable.cycle,
        since=facts.since(portal, live),
        candidate=live.candidate.version if live.candidate else "",
        shadow=live.shadow.version if live.shadow else "",
        percent=live.percent,
        generation=live.generation,
        trouble=facts.trouble(portal, live),
    )
