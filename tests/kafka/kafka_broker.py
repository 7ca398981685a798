"""The Kafka broker of the test session's own, started when the first test needs it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from benchmarks.peers.kafka_broker import broker
from tests.kafka.kafka_security import Security, secured


@dataclass(frozen=True)
class Broker:
    """Its servers without TLS, where everybody may do everything, and the doors that ask who comes."""

    open: str
    closed: Security


@pytest.fixture(scope="session")
def kafka_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """Start a broker. Failing is better than a suite that quietly tests less."""
    folder = tmp_path_factory.mktemp("kafka")
    closed = secured(folder)
    try:
        with broker(folder, closed.doors) as servers:
            yield Broker(servers, closed)
    except RuntimeError as error:
        pytest.fail(str(error))


@pytest.fixture(scope="session")
def kafka(kafka_broker: Broker) -> str:
    """Give the broker's ``bootstrap_servers`` without TLS."""
    return kafka_broker.open
