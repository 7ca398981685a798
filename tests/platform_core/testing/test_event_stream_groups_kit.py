"""The kit of groups passes the fake and catches a mutant for each promise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pytest

from loopline.platform_core.contracts.event_stream import EventStream, Member, Record
from loopline.platform_core.errors import Unsupported
from loopline.platform_core.testing import event_stream_groups
from loopline.platform_core.testing.event_stream_groups import EventStreamGroupsKit
from loopline.platform_core.testing.fakes.event_stream import Group, InMemoryEventStream, InMemoryMember
from loopline.platform_core.testing.parts.mutants import assert_catches


class TestInMemoryGroups(EventStreamGroupsKit):
    """The fake keeps every promise."""

    @pytest.fixture
    def events(self) -> InMemoryEventStream:
        """Make a stream."""
        return InMemoryEventStream()


class Mutant(InMemoryEventStream):
    """A stream whose members are of another kind."""

    kind: Any = InMemoryMember

    def join(self, stream: str, group: str, member: str = "") -> Member:
        return self.kind(self, stream, self._groups.setdefault((stream, group), Group()))


class PublishesEarly(InMemoryMember):
    """Breaks promise 11: what it takes is answered before the commit."""

    def take(self, limit: int, wait_seconds: float = 0.0) -> pa.Table:
        rows = super().take(limit, wait_seconds)
        self.group.offsets |= self.taken
        return rows


class LosesAnswers(InMemoryMember):
    """Breaks promise 11: the place moves, and nothing is published."""

    def commit(self, out: Mapping[str, Sequence[Record]]) -> None:
        super().commit({})


class OneStreamOnly(InMemoryMember):
    """Breaks promise 11: of several streams one gets its records."""

    def commit(self, out: Mapping[str, Sequence[Record]]) -> None:
        super().commit(dict(list(out.items())[:1]))


class Stays(InMemoryMember):
    """Breaks promise 11: answers are published, and the group stays where it was."""

    def commit(self, out: Mapping[str, Sequence[Record]]) -> None:
        before = dict(self.group.offsets)
        super().commit(out)
        self.group.offsets = before


class NeedsAnswers(InMemoryMember):
    """Breaks promise 11: without an answer the group does not move."""

    def commit(self, out: Mapping[str, Sequence[Record]]) -> None:
        if out:
            super().commit(out)


class Alone(InMemoryMember):
    """Breaks promise 12: each member reads every partition, and nobody is overtaken."""

    def take(self, limit: int, wait_seconds: float = 0.0) -> pa.Table:
        members, self.group.members, self.epoch = self.group.members, [self], self.group.epoch
        self.moves = self.group.epoch
        try:
            return super().take(limit, wait_seconds)
        finally:
            self.group.members = members


class SaysNothing(InMemoryMember):
    """Breaks promise 12: who reads is not told that partitions have changed hands."""

    @property
    def moves(self) -> int:
        return 0

    @moves.setter
    def moves(self, _: int) -> None: ...


class ForgetsWhatWasAbandoned(InMemoryMember):
    """Breaks promise 13: what was taken is gone."""

    def abandon(self) -> None:
        self.epoch = self.group.epoch


class OnePlaceForAll(InMemoryEventStream):
    """Breaks promise 14: every group is the same."""

    def join(self, stream: str, group: str, member: str = "") -> Member:
        return super().join(stream, "all", member)


TOGETHER = "test_11_answers_and_place_move_together"


@pytest.mark.parametrize(
    ("mutant", "test"),
    [
        (PublishesEarly, "test_11_who_ends_before_leaves_nothing"),
        (LosesAnswers, TOGETHER),
        (OneStreamOnly, TOGETHER),
        (Stays, TOGETHER),
        (NeedsAnswers, "test_11_a_commit_may_publish_nothing"),
        (Alone, "test_12_members_share_the_partitions"),
        (SaysNothing, "test_12_members_share_the_partitions"),
        (ForgetsWhatWasAbandoned, "test_13_what_was_abandoned_is_taken_again"),
    ],
)
def test_the_kit_catches(mutant: type[InMemoryMember], test: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A member that breaks one promise fails that promise's test."""
    monkeypatch.setattr(event_stream_groups, "PATIENCE_SECONDS", 1.0)
    assert_catches(EventStreamGroupsKit, test, events=Mutant(kind=mutant))


def test_the_kit_catches_groups_that_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second group that finds nothing left fails the last promise."""
    monkeypatch.setattr(event_stream_groups, "PATIENCE_SECONDS", 1.0)
    assert_catches(EventStreamGroupsKit, "test_14_groups_know_nothing_of_each_other", events=OnePlaceForAll())


def test_who_cannot_says_so() -> None:
    """A vendor without transactions refuses to join, and names what to use."""
    with pytest.raises(Unsupported, match="kafka"):
        EventStream.join(InMemoryEventStream(), "t/s", "g")
