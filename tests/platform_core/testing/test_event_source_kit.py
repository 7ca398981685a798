"""The event source's kit passes the fake and catches a mutant for each promise."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from loopline.platform_core.contracts.event_source import Arrival
from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.testing.event_source import MORNING, EventSourceKit
from loopline.platform_core.testing.fakes.event_source import Content, InMemoryDelivery, InMemoryEventSource, read_csv
from loopline.platform_core.testing.parts.mutants import assert_catches
from tests.platform_core.testing.mutant import mutant, pairs, rescue


class TestInMemoryEventSource(EventSourceKit):
    """The fake keeps every promise."""

    @pytest.fixture
    def events(self) -> InMemoryEventSource:
        return InMemoryEventSource()

    @pytest.fixture
    def deliver(self, events: InMemoryEventSource) -> InMemoryDelivery:
        return InMemoryDelivery(events)


def arrivals(change: Any) -> dict[str, Any]:
    """Make a source that changes each arrival."""
    return {"arrivals": lambda up, _, *given, **how: [replace(a, **change(a)) for a in up.arrivals(*given, **how)]}


def read(change: Any) -> dict[str, Any]:
    """Make a source that changes the rows which it reads."""
    return {"read": lambda up, _, *given: change(up.read(*given))}


def counted(rows: pa.Table) -> pa.Table:
    """Take the number of the row for its line."""
    return rows.set_column(rows.column_names.index("_line"), "_line", pa.array(range(2, len(rows) + 2), pa.int64()))


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
        is_new = content.digest not in digests(self, source)
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
        return Adding()

    @pytest.fixture
    def deliver(self, events: Adding) -> AddingDelivery:
        return AddingDelivery(events)


def digests(events: Adding, source: str) -> set[str]:
    """Name what came."""
    return {each.digest for each in events.contents(source)}


def counted_back(found: Sequence[Arrival]) -> Sequence[Arrival]:
    """Call each by its place before the end."""
    return [replace(a, name=f"{at - len(found)}") for at, a in enumerate(found)]


def without_zeros(rows: pa.Table) -> pa.Table:
    """Take a row's number for one."""
    return rows.set_column(1, rows.column_names[1], pc.utf8_rtrim(rows[1], "0")) if len(rows) == 1 else rows


class TellsAfterwards(InMemoryEventSource):
    """Breaks promise 7: the other content is there before anybody is told."""

    def redact(self, source: str, arrival: Arrival, lines: Collection[int], landed: Callable[[str], None]) -> None:
        told: list[str] = []
        super().redact(source, arrival, lines, told.append)
        for arrival_id in told:
            landed(arrival_id)


made, adding = partial(mutant, InMemoryEventSource), partial(mutant, Adding)
EMPTY = rescue("read", ContractBroken, lambda *_: pa.table({}))
CAUGHT = {
    "test_1_arrivals_come_oldest_first": [
        # the newest come first
        made("NewestFirst", arrivals=lambda up, _, *given, **how: up.arrivals(*given, **how)[::-1]),
        # an arrival is known by its name
        made("NamesAreIds", **arrivals(lambda a: {"arrival_id": a.name})),
    ],
    "test_1_content_that_comes_again_is_another_arrival": [
        # content that comes again is what it was
        made("ContentsAreIds", **arrivals(lambda a: {"arrival_id": a.content})),
        # a file that was touched is another arrival
        made("TimesAreIds", **arrivals(lambda a: {"arrival_id": f"{a.arrival_id}{a.arrived_at}"})),
    ],
    "test_2_every_row_is_read_as_text_with_its_line": [
        # rows with too many or too few fields are dropped
        made("DropsOddRows", **read(lambda rows: rows.filter(pc.is_null(rows["_malformed"])))),
        made("CountsRows", **read(counted)),
    ],
    "test_2_columns_are_text_whatever_they_hold": [
        # numbers are read as numbers
        made("GuessesTypes", **read(lambda rows: rows.set_column(0, "id", pc.cast(rows["id"], pa.int64())))),
    ],
    "test_3_reading_does_not_consume": [Consumes],
    # what is no table reads as an empty one
    "test_6_what_is_no_table_is_refused_and_kept": [made("ReadsAnything", **EMPTY), ThrowsAway],
    "test_7_what_is_redacted_is_gone": [
        # the line behind the one that is meant goes
        made("RedactsTheNext", redact=lambda up, _, *given: up.redact(*given[:2], {n + 1 for n in given[2]}, given[3])),
        TellsAfterwards,
    ],
}
ADDING_CAUGHT = {
    "test_1_content_that_comes_again_is_another_arrival": [
        # rows that look like earlier ones are taken for a copy of them
        adding(
            "AddsCopies", arrivals=lambda _, events, *given, **how: InMemoryEventSource.arrivals(events, *given, **how)
        ),
        # rows that look like earlier ones do not come
        adding(
            "AddsOnce", bring=lambda up, own, source, new: new.digest in digests(own, source) or up.bring(source, new)
        ),
        # what came is called otherwise when more comes
        adding("Renames", arrivals=lambda up, _, *given, **how: counted_back(up.arrivals(*given, **how))),
    ],
    "test_2_every_row_is_read_as_text_with_its_line": [
        # a row of nulls is dropped
        adding("DropsEmptyRows", **read(lambda rows: rows.filter(pc.or_(pc.is_valid(rows[0]), pc.is_valid(rows[1]))))),
    ],
    "test_2_columns_are_text_whatever_they_hold": [adding("NumbersAreNumbers", **read(without_zeros))],
    # a column that stands twice is read
    "test_6_what_is_no_table_is_refused_and_kept": [adding("ReadsTwice", **EMPTY)],
}


@pytest.mark.parametrize(("mutant", "test"), pairs(CAUGHT))
def test_the_kit_catches(mutant: type[InMemoryEventSource], test: str) -> None:
    """A source that breaks one promise fails that promise's test."""
    events = mutant()
    assert_catches(EventSourceKit, test, events=events, deliver=InMemoryDelivery(events))


@pytest.mark.parametrize(("mutant", "test"), pairs(ADDING_CAUGHT))
def test_the_kit_catches_who_only_adds(mutant: type[Adding], test: str) -> None:
    """So it is with a source to which rows are added."""
    events = mutant()
    assert_catches(EventSourceKit, test, events=events, deliver=AddingDelivery(events))


def test_the_kit_catches_what_lists_too_early() -> None:
    """A source that lists unfinished content, or content that never came, fails those promises' tests."""
    events = InMemoryEventSource()
    # a source has an arrival before anything came
    something = made(
        "AlwaysSomething", arrivals=lambda up, _, *a, **how: up.arrivals(*a, **how) or [Arrival("x", "x", MORNING)]
    )
    unfinished = "test_4_what_is_being_written_is_not_listed"
    assert_catches(EventSourceKit, unfinished, events=events, deliver=EagerDelivery(events))
    assert_catches(EventSourceKit, "test_5_nothing_came", events=something(), deliver=InMemoryDelivery(events))
