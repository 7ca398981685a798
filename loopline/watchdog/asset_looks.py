"""Watchdog checks of Dagster assets: failed non-blocking checks, and drift or quality assets that are stale."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from loopline.graphql import Dagster
from loopline.platform_core.alarms.alarm import Alarm
from loopline.platform_core.alarms.pages import Pages
from loopline.platform_core.foundation.names import AssetName, ModelRef
from loopline.watchdog.look import Bounds, Looked

OF_THE_KERNEL = {("drift", "drift"), ("predictions", "skew"), ("raw", "contract"), ("model", "gates")}
"""Stage and check of which the kernel raises the alarm itself, at the moment of finding; a gate's refusal is none."""
NO_MODEL = {"raw", "features"}
"""Stages whose assets are not named after a model."""
AT_ONCE = 500
"""Assets in one question: Dagster takes 1.4 ms for each that has checks, and others wait for it meanwhile."""
KEYS = "{assetNodes {assetKey {path}}}"
JUDGES = {"drift", "quality"}
"""Stages that judge predictions."""
CAME = """
query ($keys: [AssetKeyInput!], $before: String) {assetNodes(assetKeys: $keys) {
  assetMaterializations(limit: 1, beforeTimestampMillis: $before) {timestamp}}}"""
ASSETS = """
query ($keys: [AssetKeyInput!]) {assetNodes(assetKeys: $keys) {
  assetKey {path} assetMaterializations(limit: 1) {timestamp}
  assetChecksOrError {... on AssetChecks {checks {name blocking
    executionForLatestMaterialization {status runId evaluation {severity description
      metadataEntries {label ... on TextMetadataEntry {text} ... on FloatMetadataEntry {floatValue}
        ... on IntMetadataEntry {intValue} ... on JsonMetadataEntry {jsonString}}}}}}}}}"""


@dataclass(frozen=True)
class AssetLooks:
    """Looks at all assets."""

    dagster: Dagster
    pages: Pages
    bounds: Bounds

    def look(self) -> Looked:
        """Find failed checks, and drift or quality that is out of date."""
        nodes = {tuple(node["assetKey"]["path"]): node for node in self._nodes()}
        found, unknown = list(self._stale(nodes)), set()
        for path, node in nodes.items():
            asset = AssetName.of(path)
            for check in node["assetChecksOrError"].get("checks", ()):
                cause = f"check:{asset or '/'.join(path)}:{check['name']}"
                execution = check["executionForLatestMaterialization"]
                if check["blocking"] or (asset and (asset.stage, check["name"]) in OF_THE_KERNEL):
                    continue
                if execution is None or execution["status"] == "IN_PROGRESS":
                    unknown.add(cause)
                elif execution["status"] in {"FAILED", "EXECUTION_FAILED"}:
                    found.append(self._failed(cause, path, check["name"], execution))
        return Looked(tuple(found), frozenset(unknown))

    def _nodes(self) -> Iterator[Mapping[str, Any]]:
        keys = [{"path": node["assetKey"]["path"]} for node in self.dagster.ask(KEYS)["assetNodes"]]
        for start in range(0, len(keys), AT_ONCE):
            yield from self.dagster.ask(ASSETS, keys=keys[start : start + AT_ONCE])["assetNodes"]

    def _failed(self, cause: str, path: tuple[str, ...], name: str, execution: Mapping[str, Any]) -> Alarm:
        evaluation = execution["evaluation"] or {}
        why = _reason(evaluation) if evaluation else "it could not be evaluated; the run's log says why"
        severity = "error" if evaluation.get("severity") == "ERROR" else "warning"
        asset = AssetName.of(path)
        return Alarm(
            cause=cause,
            severity=severity,  # type: ignore[arg-type]
            problem=f"check {name} of {asset or '/'.join(path)} does not pass: {why}",
            fix=_fix(asset),
            subject=_subject(path, asset),
            link=self.pages.asset(path, "checks"),
        )

    def _stale(self, nodes: Mapping[tuple[str, ...], Mapping[str, Any]]) -> Iterator[Alarm]:
        """Compare drift and quality with the predictions that they judge: one run makes all, unless one fails."""
        for path, node in nodes.items():
            asset = AssetName.of(path)
            if asset is None or asset.stage not in JUDGES:
                continue
            said = self._behind(asset.stage, node, nodes.get(asset._replace(stage="predictions").path))
            if said:
                ref = ModelRef(asset.team, asset.name)
                cause = f"stale:{ref}" if asset.stage == "drift" else f"stale:{ref}:{asset.stage}"
                fix = "look at the last run of loopline_monitor: what it failed at"
                yield Alarm(cause, "error", said, fix, ref, self.pages.asset(path, "events"))

    def _behind(self, stage: str, node: Mapping[str, Any], predictions: Mapping[str, Any] | None) -> str:
        """Say how long predictions have waited to be judged, "" where that is not too long.

        Of a new model the first predictions come before anything could be judged: they count from when they came.
        """
        came, judged = _made_at(predictions), _made_at(node)
        if judged and came - judged > self.bounds.stale:
            return f"{stage} was last judged {(came - judged) / 60:.0f} minutes before the newest predictions came"
        if came and not judged and predictions and self._waits(predictions):
            return f"{stage} was never judged, and predictions have waited for {self.bounds.stale / 60:.0f} minutes"
        return ""

    def _waits(self, predictions: Mapping[str, Any]) -> bool:
        """Ask whether predictions came so long ago that they should have been judged."""
        before = f"{(time.time() - self.bounds.stale) * 1000:.0f}"
        nodes = self.dagster.ask(CAME, keys=[predictions["assetKey"]], before=before)["assetNodes"]
        return any(node["assetMaterializations"] for node in nodes)


def _made_at(node: Mapping[str, Any] | None) -> float:
    """Return when an asset was last materialized, in seconds since 1970; 0 for never."""
    made = node["assetMaterializations"] if node else ()
    return float(made[0]["timestamp"]) / 1000 if made else 0.0


def _reason(evaluation: Mapping[str, Any]) -> str:
    """Take a check's own words, else the figures that it left."""
    said = {entry["label"]: _value(entry) for entry in evaluation["metadataEntries"]}
    figures = ", ".join(f"{label} {value}" for label, value in said.items() if value)
    return str(evaluation["description"] or said.get("reason") or figures or "it gives no reason")


def _value(entry: Mapping[str, Any]) -> str:
    if entry.get("floatValue") is not None:
        return f"{entry['floatValue']:.4g}"
    found = next((entry[kind] for kind in ("text", "intValue", "jsonString") if entry.get(kind) is not None), "")
    return "" if found == "[]" else str(found)


def _subject(path: tuple[str, ...], asset: AssetName | None) -> ModelRef | None:
    if asset is None:  # an asset of a team's own may be called otherwise
        return ModelRef(path[0], "") if path else None
    return ModelRef(asset.team, "" if asset.stage in NO_MODEL else asset.name)


def _fix(asset: AssetName | None) -> str:
    if asset and asset.stage == "raw":
        return f"see 'loopline quality {asset.team}/{asset.name}' and ask whoever delivers the data"
    return "open the check's page: it names what is odd"
