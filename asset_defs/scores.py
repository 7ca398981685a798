"""Batch scoring as assets: one a model that declares a batch, partitioned by day, scored in the night after."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg

from loopline.asset_defs.dagster_private import AssetJob
from loopline.asset_defs.keys import SCORES_JOB, key
from loopline.platform_core.foundation.names import view_name
from loopline.platform_core.platform import Platform
from loopline.platform_core.scoring.batch import score_day
from loopline.platform_core.specs import Model, Team

NIGHTLY = "10 2 * * *"


def days(team: Team) -> dg.DailyPartitionsDefinition:
    """Return the days of a team's batches, from the first that any model scores: one job materializes them all."""
    starts = [model.batch.start for model in team.models if model.batch is not None]
    return dg.DailyPartitionsDefinition(start_date=datetime.combine(min(starts), datetime.min.time()), timezone="UTC")


def scores_asset(team: Team, model: Model) -> dg.AssetsDefinition:
    """Build the asset of a model's daily scores."""
    assert model.batch is not None
    reads = [key(team.name, "features", view_name(view)) for view in model.features]

    @dg.asset(
        key=key(team.name, "scores", model.name),
        deps=[key(team.name, "deployment", model.name), key(team.name, "raw", model.batch.rows.source.name), *reads],
        partitions_def=days(team),
        group_name=team.name,
        description=f"What {model.name} says of each day's rows, in the form of the prediction log",
        kinds={"predictions"},
    )
    def scores(context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult[None]:
        done = score_day(platform, team, model, context.partition_time_window.start.date())
        return dg.MaterializeResult(
            metadata={"dagster/partition_row_count": done.rows, "version": done.version, "already": done.already}
        )

    return scores


def scores_jobs(team: Team) -> list[AssetJob]:
    """Build the job of all batches of a team; none where no model declares one."""
    own = [key(team.name, "scores", model.name) for model in team.models if model.batch is not None]
    if not own:
        return []
    selected = dg.AssetSelection.assets(*own)
    return [dg.define_asset_job(SCORES_JOB, selected, description="Score a day's rows", partitions_def=days(team))]


def scores_schedules(team: Team) -> list[dg.ScheduleDefinition]:
    """Build the schedule that asks, each night, for the day that every model's batch has waited for."""
    if all(model.batch is None for model in team.models):
        return []

    @dg.schedule(
        name=f"{SCORES_JOB}_nightly",
        job_name=SCORES_JOB,
        cron_schedule=NIGHTLY,
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    def nightly(context: dg.ScheduleEvaluationContext) -> Iterator[dg.RunRequest]:
        tonight = context.scheduled_execution_time.astimezone(UTC).date()
        for model in team.models:
            if model.batch is not None:
                day = tonight - timedelta(days=1 + model.batch.wait_days)
                if day >= model.batch.start:
                    asked = [key(team.name, "scores", model.name)]
                    yield dg.RunRequest(
                        run_key=f"{model.name}-{day}", partition_key=day.isoformat(), asset_selection=asked
                    )

    return [nightly]
