"""Questions about runs that sensors ask before they request another."""

import os
from collections.abc import Mapping

import dagster as dg

from loopline.asset_defs.keys import POD_TAG
from loopline.asset_defs.private.dagster_private import Process, process_of
from loopline.platform_core.errors import InvalidEnvironment

MOST_LOOK_SECONDS = 60
"""Two looks further apart say nothing of the time between them: ``platform_core.loop.watching``."""


def look_seconds(said: str) -> int:
    """Return how often sensors look, as ``LOOPLINE_LOOK_SECONDS`` says.

    Raises:
        InvalidEnvironment: it says something else than whole seconds from 1 to a minute.
    """
    if said.isdecimal() and 1 <= int(said) <= MOST_LOOK_SECONDS:
        return int(said)
    raise InvalidEnvironment(
        f"LOOPLINE_LOOK_SECONDS is {said!r}", f"let sensors look each 1 to {MOST_LOOK_SECONDS} seconds, or leave it out"
    )


LOOK_SECONDS = look_seconds(os.environ.get("LOOPLINE_LOOK_SECONDS") or "3")
"""Less than the daemon's round of 5 s: with as much, its jitter would let sensors miss every other round.

Hundreds of teams want more: each look of each team costs the daemon some milliseconds.
"""
IN_PROGRESS = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]
MOST_UNDER_WAY = 200
"""Runs under way of one job that are looked at."""
CLOCK_SECONDS = 60.0
"""How far a machine's clock may have been put right since a process said when it began."""
GONE = "the process of this run is gone, and so is the code server that would have noticed"
LOCATION_TAG = ".dagster/repository"
"""Dagster's own: of which code location a run is."""


def location_of_sensor(context: dg.SensorEvaluationContext) -> str | None:
    """Return the name of the code location that a sensor is in; None outside of a daemon."""
    return context.code_location_origin.location_name if context.code_location_origin else None


def tags_of_location(location: str | None) -> dict[str, str]:
    """Return the tags by which the runs of a code location are found; none for those of all."""
    return {LOCATION_TAG: f"__repository__@{location}"} if location else {}


def in_progress(instance: dg.DagsterInstance, job: str, tags: Mapping[str, str]) -> bool:
    """Say whether a run of the job with these tags has not ended."""
    filters = dg.RunsFilter(job_name=job, tags=dict(tags), statuses=IN_PROGRESS)
    return any(_status(instance, run) in IN_PROGRESS for run in instance.get_runs(filters=filters, limit=1))


def under_way(instance: dg.DagsterInstance, job: str, tag: str, location: str | None) -> frozenset[str]:
    """Return a tag's values of the job's runs that have not ended: one question, however many are asked about.

    Only a code location's own runs are looked at: processes of another one may be on another machine.
    """
    filters = dg.RunsFilter(job_name=job, statuses=IN_PROGRESS, tags=tags_of_location(location))
    runs = instance.get_runs(filters=filters)
    return frozenset(run.tags[tag] for run in runs if tag in run.tags and _status(instance, run) in IN_PROGRESS)


def in_progress_without(instance: dg.DagsterInstance, job: str, tag: str, location: str | None) -> bool:
    """Say whether a code location's run of the job without a tag has not ended: it may be at work on anything."""
    filters = dg.RunsFilter(job_name=job, statuses=IN_PROGRESS, tags=tags_of_location(location))
    runs = instance.get_runs(filters=filters, limit=MOST_UNDER_WAY)
    return any(tag not in run.tags and _status(instance, run) in IN_PROGRESS for run in runs)


def statuses(instance: dg.DagsterInstance, tags: Mapping[str, str]) -> list[dg.DagsterRunStatus]:
    """Return the status of every run with these tags, newest first."""
    return [_status(instance, run) for run in instance.get_runs(filters=dg.RunsFilter(tags=dict(tags)))]


def _status(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRunStatus:
    """Return a run's status, after ending it if it is said to run and nobody runs it.

    A code server tells Dagster of the death of its runs' processes; one that dies itself, or was started anew
    meanwhile, tells of none, and the run would be waited for for ever.
    """
    if run.status != dg.DagsterRunStatus.STARTED or POD_TAG in run.tags:  # a pod counts its processes from one
        return run.status
    process = process_of(instance, run.run_id)
    if process is None or _lives(process):
        return run.status
    now = instance.get_run_by_id(run.run_id)  # it may have ended well between the two looks
    if now is not None and now.status == dg.DagsterRunStatus.STARTED:
        instance.report_run_failed(now, GONE)
        return dg.DagsterRunStatus.FAILURE
    return now.status if now else dg.DagsterRunStatus.FAILURE


def _lives(process: Process) -> bool:
    """Say whether the process is there, and not another one that has got its number since."""
    import psutil

    try:
        found = psutil.Process(process.pid)
        return bool(found.status() != psutil.STATUS_ZOMBIE and found.create_time() <= process.said_at + CLOCK_SECONDS)
    except psutil.NoSuchProcess:
        return False
