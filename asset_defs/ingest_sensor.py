"""What has arrived is landed: a sensor looks often, a schedule once in a while."""

import dagster as dg

from loopline.asset_defs.keys import INGEST_JOB, SOURCE_TAG, key
from loopline.asset_defs.runs import LOOK_SECONDS, in_progress
from loopline.platform_core.foundation.names import view_name
from loopline.platform_core.ingestion.landing import pending
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import Source, Team
from loopline.platform_core.specs.source import STREAM

CRON = {"daily": "15 3 * * *", "hourly": "15 * * * *"}


def ingested_keys(team: Team, source: Source) -> list[dg.AssetKey]:
    """Name the source's raw rows, dead letters and every view on them."""
    views = [view_name(view) for view in team.views if view.source.name == source.name]
    stages = [("raw", source.name), ("dead_letters", source.name), *(("features", view) for view in views)]
    return [key(team.name, stage, name) for stage, name in stages]


def ingest_sensor(team: Team) -> dg.SensorDefinition:
    """Build the sensor that lands whatever is pending, one run a source at a time."""

    @dg.sensor(
        name="loopline_ingest_sensor",
        job_name=INGEST_JOB,
        minimum_interval_seconds=LOOK_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Lands arrivals that are not in the lake yet",
    )
    def arrivals(context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]) -> dg.SensorResult:
        requests = [r for source in team.sources if (r := _request(context.instance, platform, team, source))]
        return dg.SensorResult(run_requests=requests, skip_reason=None if requests else "nothing new has arrived")

    return arrivals


def _request(instance: dg.DagsterInstance, platform: Platform, team: Team, source: Source) -> dg.RunRequest | None:
    tags = {SOURCE_TAG: f"{team.name}/{source.name}"}
    if in_progress(instance, INGEST_JOB, tags) or not pending(platform, team, source, limit=1):
        return None
    return dg.RunRequest(tags=tags, asset_selection=ingested_keys(team, source))


def ingest_schedules(team: Team) -> list[dg.ScheduleDefinition]:
    """Build one schedule for each rhythm in which the team's files arrive; of streams the sensor sees the lag."""
    rhythms = sorted({source.arrives for source in team.sources} - {STREAM})
    return [
        dg.ScheduleDefinition(
            name=f"loopline_ingest_{rhythm}",
            job_name=INGEST_JOB,
            cron_schedule=CRON.get(rhythm, CRON["daily"]),
            default_status=dg.DefaultScheduleStatus.RUNNING,
        )
        for rhythm in rhythms
    ]
