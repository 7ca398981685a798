"""Run queue with limits per team: tags each run with its team's name.

A step of a rollout, which may take a bad version back, is bounded by nothing but the places there are, of which one is
left to such runs.
"""

from __future__ import annotations

import dagster as dg

from loopline.asset_defs.keys import PRIORITY_TAG, ROLLOUT_JOB
from loopline.asset_defs.runs.run_quota import BoundedQueue
from loopline.up.dagster_home import BACKFILL_TAG, DAYS_TAG, SHARE_TAG, TEAM_TAG

BEHIND = "-1"
"""The priority of a backfill's days: whatever else is due goes before them."""


class TeamQueue(BoundedQueue):
    """Dagster's queue; whoever submits a run, and whatever it says, its code location names its team."""

    def submit_run(self, context: dg.SubmitRunContext) -> dg.DagsterRun:
        """Tag the run, then queue it, if the environment's quota has room for it."""
        run = context.dagster_run
        origin = run.remote_job_origin
        if origin is not None:
            self._instance.add_run_tags(run.run_id, _tags(origin.location_name, run))
        return super().submit_run(context)


def _tags(team: str, run: dg.DagsterRun) -> dict[str, str]:
    """Return what a run of a team carries."""
    tags = {TEAM_TAG: team}
    if run.job_name != ROLLOUT_JOB:
        tags[SHARE_TAG] = team
    if BACKFILL_TAG in run.tags:
        tags |= {DAYS_TAG: team, PRIORITY_TAG: run.tags.get(PRIORITY_TAG, BEHIND)}
    return tags
