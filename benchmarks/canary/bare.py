"""The same steps as someone writes them who has Dagster, an MLflow registry and a server, and no Loopline.

Domain functions are shared with the other side (training set, training task, package, server's state), so that what
differs is how the steps are driven: here one sensor that reads the check, a cursor, a job, a subprocess and a row.
"""

import json
import os
import sqlite3
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

import dagster as dg

from benchmarks.canary.home import REF
from benchmarks.canary.shop import orders, team
from loopline.platform_core.contracts.registry import CANDIDATE, CHAMPION
from loopline.platform_core.contracts.serving import DesiredState, Served
from loopline.platform_core.loop.deployments.packages import fetched
from loopline.platform_core.platform import Platform
from loopline.platform_core.training import training_set as training_sets

DRIFT = dg.AssetCheckKey(dg.AssetKey(["shop", "orders_drift"]), "drift")
RUNNING = dg.DefaultSensorStatus.RUNNING
FINAL = {"SUCCEEDED", "FAILED"}


@cache
def platform() -> Platform:
    """Open registry, lake and serving once a process."""
    return Platform.open()


def rollouts() -> sqlite3.Connection:
    """Open the table of rollouts."""
    connection = sqlite3.connect(platform().home / "bare.db", timeout=30)
    connection.execute(
        "CREATE TABLE IF NOT EXISTS rollouts (run_id TEXT PRIMARY KEY, version TEXT, percent INTEGER, state TEXT, "
        "started_at REAL, bake_until REAL, generation INTEGER)"
    )
    return connection


def serve(candidate: Served | None, percent: int, generation: int) -> None:
    """Ask the server for the champion and a candidate."""
    champion = platform().registry.by_alias(REF.dotted, CHAMPION)
    assert champion is not None
    stable = Served(champion.version, fetched(platform(), REF, champion.version), "")
    platform().serving.apply(DesiredState(REF.dotted, generation, stable, candidate, percent))
    platform().registry.set_alias(REF.dotted, CANDIDATE, candidate.version if candidate else None)


def _folder(run_id: str) -> Path:
    folder = platform().home / "bare" / run_id
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@dg.asset(key=["shop", "orders_predictions"], group_name="shop")
def predictions() -> None:
    """Rows of the prediction log."""


@dg.asset(
    key=DRIFT.asset_key,
    deps=[predictions],
    group_name="shop",
    check_specs=[dg.AssetCheckSpec("drift", asset=DRIFT.asset_key)],
)
def drift() -> dg.MaterializeResult:
    """Judge the newest window."""
    return dg.MaterializeResult(check_results=[dg.AssetCheckResult(check_name="drift", passed=True)])


@dg.asset(key=["shop", "orders_training_set"], group_name="shop")
def training_set(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """Pin what is known now."""
    pinned = training_sets.build(platform(), team, orders, platform().clock.now())
    _folder(context.run_id).joinpath("training_set.json").write_text(json.dumps(training_sets.to_json(pinned)))
    return dg.MaterializeResult(metadata={"rows": pinned.rows})


@dg.asset(key=["shop", "orders_model"], deps=[training_set], group_name="shop")
def model(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """Train in a process of its own, and register the version."""
    folder = _folder(context.run_id)
    with folder.joinpath("log.txt").open("w") as log:
        subprocess.run(
            [sys.executable, "-m", "benchmarks.canary.train", str(folder), context.run_id],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=log,
            stderr=log,
            check=True,
        )
    fitted = json.loads(folder.joinpath("fitted.json").read_text())
    return dg.MaterializeResult(metadata={"version": fitted["version"], "metrics": fitted["metrics"]})


@dg.asset_check(asset=model, blocking=True)
def gates(context: dg.AssetCheckExecutionContext) -> dg.AssetCheckResult:
    """Hold the version against the bound and against the champion."""
    fitted = json.loads(_folder(context.run.run_id).joinpath("fitted.json").read_text())
    value, champion = fitted["metrics"]["roc_auc"], fitted["champion_metrics"]["roc_auc"]
    return dg.AssetCheckResult(passed=value >= 0.55 and value > champion - 0.05, metadata={"roc_auc": value})


@dg.asset(key=["shop", "orders_deployment"], deps=[model], group_name="shop")
def deployment(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
    """Start the rollout: a row, and the candidate at half the traffic."""
    version = json.loads(_folder(context.run_id).joinpath("fitted.json").read_text())["version"]
    candidate = Served(version, fetched(platform(), REF, version), context.run_id)
    with rollouts() as table:
        generation = table.execute("SELECT coalesce(max(generation), 1) + 1 FROM rollouts").fetchone()[0]
        row = (context.run_id, version, 50, "canary", time.time(), time.time() + 36_000, generation)
        table.execute("INSERT INTO rollouts VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    serve(candidate, 50, generation)
    return dg.MaterializeResult(metadata={"version": version, "percent": 50})


@dg.op
def take_step(context: dg.OpExecutionContext) -> None:
    """Promote what has baked; never reached here, as the bake is long."""
    context.log.info("promoted")


@dg.job
def rollout_step() -> None:
    """Take a rollout's next step."""
    take_step()


@dg.sensor(job_name="cycle", minimum_interval_seconds=3, default_status=RUNNING)
def drift_sensor(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
    """Turn a new failure of the check into a run, unless a rollout runs."""
    record = context.instance.event_log_storage.get_latest_asset_check_execution_by_key([DRIFT]).get(DRIFT)
    if record is None or record.status.value not in FINAL or record.id <= int(context.cursor or 0):
        return dg.SkipReason("nothing new")
    with rollouts() as table:
        busy = table.execute("SELECT 1 FROM rollouts WHERE state = 'canary'").fetchone()
    failed = record.status.value == "FAILED" and not busy
    requests = [dg.RunRequest(run_key=f"cycle-{record.id}", tags={"cause": "drift"})] if failed else []
    return dg.SensorResult(run_requests=requests, cursor=str(record.id))


@dg.sensor(job=rollout_step, minimum_interval_seconds=3, default_status=RUNNING)
def rollout_sensor() -> dg.SensorResult | dg.SkipReason:
    """Start a step for each rollout that has baked."""
    with rollouts() as table:
        due = table.execute(
            "SELECT run_id FROM rollouts WHERE state = 'canary' AND bake_until < ?", (time.time(),)
        ).fetchall()
    return dg.SensorResult(run_requests=[dg.RunRequest(run_key=run_id) for (run_id,) in due])


defs = dg.Definitions(
    assets=[predictions, drift, training_set, model, deployment],
    asset_checks=[gates],
    jobs=[
        dg.define_asset_job("cycle", [training_set, model, deployment], tags={"loopline/work": "training"}),
        rollout_step,
    ],
    sensors=[drift_sensor, rollout_sensor],
    executor=dg.in_process_executor,
)
