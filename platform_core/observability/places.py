"""Locations (paths or URLs) of datasets, by which lineage tools know them too."""

from __future__ import annotations

from typing import TYPE_CHECKING

from loopline.platform_core.foundation import names
from loopline.platform_core.specs.contracts.source import STREAM

if TYPE_CHECKING:
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Team

TABLES = {
    "raw": names.raw_table,
    "dead_letters": names.dead_letter_table,
    "predictions": names.prediction_table,
    "scores": names.scores_table,
    "explanations": names.explanations_table,
}
"""Stages whose asset is one table of the lake, named after it."""


def place_of(platform: Platform, team: Team, asset: names.AssetName) -> str:
    """Return the path or URL of an asset; "" where it lies nowhere, or at no place that others know."""
    if asset.team == team.name and asset.stage == "arrivals":
        return _landing(platform, team, asset)
    table = _table(team, asset)
    return platform.lake.place(table) if table else ""


def _landing(platform: Platform, team: Team, asset: names.AssetName) -> str:
    source = next((source for source in team.sources if source.name == asset.name), None)
    if source is None:
        return ""
    if source.arrives != STREAM:
        return platform.event_source.place(f"{asset.team}/{asset.name}")
    bound = "event_stream" in platform.environment.bindings  # one that is not bound is told elsewhere
    return platform.event_stream.place(f"{asset.team}/{asset.name}") if bound else ""


def _table(team: Team, asset: names.AssetName) -> str:
    if asset.stage in TABLES:
        return TABLES[asset.stage](asset.team, asset.name)
    if asset.team == team.name and asset.stage == "features":
        views = {names.view_name(view): view for view in team.views}
        return names.view_table(asset.team, views[asset.name]) if asset.name in views else ""
    return ""
