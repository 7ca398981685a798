"""Kafka consumer group member whose offsets are committed in its producer's transactions (KIP-98, KIP-447)."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

from loopline.platform_core.contracts.event_stream import Member, Record, records_table
from loopline.platform_core.errors import CommitConflict, Refused
from loopline.resources.kafka.client_callbacks import Told
from loopline.resources.kafka.reader import Content, bare, row
from loopline.resources.kafka.sending import raise_delivery_errors, send

if TYPE_CHECKING:
    import pyarrow as pa
    from confluent_kafka import Consumer, KafkaError, Producer

OVERTAKEN = (22, 25, 27, 82, 111)
"""Codes of the protocol: illegal generation, unknown member, rebalance in progress, fenced instance, unstable group."""


class Joining(NamedTuple):
    """The group, the member's name ("": it has none), and after how long a dead member is given up."""

    group: str
    member: str
    session_seconds: float


class Clients(NamedTuple):
    """What every client is made with, what hears their errors, and what takes a message's key and value."""

    settings: Mapping[str, Any]
    told: Told
    content: Content = bare


class KafkaMember(Member):
    """A consumer that is subscribed, and a producer of its own.

    After anything that went wrong the producer is made anew under the same id, which ends what it left open, and the
    consumer goes back to what the group has committed.
    """

    def __init__(
        self,
        clients: Clients,
        topic_of: Callable[[str], str],
        stream: str,
        joining: Joining,
        make: Callable[[str], None],
    ) -> None:
        from confluent_kafka import Consumer

        self._settings, self._told, self._content = dict(clients.settings), clients.told, clients.content
        self._topic_of, self._topic, self._make = topic_of, topic_of(stream), make
        self._timeout = self._settings["socket.timeout.ms"] / 1000
        self._session_ms = int(joining.session_seconds * 1000)
        self._id = f"{joining.group}.{joining.member or uuid4().hex}"
        named = {"group.instance.id": joining.member} if joining.member else {}
        own = {
            "group.id": joining.group,
            "session.timeout.ms": self._session_ms,
            "heartbeat.interval.ms": self._session_ms // 5,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "earliest",
            "isolation.level": "read_committed",
            "fetch.wait.max.ms": 100,
        }
        self._consumer: Consumer = Consumer(self._settings | own | named)
        self._taken: dict[int, int] = {}
        self._moved, self._behind = False, False
        self._producer: Producer | None = self._new_producer()
        moved = dict.fromkeys(("on_assign", "on_revoke", "on_lost"), self._on_rebalance)
        self._consumer.subscribe([self._topic], **moved)

    def take(self, limit: int, wait_seconds: float = 0.0) -> pa.Table:
        """Poll; what came while partitions changed hands is fetched again by whoever has them now."""
        self._recover()
        first = self._consumer.poll(wait_seconds)
        messages = [] if first is None else [first, *(self._consumer.consume(limit - 1, 0) if limit > 1 else ())]
        if self._moved:
            self._moved = False
            self._behind = bool(messages)
            self._taken.clear()
            return records_table([])
        rows = []
        for message in messages:
            self._check(message.error())
            self._taken[message.partition()] = message.offset() + 1
            rows.append(row(message, self._content))
        return records_table(rows)

    def commit(self, out: Mapping[str, Sequence[Record]]) -> None:
        """Publish and commit offsets in one transaction; the broker refuses those of partitions that were lost."""
        from confluent_kafka import KafkaException

        self._recover()
        topics = {self._topic_of(stream): records for stream, records in out.items() if records}
        for topic in topics:
            self._make(topic)
        if not self._taken and not topics:
            return
        try:
            self._transact(topics)
        except KafkaException as error:
            self._give_up(error)
        except Exception:
            self._forget()
            raise
        self._taken.clear()

    def abandon(self) -> None:
        """Go back to what the group has committed."""
        self._behind = True
        self._taken.clear()

    def close(self) -> None:
        """Leave; a static member's place is kept for its successor until the session ends."""
        self._producer = None
        self._consumer.close()

    def _transact(self, topics: Mapping[str, Sequence[Record]]) -> None:
        from confluent_kafka import TopicPartition

        producer, refused = self._producer, list[Any]()
        assert producer is not None
        producer.begin_transaction()
        for topic, records in topics.items():
            send(producer, topic, records, refused)
        left = producer.flush(self._timeout + 1)
        if left or refused:
            raise_delivery_errors(", ".join(topics), refused, left, self._told)
        places = [TopicPartition(self._topic, partition, offset) for partition, offset in self._taken.items()]
        producer.send_offsets_to_transaction(places, self._consumer.consumer_group_metadata(), self._timeout)
        producer.commit_transaction(self._timeout)

    def _give_up(self, error: Any) -> None:
        said: KafkaError = error.args[0]
        self._forget()
        if said.code() in OVERTAKEN:
            raise CommitConflict(
                f"topic {self._topic}: another member has a partition now ({said.str()})", "take again"
            ) from error
        if said.name() in {"_FENCED", "INVALID_PRODUCER_EPOCH", "PRODUCER_FENCED"}:
            raise Refused(
                f"topic {self._topic}: another process reads as {self._id!r}", "give each member a name of its own"
            ) from error
        raise self._told.error(self._topic, error) from error

    def _forget(self) -> None:
        """Take nothing for done: the next call asks the broker what is."""
        from confluent_kafka import KafkaException

        producer, self._producer, self._behind = self._producer, None, True
        self._taken.clear()
        if producer is not None:
            with contextlib.suppress(KafkaException):
                producer.abort_transaction(self._timeout)

    def _recover(self) -> None:
        if self._producer is None:
            self._producer = self._new_producer()
        if self._behind:
            self._go_back()
            self._behind = False

    def _go_back(self) -> None:
        """Read on from the offsets that are committed; one that is still being decided is waited for."""
        from confluent_kafka import KafkaException

        until = time.monotonic() + self._timeout + self._session_ms / 1000
        while True:
            try:
                places = self._consumer.committed(self._consumer.assignment(), self._timeout)
            except KafkaException as error:
                if time.monotonic() > until:
                    raise self._told.error(self._topic, error) from error
            else:
                if not any(place.error for place in places):
                    break
            time.sleep(0.1)
        if places:
            self._consumer.assign(places)

    def _new_producer(self) -> Producer:
        from confluent_kafka import KafkaException, Producer

        sure = {
            "transactional.id": self._id,
            "transaction.timeout.ms": self._session_ms,
            "message.timeout.ms": self._session_ms,
            "socket.timeout.ms": min(self._session_ms, int(self._timeout * 1000)),
            "max.in.flight.requests.per.connection": 1,
        }
        producer = Producer(self._settings | sure)
        try:
            producer.init_transactions(self._timeout + self._session_ms / 1000)
        except KafkaException as error:
            raise self._told.error(self._topic, error) from error
        return producer

    def _check(self, error: KafkaError | None) -> None:
        from confluent_kafka import KafkaException

        if error is not None:
            raise self._told.error(self._topic, KafkaException(error))

    def _on_rebalance(self, *_: Any) -> None:
        """Hear from the client, within a poll, that partitions come or go."""
        self._moved = True
        self.moves += 1
