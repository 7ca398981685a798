"""The lineage's kit passes the fake, and catches a lineage that breaks any one promise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from loopline.platform_core.contracts.lineage import Dataset, RunEvent
from loopline.platform_core.errors import LooplineError, StoreUnavailable
from loopline.platform_core.testing import lineage as kit
from loopline.platform_core.testing.fakes.lineage import InMemoryLineage
from loopline.platform_core.testing.lineage import COMPLETE, LineageKit, Mood
from loopline.platform_core.testing.parts.mutants import assert_catches
from tests.platform_core.testing.mutant import mutant, pairs, rescue


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


def told(change: Any) -> dict[str, Any]:
    """Make a lineage that keeps an event with other fields."""
    return {"keep": lambda up, own, event: up.keep(replace(event, **change(event, own)))}


def outputs(change: Any) -> dict[str, Any]:
    """Make a lineage that keeps other outputs."""
    return told(lambda event, _: {"outputs": tuple(replace(one, **change(one)) for one in event.outputs)})


def inputs(change: Any) -> dict[str, Any]:
    """Make a lineage that keeps other inputs."""
    return told(lambda event, _: {"inputs": tuple(replace(one, **change(one)) for one in event.inputs)})


def each(things: Sequence[Any], **fields: Any) -> tuple[Any, ...]:
    """Give all of them other fields."""
    return tuple(replace(one, **fields) for one in things)


def anew(output: Dataset) -> dict[str, Any]:
    """Let a value that was taken over look as one that was made anew."""
    return {"fields": tuple(replace(field, origins=each(field.origins, same=False)) for field in output.fields)}


made = partial(mutant, InMemoryLineage)
CAUGHT = {
    "test_1_every_event_is_there_in_order": [
        # the newest first
        made("Backwards", emit=lambda up, _, events: up.emit([*reversed(events)])),
        # it keeps the last event for later
        made("Lazy", emit=lambda up, _, events: up.emit(events[:-1])),
    ],
    "test_2_nothing_is_lost": [
        # nobody learns how much was written
        made("ForgetsRows", **outputs(lambda _: {"rows": None})),
        # nobody learns whose part it was
        made("ForgetsParents", **told(lambda *_: {"parent": None})),
        # nobody else knows which table it was
        made("ForgetsPlaces", **outputs(lambda _: {"place": ""})),
        # nobody learns what checks found
        made("ForgetsChecks", **inputs(lambda _: {"checks": ()})),
        # a check that failed looks as one that passed
        made("AllPassed", **inputs(lambda one: {"checks": each(one.checks, passed=True)})),
        # a check that holds up the loop looks as a warning
        made("NoneBlocks", **inputs(lambda one: {"checks": each(one.checks, blocks=False)})),
        # nobody learns what a column came from
        made("ForgetsOrigins", **outputs(lambda one: {"fields": each(one.fields, origins=())})),
        made("NothingIsTheSame", **outputs(anew)),
    ],
    "test_3_the_same_event_has_the_same_words": [
        # each telling is another one
        made("Counts", **told(lambda event, own: {"tags": {**event.tags, "told": str(len(own.events))}})),
    ],
    # what a busy receiver did not take is gone
    "test_4_a_receiver_that_is_busy_may_be_asked_again": [
        made("Swallows", **rescue("emit", StoreUnavailable, lambda *_: None))
    ],
    # nobody learns that it was refused
    "test_5_a_receiver_that_refuses_is_told": [made("SwallowsAll", **rescue("emit", LooplineError, lambda *_: None))],
}


@pytest.mark.parametrize(("mutant", "promise"), pairs(CAUGHT))
def test_the_kit_catches(mutant: type[InMemoryLineage], promise: str) -> None:
    """Each mutant breaks one promise, and that promise's test notices."""
    lineage = mutant()
    event = {"event": COMPLETE} if promise.startswith("test_2") else {}
    assert_catches(LineageKit, promise, lineage=lineage, receiver=Keeper(lineage), **event)


def test_the_kit_s_events_differ() -> None:
    """Events that are alike would show nothing lost."""
    assert len({repr(event) for event in (kit.START, kit.COMPLETE, kit.FAIL)}) == 3
