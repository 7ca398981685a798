"""Live traffic as assets: the prediction log, drift with its report, and quality when labels arrive."""

from typing import Any

import dagster as dg

from asset_defs.keys import key
from platform_core.monitor.drift import Watched, watch
from platform_core.monitor.predictions import compact
from platform_core.monitor.quality import realised
from platform_core.platform import Platform
from platform_core.specs import Model, Team


def predictions_asset(team: Team, model: Model) -> dg.AssetsDefinition:
    """Build the asset of the prediction log, compacted into the lake."""

    @dg.asset(
        key=key(team.name, "predictions", model.name),
        deps=[key(team.name, "deployment", model.name)],
        group_name=team.name,
        description="Each answered request: features as served, output, version, cycle, latency",
        kinds={"predictions"},
    )
    def predictions(platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult:
        done = compact(platform, team, model)
        return dg.MaterializeResult(
            metadata={"rows": done.rows, "table_version": -1 if done.version is None else done.version}
        )

    return predictions


def drift_asset(team: Team, model: Model) -> dg.AssetsDefinition:
    """Build the asset that judges windows of the log; its check warns, and a sensor turns that into a cycle."""
    own = key(team.name, "drift", model.name)

    @dg.asset(
        key=own,
        deps=[key(team.name, "predictions", model.name)],
        group_name=team.name,
        description="Windows of the prediction log against the profile kept with the model version",
        check_specs=[dg.AssetCheckSpec("drift", asset=own, description="No alarm in the newest windows")],
        kinds={"drift"},
    )
    def drift(platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult:
        watched = watch(platform, team, model)
        return dg.MaterializeResult(
            metadata=_drift_metadata(watched),
            check_results=[
                dg.AssetCheckResult(
                    check_name="drift",
                    passed=watched.alarm is None,
                    severity=dg.AssetCheckSeverity.WARN,
                    metadata={"reason": watched.alarm.reason if watched.alarm else "quiet"},
                )
            ],
        )

    return drift


def quality_asset(team: Team, model: Model) -> dg.AssetsDefinition:
    """Build the asset of realised quality: predictions joined with the labels that have come."""

    @dg.asset(
        key=key(team.name, "quality", model.name),
        deps=[key(team.name, "predictions", model.name), key(team.name, "raw", model.labels.source.name)],
        group_name=team.name,
        description="Realised metrics by model version, as far as labels have come",
        kinds={"quality"},
    )
    def quality(platform: dg.ResourceParam[Platform]) -> dg.MaterializeResult:
        versions = realised(platform, team, model)
        return dg.MaterializeResult(
            metadata={
                f"version_{v.version}": dg.MetadataValue.json(
                    {"predictions": v.predictions, "labelled": v.labelled, "auc": v.auc, "recall": v.recall}
                )
                for v in versions
            }
        )

    return quality


def _drift_metadata(watched: Watched) -> dict[str, Any]:
    metadata: dict[str, Any] = {"windows": len(watched.windows)}
    if watched.windows:
        columns = watched.windows[-1].columns
        metadata["scores"] = dg.MetadataValue.json({name: round(c.score, 4) for name, c in columns.items()})
        metadata["thresholds"] = dg.MetadataValue.json({name: round(c.threshold, 4) for name, c in columns.items()})
    if watched.report:
        metadata["report"] = dg.MetadataValue.url(watched.report.as_uri())
    return metadata
