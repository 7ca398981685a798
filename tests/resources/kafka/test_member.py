"""Members of a real consumer group answer exactly once, also when they are pushed out or take each other's name."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from loopline.platform_core.contracts.event_stream import Record
from loopline.platform_core.errors import ContractBroken, LooplineError
from loopline.platform_core.testing.event_stream import new_stream, published
from loopline.platform_core.testing.event_stream_groups import (
    EventStreamGroupsKit,
    answer,
    numbers,
    published_numbers,
    taken,
)
from loopline.resources.kafka.event_stream import KafkaEventStream


@pytest.fixture
def events(kafka: str) -> Iterator[KafkaEventStream]:
    """Make topics of three partitions."""
    stream = KafkaEventStream(bootstrap_servers=kafka, partitions=3, session_seconds=6)
    yield stream
    stream.close()


class TestKafkaGroups(EventStreamGroupsKit):
    """Every promise about groups."""

    tested_on = "real server: Kafka"


def test_a_record_that_is_too_large_undoes_the_whole_commit(events: KafkaEventStream) -> None:
    """What was sent beside it is not seen, and what was taken is taken again."""
    stream, out = published(events, 6), new_stream()
    member = events.join(stream, uuid.uuid4().hex)
    rows = taken(member, 6)
    with pytest.raises(ContractBroken, match="refuses 1 records"):
        member.commit({out: [*answer(rows), Record(b"x" * 2_000_000)]})
    assert published_numbers(events, out) == []
    again = taken(member, 6)
    assert numbers(again) == numbers(rows)
    member.commit({out: answer(again)})
    assert published_numbers(events, out, 6) == numbers(rows)
    member.close()


def test_a_successor_of_the_same_name_takes_over_at_once(events: KafkaEventStream) -> None:
    """The one before, thought to be dead, can commit nothing any more."""
    stream, out, group = published(events, 6), new_stream(), uuid.uuid4().hex
    first = events.join(stream, group, "pod-0")
    rows = taken(first, 6)
    second = events.join(stream, group, "pod-0")
    with pytest.raises(LooplineError):
        first.commit({out: answer(rows)})
    again = taken(second, 6)
    second.commit({out: answer(again)})
    assert published_numbers(events, out, 6) == numbers(rows)
    first.close()
    second.close()
