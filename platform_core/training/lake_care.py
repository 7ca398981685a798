"""Lake maintenance: compacts small files, and removes old versions except those that registered models pin."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

from loopline.platform_core.errors import NotFound, Transient
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop import erasures
from loopline.platform_core.loop.ledger.entry_kinds import PINNED

if TYPE_CHECKING:
    from loopline.platform_core.contracts.lake import Tidied
    from loopline.platform_core.loop.ledger.ledger import Entry
    from loopline.platform_core.platform import Platform

OLDER_THAN = timedelta(days=7)
"""How long every version is kept, whoever needs it."""


@dataclass(frozen=True)
class Cared:
    """What was done to a table.

    ``pinned`` are the versions kept for training sets, ``lost`` those that training sets name and the table no longer
    has. ``tidied`` is None where nothing was done: nobody asked for more, or ``problem`` says why.
    """

    table: str
    pinned: tuple[int, ...]
    lost: tuple[int, ...]
    tidied: Tidied | None
    problem: str = ""


def teams(platform: Platform) -> Sequence[str]:
    """List the teams that have a table."""
    return sorted({table.partition("/")[0] for table in platform.lake.tables()})


def pins(platform: Platform, team: str) -> Mapping[str, set[int]]:
    """Find the versions of each table that some needed training set is built from, now that persons were erased."""
    pinned: dict[str, set[int]] = defaultdict(set)
    for entry in needed(platform, team):
        left = erasures.reduced(platform.ledger, ModelRef(entry.team, entry.model))
        since = left.get(entry.details["training_set_id"])
        for table, version in {**entry.details["tables"], **(since.tables if since else {})}.items():
            pinned[table].add(int(version))
    return pinned


def needed(platform: Platform, team: str) -> list[Entry]:
    """List the entries of the training sets of model versions that the registry has, and of cycles that are open."""
    from loopline.platform_core.loop.cycles.cycles import open_cycles

    entries = [entry for entry in platform.ledger.entries(kinds=[PINNED]) if entry.team == team]
    registered, running = _registered(platform, entries), {cycle.cycle_id for cycle in open_cycles(platform.ledger)}
    return [e for e in entries if e.details["training_set_id"] in registered or e.cycle in running]


def care(
    platform: Platform, team: str, older_than: timedelta = OLDER_THAN, *, pretend: bool = False
) -> Sequence[Cared]:
    """Tidy every table of a team; one that is too busy is left for the next time. With ``pretend`` nothing is done."""
    pinned = pins(platform, team)
    tables = [table for table in platform.lake.tables() if table.startswith(f"{team}/")]
    return [_cared(platform, table, sorted(pinned.get(table, ())), older_than, pretend=pretend) for table in tables]


def _cared(platform: Platform, table: str, pinned: Sequence[int], older_than: timedelta, *, pretend: bool) -> Cared:
    kept = tuple(version for version in pinned if _is_there(platform, table, version))
    lost = tuple(version for version in pinned if version not in kept)
    if pretend:
        return Cared(table, kept, lost, None)
    try:
        return Cared(table, kept, lost, platform.lake.tidy(table, kept, older_than))
    except Transient as error:
        return Cared(table, kept, lost, None, str(error))


def _registered(platform: Platform, entries: Sequence[Entry]) -> set[str]:
    """Return the training sets from which the registry's versions were fitted."""
    refs = {ModelRef(entry.team, entry.model) for entry in entries}
    versions = [version for ref in refs for version in platform.registry.versions(ref.dotted)]
    return {version.tags.get("training_set", "") for version in versions}


def _is_there(platform: Platform, table: str, version: int) -> bool:
    try:
        platform.lake.read(table, version=version, until=date.min)
    except NotFound:
        return False
    return True
