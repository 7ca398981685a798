"""Conformance kit of event streams.

Subclass ``EventStreamKit`` and give a fixture ``events``, the stream. It may hold streams of other tests; with more
than one partition the kit sees more.
"""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

from loopline.platform_core.contracts.event_stream import EventStream, Record, records_schema
from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.testing.parts.expect import raises

ALL = 10_000
ODD = [b"", b"\n", b'"\\\r\n\0', "ä€𝄞".encode(), bytes(range(256)), b'{"json": "\xc3"}', b"x" * 100_000]
"""Bytes that a line, a text or a small buffer does not bear."""


def new_stream() -> str:
    """Name a stream that no test has used."""
    return f"kit/{uuid.uuid4().hex}"


def published(events: EventStream, count: int, keys: int = 7) -> str:
    """Publish numbers under a few keys, some calls at a time; gives the stream."""
    stream = new_stream()
    for start in range(0, count, 9):
        numbers = range(start, min(start + 9, count))
        events.publish(stream, [Record(b"%d" % n, b"key %d" % (n % keys)) for n in numbers])
    return stream


def read(events: EventStream, stream: str, offsets: Mapping[int, int] | None = None, limit: int = ALL) -> Any:
    """Read rows as dictionaries."""
    return events.read(stream, offsets or {}, limit).to_pylist()


def values(rows: Any) -> list[int]:
    """Return the numbers, sorted."""
    return sorted(int(row["value"]) for row in rows)


def placed(rows: Any) -> list[Any]:
    """Order rows by partition and offset: how partitions are mixed is left to the vendor."""
    return sorted(rows, key=lambda row: (row["partition"], row["offset"]))


