"""The lineage's kit passes the fake, and catches a lineage that breaks any one promise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from loopline.platform_core.contracts.lineage import Dataset, Field, RunEvent
from loopline.platform_core.errors import LooplineError, StoreUnavailable
from loopline.platform_core.testing import lineage as kit
from loopline.platform_core.testing.fakes.lineage import InMemoryLineage
from loopline.platform_core.testing.lineage import COMPLETE, LineageKit, Mood
from loopline.platform_core.testing.mutants import assert_catches


class Keeper:
    """The fake's other end."""

    def __init__(self, lineage: InMemoryLineage) -> None:
        self.lineage = lineage

    def feel(self, mood: Mood) -> None:
        self.lineage.feel(mood)

    def received(self) -> Sequence[RunEvent]:
        return self.lineage.events

    def words(self) -> Sequence[str]:
        return [repr(event) for event in self.lineage.events]


class TestFake(LineageKit):
    """The fake keeps every promise."""

    @pytest.fixture
    def lineage(self) -> InMemoryLineage:
        return InMemoryLineage()

    @pytest.fixture
    def receiver(self, lineage: InMemoryLineage) -> Keeper:
        return Keeper(lineage)


class Backwards(InMemoryLineage):
    """Breaks promise 1: the newest first."""

    def emit(self, events: Sequence[RunEvent]) -> None:
        super().emit(list(reversed(events)))


class Lazy(InMemoryLineage):
    """Breaks promise 1: it keeps the last event for later."""

    def emit(self, events: Sequence[RunEvent]) -> None:
        super().emit(events[:-1])


class ForgetsRows(InMemoryLineage):
    """Breaks promise 2: nobody learns how much was written."""

    def keep(self, event: RunEvent) -> None:
        super().keep(replace(event, outputs=tuple(replace(output, rows=None) for output in event.outputs)))


class ForgetsParents(InMemoryLineage):
    """Breaks promise 2: nobody learns whose part it was."""

    def keep(self, event: RunEvent) -> None:
        super().keep(replace(event, parent=None))


class ForgetsPlaces(InMemoryLineage):
    """Breaks promise 2: nobody else knows which table it was."""

    def keep(self, event: RunEvent) -> None:
        super().keep(replace(event, outputs=tuple(replace(output, place="") for output in event.outputs)))


class ForgetsChecks(InMemoryLineage):
    """Breaks promise 2: nobody learns what checks found."""

    def keep(self, event: RunEvent) -> None:
        super().keep(replace(event, inputs=tuple(replace(one, checks=()) for one in event.inputs)))


class AllPassed(InMemoryLineage):
    """Breaks promise 2: a check that failed looks as one that passed."""

    def keep(self, event: RunEvent) -> None:
        super().keep(replace(event, inputs=tuple(map(self._praised, event.inputs))))

    @staticmethod
    def _praised(one: Dataset) -> Dataset:
        return replace(one, checks=tuple(replace(check, passed=True) for check in one.checks))


class NoneBlocks(InMemoryLineage):
    """Breaks promise 2: a check that holds up the loop looks as a warning."""

    def keep(self, event: RunEvent) -> None:
        super().keep(replace(event, inputs=tuple(map(self._eased, event.inputs))))

    @staticmethod
    def _eased(one: Dataset) -> Dataset:
        return replace(one, checks=tuple(replace(check, blocks=False) for check in one.checks))


class ForgetsOrigins(InMemoryLineage):
    """Breaks promise 2: nobody learns what a column came from."""

    def keep(self, event: RunEvent) -> None:
        super().keep(replace(event, outputs=tuple(map(self._orphaned, event.outputs))))

    @staticmethod
    def _orphaned(one: Dataset) -> Dataset:
        return replace(one, fields=tuple(replace(field, origins=()) for field in one.fields))


class NothingIsTheSame(InMemoryLineage):
    """Breaks promise 2: a value that was taken over looks as one that was made anew."""

    def keep(self, event: RunEvent) -> None:
        super().keep(replace(event, outputs=tuple(map(self._made_anew, event.outputs))))

    @staticmethod
    def _made_anew(one: Dataset) -> Dataset:
        return replace(one, fields=tuple(map(_made, one.fields)))


def _made(field: Field) -> Field:
    return replace(field, origins=tuple(replace(origin, same=False) for origin in field.origins))


class Counts(InMemoryLineage):
    """Breaks promise 3: each telling is another one."""

    def keep(self, event: RunEvent) -> None:
        super().keep(replace(event, tags={**event.tags, "told": str(len(self.events))}))


class Swallows(InMemoryLineage):
    """Breaks promise 4: what a busy receiver did not take is gone."""

    def emit(self, events: Sequence[RunEvent]) -> None:
        try:
            super().emit(events)
        except StoreUnavailable:
            return


class SwallowsAll(InMemoryLineage):
    """Breaks promise 5: nobody learns that it was refused."""

    def emit(self, events: Sequence[RunEvent]) -> None:
        try:
            super().emit(events)
        except LooplineError:
            return


@pytest.mark.parametrize(
    ("mutant", "promise"),
    [
        (Backwards, "test_1_every_event_is_there_in_order"),
        (Lazy, "test_1_every_event_is_there_in_order"),
        (ForgetsRows, "test_2_nothing_is_lost"),
        (ForgetsParents, "test_2_nothing_is_lost"),
        (ForgetsPlaces, "test_2_nothing_is_lost"),
        (ForgetsChecks, "test_2_nothing_is_lost"),
        (AllPassed, "test_2_nothing_is_lost"),
        (NoneBlocks, "test_2_nothing_is_lost"),
        (ForgetsOrigins, "test_2_nothing_is_lost"),
        (NothingIsTheSame, "test_2_nothing_is_lost"),
        (Counts, "test_3_the_same_event_has_the_same_words"),
        (Swallows, "test_4_a_receiver_that_is_busy_may_be_asked_again"),
        (SwallowsAll, "test_5_a_receiver_that_refuses_is_told"),
    ],
)
def test_the_kit_catches(mutant: type[InMemoryLineage], promise: str) -> None:
    """Each mutant breaks one promise, and that promise's test notices."""
    lineage = mutant()
    event = {"event": COMPLETE} if promise.startswith("test_2") else {}
    assert_catches(LineageKit, promise, lineage=lineage, receiver=Keeper(lineage), **event)


def test_the_kit_s_events_differ() -> None:
    """Events that are alike would show nothing lost."""
    assert len({repr(event) for event in (kit.START, kit.COMPLETE, kit.FAIL)}) == 3
