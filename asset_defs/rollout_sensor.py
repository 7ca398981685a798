"""Running rollouts are judged at each tick; a run is started only when there is a step to take."""

import dagster as dg

from loopline.asset_defs.keys import CAUSE_TAG, CYCLE_TAG, MODEL_TAG, ROLLOUT_JOB
from loopline.asset_defs.redacting import redacting
from loopline.asset_defs.runs import LOOK_SECONDS, in_progress
from loopline.platform_core.errors import LooplineError
from loopline.platform_core.experiments import running as experiment
from loopline.platform_core.loop import deployments, rollouts
from loopline.platform_core.loop.rollouts import RolloutRecord
from loopline.platform_core.loop.step_log import StepLog
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import Team


def rollout_sensor(team: Team) -> dg.SensorDefinition:
    """Build the one sensor that drives all rollouts of a team."""

    @dg.sensor(
        name="loopline_rollout_sensor",
        job_name=ROLLOUT_JOB,
        minimum_interval_seconds=LOOK_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Takes the next step of a rollout when its bake time is over, or at once when it does harm",
    )
    @redacting
    def rollout(context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]) -> dg.SensorResult:
        everyones = rollouts.looked_after(platform.ledger)
        StepLog.of(platform).keep({record.ref.dotted for record in everyones})
        records = [record for record in everyones if record.ref.team == team.name]
        said, requests = [f"{len(records)} rollouts bake or are watched", *_repaired(platform, team)], []
        for record in records:
            try:
                requests.append(_request(context.instance, platform, team, record))
            except LooplineError as error:  # one model's trouble is not another's
                said.append(str(error))
        wanted = [request for request in requests if request]
        return dg.SensorResult(run_requests=wanted, skip_reason=None if wanted else "; ".join(said))

    return rollout


def _repaired(platform: Platform, team: Team) -> list[str]:
    """Carry out what was decided and not done: also of a rollout that is over, no endpoint may stay behind."""
    said = []
    for ref in deployments.unfinished(platform.ledger, team.name):
        try:
            deployments.repair(platform, ref)
        except LooplineError as error:
            said.append(str(error))
    return said


def _request(
    instance: dg.DagsterInstance, platform: Platform, team: Team, record: RolloutRecord
) -> dg.RunRequest | None:
    if in_progress(instance, ROLLOUT_JOB, {CYCLE_TAG: record.cycle}):
        return None
    now = platform.clock.now()
    decision = rollouts.look(platform, team.model(record.ref.model), record, now)
    if decision.action == "wait" and not experiment.due(platform, record, now):
        return None
    return dg.RunRequest(
        run_config={"ops": {"take_step": {"config": {"rollout_id": record.rollout_id}}}},
        tags={CYCLE_TAG: record.cycle, MODEL_TAG: str(record.ref), CAUSE_TAG: decision.reason[:200]},
    )
