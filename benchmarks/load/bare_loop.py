"""Jobs, sensors and schedules of the bare graph."""

# ruff: noqa: ARG001 - what the bodies are given matters, not what they do

import dagster as dg

TEAM = "bench"
RUNNING = dg.DefaultSensorStatus.RUNNING


def asset_key(stage: str, name: str) -> dg.AssetKey:
    """Name an asset."""
    return dg.AssetKey([TEAM, f"{name}_{stage}"])


def jobs(numbers: range):
    """Build the six jobs that serve all models."""
    ingested = [asset_key(stage, f"source_{n}") for n in numbers for stage in ("raw", "dead_letters")]
    ingested += [asset_key("features", f"view_{n}") for n in numbers]
    turn = [asset_key(stage, f"model_{n}") for n in numbers for stage in ("training_set", "model", "deployment")]
    watch = [asset_key(stage, f"model_{n}") for n in numbers for stage in ("predictions", "drift", "quality")]
    return [
        dg.define_asset_job("loopline_ingest", ingested, description="Land arrivals, make features"),
        dg.define_asset_job(
            "loopline_cycle", turn, description="One turn of the loop", tags={"loopline/work": "training"}
        ),
        dg.define_asset_job("loopline_monitor", watch, description="Look at live traffic"),
        _rollout_job(),
        _lake_job(),
        _audit_job(),
    ]


class StepConfig(dg.Config):
    """Which rollout is to take its next step."""

    rollout_id: str


def _rollout_job() -> dg.JobDefinition:
    @dg.op
    def take_step(context: dg.OpExecutionContext, config: StepConfig, platform: dg.ResourceParam[None]) -> None:
        pass

    @dg.job(
        name="loopline_rollout_step",
        description="Take one step of a rollout: advance, promote or roll back",
        tags={"dagster/priority": "10"},
    )
    def step_job() -> None:
        take_step()

    return step_job


class ForgetConfig(dg.Config):
    """Which runs are forgotten."""

    days: float = 30
    least: int = 100


class TidyConfig(dg.Config):
    """How many days every version is kept."""

    older_than_days: float = 7.0


def _lake_job() -> dg.JobDefinition:
    @dg.op
    def forget_runs(context: dg.OpExecutionContext, config: ForgetConfig) -> None:
        pass

    @dg.op
    def tidy_tables(context: dg.OpExecutionContext, config: TidyConfig, platform: dg.ResourceParam[None]) -> None:
        pass

    @dg.job(
        name="loopline_lake_care", description="Merge small files, let old versions go that no registered model pins"
    )
    def tidy_job() -> None:
        forget_runs()
        tidy_tables()

    return tidy_job


class AuditConfig(dg.Config):
    """How many entities of each view are compared, and whether every difference is mended."""

    sample: int = 1000
    mend: bool = False


def _audit_job() -> dg.JobDefinition:
    @dg.op
    def audit_features(context: dg.OpExecutionContext, config: AuditConfig, platform: dg.ResourceParam[None]) -> None:
        pass

    @dg.job(name="loopline_feature_audit", description="Compute entities of each feature view whole, and compare")
    def job() -> None:
        audit_features()

    return job


def sensors() -> list[dg.SensorDefinition]:
    """Build the four sensors that serve all models."""
    return [
        _sensor(
            "loopline_ingest_sensor",
            "loopline_ingest",
            "Lands arrivals that are not in the lake yet, and makes features that a run left behind",
        ),
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


def schedules() -> list[dg.ScheduleDefinition]:
    """Build the schedules beside the sensors."""
    return [
        _schedule("loopline_ingest_daily", "loopline_ingest", "15 3 * * *"),
        _schedule("loopline_lake_care_daily", "loopline_lake_care", "40 4 * * *"),
        _schedule("loopline_feature_audit_nightly", "loopline_feature_audit", "5 5 * * *"),
        _nightly(),
    ]


def _nightly() -> dg.ScheduleDefinition:
    @dg.schedule(
        name="loopline_quality_nightly",
        job_name="loopline_monitor",
        cron_schedule="30 5 * * *",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )
    def nightly(context: dg.ScheduleEvaluationContext, platform: dg.ResourceParam[None]) -> dg.SkipReason:
        return dg.SkipReason("no model is live")

    return nightly


def _schedule(name: str, job: str, cron: str) -> dg.ScheduleDefinition:
    return dg.ScheduleDefinition(
        name=name, job_name=job, cron_schedule=cron, default_status=dg.DefaultScheduleStatus.RUNNING
    )
