"""Questions about runs that sensors ask before they request another."""

from collections.abc import Mapping

import dagster as dg

LOOK_SECONDS = 3
"""Less than the daemon's round of 5 s: with as much, its jitter would let sensors miss every other round."""

IN_PROGRESS = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def in_progress(instance: dg.DagsterInstance, job: str, tags: Mapping[str, str]) -> bool:
    """Say whether a run of the job with these tags has not ended."""
    filters = dg.RunsFilter(job_name=job, tags=dict(tags), statuses=IN_PROGRESS)
    return bool(instance.get_run_ids(filters=filters, limit=1))


def statuses(instance: dg.DagsterInstance, tags: Mapping[str, str]) -> list[dg.DagsterRunStatus]:
    """Return the status of every run with these tags, newest first."""
    return [run.status for run in instance.get_runs(filters=dg.RunsFilter(tags=dict(tags)))]
