"""Commands that check declarations: validate, plugin check, workspace."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from loopline.cli.validation.spec_checks import check_team
from loopline.platform_core.loop.ledger.entry_kinds import REGISTERED
from loopline.platform_core.loop.ledger.ledger import Entry
from loopline.platform_core.specs import (
    AtLeast,
    Count,
    Drift,
    ErrorRate,
    EstimatedQuality,
    FairAcross,
    Fairness,
    LogMetric,
    Multiclass,
    Quality,
    RealisedQuality,
    Rollout,
    Team,
)
from loopline.platform_core.targets import Regression

POUNDS = {"target": Regression("GBP"), "threshold": None, "gates": ()}


def test_a_sound_team_passes(world):
    """Environment, contract, specs, and views on no rows; a team that is not installed is a problem."""
    said = world.json("validate", "corner")
    assert said["valid"]
    assert said["problems"] == []
    assert said["checked"] == [str(world.environment), "team corner"]
    said = world.json("validate", "nobody", code=1)
    assert said["problems"][0]["message"] == "no team 'nobody' is installed"
    said = world.json("plugin", "check", "corner")
    assert said["valid"]
    assert said["models"] == {"corner": ["returns"]}


def test_validate_notes_a_version_that_is_served_slowly(world):
    """Of the newest version, from the ledger; it is no problem, and a fast one is not spoken of."""
    assert world.json("validate", "corner")["notes"] == []
    why = "pickle: answers as the estimator does; onnx: differs by 0.3 on 2000 rows"
    for version, kind in (("1", "onnx"), ("2", "pickle")):
        details = {"version": version, "package_kind": kind, "parity": {"why": why}}
        world.record(Entry(REGISTERED, world.now, "corner", "returns", version=version, details=details))
    (note,) = world.json("validate", "corner")["notes"]
    assert "version 2 is served as a pickled estimator" in note
    assert "(onnx: differs by 0.3 on 2000 rows)" in note
    assert "note: corner/" in world.run("validate", "corner").stdout


def test_validate_names_a_bad_choice_of_runs_as_pods(world):
    """With the line, what is wrong, and what could be."""
    corner = "{image: i, namespace: corner, jobs: [nightly]}"
    chosen = f"dagster:\n  storage: postgresql://h/d\n  run_pods:\n    corner: {corner}\n"
    before = world.environment.read_text()
    world.say(chosen)
    (problem,) = world.json("validate", "corner", code=1)["problems"]
    assert problem["where"] == f"{world.environment}:{len(before.splitlines()) + 4}"
    assert "run_pods.corner.jobs" in str(problem)
    assert "'nightly' is no job whose runs may be pods; use some of loopline_ingest" in problem["message"]


def test_validate_names_file_and_line_of_a_wrong_binding(world):
    """A vendor that is not installed is told with the environment file's line, once."""
    world.bind("vendor: delta", "vendor: iceberg")
    said = world.json("validate", "corner", code=1)
    assert [p["where"] for p in said["problems"]] == [f"{world.environment}:4"]
    assert "iceberg" in said["problems"][0]["message"]
    text = world.run("validate", "corner").stdout
    assert f"{world.environment}:4: " in text
    assert text.count("iceberg") == 1


def test_validate_names_file_and_line_of_a_broken_team(world):
    """A team that does not load is told with file, line and reason, and is no traceback."""
    world.break_team()
    said = world.json("validate", code=1)
    broken = next(p for p in said["problems"] if p["field"] == "team corner")
    assert broken["where"].endswith("broken_corner.py:2")
    assert broken["message"] == "OSError: no disk"
    said = world.json("plugin", "check", code=1)
    assert said["quarantined"][0]["reason"] == "OSError: no disk"
    assert said["problems"][0]["where"].endswith("broken_corner.py:2")


@pytest.fixture
def copy(world, tmp_path) -> Team:
    """Give the team with a package of its own, whose files the test may spoil."""
    import shutil

    import corner_shop

    folder = Path(shutil.copytree(Path(corner_shop.__file__).parent, tmp_path / "copy"))
    return replace(corner_shop.team, package=folder)


