"""Conformance kit of event sources.

Subclass ``EventSourceKit`` and give two fixtures: ``events``, the source, and ``deliver``, which brings content to it
as the world outside does. Content is CSV with a header line; a vendor whose content looks otherwise translates it, and
says by the constants of its ``Delivery`` what its content cannot be.
"""

from __future__ import annotations

import abc
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import ClassVar

from loopline.platform_core.contracts.event_source import REDACTS, Arrival, EventSource
from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.testing.parts.expect import claimed, raises

MORNING = datetime(2020, 1, 2, 6, tzinfo=UTC)
ROWS = b'id,name\n1,"a, ""b"""\n2,\n,\n3,x,too many\n4\n5,"two\nlines"\n6,z\n'


class Delivery(abc.ABC):
    """Brings content to a source.

    ``replaces``: content takes the place of what came under its name; else its rows are added to those that came.
    ``is_ragged``: a row may have too few or too many fields, and ``is_bare``: there may be a header without rows.
    ``lines`` are those of ``ROWS``, as far as they can come, and ``unreadable`` is what is no table.
    """

    replaces: ClassVar[bool] = True
    is_ragged: ClassVar[bool] = True
    is_bare: ClassVar[bool] = True
    lines: ClassVar[Sequence[int]] = (2, 3, 4, 5, 6, 7, 9)
    unreadable: ClassVar[Sequence[bytes]] = (b"\n", b"id,name\n\xff\xfe,1\n", b"id,id\n1,2\n")

    @abc.abstractmethod
    def whole(self, source: str, name: str, content: bytes, arrived_at: datetime) -> None:
        """Deliver content that is complete."""

    @abc.abstractmethod
    def unfinished(self, source: str, name: str, content: bytes) -> None:
        """Begin to deliver content."""

    @abc.abstractmethod
    def holds(self, source: str, name: str) -> bool:
        """Say whether the content is still where it was delivered."""

    def nothing(self, source: str) -> None:  # noqa: B027 - most sources need nothing
        """Make the place from which nothing came yet, where a source has none without it."""


def new_source() -> str:
    """Name a source that no test has used."""
    return f"kit/{uuid.uuid4().hex}"


