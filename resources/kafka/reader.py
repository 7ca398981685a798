"""Kafka reader of partitions from given offsets, outside any consumer group."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from loopline.platform_core.contracts.event_stream import Read
from loopline.platform_core.errors import ContractBroken, InvalidEnvironment, StoreUnavailable
from loopline.resources.kafka.client_callbacks import Told

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError, Message
    from confluent_kafka.admin import AdminClient

NO_LEADER = (3, 5, 6, 74, 75)
"""Codes of the protocol: unknown topic or partition, no leader, another leader, of an older or newer epoch.

A new topic answers so at first.
"""
NOT_THERE = 3
Content = Callable[["Message"], tuple["bytes | None", "bytes | None"]]
FIRST_LOOKS = (0.25, 0.5, 1.0)
"""Seconds after which it is looked whether to wait on for a cluster makes sense; the client itself would never stop."""


def bare(message: Message) -> tuple[bytes | None, bytes | None]:
    """Return a message's key and value as they came."""
    return message.key(), message.value()


class Reader:
    """One thread's consumer; where it stands is remembered, so that who reads on waits for no new fetch."""

    def __init__(
        self, settings: Mapping[str, Any], timeout_seconds: float, told: Told, content: Content = bare
    ) -> None:
        from confluent_kafka import Consumer, KafkaException
        from confluent_kafka.admin import AdminClient

        own = {
            "group.id": "loopline",  # asked for by the client; nobody joins it
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "error",
            "isolation.level": "read_committed",
            "fetch.wait.max.ms": 100,  # who reads from elsewhere waits for the last fetch to come back
        }
        self.timeout_seconds, self.told, self._content = timeout_seconds, told, content
        try:
            self.consumer: Consumer = Consumer({**settings, **own})
            self.admin: AdminClient = AdminClient(dict(settings))
        except KafkaException as error:
            raise InvalidEnvironment(
                f"event_stream: {error.args[0].str()}",
                "mend tls, sasl or options; these are written as librdkafka's configuration names them",
            ) from error
        self.at: dict[tuple[str, int], int] = {}

    def close(self) -> None:
        """Leave."""
        self.consumer.close()

    def partitions(self, topic: str) -> list[int]:
        """Return the topic's partitions, none where it is not there.

        Raises:
            InvalidEnvironment: credentials, certificates or rights are wrong; told as soon as the brokers say so.
            StoreUnavailable: the cluster did not answer in time.
        """
        found = self._described(topic)
        if found.error is not None and found.error.code() == NOT_THERE:
            return []
        if found.error is not None and found.error.code() not in NO_LEADER:
            raise self._error(topic, found.error)
        return sorted(found.partitions)

    def ends(self, topic: str) -> dict[int, int]:
        """Return the last stable offset of each partition."""
        from confluent_kafka.admin import OffsetSpec

        return self._offsets(topic, self.partitions(topic), OffsetSpec.latest())

    def read(self, topic: str, offsets: Mapping[int, int], limit: int, wait_seconds: float) -> list[Read]:
        """Read until the limit, or up to the ends as they are now; where there is nothing, wait for a first record."""
        ends = self.ends(topic)
        self._go(topic, self._starts(topic, offsets, ends))
        rows = self._take(topic, ends, limit, self.timeout_seconds)
        if not rows and wait_seconds > 0:
            rows = self._first(topic, limit, wait_seconds)
        return self._with_next(topic, rows)

    def let_go(self, topic: str, partition: int, before_offset: int, before_ms: int) -> int:
        """Delete records before an offset and a time (ms since 1970); returns how many."""
        from confluent_kafka import KafkaException, TopicPartition
        from confluent_kafka.admin import OffsetSpec

        if partition not in self.partitions(topic):
            return 0
        first = self._offsets(topic, [partition], OffsetSpec.earliest())[partition]
        younger = self._offsets(topic, [partition], OffsetSpec.for_timestamp(before_ms))[partition]
        until = min(before_offset, younger) if younger >= 0 else before_offset
        if until <= first:
            return 0
        try:
            for answer in self.admin.delete_records([TopicPartition(topic, partition, until)]).values():
                answer.result()
        except KafkaException as error:
            raise self.told.error(topic, error) from error
        return until - first

    def _starts(self, topic: str, offsets: Mapping[int, int], ends: Mapping[int, int]) -> dict[int, int]:
        from confluent_kafka.admin import OffsetSpec

        for partition, offset in offsets.items():
            if offset > ends.get(partition, 0):
                raise ContractBroken(
                    f"topic {topic} ends at {ends.get(partition, 0)} in partition {partition}, {offset} was asked for: "
                    "the topic is another than it was",
                    "declare a source of a new name",
                )
        unsaid = [partition for partition in ends if partition not in offsets]
        return {**offsets, **(self._offsets(topic, unsaid, OffsetSpec.earliest()) if unsaid else {})}

    def _go(self, topic: str, starts: Mapping[int, int]) -> None:
        from confluent_kafka import TopicPartition

        wanted = {(topic, partition): offset for partition, offset in starts.items()}
        if wanted != self.at:
            self.consumer.assign([TopicPartition(topic, partition, at) for (_, partition), at in wanted.items()])
            self.at = wanted

    def _take(self, topic: str, ends: Mapping[int, int], limit: int, seconds: float) -> list[Read]:
        """Take records until the limit is full or every partition's end is reached."""
        rows: list[Read] = []
        until = time.monotonic() + seconds
        while len(rows) < limit and any(self.at[topic, partition] < end for partition, end in ends.items()):
            found = list(self._poll(topic, limit - len(rows), 0.1))
            rows += found
            if found:
                until = time.monotonic() + seconds
            elif self.told.hopeless:
                raise self.told.error(topic, StoreUnavailable("the brokers refuse", ""))
            elif time.monotonic() > until:
                raise StoreUnavailable(
                    f"topic {topic}: the cluster sent no record for {seconds:g} s, though it has some",
                    "look at the brokers' logs, or raise timeout_seconds",
                )
        return rows

    def _first(self, topic: str, limit: int, seconds: float) -> list[Read]:
        until = time.monotonic() + seconds
        rows: list[Read] = []
        while not rows and (left := until - time.monotonic()) > 0:
            rows += self._poll(topic, limit, left) if self.at else self._nothing_there(left)
        return rows

    def _poll(self, topic: str, limit: int, seconds: float) -> Iterator[Read]:
        """Yield what comes, the first within ``seconds``, and note how far each partition is read."""
        first = self.consumer.poll(seconds)
        if first is None:  # asked so, because a message with an empty value is false
            return
        for message in [first, *(self.consumer.consume(limit - 1, 0) if limit > 1 else ())]:
            error = message.error()
            if error is not None:
                self._pass(topic, message, error)
            else:
                self.at[topic, message.partition()] = message.offset() + 1
                yield row(message, self._content)

    def _pass(self, topic: str, message: Message, error: KafkaError) -> None:
        """Stand behind what is no record, such as the end of a transaction; other errors are the caller's."""
        from confluent_kafka import KafkaError

        if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - the client spells its own codes so
            self.at[topic, message.partition()] = message.offset()
            return
        if error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED:
            return  # the client asks for its group's coordinator, though nobody joins: no right is needed for that
        self.at = {}  # whatever comes next is fetched anew
        if error.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001
            raise ContractBroken(
                f"topic {topic} no longer keeps what was asked for: {error.str()}",
                "records are lost to its retention; declare a source of a new name, and give the topic a longer one",
            )
        raise self._error(topic, error)

    def _with_next(self, topic: str, rows: list[Read]) -> list[Read]:
        """Let the last record of a partition say how far it was read, past what is no record."""
        last = {row.partition: place for place, row in enumerate(rows)}
        for partition, place in last.items():
            rows[place] = rows[place]._replace(next=self.at[topic, partition])
        return rows

    def _nothing_there(self, seconds: float) -> list[Read]:
        """Sleep: a topic that is not there cannot be waited for by its consumer."""
        time.sleep(min(seconds, 0.2))
        return []

    def _described(self, topic: str) -> Any:
        """Ask for a topic; the first looks are short, so that who is refused does not wait for nothing."""
        from confluent_kafka import KafkaException

        until = time.monotonic() + self.timeout_seconds
        for look in (*FIRST_LOOKS, self.timeout_seconds):
            left = until - time.monotonic()
            try:
                found = self.admin.list_topics(topic, timeout=max(min(look, left), 0.01)).topics[topic]
            except KafkaException as error:
                self.admin.poll(0)  # here the client tells what it has heard
                if self.told.hopeless or left <= look:
                    raise self.told.error(topic, error) from error
            else:
                self.told.well()
                return found
        raise AssertionError("the last look takes what is left")

    def _error(self, topic: str, error: KafkaError) -> Exception:
        from confluent_kafka import KafkaException

        return self.told.error(topic, KafkaException(error))

    def _offsets(self, topic: str, partitions: list[int], which: Any) -> dict[int, int]:
        """Ask for offsets until every partition has a leader that answers; a new topic has none at first."""
        from confluent_kafka import IsolationLevel, KafkaException, TopicPartition

        asked = {TopicPartition(topic, partition): which for partition in partitions}
        committed, until = IsolationLevel.READ_COMMITTED, time.monotonic() + self.timeout_seconds
        while asked:
            answers = self.admin.list_offsets(asked, isolation_level=committed, request_timeout=self.timeout_seconds)
            try:
                return {place.partition: answer.result().offset for place, answer in answers.items()}
            except KafkaException as error:
                if error.args[0].code() not in NO_LEADER or time.monotonic() > until:
                    raise self.told.error(topic, error) from error
            time.sleep(0.05)
        return {}


def row(message: Message, content: Content = bare) -> Read:
    """Take a message apart."""
    import orjson

    given = message.headers()
    said = {name: (value or b"").decode(errors="replace") for name, value in given} if given else None
    headers = orjson.dumps(said).decode() if said else "{}"
    offset, (_, milliseconds) = message.offset(), message.timestamp()
    key, value = content(message)
    return Read(message.partition(), offset, offset + 1, key, value, headers, milliseconds * 1000)
