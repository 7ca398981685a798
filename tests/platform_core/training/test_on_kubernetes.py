"""A training as a pod: the same team, the same task, the same version in the registry."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

import pytest

from loopline.platform_core.environment import carried
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.specs import Requirements, Search, log_range
from loopline.platform_core.training.search.search import Bounds, find
from loopline.platform_core.training.search.trials import Tasks
from scripts.images.contents import SITE

TRAIN = "loopline.platform_core.training.task:train"


@pytest.fixture
def shared_post(post):
    """Let pods see the team's package and write into its home; with the variables that they need."""
    team = post.home / "team"
    shutil.copytree(Path(__file__).parent / "parcels_site", team, dirs_exist_ok=True)
    for path in (post.home, *post.home.rglob("*")):
        with suppress(FileNotFoundError):  # SQLite's own, which go with the last connection
            path.chmod(0o777)  # the pod is nobody's root
    env = {name: os.environ[name] for name in ("LOOPLINE_HOME", "PARCELS_CALLS")}
    return post, env | {"PYTHONPATH": f"{SITE}:{post.home / 'site'}:{team}"}


@pytest.mark.timeout(600)  # it may bring the cluster up
def test_a_training_runs_in_a_pod(shared_post, kubernetes_compute):
    """Its environment comes as text, its team's package by a path that the pod has; the caller finds the version."""
    post, env = shared_post
    compute = kubernetes_compute(env=env)
    args = post.args("mlflow", "in-a-pod") | {"environment": carried(post.file("mlflow"))}
    done = compute.run(TRAIN, args, Requirements(cpu=1, memory_gb=1.5), "in-a-pod")
    assert done["metrics"]["roc_auc"] > 0.6
    assert post.fits() > 0
    with_registry = post.open("mlflow")
    ref = ModelRef("parcels", "late")
    assert with_registry.registry.versions(ref.dotted)
    assert Path(post.home, "mlflow.db").exists()
    with_registry.close()


@pytest.mark.timeout(600)
def test_a_distributed_training_runs_in_pods(shared_post, kubernetes_compute):
    """LightGBM's own protocol between two pods: both end with the same trees, and one version is registered."""
    post, env = shared_post
    requirements = Requirements(cpu=0.5, memory_gb=1.5, workers=2)
    args = post.args("mlflow", "in-pods") | {"environment": carried(post.file("mlflow")), "model": "together"}
    done = kubernetes_compute(env=env).run(TRAIN, args, requirements, "in-pods")
    first, second = (post.home.joinpath(f"trees-{rank}-of-2.txt").read_text() for rank in range(2))
    assert first == second
    assert done["metrics"]["roc_auc"] > 0.6
    registry = post.open("mlflow")
    assert [one.version for one in registry.registry.versions("parcels.together")] == [done["version"]]
    registry.close()


@pytest.mark.timeout(600)
def test_trials_run_as_jobs_of_their_own(shared_post, kubernetes_compute, tmp_path):
    """Two at a time; a caller that has lost its journal is answered by the Jobs, and fits nothing again."""
    post, env = shared_post
    args = post.args("mlflow", "trials") | {"environment": carried(post.file("mlflow"))}
    search = Search(trials=2, space={"learning_rate": log_range(0.02, 0.3)}, parallel=2)
    tasks = Tasks(kubernetes_compute(env=env), args, Requirements(cpu=0.5, memory_gb=1.5))
    before = post.fits()
    found = find(search, tasks, tmp_path / "first", Bounds(search.parallel))
    assert post.fits() - before == search.trials
    assert found.score > 0.6
    assert find(search, tasks, tmp_path / "again", Bounds(search.parallel)) == found
    assert post.fits() - before == search.trials
