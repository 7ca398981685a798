"""Data quality of a source: profiles each landing and checks it against those before it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from loopline.platform_core.errors import NotFound
from loopline.platform_core.foundation.names import quality_table, raw_table
from loopline.platform_core.ingestion.current_rows import with_values
from loopline.platform_core.ingestion.inbox import Inbox
from loopline.platform_core.ingestion.quality import doubted_landings
from loopline.platform_core.ingestion.quality.landing_profile import (
    Landing,
    from_table,
    profile,
    schema,
    to_table,
    with_blocks,
)
from loopline.platform_core.ingestion.quality.quality_bounds import AGE_NOW, ENOUGH, LAST, OF_VALUES, Finding, judge

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Source, Team

LOOKED = "quality:raw"
"""Application in the table of landings: the version of the raw table up to which landings are described."""
COMMITS_BACK = (2, 10)
"""How far back the history is looked for: so many times as many commits as landings are wanted, then everything."""

KEPT = LAST + ENOUGH + 1
"""Landings that are read, of which some may be doubted or taken back."""


@dataclass(frozen=True)
class Quality:
    """The newest landing that was not taken back (None: there is none), what was found about it, and what landed."""

    landing: Landing | None
    findings: tuple[Finding, ...]
    landings: tuple[Landing, ...] = ()


def look(platform: Platform, team: Team, source: Source) -> Quality:
    """Describe what landed since the last look, and judge the newest landing by what was usual before it.

    Raises:
        InvalidSpec: the contract file is wrong.
    """
    describe(platform, team, source)
    return newest(platform, team, source)


def describe(platform: Platform, team: Team, source: Source) -> None:
    """Describe and judge what landed since the last look, if anything did.

    Everything that landed in between counts as one landing. Whatever is killed, the next look finds the same rows
    again, and no landing is described twice. Only accepted rows count: a landing without any is told by the contract's
    own check. A landing that fails is doubted from then on, and those that were are looked at again.

    Raises:
        InvalidSpec: the contract file is wrong.
    """
    inbox = Inbox.of(platform, team, source)
    version = platform.lake.version(inbox.raw)
    if version is not None and version > _looked(inbox):
        _describe(inbox, team, source, version)


def newest(platform: Platform, team: Team, source: Source, least: int = 0) -> Quality:
    """Judge the newest landing that holds; ``Quality.landings`` are at least so many, if there are."""
    every = history(platform, team, source, max(KEPT, least))
    held = _held(platform, team, source, every)
    if not held:
        return Quality(None, (), tuple(every))
    before = _usual(platform, team, source, held[:-1])
    return Quality(held[-1], tuple(judge([*before, held[-1]], platform.clock.now())), tuple(every))


def history(platform: Platform, team: Team, source: Source, limit: int) -> list[Landing]:
    """Return the newest landings, at most ``limit``, oldest first."""
    lake, table = platform.lake, quality_table(team.name, source.name)
    version = lake.version(table)
    if version is None:
        return []
    for times in COMMITS_BACK:
        with suppress(NotFound):
            newest = from_table(lake.read(table, newer_than=version - times * limit)) if version > times * limit else []
            if len(newest) >= limit:
                return newest[-limit:]
    return from_table(lake.read(table))[-limit:]


def _looked(inbox: Inbox) -> int:
    table = quality_table(inbox.team, inbox.source)
    return inbox.platform.lake.committed(table, [LOOKED]).get(LOOKED, -1)


def _held(platform: Platform, team: Team, source: Source, landings: list[Landing]) -> list[Landing]:
    """Leave out landings of which something was taken back."""
    back = doubted_landings.withdrawn_numbers(platform.lake, raw_table(team.name, source.name)) if landings else ()
    spans = [(one, one.numbers or (0, 0)) for one in landings]
    return [one for one, (first, last) in spans if not any(first <= number <= last for number in back)]


def _usual(platform: Platform, team: Team, source: Source, landings: list[Landing]) -> list[Landing]:
    """Leave out landings that were doubted, and mark those that somebody let go."""
    doubted = doubted_landings.let_go(platform.ledger, team, source)
    return [replace(one, let_go=one.version in doubted) for one in landings if doubted.get(one.version, True)]


def _describe(inbox: Inbox, team: Team, source: Source, version: int) -> None:
    """Keep what a landing was like; a version without new rows is the lake's own care, or a landing of dead letters.

    What the ledger is told is told before, so that a look that was killed tells it again.
    """
    platform = inbox.platform
    rows, described = with_values(_new_rows(inbox, version)), schema().empty_table()
    before = _held(platform, team, source, history(platform, team, source, KEPT))
    usual = _usual(platform, team, source, before)
    if len(rows):
        landing = profile(rows, inbox.contract, version, platform.clock.now())
        landing = with_blocks(landing, rows, inbox.contract) if len(before) < ENOUGH else landing
        found = judge([*usual, landing], platform.clock.now())
        failed = [one for one in found if not one.passed and one.what != AGE_NOW]
        if not OF_VALUES.issuperset(one.check for one in failed) and doubted_landings.corrects(inbox, rows, usual):
            landing, failed = replace(landing, correction=True), [one for one in failed if one.check in OF_VALUES]
        if failed:
            doubted_landings.doubt(inbox, source, landing, rows, failed)
        described = to_table(landing)
    doubted_landings.settle(inbox, usual)
    platform.lake.append(quality_table(inbox.team, inbox.source), described, {LOOKED: version})


def _new_rows(inbox: Inbox, version: int) -> pa.Table:
    """Read the rows since the last look, or, at the first one, of the newest commit: there may be years before it.

    A table without rows when what came since is not known any more.
    """
    import pyarrow as pa

    looked, lake = _looked(inbox), inbox.platform.lake
    since = looked if looked >= 0 else version - 1
    try:
        return lake.read(inbox.raw, version=version, newer_than=since if since >= 0 else None)
    except NotFound:
        return pa.table({})
