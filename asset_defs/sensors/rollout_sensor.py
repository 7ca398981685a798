"""Sensor of rollouts: rolls back harm at once, and starts a run for any other step."""

import time

import dagster as dg

from loopline.asset_defs.keys import CAUSE_TAG, CYCLE_JOB, CYCLE_TAG, MODEL_TAG, ROLLOUT_JOB
from loopline.asset_defs.redacting import redacting
from loopline.asset_defs.runs.runs import LOOK_SECONDS, in_progress
from loopline.platform_core.alarms import events
from loopline.platform_core.contracts.serving import IMAGES
from loopline.platform_core.errors import LooplineError
from loopline.platform_core.experiments import running as experiment
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.deployments import deployments
from loopline.platform_core.loop.rollouts import image_canary, rollouts
from loopline.platform_core.loop.rollouts.rollouts import RolloutRecord
from loopline.platform_core.loop.rollouts.step_log import StepLog
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import Team

AGAIN_SECONDS = 60
"""After so long a run that was to finish a change is started again."""


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
        requests, said = _unfinished(context.instance, platform, team)
        said += _images(platform, team)
        said.insert(0, f"{len(records)} rollouts bake or are watched")
        for record in records:
            try:
                request = _request(context.instance, platform, team, record)
                requests |= {record.rollout_id: request} if request else {}
            except LooplineError as error:  # one model's trouble is not another's
                said.append(str(error))
        wanted = list(requests.values())
        return dg.SensorResult(run_requests=wanted, skip_reason=None if wanted else "; ".join(said))

    return rollout


def _images(platform: Platform, team: Team) -> list[str]:
    """Take the next step of each endpoint whose servers are to run another container image, and return what is said."""
    if IMAGES not in platform.serving.can:
        return []
    said, live = [], deployments.deployments(platform.ledger, team.name)
    for model in team.models:
        if model.name in live:
            try:
                ref = live[model.name].ref
                said.append(image_canary.look(platform, ref, model, platform.clock.now()))
                events.image_refused(platform, ref, image_canary.refusal(platform, ref))
            except LooplineError as error:  # one model's trouble is not another's
                said.append(str(error))
    return [one for one in said if one]


def _unfinished(
    instance: dg.DagsterInstance, platform: Platform, team: Team
) -> tuple[dict[str, dg.RunRequest], list[str]]:
    """Carry out what was decided and not done: also of a rollout that is over, no endpoint may stay behind.

    The endpoint is asked here and now. The registry's client takes seconds and memory to load: a run shows it there.

    Returns:
        The runs by the rollout that each names, and what is in trouble.
    """
    requests: dict[str, dg.RunRequest] = {}
    said = []
    for ref in deployments.unfinished(platform.ledger, team.name):
        record = rollouts.newest(platform.ledger, ref)
        try:
            if record is None or ref.model not in {model.name for model in team.models}:
                deployments.repair(platform, ref)
                continue
            deployments.ask(platform, ref)
        except LooplineError as error:
            said.append(str(error))
        else:
            if not _ran_lately(instance, ref):
                requests[record.rollout_id] = _run_of(record, "show in the registry what its endpoint was asked for")
    return requests, said


def _ran_lately(instance: dg.DagsterInstance, ref: ModelRef) -> bool:
    """Say whether a run of the model is under way, which finishes what it began, or a step began a minute ago."""
    tags = {MODEL_TAG: str(ref)}
    if in_progress(instance, ROLLOUT_JOB, tags) or in_progress(instance, CYCLE_JOB, tags):
        return True
    newest = instance.get_run_records(dg.RunsFilter(job_name=ROLLOUT_JOB, tags=tags), limit=1)
    return bool(newest) and time.time() - newest[0].create_timestamp.timestamp() < AGAIN_SECONDS


def _request(
    instance: dg.DagsterInstance, platform: Platform, team: Team, record: RolloutRecord
) -> dg.RunRequest | None:
    if in_progress(instance, ROLLOUT_JOB, {CYCLE_TAG: record.cycle}):
        return None
    now = platform.clock.now()
    decision = rollouts.look(platform, team.model(record.ref.model), record, now)
    if decision.action == "wait" and not experiment.due(platform, record, now):
        return None
    if decision.action == "roll_back":  # here and now: a run may take half a minute to begin on a busy machine
        rollouts.take_back(platform, record, decision, now)
    return _run_of(record, decision.reason)


def _run_of(record: RolloutRecord, cause: str) -> dg.RunRequest:
    return dg.RunRequest(
        run_config={"ops": {"take_step": {"config": {"rollout_id": record.rollout_id}}}},
        tags={CYCLE_TAG: record.cycle, MODEL_TAG: str(record.ref), CAUSE_TAG: cause[:200]},
    )
