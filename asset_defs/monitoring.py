"""Assets of monitoring: prediction log, drift with its report, and live quality."""

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import dagster as dg

from loopline.asset_defs.figures import figures
from loopline.asset_defs.keys import key
from loopline.asset_defs.redacting import redacting
from loopline.platform_core.errors import Transient, Unsupported
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.monitor.drift.drift import Watched, last_report, watch
from loopline.platform_core.monitor.drift.task import drawn
from loopline.platform_core.monitor.quality import quality_verdict
from loopline.platform_core.monitor.quality.predictions import compact, expire, forget
from loopline.platform_core.monitor.quality.quality_history import LiveQuality, measured
from loopline.platform_core.monitor.skew import skew
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import Model, Team

MANY = 100
"""Columns of a window whose scores are plotted one by one; of a wider model those that have drifted."""


def predictions_asset(team: Team, model: Model) -> dg.AssetsDefinition:
    """Build the asset of the prediction log, compacted into the lake; its check asks every answer again offline."""
    own = key(team.name, "predictions", model.name)

    @dg.asset(
        key=own,
        deps=[key(team.name, "deployment", model.name)],
        group_name=team.name,
        description="Each answered request: features as served, output, version, cycle, latency",
        check_specs=[dg.AssetCheckSpec("skew", asset=own, description="What was served is what training would see")],
        kinds={"predictions"},
    )
    @redacting
    def predictions(
        platform: dg.ResourceParam[Platform],
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        done, gone = compact(platform, team, model), forget(platform, team, model)
        version = -1 if done.version is None else done.version
        told = {"rows": done.rows, "table_version": version, "log_files_removed": gone}
        yield dg.MaterializeResult(
            data_version=dg.DataVersion(str(version)),  # nothing new in the log puts nothing behind
            metadata=told | {"rows_expired": expire(platform, team, model)},
        )
        yield _skew_check(skew.check(platform, team, model))

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
    @redacting
    def drift(platform: dg.ResourceParam[Platform]) -> Iterator[dg.AssetCheckResult | dg.MaterializeResult[None]]:
        watched = watch(platform, team, model)
        yield _drift_check(watched)  # at once: the page takes seconds, for which no cycle need wait
        page = _page(platform, team, model, watched)
        kept = platform.drift_report.place(page.parent.name, page.name) if page else ""
        yield dg.MaterializeResult(metadata=_drift_metadata(watched, page, kept))

    return drift


def quality_asset(team: Team, model: Model) -> dg.AssetsDefinition:
    """Build the asset of live quality: estimated at once, realised as labels come; its checks warn."""
    own = key(team.name, "quality", model.name)

    @dg.asset(
        key=own,
        deps=[key(team.name, "predictions", model.name), key(team.name, "raw", model.labels.source.name)],
        group_name=team.name,
        description="Metrics by version, segment and window: estimated at once, realised as labels come",
        check_specs=[
            dg.AssetCheckSpec("good_enough", asset=own, description="The live version reaches what its gates asked"),
            dg.AssetCheckSpec("fair_enough", asset=own, description="Live answers treat groups alike"),
        ],
        kinds={"quality"},
    )
    @redacting
    def quality(
        platform: dg.ResourceParam[Platform],
    ) -> Iterator[dg.MaterializeResult[None] | dg.AssetCheckResult]:
        ref, found = ModelRef(team.name, model.name), measured(platform, team, model)
        yield dg.MaterializeResult(metadata=_quality_metadata(found) | quality_verdict.newest(platform, ref))
        yield _warning("good_enough", quality_verdict.good_enough(platform, ref, model))
        yield _warning("fair_enough", quality_verdict.fair_enough(platform, ref))

    return quality


def _quality_metadata(found: LiveQuality) -> dict[str, Any]:
    """Give the live version's figures under their names, to be plotted, and those of all versions as a table.

    A table's rows have the same columns, and labels of versions may be described by other classes.
    """
    told = [version.to_json() for version in found.versions]
    columns = dict.fromkeys(name for one in told for name in one)
    rows = [dg.TableRecord({name: str(one.get(name, "")) for name in columns}) for one in told]
    table = {"versions": dg.MetadataValue.table(rows)} if rows else {}
    return {**table, "windows_measured": found.windows}


def _warning(name: str, finding: quality_verdict.Finding) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=name,
        passed=finding.passed,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"reason": finding.reason},
    )


def _skew_check(found: list[skew.Skew]) -> dg.AssetCheckResult:
    """Say how many rows were compared and differ; a version that differs goes no further in its rollout."""
    columns = [field.name for field in fields(skew.Difference)]
    differing = [{n: str(getattr(one, n)) for n in columns} for each in found for one in each.examples]
    return dg.AssetCheckResult(
        check_name="skew",
        passed=all(each.passed for each in found),
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "rows": sum(each.rows for each in found),
            "differing": sum(each.differing for each in found),
            "reason": "; ".join(f"version {each.version}: {each.reason}" for each in found)
            or "nothing new was answered",
            "examples": dg.MetadataValue.json(differing),
        },
    )


def _drift_check(watched: Watched) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name="drift",
        passed=watched.alarm is None,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={
            "reason": watched.alarm.reason if watched.alarm else "quiet",
            "moved": dg.MetadataValue.json(dict(watched.alarm.moved) if watched.alarm else {}),
        },
    )


def _page(platform: Platform, team: Team, model: Model, watched: Watched) -> Path | None:
    """Draw an alarm, but not again while its page shows one of the windows that the rule looks at."""
    if watched.alarm is None:
        return last_report(platform, team, model)
    recent = last_report(platform, team, model, within=model.drift.windows)
    try:
        return recent or drawn(platform, team, model)
    except (Unsupported, Transient) as error:  # an alarm without a page is an alarm all the same
        dg.get_dagster_logger().warning("no page is drawn: %s", error)
        return None


def _drift_metadata(watched: Watched, page: Path | None, kept: str = "") -> dict[str, Any]:
    """Give each column's score and threshold of the newest window as figures of their own, and how many drifted."""
    metadata: dict[str, Any] = {"windows": len(watched.windows), "alarm": int(watched.alarm is not None)}
    if watched.windows:
        columns = watched.windows[-1].columns
        drawn_ones = {n: c for n, c in columns.items() if c.drifted or len(columns) <= MANY}
        metadata["window"] = watched.windows[-1].dates
        metadata |= {"rows": watched.windows[-1].rows, "columns_drifted": len(watched.windows[-1].drifted)}
        metadata |= figures({n: round(c.score, 4) for n, c in drawn_ones.items()}, "score/")
        metadata |= figures({n: round(c.threshold, 4) for n, c in drawn_ones.items()}, "threshold/")
        metadata["moved"] = dg.MetadataValue.json({name: c.moved for name, c in columns.items() if c.drifted})
    if page:
        metadata["report"] = dg.MetadataValue.url(page.as_uri())
    if kept:
        metadata["report_kept_at"] = kept  # no signed link: that would end, and this stays
    return metadata
