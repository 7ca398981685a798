"""Servers that tests need as they really are."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import hypothesis
import psycopg2
import pytest

from tests.emulators.postgresql import OWNER
from tests.emulators.postgresql import postgresql as postgresql_server
from tests.s3_server import S3Server

# how long an example takes is the machine's affair, which others use as well
hypothesis.settings.register_profile("loopline", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("loopline")
sys.path += [str(Path(__file__).parent / folder) for folder in ("kafka", "cluster")]
pytest_plugins = [
    "kafka_broker",
    "kubernetes_cluster",
    "installed_chart",
    "tests.emulators.aws",
    "tests.emulators.openbao",
    "tests.emulators.secret_manager",
    "tests.emulators.key_vault",
    "tests.emulators.stores",
]
FEW = ("daemon", "cluster", "spark")
"""Markers of a few files each."""


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Let ``-m daemon`` and its like import the files that name the marker only: all take half a minute of CPU."""
    marker = config.option.markexpr
    if marker not in FEW or not collection_path.match("test_*.py"):
        return None
    return f"mark.{marker}" not in collection_path.read_text(encoding="utf-8") or None


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """Run a PostgreSQL server of this session's own, reached through a socket in the folder that is given."""
    with postgresql_server() as server:
        yield str(server.folder)


@pytest.fixture(scope="session")
def new_database(postgresql: str) -> Callable[[], str]:
    """Make an empty place on PostgreSQL; each call gives the URL of another one.

    It is a schema of its own: a database each would cost seven megabytes and half a second.
    """
    numbers = count()

    def make() -> str:
        name = f"space_{next(numbers)}"
        connection = psycopg2.connect(host=postgresql, user=OWNER, dbname="postgres")
        connection.autocommit = True
        connection.cursor().execute(f"CREATE SCHEMA {name}")
        connection.close()
        return f"postgresql://{OWNER}@/postgres?host={postgresql}&options=-csearch_path%3D{name}"

    return make


class RedisServer:
    """A real Redis server on a port of its own, which keeps nothing on disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def start(self, *more: str) -> None:
        """Start it, with settings such as ``--requirepass`` and their values, and wait until it answers."""
        found = shutil.which("redis-server")
        if found is None:
            pytest.fail("redis-server is missing: install it, for example 'apt-get install redis-server'")
        settings = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", ""]
        self.process = subprocess.Popen([found, *settings, *more], stdout=subprocess.DEVNULL)
        _wait_for_port(self.port, self.process)

    def kill(self) -> None:
        """Kill it, as a machine that loses its power would."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """Let it hang: it keeps its connections and answers nobody."""
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it answer again."""
        self.process.send_signal(signal.SIGCONT)


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """Run a Redis server for this session; tests share it, so each takes a prefix of its own."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def own_redis_server(tmp_path: Path) -> Iterator[RedisServer]:
    """Run a Redis server for one test, which may kill it and start it again."""
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Run an S3 server for this session; tests share it, so each takes a bucket of its own."""
    server = S3Server(tmp_path_factory.mktemp("s3"))
    server.start()
    yield server
    server.kill()


@pytest.fixture
def own_s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Run an S3 server for one test, which may stop or kill it."""
    server = S3Server(tmp_path_factory.mktemp("own-s3"))
    server.start()
    yield server
    server.kill()


def _wait_for_port(port: int, server: subprocess.Popen[bytes]) -> None:
    for _ in range(500):
        if server.poll() is not None:
            break
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    pytest.fail(f"the server on port {port} did not start")
