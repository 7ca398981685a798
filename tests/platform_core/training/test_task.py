"""The training task on a real lake and a real MLflow, and under kill -9."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import psutil
import pyarrow as pa
import pytest

from loopline.platform_core import plugins
from loopline.platform_core.errors import ContractBroken, NotFound, Transient
from loopline.platform_core.estimation.held_out import load
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.monitor.drift.profile import Profile
from loopline.platform_core.platform import Platform
from loopline.platform_core.runtime.model.encode import matrix
from loopline.platform_core.runtime.model.models import load_model
from loopline.platform_core.targets import Binary
from loopline.platform_core.training import training_set
from loopline.platform_core.training.evaluate import metrics, split
from loopline.platform_core.training.examples import drilled
from loopline.platform_core.training.task import train
from tests.waiting import until

if TYPE_CHECKING:
    from conftest import Post

    from loopline.platform_core.contracts.compute import Compute
    from loopline.platform_core.specs import Team

TASK = "loopline.platform_core.training.task:train"
TRIALS = 4
REF = ModelRef("parcels", "late")


@pytest.fixture(scope="module")
def trained(post: Post) -> dict[str, Any]:
    """Train once, with MLflow; what comes back has been JSON, as from a process of its own."""
    done: dict[str, Any] = json.loads(json.dumps(train(**post.args("mlflow", "cycle-1"))))
    return done


def _run(post: Post, registry: str, key: str, **more: Any) -> dict[str, Any]:
    platform = post.open(registry)
    requirements = plugins.installed(only=["parcels"]).team("parcels").model("late").compute
    return platform.compute.run(TASK, post.args(registry, key, **more), requirements, key)


def grown_together(post: Post, compute: Compute, team: Team) -> dict[str, Any]:
    """Train the model whose workers need each other."""
    args = post.args("mlflow", "together") | {"model": "together"}
    return compute.run(TASK, args, team.model("together").compute, "together")


def _rows(post: Post, platform: Platform) -> pa.Table:
    team = plugins.installed(only=["parcels"]).team("parcels")
    return training_set.rows(platform, team, team.model("late"), training_set.from_json(post.pinned))


def test_a_version_is_published_with_all_that_finds_it_again(post: Post, trained: dict[str, Any]) -> None:
    """The registry knows key, cycle, training set, hashes, metrics and params of the version."""
    platform = post.open("mlflow")
    version = platform.registry.get("parcels.late", trained["version"])
    beside = {f"baseline_{name}": value for name, value in trained["baseline_metrics"].items() if name != "rows"}
    assert version.metrics == trained["metrics"] | beside
    assert trained["baseline_metrics"]["roc_auc"] == 0.5
    assert version.metrics["roc_auc"] > 0.65
    assert version.tags == {
        "key": "cycle-1",
        "cycle": "cycle-1",
        "training_set": post.pinned["training_set_id"],
        "spec_hash": post.pinned["spec_hash"],
        "row_hash": post.pinned["row_hash"],
    }
    assert trained["champion_metrics"] is None
    assert set(trained["params"]) == {"learning_rate", "num_leaves"}
    assert trained["trials"]["run"] == TRIALS
    assert set(trained["segments"]["region"]) == {"north", "south", "west"}


def test_workers_grow_the_same_trees_and_one_version_is_published(post: Post) -> None:
    """Two processes, each with half of the rows, by LightGBM's own protocol: the first one's version, found anew."""
    team, home = plugins.installed(only=["parcels"]).team("parcels"), post.home
    done = grown_together(post, post.open("mlflow").compute, team)
    first, second = (home.joinpath(f"trees-{rank}-of-2.txt").read_text() for rank in range(2))
    assert first == second
    assert len(first) > 10_000
    assert done["metrics"]["roc_auc"] > 0.65
    versions = post.open("mlflow").registry.versions("parcels.together")
    assert [version.version for version in versions] == [done["version"]]
    assert done["usage"]["cores"] == 1.0


SEARCHING = """
import json, sys
from dataclasses import replace
from pathlib import Path
from loopline.platform_core import plugins
from loopline.platform_core.platform import Platform
from loopline.platform_core.training.search.trials import searched
args = json.loads(sys.argv[1])
model = plugins.installed(only=["parcels"]).team("parcels").model("late")
model = replace(model, search=replace(model.search, parallel=2), compute=replace(model.compute, cpu=1))
print(json.dumps(searched(Platform.open(Path(args["environment"])), model, args)))
"""


def test_a_killed_search_by_tasks_goes_on(post: Post, trained: dict[str, Any]) -> None:
    """Whoever searches is killed (-9) in the middle: each trial is fitted once, and the best is what threads found."""
    args = post.args("mlflow", "by-tasks")
    command = [sys.executable, "-c", SEARCHING, json.dumps(args)]
    before, journal = post.fits(), post.home / "search" / "by-tasks.journal"
    first = subprocess.Popen(command)
    until(lambda: journal.exists() and journal.read_bytes().count(b"\n") >= 2, 120)
    assert first.poll() is None, "it was to be killed while it searched"
    first.kill()
    first.wait()
    found = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    assert post.fits() - before == TRIALS
    assert (found["params"], found["score"]) == (trained["params"], trained["trials"]["best_score"])
    done = train(**args, found=found)
    assert (done["params"], done["trials"]) == (trained["params"], trained["trials"])
    assert post.fits() - before == TRIALS + 1


def test_the_package_is_what_was_measured(post: Post, trained: dict[str, Any], tmp_path: Path) -> None:
    """Loaded as the server does and given the evaluation rows, the package gives the published metrics."""
    platform = post.open("mlflow")
    package = platform.registry.fetch("parcels.late", trained["version"], tmp_path)
    loaded, table = load_model(package), _rows(post, platform)
    judged = table.slice(split(table, Binary()).evaluation.start)
    names = [field.name for field in loaded.manifest.features]
    scores = loaded.predict(matrix({name: judged[name] for name in names}, names, loaded.manifest.vocabulary))
    again = metrics(loaded.target, judged["label"].to_numpy(), scores)
    assert again == pytest.approx(trained["metrics"], abs=1e-9)
    assert (trained["package_kind"], trained["parity"]["rows"] > 500) == ("lightgbm", True)


def test_the_manifest_tells_the_server_where_values_come_from(
    post: Post, trained: dict[str, Any], tmp_path: Path
) -> None:
    """Online views in stored order, features of the request, categories, entities, threshold."""
    manifest = load_model(post.open("mlflow").registry.fetch("parcels.late", trained["version"], tmp_path)).manifest
    assert [(field.name, field.served, field.category) for field in manifest.features] == [
        ("past_sent", "online", False),
        ("past_weight", "online", False),
        ("weight", "request", False),
        ("region", "request", True),
    ]
    view = manifest.views[0]
    assert (len(manifest.views), view.view, view.entity) == (1, "parcels.sender_history.v1", "sender_id")
    assert (view.features, view.ttl_days) == (["past_sent", "past_weight"], 90)
    assert manifest.vocabulary == {"region": ["north", "south", "west"]}
    assert (manifest.entities, manifest.threshold) == (["sender_id", "parcel_id"], 0.3)
    assert (manifest.model, manifest.cycle) == ("parcels.late", "cycle-1")
    assert set(Profile.load(tmp_path).columns) == {"past_sent", "past_weight", "weight", "region", "score"}
    assert Profile.load(tmp_path).blocks is not None, "what its own blocks show goes with it"
    held_out = load(tmp_path, Binary.estimation.file)
    assert len(held_out.scores) == len(held_out.labels) > 0.3 * post.pinned["rows"], "rows it did not learn from"
    assert set(held_out.labels) == {0.0, 1.0}


def test_the_same_key_adds_no_version_and_no_trial(post: Post, trained: dict[str, Any]) -> None:
    """A process that died after it had published is repeated: same version, and only the last fit is done again."""
    before = post.fits()
    again = train(**post.args("mlflow", "cycle-1"))
    assert {**again, "seconds": 0, "usage": 0} == {**trained, "seconds": 0, "usage": 0}
    assert post.fits() == before + 1
    versions = post.open("mlflow").registry.versions("parcels.late")
    assert len([one for one in versions if one.tags["key"] == "cycle-1"]) == 1


def test_a_training_says_what_it_used(trained: dict[str, Any]) -> None:
    """Seconds and memory of this very process, on the two cores that the model asks for, and no GPU."""
    used = trained["usage"]
    assert used["cpu_seconds"] > 0
    assert 0 < used["wall_seconds"] <= trained["seconds"] + 0.01
    assert used["memory_gb_seconds"] == pytest.approx(used["memory_gb"] * used["wall_seconds"], rel=0.01, abs=0.001)
    assert (used["cores"], used["gpus"], used["gpu_seconds"]) == (2, 0, 0)


def test_the_champion_is_measured_on_the_same_rows(post: Post, trained: dict[str, Any]) -> None:
    """With the first version live, the next one is compared with it on the rows that both are judged on."""
    platform = post.open("mlflow")
    platform.registry.set_alias("parcels.late", "champion", trained["version"])
    second = train(**post.args("mlflow", "cycle-2"))
    assert second["champion_metrics"] == pytest.approx(trained["metrics"], abs=1e-9)
    assert second["version"] != trained["version"]


def test_a_drill_is_wrong_on_purpose_and_says_so(post: Post, trained: dict[str, Any]) -> None:
    """Grams instead of kilograms: gates see nothing, right requests get other scores, and the version is tagged."""
    platform = post.open("mlflow")
    wrong = train(**post.args("mlflow", "cycle-3", drill={"weight": 1000.0}))
    version = platform.registry.get("parcels.late", wrong["version"])
    assert version.tags["drill"] == '{"weight": 1000.0}'
    assert wrong["metrics"]["roc_auc"] == pytest.approx(trained["metrics"]["roc_auc"], abs=0.1)
    table = _rows(post, platform)
    scores = []
    for number in (trained["version"], wrong["version"]):
        loaded = load_model(platform.registry.fetch("parcels.late", number, post.home / "served" / number))
        names = [field.name for field in loaded.manifest.features]
        scores.append(loaded.predict(matrix({name: table[name] for name in names}, names, loaded.manifest.vocabulary)))
    assert abs(np.mean(scores[0]) - np.mean(scores[1])) > 0.1


def test_drills_name_features() -> None:
    """A column that is not there is an error, whole numbers become float64."""
    table = pa.table({"grams": [1, 2]})
    assert drilled(table, {"grams": 0.5})["grams"].to_pylist() == [0.5, 1.0]
    with pytest.raises(ContractBroken, match="'pounds'"):
        drilled(table, {"pounds": 2.0})


def test_a_drill_reaches_vectors_and_empties_texts() -> None:
    """Each number of a vector is multiplied, and a row that has none has none; a text can only fail to come."""
    fixed = pa.array([[1.0, 2.0], None, [3.0, 4.0]], pa.list_(pa.float64(), 2))
    table = pa.table({"fixed": fixed, "free": [[1], None, [2, 3]], "text": ["a", None, "b"]}).slice(1)
    assert drilled(table, {"fixed": 10.0})["fixed"].to_pylist() == [None, [30.0, 40.0]]
    assert drilled(table, {"free": 10.0})["free"].to_pylist() == [None, [20.0, 30.0]]
    assert drilled(table, {"text": 0.0})["text"].to_pylist() == [None, ""]
    with pytest.raises(ContractBroken, match="which is a text, by 2"):
        drilled(table, {"text": 2.0})


def test_rows_that_are_no_longer_the_pinned_ones_are_refused(post: Post) -> None:
    """A training set whose rows hash otherwise is not trained on."""
    args = post.args("memory", "cycle-x")
    with pytest.raises(ContractBroken, match="hash"):
        train(**{**args, "training_set": {**post.pinned, "row_hash": "0" * 64}})
    with pytest.raises(NotFound):
        train(**{**args, "model": "early"})


def timeless(done: dict[str, Any]) -> dict[str, Any]:
    """Leave out how long it took, and which number the version has."""
    board = [row | {"seconds": 0} for row in done["leaderboard"]]
    return done | {"seconds": 0, "usage": 0, "version": "", "leaderboard": board}


def test_killed_worker_goes_on_where_it_was(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker is killed (-9) in mid-search: complete trials are not repeated, and the result is the same."""
    whole = train(**post.args("memory", "whole"))
    monkeypatch.setenv("PARCELS_SECONDS", "0.4")
    before = post.fits()
    journal = post.home / "search" / "killed.journal"
    failure: list[Exception] = []

    def call() -> None:
        try:
            _run(post, "memory", "killed")
        except Transient as error:
            failure.append(error)

    caller = threading.Thread(target=call)
    caller.start()
    until(lambda: journal.exists() and journal.read_bytes().count(b"\n") >= 2, 120)
    for child in psutil.Process().children():
        if str(post.home / "compute/killed") in child.cmdline():
            child.kill()
    caller.join()
    complete = journal.read_bytes().count(b"\n")
    begun = post.fits() - before
    monkeypatch.setenv("PARCELS_SECONDS", "0")
    result = _run(post, "memory", "killed")
    assert failure
    assert 2 <= complete < TRIALS
    assert post.fits() - before == begun + (TRIALS - complete) + 1
    assert timeless(result) == timeless(whole)


CALLER = """
import json, sys
from pathlib import Path
from loopline.platform_core.platform import Platform
from loopline.platform_core.specs import Requirements
args = json.loads(sys.argv[1])
Platform.open(Path(args["environment"])).compute.run(sys.argv[2], args, Requirements(2, 0.5), args["key"])
"""


def test_killed_caller_loses_nothing(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """A caller is killed (-9) while its training runs: the next one gets the result of that very run."""
    monkeypatch.setenv("PARCELS_SECONDS", "0.2")
    before = post.fits()
    args = post.args("memory", "orphan")
    caller = subprocess.Popen([sys.executable, "-c", CALLER, json.dumps(args), TASK])
    until(lambda: post.fits() > before, 120)
    caller.kill()
    caller.wait()
    result = _run(post, "memory", "orphan")
    assert result["trials"]["run"] == TRIALS
    assert post.fits() - before == TRIALS + 1
