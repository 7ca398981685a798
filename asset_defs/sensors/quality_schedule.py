"""Nightly schedule of live quality: measures every model, since labels come without requests."""

import dagster as dg

from loopline.asset_defs.keys import MONITOR_JOB, key
from loopline.asset_defs.redacting import redacting
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.deployments.deployments import deployment
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import Team

NIGHTLY = "30 5 * * *"
"""After the day's files have landed, and the batches were scored."""


def quality_schedule(team: Team) -> dg.ScheduleDefinition:
    """Build the schedule of a team: one run measures every model that ever went live."""

    @dg.schedule(
        name="loopline_quality_nightly",
        job_name=MONITOR_JOB,
        cron_schedule=NIGHTLY,
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    @redacting
    def nightly(
        context: dg.ScheduleEvaluationContext, platform: dg.ResourceParam[Platform]
    ) -> dg.RunRequest | dg.SkipReason:
        live = [m for m in team.models if deployment(platform.ledger, ModelRef(team.name, m.name)) is not None]
        if not live:
            return dg.SkipReason("no model is live")
        asked = [key(team.name, "quality", model.name) for model in live]
        return dg.RunRequest(run_key=f"{context.scheduled_execution_time:%Y-%m-%d}", asset_selection=asked)

    return nightly
