"""The Kafka broker of the test session's own, started when the first test needs it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from benchmarks.peers.kafka_broker import broker


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Start a broker; gives its ``bootstrap_servers``. Failing is better than a suite that quietly tests less."""
    try:
        with broker(tmp_path_factory.mktemp("kafka")) as servers:
            yield servers
    except RuntimeError as error:
        pytest.fail(str(error))