class EventSourceKit:
    """One test a promise."""

    def test_1_arrivals_come_oldest_first(self, events: EventSource, deliver: Delivery) -> None:
        """Known ones are left out, ``limit`` takes the oldest, and a content is called the same everywhere."""
        source = new_source()
        for hours, name in ((2, "b"), (0, "c"), (1, "a")):
            deliver.whole(source, name, b"id\n" + name.encode(), MORNING + timedelta(hours=hours))
        found = events.arrivals(source)
        assert [a.arrived_at for a in found] == [MORNING + timedelta(hours=h) for h in range(3)]
        assert _ids(events.arrivals(source, known={found[1].arrival_id})) == [found[0].arrival_id, found[2].arrival_id]
        assert _ids(events.arrivals(source, known=[found[0].arrival_id], limit=1)) == [found[1].arrival_id]
        other = new_source()
        deliver.whole(other, "elsewhere", b"id\nb", MORNING)
        assert _ids(events.arrivals(other)) == [found[2].arrival_id]

    def test_1_content_that_comes_again_is_another_arrival(self, events: EventSource, deliver: Delivery) -> None:
        """Under another name, or after other content under its own: A, B, A are three; one that is touched is one."""
        source, hour = new_source(), timedelta(hours=1)
        if not deliver.replaces:
            _comes_again(events, deliver, source)
            return
        deliver.whole(source, "one", b"id\na", MORNING)
        [first] = events.arrivals(source)
        assert first.content == first.arrival_id
        deliver.whole(source, "one", b"id\na", MORNING + hour)
        assert _ids(events.arrivals(source)) == [first.arrival_id]
        deliver.whole(source, "two", b"id\na", MORNING + 2 * hour)
        second = events.arrivals(source)[1]
        for hours, content in ((3, b"id\nb"), (4, b"id\na")):
            deliver.whole(source, "one", content, MORNING + hours * hour)
            events.arrivals(source)
        found = events.arrivals(source)
        assert [a.name.split(".")[0] for a in found] == ["two", "one"]
        assert found[0] == second
        assert {a.content for a in found} == {first.content}
        assert len({first.arrival_id, *_ids(found)}) == 3

    def test_2_every_row_is_read_as_text_with_its_line(self, events: EventSource, deliver: Delivery) -> None:
        """Nothing is dropped: rows with too few or too many fields come with their raw text, in their place."""
        rows = events.read(*_delivered(events, deliver, _rows(deliver))).to_pydict()
        assert rows["_line"] == [*deliver.lines]
        if not deliver.is_ragged:
            assert rows["id"] == ["1", "2", None, "5", "6"]
            assert rows["name"] == ['a, "b"', None, None, "two\nlines", "z"]
            assert rows["_malformed"] == [None] * 5
            return
        assert rows["id"] == ["1", "2", None, None, None, "5", "6"]
        assert rows["name"] == ['a, "b"', None, None, None, None, "two\nlines", "z"]
        assert rows["_malformed"] == [None, None, None, "3,x,too many", "4", None, None]

    def test_2_columns_are_text_whatever_they_hold(self, events: EventSource, deliver: Delivery) -> None:
        """Numbers keep their zeros, and a header alone is a table without rows."""
        rows = events.read(*_delivered(events, deliver, b"id,n\n007,1.50\n"))
        assert rows.select(["id", "n"]).to_pylist() == [{"id": "007", "n": "1.50"}]
        assert [str(field.type) for field in rows.schema] == ["string", "string", "int64", "string"]
        if deliver.is_bare:
            none = events.read(*_delivered(events, deliver, b"id,n\n"))
            assert (len(none), none.schema) == (0, rows.schema)

    def test_3_reading_does_not_consume(self, events: EventSource, deliver: Delivery) -> None:
        """An arrival is listed and read as often as one likes."""
        source, arrival = _delivered(events, deliver, _rows(deliver))
        assert events.read(source, arrival).equals(events.read(source, arrival))
        assert events.arrivals(source) == [arrival]

    def test_4_what_is_being_written_is_not_listed(self, events: EventSource, deliver: Delivery) -> None:
        """Content is there when it is whole."""
        source = new_source()
        deliver.unfinished(source, "a", b"id\n1")
        assert not events.arrivals(source)
        deliver.whole(source, "a", b"id\n1\n2\n", MORNING)
        assert len(events.arrivals(source)) == 1

    def test_5_nothing_came(self, events: EventSource, deliver: Delivery) -> None:
        """A source that nobody delivered to has no arrivals."""
        source = new_source()
        deliver.nothing(source)
        assert list(events.arrivals(source)) == []

    def test_6_what_is_no_table_is_refused_and_kept(self, events: EventSource, deliver: Delivery) -> None:
        """Content that is empty, no text, or names a column twice raises, and stays."""
        assert deliver.unreadable
        for content in deliver.unreadable:
            source, arrival = _delivered(events, deliver, content)
            with raises(ContractBroken, match=arrival.name.split(".")[0]):
                events.read(source, arrival)
            assert events.arrivals(source) == [arrival]
            assert deliver.holds(source, "day")

    @claimed(REDACTS, by="events")
    def test_7_what_is_redacted_is_gone(self, events: EventSource, deliver: Delivery) -> None:
        """Lines go, the others stay as they came; the arrival that it is then was told of while it was still whole."""
        source, arrival = _delivered(events, deliver, b"id,name\n1,ann\n2,ben\n3,cid\n")
        told: list[tuple[str, int]] = []

        def landed(arrival_id: str) -> None:
            told.append((arrival_id, len(events.read(source, arrival))))

        events.redact(source, arrival, {3}, landed)
        (left,) = events.arrivals(source)
        assert told == [(left.arrival_id, 3)]
        assert left.arrival_id != arrival.arrival_id
        assert (left.name, left.arrived_at) == (arrival.name, arrival.arrived_at)
        rows = events.read(source, left)
        assert (rows["id"].to_pylist(), rows["name"].to_pylist()) == (["1", "3"], ["ann", "cid"])
        assert events.arrivals(source, known=[left.arrival_id]) == []
        events.redact(source, arrival, {2}, landed)  # which is no more
        assert len(told) == 1


def _ids(arrivals: object) -> list[str]:
    return [arrival.arrival_id for arrival in arrivals]  # type: ignore[attr-defined]


def _comes_again(events: EventSource, deliver: Delivery, source: str) -> None:
    """Hold a source to which rows are added: those that look like earlier ones are others, and no copy of them."""
    found: list[Arrival] = []
    for hours, content in enumerate((b"id\na", b"id\nb", b"id\na")):
        deliver.whole(source, f"at{hours}", content, MORNING + timedelta(hours=hours))
        before, found = found, [*events.arrivals(source)]
        assert found[:-1] == before
    assert len({*_ids(found)}) == len({arrival.content for arrival in found}) == 3
    assert found[0].content == found[0].arrival_id
    assert [events.read(source, arrival)["id"].to_pylist() for arrival in found] == [["a"], ["b"], ["a"]]


def _rows(deliver: Delivery) -> bytes:
    return ROWS if deliver.is_ragged else ROWS.replace(b"\n3,x,too many\n4\n", b"\n")


def _delivered(events: EventSource, deliver: Delivery, content: bytes) -> tuple[str, Arrival]:
    source = new_source()
    deliver.whole(source, "day", content, MORNING)
    return source, events.arrivals(source)[0]
