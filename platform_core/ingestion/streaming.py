"""A stream lands in micro-batches: rows and offsets in one commit, so that no kill loses or doubles a record."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from platform_core.contracts.event_source import Arrival
from platform_core.errors import CommitConflict
from platform_core.ingestion import raw_rows
from platform_core.ingestion.dead_records import letters_already, letters_of_records, publish
from platform_core.ingestion.inbox import Inbox
from platform_core.ingestion.landing import Landed, record_landing
from platform_core.ingestion.stream_records import arrival_id, text_rows
from platform_core.names import ARRIVAL

if TYPE_CHECKING:
    import pyarrow as pa

    from platform_core.platform import Platform
    from platform_core.specs import Source, Team
    from platform_core.specs.contract_file import RowContract

BATCH = 10_000
"""Records a commit, at most."""
CONFLICTS, CONFLICT_SECONDS = 10, 0.1
"""So often in a row another writer may have been faster before a landing gives up."""
Offsets = Mapping[int, int]


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
    landed = _committed(inbox, inbox.raw, ends)
    return Lag({partition: end - landed.get(partition, 0) for partition, end in sorted(ends.items())})


def pending(platform: Platform, team: Team, source: Source, limit: int | None = None) -> Sequence[Arrival]:
    """Name the partitions of which a record waits; what is behind but no record, as on Kafka it may be, waits not."""
    late = [partition for partition, behind in lag(platform, team, source).behind.items() if behind > 0]
    inbox, now = Inbox.of(platform, team, source), platform.clock.now()
    if not late or not len(platform.event_stream.read(inbox.where, _committed(inbox, inbox.raw, late), limit=1)):
        return []
    return [Arrival(arrival_id(source.name, p), f"{source.name}:{p}", now) for p in late][:limit]


def catch_up(platform: Platform, team: Team, source: Source, limit: int | None = None) -> Landed:
    """Land what the stream holds now, at most ``limit`` records, in as many micro-batches as that takes.

    Raises:
        InvalidSpec, ContractBroken, StoreUnavailable: as ``land_stream``.
        CommitConflict: another writer was faster again and again.
    """
    inbox = Inbox.of(platform, team, source)
    goal, conflicts = platform.event_stream.ends(inbox.where), 0
    landed = Landed(0, (), 0, 0, {}, platform.lake.version(inbox.raw))
    while _behind(_committed(inbox, inbox.raw, goal), goal) and (limit is None or landed.arrivals < limit):
        try:
            batch = _land_batch(inbox, BATCH if limit is None else min(BATCH, limit - landed.arrivals), 0.0)
        except CommitConflict:
            conflicts += 1
            if conflicts == CONFLICTS:
                raise
            time.sleep(CONFLICT_SECONDS)
            continue
        if not batch.arrivals:
            break
        landed, conflicts = landed + batch, 0
    if landed.arrivals:
        record_landing(inbox, landed, f"{landed.arrivals} records of {inbox.source}", {"refused": 0})
    return landed


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
    return _land_batch(Inbox.of(platform, team, source), limit, wait_seconds)


def _land_batch(inbox: Inbox, limit: int, wait_seconds: float) -> Landed:
    import pyarrow as pa

    stream, lake = inbox.platform.event_stream, inbox.platform.lake
    partitions = stream.ends(inbox.where)
    start, lettered = (_committed(inbox, table, partitions) for table in (inbox.raw, inbox.dead_letters))
    half = {partition: to for partition, to in lettered.items() if to > start.get(partition, 0)}
    records = _until(stream.read(inbox.where, start, limit, wait_seconds), half)
    if not len(records):
        return Landed(0, (), 0, 0, {}, lake.version(inbox.raw))
    rows = text_rows(inbox, records, inbox.platform.clock.now())
    checked = inbox.platform.engine.check_rows(rows, row_by_row(inbox.contract))
    letters, good = letters_of_records(checked.bad, rows, records), raw_rows.dated(checked.good, inbox.contract)
    dead = letters
    if half:  # a landing was killed between its letters and its rows
        before = letters_already(inbox, rows)
        good, letters = (raw_rows.within(part, raw_rows.keys(before), keep=False) for part in (good, letters))
        dead = pa.concat_tables([before, letters])
    _write_letters(inbox, letters, _ends(records), half, lettered)
    publish(inbox, dead, rows, records)
    version = _write_rows(inbox, good, _ends(records), start)
    reasons = Counter(reason for found in dead["reasons"].to_pylist() for reason in found)
    return Landed(len(records), (), len(good), len(dead), reasons, version)


def _write_letters(inbox: Inbox, letters: pa.Table, ends: Offsets, half: Offsets, lettered: Offsets) -> None:
    """Append letters; those of a partition that is done again under another name, as its offset is there already."""
    if not len(letters):
        return
    lake = inbox.platform.lake
    found = set(letters[ARRIVAL].unique().to_pylist())
    partitions = [partition for partition in ends if arrival_id(inbox.source, partition) in found]
    new = {_application(inbox, p): ends[p] for p in partitions if p not in half}
    again = [f"{_application(inbox, p)}:again" for p in partitions if p in half]
    counts = lake.committed(inbox.dead_letters, again)
    transactions = new | {name: counts.get(name, 0) + 1 for name in again}
    after = {_application(inbox, p): at for p, at in lettered.items()} | dict(counts)
    lake.append(inbox.dead_letters, letters, transactions, after=after)


def _write_rows(inbox: Inbox, good: pa.Table, ends: Offsets, start: Offsets) -> int:
    transactions = {_application(inbox, partition): end for partition, end in ends.items()}
    after = {_application(inbox, partition): at for partition, at in start.items()}
    return inbox.platform.lake.append(inbox.raw, good, transactions, after=after)


def row_by_row(contract: RowContract) -> RowContract:
    """Leave out what is asked of a file as a whole: in a stream each record is right or wrong by itself."""
    return replace(contract, columns=tuple(replace(column, required=False) for column in contract.columns))


def _until(records: pa.Table, half: Offsets) -> pa.Table:
    """Leave out what lies behind the letters of a landing that is done again, so that the two do not mix."""
    from pyarrow import compute

    for partition, to in half.items():
        behind = compute.and_(
            compute.equal(records["partition"], partition), compute.greater_equal(records["offset"], to)
        )
        records = records.filter(compute.invert(behind))
    return records


def _ends(records: pa.Table) -> dict[int, int]:
    """Return, by partition, the offset behind the last record."""
    last = records.group_by("partition").aggregate([("next", "max")])
    return dict(zip(last["partition"].to_pylist(), last["next_max"].to_pylist(), strict=True))


def _behind(landed: Offsets, goal: Offsets) -> bool:
    return any(landed.get(partition, 0) < end for partition, end in goal.items())


def _committed(inbox: Inbox, table: str, partitions: Iterable[int]) -> dict[int, int]:
    names = {_application(inbox, partition): partition for partition in partitions}
    return {names[name]: offset for name, offset in inbox.platform.lake.committed(table, list(names)).items()}


def _application(inbox: Inbox, partition: int) -> str:
    """Name a partition's transaction: its version is the offset to read on from."""
    return f"stream:{inbox.where}:{partition}"
