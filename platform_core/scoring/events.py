"""Stream records as events, checked by the source's contract."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.foundation.names import ARRIVAL, ARRIVED_AT, LINE, OP
from loopline.platform_core.ingestion.row_changes import check_rows
from loopline.platform_core.ingestion.streams.stream_batch import committed
from loopline.platform_core.ingestion.streams.stream_records import arrival_id, text_rows
from loopline.platform_core.ingestion.streams.tombstones import reasons_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import pyarrow as pa

    from loopline.platform_core.ingestion.inbox import Inbox

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
REPLAYED = 10_000
"""Records that are read at once to bring state up."""
Row = Mapping[str, Any]
"""An event by the contract's columns; times are µs since 1970."""


class Event(NamedTuple):
    """What a record says; when it was published at the latest (µs), and where it ends."""

    row: Row
    published_us: int
    next: int


@dataclass(frozen=True)
class Events:
    """The events of one source, ``columns`` of each: ``time`` and whatever else is looked at."""

    inbox: Inbox
    time: str
    columns: Sequence[str]
    report: Callable[[str], None]

    def read(self, records: pa.Table) -> list[Event | str | None]:
        """Check records; of each, in their order, the event, why it is none, or None where it ends one."""
        inbox = self.inbox
        read = inbox.platform.event_stream.as_json(inbox.where, records)
        rows = text_rows(inbox, read.records, inbox.platform.clock.now())
        checked = check_rows(inbox.platform.engine, rows, inbox.judged.row_by_row())
        bad = reasons_of(inbox.contract, checked.bad, rows, read)
        places = zip(*(bad[name].to_pylist() for name in (ARRIVAL, LINE, "reasons")), strict=True)
        found: dict[tuple[str, int], Row | str] = {(a, line): "; ".join(why) for a, line, why in places}
        found |= {(row[ARRIVAL], row[LINE]): row for row in self._rows(checked.good)}
        published = records["at"].cast("int64").to_pylist()
        stamps = zip(*(rows[name].to_pylist() for name in (ARRIVAL, LINE)), strict=True)
        each = zip(stamps, published, records["next"].to_pylist(), strict=True)
        return [_event(found.get(place), at_us, behind) for place, at_us, behind in each]

    def before(self, partition: int, until: int, since_us: Callable[[int], int]) -> Iterator[Event]:
        """Read the events of a partition before an offset, in order: what has landed from the lake, then the stream.

        Of what has landed nothing is read that happened before ``since_us`` of the newest event (µs).
        """
        landed = committed(self.inbox, self.inbox.raw, [partition]).get(partition, 0)
        if landed:
            yield from self._landed(partition, min(landed, until), since_us)
        yield from self.streamed(partition, landed, until)

    def streamed(self, partition: int, first: int, until: int) -> Iterator[Event]:
        """Read a partition's events on the stream from an offset up to another one, in order.

        Where the stream no longer keeps the first ones, and they have not landed, that is reported.
        """
        while first < until:
            records = self._records(partition, first)
            records = records.filter(_before(records["offset"], until))
            if not len(records):
                return
            first = records["next"][-1].as_py()
            yield from (event for event in self.read(records) if isinstance(event, Event))

    def _records(self, partition: int, first: int) -> pa.Table:
        """Read a partition from an offset on, or from its first record that is kept."""
        from pyarrow import compute

        stream, where = self.inbox.platform.event_stream, self.inbox.where
        ends = dict(stream.ends(where))
        try:
            records = stream.read(where, ends | {partition: first}, REPLAYED)
        except ContractBroken as error:
            self.report(f"state of partition {partition} may lack events: {error}")
            del ends[partition]
            records = stream.read(where, ends, REPLAYED)
        return records.filter(compute.equal(records["partition"], partition)).sort_by("offset")

    def _landed(self, partition: int, until: int, since_us: Callable[[int], int]) -> Iterator[Event]:
        """Read what has landed of a partition before an offset."""
        from pyarrow import compute

        times = self._raw(partition, until, [self.time], None)
        newest = compute.max(times[self.time].cast("int64")).as_py()
        if newest is None:
            return
        oldest = since_us(newest)
        rows = self._raw(partition, until, self.columns, _day(oldest)).sort_by(LINE)
        arrived = rows[ARRIVED_AT].cast("int64").to_pylist()
        for row, at_us in zip(self._rows(rows), arrived, strict=True):
            yield Event(row, at_us, row[LINE] + 1)

    def _raw(self, partition: int, until: int, columns: Sequence[str], since: date | None) -> pa.Table:
        import pyarrow as pa

        lake, arrival = self.inbox.platform.lake, arrival_id(self.inbox.source, partition)
        known = lake.read(self.inbox.raw, until=date.min).schema.names
        wanted = dict.fromkeys([*columns, ARRIVAL, LINE, ARRIVED_AT, *([OP] if OP in known else [])])
        by_day = since if self.inbox.contract.event_time == self.time else None
        rows = lake.read(self.inbox.raw, columns=[*wanted], since=by_day, among={ARRIVAL: pa.array([arrival])})
        return rows.filter(_before(rows[LINE], until))

    def _rows(self, rows: pa.Table) -> list[dict[str, Any]]:
        """Make rows of what brings values, instants as µs since 1970."""
        import pyarrow as pa

        if OP in rows.column_names:
            rows = rows.filter(rows[OP].is_null())
        rows = rows.select([name for name in (*self.columns, ARRIVAL, LINE) if name in rows.column_names])
        for place, field in enumerate(rows.schema):
            if pa.types.is_timestamp(field.type):
                instants = rows[field.name].cast(pa.timestamp("us", field.type.tz)).cast("int64")
                rows = rows.set_column(place, field.name, instants)
        found: list[dict[str, Any]] = rows.to_pylist()
        return found


def _event(found: Row | str | None, at_us: int, behind: int) -> Event | str | None:
    return Event(found, at_us, behind) if isinstance(found, dict) else found  # type: ignore[return-value]


def _before(column: pa.ChunkedArray, until: int) -> Any:
    from pyarrow import compute

    return compute.less(column, until)


def _day(us: int) -> date:
    try:
        return (_EPOCH + timedelta(microseconds=us)).date()
    except OverflowError:
        return date.min
