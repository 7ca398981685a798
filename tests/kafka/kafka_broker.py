"""The Kafka broker of the tests' own, started when the first test needs it."""

from __future__ import annotations

import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from benchmarks.peers.kafka_broker import LIBS, broker
from tests.kafka.kafka_security import Security, secured
from tests.machine import needs
from tests.workers import scope


@dataclass(frozen=True)
class Broker:
    """Its servers without TLS, where everybody may do everything, and the doors that ask who comes."""

    open: str
    closed: Security


_STARTED: list[tuple[Broker, ExitStack]] = []
"""The broker that runs, if one does, and what ends it."""


@pytest.fixture(scope="module")
def kafka_broker() -> Broker:
    """Return the broker that runs, or start one."""
    return running()


def running() -> Broker:
    """Return the broker that runs, or start one."""
    if not _STARTED:
        needs("java")
        if not LIBS.is_dir():
            needs("mvn")
        ends = ExitStack()
        folder = Path(ends.enter_context(TemporaryDirectory(prefix="loopline-kafka-", ignore_cleanup_errors=True)))
        closed = secured(folder)
        try:
            servers = ends.enter_context(broker(folder, closed.doors))
        except RuntimeError as error:
            pytest.fail(str(error))
        _STARTED.append((Broker(servers, closed), ends))
    return _STARTED[0][0]


@pytest.fixture(scope="module")
def kafka(kafka_broker: Broker) -> str:
    """Give the broker's ``bootstrap_servers`` without TLS."""
    return kafka_broker.open


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None):
    """End the broker behind the last file that shares it: idle, it costs all that a worker does later."""
    yield
    if "PYTEST_XDIST_WORKER" in os.environ and (nextitem is None or _file(nextitem) != _file(item)):
        _end()


def pytest_sessionfinish() -> None:
    """End the broker."""
    _end()


def _file(item: pytest.Item) -> str:
    return scope(item.nodeid.partition("::")[0])


def _end() -> None:
    while _STARTED:
        _STARTED.pop()[1].close()
