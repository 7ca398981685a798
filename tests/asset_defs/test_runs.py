"""Whether a run is under way: one that is said to run but that nobody runs is ended, so that another may be started."""

import runpy
import subprocess
import sys
from dataclasses import replace

import dagster as dg
import psutil
import pytest
from dagster._core.events import EngineEventData

from loopline.asset_defs.keys import CYCLE_JOB, CYCLE_TAG
from loopline.asset_defs.runs import runs
from loopline.asset_defs.runs.runs import (
    GONE,
    LOCATION_TAG,
    in_progress,
    in_progress_without,
    look_seconds,
    statuses,
    under_way,
)
from loopline.asset_defs.sensors import monitor_sensor, rollout_sensor
from loopline.platform_core.errors import InvalidEnvironment
from tests.waiting import until

STARTED, FAILURE = dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.FAILURE
TAGS = {CYCLE_TAG: "some cycle"}


@pytest.fixture
def driver(driver, on_sqlite):
    """Drive a team on an instance that launches runs on this machine."""
    return replace(driver, instance=on_sqlite)


@pytest.fixture
def process():
    """Give a process that waits until it is ended."""
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as started:
        yield started
        started.kill()


def started_by(driver, pid: int, cycle: str = "some cycle") -> str:
    """Let a run have been started by a process, which has said so as Dagster's workers do."""
    run_id = driver.run(CYCLE_JOB, {CYCLE_TAG: cycle}, STARTED)
    said = EngineEventData({"pid": dg.MetadataValue.text(str(pid))})
    driver.instance.report_engine_event("began", driver.instance.get_run_by_id(run_id), said)
    return run_id


def test_a_run_whose_process_lives_is_under_way(driver, process):
    """Nothing is done to it."""
    run_id = started_by(driver, process.pid)
    assert statuses(driver.instance, TAGS) == [STARTED]
    assert in_progress(driver.instance, CYCLE_JOB, TAGS)
    assert driver.instance.get_run_by_id(run_id).status == STARTED


@pytest.mark.parametrize("reaped", [True, False], ids=["gone", "a zombie"])
def test_a_run_whose_process_is_gone_has_failed(driver, process, reaped):
    """It is ended with the reason, whether or not anybody has taken note of the process's death."""
    run_id = started_by(driver, process.pid)
    process.kill()
    if reaped:
        process.wait()
    else:
        until(lambda: psutil.Process(process.pid).status() == psutil.STATUS_ZOMBIE)
    assert not in_progress(driver.instance, CYCLE_JOB, TAGS)
    assert statuses(driver.instance, TAGS) == [FAILURE]
    failed = driver.instance.all_logs(run_id, of_type=dg.DagsterEventType.RUN_FAILURE)
    assert [entry.message for entry in failed] == [GONE]


def test_a_number_that_another_process_has_got_is_not_the_run(driver, process, monkeypatch):
    """The machine gives numbers again: a process that is younger than the run's beginning is another one."""
    monkeypatch.setattr("loopline.asset_defs.runs.runs.CLOCK_SECONDS", -3600.0)
    started_by(driver, process.pid)
    assert statuses(driver.instance, TAGS) == [FAILURE]


def test_a_run_that_names_no_process_is_left_alone(driver):
    """It may be on its way to one, or be executed elsewhere."""
    driver.run(CYCLE_JOB, TAGS, STARTED)
    assert in_progress(driver.instance, CYCLE_JOB, TAGS)
    assert statuses(driver.instance, TAGS) == [STARTED]


def test_a_cycle_whose_run_is_lost_gets_another(driver, process):
    """The sensor finds the lost run and requests the next attempt at the same look."""
    cycle = driver.open_cycle("one", "by hand")
    started_by(driver, process.pid, cycle)
    assert driver.tick("cycle")[0] == []
    process.kill()
    process.wait()
    assert [request.run_key for request in driver.tick("cycle")[0]] == [f"{cycle}:2"]


def test_all_that_is_under_way_is_asked_for_at_once(driver):
    """Of each run of the job that has not ended its value of the tag; of one whose process is gone none."""
    name, value = next(iter(TAGS.items()))
    assert under_way(driver.instance, CYCLE_JOB, name, None) == frozenset()
    ended = dg.DagsterRun(job_name=CYCLE_JOB, tags={name: "ended"}, status=dg.DagsterRunStatus.SUCCESS)
    waits = dg.DagsterRun(job_name=CYCLE_JOB, tags=dict(TAGS), status=dg.DagsterRunStatus.NOT_STARTED)
    without = dg.DagsterRun(job_name=CYCLE_JOB, status=dg.DagsterRunStatus.NOT_STARTED)
    other = dg.DagsterRun(job_name="another", tags={name: "other"}, status=dg.DagsterRunStatus.NOT_STARTED)
    for run in (ended, waits, without, other):
        driver.instance.add_run(run)
    assert under_way(driver.instance, CYCLE_JOB, name, None) == {value}


def test_a_run_of_another_team_is_left_alone(driver, process):
    """Its process is in another pod, where the same number means another process, or none here: it is not ended."""
    name = next(iter(TAGS))
    run_id = started_by(driver, process.pid)
    driver.instance.add_run_tags(run_id, {LOCATION_TAG: "__repository__@theirs"})
    process.kill()
    process.wait()
    assert under_way(driver.instance, CYCLE_JOB, name, "ours") == frozenset()
    assert not in_progress_without(driver.instance, CYCLE_JOB, "another tag", "ours")
    assert driver.instance.get_run_by_id(run_id).status == STARTED
    assert under_way(driver.instance, CYCLE_JOB, name, "theirs") == frozenset()
    assert driver.instance.get_run_by_id(run_id).status == FAILURE


def test_how_often_sensors_look_is_said_by_a_variable(monkeypatch):
    """Up to once a minute; more seldom, and the time between two looks would count as unwatched."""
    assert monitor_sensor.LOOK_SECONDS == rollout_sensor.LOOK_SECONDS == runs.LOOK_SECONDS
    monkeypatch.setenv("LOOPLINE_LOOK_SECONDS", "45")
    assert runpy.run_path(runs.__file__)["LOOK_SECONDS"] == 45
    for wrong in ("0", "61", "5.5", "often"):
        with pytest.raises(InvalidEnvironment, match="LOOPLINE_LOOK_SECONDS"):
            look_seconds(wrong)
