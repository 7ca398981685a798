"""Servers that tests need as they really are."""

from __future__ import annotations

import fcntl
import gc
import os
import signal
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import hypothesis
import psycopg2
import pytest

from loopline.platform_core import redaction
from loopline.platform_core.testing.parts.ports import free_port
from tests import machine
from tests.emulators.postgresql import OWNER
from tests.emulators.postgresql import postgresql as postgresql_server
from tests.groups import FILES, GROUPS, WHOLE, group_of
from tests.hanging import hang
from tests.machine import needs
from tests.repeats import repeats
from tests.s3_server import S3Server
from tests.waiting import until
from tests.workers import LONGEST, Together

if TYPE_CHECKING:
    from playwright.sync_api import Browser

gc.disable()  # until all tests are there: of what is imported nothing goes, and to look for it took a fifth of the time
# how long an example takes is the machine's affair, which others use as well
hypothesis.settings.register_profile(
    "loopline",
    deadline=None,
    max_examples=repeats(40),
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
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


def pytest_configure(config: pytest.Config) -> None:
    """Skip what the machine has no program for; name the markers of heavy tests: ``heavy``, and one a group."""
    config.pluginmanager.register(machine, "machine")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # a shell's background job: Dagster gives SIGTERM what SIGINT
        signal.signal(signal.SIGINT, signal.default_int_handler)  # has, and what is started here would never end
    config.addinivalue_line("markers", "heavy: left out of make test (tests/groups.py)")
    for name, group in GROUPS.items():
        config.addinivalue_line("markers", f"{name}: {group.subject}")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import only files that hold tests of the group, or tests that are not heavy, whatever ``-m`` asks for."""
    if not collection_path.match("test_*.py"):
        return None
    asked, file = config.option.markexpr, collection_path.relative_to(config.rootpath).as_posix()
    return (file in WHOLE if asked == "not heavy" else asked in FILES and file not in FILES[asked]) or None


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark heavy tests, and put the files that take longest first, so that no worker is left with one at the end."""
    for item in items:
        if name := group_of(item.nodeid):
            item.add_marker("heavy")
            item.add_marker(name)
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(GROUPS[name].timeout_seconds))
    files = [item.nodeid.partition("::")[0] for item in items]  # of a kit's tests the location is the kit's file
    tests, rank = Counter(files), {name: number for number, name in enumerate(LONGEST)}
    order = {name: (rank.get(name, len(rank)), -number, name) for name, number in tests.items()}
    items.sort(key=lambda item: order[item.nodeid.partition("::")[0]])


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Together | None:
    """Share out files so that what several of them need is started once."""
    return Together(config, log) if config.option.dist == "loadfile" else None


def pytest_collection_finish() -> None:
    """Look for garbage among what the tests make, and never again among what was imported for them."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="module", autouse=True)
def _variables_of_a_file() -> Iterator[None]:
    """Let what a command of Loopline set while a file's fixtures were made end with the file."""
    yield from _restored("LOOPLINE_")


@pytest.fixture(autouse=True)
def _variables_of_a_test() -> Iterator[None]:
    """Let what a test set end with it: a command that runs in this process sets variables for those that it starts."""
    yield from _restored("")


def _restored(prefix: str) -> Iterator[None]:
    before = dict(os.environ)
    yield
    for name in [one for one in {**before, **os.environ} if one.startswith(prefix)]:
        if name not in before:
            del os.environ[name]
        elif os.environ.get(name) != before[name]:
            os.environ[name] = before[name]


@pytest.fixture(scope="session")
def postgresql() -> Iterator[str]:
    """Run a PostgreSQL server of these tests' own, reached through a socket in the folder that is given."""
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


@pytest.fixture(scope="session")
def empty_registry(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make MLflow's tables once for all workers, which takes seconds; each home begins with a copy of the file."""
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "empty-registry"
    folder.mkdir(exist_ok=True)
    file = folder / "mlflow.db"
    with (folder / "lock").open("wb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not file.exists():
            from loopline.resources.mlflow.registry import MlflowRegistry

            made = folder / "made.db"
            made.unlink(missing_ok=True)
            registry = MlflowRegistry(tracking_uri=f"sqlite:///{made}", artifacts=str(folder))
            assert list(registry.models()) == []
            made.rename(file)
    return file


class RedisServer:
    """A real Redis server on a port of its own, which keeps nothing on disk."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"

    def start(self, *more: str) -> None:
        """Start it, with settings such as ``--requirepass`` and their values, and wait until it answers."""
        settings = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder), "--save", ""]
        self.process = subprocess.Popen([needs("redis-server"), *settings, *more], stdout=subprocess.DEVNULL)
        _wait_for_port(self.port, self.process)

    def kill(self) -> None:
        """Kill it, as a machine that loses its power would."""
        self.process.kill()
        self.process.wait()

    def stop(self) -> None:
        """Let it hang: it keeps its connections and answers nobody."""
        hang(self.process.pid)

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


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Start Chromium for one module: while its driver runs, this thread has a loop, and nobody else may start one."""
    path = needs("chromium", "chromium-browser", "google-chrome")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """Run an S3 server for a file of tests, which share it, so each takes a bucket of its own."""
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
    def answers() -> bool:
        assert server.poll() is None, f"the server on port {port} ended"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    until(answers, told=lambda: f"the server on port {port} did not start")


@pytest.fixture(autouse=True)
def own_secrets() -> Iterator[None]:
    """Let no test's secret be taken out of what another one reads."""
    with redaction.forgetting():
        yield
