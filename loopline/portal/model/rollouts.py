"""Rollouts section of a model's page, with the state of the running one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import select

from loopline.platform_core.loop.ledger import tables
from loopline.platform_core.loop.rollouts import rollout_table
from loopline.platform_core.loop.rollouts.decisions import Decision, decide

if TYPE_CHECKING:
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.loop.rollouts.rollout_table import RolloutRecord
    from loopline.platform_core.specs.judges.judges import Finding
    from loopline.portal.page_request import Portal

SHOWN = 10


@dataclass(frozen=True)
class RolloutRow:
    """A rollout as it stands; ``percent`` of entities are answered by the candidate."""

    rollout_id: str
    version: str
    cycle: str
    state: str
    percent: int
    in_shadow: bool
    started_at: datetime
    step_started_at: datetime


@dataclass(frozen=True)
class Side:
    """What one version answered in this step: requests, errors, p99 of the latency, mean score."""

    version: str
    requests: int
    errors: int
    p99_ms: float | None
    mean_score: float | None


@dataclass(frozen=True)
class FindingRow:
    """What a judge finds: ``state`` is good, doubt (above its bound, not proven) or harm."""

    judge: str
    value: float | None
    bound: float
    state: str
    detail: str


@dataclass(frozen=True)
class Look:
    """What a rollout's next step would do now, why, and on what figures; nothing is changed by looking."""

    action: str
    reason: str
    next_percent: int
    steps: list[int]
    findings: list[FindingRow]
    candidate: Side | None
    stable: Side | None


def read(portal: Portal, ref: ModelRef) -> list[RolloutRow]:
    """Read the newest rollouts, the newest first."""
    column = rollout_table.column
    query = select(tables.rollouts).where(rollout_table.of(ref)).order_by(column.started_at.desc()).limit(SHOWN)
    with portal.platform.ledger.reading() as connection:
        return [row_of(rollout_table.record_of(row)) for row in connection.execute(query).mappings()]


def row_of(record: RolloutRecord) -> RolloutRow:
    """Return a record as a row."""
    plain = (record.rollout_id, record.version, record.cycle, record.state, record.percent, record.in_shadow)
    return RolloutRow(*plain, record.started_at, record.step_started_at)


def look(portal: Portal, record: RolloutRecord, stable: str) -> Look | None:
    """Look at a rollout's traffic as its next step would; None where no team that loads declares the model."""
    model = portal.declared(record.ref)
    if model is None:
        return None
    decision = decide(portal.platform, model, record, portal.platform.clock.now())
    return Look(
        action=decision.action,
        reason=decision.reason,
        next_percent=decision.percent,
        steps=list(model.rollout.percents),
        findings=[_finding(finding) for finding in decision.findings],
        candidate=_side(record.version, decision, "candidate"),
        stable=_side(stable, decision, "stable"),
    )


def _finding(finding: Finding) -> FindingRow:
    state = "harm" if finding.harm else "doubt" if finding.in_doubt else "good"
    return FindingRow(finding.judge, finding.value, finding.bound, state, finding.detail)


def _side(version: str, decision: Decision, name: str) -> Side | None:
    figures: Mapping[str, Any] | None = decision.figures.get(name)
    if figures is None:
        return None
    return Side(version, figures["requests"], figures["errors"], figures.get("p99_ms"), figures.get("mean_score"))
