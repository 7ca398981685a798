"""A training as a pod: the same team, the same task, the same version in the registry."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from loopline.platform_core.environment import carried
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.specs.model import Requirements

TRAIN = "loopline.platform_core.training.task:train"


@pytest.mark.cluster
def test_a_training_runs_in_a_pod(post, kubernetes_compute):
    """Its environment comes as text, its team by the path that the image has; the caller finds the version."""
    for path in (post.home, *post.home.rglob("*")):
        path.chmod(0o777)  # the pod is nobody's root
    names = ("LOOPLINE_HOME", "PARCELS_CALLS", "PYTHONPATH")
    site = "/opt/loopline/site-packages"
    env = {name: os.environ[name] for name in names}
    compute = kubernetes_compute(env=env | {"PYTHONPATH": f"{site}:{env['PYTHONPATH']}"})
    args = post.args("mlflow", "in-a-pod") | {"environment": carried(post.file("mlflow"))}
    done = compute.run(TRAIN, args, Requirements(cpu=1, memory_gb=1.5), "in-a-pod")
    assert done["metrics"]["roc_auc"] > 0.6
    assert post.fits() > 0
    with_registry = post.open("mlflow")
    ref = ModelRef("parcels", "late")
    assert with_registry.registry.versions(ref.dotted)
    assert Path(post.home, "mlflow.db").exists()
    with_registry.close()
