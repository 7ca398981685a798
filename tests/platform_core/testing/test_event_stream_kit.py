"""The event stream's kit passes the fake and catches a mutant for each promise."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from pydantic import PrivateAttr

from loopline.platform_core.contracts.event_stream import Record
from loopline.platform_core.errors import NotFound, StoreUnavailable
from loopline.platform_core.testing.event_stream import ALL, EventStreamKit
from loopline.platform_core.testing.fakes.event_stream import GAP, InMemoryEventStream, Row
from loopline.platform_core.testing.parts.mutants import assert_catches


class TestInMemoryEventStream(EventStreamKit):
    """The fake keeps every promise."""

    @pytest.fixture
    def events(self) -> InMemoryEventStream:
        """Make a stream."""
        return InMemoryEventStream()


class FromTheStart(InMemoryEventStream):
    """Breaks promise 1: offsets are not looked at."""

    def read(self, stream: str, offsets: Mapping[int, int], limit: int, wait_seconds: float = 0.0) -> pa.Table:
        return super().read(stream, {}, limit, wait_seconds)


class NewestFirst(InMemoryEventStream):
    """Breaks promise 1: the newest come first."""

    def behind(self, stream: str, offsets: Mapping[int, int]) -> Iterator[Row]:
        yield from reversed(list(super().behind(stream, offsets)))


class LosesOne(InMemoryEventStream):
    """Breaks promise 1: a record behind others is left out."""

    def behind(self, stream: str, offsets: Mapping[int, int]) -> Iterator[Row]:
        yield from (row for at, row in enumerate(super().behind(stream, offsets)) if at != 25)


class LastWriterOnly(InMemoryEventStream):
    """Breaks promise 1: who publishes replaces what others did."""

    def publish(self, stream: str, records: Sequence[Record]) -> None:
        self._held.pop(stream, None)
        super().publish(stream, records)


class Consumes(InMemoryEventStream):
    """Breaks promise 2: what was read is gone."""

    def read(self, stream: str, offsets: Mapping[int, int], limit: int, wait_seconds: float = 0.0) -> pa.Table:
        rows = super().read(stream, offsets, limit, wait_seconds)
        self._held.pop(stream, None)
        return rows


class NoLimit(InMemoryEventStream):
    """Breaks promise 3: everything comes at once."""

    def read(self, stream: str, offsets: Mapping[int, int], limit: int, wait_seconds: float = 0.0) -> pa.Table:
        return super().read(stream, offsets, ALL, wait_seconds)


class ForgetsTheRest(InMemoryEventStream):
    """Breaks promise 3: what is beyond the limit never comes."""

    def read(self, stream: str, offsets: Mapping[int, int], limit: int, wait_seconds: float = 0.0) -> pa.Table:
        rows = super().read(stream, offsets, ALL, wait_seconds)
        ends = pa.array([self.ends(stream)[p] for p in rows["partition"].to_pylist()], pa.int64())
        return rows.set_column(2, "next", ends).slice(0, limit)


class NextIsHere(InMemoryEventStream):
    """Breaks promise 4: ``next`` reads the record again."""

    def read(self, stream: str, offsets: Mapping[int, int], limit: int, wait_seconds: float = 0.0) -> pa.Table:
        rows = super().read(stream, offsets, limit, wait_seconds)
        return rows.set_column(2, "next", pc.add(rows["offset"], 0))


class NextJumps(InMemoryEventStream):
    """Breaks promise 4: ``next`` skips a record."""

    def read(self, stream: str, offsets: Mapping[int, int], limit: int, wait_seconds: float = 0.0) -> pa.Table:
        rows = super().read(stream, offsets, limit, wait_seconds)
        return rows.set_column(2, "next", pc.add(rows["offset"], 20))


class EndsAtTheNewest(InMemoryEventStream):
    """Breaks promise 5: the end is the newest record's own offset."""

    def ends(self, stream: str) -> Mapping[int, int]:
        return {partition: max(end - 10, 0) for partition, end in super().ends(stream).items()}


class EndsTooFar(InMemoryEventStream):
    """Breaks promise 5: whoever has read everything still has a lag."""

    def ends(self, stream: str) -> Mapping[int, int]:
        return {partition: end + 1 for partition, end in super().ends(stream).items()}


class Changes(InMemoryEventStream):
    """Breaks promise 6 in the way that ``change`` says."""

    def publish(self, stream: str, records: Sequence[Record]) -> None:
        super().publish(stream, [self.change(record) for record in records])

    def change(self, record: Record) -> Record:
        raise NotImplementedError


class TextOnly(Changes):
    """Breaks promise 6: values are text."""

    def change(self, record: Record) -> Record:
        return replace(record, value=record.value.decode(errors="replace").encode())


class KeysAreText(Changes):
    """Breaks promise 6: keys end with their line."""

    def change(self, record: Record) -> Record:
        return replace(record, key=record.key and record.key.strip())


class NoNullKey(Changes):
    """Breaks promise 6: a null key is empty."""

    def change(self, record: Record) -> Record:
        return replace(record, key=record.key or b"")


