"""Daily job that compacts a team's tables, removes old versions, and deletes old routine runs."""

from datetime import timedelta

import dagster as dg

from loopline.asset_defs.keys import LAKE_JOB
from loopline.asset_defs.redacting import redacting
from loopline.asset_defs.runs.run_care import forget_runs_op
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import Team
from loopline.platform_core.training.lake_care import OLDER_THAN, care

DAILY = "40 4 * * *"


class TidyConfig(dg.Config):
    """How many days every version is kept, whoever needs it."""

    older_than_days: float = OLDER_THAN / timedelta(days=1)


def lake_job(team: Team) -> dg.JobDefinition:
    """Build the job that tidies every table of a team and forgets its old runs; it fails where a table was busy."""

    @dg.op(name="tidy_tables")
    @redacting
    def tidy_tables(context: dg.OpExecutionContext, config: TidyConfig, platform: dg.ResourceParam[Platform]) -> None:
        cared = care(platform, team.name, timedelta(days=config.older_than_days))
        for each in cared:
            context.log.info(str(each))
        context.add_output_metadata(
            {
                "tables": len(cared),
                "files_before": sum(each.tidied.files_before for each in cared if each.tidied),
                "files_after": sum(each.tidied.files_after for each in cared if each.tidied),
                "files_deleted": sum(each.tidied.files_deleted for each in cared if each.tidied),
                "versions_pinned": sum(len(each.pinned) for each in cared),
            }
        )
        busy = [each for each in cared if each.problem]
        if busy:
            raise dg.Failure(f"{len(busy)} tables were not tidied: {busy[0].problem}", allow_retries=True)

    @dg.job(name=LAKE_JOB, description="Merge small files, let old versions go that no registered model pins")
    def tidy_job() -> None:
        forget_runs_op()
        tidy_tables()

    return tidy_job


def lake_schedule() -> dg.ScheduleDefinition:
    """Build the schedule of the job."""
    return dg.ScheduleDefinition(
        name=f"{LAKE_JOB}_daily",
        job_name=LAKE_JOB,
        cron_schedule=DAILY,
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
