"""Ends runs whose code server is gone: they were processes beside it, and nobody else tells Dagster of their death."""

import dagster as dg

from loopline.asset_defs.private.dagster_private import WARM_TAG
from loopline.asset_defs.runs.runs import tags_of_location

UNDER_WAY = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED, dg.DagsterRunStatus.CANCELING]
GONE = "the code server of this run is gone, and the run with it: a new one has begun"


def end_orphans(instance: dg.DagsterInstance, team: str) -> int:
    """End what Dagster says runs beside a team's code server, before a new one takes any; returns how many it was.

    There is one code server a team, and a new one begins when the one before has ended. A cycle's run is started
    again by its sensor, which finds a training that goes on elsewhere; others are asked for again when they are due.
    """
    filters = dg.RunsFilter(statuses=UNDER_WAY, tags=tags_of_location(team))
    orphans = [run for run in instance.get_runs(filters) if WARM_TAG in run.tags]
    for run in orphans:
        if run.status == dg.DagsterRunStatus.CANCELING:
            instance.report_run_canceled(run, GONE)
        else:
            instance.report_run_failed(run, GONE)
    return len(orphans)
