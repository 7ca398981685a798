"""Old runs of routine are forgotten, with their events and their files; runs of cycles and new ones stay."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from loopline.asset_defs.keys import CYCLE_JOB, CYCLE_TAG, MONITOR_JOB, NIGHTLY_JOBS
from loopline.asset_defs.runs.run_care import LOCATION_TAG, PARTITION_TAG, ForgetConfig, forget_runs


@dg.job(name=MONITOR_JOB)
def watch() -> None:
    """Do nothing, as a run of routine."""


def executed(instance) -> str:
    """Run the job now."""
    return watch.execute_in_process(instance=instance).run_id


def added(instance, job: str, status: dg.DagsterRunStatus, tags: dict[str, str]) -> str:
    """Add a run as it would stand in the storage."""
    run = dg.DagsterRun(job_name=job, status=status, tags=tags)
    instance.add_run(run)
    instance.report_engine_event("it left an event", run)
    return run.run_id


def test_what_goes_and_what_stays(on_sqlite):
    """Ended runs of routine go but for the newest; a cycle's, one under way, and another location's stay."""
    instance, files = on_sqlite, Path(on_sqlite.root_directory)
    here = {LOCATION_TAG: "__repository__@shop"}
    old = added(instance, MONITOR_JOB, dg.DagsterRunStatus.SUCCESS, here)
    young = added(instance, MONITOR_JOB, dg.DagsterRunStatus.SUCCESS, here)
    running = added(instance, MONITOR_JOB, dg.DagsterRunStatus.STARTED, here)
    cycle = added(instance, CYCLE_JOB, dg.DagsterRunStatus.SUCCESS, here)
    tagged = added(instance, MONITOR_JOB, dg.DagsterRunStatus.SUCCESS, here | {CYCLE_TAG: "c"})
    elsewhere = added(instance, MONITOR_JOB, dg.DagsterRunStatus.SUCCESS, {LOCATION_TAG: "__repository__@other"})
    assert list(files.rglob(f"{old}.db"))
    gone = forget_runs(instance, here[LOCATION_TAG], ForgetConfig(days=0, least=3))
    assert gone == 1
    assert {run.run_id for run in instance.get_runs()} == {young, running, cycle, tagged, elsewhere}
    assert not list(files.rglob(f"{old}.db*"))
    assert instance.get_run_by_id(old) is None


def test_young_runs_and_the_newest_of_each_job_stay(on_sqlite):
    """Nothing younger than the days goes; of the older ones the newest stay, so that a page is never empty."""
    instance = on_sqlite
    runs = [executed(instance) for _ in range(3)]
    assert forget_runs(instance, None, ForgetConfig()) == 0
    assert forget_runs(instance, None, ForgetConfig(days=0, least=2)) == 1
    assert {run.run_id for run in instance.get_runs()} == set(runs[1:])
    assert datetime.now(UTC) - timedelta(days=30) < instance.get_run_records(limit=1)[0].create_timestamp


@pytest.mark.parametrize("name", NIGHTLY_JOBS)
def test_a_day_that_was_made_stays_made(on_sqlite, name):
    """Of each partition the newest run stays: with its last one a day would stand as missing, and be scored anew."""
    instance = on_sqlite
    days = dg.DailyPartitionsDefinition("2026-01-01")

    @dg.asset(partitions_def=days)
    def scores() -> None:
        """Score a day."""

    wanted = ("2026-01-01", "2026-01-02", "2026-01-01")
    job = dg.define_asset_job(name, [scores], partitions_def=days)
    made = dg.Definitions(assets=[scores], jobs=[job]).resolve_job_def(name)
    runs = [made.execute_in_process(instance=instance, partition_key=day).run_id for day in wanted]
    failed = added(instance, name, dg.DagsterRunStatus.FAILURE, {PARTITION_TAG: "2026-01-02"})
    executed(instance)
    assert forget_runs(instance, None, ForgetConfig(days=0, least=1)) == 1
    assert {run.run_id for run in instance.get_runs(dg.RunsFilter(job_name=name))} == {*runs[1:], failed}
    assert instance.get_materialized_partitions(dg.AssetKey("scores")) == {"2026-01-01", "2026-01-02"}