def test_a_wrong_contract_is_told_with_its_line(copy):
    """The line of the contract's file comes first, then the source or field."""
    contract = copy.folder / "contracts/sales.v1.yaml"
    contract.write_text(contract.read_text().replace("logicalType: number", "logicalType: money", 1))
    (problem,) = check_team(copy)
    assert problem.where == f"{contract}:18"
    assert "money" in problem.message


def test_figures_are_not_split_by_persons(copy):
    """A column that the contract marks as personal is no segment, and the fix says what is."""
    contract = copy.folder / "contracts/sales.v1.yaml"
    contract.write_text(
        contract.read_text().replace("- name: country", "- classification: personal\n        name: country")
    )
    model = replace(copy.models[0], segments=("country",))
    (problem,) = [p for p in check_team(replace(copy, models=(model,))) if p.field == "returns.segments"]
    assert "which a contract marks as personal" in problem.message
    assert "age band" in problem.fix


BARE = {"gates": (), "fairness": (), "rollout": Rollout(judges=(ErrorRate(0.01),))}
"""Of a model of another kind: nothing names a metric."""


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"gates": (FairAcross("recall", "region"),)}, "gates", "no segment"),
        ({"fairness": (Fairness("country", within=10),)}, "fairness", "within 10 is no distance"),
        ({"fairness": (Fairness("country", within=0),)} | POUNDS, "fairness", "within 0 is no distance"),
        ({"rollout": Rollout(judges=(RealisedQuality(5),))} | POUNDS, "rollout", "mae of single rows is without"),
        ({"rollout": Rollout(judges=(EstimatedQuality(at_least=5),))} | POUNDS, "rollout", "less rmse is better"),
        ({"quality": Quality(days=0)}, "quality", "windows of 0 days"),
        ({"gates": (AtLeast("roc_auc", 0.5), AtLeast("roc_auc", 0.6))}, "gates", "two gates are called"),
        ({"rollout": Rollout(percents=(50, 20))}, "rollout", "do not rise"),
        ({"rollout": Rollout(shadow_requests=-1)}, "rollout", "shadow_requests -1 is below 0"),
        ({"rollout": Rollout(percents=(), shadow_requests=50)}, "rollout", "no judge looks at the shadow"),
        ({"rollout": Rollout(watch_hours=-1)}, "rollout", "watch_hours -1 is below 0"),
        ({"rollout": Rollout(percents=(), watch_hours=24)}, "rollout", "no judge watches a promotion"),
        ({"rollout": Rollout(percents=(0, 100))}, "rollout", "not all above 0"),
        ({"rollout": Rollout(percents=(50, 100))}, "rollout", "no judge"),
        ({"rollout": Rollout(judges=(ErrorRate(0.01),), patience=0.5)}, "rollout", "patience 0.5"),
        ({"rollout": Rollout(judges=(LogMetric(0.1, metric="corner_shop:misspelt"),))}, "rollout", "no 'misspelt'"),
        ({"drift": Drift(alarms=4, windows=3)}, "drift", "4 alarms of 3"),
        ({"drift": Drift(share=3)}, "drift", "no share"),
        ({"threshold": 1.5}, "threshold", "no probability"),
        (BARE | {"target": Multiclass(("a", "a"))}, "classes", "a named twice"),
        (BARE | {"target": Count(power=3)}, "power", "no power of numbers that may be 0"),
        ({"features": ()}, "features", "no feature view"),
    ],
)
def test_what_does_not_fit_together_is_told_with_its_line(copy, change, field, words):
    """Each cross check names the model's field, and the line where the team wrote it."""
    spoilt = replace(copy, models=(replace(copy.models[0], **change),))
    problems = [p for p in check_team(spoilt) if words in p.message]
    assert len(problems) == 1
    assert problems[0].field == f"returns.{field}"
    file, _, line = problems[0].where.rpartition(":")
    text = Path(file).read_text().splitlines()[int(line) - 1]
    assert f"{field}=" in text or "Model(" in text
    assert problems[0].fix


