"""The quality of a source over time: each landing is described, kept, and judged by those before it."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loopline.platform_core.errors import NotFound
from loopline.platform_core.foundation.names import quality_table
from loopline.platform_core.ingestion.inbox import Inbox
from loopline.platform_core.ingestion.landing_profile import Landing, from_table, profile, schema, to_table
from loopline.platform_core.ingestion.quality_bounds import LAST, Finding, judge

if TYPE_CHECKING:
    import pyarrow as pa

    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Source, Team

LOOKED = "quality:raw"
"""Application in the table of landings: the version of the raw table up to which landings are described."""
COMMITS_BACK = (2, 10)
"""How far back the history is looked for: so many times as many commits as landings are wanted, then everything."""


@dataclass(frozen=True)
class Quality:
    """The newest landing (None: there was none yet) and what was found about it."""

    landing: Landing | None
    findings: tuple[Finding, ...]


def look(platform: Platform, team: Team, source: Source) -> Quality:
    """Describe what landed since the last look, if anything did, and judge the newest landing by its history.

    Everything that landed in between counts as one landing. Whatever is killed, the next look finds the same rows
    again, and no landing is described twice. Only accepted rows count: a landing without any is told by the contract's
    own check.

    Raises:
        InvalidSpec: the contract file is wrong.
    """
    inbox = Inbox.of(platform, team, source)
    version = platform.lake.version(inbox.raw)
    if version is not None and version > _looked(inbox):
        _describe(inbox, version)
    landings = history(platform, team, source, LAST + 1)
    if not landings:
        return Quality(None, ())
    return Quality(landings[-1], tuple(judge(landings, platform.clock.now())))


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


def _describe(inbox: Inbox, version: int) -> None:
    rows = _new_rows(inbox, version)
    described = (
        schema().empty_table()
    )  # a version without new rows is the lake's own care, or a landing of dead letters
    if len(rows):
        described = to_table(profile(rows, inbox.contract, version, inbox.platform.clock.now()))
    inbox.platform.lake.append(quality_table(inbox.team, inbox.source), described, {LOOKED: version})


def _new_rows(inbox: Inbox, version: int) -> pa.Table:
    """Read the rows since the last look, or, at the first one, of the newest commit: there may be years before it.

    None when what came since is not known any more.
    """
    import pyarrow as pa

    looked, lake = _looked(inbox), inbox.platform.lake
    since = looked if looked >= 0 else version - 1
    try:
        return lake.read(inbox.raw, version=version, newer_than=since if since >= 0 else None)
    except NotFound:
        return pa.table({})
