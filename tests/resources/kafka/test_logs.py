"""Prediction logs in topics of a real broker."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from loopline.platform_core.errors import StoreUnavailable
from loopline.platform_core.testing.endpoints import new_model
from loopline.platform_core.testing.log_store import LogStoreKit, Writer, ids
from loopline.resources.kafka.event_stream import KafkaEventStream
from loopline.resources.kafka.logs import KafkaLogs


@pytest.fixture
def events(kafka: str) -> Iterator[KafkaEventStream]:
    """Connect, and make topics of one partition."""
    stream = KafkaEventStream(bootstrap_servers=kafka)
    yield stream
    stream.close()


class TestKafkaLogs(LogStoreKit):
    @pytest.fixture
    def store(self, events: KafkaEventStream) -> KafkaLogs:
        """Read the logs."""
        return KafkaLogs(events)

    @pytest.fixture
    def sink(self, events: KafkaEventStream) -> KafkaLogs:
        """Write them, with a memory of its own."""
        return KafkaLogs(events)


def test_two_senders_of_one_file_are_read_once(events: KafkaEventStream, tmp_path: Path) -> None:
    """A server that waits for Kafka and a relay that sends what is left, each of which knows nothing of the other."""
    model = new_model()
    writer, server, relay = Writer(tmp_path, "one", model), KafkaLogs(events), KafkaLogs(events)
    writer.answer(1)
    writer.send(server)
    writer.send(relay)
    for sink in (server, relay, server):
        writer.answer(1)
        (file,) = writer.files
        sink.put("one", model, file.name, 0, file.read_bytes())
    assert ids(KafkaLogs(events), model) == writer.ids


def test_a_sender_that_begins_anew_knows_how_far_it_is(events: KafkaEventStream, tmp_path: Path) -> None:
    """What its predecessor sent is not sent again."""
    model = new_model()
    writer = Writer(tmp_path, "one", model)
    writer.answer(2)
    writer.send(KafkaLogs(events))
    end = events.ends(f"loopline-log/{model}")
    writer.send(KafkaLogs(events))
    assert events.ends(f"loopline-log/{model}") == end


def test_a_cluster_that_is_away_is_told_soon(tmp_path: Path) -> None:
    """Nothing counts as kept."""
    events = KafkaEventStream(bootstrap_servers="127.0.0.1:1", timeout_seconds=1)
    writer = Writer(tmp_path, "one", new_model())
    writer.answer(1)
    (file,) = writer.files
    with pytest.raises(StoreUnavailable):
        KafkaLogs(events).put("one", writer.model, file.name, 0, file.read_bytes())
