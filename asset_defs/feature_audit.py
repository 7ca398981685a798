"""Nightly job that audits feature views: recomputes a sample of entities and compares."""

import dagster as dg

from loopline.asset_defs.keys import AUDIT_JOB, key
from loopline.asset_defs.redacting import redacting
from loopline.platform_core.errors import LooplineError
from loopline.platform_core.features.materialization.audit import SAMPLE, Audited, audit
from loopline.platform_core.foundation.names import view_name
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import FeatureView, Team

NIGHTLY = "5 5 * * *"
"""After the day's files have landed and the lake was tidied."""


class AuditConfig(dg.Config):
    """How many entities of each view are compared, and whether every difference is mended."""

    sample: int = SAMPLE
    mend: bool = False


def audit_job(team: Team) -> dg.JobDefinition:
    """Build the job that audits every view of a team; it fails where a view could not be computed at all."""

    @dg.op(name="audit_features")
    @redacting
    def audit_features(
        context: dg.OpExecutionContext, config: AuditConfig, platform: dg.ResourceParam[Platform]
    ) -> None:
        problems = []
        for view in team.views:
            try:
                found = audit(platform, team, view, config.sample, mend=config.mend)
            except LooplineError as error:  # one view's trouble is not another's
                problems.append(f"{view_name(view)}: {error}")
            else:
                context.log_event(_observed(team, view, found))
        if problems:
            raise dg.Failure(f"{len(problems)} views could not be audited: {'; '.join(problems)}", allow_retries=True)

    @dg.job(name=AUDIT_JOB, description="Compute entities of each feature view whole, and compare")
    def job() -> None:
        audit_features()

    return job


def _observed(team: Team, view: FeatureView, found: Audited) -> dg.AssetObservation:
    said = found.problem or found.skipped or f"{found.entities} entities are as they should be"
    return dg.AssetObservation(
        key(team.name, "features", view_name(view)),
        description=said,
        metadata={
            "audited_entities": found.entities,
            "differing_entities": found.differing,
            "mended": found.mended,
            "cause": found.cause or found.skipped or "none",
        },
    )


def audit_schedule() -> dg.ScheduleDefinition:
    """Build the schedule of the job."""
    return dg.ScheduleDefinition(
        name=f"{AUDIT_JOB}_nightly",
        job_name=AUDIT_JOB,
        cron_schedule=NIGHTLY,
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
