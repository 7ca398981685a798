"""Data check before training: doubted landings, stale sources and active alarms that hold a cycle."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from loopline.platform_core import alarms
from loopline.platform_core.errors import InvalidSpec
from loopline.platform_core.foundation.names import ModelRef, raw_table
from loopline.platform_core.ingestion.quality import doubted_landings, quality
from loopline.platform_core.ingestion.quality.doubted_landings import DoubtedLanding, sources
from loopline.platform_core.ingestion.quality.quality_bounds import AGE_NOW, LAST, ages
from loopline.platform_core.loop.cycles import quarantines
from loopline.platform_core.loop.deployments import deployments
from loopline.platform_core.loop.ledger.entry_kinds import PINNED
from loopline.platform_core.loop.sites import site_redaction
from loopline.platform_core.specs.contracts.source import STREAM

if TYPE_CHECKING:
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Model, Source, Team

__all__ = ["Doubt", "doubts", "sources"]

CAUSES = ("refused",)
"""Alarms of a source that hold: files that were refused. Dead letters are not among the rows that are learnt from."""


@dataclass(frozen=True)
class Doubt:
    """What speaks against learning; ``landed_at`` is when the doubted landing came, None of what is so now."""

    said: str
    landed_at: datetime | None = None


def doubts(platform: Platform, team: Team, model: Model) -> list[Doubt]:
    """Return of each source that a model learns from what does not pass; nothing where all is well.

    Landings count that the live version did not learn from, and that no quarantine leaves out.
    """
    since = learnt_until(platform, ModelRef(team.name, model.name))
    return [doubt for source in sources(model) for doubt in _of(platform, team, source, since)]


def learnt_until(platform: Platform, ref: ModelRef) -> datetime | None:
    """Return as of when the live version's training set was made; None where nothing is live, or nobody knows."""
    live = deployments.deployment(platform.ledger, ref)
    if live is None or live.stable is None:
        return None
    made = platform.ledger.entries(ref, [PINNED], limit=1, newest_first=True, cycle=live.stable.cycle)
    return datetime.fromisoformat(made[0].details["as_of"]) if made else None


def _of(platform: Platform, team: Team, source: Source, since: datetime | None) -> Iterator[Doubt]:
    name = source.name
    try:
        if source.arrives != STREAM:  # of a stream whatever landed since the last look would be a landing of its own
            quality.describe(platform, team, source)
    except InvalidSpec as error:
        yield Doubt(f"{name}: its landings cannot be looked at: {error}")
    for landing in doubted(platform, team, source, since):
        yield Doubt(f"{name}: {landing.said}", landing.landed_at)
    for one in ages(quality.history(platform, team, source, LAST + 1), platform.clock.now()):
        if one.what == AGE_NOW and not one.passed:
            usually = "" if site_redaction.at_site(platform) else f", usually up to {one.high:.4g}"
            yield Doubt(f"{name}: check {one.check}: {one.name}{usually}")  # its value changes at each look
    causes = [f"{cause}:{team.name}/{source.name}" for cause in CAUSES]
    for standing in alarms.standing(platform.ledger):
        if standing.alarm.cause in causes:
            yield Doubt(f"{name}: {standing.alarm.problem}")


def doubted(platform: Platform, team: Team, source: Source, since: datetime | None) -> list[DoubtedLanding]:
    """Return the doubted landings after ``since`` of which something holds and which no quarantine leaves out."""
    standing = doubted_landings.standing(platform.ledger, team.name, source.name)
    later = [one for one in standing if since is None or one.landed_at > since]
    if not later:
        return []
    back = doubted_landings.withdrawn_numbers(platform.lake, raw_table(team.name, source.name))
    left_out = quarantines.windows(platform.ledger, team.name, [source.name])
    held = [one for one in later if not one.numbers or not one.numbers <= back]
    return [one for one in held if not any(_within(one, window) for window in left_out)]


def _within(one: DoubtedLanding, window: quarantines.Window) -> bool:
    """Say whether a quarantine leaves every event of a landing out."""
    return one.oldest is not None and one.newest is not None and window.since <= one.oldest <= one.newest < window.until
