"""Hands records to a producer, and tells what the broker did not take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from loopline.platform_core.contracts.event_stream import Record
from loopline.platform_core.errors import ContractBroken, StoreUnavailable
from loopline.resources.kafka.told import Told

if TYPE_CHECKING:
    from confluent_kafka import KafkaError, Producer


def topic_of(stream: str) -> str:
    """Name a stream's topic."""
    return stream.replace("/", ".")


def send(producer: Producer, topic: str, record: Record, refused: list[KafkaError]) -> None:
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
