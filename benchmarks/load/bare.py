"""The graph of ``many_models`` as someone writes it who has Dagster and nothing else.

Assets, checks, dependencies, groups, jobs, sensors, schedules and what the catalog shows of them are the same;
``tests/benchmarks`` holds both snapshots side by side. Bodies are empty: definitions are loaded, never run.
"""

# ruff: noqa: ARG001 - what the bodies are given matters, not what they do

from collections.abc import Iterator

import dagster as dg

TEAM = "bench"
RUNNING = dg.DefaultSensorStatus.RUNNING
PERCENTS = (5, 25, 100)


class Platform(dg.ConfigurableResource[None]):
    """Stands for whatever the bodies would use."""

    environment: str = ""


def definitions(models: int) -> dg.Definitions:
    """Build the code location of that many models."""
    numbers = range(models)
    return dg.Definitions(
        assets=[asset for number in numbers for asset in _assets(number)],
        asset_checks=[_gates(number) for number in numbers],
        jobs=_jobs(numbers),
        sensors=_sensors(),
        schedules=[
            dg.ScheduleDefinition(
                name="loopline_ingest_daily",
                job_name="loopline_ingest",
                cron_schedule="15 3 * * *",
                default_status=dg.DefaultScheduleStatus.RUNNING,
            )
        ],
        resources={"platform": Platform()},
        executor=dg.in_process_executor,
    )


def _assets(number: int) -> Iterator[dg.AssetsDefinition | dg.AssetSpec]:
    yield dg.AssetSpec(
        _key("arrivals", f"source_{number}"),
        group_name=TEAM,
        description=f"Files of source_{number}, daily",
        kinds={"arrivals"},
        metadata={"contract": f"contracts/source_{number}.v1.yaml", "arrives": "daily"},
    )
    yield _landing(number)
    yield _view(number)
    yield from _turn(number)
    yield from _watch(number)


def _landing(number: int) -> dg.AssetsDefinition:
    source = f"source_{number}"
    came, raw, dead = (_key(stage, source) for stage in ("arrivals", "raw", "dead_letters"))

    @dg.multi_asset(
        name=f"{TEAM}__land__{source}",
        specs=[
            dg.AssetSpec(raw, deps=[came], description=f"Accepted rows of {source}", kinds={"raw"}),
            dg.AssetSpec(
                dead, deps=[came], description="Rows that broke the contract, with reasons", kinds={"dead_letters"}
            ),
        ],
        check_specs=[dg.AssetCheckSpec("contract", asset=raw, description="Rows and files keep the contract")],
        group_name=TEAM,
    )
    def landing(platform: dg.ResourceParam[None]):
        yield dg.MaterializeResult(asset_key=raw, check_results=[dg.AssetCheckResult(asset_key=raw, passed=True)])
        yield dg.MaterializeResult(asset_key=dead)

    return landing


def _view(number: int) -> dg.AssetsDefinition:
    @dg.asset(
        key=_key("features", f"view_{number}"),
        deps=[_key("raw", f"source_{number}")],
        group_name=TEAM,
        description="Give the rows as they are.",
        kinds={"features"},
        metadata={"entity": "customer_id", "version": 1, "served": "online", "ttl_days": 30},
    )
    def features(platform: dg.ResourceParam[None]) -> dg.MaterializeResult:
        return dg.MaterializeResult()

    return features


def _turn(number: int) -> Iterator[dg.AssetsDefinition]:
    name = f"model_{number}"

    @dg.asset(
        key=_key("training_set", name),
        deps=[_key("features", f"view_{number}")],
        group_name=TEAM,
        description="_rows joined point in time with features, pinned to table versions",
        kinds={"training_set"},
    )
    def training_set(context: dg.AssetExecutionContext, platform: dg.ResourceParam[None]) -> dg.MaterializeResult:
        return dg.MaterializeResult()

    @dg.asset(
        key=_key("model", name),
        deps=[_key("training_set", name)],
        group_name=TEAM,
        description=f"{name}, fitted by _fit",
        kinds={"model"},
    )
    def model(context: dg.AssetExecutionContext, platform: dg.ResourceParam[None]) -> dg.MaterializeResult:
        return dg.MaterializeResult()

    @dg.asset(
        key=_key("deployment", name),
        deps=[_key("model", name)],
        group_name=TEAM,
        description=f"The endpoint of {name}; steps {PERCENTS} percent",
        kinds={"endpoint"},
    )
    def deployment(context: dg.AssetExecutionContext, platform: dg.ResourceParam[None]) -> dg.MaterializeResult:
        return dg.MaterializeResult()

    yield from (training_set, model, deployment)


