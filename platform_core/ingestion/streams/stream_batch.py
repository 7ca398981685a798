"""One micro-batch of a stream: dead letters, then rows and offsets in one commit; a stale writer's commit fails."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loopline.platform_core.foundation import tracing
from loopline.platform_core.foundation.names import ARRIVAL
from loopline.platform_core.ingestion import erased_rows, raw_rows, sequence
from loopline.platform_core.ingestion.inbox import Inbox
from loopline.platform_core.ingestion.landed import Landed
from loopline.platform_core.ingestion.row_changes import check_rows
from loopline.platform_core.ingestion.streams.dead_records import letters_already, letters_of_records, publish
from loopline.platform_core.ingestion.streams.stream_records import arrival_id, text_rows
from loopline.platform_core.ingestion.streams.tombstones import reasons_of
from loopline.platform_core.loop.erasures import KEPT_OUT

if TYPE_CHECKING:
    import pyarrow as pa


Offsets = Mapping[int, int]


@dataclass(frozen=True)
class Standing:
    """How far a stream has landed, by partition: ``landed`` in raw rows, ``lettered`` in dead letters."""

    landed: Offsets
    lettered: Offsets

    @property
    def half(self) -> Offsets:
        """Return how far letters go beyond rows: there a landing was killed between the two."""
        return {partition: to for partition, to in self.lettered.items() if to > self.landed.get(partition, 0)}


def standing(inbox: Inbox) -> Standing:
    """Look up how far a stream has landed."""
    partitions = inbox.platform.event_stream.ends(inbox.where)
    return Standing(committed(inbox, inbox.raw, partitions), committed(inbox, inbox.dead_letters, partitions))


def committed(inbox: Inbox, table: str, partitions: Iterable[int]) -> dict[int, int]:
    """Return the offset behind what a table holds of each partition, where it holds something."""
    names = {_application(inbox, partition): partition for partition in partitions}
    return {names[name]: offset for name, offset in inbox.platform.lake.committed(table, list(names)).items()}


def land_batch(inbox: Inbox, limit: int, wait_seconds: float) -> Landed:
    """Land at most ``limit`` records; raises as ``land_stream``."""
    stands, stream = standing(inbox), inbox.platform.event_stream
    records = _until(stream.read(inbox.where, stands.landed, limit, wait_seconds), stands.half)
    if not len(records):
        return Landed(0, (), 0, 0, {}, inbox.platform.lake.version(inbox.raw))
    with tracing.span("land records", team=inbox.team, source=inbox.source, records=len(records)) as spanned:
        landed = _land(inbox, records, stands)
        spanned.note(rows=landed.rows, dead_letters=landed.dead, table_version=landed.version)
        return landed


def _land(inbox: Inbox, records: pa.Table, stands: Standing) -> Landed:
    read = inbox.platform.event_stream.as_json(inbox.where, records)
    rows = text_rows(inbox, read.records, inbox.platform.clock.now())
    checked = check_rows(inbox.platform.engine, rows, inbox.judged.row_by_row())
    left = erased_rows.without_erased(inbox, checked.good, reasons_of(inbox.contract, checked.bad, rows, read))
    erased_rows.told(inbox, left.kept_out, "records of its stream", f"{KEPT_OUT}:{inbox.where}:{_ends(records)}")
    good = raw_rows.dated(left.good, inbox.contract)
    letters = letters_of_records(inbox, left.bad, rows, read.records, sequence.next_number(inbox))
    before = letters_already(inbox, rows) if stands.half else letters.slice(0, 0)
    good, letters = (raw_rows.within(part, raw_rows.keys(before), keep=False) for part in (good, letters))
    dead = _joined(before, letters)
    _write_letters(inbox, letters, _ends(records), stands)
    publish(inbox, dead, rows, records)
    version = _write_rows(inbox, good, _ends(records), stands)
    reasons = Counter(reason for found in dead["reasons"].to_pylist() for reason in found)
    return Landed(len(records), (), len(good), len(dead), reasons, version)


def _write_letters(inbox: Inbox, letters: pa.Table, ends: Offsets, stands: Standing) -> None:
    """Append letters; those of a partition that is done again under another name, as its offset is there already."""
    if not len(letters):
        return
    lake, found = inbox.platform.lake, set(letters[ARRIVAL].unique().to_pylist())
    partitions = [partition for partition in ends if arrival_id(inbox.source, partition) in found]
    new = {_application(inbox, p): ends[p] for p in partitions if p not in stands.half}
    again = [f"{_application(inbox, p)}:again" for p in partitions if p in stands.half]
    counts = lake.committed(inbox.dead_letters, again)
    transactions = new | {name: counts.get(name, 0) + 1 for name in again}
    lake.append(inbox.dead_letters, letters, transactions, after=_named(inbox, stands.lettered) | dict(counts))


def _write_rows(inbox: Inbox, good: pa.Table, ends: Offsets, stands: Standing) -> int:
    return sequence.append_next(inbox, [good], lambda _: _named(inbox, ends), _named(inbox, stands.landed))


def _until(records: pa.Table, half: Offsets) -> pa.Table:
    """Leave out what lies behind the letters of a landing that is done again, so that the two do not mix."""
    from pyarrow import compute

    for partition, to in half.items():
        own, behind = compute.equal(records["partition"], partition), compute.greater_equal(records["offset"], to)
        records = records.filter(compute.invert(compute.and_(own, behind)))
    return records


def _ends(records: pa.Table) -> dict[int, int]:
    """Return, by partition, the offset behind the last record."""
    last = records.group_by("partition").aggregate([("next", "max")])
    return dict(zip(last["partition"].to_pylist(), last["next_max"].to_pylist(), strict=True))


def _joined(*letters: pa.Table) -> pa.Table:
    import pyarrow as pa

    return pa.concat_tables(letters)


def _named(inbox: Inbox, offsets: Offsets) -> dict[str, int]:
    return {_application(inbox, partition): offset for partition, offset in offsets.items()}


def _application(inbox: Inbox, partition: int) -> str:
    """Name a partition's transaction: its version is the offset to read on from."""
    return f"stream:{inbox.where}:{partition}"
