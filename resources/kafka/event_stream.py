"""Event streams on Kafka, or what speaks its protocol (Event Hubs, Redpanda): a stream is a topic."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pydantic import Field, PrivateAttr

from platform_core.contracts.event_stream import EventStream, Record, records_table
from platform_core.errors import ContractBroken, StoreUnavailable
from resources.kafka.reader import Reader, unavailable

if TYPE_CHECKING:
    import pyarrow as pa
    from confluent_kafka import KafkaError, Producer

LOG = logging.getLogger("loopline.kafka")


class KafkaEventStream(EventStream):
    """Topics of a cluster; ``team/source`` is the topic ``team.source``.

    ``options`` go to the client as they are, for TLS and SASL. A topic that is not there is made by the first
    publication, with ``partitions`` and ``replication``. Nobody joins a group and no offset is committed to Kafka;
    records of transactions that were not committed are not read.
    """

    bootstrap_servers: str
    options: dict[str, str] = Field(default_factory=dict)
    timeout_seconds: float = 10.0
    partitions: int = Field(default=1, ge=1)
    replication: int = Field(default=1, ge=1)
    _readers: dict[tuple[int, int], Reader] = PrivateAttr(default_factory=dict)
    _producers: dict[int, Producer] = PrivateAttr(default_factory=dict)
    _known: set[str] = PrivateAttr(default_factory=set)

    def ends(self, stream: str) -> Mapping[int, int]:
        """Ask for the last stable offsets: what an open transaction holds back is no lag."""
        return self._reader().ends(topic_of(stream))

    def read(self, stream: str, offsets: Mapping[int, int], limit: int, wait_seconds: float = 0.0) -> pa.Table:
        """Read by this thread's consumer, which goes on fetching where it was if that is what is asked for."""
        return records_table(self._reader().read(topic_of(stream), offsets, limit, wait_seconds))

    def publish(self, stream: str, records: Sequence[Record]) -> None:
        """Send records by an idempotent producer and wait until all replicas in sync have them."""
        producer, topic = self._producer(), topic_of(stream)
        self._make(topic)
        refused: list[Any] = []
        for record in records:
            _send(producer, topic, record, refused)
        left = producer.flush(self.timeout_seconds + 1)
        if left or refused:
            _tell(topic, refused, left)

    def close(self) -> None:
        """Close this process's consumers and send what a producer still holds."""
        for (process, _), reader in list(self._readers.items()):
            if process == os.getpid():
                reader.close()
        self._readers.clear()
        for process, producer in list(self._producers.items()):
            if process == os.getpid():
                producer.flush(self.timeout_seconds)
        self._producers.clear()

    def _settings(self) -> dict[str, Any]:
        timeout_ms = int(self.timeout_seconds * 1000)
        return {
            "bootstrap.servers": self.bootstrap_servers,
            "socket.timeout.ms": timeout_ms,
            "logger": LOG,
        } | self.options

    def _reader(self) -> Reader:
        """Return this thread's reader: a consumer's place is no other thread's business, nor a forked process's."""
        mine = (os.getpid(), threading.get_ident())
        if mine not in self._readers:
            self._readers[mine] = Reader(self._settings(), self.timeout_seconds)
        return self._readers[mine]

    def _producer(self) -> Producer:
        from confluent_kafka import Producer

        if os.getpid() not in self._producers:
            timeout_ms = int(self.timeout_seconds * 1000)
            sure = {"acks": "all", "enable.idempotence": True, "message.timeout.ms": timeout_ms}
            # With more in flight librdkafka takes a batch for stored when one behind it is, though the broker may
            # have refused the first because the leader moved (confluent-kafka-go's issue 921; it was seen here).
            sure["max.in.flight.requests.per.connection"] = 1
            self._producers[os.getpid()] = Producer(self._settings() | sure)
        return self._producers[os.getpid()]

    def _make(self, topic: str) -> None:
        from confluent_kafka import KafkaError, KafkaException
        from confluent_kafka.admin import NewTopic

        if topic in self._known:
            return
        new = NewTopic(topic, num_partitions=self.partitions, replication_factor=self.replication)
        reader = self._reader()
        if not reader.partitions(topic):
            try:
                reader.admin.create_topics([new], operation_timeout=self.timeout_seconds)[topic].result()
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise unavailable(topic, error) from error
        reader.ends(topic)  # once every partition's leader answers, what is sent cannot meet a topic half made
        self._known.add(topic)


def topic_of(stream: str) -> str:
    """Name a stream's topic."""
    return stream.replace("/", ".")


def _send(producer: Producer, topic: str, record: Record, refused: list[KafkaError]) -> None:
    """Hand a record to the client, which sends it along with others."""
    from confluent_kafka import KafkaException

    headers = [(name, value.encode()) for name, value in (record.headers or {}).items()]
    while True:
        try:
            producer.produce(
                topic, record.value, record.key, headers=headers, on_delivery=lambda error, _: _keep(refused, error)
            )
        except BufferError:  # the client's queue is full: let it send some
            producer.poll(0.1)
        except KafkaException as error:
            refused.append(error.args[0])
            return
        else:
            producer.poll(0)
            return


def _keep(refused: list[KafkaError], error: KafkaError | None) -> None:
    if error is not None:
        refused.append(error)


def _tell(topic: str, refused: Sequence[KafkaError], left: int) -> None:
    """Raise what hinders: a record that no broker would ever take, or a cluster that does not answer."""
    from confluent_kafka import KafkaError, KafkaException

    broken = [error for error in refused if error.code() in (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_RECORD)]
    if broken:
        raise ContractBroken(
            f"topic {topic}: the broker refuses {len(broken)} records: {broken[0].str()}",
            "send smaller records, or raise the topic's max.message.bytes",
        )
    if refused:
        raise unavailable(topic, KafkaException(refused[0]))
    raise StoreUnavailable(f"topic {topic}: {left} records are not acknowledged in time", "is the cluster up?")
