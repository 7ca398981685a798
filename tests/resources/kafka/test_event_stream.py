"""Topics of a real broker keep the event stream's promises."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from confluent_kafka import Producer, TopicPartition

from loopline.platform_core.contracts.event_stream import Record
from loopline.platform_core.errors import ContractBroken, InvalidEnvironment, StoreUnavailable
from loopline.platform_core.testing.event_stream import EventStreamKit
from loopline.resources.kafka.event_stream import KafkaEventStream


@pytest.fixture
def events(kafka: str) -> Iterator[KafkaEventStream]:
    """Make topics of three partitions."""
    stream = KafkaEventStream(bootstrap_servers=kafka, partitions=3)
    yield stream
    stream.close()


class TestKafkaEventStream(EventStreamKit):
    """Every promise of the contract."""

    tested_on = "real server: Kafka"


def test_a_transaction_is_no_lag_and_what_was_aborted_is_not_read(events: KafkaEventStream, kafka: str) -> None:
    """Offsets of its marks are passed, an open one holds its records back, and one that was aborted has none."""
    events.publish("t/marks", [Record(b"before", b"key")])
    producer = Producer({"bootstrap.servers": kafka, "transactional.id": "marks"})
    producer.init_transactions()
    for value, end in ((b"kept", producer.commit_transaction), (b"aborted", producer.abort_transaction)):
        producer.begin_transaction()
        producer.produce("t.marks", value, b"key", partition=0)
        producer.flush()
        assert value not in events.read("t/marks", {}, 9)["value"].to_pylist()
        end()
    rows = events.read("t/marks", {}, 9).to_pylist()
    assert sorted(row["value"] for row in rows) == [b"before", b"kept"]
    read_to = {row["partition"]: row["next"] for row in rows}
    assert {partition: end for partition, end in events.ends("t/marks").items() if end} == read_to


def test_what_the_broker_let_go_is_told_of(events: KafkaEventStream) -> None:
    """Records that were not read before their retention was over are lost: that is an error, not a jump."""
    events.publish("t/short", [Record(b"%d" % n, b"key") for n in range(9)])
    [(partition, end)] = [(p, end) for p, end in events.ends("t/short").items() if end]
    place = TopicPartition("t.short", partition, end - 2)
    for answer in events._reader().admin.delete_records([place]).values():
        answer.result()
    with pytest.raises(ContractBroken, match="no longer keeps"):
        events.read("t/short", {partition: 0}, 99)
    assert events.read("t/short", {partition: end - 2}, 99)["value"].to_pylist() == [b"7", b"8"]
    assert len(events.read("t/short", {}, 99)) == 2


def test_a_record_that_is_too_large_is_the_senders_to_mend(events: KafkaEventStream) -> None:
    """The broker's word comes back, and nothing waits for a time that will not come."""
    with pytest.raises(ContractBroken, match="refuses 1 records"):
        events.publish("t/large", [Record(b"x" * 2_000_000), Record(b"small")])
    assert events.read("t/large", {}, 9)["value"].to_pylist() == [b"small"]


def test_a_cluster_that_is_not_there() -> None:
    """Whoever asks is told within the time-out, and may try again."""
    nowhere = KafkaEventStream(bootstrap_servers="127.0.0.1:1", timeout_seconds=0.5)
    with pytest.raises(StoreUnavailable, match=r"topic t\.s"):
        nowhere.ends("t/s")
    with pytest.raises(StoreUnavailable, match="bootstrap_servers"):
        nowhere.publish("t/s", [Record(b"lost")])
    nowhere.close()
    nowhere.close()


def test_options_go_to_the_client() -> None:
    """What the client does not know is refused before anything is asked."""
    wrong = KafkaEventStream(bootstrap_servers="127.0.0.1:1", options={"sasl.mechanisme": "PLAIN"})
    with pytest.raises(InvalidEnvironment, match=r"sasl\.mechanisme"):
        wrong.ends("t/s")


def test_threads_read_by_consumers_of_their_own(events: KafkaEventStream) -> None:
    """Several sources are landed at once in one process."""
    for name in ("t/a", "t/b"):
        events.publish(name, [Record(f"{name} {n}".encode()) for n in range(200)])
    with ThreadPoolExecutor(2) as pool:
        for name, rows in pool.map(lambda name: (name, events.read(name, {}, 999)), ("t/a", "t/b", "t/a", "t/b")):
            assert sorted(rows["value"].to_pylist()) == sorted(f"{name} {n}".encode() for n in range(200))
