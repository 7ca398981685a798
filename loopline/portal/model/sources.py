"""Failing data quality checks of a model's sources, for its page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from loopline.platform_core import alarms
from loopline.platform_core.errors import LooplineError
from loopline.platform_core.ingestion.quality import doubts, quality

if TYPE_CHECKING:
    from loopline.platform_core.foundation.names import ModelRef
    from loopline.platform_core.specs import Source, Team
    from loopline.portal.page_request import Portal


_FIX = "deliver it again as it should be, or take it back with 'loopline arrivals withdraw {name} …'"


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
    since = doubts.learnt_until(portal.platform, ref)
    return [row for source in doubts.sources(model) for row in _failing(portal, team, source, since)]


def _failing(portal: Portal, team: Team, source: Source, learnt: datetime | None) -> Iterator[SourceCheckRow]:
    """Yield what the newest landing shows now, then earlier ones that are doubted, then what alarms tell beside it."""
    name = f"{team.name}/{source.name}"
    path = f"/dead-letters/{name}"
    try:
        newest = quality.newest(portal.platform, team, source)
    except LooplineError as error:
        yield SourceCheckRow(name, "quality", [error.problem], None, error.fix, path)
        newest = quality.Quality(None, ())
    found: dict[str, list[str]] = {}
    for finding in newest.findings:
        if not finding.passed:
            found.setdefault(finding.check, []).append(str(finding))
    since = None if newest.landing is None else newest.landing.landed_at
    for check, said in found.items():
        yield SourceCheckRow(name, check, said, since, f"see 'loopline quality {name}'", path)
    for one in doubts.doubted(portal.platform, team, source, learnt):
        if newest.landing is None or one.version != newest.landing.version:
            yield SourceCheckRow(name, "landing", [one.said], one.landed_at, _FIX.format(name=name), path)
    yield from _alarm_rows(portal, name, path, set(found))


def _alarm_rows(portal: Portal, name: str, path: str, known: set[str]) -> Iterator[SourceCheckRow]:
    """Yield the alarms that stand about a source, but for checks that are told already."""
    team, _, source = name.partition("/")
    for one in alarms.standing(portal.platform.ledger):
        kind, _, rest = one.alarm.cause.partition(":")
        about, _, check = rest.partition(":")
        if about in {f"{team}/raw/{source}", name} and check not in known:
            yield SourceCheckRow(name, check or kind, [one.alarm.problem], one.since, one.alarm.fix, path)
