"""What is wrong with the sources of a model: checks that fail now, as the landings say and as alarms tell."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from loopline.platform_core import alarms
from loopline.platform_core.errors import LooplineError
from loopline.platform_core.ingestion import quality
from loopline.platform_core.ingestion.quality_bounds import LAST, judge

if TYPE_CHECKING:
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.specs import Model, Source, Team
    from loopline.portal.page_request import Portal


@dataclass(frozen=True)
class SourceCheckRow:
    """A check of a source that fails: what was found, since when, and what to do ("" where nobody says it)."""

    source: str
    check: str
    findings: list[str]
    since: datetime | None
    fix: str
    path: str


def read(portal: Portal, ref: ModelRef) -> list[SourceCheckRow]:
    """Read the failing checks of every source that a model's features and labels come from."""
    team = next((one for one in portal.teams if one.name == ref.team), None)
    model = portal.declared(ref)
    if team is None or model is None:
        return []
    return [row for source in _sources(model) for row in _failing(portal, team, source)]


def _sources(model: Model) -> list[Source]:
    every = [*(view.source for view in model.features), model.labels.source]
    return list({source.name: source for source in every}.values())


def _failing(portal: Portal, team: Team, source: Source) -> Iterator[SourceCheckRow]:
    """Yield what the newest landing shows now, then what alarms tell beside it."""
    name = f"{team.name}/{source.name}"
    path = f"/dead-letters/{name}"
    try:
        landings = quality.history(portal.platform, team, source, LAST + 1)
    except LooplineError as error:
        yield SourceCheckRow(name, "quality", [error.problem], None, error.fix, path)
        landings = []
    found: dict[str, list[str]] = {}
    for finding in judge(landings, portal.platform.clock.now()) if landings else ():
        if not finding.passed:
            found.setdefault(finding.check, []).append(str(finding))
    for check, said in found.items():
        yield SourceCheckRow(name, check, said, landings[-1].landed_at, f"see 'loopline quality {name}'", path)
    yield from _alarm_rows(portal, name, path, set(found))


def _alarm_rows(portal: Portal, name: str, path: str, known: set[str]) -> Iterator[SourceCheckRow]:
    """Yield the alarms that stand about a source, but for checks that are told already."""
    team, _, source = name.partition("/")
    for one in alarms.standing(portal.platform.ledger):
        kind, _, rest = one.alarm.cause.partition(":")
        about, _, check = rest.partition(":")
        if about in {f"{team}/raw/{source}", name} and check not in known:
            yield SourceCheckRow(name, check or kind, [one.alarm.problem], one.since, one.alarm.fix, path)
