"""The graph of ``many_models`` as someone writes it who has Dagster and nothing else.

Assets, checks, dependencies, groups, jobs, sensors, schedules and what the catalog shows of them are the same;
``tests/benchmarks`` holds both snapshots side by side. Bodies are empty: definitions are loaded, never run.
"""

# ruff: noqa: ARG001 - what the bodies are given matters, not what they do

from collections.abc import Iterator

import dagster as dg

from benchmarks.load import bare_loop
from benchmarks.load.bare_loop import TEAM, asset_key

PERCENTS = (5, 25, 100)
RAW_CHECKS = {
    "contract": "Rows and files keep the contract",
    "volume": "As many rows an arrival as usual",
    "nulls": "No column has more nulls than usual",
    "ranges": "Quartiles and extremes of numbers are as usual, and no columns are swapped",
    "categories": "Columns of few values have no more new ones than usual",
    "freshness": "The newest event is no older than usual",
}


class Platform(dg.ConfigurableResource[None]):
    """Stands for whatever the bodies would use."""

    environment: str = ""

    def binds(self, contract: str) -> bool:  # noqa: ARG002 - our side asks, and gets the graph without lineage
        """Bind nothing."""
        return False

    def promotes_by_git(self) -> bool:
        """Carry out nothing."""
        return False


def definitions(models: int) -> dg.Definitions:
    """Build the code location of that many models."""
    numbers = range(models)
    return dg.Definitions(
        assets=[asset for number in numbers for asset in _assets(number)],
        asset_checks=[_gates(number) for number in numbers],
        jobs=bare_loop.jobs(numbers),
        sensors=bare_loop.sensors(),
        schedules=bare_loop.schedules(),
        resources={"platform": Platform()},
        executor=dg.in_process_executor,
    )


def _assets(number: int) -> Iterator[dg.AssetsDefinition | dg.AssetSpec]:
    yield dg.AssetSpec(
        asset_key("arrivals", f"source_{number}"),
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
    came, raw, dead = (asset_key(stage, source) for stage in ("arrivals", "raw", "dead_letters"))

    @dg.multi_asset(
        name=f"{TEAM}__land__{source}",
        specs=[
            dg.AssetSpec(raw, deps=[came], description=f"Accepted rows of {source}", kinds={"raw"}),
            dg.AssetSpec(
                dead, deps=[came], description="Rows that broke the contract, with reasons", kinds={"dead_letters"}
            ),
        ],
        check_specs=[dg.AssetCheckSpec(name, asset=raw, description=said) for name, said in RAW_CHECKS.items()],
        group_name=TEAM,
    )
    def landing(platform: dg.ResourceParam[None]):
        checks = [dg.AssetCheckResult(asset_key=raw, check_name=name, passed=True) for name in RAW_CHECKS]
        yield dg.MaterializeResult(asset_key=raw, check_results=checks)
        yield dg.MaterializeResult(asset_key=dead)

    return landing


def _view(number: int) -> dg.AssetsDefinition:
    @dg.asset(
        key=asset_key("features", f"view_{number}"),
        deps=[asset_key("raw", f"source_{number}")],
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
        key=asset_key("training_set", name),
        deps=[asset_key("features", f"view_{number}")],
        group_name=TEAM,
        description="_rows joined point in time with features, pinned to table versions",
        kinds={"training_set"},
    )
    def training_set(context: dg.AssetExecutionContext, platform: dg.ResourceParam[None]) -> dg.MaterializeResult:
        return dg.MaterializeResult()

    @dg.asset(
        key=asset_key("model", name),
        deps=[asset_key("training_set", name)],
        group_name=TEAM,
        description=f"{name}, fitted by _fit",
        kinds={"model"},
    )
    def model(context: dg.AssetExecutionContext, platform: dg.ResourceParam[None]) -> dg.MaterializeResult:
        return dg.MaterializeResult()

    @dg.asset(
        key=asset_key("deployment", name),
        deps=[asset_key("model", name)],
        group_name=TEAM,
        description=f"The endpoint of {name}; steps {PERCENTS} percent",
        kinds={"endpoint"},
    )
    def deployment(context: dg.AssetExecutionContext, platform: dg.ResourceParam[None]) -> dg.MaterializeResult:
        return dg.MaterializeResult()

    yield from (training_set, model, deployment)


def _gates(number: int) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=asset_key("model", f"model_{number}"),
        name="gates",
        description="no gate",
        op_tags={"dagster/priority": "1"},
    )
    def gates(context: dg.AssetCheckExecutionContext, platform: dg.ResourceParam[None]) -> dg.AssetCheckResult:
        return dg.AssetCheckResult(passed=True)

    return gates


def _watch(number: int) -> Iterator[dg.AssetsDefinition]:
    name = f"model_{number}"
    log, judged, measured = (asset_key(stage, name) for stage in ("predictions", "drift", "quality"))

    @dg.asset(
        key=log,
        deps=[asset_key("deployment", name)],
        group_name=TEAM,
        description="Each answered request: features as served, output, version, cycle, latency",
        check_specs=[dg.AssetCheckSpec("skew", asset=log, description="What was served is what training would see")],
        kinds={"predictions"},
    )
    def predictions(platform: dg.ResourceParam[None]) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
        yield dg.MaterializeResult()
        yield dg.AssetCheckResult(check_name="skew", passed=True)

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
        key=measured,
        deps=[log, asset_key("raw", f"source_{number}")],
        group_name=TEAM,
        description="Metrics by version, segment and window: estimated at once, realised as labels come",
        check_specs=[
            dg.AssetCheckSpec(
                "good_enough", asset=measured, description="The live version reaches what its gates asked"
            ),
            dg.AssetCheckSpec("fair_enough", asset=measured, description="Live answers treat groups alike"),
        ],
        kinds={"quality"},
    )
    def quality(platform: dg.ResourceParam[None]) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult]:
        yield dg.MaterializeResult()
        yield dg.AssetCheckResult(check_name="good_enough", passed=True)
        yield dg.AssetCheckResult(check_name="fair_enough", passed=True)

    yield from (predictions, drift, quality)
