"""Waiting for what starts: ready, dead, given up, stopped, or too late."""

from __future__ import annotations

import os
import sys
import threading
from datetime import UTC, datetime

import pytest

from loopline.cli.installation.up import welcome
from loopline.platform_core.contracts.serving import Served
from loopline.platform_core.environment import Environment
from loopline.platform_core.errors import StoreUnavailable
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.deployments import deployments
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.platform_core.platform import Platform
from loopline.platform_core.testing.fakes.registry import InMemoryRegistry
from loopline.platform_core.testing.fakes.serving import InMemoryServing
from loopline.resources.local.serving import LocalServing
from loopline.up import start as steps
from loopline.up.app import App
from loopline.up.ports import HeldPorts
from loopline.up.program import Event, Program
from loopline.up.start import Stopped, Waiting
from loopline.up.supervisor import Patience, Supervisor


@pytest.fixture
def supervisor():
    """Supervise with little patience."""
    with Supervisor(lambda event: None, Patience(first_seconds=0.05, tries=2)) as started:
        yield started


def start(supervisor: Supervisor, tmp_path, code: str) -> None:
    """Start a line of Python under the name ``it``."""
    supervisor.start(Program("it", (sys.executable, "-S", "-c", code), tmp_path / "it.log", dict(os.environ)))


def test_what_is_ready_is_waited_for(supervisor, tmp_path):
    """The wait ends when the condition holds; what is never ready is an error after the time-out."""
    start(supervisor, tmp_path, f"open('{tmp_path}/ready', 'w'); import time; time.sleep(600)")
    waiting = Waiting(supervisor, threading.Event(), 30)
    assert waiting.survives("it", (tmp_path / "ready").exists)
    waiting.for_program("it", (tmp_path / "ready").exists)
    with pytest.raises(StoreUnavailable, match="not ready after 0 s"):
        Waiting(supervisor, threading.Event(), 0.2).for_program("it", lambda: False)


def test_what_is_given_up_is_not_waited_for(supervisor, tmp_path):
    """A server that cannot run ends the wait with its last words and its log.

    Its death is seen at once: one team's code server that dies does not hold up the others.
    """
    start(supervisor, tmp_path, "print('port in use'); raise SystemExit(1)")
    waiting = Waiting(supervisor, threading.Event(), 30)
    assert not waiting.survives("it", lambda: False)
    with pytest.raises(StoreUnavailable, match="it cannot run: port in use") as error:
        waiting.for_program("it", lambda: False)
    assert error.value.fix == f"read {tmp_path / 'it.log'}"


def test_a_stop_ends_the_wait(supervisor, tmp_path):
    """Ctrl-C while things start is no error."""
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        Waiting(supervisor, stop, 30).until(lambda: False, "it", tmp_path / "it.log")


def test_a_model_that_cannot_be_served_does_not_stop_the_start(supervisor, tmp_path):
    """Its package and its version are gone: it is told by name, with what is wrong."""
    bindings = {"serving": InMemoryServing(), "registry": InMemoryRegistry()}
    url = f"sqlite:///{tmp_path}/ledger.db"
    platform = Platform(Environment("test", tmp_path / "test.yaml", bindings, url, None, tmp_path))
    ref, told = ModelRef("old", "gone"), []
    lost = deployments.Deployment(ref, 0, Served("1", tmp_path / "nowhere", "c"), None, 0)
    with platform.ledger.writing(ref) as connection:
        deployments.write(connection, lost, Entry(deployments.CHANGED, datetime(2011, 3, 1, tzinfo=UTC), *ref))
    supervisor.report = told.append
    steps._reapply(App(platform, supervisor, (), {}, HeldPorts()), Waiting(supervisor, threading.Event(), 30))
    platform.close()
    assert told == [Event("old/gone", "not served", "model 'old.gone' has no version '1' → list its versions")]


@pytest.mark.parametrize(
    ("grpc_port", "endpoint", "told"),
    [(8081, "http://h", "127.0.0.1:8081"), (None, "http://h", None), (8081, None, None)],
)
def test_where_grpc_is_listened_for_is_told(grpc_port, endpoint, told, supervisor, tmp_path):
    """In the welcome and to programs; nothing where nobody listens, or the server is elsewhere."""
    serving = LocalServing(root=str(tmp_path), port=8080, grpc_port=grpc_port)
    url = f"sqlite:///{tmp_path}/ledger.db"
    platform = Platform(Environment("test", tmp_path / "test.yaml", {"serving": serving}, url, None, tmp_path))
    app = App(platform, supervisor, (), {}, HeldPorts(), endpoint=endpoint)
    assert app.facts()["grpc"] == told
    assert [line.split() for line in welcome(app).splitlines() if "gRPC" in line] == ([["gRPC", told]] if told else [])
    platform.close()
