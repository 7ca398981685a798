"""Sensor of promotion requests: starts a run for each merged request that is not carried out yet."""

import dagster as dg

from loopline.asset_defs.keys import CAUSE_TAG, MODEL_TAG, PROMOTION_JOB
from loopline.asset_defs.redacting import redacting
from loopline.asset_defs.runs.run_quota import with_room
from loopline.asset_defs.runs.runs import LOOK_SECONDS, in_progress
from loopline.platform_core import promotions
from loopline.platform_core.loop.deployments import promotion_requests
from loopline.platform_core.platform import Platform
from loopline.platform_core.promotions import Looked
from loopline.platform_core.specs import Team

EVERY_SECONDS = 30
"""Between two looks at the folder: a merge takes minutes to come here anyway."""
RETRY_SECONDS = 300
"""What failed is tried again so often: a run each, so that Dagster shows what was in the way."""


class WishConfig(dg.Config):
    """Of which model a merged wish is to be carried out."""

    model: str


def promotion_sensor(team: Team) -> dg.SensorDefinition:
    """Build the sensor that looks at the folder of merged wishes."""

    @dg.sensor(
        name="loopline_promotion_sensor",
        job_name=PROMOTION_JOB,
        minimum_interval_seconds=max(EVERY_SECONDS, LOOK_SECONDS),
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Carries out what a merged change wishes of a model: a version, a hold, a way back",
    )
    @redacting
    def promotion(context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]) -> dg.SensorResult:
        looked = promotions.look(platform, team, promotions.folder(platform))
        promotions.update_alarms(platform, team, looked)
        due = [one for one in looked if one.stand.due is not None]
        slot = int(platform.clock.now().timestamp()) // RETRY_SECONDS
        wanted = [_request(one, slot) for one in due if not _under_way(context.instance, one)]
        requests, why = with_room(context.instance, platform, wanted, write=False)
        said = "; ".join([*why, *(str(one.stand.error) for one in looked if one.stand.error)])
        return dg.SensorResult(run_requests=requests, skip_reason=None if requests else said or "nothing new is wished")

    return promotion


def promotion_job(team: Team) -> dg.JobDefinition:
    """Build the job that carries out one wish."""

    @dg.op(name="carry_out")
    @redacting
    def carry_out(context: dg.OpExecutionContext, config: WishConfig, platform: dg.ResourceParam[Platform]) -> None:
        model = team.model(config.model)
        looked = promotions.look(platform, team, promotions.folder(platform), only=model.name)
        for wish in (one.wish for one in looked if one.wish is not None):
            commit = promotion_requests.commit_of(wish.path) if wish.path else ""
            context.log.info(promotions.meet(platform, model, wish, platform.clock.now(), commit))

    @dg.job(name=PROMOTION_JOB, description="Carry out what a merged change wishes of a model")
    def promote() -> None:
        carry_out()

    return promote


def _under_way(instance: dg.DagsterInstance, one: Looked) -> bool:
    return in_progress(instance, PROMOTION_JOB, {MODEL_TAG: str(one.ref)})


def _request(one: Looked, slot: int) -> dg.RunRequest:
    assert one.wish is not None
    assert one.stand.due is not None
    return dg.RunRequest(
        run_key=f"{one.ref}:{one.wish.digest}:{one.stand.before}:{slot}",
        run_config={"ops": {"carry_out": {"config": {"model": one.ref.model}}}},
        tags={MODEL_TAG: str(one.ref), CAUSE_TAG: f"{one.wish.by}: {one.wish.reason}"[:200]},
    )
