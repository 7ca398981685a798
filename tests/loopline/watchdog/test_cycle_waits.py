"""What a cycle waits for in Dagster, as its web server tells it: a queue, a run that failed, a daemon that is gone."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from uuid import uuid4

import dagster as dg
import pytest
from dagster._daemon.types import DaemonHeartbeat

from loopline.cli.loop.cycle_waits import in_dagster
from loopline.platform_core.errors import StoreUnavailable
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.cycles.cycles import Cycle
from tests.loopline.watchdog.conftest import instance_of

BEFORE, FAILURE, STARTED = dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.STARTED


def waits(garden, team: str, *statuses: dg.DagsterRunStatus):
    """Say what a new cycle waits for whose runs came as far as these."""
    one = Cycle(uuid4().hex, ModelRef(team, "roses"), "by hand", "open", datetime.now(UTC), None, "")
    tags = {"loopline/cycle": one.cycle_id}
    runs = [dg.DagsterRun("loopline_cycle", str(uuid4()), status=status, tags=tags) for status in statuses]
    with instance_of(garden.home) as instance:
        for run in runs:
            instance.add_run(run)
        try:
            return in_dagster(garden.dagster, garden.url, one, "opened by hand")
        finally:
            for run in runs:
                instance.delete_run(run.run_id)


def beat(garden, seconds_ago: float) -> None:
    """Let every daemon have written a heartbeat."""
    with instance_of(garden.home) as instance:
        for one in garden.dagster.daemons():
            instance.add_daemon_heartbeat(DaemonHeartbeat(time.time() - seconds_ago, one.name, "id", []))


@pytest.fixture
def heard(garden):
    """Let the daemon have been heard of now."""
    beat(garden, 0)


def test_a_queue_is_told_with_who_is_before_it(garden):
    """How many are at work, and where to look for one that hangs."""
    found = waits(garden, "garden", BEFORE)
    assert found.what.startswith("its run waits in Dagster's queue; ")
    assert f"{garden.url}/runs" in found.fix


def test_the_newest_run_counts(garden):
    """One that failed is tried again; one that is at work wants nothing."""
    assert "its run failed, and is tried again" in waits(garden, "garden", FAILURE).what
    at_work = waits(garden, "garden", FAILURE, STARTED)
    assert (at_work.what, at_work.fix.partition(":")[0]) == ("opened by hand", "nothing to do")


def test_a_daemon_that_nobody_heard_of_is_told(garden):
    """No sensor looks without it, and the cycle would wait for ever."""
    beat(garden, 90)
    found = waits(garden, "garden")
    assert "Dagster's daemon was not heard of for 9" in found.what
    assert "loopline up" in found.fix


@pytest.mark.parametrize(("team", "said"), [("torn", "is broken"), ("nobody", "is not known to Dagster")])
def test_code_that_does_not_load_is_told(garden, heard, team, said):
    """The daemon lives, and has no sensor of the team to tick."""
    assert f"the code of team {team} {said}" in waits(garden, team).what


def test_a_sensor_that_is_stopped_is_told(garden, heard):
    """The location of the test has none of that name, as where it was stopped."""
    assert "loopline_cycle_sensor of garden is stopped" in waits(garden, "garden").what


def test_a_web_server_that_is_gone_is_an_error_with_its_fix(garden):
    """It is told beside what the ledger knows."""
    away = type(garden)("http://127.0.0.1:9", garden.home)
    with pytest.raises(StoreUnavailable, match=r"does not answer.*loopline up"):
        waits(away, "garden")