def _gates(number: int) -> dg.AssetChecksDefinition:
    @dg.asset_check(asset=_key("model", f"model_{number}"), name="gates", blocking=True, description="no gate")
    def gates(context: dg.AssetCheckExecutionContext, platform: dg.ResourceParam[None]) -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=True)

    return gates


def _watch(number: int) -> Iterator[dg.AssetsDefinition]:
    name = f"model_{number}"
    log, judged = _key("predictions", name), _key("drift", name)

    @dg.asset(
        key=log,
        deps=[_key("deployment", name)],
        group_name=TEAM,
        description="Each answered request: features as served, output, version, cycle, latency",
        kinds={"predictions"},
    )
    def predictions(platform: dg.ResourceParam[None]) -> dg.MaterializeResult:
        return dg.MaterializeResult()

    @dg.asset(
        key=judged,
        deps=[log],
        group_name=TEAM,
        description="Windows of the prediction log against the profile kept with the model version",
        check_specs=[dg.AssetCheckSpec("drift", asset=judged, description="No alarm in the newest windows")],
        kinds={"drift"},
    )
    def drift(platform: dg.ResourceParam[None]) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
        yield dg.AssetCheckResult(check_name="drift", passed=True)
        yield dg.MaterializeResult()

    @dg.asset(
        key=_key("quality", name),
        deps=[log, _key("raw", f"source_{number}")],
        group_name=TEAM,
        description="Realised metrics by model version, as far as labels have come",
        kinds={"quality"},
    )
    def quality(platform: dg.ResourceParam[None]) -> dg.MaterializeResult:
        return dg.MaterializeResult()

    yield from (predictions, drift, quality)


def _jobs(numbers: range):
    ingested = [_key(stage, f"source_{n}") for n in numbers for stage in ("raw", "dead_letters")]
    ingested += [_key("features", f"view_{n}") for n in numbers]
    turn = [_key(stage, f"model_{n}") for n in numbers for stage in ("training_set", "model", "deployment")]
    watch = [_key(stage, f"model_{n}") for n in numbers for stage in ("predictions", "drift", "quality")]
    return [
        dg.define_asset_job("loopline_ingest", ingested, description="Land arrivals, make features"),
        dg.define_asset_job(
            "loopline_cycle", turn, description="One turn of the loop", tags={"loopline/work": "training"}
        ),
        dg.define_asset_job("loopline_monitor", watch, description="Look at live traffic"),
        _rollout_job(),
    ]


class StepConfig(dg.Config):
    """Which rollout is to take its next step."""

    rollout_id: str


def _rollout_job() -> dg.JobDefinition:
    @dg.op
    def take_step(context: dg.OpExecutionContext, config: StepConfig, platform: dg.ResourceParam[None]) -> None:
        pass

    @dg.job(name="loopline_rollout_step", description="Take one step of a rollout: advance, promote or roll back")
    def step_job() -> None:
        take_step()

    return step_job


def _sensors() -> list[dg.SensorDefinition]:
    return [
        _sensor("loopline_ingest_sensor", "loopline_ingest", "Lands arrivals that are not in the lake yet"),
        _sensor("loopline_cycle_sensor", "loopline_cycle", "Drift opens a cycle; open cycles are run"),
        _sensor("loopline_monitor_sensor", "loopline_monitor", "Judges a window once enough predictions are there"),
        _sensor(
            "loopline_rollout_sensor",
            "loopline_rollout_step",
            "Takes the next step of a rollout when its bake time is over, or at once when it does harm",
        ),
    ]


def _sensor(name: str, job: str, description: str) -> dg.SensorDefinition:
    @dg.sensor(name=name, job_name=job, minimum_interval_seconds=3, default_status=RUNNING, description=description)
    def look(context: dg.SensorEvaluationContext, platform: dg.ResourceParam[None]) -> dg.SkipReason:
        return dg.SkipReason("nothing to do")

    return look


def _key(stage: str, name: str) -> dg.AssetKey:
    return dg.AssetKey([TEAM, stage, name])
