"""Sensor of monitoring: materializes a model's monitoring assets when predictions fill a window.

The same look sees whether endpoints are ready and have come to what was asked of them.
"""

import time

import dagster as dg

from loopline.asset_defs.keys import MODEL_TAG, MONITOR_JOB, WATCH, key
from loopline.asset_defs.redacting import redacting
from loopline.asset_defs.runs.run_quota import with_room
from loopline.asset_defs.runs.runs import LOOK_SECONDS, location_of_sensor, under_way
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.loop.deployments import watching
from loopline.platform_core.loop.deployments.deployments import deployments
from loopline.platform_core.loop.sites import heartbeats
from loopline.platform_core.monitor.quality.predictions import waiting
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import Model, Team


def monitor_sensor(team: Team) -> dg.SensorDefinition:
    """Build the one sensor that watches the live traffic of all models of a team."""

    @dg.sensor(
        name="loopline_monitor_sensor",
        job_name=MONITOR_JOB,
        minimum_interval_seconds=LOOK_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Judges a window once enough predictions are there",
    )
    @redacting
    def monitor(context: dg.SensorEvaluationContext, platform: dg.ResourceParam[Platform]) -> dg.SensorResult:
        live = deployments(platform.ledger, team.name)
        deployed = [model for model in team.models if model.name in live]
        watching.watch(platform, team.name, [live[model.name] for model in deployed], time.time())
        busy = under_way(context.instance, MONITOR_JOB, MODEL_TAG, location_of_sensor(context))
        idle = [model for model in deployed if str(ModelRef(team.name, model.name)) not in busy]
        counted = [(model, waiting(platform, team, model)) for model in idle]
        heartbeats.looked(platform, [(ModelRef(team.name, model.name), rows) for model, rows in counted])
        wanted = [_request(team, model) for model, rows in counted if rows >= model.drift.min_rows]
        requests, why = with_room(context.instance, platform, wanted)
        said = "; ".join(why) or "no full window yet"
        return dg.SensorResult(run_requests=requests, skip_reason=None if requests else said)

    return monitor


def _request(team: Team, model: Model) -> dg.RunRequest:
    ref = ModelRef(team.name, model.name)
    return dg.RunRequest(
        asset_selection=[key(team.name, stage, model.name) for stage in WATCH], tags={MODEL_TAG: str(ref)}
    )
