"""Rows of the model list, from a few queries over all models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from loopline.platform_core import alarms
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop import fleet, freezes
from loopline.platform_core.loop.rollouts import rollout_table
from loopline.platform_core.loop.rollouts.quality_entries import metrics
from loopline.platform_core.specs.quality import unit

if TYPE_CHECKING:
    from loopline.platform_core.loop.fleet import LastCycle, Live
    from loopline.platform_core.loop.ledger.ledger import Entry
    from loopline.platform_core.loop.rollouts.rollout_table import RolloutRecord
    from loopline.platform_core.specs import Model
    from loopline.portal.page_request import Portal


@dataclass(frozen=True)
class RolloutNow:
    """A rollout under way: the candidate, the percent of entities that it answers, and whether a person holds it."""

    version: str
    percent: int
    state: str
    in_shadow: bool
    since: datetime


@dataclass(frozen=True)
class DriftNow:
    """The newest verdict on the live version; ``summary`` names what moved, or says that nothing did."""

    drifted: bool
    summary: str
    at: datetime


@dataclass(frozen=True)
class QualityNow:
    """How good the live version turned out to be: a metric, of how many answers whose label has come."""

    metric: str
    value: float | None
    low: float | None
    high: float | None
    labelled: int
    at: datetime
    unit: str = ""


@dataclass(frozen=True)
class ModelRow:
    """One model. ``version`` "" means that nothing is live; ``frozen`` says by whom and why, "" for nobody.

    ``declared`` is False for a model that the ledger knows and no team that loads declares.
    """

    team: str
    model: str
    owner: str
    declared: bool
    version: str
    since: datetime | None
    cycle: str
    rollout: RolloutNow | None
    drift: DriftNow | None
    quality: QualityNow | None
    alarms: int
    frozen: str
    cycle_state: str
    cycle_opened_at: datetime | None

    @property
    def path(self) -> str:
        """Return the address of the model's page."""
        return f"/models/{self.team}/{self.model}"


@dataclass(frozen=True)
class Fleet:
    """All models in order of team and name, and who froze everything ("" for nobody)."""

    rows: list[ModelRow]
    everything_frozen: str


@dataclass(frozen=True)
class _Known:
    """What the ledger says of all models, each read once."""

    live: Mapping[ModelRef, Live]
    rollouts: Mapping[ModelRef, RolloutRecord]
    frozen: Mapping[ModelRef, Entry]
    cycles: Mapping[ModelRef, LastCycle]
    alarms: Mapping[ModelRef, int]


def read(portal: Portal) -> Fleet:
    """Read every model that a team declares or the ledger knows."""
    ledger = portal.platform.ledger
    known = _Known(
        live=fleet.live(ledger),
        rollouts={record.ref: record for record in rollout_table.active(ledger)},
        frozen=fleet.freezes(ledger),
        cycles=fleet.last_cycles(ledger),
        alarms=Counter(one.alarm.subject for one in alarms.standing(ledger) if one.alarm.subject),
    )
    models = {ModelRef(t.name, m.name): m for t in portal.teams for m in t.models}
    owners = {ModelRef(t.name, m.name): m.owner or t.owner for t in portal.teams for m in t.models}
    refs = sorted({*owners, *known.live, *known.cycles})
    everything = known.frozen.get(freezes.EVERYTHING)
    return Fleet([_row(ref, owners.get(ref), known, models.get(ref)) for ref in refs], _by(everything))


def _row(ref: ModelRef, owner: str | None, known: _Known, model: Model | None) -> ModelRow:
    live, cycle = known.live.get(ref), known.cycles.get(ref)
    return ModelRow(
        team=ref.team,
        model=ref.model,
        owner=owner or "",
        declared=owner is not None,
        version=live.version if live else "",
        since=live.since if live else None,
        cycle=live.cycle if live else "",
        rollout=_rollout(known.rollouts.get(ref)),
        drift=_drift(live) if live else None,
        quality=_quality(live, model) if live else None,
        alarms=known.alarms.get(ref, 0),
        frozen=_by(known.frozen.get(ref)),
        cycle_state=cycle.state if cycle else "",
        cycle_opened_at=cycle.opened_at if cycle else None,
    )


def _rollout(record: RolloutRecord | None) -> RolloutNow | None:
    if record is None:
        return None
    return RolloutNow(record.version, record.percent, record.state, record.in_shadow, record.step_started_at)


def _drift(live: Live) -> DriftNow | None:
    if live.drift is None or live.drift_at is None:
        return None
    return DriftNow(live.drift.startswith("drifted"), live.drift, live.drift_at)


def _quality(live: Live, model: Model | None) -> QualityNow | None:
    if live.quality is None or live.quality_at is None:
        return None
    name, value = next(iter(metrics(live.quality).items()), ("", None))
    labelled = int(live.quality.get("labelled", 0))
    told_in = unit(model, name) or ""
    return QualityNow(name.replace("_", " "), value, None, None, labelled, live.quality_at, told_in)


def _by(entry: Entry | None) -> str:
    return f"frozen by {entry.actor}: {entry.reason}" if entry else ""
