"""Prediction logs in topics of a real broker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path

import msgspec
import pytest

from loopline.platform_core.contracts.event_stream import Record
from loopline.platform_core.errors import StoreUnavailable
from loopline.platform_core.runtime.prediction_log.log import PredictionLog
from loopline.platform_core.testing.log_store import LogStoreKit, Writer, ids, record
from loopline.platform_core.testing.parts.endpoints import new_model
from loopline.relay.shipping import Shipping
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


def test_a_sender_of_what_was_let_go_goes_on_behind_it(events: KafkaEventStream, tmp_path: Path) -> None:
    """It remembers what was acknowledged, and the topic does not: nothing is sent again."""
    model = new_model()
    writer = Writer(tmp_path, "one", model)
    writer.answer(2)
    writer.send(KafkaLogs(events))
    (file,) = writer.files
    size, store = file.stat().st_size, KafkaLogs(events)
    assert store.forget(model, [store.end(model, None)], -1) > 0
    writer.answer(1)
    frames = file.read_bytes()
    assert KafkaLogs(events).put("one", model, file.name, size, frames[size:]) == len(frames)
    assert ids(store, model) == writer.ids[2:]


def test_a_cluster_that_is_away_is_told_soon(tmp_path: Path) -> None:
    """Nothing counts as kept."""
    events = KafkaEventStream(bootstrap_servers="127.0.0.1:1", timeout_seconds=1)
    writer = Writer(tmp_path, "one", new_model())
    writer.answer(1)
    (file,) = writer.files
    with pytest.raises(StoreUnavailable):
        KafkaLogs(events).put("one", writer.model, file.name, 0, file.read_bytes())


class Interrupted(KafkaEventStream):
    """A cluster that does not answer while it is told so."""

    away: bool = False

    def publish(self, stream: str, records: Sequence[Record]) -> None:
        """Take records, or let them wait in vain."""
        if self.away:
            raise StoreUnavailable("the cluster is away", "wait")
        super().publish(stream, records)


def test_what_could_not_be_kept_is_refused_and_kept_with_the_next(kafka: str, tmp_path: Path) -> None:
    """A server is told for each request while Kafka is away; then nothing is missing, or there twice."""
    model, events = new_model(), Interrupted(bootstrap_servers=kafka)
    logs = KafkaLogs(events)
    log = PredictionLog(tmp_path, "w-1", segment_bytes=600, keep=partial(logs.keep, "one"))
    log.write(model, record("first"))
    events.away = True
    for name in ("second", "third"):
        with pytest.raises(StoreUnavailable):
            log.write(model, record(name))
    events.away = False
    log.write_many(model, [record("fourth"), record("fifth")])
    assert ids(KafkaLogs(events), model) == ["first", "second", "third", "fourth", "fifth"]
    log.close()
    events.close()


def test_a_request_longer_than_a_piece_is_kept_or_refused(kafka: str, tmp_path: Path) -> None:
    """The broker takes a megabyte: less goes in one record, more is told as what cannot be kept."""
    model, events = new_model(), KafkaEventStream(bootstrap_servers=kafka)
    log = PredictionLog(tmp_path, "w-1", keep=partial(KafkaLogs(events).keep, "one"))
    log.write(model, msgspec.structs.replace(record("large"), keys=["x" * 700_000]))
    with pytest.raises(StoreUnavailable):
        log.write(model, msgspec.structs.replace(record("huge"), keys=["x" * 3_000_000]))
    assert ids(KafkaLogs(events), model) == ["large"]
    log.write(model, record("next"))  # one that cannot be kept keeps no other back
    assert ids(KafkaLogs(events), model) == ["large", "next"]
    log.close()
    events.close()


def test_a_relay_s_piece_is_longer_than_the_broker_takes(events: KafkaEventStream, tmp_path: Path) -> None:
    """After an hour without Kafka megabytes wait, and go in records that it takes; each request is read once."""
    model, log = new_model(), PredictionLog(tmp_path, "w-1")
    names = [f"r{number}" for number in range(30)]
    log.write_many(model, [msgspec.structs.replace(record(name), keys=["x" * 100_000]) for name in names])
    log.close()
    shipping = Shipping(tmp_path, "one", KafkaLogs(events), keep_seconds=3600)
    assert shipping.step() == 0
    assert ids(KafkaLogs(events), model) == names