def test_a_view_must_be_keyed_as_the_labels_are(copy):
    """A view of another entity cannot be joined."""
    view = replace(copy.models[0].features[0], entity="shop_id")
    spoilt = replace(copy, models=(replace(copy.models[0], features=(view,)),))
    (problem,) = check_team(spoilt)
    assert "shop_id" in problem.message


def test_labels_reach_counts_from_a_time_of_the_contract(copy):
    """Raw rows are read by their days, which a column that labels make up has not; the fix names those that have."""
    labels = copy.models[0].labels
    for time, problems in ((labels.time, 0), ("made_up", 1)):
        reaching = replace(labels, time=time, reach_days=30)
        spoilt = replace(copy, models=(replace(copy.models[0], labels=reaching),))
        found = [p for p in check_team(spoilt) if p.field == f"{labels.name}.reach_days"]
        assert len(found) == problems
    assert "'made_up', which is no timestamp" in found[0].message
    assert f"go by {labels.time}" in found[0].fix


def test_workspace_names_each_team_as_a_location(world, tmp_path):
    """The workspace has a location a team and the platform's own, which plain Dagster loads; it may be written."""
    said = world.json("workspace", "--write", str(tmp_path / "workspace.yaml"))
    location = {"module_name": "loopline.asset_defs.code_location", "attribute": "corner", "location_name": "corner"}
    assert {"python_module": location} in said["load_from"]
    own = {"module_name": "loopline.asset_defs.code_location", "attribute": "loopline", "location_name": "loopline"}
    assert said["load_from"][-1] == {"python_module": own}
    assert yaml.safe_load((tmp_path / "workspace.yaml").read_text())["load_from"] == said["load_from"]
    assert yaml.safe_load(world.run("workspace").stdout)["load_from"] == said["load_from"]


def test_the_repository_s_workspace_names_retail():
    """What plain Dagster finds at the top of the repository is what the command would write for retail."""
    from loopline.up.dagster_home import module_workspace

    file = Path(__file__).parents[3] / "workspace.yaml"
    assert yaml.safe_load(file.read_text()) == module_workspace(["retail", "loopline"])


YAML_MODEL = """
type: asset_defs.LooplineModel
attributes:
  name: returns_too
  features: ["corner_shop:customer_sales"]
  labels: corner_shop:returned
  fit: corner_shop:fit
  search: {trials: many}
  cutoff: 0.6
"""


@pytest.fixture
def yaml_team(install, tmp_path):
    """Install a team with a package of its own, whose model is in YAML and wrong in two lines."""
    install("paper", "[loopline.teams]\npaper = paper_team:team\n")
    package = tmp_path / "site-paper/paper_team"
    package.joinpath("defs").mkdir(parents=True)
    package.joinpath("defs/defs.yaml").write_text(YAML_MODEL)
    package.joinpath("__init__.py").write_text(
        "from loopline.platform_core.specs import Team\n\nteam = Team('paper', __file__).with_files('defs/defs.yaml')\n"
    )
    return package


@pytest.mark.parametrize("command", [("validate", "paper"), ("plugin", "check", "paper")])
def test_a_yaml_model_is_told_line_by_line_and_once(world, yaml_team, command):
    """The team does not load because of its YAML model: each mistake is told with its line, the quarantine is not."""
    said = world.json(*command, code=1)
    file = yaml_team / "defs/defs.yaml"
    found = [(p["where"], p["field"]) for p in said["problems"]]
    assert found == [(f"{file}:8", "search.trials"), (f"{file}:9", "cutoff")]


def test_plugin_check_finds_a_view_that_reads_what_is_not_there(world, monkeypatch):
    """A view over a column that the contract does not have fails on the empty table, and is told."""
    import corner_shop

    def reads_weight(lines):
        return lines.select("customer_id", "sold_at", "weight")

    view = replace(corner_shop.customer_sales, compute=reads_weight)
    model = replace(corner_shop.returns, features=(view,))
    monkeypatch.setattr(corner_shop, "team", replace(corner_shop.team, models=(model,)))
    (problem,) = world.json("plugin", "check", "corner", code=1)["problems"]
    assert problem["field"] == "returns.features"
    assert "weight" in problem["message"]
