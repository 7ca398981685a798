"""The event source's kit passes the fake and catches a mutant for each promise."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from loopline.platform_core.contracts.event_source import Arrival
from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.testing.event_source import MORNING, EventSourceKit
from loopline.platform_core.testing.fakes.event_source import Content, InMemoryDelivery, InMemoryEventSource, read_csv
from loopline.platform_core.testing.mutants import assert_catches


class TestInMemoryEventSource(EventSourceKit):
    """The fake keeps every promise."""

    @pytest.fixture
    def events(self) -> InMemoryEventSource:
        """Make a source."""
        return InMemoryEventSource()

    @pytest.fixture
    def deliver(self, events: InMemoryEventSource) -> InMemoryDelivery:
        """Deliver into it."""
        return InMemoryDelivery(events)


class NewestFirst(InMemoryEventSource):
    """Breaks promise 1: the newest come first."""

    def arrivals(self, source: str, *args: Any, **how: Any) -> Sequence[Arrival]:
        return super().arrivals(source, *args, **how)[::-1]


class ContentsAreIds(InMemoryEventSource):
    """Breaks promise 1: content that comes again is what it was."""

    def arrivals(self, source: str, *args: Any, **how: Any) -> Sequence[Arrival]:
        return [replace(a, arrival_id=a.content) for a in super().arrivals(source, *args, **how)]


class TimesAreIds(InMemoryEventSource):
    """Breaks promise 1: a file that was touched is another arrival."""

    def arrivals(self, source: str, *args: Any, **how: Any) -> Sequence[Arrival]:
        found = super().arrivals(source, *args, **how)
        return [replace(a, arrival_id=f"{a.arrival_id}{a.arrived_at}") for a in found]


class NamesAreIds(InMemoryEventSource):
    """Breaks promise 1: an arrival is known by its name."""

    def arrivals(self, source: str, *args: Any, **how: Any) -> Sequence[Arrival]:
        return [replace(a, arrival_id=a.name) for a in super().arrivals(source, *args, **how)]


class DropsOddRows(InMemoryEventSource):
    """Breaks promise 2: rows with too many or too few fields are dropped."""

    def read(self, source: str, arrival: Arrival) -> pa.Table:
        rows = super().read(source, arrival)
        return rows.filter(pc.is_null(rows["_malformed"]))


class CountsRows(InMemoryEventSource):
    """Breaks promise 2: the line is the number of the row."""

    def read(self, source: str, arrival: Arrival) -> pa.Table:
        rows = super().read(source, arrival)
        at = rows.column_names.index("_line")
        return rows.set_column(at, "_line", pa.array(range(2, len(rows) + 2), pa.int64()))


class GuessesTypes(InMemoryEventSource):
    """Breaks promise 2: numbers are read as numbers."""

    def read(self, source: str, arrival: Arrival) -> pa.Table:
        rows = super().read(source, arrival)
        return rows.set_column(0, "id", pc.cast(rows["id"], pa.int64()))


class Consumes(InMemoryEventSource):
    """Breaks promise 3: what was read is gone."""

    def read(self, source: str, arrival: Arrival) -> pa.Table:
        rows = super().read(source, arrival)
        self.contents(source).clear()
        self.contents(source).append(Content("rest", b"id,name\n", MORNING))
        return rows


class EagerDelivery(InMemoryDelivery):
    """Breaks promise 4: unfinished content is listed."""

    def unfinished(self, source: str, name: str, content: bytes) -> None:
        self.whole(source, name, content, MORNING)


class AlwaysSomething(InMemoryEventSource):
    """Breaks promise 5: a source has an arrival before anything came."""

    def arrivals(self, source: str, *args: Any, **how: Any) -> Sequence[Arrival]:
        return super().arrivals(source, *args, **how) or [Arrival("x", "x", MORNING)]


class ReadsAnything(InMemoryEventSource):
    """Breaks promise 6: what is no table reads as an empty one."""

    def read(self, source: str, arrival: Arrival) -> pa.Table:
        try:
            return super().read(source, arrival)
        except ContractBroken:
            return pa.table({})


class ThrowsAway(InMemoryEventSource):
    """Breaks promise 6: what is refused is removed."""

    def read(self, source: str, arrival: Arrival) -> pa.Table:
        try:
            return super().read(source, arrival)
        except ContractBroken:
            self.contents(source).clear()
            raise


class Adding(InMemoryEventSource):
    """Keeps every promise, and each content that ever came: rows are added, and those that look alike are others."""

    can: ClassVar[frozenset[str]] = frozenset()

    def bring(self, source: str, content: Content) -> None:
        held = self.contents(source)
        is_new = content.digest not in {each.digest for each in held}
        again = hashlib.sha256(f"{content.digest}{len(held)}".encode()).hexdigest()
        held.append(replace(content, arrival_id=content.digest if is_new else again))

    def arrivals(self, source: str, *args: Any, **how: Any) -> Sequence[Arrival]:
        return [replace(a, content_id="") for a in super().arrivals(source, *args, **how)]

    def read(self, source: str, arrival: Arrival) -> pa.Table:
        [content] = [each for each in self.contents(source) if each.arrival_id == arrival.arrival_id]
        return read_csv(content)


class AddingDelivery(InMemoryDelivery):
    """Rows of a table: each has every field, and there is no header without them."""

    replaces, is_ragged, is_bare = False, False, False
    lines = (2, 3, 4, 5, 7)
    unreadable: ClassVar[Sequence[bytes]] = (b"id,id\n1,2\n",)


class TestAdding(EventSourceKit):
    """The other fake keeps every promise as well."""

    @pytest.fixture
    def events(self) -> Adding:
        """Make a source."""
        return Adding()

    @pytest.fixture
    def deliver(self, events: Adding) -> AddingDelivery:
        """Deliver into it."""
        return AddingDelivery(events)


class AddsCopies(Adding):
    """Breaks promise 1: rows that look like earlier ones are taken for a copy of them."""

    def arrivals(self, source: str, *args: Any, **how: Any) -> Sequence[Arrival]:
        return InMemoryEventSource.arrivals(self, source, *args, **how)


class AddsOnce(Adding):
    """Breaks promise 1: rows that look like earlier ones do not come."""

    def bring(self, source: str, content: Content) -> None:
        if content.digest not in {each.digest for each in self.contents(source)}:
            super().bring(source, content)


class Renames(Adding):
    """Breaks promise 1: what came is called otherwise when more comes."""

    def arrivals(self, source: str, *args: Any, **how: Any) -> Sequence[Arrival]:
        found = super().arrivals(source, *args, **how)
        return [replace(a, name=f"{at - len(found)}") for at, a in enumerate(found)]


class DropsEmptyRows(Adding):
    """Breaks promise 2: a row of nulls is dropped."""

    def read(self, source: str, arrival: Arrival) -> pa.Table:
        rows = super().read(source, arrival)
        return rows.filter(pc.or_(pc.is_valid(rows[0]), pc.is_valid(rows[1])))


class NumbersAreNumbers(Adding):
    """Breaks promise 2: a number loses its zeros."""

    def read(self, source: str, arrival: Arrival) -> pa.Table:
        rows = super().read(source, arrival)
        return rows.set_column(1, rows.column_names[1], pc.utf8_rtrim(rows[1], "0")) if len(rows) == 1 else rows


class ReadsTwice(Adding):
    """Breaks promise 6: a column that stands twice is read."""

    def read(self, source: str, arrival: Arrival) -> pa.Table:
        try:
            return super().read(source, arrival)
        except ContractBroken:
            return pa.table({})


class RedactsTheNext(InMemoryEventSource):
    """Breaks promise 7: the line behind the one that is meant goes."""

    def redact(self, source: str, arrival: Arrival, lines: Collection[int], landed: Callable[[str], None]) -> None:
        super().redact(source, arrival, {line + 1 for line in lines}, landed)


class TellsAfterwards(InMemoryEventSource):
    """Breaks promise 7: the other content is there before anybody is told."""

    def redact(self, source: str, arrival: Arrival, lines: Collection[int], landed: Callable[[str], None]) -> None:
        told: list[str] = []
        super().redact(source, arrival, lines, told.append)
        for arrival_id in told:
            landed(arrival_id)


ARRIVALS, TEXT = "test_1_arrivals_come_oldest_first", "test_2_every_row_is_read_as_text_with_its_line"
AGAIN = "test_1_content_that_comes_again_is_another_arrival"


@pytest.mark.parametrize(
    ("mutant", "test"),
    [
        (NewestFirst, ARRIVALS),
        (ContentsAreIds, AGAIN),
        (TimesAreIds, AGAIN),
        (NamesAreIds, ARRIVALS),
        (DropsOddRows, TEXT),
        (CountsRows, TEXT),
        (GuessesTypes, "test_2_columns_are_text_whatever_they_hold"),
        (Consumes, "test_3_reading_does_not_consume"),
        (ReadsAnything, "test_6_what_is_no_table_is_refused_and_kept"),
        (ThrowsAway, "test_6_what_is_no_table_is_refused_and_kept"),
        (RedactsTheNext, "test_7_what_is_redacted_is_gone"),
        (TellsAfterwards, "test_7_what_is_redacted_is_gone"),
    ],
)
def test_the_kit_catches(mutant: type[InMemoryEventSource], test: str) -> None:
    """A source that breaks one promise fails that promise's test."""
    events = mutant()
    assert_catches(EventSourceKit, test, events=events, deliver=InMemoryDelivery(events))


@pytest.mark.parametrize(
    ("mutant", "test"),
    [
        (AddsCopies, AGAIN),
        (AddsOnce, AGAIN),
        (Renames, AGAIN),
        (DropsEmptyRows, TEXT),
        (NumbersAreNumbers, "test_2_columns_are_text_whatever_they_hold"),
        (ReadsTwice, "test_6_what_is_no_table_is_refused_and_kept"),
    ],
)
def test_the_kit_catches_who_only_adds(mutant: type[Adding], test: str) -> None:
    """So it is with a source to which rows are added."""
    events = mutant()
    assert_catches(EventSourceKit, test, events=events, deliver=AddingDelivery(events))


def test_the_kit_catches_what_lists_too_early() -> None:
    """A source that lists unfinished content, or content that never came, fails those promises' tests."""
    events = InMemoryEventSource()
    unfinished = "test_4_what_is_being_written_is_not_listed"
    assert_catches(EventSourceKit, unfinished, events=events, deliver=EagerDelivery(events))
    assert_catches(EventSourceKit, "test_5_nothing_came", events=AlwaysSomething(), deliver=InMemoryDelivery(events))
