"""The supervisor keeps small real processes running, and ends all of them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from loopline.up import reaper
from loopline.up.program import Event, Program
from loopline.up.supervisor import Patience, Supervisor
from loopline.up.sweep import MARK, end_marked, new_mark
from tests.waiting import until

SLEEP = "import time; time.sleep(600)"
QUICK = Patience(first_seconds=0.05, tries=3)


def program(tmp_path: Path, name: str, code: str, rank: int = 0) -> Program:
    """Make a program of a line of Python."""
    return Program(name, (sys.executable, "-S", "-c", code), tmp_path / f"{name}.log", dict(os.environ), rank)


@pytest.fixture
def events() -> list[Event]:
    """Collect what is reported."""
    return []


def test_all_end_in_order_of_rank(tmp_path, events):
    """Programs of a smaller rank are gone before those of a larger one are asked to end."""
    with Supervisor(events.append) as supervisor:
        for rank, name in enumerate(("first", "second", "third")):
            supervisor.start(program(tmp_path, name, SLEEP, rank))
        pids = [child.pid for child in supervisor.children.values()]
    assert [e.program for e in events if e.what == "ended"] == ["first", "second", "third"]
    assert not any(psutil.pid_exists(pid) for pid in pids)


def test_a_dead_program_is_reported_and_started_again(tmp_path, events):
    """After a kill the report says how it ended, and a new process runs."""
    with Supervisor(events.append, QUICK) as supervisor:
        child = supervisor.start(program(tmp_path, "server", SLEEP))
        first = child.pid
        os.kill(first, signal.SIGKILL)
        until(lambda: any(e.what == "restarted" for e in events))
        assert child.running
        assert child.pid != first
    died = next(e for e in events if e.what == "died")
    assert "SIGKILL" in died.detail


def test_a_program_that_cannot_run_is_given_up(tmp_path, events):
    """After some deaths in a row we give up, and the report carries exit code, last words and the log's path.

    The pause before a restart grows with each death in a row, up to the longest.
    """
    patience = Patience(first_seconds=0.1, longest_seconds=0.15, tries=4)
    with Supervisor(events.append, patience) as supervisor:
        begun = time.monotonic()
        child = supervisor.start(program(tmp_path, "broken", "print('no such disk'); raise SystemExit(3)"))
        until(lambda: child.gave_up)
        assert time.monotonic() - begun >= 0.1 + 0.15 + 0.15
        until(lambda: events[-1].what == "gave up")
    deaths = [e.detail for e in events if e.what == "died"]
    assert len(deaths) == 4
    assert deaths[0] == f"exit code 3: no such disk; log: {tmp_path / 'broken.log'}"


def test_a_program_that_does_not_listen_is_killed(tmp_path, events):
    """Who ignores the request to end is ended when the grace is over."""
    deaf = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
    )
    supervisor = Supervisor(events.append)
    with supervisor:
        child = supervisor.start(program(tmp_path, "deaf", deaf))
        until(lambda: "deaf" in child.program.log.read_text())
        supervisor.end(grace_seconds=0.3)
        assert not child.running


def test_what_a_program_left_behind_is_told_to_end_when_it_died(tmp_path, events):
    """Run workers of a code server that is gone do not work beside those of the next one."""
    code = f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {SLEEP!r}]).pid, flush=True)"
    with Supervisor(events.append, Patience(tries=1)) as supervisor:
        child = supervisor.start(program(tmp_path, "parent", code))
        until(lambda: child.gave_up)
        grandchild = int(child.program.log.read_text())
        until(lambda: _gone(grandchild))


def test_grandchildren_that_do_not_listen_end_too(tmp_path, events):
    """What a program left behind when it died, and is deaf, is ended at the end."""
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"
    start = f"import subprocess, sys; deaf = subprocess.Popen([sys.executable, '-c', {deaf!r}], stdout=subprocess.PIPE)"
    code = f"{start}; deaf.stdout.readline(); print(deaf.pid, flush=True)"
    with Supervisor(events.append, Patience(tries=1)) as supervisor:
        child = supervisor.start(program(tmp_path, "parent", code))
        until(lambda: child.gave_up)
        grandchild = int(child.program.log.read_text())
        assert not _gone(grandchild)
        supervisor.end(grace_seconds=0.3)
    until(lambda: _gone(grandchild))


def test_a_killed_supervisor_takes_everything_along(tmp_path):
    """When the supervising process is killed with -9, its children and theirs end by themselves."""
    code = f"""
import os, sys, time
from pathlib import Path
from loopline.up.program import Program
from loopline.up.supervisor import Supervisor
supervisor = Supervisor(lambda event: None)
supervisor.__enter__()
sleeper = (sys.executable, "-S", "-c", {SLEEP!r})
pids = [supervisor.start(Program(n, sleeper, Path({str(tmp_path)!r}) / n, dict(os.environ))).pid for n in "ab"]
print(*pids, flush=True)
time.sleep(600)
"""
    owner = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    pids = [int(pid) for pid in owner.stdout.readline().split()]
    assert all(psutil.pid_exists(pid) for pid in pids)
    owner.kill()
    owner.wait()
    until(lambda: all(_gone(pid) for pid in pids))


def _gone(pid: int) -> bool:
    """Say whether a process is no more, or waits only to be reaped by the system."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_who_has_ended_and_was_not_waited_for_is_not_waited_for():
    """An orphan's parent may be a first process that waits for nobody: every end would take all of its grace."""
    mark = new_mark()
    sleeper = (sys.executable, "-c", SLEEP)
    ended = subprocess.Popen(sleeper, start_new_session=True)
    marked = subprocess.Popen(sleeper, start_new_session=True, env={**os.environ, MARK: mark})
    try:
        assert reaper.alive(ended.pid)
        until(lambda: MARK in psutil.Process(marked.pid).environ())  # a program that begins shows none for a moment
        began = time.monotonic()
        reaper.end({ended.pid}, grace_seconds=60)
        assert end_marked(mark, grace_seconds=60) == 1
        assert time.monotonic() - began < 60
        assert [one.returncode for one in (ended, marked)] == [None, None]  # nobody has waited for them yet
        assert not reaper.alive(ended.pid)
    finally:
        for one in (ended, marked):
            one.kill()
            one.wait()


def test_what_left_its_group_is_found_by_its_mark(tmp_path, events, monkeypatch):
    """A worker in a session of its own outlives its parent, and ends when everything that carries the mark does."""
    mark = new_mark()
    monkeypatch.setenv(MARK, mark)
    start = f"subprocess.Popen([sys.executable, '-c', {SLEEP!r}], start_new_session=True)"
    with Supervisor(events.append, Patience(tries=1)) as supervisor:
        child = supervisor.start(program(tmp_path, "parent", f"import subprocess, sys; print({start}.pid, flush=True)"))
        until(lambda: child.gave_up)
        worker = int(child.program.log.read_text())
    assert not _gone(worker)
    monkeypatch.delenv(MARK)
    assert end_marked(mark) == 1
    until(lambda: _gone(worker))
