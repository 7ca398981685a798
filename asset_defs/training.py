"""Assets of training: training set and model, with the gates as an asset check before deployment."""

from typing import Any

import dagster as dg

from loopline.asset_defs.figures import figures, number
from loopline.asset_defs.keys import GATES, PRIORITY_TAG, key
from loopline.asset_defs.redacting import redacting
from loopline.asset_defs.runs.turns import ending_with, turn_of
from loopline.platform_core import turn
from loopline.platform_core.foundation.names import view_name
from loopline.platform_core.loop.cycles.gates import Verdict
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import Model, Team
from loopline.platform_core.training.packaging.served_as import slow_form


def training_set_asset(team: Team, model: Model) -> dg.AssetsDefinition:
    """Build the asset of a model's training set: labels joined point in time with features, pinned."""

    @dg.asset(
        key=key(team.name, "training_set", model.name),
        deps=[key(team.name, "features", view_name(view)) for view in model.features],
        group_name=team.name,
        description=f"{model.labels.name} joined point in time with features, pinned to table versions",
        kinds={"training_set"},
    )
    @redacting
    def training_set(
        context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> dg.MaterializeResult[None]:
        pinned = turn.pin(turn_of(context.instance, context.run, platform, team, model))
        return dg.MaterializeResult(
            data_version=dg.DataVersion(pinned.row_hash),
            metadata={
                "dagster/row_count": pinned.rows,
                **pinned.described,
                "as_of": pinned.as_of.isoformat(),
                "tables": dg.MetadataValue.json(dict(pinned.tables)),
                "spec_hash": pinned.spec_hash,
                "training_set_id": pinned.training_set_id,
                "left_out": dg.MetadataValue.json([str(window) for window in pinned.left_out]),
                "corrected_rows": pinned.corrected_rows,
                "corrections": pinned.corrections,
            },
        )

    return training_set


def model_asset(team: Team, model: Model) -> dg.AssetsDefinition:
    """Build the asset of a model: one registered version a materialization."""

    @dg.asset(
        key=key(team.name, "model", model.name),
        deps=[key(team.name, "training_set", model.name)],
        group_name=team.name,
        description=model.description or f"{model.name}, fitted by {getattr(model.fit, '__name__', 'fit')}",
        kinds={"model"},
        owners=[f"team:{model.owner}"] if model.owner else None,
    )
    @redacting
    def fitted_model(
        context: dg.AssetExecutionContext, platform: dg.ResourceParam[Platform]
    ) -> dg.MaterializeResult[None]:
        found = turn_of(context.instance, context.run, platform, team, model)
        with ending_with(context, found):
            fitted = turn.fit(found)
        slow = slow_form(fitted)
        if slow:
            context.log.warning(slow)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(str(fitted["version"])), metadata=_model_metadata(dict(fitted))
        )

    return fitted_model


def gates_check(team: Team, model: Model) -> dg.AssetChecksDefinition:
    """Build the check that judges the very version which this run has fitted.

    It blocks nothing, for a blocking check that fails is a run that fails: the deployment reads the verdict itself.
    """

    @dg.asset_check(
        asset=key(team.name, "model", model.name),
        name=GATES,
        op_tags={PRIORITY_TAG: "1"},  # before the deployment, which waits for the model alone
        description="; ".join(gate.name for gate in model.gates) or "no gate",
    )
    @redacting
    def gates(context: dg.AssetCheckExecutionContext, platform: dg.ResourceParam[Platform]) -> dg.AssetCheckResult:
        verdict = turn.gate(turn_of(context.instance, context.run, platform, team, model))
        return dg.AssetCheckResult(passed=verdict.passed, metadata={"verdict": _table(verdict), **_read(verdict)})

    return gates


def _model_metadata(fitted: dict[str, Any]) -> dict[str, Any]:
    return {
        "version": number(str(fitted["version"])),
        **figures(fitted["metrics"]),
        **figures(fitted["champion_metrics"] or {}, "champion_"),
        "params": dg.MetadataValue.json(fitted["params"]),
        "served_as": fitted["package_kind"],
        "served_so_because": fitted.get("parity", {}).get("why", ""),
        "seconds": fitted["seconds"],
    }


def _read(verdict: Verdict) -> dict[str, float]:
    """Give what each gate read and held it against as numbers of their own, for Dagster plots them over versions."""
    values = figures({reading.gate: reading.value for reading in verdict.readings}, "value/")
    return values | figures({reading.gate: reading.bound for reading in verdict.readings}, "bound/")


def _table(verdict: Verdict) -> dg.TableMetadataValue | dg.TextMetadataValue:
    if not verdict.readings:  # Dagster knows no table without rows
        return dg.MetadataValue.text("the model declares no gates")
    rows = [
        dg.TableRecord(
            {
                "gate": reading.gate,
                "version": reading.version,
                "value": "none" if reading.value is None else f"{reading.value:.4f}",
                "bound": "none" if reading.bound is None else f"{reading.bound:.4f}",
                "passed": reading.passed,
                "detail": reading.detail,
            }
        )
        for reading in verdict.readings
    ]
    return dg.MetadataValue.table(rows)
