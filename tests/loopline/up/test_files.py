"""Ports, the lock of a home, Dagster's settings and the workspace files."""

from __future__ import annotations

import socket
import subprocess
import sys
from contextlib import closing
from importlib.metadata import version

import pytest
import yaml

from loopline.graphql import Dagster
from loopline.platform_core.errors import NotFound, Refused, StoreUnavailable
from loopline.platform_core.foundation.ports import HOST
from loopline.up import dagster_home, lock
from loopline.up.ports import HeldPorts, answers, free_port
from loopline.up.program import last_line


def test_a_busy_port_gives_the_next_free_one():
    """A port that somebody listens on is passed over, and known to answer."""
    with socket.socket() as busy:
        busy.bind((HOST, 0))
        busy.listen()
        port = busy.getsockname()[1]
        assert answers(port)
        assert free_port(port) > port
    assert not answers(port)
    assert free_port(port) == port


def test_two_that_begin_at_once_choose_other_ports():
    """Neither server listens yet, so the port is free for both; who was killed in between leaves nothing behind."""
    wanted = free_port()
    with closing(HeldPorts()) as one, closing(HeldPorts()) as other:
        assert one.hold(wanted) == wanted
        assert one.hold(wanted) == wanted
        assert other.hold(wanted) > wanted
        assert len({other.hold() for _ in range(3)}) == 3
        with socket.socket() as server:
            server.bind((HOST, wanted))
    hold = f"print(HeldPorts().hold({wanted}), flush=True)"
    code = f"import os; from loopline.up.ports import HeldPorts; {hold}; os._exit(9)"
    killed = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    with closing(HeldPorts()) as other:
        assert killed.stdout.split() == [str(other.hold(wanted))] == [str(wanted)]


def test_one_supervisor_a_home(tmp_path):
    """A second one is refused while the first holds the lock, and what it announces can be read."""
    with lock.only_one(tmp_path):
        lock.announce(tmp_path, {"ui": "here"})
        assert lock.announced(tmp_path) == {"ui": "here"}
        with pytest.raises(Refused, match="already"), lock.only_one(tmp_path):
            pass
        lock.withdraw(tmp_path)
    with pytest.raises(NotFound):
        lock.announced(tmp_path)


def test_what_a_killed_supervisor_announced_counts_no_more(tmp_path):
    """The file of a supervisor that was killed is still there, but nobody holds the lock."""
    code = f"""
from pathlib import Path
from loopline.up import lock
home = Path({str(tmp_path)!r})
with lock.only_one(home):
    lock.announce(home, {{"ui": "here"}})
    os._exit(9)
"""
    subprocess.run([sys.executable, "-c", code], check=False)
    assert (tmp_path / lock.FILE).exists()
    with pytest.raises(NotFound, match="nothing runs"):
        lock.announced(tmp_path)
    with lock.only_one(tmp_path):
        pass


def test_the_instance_is_initialised_once_a_version(tmp_path):
    """The first preparation asks for initialisation; the stamp of the same version of Dagster spares the next."""
    assert not dagster_home.prepare(tmp_path)
    (tmp_path / dagster_home.STAMP).write_text("0.0")
    assert not dagster_home.prepare(tmp_path)
    (tmp_path / dagster_home.STAMP).write_text(version("dagster"))
    assert dagster_home.prepare(tmp_path)


def test_dagster_takes_the_settings(tmp_path, monkeypatch):
    """Dagster itself accepts every setting: queue, retention, monitoring, telemetry."""
    import dagster as dg

    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    dagster_home.prepare(tmp_path)
    with dg.DagsterInstance.get() as instance:
        assert instance.run_coordinator.dequeue_interval_seconds == 1
        assert not instance.telemetry_enabled
        assert instance.run_monitoring_enabled
        limits = instance.get_concurrency_config().run_queue_config.tag_concurrency_limits
        assert limits[0]["key"] == dagster_home.WORK_TAG
        assert limits[1] == {"key": "dagster/backfill", "limit": 2}


def test_runs_that_a_killed_supervisor_left_are_failed(tmp_path, monkeypatch):
    """A run under way whose process is gone has failed; one that was not started waits on."""
    import dagster as dg

    from loopline.up.instance import main

    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    dagster_home.prepare(tmp_path)

    @dg.op
    def nothing() -> None:
        """Do nothing."""

    @dg.job
    def empty() -> None:
        nothing()

    with dg.DagsterInstance.get() as instance:
        started = instance.create_run_for_job(empty, status=dg.DagsterRunStatus.STARTED).run_id
        waiting = instance.create_run_for_job(empty, status=dg.DagsterRunStatus.NOT_STARTED).run_id
        main()
        assert instance.get_run_by_id(started).status == dg.DagsterRunStatus.FAILURE
        assert instance.get_run_by_id(waiting).status == dg.DagsterRunStatus.NOT_STARTED
    assert (tmp_path / dagster_home.STAMP).read_text() == dg.__version__


def test_a_workspace_of_running_code_servers(tmp_path):
    """Each team's server is a location of the team's name."""
    file = dagster_home.write_grpc_workspace(tmp_path / "workspace.yaml", {"a": 4001})
    server = {"host": HOST, "port": 4001, "location_name": "a"}
    assert yaml.safe_load(file.read_text()) == {"load_from": [{"grpc_server": server}]}


def test_the_last_line_of_a_log_without_colours(tmp_path):
    """Empty lines and colours are left out, and the line is cut."""
    log = tmp_path / "x.log"
    log.write_text("first\n\x1b[31mit broke\x1b[0m\n\n")
    assert last_line(log) == "it broke"
    assert last_line(log, width=2) == "it"
    assert last_line(tmp_path / "none.log") == ""


def test_dagster_that_does_not_answer():
    """A web server that is not there is an error with a fix."""
    with pytest.raises(StoreUnavailable, match="loopline up"):
        Dagster(f"http://{HOST}:{free_port()}/graphql").locations()
