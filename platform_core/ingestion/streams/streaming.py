"""Stream ingestion, exactly once: rows and offsets of a micro-batch in one commit; consumer lag."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loopline.platform_core.contracts.event_source import Arrival
from loopline.platform_core.errors import CommitConflict
from loopline.platform_core.ingestion.inbox import Inbox
from loopline.platform_core.ingestion.landed import Landed
from loopline.platform_core.ingestion.landing_line import Reached, reached, record_landing
from loopline.platform_core.ingestion.letters import dead_shares
from loopline.platform_core.ingestion.letters.dead_shares import Share
from loopline.platform_core.ingestion.streams.stream_batch import Offsets, committed, land_batch
from loopline.platform_core.ingestion.streams.stream_records import arrival_id

if TYPE_CHECKING:
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Source, Team

BATCH = 10_000
"""Records a commit, at most."""
MANY_LETTERS = 20
"""Dead letters of a stream from which on most records being letters is an alarm: one odd record is none."""
CONFLICTS, CONFLICT_SECONDS = 10, 0.1
"""So often in a row another writer may have been faster before a landing gives up."""


@dataclass(frozen=True)
class Lag:
    """By partition, how far the landed offset is behind the newest: records on Kafka, bytes in a folder."""

    behind: Offsets

    @property
    def total(self) -> int:
        """Add up the partitions."""
        return sum(self.behind.values())


def lag(platform: Platform, team: Team, source: Source) -> Lag:
    """Say how much of a stream has not landed; a partition of which nothing has counts from 0."""
    inbox = Inbox.of(platform, team, source)
    ends = platform.event_stream.ends(inbox.where)
    landed = committed(inbox, inbox.raw, ends)
    return Lag({partition: end - landed.get(partition, 0) for partition, end in sorted(ends.items())})


def pending(platform: Platform, team: Team, source: Source, limit: int | None = None) -> Sequence[Arrival]:
    """Name the partitions of which a record waits; what is behind but no record, as on Kafka it may be, waits not."""
    inbox, now = Inbox.of(platform, team, source), platform.clock.now()
    behind = lag(platform, team, source).behind
    late = [partition for partition, offsets in behind.items() if offsets > 0]
    landed = committed(inbox, inbox.raw, behind)
    if not late or not len(platform.event_stream.read(inbox.where, landed, limit=1)):
        return []
    return [Arrival(arrival_id(source.name, p), f"{source.name}:{p}", now) for p in late][:limit]


def catch_up(platform: Platform, team: Team, source: Source, limit: int | None = None) -> Landed:
    """Land what the stream holds now, at most ``limit`` records, in as many micro-batches as that takes.

    Raises:
        InvalidSpec, ContractBroken, StoreUnavailable: as ``land_stream``.
        CommitConflict: another writer was faster again and again.
    """
    inbox = Inbox.of(platform, team, source)
    goal, left = platform.event_stream.ends(inbox.where), sys.maxsize if limit is None else limit
    landed, began = Landed(0, (), 0, 0, {}, platform.lake.version(inbox.raw)), reached(inbox)
    while landed.arrivals < left and _behind(committed(inbox, inbox.raw, goal), goal):
        batch = _insist(inbox, min(BATCH, left - landed.arrivals))
        if not batch.arrivals:
            break
        landed += batch
    record_stream_landing(inbox, landed, began)
    return landed


def record_stream_landing(inbox: Inbox, landed: Landed, began: Reached) -> None:
    """Write into the ledger what landed of a stream, and that most of it was dead letters if so."""
    record_landing(inbox, landed, began, {"refused": 0}, "records")
    share = Share(f"the newest records of {inbox.source}", landed.rows, landed.dead, landed.reasons)
    if landed.dead >= MANY_LETTERS and share.high:
        dead_shares.record_dead_share(inbox, f"stream:{landed.version}:{reached(inbox).letters_version}", share)


def land_stream(
    platform: Platform, team: Team, source: Source, limit: int = BATCH, wait_seconds: float = 0.0
) -> Landed:
    """Land one micro-batch: at most ``limit`` records, waiting a while for the first.

    Letters are written first, then published, then rows are committed together with the offsets behind them. The
    commit builds on the offsets from which the batch was read, so that a writer that was overtaken writes nothing. A
    landing that died before its commit is done again from the same offsets: what it made letters stays letters.

    Raises:
        InvalidSpec: the contract file is wrong. CommitConflict: another writer was faster; nothing of it is lost.
        ContractBroken: the stream no longer keeps what comes next. StoreUnavailable: the stream did not answer.
    """
    return land_batch(Inbox.of(platform, team, source), limit, wait_seconds)


def _insist(inbox: Inbox, limit: int) -> Landed:
    """Land a batch, after another writer was faster from where that one is."""
    for _ in range(CONFLICTS):
        try:
            return land_batch(inbox, limit, 0.0)
        except CommitConflict:
            time.sleep(CONFLICT_SECONDS)
    return land_batch(inbox, limit, 0.0)


def _behind(landed: Offsets, goal: Offsets) -> bool:
    return any(landed.get(partition, 0) < end for partition, end in goal.items())
