"""Whether an endpoint has come to what was asked of it: some take minutes, and nothing goes on before they have."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sqlalchemy import update

from platform_core.loop import deployments, tables
from platform_core.loop.rollout_table import column

if TYPE_CHECKING:
    from datetime import datetime

    from platform_core.loop.rollout_table import RolloutRecord
    from platform_core.platform import Platform


def awaited(platform: Platform, record: RolloutRecord) -> str:
    """Say that the endpoint is not at the newest generation yet, "" where it is or where no step was taken yet."""
    live = deployments.deployment(platform.ledger, record.ref)
    if live is None or (record.step < 0 and not record.in_shadow):
        return ""
    seen = platform.serving.observe(record.ref.dotted)
    if seen.generation is not None and seen.generation >= live.generation:
        return ""
    return f"the endpoint is at generation {seen.generation or 'none'}, not at {live.generation} yet"


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