class EventStreamKit:
    """One test a promise."""

    def test_1_reads_from_the_offsets_on(self, events: EventStream) -> None:
        """Everything comes, each partition in order; from any offset on, all that stands there or behind it."""
        stream = published(events, 60)
        rows = read(events, stream)
        assert values(rows) == list(range(60))
        for partition in {row["partition"] for row in rows}:
            own = [row for row in rows if row["partition"] == partition]
            assert [row["offset"] for row in own] == sorted({row["offset"] for row in own})
            for at in (0, len(own) // 2, len(own) - 1):
                others = {p: end for p, end in events.ends(stream).items() if p != partition}
                assert read(events, stream, others | {partition: own[at]["offset"]}) == own[at:]

    def test_1_several_publish_at_once(self, events: EventStream) -> None:
        """Nothing is lost where several writers publish to a stream that is not there yet."""
        stream = new_stream()
        with ThreadPoolExecutor(4) as pool:
            for start in range(0, 80, 10):
                records = [Record(b"%d" % n, b"%d" % start) for n in range(start, start + 10)]
                pool.submit(events.publish, stream, records)
        assert values(read(events, stream)) == list(range(80))

    def test_2_reading_does_not_consume(self, events: EventStream) -> None:
        """The same offsets read the same again, also after others were read."""
        stream = published(events, 20)
        rows = read(events, stream)
        offsets = {row["partition"]: row["offset"] for row in rows}
        tail = read(events, stream, offsets)
        assert placed(read(events, stream)) == placed(rows)
        assert placed(read(events, stream, offsets)) == placed(tail)

    def test_3_what_is_beyond_the_limit_comes_next(self, events: EventStream) -> None:
        """Batch by batch everything comes once, and no batch is larger than asked."""
        stream = published(events, 50)
        offsets: dict[int, int] = {}
        batches = []
        while rows := read(events, stream, offsets, limit=8):
            batches.append(rows)
            offsets |= {row["partition"]: row["next"] for row in rows}
            assert len(rows) <= 8
            assert len(batches) <= 50
        assert values(row for rows in batches for row in rows) == list(range(50))

    def test_4_next_reads_on_behind_a_record(self, events: EventStream) -> None:
        """Each record's ``next`` lies behind it, and no record lies in between."""
        stream = published(events, 30)
        rows, ends = read(events, stream), events.ends(stream)
        for partition in {row["partition"] for row in rows}:
            own = [row for row in rows if row["partition"] == partition]
            for at, row in enumerate(own):
                assert row["next"] > row["offset"]
                rest = read(events, stream, {**ends, partition: row["next"]})
                assert [other["offset"] for other in rest] == [other["offset"] for other in own[at + 1 :]]

    def test_5_ends_are_behind_the_newest_record(self, events: EventStream) -> None:
        """Whoever has read everything stands at the ends; one more record moves one of them."""
        stream = published(events, 20)
        before, read_to = dict(events.ends(stream)), {}
        for row in read(events, stream):
            read_to[row["partition"]] = row["next"]
        assert {p: end for p, end in before.items() if p in read_to} == read_to
        assert read(events, stream, before) == []
        events.publish(stream, [Record(b"20", b"key")])
        after = events.ends(stream)
        [(partition, _)] = after.items() - before.items()
        [row] = read(events, stream, before)
        assert (row["partition"], row["value"], row["next"]) == (partition, b"20", after[partition])

    def test_6_bytes_come_back(self, events: EventStream) -> None:
        """Keys, values and headers come as they went, whatever they hold, with the time of publication."""
        stream, begun = new_stream(), datetime.now(UTC)
        headers = {"reason": "a, b\nc", "ä": ""}
        events.publish(stream, [Record(odd, odd or None, headers if odd else None) for odd in ODD])
        table = events.read(stream, {}, ALL)
        assert table.schema.equals(records_schema())
        found = {row["value"]: row for row in table.to_pylist()}
        assert {value: row["key"] for value, row in found.items()} == {odd: odd or None for odd in ODD}
        assert {value: json.loads(row["headers"]) for value, row in found.items()} == {
            odd: headers if odd else {} for odd in ODD
        }
        for row in found.values():
            assert abs(row["at"] - begun) < timedelta(minutes=1)

    def test_6_a_record_without_a_value_is_no_empty_one(self, events: EventStream) -> None:
        """A tombstone comes back as one, behind what it ends."""
        stream = new_stream()
        events.publish(stream, [Record(b"1", b"key"), Record(None, b"key"), Record(b"", b"key")])
        assert [(row["key"], row["value"]) for row in read(events, stream)] == [
            (b"key", b"1"),
            (b"key", None),
            (b"key", b""),
        ]

    def test_6_a_record_too_large_is_refused(self, events: EventStream) -> None:
        """Two million bytes come back whole, or are refused; what was published before and after is there."""
        stream, large, kept = new_stream(), bytes(2_000_000), [b"before"]
        events.publish(stream, [Record(b"before", b"key")])
        try:
            events.publish(stream, [Record(large, b"key")])
        except ContractBroken:
            pass
        else:
            kept.append(large)
        events.publish(stream, [Record(b"after", b"key")])
        assert [row["value"] for row in read(events, stream)] == [*kept, b"after"]

    def test_7_nobody_wrote(self, events: EventStream) -> None:
        """A stream without records is empty, with the columns of one that has some."""
        stream = new_stream()
        assert not any(events.ends(stream).values())
        table = events.read(stream, {}, ALL)
        assert (len(table), table.schema) == (0, records_schema())

    def test_8_records_of_a_key_keep_their_order(self, events: EventStream) -> None:
        """A key stays in one partition, over many calls."""
        rows = read(events, published(events, 70))
        for key in {row["key"] for row in rows}:
            own = [row for row in rows if row["key"] == key]
            assert len({row["partition"] for row in own}) == 1
            numbers = [int(row["value"]) for row in own]
            assert (len(numbers), numbers) == (10, sorted(numbers))

    def test_9_a_read_waits_for_a_first_record(self, events: EventStream) -> None:
        """It comes back with what is published meanwhile, and with nothing once the time is over."""
        stream = published(events, 3)
        ends, begun = events.ends(stream), time.monotonic()
        assert len(events.read(stream, ends, ALL, wait_seconds=0.4)) == 0
        assert time.monotonic() - begun > 0.35
        later = threading.Timer(0.5, events.publish, (stream, [Record(b"late", b"key")]))
        later.start()
        begun = time.monotonic()
        rows = events.read(stream, ends, ALL, wait_seconds=20)
        later.join()
        assert rows["value"].to_pylist() == [b"late"]
        assert time.monotonic() - begun < 15

    def test_10_an_offset_behind_the_newest_record_is_refused(self, events: EventStream) -> None:
        """Such an offset is of another stream that had the name, whose records must not be mixed with these."""
        stream = published(events, 3)
        for partition, end in events.ends(stream).items():
            with raises(ContractBroken, match=stream.removeprefix("kit/")):
                events.read(stream, {partition: end + 5}, ALL)
        gone = new_stream()
        with raises(ContractBroken, match=gone.removeprefix("kit/")):
            events.read(gone, {0: 5}, ALL)
