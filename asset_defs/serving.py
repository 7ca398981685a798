"""Asset of a deployment: materializing it starts a rollout, whose steps are short jobs."""

from collections.abc import Iterator

import dagster as dg

from loopline.asset_defs.figures import number
from loopline.asset_defs.keys import CYCLE_TAG, PRIORITY_TAG, ROLLOUT_JOB, key
from loopline.asset_defs.redacting import redacting
from loopline.asset_defs.runs.turns import turn_of
from loopline.platform_core import turn
from loopline.platform_core.experiments import running as experiment
from loopline.platform_core.loop.deployments import deployments
from loopline.platform_core.loop.rollouts import rollouts
from loopline.platform_core.loop.rollouts.decisions import Decision
from loopline.platform_core.loop.rollouts.rollout_table import ACTIVE, WATCHING, RolloutRecord
from loopline.platform_core.monitor.quality.predictions import compact
from loopline.platform_core.monitor.skew import skew
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import Model, Team

FIRST = "10"
"""The priority of a rollout's steps: one may take a bad version back, and waits behind nothing."""
BACK = "rollout.rolled_back"


def deployment_asset(team: Team, model: Model) -> dg.AssetsDefinition:
    """Build the asset of a model's endpoint; of a version that its gates refuse nothing is materialized."""

    @dg.asset(
        key=key(team.name, "deployment", model.name),
        deps=[key(team.name, "model", model.name)],
        group_name=team.name,
        description=f"The endpoint of {model.name}; steps {model.rollout.percents} percent",
        kinds={"endpoint"},
        output_required=False,
    )
    @redacting
    def deployment(
        context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> Iterator[dg.MaterializeResult[None]]:
        found = turn_of(context.instance, context.run, platform, team, model)
        verdict = turn.gate(found)
        if not verdict.passed:
            context.log.warning(turn.reject(platform, found.cycle, verdict))
            return
        record = turn.deploy(found)
        yield dg.MaterializeResult(
            data_version=dg.DataVersion(
                record.ref.dotted
            ),  # what reads the endpoint's log goes on with the next version
            metadata={
                "rollout": record.rollout_id,
                "state": record.state,
                "version": number(record.version),
                "percent": record.percent,
                "cycle": record.cycle,
                "endpoint": dg.MetadataValue.url(platform.serving.endpoint(record.ref.dotted)),
            },
        )

    return deployment


class StepConfig(dg.Config):
    """Which rollout is to take its next step."""

    rollout_id: str


def rollout_job(team: Team) -> dg.JobDefinition:
    """Build the job that takes one step of one rollout: idempotent, well under a second."""

    @dg.op(name="take_step")
    @redacting
    def take_step(context: dg.OpExecutionContext, config: StepConfig, platform: dg.ResourceParam[Platform]) -> None:
        record = rollouts.rollout(platform.ledger, config.rollout_id)
        model = team.model(record.ref.model)
        deployments.repair(platform, record.ref)  # what the sensor asked of the endpoint alone
        now, goes_on = platform.clock.now(), record.state in {*ACTIVE, WATCHING}
        if goes_on and rollouts.decide(platform, model, record, now).action != "roll_back":  # which never waits
            compact(platform, team, model)
            experiment.step(platform, team, model, record)
            skew.check(platform, team, model)  # what it finds keeps the step from going on
        decision = rollouts.step(platform, model, config.rollout_id, platform.clock.now())
        if decision.action == "wait":  # of a rollout that the sensor, or a verdict, has just ended
            decision = experiment.taken_back(platform, record) or _taken_back(platform, record) or decision
        context.log_event(
            dg.AssetObservation(
                asset_key=key(team.name, "deployment", model.name),
                metadata={
                    "action": decision.action,
                    "percent": decision.percent,
                    "reason": decision.reason,
                    "version": number(record.version),
                    "cycle": record.cycle,
                },
                tags={CYCLE_TAG: record.cycle},
            )
        )

    @dg.job(
        name=ROLLOUT_JOB,
        description="Take one step of a rollout: advance, promote or roll back",
        tags={PRIORITY_TAG: FIRST},
    )
    def step_job() -> None:
        take_step()

    return step_job


def _taken_back(platform: Platform, record: RolloutRecord) -> Decision | None:
    """Return what took a rollout back before its run began, as the ledger has it; None for one that was not."""
    if record.state != "rolled_back":
        return None
    told = platform.ledger.entries(record.ref, [BACK], limit=1, newest_first=True, version=record.version)
    return Decision("roll_back", 0, told[0].reason if told else "it was taken back")
