"""Cleanup of Dagster runs: deletes old routine runs with their events, keeps those of cycles."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg

from loopline.asset_defs.keys import (
    AUDIT_JOB,
    CYCLE_TAG,
    INGEST_JOB,
    LAKE_JOB,
    MONITOR_JOB,
    NIGHTLY_JOBS,
    PROMOTION_JOB,
    ROLLOUT_JOB,
    SCORECARD_JOB,
)
from loopline.asset_defs.private.dagster_private import forget_run, location_of
from loopline.asset_defs.redacting import redacting
from loopline.asset_defs.runs.runs import IN_PROGRESS, LOCATION_TAG

PARTITION_TAG = "dagster/partition"
"""Dagster's own: of which partition a run is."""
ROUTINE = (AUDIT_JOB, INGEST_JOB, LAKE_JOB, MONITOR_JOB, PROMOTION_JOB, ROLLOUT_JOB, SCORECARD_JOB, *NIGHTLY_JOBS)
"""Jobs that run so often that their old runs tell nobody anything; what they found is in the ledger and the lake."""


class ForgetConfig(dg.Config):
    """How many days a run of routine is kept, and how many of a job's newest whatever their age: one at least."""

    days: float = 30
    least: int = 100


def forget_runs(instance: dg.DagsterInstance, location: str | None, config: ForgetConfig) -> int:
    """Forget the ended runs of routine of a code location (None: whatever location); return how many."""
    tags = {LOCATION_TAG: location} if location else {}
    before = datetime.now(UTC) - timedelta(days=config.days)
    return sum(_forget(instance, job, tags, before, config.least) for job in ROUTINE)


def _forget(instance: dg.DagsterInstance, job: str, tags: dict[str, str], before: datetime, least: int) -> int:
    runs = instance.get_runs(dg.RunsFilter(job_name=job, tags=tags))
    newest = {run.run_id for run in runs[: max(least, 1)]} | _of_partitions(runs)
    old = instance.get_runs(dg.RunsFilter(job_name=job, tags=tags, created_before=before))
    ended = [run for run in old if run.run_id not in newest and run.status not in IN_PROGRESS]
    gone = [run for run in ended if CYCLE_TAG not in run.tags]
    for run in gone:
        forget_run(instance, run.run_id)
    return len(gone)


def _of_partitions(runs: Sequence[dg.DagsterRun]) -> set[str]:
    """Return the newest successful run of each partition: without its events Dagster calls the partition missing."""
    newest: dict[tuple[str, frozenset[dg.AssetKey]], str] = {}
    for run in runs:  # newest first
        partition = run.tags.get(PARTITION_TAG)
        if partition and run.is_success:
            newest.setdefault((partition, frozenset(run.asset_selection or ())), run.run_id)
    return set(newest.values())


@dg.op(name="forget_runs")
@redacting
def forget_runs_op(context: dg.OpExecutionContext, config: ForgetConfig) -> None:
    """Forget old runs of routine of this code location."""
    gone = forget_runs(context.instance, location_of(context.run), config)
    context.add_output_metadata({"runs_forgotten": gone})
