"""Queries of Dagster runs, for sensors that decide whether to request another."""

import os
from collections.abc import Mapping

import dagster as dg

from loopline.platform_core.errors import InvalidEnvironment

MOST_LOOK_SECONDS = 60
"""Two looks further apart say nothing of the time between them: ``platform_core.loop.deployments.watching``."""


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
    return bool(instance.get_runs(filters=filters, limit=1))


def under_way(instance: dg.DagsterInstance, job: str, tag: str, location: str | None) -> frozenset[str]:
    """Return a tag's values of a code location's runs of the job that have not ended: one question for all of them."""
    filters = dg.RunsFilter(job_name=job, statuses=IN_PROGRESS, tags=tags_of_location(location))
    return frozenset(run.tags[tag] for run in instance.get_runs(filters=filters) if tag in run.tags)


def in_progress_without(instance: dg.DagsterInstance, job: str, tag: str, location: str | None) -> bool:
    """Say whether a code location's run of the job without a tag has not ended: it may be at work on anything."""
    filters = dg.RunsFilter(job_name=job, statuses=IN_PROGRESS, tags=tags_of_location(location))
    return any(tag not in run.tags for run in instance.get_runs(filters=filters, limit=MOST_UNDER_WAY))


def statuses(instance: dg.DagsterInstance, tags: Mapping[str, str]) -> list[dg.DagsterRunStatus]:
    """Return the status of every run with these tags, newest first."""
    return [run.status for run in instance.get_runs(filters=dg.RunsFilter(tags=dict(tags)))]
