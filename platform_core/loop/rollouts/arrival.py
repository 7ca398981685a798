"""Endpoint convergence: whether it has reached the desired state, which a rollout waits for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy import update

from loopline.platform_core.loop.deployments import deployments
from loopline.platform_core.loop.deployments.watching import ARRIVED
from loopline.platform_core.loop.ledger import tables
from loopline.platform_core.loop.rollouts.rollout_table import column

if TYPE_CHECKING:
    from loopline.platform_core.loop.cycles.cycles import Cycle
    from loopline.platform_core.loop.deployments.deployments import Deployment
    from loopline.platform_core.loop.ledger.ledger import Ledger
    from loopline.platform_core.loop.rollouts.rollout_table import RolloutRecord
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs.judges.judges import Traffic
    from loopline.platform_core.specs.model import Rollout


@dataclass(frozen=True)
class Answers:
    """When an endpoint was first seen to answer everybody with a cycle's version, and whether that is awaited still.

    That a version is promoted says what is asked of the endpoint; it may take a while to load it.
    """

    since: datetime | None
    awaited: bool


def answers(ledger: Ledger, one: Cycle) -> Answers:
    """Say since when an endpoint answers with a cycle's version; what another version has replaced is not awaited."""
    changes = [e.details for e in ledger.entries(one.ref, [deployments.CHANGED])]
    own = {change["generation"] for change in changes if (change["stable"] or {}).get("cycle") == one.cycle_id}
    seen = ledger.entries(one.ref, [ARRIVED]) if own else []
    since = next((entry.at for entry in seen if entry.details["generation"] in own), None)
    return Answers(since, since is None and bool(own) and changes[-1]["generation"] in own)


def awaited(platform: Platform, record: RolloutRecord) -> str:
    """Say that the endpoint is not at the newest generation yet, "" where it is or where no step was taken yet."""
    live = deployments.deployment(platform.ledger, record.ref)
    if live is None or (record.step < 0 and not record.in_shadow):
        return ""
    seen = platform.serving.observe(record.ref.dotted)
    if seen.generation is not None and seen.generation >= live.generation:
        return ""
    return f"the endpoint is at generation {seen.generation or 'none'}, not at {live.generation} yet"


def trouble(platform: Platform, live: Deployment) -> str:
    """Say why the endpoint cannot come to the newest generation, "" where it is there or on its way or does not run."""
    seen = platform.serving.observe(live.ref.dotted)
    lags = seen.generation is not None and seen.generation < live.generation
    return seen.problem if lags else ""


def settled(platform: Platform, record: RolloutRecord, now: datetime) -> RolloutRecord:
    """Let the bake time of a step begin anew while the endpoint is not there; an endpoint in trouble is not waited for.

    Repeated at each tick, the bake time begins when the endpoint was last seen on its way.
    """
    if not awaited(platform, record) or platform.serving.observe(record.ref.dotted).problem:
        return record
    here = (column.rollout_id == record.rollout_id) & (column.step == record.step) & (column.state == record.state)
    with platform.ledger.writing(record.ref) as connection:
        connection.execute(update(tables.rollouts).where(here).values(step_started_at=now))
    return replace(record, step_started_at=now)


def unmet(record: RolloutRecord, candidate: Traffic, rule: Rollout) -> str:
    """Say that too few requests met the candidate since its step began to bake, "" for enough.

    Where an endpoint took its time, those before met it at the percent of the step before.
    """
    if record.in_shadow or candidate.log is None:
        return ""
    import pyarrow as pa
    import pyarrow.compute as pc

    since = pa.scalar(record.step_started_at, candidate.log["logged_at"].type)
    own = pc.and_(pc.equal(candidate.log["row"], 0), pc.greater_equal(candidate.log["logged_at"], since))
    count = pc.sum(own).as_py() or 0
    return "" if count >= rule.min_requests else f"{count} of {rule.min_requests} requests since it is there"
