"""Facts section of a model's page: declaration, active alarms, features, links."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from loopline.platform_core import alarms
from loopline.platform_core.errors import LooplineError, NotFound
from loopline.platform_core.loop import freezes
from loopline.platform_core.loop.deployments.deployments import CHANGED

if TYPE_CHECKING:
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.loop.deployments.deployments import Deployment
    from loopline.platform_core.specs import FeatureView
    from loopline.portal.page_request import Portal


@dataclass(frozen=True)
class AlarmRow:
    """An alarm that stands, with what to do."""

    cause: str
    severity: str
    problem: str
    fix: str
    since: datetime
    acknowledged: str


@dataclass(frozen=True)
class FeatureRow:
    """A feature view that the model reads; ``served`` is online, or request for what the caller brings."""

    name: str
    version: int
    entity: str
    served: str
    ttl_days: float | None
    owner: str
    description: str
    path: str


@dataclass(frozen=True)
class LinkOut:
    """A place that shows the model too."""

    name: str
    url: str


@dataclass(frozen=True)
class Known:
    """What is known of a model beside its history; ``everything_frozen`` says that it is frozen with all others."""

    owner: str
    description: str
    declared: bool
    frozen: str
    everything_frozen: bool
    alarms: list[AlarmRow]


def known(portal: Portal, ref: ModelRef) -> Known:
    """Say what a model is.

    Raises:
        NotFound: no team that loads declares it, and the ledger never heard of it.
    """
    model, ledger = portal.declared(ref), portal.platform.ledger
    if not portal.knows(ref):
        raise NotFound(f"no team has a model {str(ref)!r}", "start from the list of models")
    frozen = freezes.frozen(ledger, ref)
    return Known(
        owner=(model.owner if model else "") or next((t.owner for t in portal.teams if t.name == ref.team), ""),
        description=model.description if model else "",
        declared=model is not None,
        frozen=f"{frozen.actor}: {frozen.reason}" if frozen else "",
        everything_frozen=frozen is not None and not frozen.team,
        alarms=[_alarm(one) for one in alarms.standing(ledger) if one.alarm.subject == ref],
    )


def since(portal: Portal, live: Deployment) -> datetime | None:
    """Say since when the stable version is the stable one."""
    assert live.stable is not None
    version = live.stable.version
    changes = portal.platform.ledger.entries(live.ref, [CHANGED], limit=1, newest_first=True, version=version)
    return changes[0].at if changes else None


def trouble(portal: Portal, live: Deployment) -> str:
    """Say what keeps the endpoint from the newest generation, "" where it is there; of another site what it told."""
    if not portal.platform.environment.is_here(live.ref.team):
        return "" if live.applied >= live.generation else "its site has not asked for the newest generation yet"
    try:
        seen = portal.platform.serving.observe(live.ref.dotted)
    except LooplineError as error:
        return error.problem
    if seen.generation == live.generation:
        return ""
    return seen.problem or f"it is at generation {seen.generation or 'none'}, not yet at {live.generation}"


def features(portal: Portal, ref: ModelRef) -> list[FeatureRow]:
    """List the views that the declared model reads."""
    model = portal.declared(ref)
    return [_feature(ref.team, view) for view in model.features] if model else []


def links(portal: Portal, ref: ModelRef) -> list[LinkOut]:
    """List where else the model is shown; neighbours that are not there are left out."""
    url = portal.links
    found = [
        LinkOut("model in Dagster", url.asset(ref.team, "model", ref.model)),
        LinkOut("deployment in Dagster", url.asset(ref.team, "deployment", ref.model)),
        LinkOut("predictions in Dagster", url.asset(ref.team, "predictions", ref.model)),
        LinkOut("endpoint", url.endpoint(ref)),
        LinkOut("OpenAPI", url.openapi()),
    ]
    return [link for link in found if link.url]


def _alarm(one: alarms.Standing) -> AlarmRow:
    alarm = one.alarm
    return AlarmRow(alarm.cause, alarm.severity, alarm.problem, alarm.fix, one.since, one.acknowledged)


def _feature(team: str, view: FeatureView) -> FeatureRow:
    first = view.description.strip().partition("\n\n")[0]
    path = f"/features/{team}/{view.name}?version={view.version}"
    plain = (view.name, view.version, view.entity, view.served, view.ttl_days, view.owner)
    return FeatureRow(*plain, " ".join(first.split()), path)
