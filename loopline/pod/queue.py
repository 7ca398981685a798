"""The queue of runs where teams share it: each run carries its team's name, by which teams are bounded."""

from __future__ import annotations

import dagster as dg

from loopline.asset_defs.dagster_bases import QueuedRunCoordinator, SubmitRunContext
from loopline.up.dagster_home import TEAM_TAG


class TeamQueue(QueuedRunCoordinator):
    """Dagster's queue; whoever submits a run, and whatever it says, its code location names its team."""

    def submit_run(self, context: SubmitRunContext) -> dg.DagsterRun:
        """Tag the run, then queue it."""
        run = context.dagster_run
        origin = run.remote_job_origin
        if origin is not None:
            self._instance.add_run_tags(run.run_id, {TEAM_TAG: origin.location_name})
        return super().submit_run(context)
