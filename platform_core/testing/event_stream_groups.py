"""Conformance kit of event streams with consumer groups (those that can ``transactions``).

Subclass ``EventStreamGroupsKit`` and give a fixture ``events``, a stream of more than one partition.
"""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Sequence
from typing import Any

from loopline.platform_core.contracts.event_stream import EventStream, Member, Record
from loopline.platform_core.errors import CommitConflict
from loopline.platform_core.testing.event_stream import ALL, new_stream, published

PATIENCE_SECONDS = 40.0
"""Brokers take seconds until a group is settled."""


def joined(events: EventStream, stream: str, group: str = "") -> Member:
    """Join a group, a new one unless named."""
    return events.join(stream, group or uuid.uuid4().hex)


def taken(member: Member, count: int = 1, limit: int = ALL) -> list[dict[str, Any]]:
    """Take until so many records have come."""
    rows: list[dict[str, Any]] = []
    end = time.monotonic() + PATIENCE_SECONDS
    while len(rows) < count and time.monotonic() < end:
        rows += member.take(limit, 0.5).to_pylist()
    return rows


def numbers(rows: Sequence[Any]) -> list[int]:
    """Return the numbers, sorted."""
    return sorted(int(row["value"]) for row in rows)


def published_numbers(events: EventStream, stream: str, count: int = 0) -> list[int]:
    """Return what was published to a stream, sorted; a commit that is done shows within a moment."""
    end = time.monotonic() + PATIENCE_SECONDS
    while len(found := events.read(stream, {}, ALL)) < count and time.monotonic() < end:
        time.sleep(0.05)
    return numbers(found.to_pylist())


def answer(rows: Sequence[Any]) -> list[Record]:
    """Answer each record with itself."""
    return [Record(row["value"], row["key"]) for row in rows]


def work(members: Sequence[Member], out: str, done: int) -> int:
    """Let members take and commit in turn until so many records are done, or nothing has come for a while."""
    end = time.monotonic() + PATIENCE_SECONDS
    while done > 0 and time.monotonic() < end:
        for member in members:
            rows = member.take(7, 0.2).to_pylist()
            try:
                member.commit({out: answer(rows)})
            except CommitConflict:
                continue
            done -= len(rows)
    return done


class EventStreamGroupsKit:
    """One test a promise."""

    def test_11_answers_and_place_move_together(self, events: EventStream) -> None:
        """What was committed is published, to every stream named, and is not taken again, by whomever."""
        stream, out, other, group = published(events, 20), new_stream(), new_stream(), uuid.uuid4().hex
        member = joined(events, stream, group)
        rows = taken(member, 20)
        assert numbers(rows) == list(range(20))
        member.commit({out: answer(rows), other: [Record(b"99")]})
        assert (published_numbers(events, out, 20), published_numbers(events, other, 1)) == (list(range(20)), [99])
        assert member.take(ALL, 0.5).to_pylist() == []
        member.close()
        events.publish(stream, [Record(b"20", b"key")])
        successor = joined(events, stream, group)
        assert numbers(taken(successor)) == [20]
        successor.close()

    def test_11_who_ends_before_leaves_nothing(self, events: EventStream) -> None:
        """A member that leaves with records in hand has published nothing, and its successor takes them."""
        stream, out, group = published(events, 20), new_stream(), uuid.uuid4().hex
        member = joined(events, stream, group)
        first = taken(member, 5, limit=5)
        member.commit({out: answer(first)})
        rest = taken(member, 20 - len(first))
        member.close()
        assert published_numbers(events, out, len(first)) == numbers(first)
        successor = joined(events, stream, group)
        assert numbers(taken(successor, len(rest))) == numbers(rest)
        successor.close()

    def test_11_a_commit_may_publish_nothing(self, events: EventStream) -> None:
        """Who takes records that need no answer moves on all the same."""
        stream, group = published(events, 9), uuid.uuid4().hex
        member = joined(events, stream, group)
        taken(member, 9)
        member.commit({})
        member.abandon()
        assert member.take(ALL, 0.5).to_pylist() == []
        member.close()

    def test_12_members_share_the_partitions(self, events: EventStream) -> None:
        """While a second member comes, and the first goes, each record is answered once; both had some."""
        stream, out, group = published(events, 60), new_stream(), uuid.uuid4().hex
        first = joined(events, stream, group)
        left = work([first], out, 7)
        second, moves = joined(events, stream, group), first.moves
        events.publish(stream, [Record(b"%d" % n, b"key %d" % n) for n in range(60, 120)])
        work([first, second], out, 113 + left)
        assert first.moves > moves
        events.publish(stream, [Record(b"%d" % n, b"key %d" % n) for n in range(120, 160)])
        shares = [self._settled(member) for member in (first, second)]
        assert not set(shares[0]) & set(shares[1])
        first.close()
        work([second], out, 160 - len(published_numbers(events, out, 120)))
        second.close()
        assert Counter(published_numbers(events, out, 160)) == Counter(range(160))

    def test_13_what_was_abandoned_is_taken_again(self, events: EventStream) -> None:
        """The same records, and nothing of them was published."""
        stream, out = published(events, 12), new_stream()
        member = joined(events, stream)
        rows = taken(member, 12)
        member.abandon()
        again = taken(member, 12)
        assert numbers(again) == numbers(rows)
        member.commit({out: answer(again)})
        assert published_numbers(events, out, 12) == list(range(12))
        member.close()

    def test_14_groups_know_nothing_of_each_other(self, events: EventStream) -> None:
        """Each takes every record, from the first."""
        stream = published(events, 10)
        for _ in range(2):
            member = joined(events, stream)
            assert numbers(taken(member, 10)) == list(range(10))
            member.commit({})
            member.close()

    @staticmethod
    def _settled(member: Member) -> list[int]:
        rows = member.take(ALL, 1.0).to_pylist()
        member.abandon()
        return numbers(rows)
