"""Kafka producer: sends records, and reports those that the broker refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from loopline.platform_core.contracts.event_stream import Record
from loopline.platform_core.errors import ContractBroken, StoreUnavailable
from loopline.resources.kafka.client_callbacks import Told

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Producer

HEARD = 100
"""After so many records it is heard what has become of those before."""


def topic_of(stream: str) -> str:
    """Name a stream's topic."""
    return stream.replace("/", ".")


def send(producer: Producer, topic: str, records: Iterable[Record], refused: list[KafkaError]) -> None:
    """Hand records to the client, which sends them together; ``refused`` is told of those that no broker took."""
    from confluent_kafka import KafkaException

    def keep(error: KafkaError | None, _: object) -> None:
        if error is not None:
            refused.append(error)

    for number, record in enumerate(records, 1):
        try:
            _produce(producer, topic, record, keep)
        except KafkaException as error:
            refused.append(error.args[0])
        if number % HEARD == 0:
            producer.poll(0)


def _produce(producer: Producer, topic: str, record: Record, keep: Callable[[KafkaError | None, object], None]) -> None:
    headers = [(name, value.encode()) for name, value in record.headers.items()] if record.headers else None
    while True:
        try:
            producer.produce(topic, record.value, record.key, headers=headers, on_delivery=keep)
        except BufferError:  # the client's queue is full: let it send some
            producer.poll(0.1)
        else:
            return


def raise_delivery_errors(topic: str, refused: Sequence[KafkaError], left: int, told: Told) -> None:
    """Raise what hinders: a record that no broker would ever take, or a cluster that does not answer."""
    from confluent_kafka import KafkaError, KafkaException

    broken = [error for error in refused if error.code() in (KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.INVALID_RECORD)]
    if broken:
        raise ContractBroken(
            f"topic {topic}: the broker refuses {len(broken)} records: {broken[0].str()}",
            "send smaller records, or raise the topic's max.message.bytes",
        )
    if refused or told.hopeless:
        raise told.error(topic, KafkaException(refused[0] if refused else KafkaError(KafkaError._TIMED_OUT)))  # noqa: SLF001
    raise StoreUnavailable(f"topic {topic}: {left} records are not acknowledged in time", "is the cluster up?")
