"""Event stream on Kafka, or what speaks its protocol (Event Hubs, Redpanda): a stream is a topic."""

from __future__ import annotations

import logging
import os
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, PrivateAttr

from loopline.platform_core.contracts.event_stream import (
    TRANSACTIONS,
    AsJson,
    EventStream,
    Member,
    Record,
    records_table,
)
from loopline.platform_core.errors import ContractBroken, LooplineError
from loopline.platform_core.foundation.one_a_process import OneAProcess
from loopline.resources.kafka.clearing import delete_all
from loopline.resources.kafka.client_callbacks import Told
from loopline.resources.kafka.member import Clients, Joining, KafkaMember
from loopline.resources.kafka.reader import Content, Reader, bare
from loopline.resources.kafka.schema_registry import SchemaRegistry
from loopline.resources.kafka.schemas import Schemas, content
from loopline.resources.kafka.security import KafkaConnection
from loopline.resources.kafka.sending import raise_delivery_errors, send, topic_of

if TYPE_CHECKING:
    import pyarrow as pa
    from confluent_kafka import Producer

LOG = logging.getLogger("loopline.kafka")
PORT = 9092
"""Of a server that is named without one, as clients have it."""


class KafkaEventStream(EventStream, KafkaConnection):
    """Topics of a cluster; ``team/source`` is the topic ``team.source``.

    ``tls`` and ``sasl`` say how it is reached and who one is; ``options`` go to the client as they are. A topic that is
    not there is made by the first publication, with ``partitions`` and ``replication``. ``prefix`` goes before the
    names of topics and groups, for a cluster that others use. Who reads by offsets joins no group and commits none to
    Kafka; records of transactions that were not committed are not read. Of a member of a group that died others take
    the partitions over after ``session_seconds``; its open transaction ends as late. With a ``schema_registry``
    records that bear a schema's id are read by it.
    """

    extras = ("kafka",)
    can: ClassVar[frozenset[str]] = frozenset({TRANSACTIONS})

    partitions: int = Field(default=1, ge=1)
    replication: int = Field(default=1, ge=1)
    session_seconds: float = Field(default=10.0, ge=6)
    prefix: str = Field(default="", pattern=r"^[A-Za-z0-9._-]*$")
    schema_registry: SchemaRegistry | None = None
    _schemas: OneAProcess[Schemas] | None = PrivateAttr(default=None)
    _readers: dict[tuple[int, int], Reader] = PrivateAttr(default_factory=dict)
    _producers: dict[int, Producer] = PrivateAttr(default_factory=dict)
    _known: set[str] = PrivateAttr(default_factory=set)
    _told: Told | None = PrivateAttr(default=None)

    def model_post_init(self, context: object) -> None:
        """Ask the registry when records come."""
        super().model_post_init(context)
        if (registry := self.schema_registry) is not None:
            self._schemas = OneAProcess(lambda: Schemas(registry))

    def ends(self, stream: str) -> Mapping[int, int]:
        """Ask for the last stable offsets: what an open transaction holds back is no lag."""
        return self._reader().ends(self._topic(stream))

    def read(self, stream: str, offsets: Mapping[int, int], limit: int, wait_seconds: float = 0.0) -> pa.Table:
        """Read by this thread's consumer, which goes on fetching where it was if that is what is asked for."""
        return records_table(self._reader().read(self._topic(stream), offsets, limit, wait_seconds))

    def publish(self, stream: str, records: Sequence[Record]) -> None:
        """Send records by an idempotent producer and wait until all replicas in sync have them."""
        topic, refused = self._topic(stream), list[Any]()
        self._make(topic)
        producer = self._producer()
        send(producer, topic, records, refused)
        left = self._flushed(producer, topic)
        if left or refused:
            raise_delivery_errors(topic, refused, left, self._hearing())

    def as_json(self, stream: str, records: pa.Table) -> AsJson:
        """Read what bears a schema's id by the registry's schema; JSON may come on the same topic."""
        if self._schemas is None:
            return AsJson(records)
        return self._schemas.get().as_json(self._topic(stream), records)

    def place(self, stream: str) -> str:
        """Name the topic by the first of the servers, as other tools' connectors do."""
        server = self.bootstrap_servers.split(",")[0].strip().rpartition("://")[2]
        port = "" if re.search(r":\d+$", server) else f":{PORT}"
        return f"kafka://{server}{port}/{self._topic(stream)}"

    def join(self, stream: str, group: str, member: str = "") -> Member:
        """Join a consumer group; with a name as its static member."""
        self._make(self._topic(stream))
        clients = Clients(self._settings(), self._hearing(), self._content)
        joining = Joining(self.prefix + group, member, self.session_seconds)
        return KafkaMember(clients, self._topic, stream, joining, self._make)

    def let_go(self, stream: str, partition: int, before_offset: int, before_ms: int) -> int:
        """Let go of a partition's records before an offset that were written before a time (ms); returns how many."""
        return self._reader().let_go(self._topic(stream), partition, before_offset, before_ms)

    def close(self) -> None:
        """Close this process's consumers and send what a producer still holds."""
        for (process, _), reader in list(self._readers.items()):
            if process == os.getpid():
                reader.close()
        self._readers.clear()
        for process, producer in list(self._producers.items()):
            if process == os.getpid():
                with suppress(LooplineError):
                    self._flushed(producer, "")
        self._producers.clear()

    @contextmanager
    def set_apart(self, name: str) -> Iterator[KafkaEventStream]:
        """Give a prefix of its own below this one's, and as many partitions as members of a group can share."""
        place = self.with_settings(prefix=f"{self.prefix}{name}.", partitions=max(self.partitions, 3))
        try:
            yield place
        finally:
            place.clear()
            place.close()

    def clear(self) -> None:
        """Delete every topic and group that begins with the prefix.

        Raises:
            ContractBroken: there is no prefix, so that nothing is kept apart from what is others'.
        """
        if not self.prefix:
            raise ContractBroken(f"{self.bootstrap_servers}: without a prefix all topics are meant", "name a prefix")
        delete_all(self._reader().admin, self.prefix, self.timeout_seconds, self._hearing())
        self._known.clear()

    def _topic(self, stream: str) -> str:
        return self.prefix + topic_of(stream)

    def _settings(self) -> dict[str, Any]:
        return {"logger": LOG, "error_cb": self._hearing().hear} | self.client_settings()

    def _hearing(self) -> Told:
        if self._told is None:
            ca = self.tls.ca if self.tls else ""
            self._told = Told(self.who, ca or self.options.get("ssl.ca.location"))
        return self._told

    @property
    def _content(self) -> Content:
        return content if self.schema_registry else bare

    def _reader(self) -> Reader:
        """Return this thread's reader: a consumer's place is no other thread's business, nor a forked process's."""
        mine = (os.getpid(), threading.get_ident())
        if mine not in self._readers:
            self._readers[mine] = Reader(self._settings(), self.timeout_seconds, self._hearing(), self._content)
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

    def _flushed(self, producer: Producer, topic: str) -> int:
        """Wait until all is sent or refused; returns how many are neither. After a fatal error another is made."""
        from confluent_kafka import KafkaException

        try:
            return int(producer.flush(self.timeout_seconds + 1))
        except KafkaException as error:
            self._producers.pop(os.getpid(), None)
            raise self._hearing().error(topic, error) from error

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
                    raise self._hearing().error(topic, error) from error
        reader.ends(topic)  # once every partition's leader answers, what is sent cannot meet a topic half made
        self._known.add(topic)
