"""The graph that retail gets, held against a committed snapshot: a change of lineage is seen in review.

``LOOPLINE_UPDATE=1 pytest tests/asset_defs/test_asset_graph.py`` writes the snapshot anew.
"""

from __future__ import annotations

import difflib
import json
import os
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from loopline.asset_defs import code_location

SNAPSHOT = Path(__file__).with_name("retail.json")
UPDATE = "LOOPLINE_UPDATE"


def described(definitions: dg.Definitions) -> dict[str, Any]:
    """Describe a location: assets with what they depend on, checks, and which assets each job materializes."""
    graph, repository = definitions.resolve_asset_graph(), definitions.get_repository_def()
    jobs = [job for job in repository.get_all_jobs() if not job.name.startswith("__")]
    return {
        "assets": {_name(key): [_name(k) for k in sorted(graph.get(key).parent_keys)] for key in _keys(graph)},
        "checks": {
            f"{_name(key.asset_key)}:{key.name}": "blocking" if graph.get_check_spec(key).blocking else "warns"
            for key in sorted(graph.asset_check_keys)
        },
        "jobs": {job.name: sorted(map(_name, job.asset_layer.selected_asset_keys)) for job in jobs},
        "schedules": {s.name: f"{s.cron_schedule} {s.job_name} {_state(s)}" for s in repository.schedule_defs},
        "sensors": {s.name: f"{s.job_name} {_state(s)}" for s in repository.sensor_defs},
    }


def difference(before: dict[str, Any], now: dict[str, Any]) -> str:
    """Show two descriptions line by line, what is new with ``+`` and what is gone with ``-``."""
    lines = difflib.unified_diff(text(before).splitlines(), text(now).splitlines(), "snapshot", "now", lineterm="", n=2)
    return "\n".join(lines)


def text(description: dict[str, Any]) -> str:
    """Write a description as JSON, a line a name."""
    return json.dumps(description, indent=2, sort_keys=True) + "\n"


def _keys(graph: Any) -> list[dg.AssetKey]:
    return sorted(graph.get_all_asset_keys())


def _name(key: dg.AssetKey) -> str:
    return key.to_user_string()


def _state(definition: dg.SensorDefinition | dg.ScheduleDefinition) -> str:
    return definition.default_status.value.lower()


def test_the_graph_is_the_one_that_was_reviewed():
    """Keys, dependencies, checks, jobs, sensors and schedules are those of the snapshot."""
    now = described(code_location.retail)
    if os.environ.get(UPDATE):
        SNAPSHOT.write_text(text(now))
    changes = difference(json.loads(SNAPSHOT.read_text()), now)
    if changes:
        pytest.fail(f"the graph has changed; if that is meant, run this test with {UPDATE}=1\n{changes}", pytrace=False)


def test_a_change_is_shown_by_name():
    """An edge that is gone and a check that blocks from now on are named."""
    before = json.loads(SNAPSHOT.read_text())
    now = json.loads(SNAPSHOT.read_text())
    now["assets"]["retail/cancellations_model"] = []
    now["checks"]["retail/cancellations_model:gates"] = "blocking"
    changes = difference(before, now).splitlines()
    assert '-      "retail/cancellations_training_set"' in changes
    assert '+    "retail/cancellations_model:gates": "blocking",' in changes


def test_the_graph_loads_as_a_whole():
    """Dagster binds every resource and job: what the snapshot describes can run."""
    dg.Definitions.validate_loadable(code_location.retail)
