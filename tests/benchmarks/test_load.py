"""A race is fair only if both sides carry the same load."""

from __future__ import annotations

import json
from typing import Any

import dagster as dg

from benchmarks.load import bare, many_models
from benchmarks.load.once import serialised
from loopline.asset_defs.team import team_definitions


def test_both_graphs_are_the_same() -> None:
    """With the same resource, the snapshots differ neither in assets and checks nor in jobs, sensors and schedules."""
    ours = team_definitions(many_models.team(2), bare.Platform())  # type: ignore[arg-type]
    parts = _parts(ours), _parts(bare.definitions(2))
    differing = [name for name in parts[0] if parts[0][name] != parts[1][name]]
    assert not differing, "asset_defs has changed: change benchmarks/load/bare.py in the same way"


def test_a_model_is_nine_assets_and_eleven_checks() -> None:
    """What the benchmark's page says of the load is what is loaded."""
    graph = bare.definitions(1).resolve_asset_graph()
    assert len(graph.materializable_asset_keys) == 9
    assert {check.name for check in graph.asset_check_keys} == {
        *(*bare.RAW_CHECKS, "gates", "drift", "skew"),
        *("good_enough", "fair_enough"),
    }
    assert graph.external_asset_keys == {dg.AssetKey(["bench", "source_0_arrivals"])}


def _parts(definitions: dg.Definitions) -> dict[str, Any]:
    """Return the parts of a snapshot by name; of a job what it does, in which order, and its tags."""
    parts: dict[str, Any] = json.loads(serialised(definitions))
    jobs = [job["pipeline_snapshot"] for job in parts["external_pipeline_datas"]]
    kept = ("name", "description", "tags", "dep_structure_snapshot")
    return parts | {"external_pipeline_datas": [{name: job[name] for name in kept} for job in jobs]}
