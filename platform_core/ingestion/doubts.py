"""What speaks against learning from a source now: checks of its newest landing that fail, and alarms that stand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.platform_core import alarms
from loopline.platform_core.ingestion.quality import history
from loopline.platform_core.ingestion.quality_bounds import LAST, judge
from loopline.platform_core.loop import crossing

if TYPE_CHECKING:
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Model, Source, Team

CAUSES = ("refused",)
"""Alarms of a source that hold: files that were refused. Dead letters are not among the rows that are learnt from."""


def doubts(platform: Platform, team: Team, model: Model) -> list[str]:
    """Say of each source that a model learns from what does not pass; nothing where all is well."""
    return [f"{source.name}: {said}" for source in sources(model) for said in _of(platform, team, source)]


def sources(model: Model) -> list[Source]:
    """Return the sources of a model's labels and features, each once."""
    every = (model.labels.source, *(view.source for view in model.features))
    return list({source.name: source for source in every}.values())


def _of(platform: Platform, team: Team, source: Source) -> list[str]:
    landings = history(platform, team, source, LAST + 1)
    findings = judge(landings, platform.clock.now()) if landings else []
    away = crossing.at_site(platform)
    failed = [f"check {one.check}: {one.name if away else one}" for one in findings if not one.passed]
    causes = [f"{cause}:{team.name}/{source.name}" for cause in CAUSES]
    standing = [one.alarm.problem for one in alarms.standing(platform.ledger) if one.alarm.cause in causes]
    return [*failed, *standing]
