"""Dagster definitions of a team: assets, jobs, sensors and schedules."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

import dagster as dg

from loopline.asset_defs import explanations, features, ingestion, monitoring, scores, serving, training
from loopline.asset_defs.feature_audit import audit_job, audit_schedule
from loopline.asset_defs.keys import CYCLE_JOB, INGEST_JOB, MONITOR_JOB, STEPS_ARE_PODS, TURN, WATCH, WORK_TAG, key
from loopline.asset_defs.lake_care import lake_job, lake_schedule
from loopline.asset_defs.platform_resource import BOUND, PlatformResource
from loopline.asset_defs.sensors.cycle_sensor import cycle_sensor
from loopline.asset_defs.sensors.ingest_sensor import ingest_schedules, ingest_sensor, ingested_keys
from loopline.asset_defs.sensors.lineage_sensor import lineage_sensor
from loopline.asset_defs.sensors.monitor_sensor import monitor_sensor
from loopline.asset_defs.sensors.promotion_sensor import promotion_job, promotion_sensor
from loopline.asset_defs.sensors.quality_schedule import quality_schedule
from loopline.asset_defs.sensors.rollout_sensor import rollout_sensor
from loopline.platform_core.specs import Model, Team

if TYPE_CHECKING:
    from loopline.asset_defs.private.dagster_private import AssetJob


def model_assets(team: Team, model: Model) -> Iterator[dg.AssetsDefinition]:
    """Yield the assets of a model, from training set to quality."""
    yield training.training_set_asset(team, model)
    yield training.model_asset(team, model)
    yield serving.deployment_asset(team, model)
    yield monitoring.predictions_asset(team, model)
    yield monitoring.drift_asset(team, model)
    yield monitoring.quality_asset(team, model)
    if model.batch is not None:
        yield scores.scores_asset(team, model)
    if model.explain is not None:
        yield explanations.explanations_asset(team, model)


def team_assets(team: Team) -> Iterator[dg.AssetsDefinition | dg.AssetSpec]:
    """Yield every asset of a team."""
    for source in team.sources:
        yield ingestion.arrivals_spec(team, source)
        yield ingestion.raw_assets(team, source)
    for view in team.views:
        yield features.view_asset(team, view)
    for model in team.models:
        yield from model_assets(team, model)


def team_jobs(team: Team, platform: PlatformResource) -> "list[dg.JobDefinition | AssetJob]":
    """Build the jobs that serve all models of a team; that of promotions only where the environment asks for it."""
    ingested = [k for source in team.sources for k in ingested_keys(team, source)]
    turn = [key(team.name, stage, m.name) for m in team.models for stage in TURN]
    watch = [key(team.name, stage, m.name) for m in team.models for stage in WATCH]
    return [
        dg.define_asset_job(
            INGEST_JOB, dg.AssetSelection.assets(*ingested), description="Land arrivals, make features"
        ),
        dg.define_asset_job(
            CYCLE_JOB, dg.AssetSelection.assets(*turn), description="One turn of the loop", tags={WORK_TAG: "training"}
        ),
        dg.define_asset_job(MONITOR_JOB, dg.AssetSelection.assets(*watch), description="Look at live traffic"),
        serving.rollout_job(team),
        lake_job(team),
        audit_job(team),
        *([promotion_job(team)] if platform.promotes_by_git() else []),
        *scores.SCORES.jobs(team),
        *explanations.EXPLANATIONS.jobs(team),
    ]


def team_sensors(team: Team, platform: PlatformResource) -> list[dg.SensorDefinition]:
    """Build the sensors of a team; those of lineage and promotions only where the environment asks for them."""
    promotions = [promotion_sensor(team)] if platform.promotes_by_git() else []
    lineage = [lineage_sensor(team)] if platform.binds("lineage") else []
    return [ingest_sensor(team), cycle_sensor(team), monitor_sensor(team), rollout_sensor(team), *promotions, *lineage]


def team_definitions(
    team: Team, platform: PlatformResource | None = None, executor: dg.ExecutorDefinition | None = None
) -> dg.Definitions:
    """Build a team's code location; tests give their own platform."""
    if not team.models:
        return dg.Definitions()
    return dg.Definitions(
        assets=list(team_assets(team)),
        asset_checks=[training.gates_check(team, model) for model in team.models],
        jobs=team_jobs(team, platform or BOUND),
        sensors=team_sensors(team, platform or BOUND),
        schedules=[
            *ingest_schedules(team),
            lake_schedule(),
            audit_schedule(),
            quality_schedule(team),
            *scores.SCORES.schedules(team),
            *explanations.EXPLANATIONS.schedules(team),
        ],
        resources={"platform": platform or BOUND},
        executor=executor or step_executor(),
    )


def step_executor() -> dg.ExecutorDefinition:
    """Return how steps are executed: in the run's own process, unless this is a run's pod that is told otherwise.

    A process of its own for each step would cost seconds: heavy work goes to Compute, the rest is short.
    """
    if not os.environ.get(STEPS_ARE_PODS):
        return dg.in_process_executor
    from dagster_k8s import k8s_job_executor

    executor: dg.ExecutorDefinition = k8s_job_executor
    return executor
