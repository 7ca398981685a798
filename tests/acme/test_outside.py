"""A team and a vendor from outside, installed as distributions, take part without a line in the core."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from loopline.platform_core.testing.online_store import OnlineStoreKit
from loopline.platform_core.testing.parts.ports import free_port
from loopline.platform_core.testing.target import TargetKit

HERE = Path(__file__).parent
CORE = ("loopline",)
LOCATION = """
import json
import dagster as dg
from loopline.asset_defs import code_location
dg.Definitions.validate_loadable(code_location.acme)
graph = code_location.acme.resolve_asset_graph()
print(json.dumps({
    "keys": sorted(key.to_user_string() for key in graph.get_all_asset_keys()),
    "checks": sorted(f"{check.asset_key.to_user_string()}:{check.name}" for check in graph.asset_check_keys),
    "jobs": sorted(job.name for job in code_location.acme.resolve_all_job_defs() if job.name.startswith("loopline")),
}))
"""
BINDING = """
import json
from loopline.platform_core.platform import Platform
platform = Platform.open()
print(json.dumps({"class": type(platform.online_store).__name__, "folder": str(platform.online_store.folder)}))
"""


def test_the_vendor_passes_the_kit(acme):
    """The vendor's own test suite, run beside its sources as a third party would, holds the shelf to the promises."""
    done = acme.run("-m", "pytest", "-p", "no:cacheprovider", "-q", cwd=HERE / "vendor")
    assert done.returncode == 0, done.stdout
    promises = [name for name in dir(OnlineStoreKit) if name.startswith("test_")]
    assert f"{len(promises)} passed" in done.stdout


def test_the_team_s_kind_of_models_passes_the_kit(acme):
    """The team's own test suite, where it is installed: on real rows, found by its entry point, packaged and served."""
    done = acme.run("-m", "pytest", "-p", "no:cacheprovider", "-q", cwd=HERE / "team")
    assert done.returncode == 0, done.stdout
    promises = [name for name in dir(TargetKit) if name.startswith("test_")]
    assert f"{len(promises) + 3} passed" in done.stdout


def test_an_environment_file_binds_the_vendor(acme):
    """``{vendor: acme_shelf, folder: ...}`` is all that it takes; a wrong field is told with file and line."""
    assert acme.json("-c", BINDING) == {"class": "ShelfOnlineStore", "folder": str(acme.home / "shelf")}
    wrong = acme.home / "wrong.yaml"
    wrong.write_text((acme.home / "acme.yaml").read_text().replace("folder: ", "floor: 3, folder: "))
    done = acme.run("-c", BINDING, LOOPLINE_ENVIRONMENT=str(wrong))
    assert f"{wrong}:5: online_store.floor" in done.stderr


def test_the_command_line_finds_nothing_wrong(acme):
    """``plugin check`` and ``validate`` are content with the team and the environment."""
    checked = acme.loopline("plugin", "check", "acme", "--output", "json")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert json.loads(checked.stdout)["models"] == {"acme": ["stops"]}
    validated = acme.loopline("validate", "acme")
    assert validated.returncode == 0, validated.stdout + validated.stderr


def test_dagster_loads_the_team(acme):
    """The code location has all stages of the team, under its name, with the six jobs."""
    found = acme.json("-c", LOCATION)
    stages = ("readings_arrivals", "readings_raw", "readings_dead_letters", "press_state_features")
    turn = ("training_set", "model", "deployment", "predictions", "drift", "quality")
    assert found["keys"] == sorted(f"acme/{key}" for key in (*stages, *(f"stops_{stage}" for stage in turn)))
    on_rows = ("categories", "contract", "freshness", "nulls", "ranges", "volume")
    raw = [f"acme/readings_raw:{check}" for check in on_rows]
    of_model = ("drift:drift", "model:gates", "predictions:skew", "quality:fair_enough", "quality:good_enough")
    named = ["acme/stops_{}:{}".format(*check.split(":")) for check in of_model]
    assert found["checks"] == sorted([*named, *raw])
    jobs = ("cycle", "feature_audit", "ingest", "lake_care", "monitor", "rollout_step")
    assert found["jobs"] == [f"loopline_{job}" for job in jobs]


@pytest.fixture(scope="module")
def facts(acme) -> dict[str, Any]:
    """Go once around the loop, and ask the endpoint."""
    return acme.json(str(HERE / "one_turn.py"), LOOPLINE_INFERENCE_PORT=str(free_port()))


def test_the_loop_turns_for_the_team(facts):
    """Files become rows, features, a version that passes the team's own gate too, and a deployment."""
    assert (facts["rows"], facts["dead"]) == (720, 1)
    assert facts["online"] == 12
    assert facts["training_rows"] == 720
    assert facts["gates"] == {"AtLeast(roc_auc)": True, "Calibrated(brier)": True}
    assert (facts["rollout"], facts["state"]) == ("promoted", "promoted")
    assert facts["live"] == facts["cycle"]


def test_the_model_is_served_as_onnx_with_features_from_the_shelf(facts):
    """A scikit-learn pipeline answers as ONNX; its features come from the vendor's store, and are logged as served."""
    assert facts["served_as"] == "onnx"
    assert facts["parity"] <= 1e-5
    outputs = {output["name"]: output["data"] for output in facts["answer"]["outputs"]}
    assert 0 < outputs["probability"][0] < 1
    assert facts["answer"]["parameters"]["cycle"] == facts["cycle"]
    (row,) = facts["logged"]
    assert set(json.loads(row["features"])) == {"heat", "heat_so_far"}
    assert all(json.loads(row["features"]).values())
    assert (row["version"], row["cycle"], row["missing"]) == ("1", facts["cycle"], [])


def test_nothing_in_the_core_knows_of_it():
    """No file of the core names the team or the vendor."""
    root = HERE.parents[1]
    files = [file for package in CORE for file in (root / package).rglob("*") if file.suffix in {".py", ".yaml"}]
    assert len(files) > 100
    assert [str(file) for file in files if "acme" in file.read_text().lower()] == []
