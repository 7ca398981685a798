"""Topics of a real broker keep the event stream's promises."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from platform_core.testing.event_stream import EventStreamKit
from resources.kafka.event_stream import KafkaEventStream


@pytest.fixture
def events(kafka: str) -> Iterator[KafkaEventStream]:
    """Make topics of three partitions."""
    stream = KafkaEventStream(bootstrap_servers=kafka, partitions=3)
    yield stream
    stream.close()


class TestKafkaEventStream(EventStreamKit):
    """Every promise of the contract."""
