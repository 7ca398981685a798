"""Which runs are under way, which are asked for before another is started."""

import runpy

import dagster as dg
import pytest

from loopline.asset_defs.keys import CYCLE_JOB, CYCLE_TAG
from loopline.asset_defs.private.dagster_private import WARM_TAG
from loopline.asset_defs.runs import runs
from loopline.asset_defs.runs.orphans import end_orphans
from loopline.asset_defs.runs.runs import (
    in_progress,
    in_progress_without,
    look_seconds,
    statuses,
    tags_of_location,
    under_way,
)
from loopline.asset_defs.sensors import monitor_sensor, rollout_sensor
from loopline.platform_core.errors import InvalidEnvironment

STARTED = dg.DagsterRunStatus.STARTED
TAGS = {CYCLE_TAG: "some cycle"}


@pytest.mark.parametrize(
    ("status", "goes_on"),
    [
        *((status, True) for status in ("NOT_STARTED", "STARTING", "STARTED", "CANCELING")),
        *((status, False) for status in ("SUCCESS", "FAILURE", "CANCELED")),
    ],
)
def test_a_run_is_in_progress_until_it_has_ended(driver, status, goes_on):
    """What Dagster says of it is what counts; nobody looks for its process."""
    driver.run(CYCLE_JOB, TAGS, dg.DagsterRunStatus[status])
    assert in_progress(driver.instance, CYCLE_JOB, TAGS) == goes_on
    assert statuses(driver.instance, TAGS) == [dg.DagsterRunStatus[status]]


def test_a_cycle_whose_run_is_lost_gets_another(driver):
    """The next code server ends the lost run, and the sensor requests the next attempt at the same look."""
    cycle = driver.open_cycle("one", "by hand")
    tags = {CYCLE_TAG: cycle, WARM_TAG: "{}", **tags_of_location("tiny")}
    driver.run(CYCLE_JOB, tags, STARTED)
    assert driver.tick("cycle")[0] == []
    assert end_orphans(driver.instance, "tiny") == 1
    assert [request.run_key for request in driver.tick("cycle")[0]] == [f"{cycle}:2"]


def test_all_that_is_under_way_is_asked_for_at_once(driver):
    """Of each run of the job that has not ended its value of the tag."""
    name, value = next(iter(TAGS.items()))
    assert under_way(driver.instance, CYCLE_JOB, name, None) == frozenset()
    ended = dg.DagsterRun(job_name=CYCLE_JOB, tags={name: "ended"}, status=dg.DagsterRunStatus.SUCCESS)
    waits = dg.DagsterRun(job_name=CYCLE_JOB, tags=dict(TAGS), status=dg.DagsterRunStatus.NOT_STARTED)
    without = dg.DagsterRun(job_name=CYCLE_JOB, status=dg.DagsterRunStatus.NOT_STARTED)
    other = dg.DagsterRun(job_name="another", tags={name: "other"}, status=dg.DagsterRunStatus.NOT_STARTED)
    for run in (ended, waits, without, other):
        driver.instance.add_run(run)
    assert under_way(driver.instance, CYCLE_JOB, name, None) == {value}


def test_only_a_location_s_own_runs_are_asked_for(driver):
    """A run of another team's is not under way here, with the tag or without."""
    name, value = next(iter(TAGS.items()))
    theirs = tags_of_location("theirs")
    for tags in ({name: value, **theirs}, theirs):
        driver.instance.add_run(dg.DagsterRun(job_name=CYCLE_JOB, tags=tags, status=STARTED))
    assert under_way(driver.instance, CYCLE_JOB, name, "ours") == frozenset()
    assert under_way(driver.instance, CYCLE_JOB, name, "theirs") == {value}
    assert not in_progress_without(driver.instance, CYCLE_JOB, name, "ours")
    assert in_progress_without(driver.instance, CYCLE_JOB, name, "theirs")


def test_how_often_sensors_look_is_said_by_a_variable(monkeypatch):
    """Up to once a minute; more seldom, and the time between two looks would count as unwatched."""
    assert monitor_sensor.LOOK_SECONDS == rollout_sensor.LOOK_SECONDS == runs.LOOK_SECONDS
    monkeypatch.setenv("LOOPLINE_LOOK_SECONDS", "45")
    assert runpy.run_path(runs.__file__)["LOOK_SECONDS"] == 45
    for wrong in ("0", "61", "5.5", "often"):
        with pytest.raises(InvalidEnvironment, match="LOOPLINE_LOOK_SECONDS"):
            look_seconds(wrong)
