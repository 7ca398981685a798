"""Waiting for what starts: ready, dead, given up, stopped, or too late."""

from __future__ import annotations

import os
import sys
import threading

import pytest

from loopline.up.program import Program
from loopline.up.start import Stopped, Waiting
from loopline.up.supervisor import Patience, Supervisor
from platform_core.errors import StoreUnavailable


@pytest.fixture
def supervisor():
    """Supervise with little patience."""
    with Supervisor(lambda event: None, Patience(first_seconds=0.05, tries=2)) as started:
        yield started


def start(supervisor: Supervisor, tmp_path, code: str) -> None:
    """Start a line of Python under the name ``it``."""
    supervisor.start(Program("it", (sys.executable, "-S", "-c", code), tmp_path / "it.log", dict(os.environ)))


def test_what_is_ready_is_waited_for(supervisor, tmp_path):
    """The wait ends when the condition holds."""
    start(
        supervisor, tmp_path, "open('ready', 'w'); import time; time.sleep(600)".replace("ready", f"{tmp_path}/ready")
    )
    waiting = Waiting(supervisor, threading.Event(), 30)
    assert waiting.survives("it", (tmp_path / "ready").exists)
    waiting.for_program("it", (tmp_path / "ready").exists)


def test_a_death_before_it_was_ready_is_seen_at_once(supervisor, tmp_path):
    """One team's code server that dies does not hold up the others."""
    start(supervisor, tmp_path, "raise SystemExit(3)")
    assert not Waiting(supervisor, threading.Event(), 30).survives("it", lambda: False)


def test_what_is_given_up_is_not_waited_for(supervisor, tmp_path):
    """A web server that cannot run ends the wait with its last words and its log."""
    start(supervisor, tmp_path, "print('port in use'); raise SystemExit(1)")
    with pytest.raises(StoreUnavailable, match="it cannot run: port in use") as error:
        Waiting(supervisor, threading.Event(), 30).for_program("it", lambda: False)
    assert error.value.fix == f"read {tmp_path / 'it.log'}"


def test_patience_ends(supervisor, tmp_path):
    """What is never ready is an error after the time-out."""
    start(supervisor, tmp_path, "import time; time.sleep(600)")
    with pytest.raises(StoreUnavailable, match="not ready after 0 s"):
        Waiting(supervisor, threading.Event(), 0.2).for_program("it", lambda: False)


def test_a_stop_ends_the_wait(supervisor, tmp_path):
    """Ctrl-C while things start is no error."""
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        Waiting(supervisor, stop, 30).until(lambda: False, "it", tmp_path / "it.log")