class NoHeaders(Changes):
    """Breaks promise 6: headers are lost."""

    def change(self, record: Record) -> Record:
        return replace(record, headers=None)


class MustBeMade(InMemoryEventStream):
    """Breaks promise 7: a stream that nobody wrote to is an error."""

    def read(self, stream: str, offsets: Mapping[int, int], limit: int, wait_seconds: float = 0.0) -> pa.Table:
        if not self.ends(stream):
            raise NotFound(f"no {stream}", "make it")
        return super().read(stream, offsets, limit, wait_seconds)


class AlwaysSomething(InMemoryEventStream):
    """Breaks promise 7: there is a record before anybody wrote."""

    def read(self, stream: str, offsets: Mapping[int, int], limit: int, wait_seconds: float = 0.0) -> pa.Table:
        if not self.ends(stream):
            self.publish(stream, [Record(b"welcome")])
        return super().read(stream, offsets, limit, wait_seconds)


class SpreadsKeys(InMemoryEventStream):
    """Breaks promise 8: records go to the partitions in turn."""

    _turn: Iterator[int] = PrivateAttr(default_factory=count)

    def add(self, held: list[list[Row]], record: Record) -> None:
        added: list[list[Row]] = [[] for _ in held]
        super().add(added, record)
        [[row]] = [rows for rows in added if rows]
        partition = next(self._turn) % self.partitions
        offset = len(held[partition]) * GAP
        held[partition].append(row | {"partition": partition, "offset": offset, "next": offset + GAP})


class NeverWaits(InMemoryEventStream):
    """Breaks promise 9: a read comes back at once."""

    def read(self, stream: str, offsets: Mapping[int, int], limit: int, wait_seconds: float = 0.0) -> pa.Table:
        return super().read(stream, offsets, limit)


class SitsItOut(InMemoryEventStream):
    """Breaks promise 9: a read waits the whole time."""

    def read(self, stream: str, offsets: Mapping[int, int], limit: int, wait_seconds: float = 0.0) -> pa.Table:
        time.sleep(min(wait_seconds, 16))  # longer than the test bears
        return super().read(stream, offsets, limit)


class TakesAnyOffset(InMemoryEventStream):
    """Breaks promise 10: nothing is read from an offset that does not exist."""

    def behind(self, stream: str, offsets: Mapping[int, int]) -> Iterator[Row]:
        ends = self.ends(stream)
        return super().behind(stream, {p: min(at, ends.get(p, 0)) for p, at in offsets.items()})


class CutsLargeRecords(InMemoryEventStream):
    """Breaks promise 6: of a large record the end is lost."""

    def publish(self, stream: str, records: Sequence[Record]) -> None:
        """Keep the first million bytes."""
        super().publish(stream, [replace(one, value=one.value and one.value[:1_000_000]) for one in records])


class IsBusyForEver(InMemoryEventStream):
    """Breaks promise 6: whoever sends a large record is told to try again."""

    def publish(self, stream: str, records: Sequence[Record]) -> None:
        """Refuse as if it were a matter of time."""
        if any(len(one.value or b"") > 1_000_000 for one in records):
            raise StoreUnavailable("the stream did not take it", "try again")
        super().publish(stream, records)


FROM = "test_1_reads_from_the_offsets_on"
LIMIT = "test_3_what_is_beyond_the_limit_comes_next"
NEXT = "test_4_next_reads_on_behind_a_record"
ENDS = "test_5_ends_are_behind_the_newest_record"
BYTES = "test_6_bytes_come_back"
NOBODY = "test_7_nobody_wrote"
WAITS = "test_9_a_read_waits_for_a_first_record"


@pytest.mark.parametrize(
    ("mutant", "test"),
    [
        (FromTheStart, FROM),
        (NewestFirst, FROM),
        (LosesOne, FROM),
        (LastWriterOnly, "test_1_several_publish_at_once"),
        (Consumes, "test_2_reading_does_not_consume"),
        (NoLimit, LIMIT),
        (ForgetsTheRest, LIMIT),
        (NextIsHere, NEXT),
        (NextJumps, NEXT),
        (EndsAtTheNewest, ENDS),
        (EndsTooFar, ENDS),
        (TextOnly, BYTES),
        (KeysAreText, BYTES),
        (NoNullKey, BYTES),
        (NoHeaders, BYTES),
        (CutsLargeRecords, "test_6_a_record_too_large_is_refused"),
        (IsBusyForEver, "test_6_a_record_too_large_is_refused"),
        (MustBeMade, NOBODY),
        (AlwaysSomething, NOBODY),
        (SpreadsKeys, "test_8_records_of_a_key_keep_their_order"),
        (NeverWaits, WAITS),
        (SitsItOut, WAITS),
        (TakesAnyOffset, "test_10_an_offset_behind_the_newest_record_is_refused"),
    ],
)
def test_the_kit_catches(mutant: type[InMemoryEventStream], test: str) -> None:
    """A stream that breaks one promise fails that promise's test."""
    assert_catches(EventStreamKit, test, events=mutant())
