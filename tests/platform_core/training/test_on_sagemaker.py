"""A training as a SageMaker training job, by the fake that runs it: the same team, the same task, the same version."""

from __future__ import annotations

import os
from pathlib import Path

from loopline.platform_core.environment import carried
from loopline.platform_core.specs import Requirements
from tests.emulators.sagemaker_server import bound, s3, server

__all__ = ["bound", "s3", "server"]
TRAIN = "loopline.platform_core.training.task:train"


def test_a_training_runs_as_a_training_job(post, bound, server):
    """Its environment comes as text into a container that knows no variable of its caller's; the version is found."""
    site = Path(__file__).parent / "parcels_site"
    known = {name: os.environ[name] for name in ("LOOPLINE_HOME", "PARCELS_CALLS")}
    compute = bound(env=known | {"PYTHONPATH": f"{post.home / 'site'}:{site}"})
    args = post.args("mlflow", "on-sagemaker") | {"environment": carried(post.file("mlflow"))}
    done = compute.run(TRAIN, args, Requirements(cpu=1, memory_gb=4), "on-sagemaker")
    assert done["metrics"]["roc_auc"] > 0.6
    assert post.fits() > 0
    platform = post.open("mlflow")
    assert [one.version for one in platform.registry.versions("parcels.late")] == [done["version"]]
    platform.close()
    billed = compute.billed("on-sagemaker")
    assert billed is not None
    assert billed.machine == "ml.m5.large"
    assert billed.seconds >= done["usage"]["wall_seconds"]
    tags = {tag["Key"]: tag["Value"] for tag in server.asked("CreateTrainingJob")[-1]["Tags"]}
    said = {"team": "parcels", "model": "late", "cycle": "on-sagemaker", "key": "on-sagemaker"}
    assert {f"loopline:{name}": value for name, value in said.items()}.items() <= tags.items()
