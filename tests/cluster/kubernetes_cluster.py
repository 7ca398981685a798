"""The Kubernetes of the test session's own, brought up when the first test needs it."""

from __future__ import annotations

import fcntl
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from loopline.platform_core.testing.parts import model_packages
from scripts.cluster.images import Images, with_file, with_loopline, with_team
from scripts.cluster.outside import Cluster, missing, obstacle, running

NUMBERS = count(1)
OBJECT_STORE_PORT, HTTP_PORT, GRPC_PORT, GATEWAY_PORT = 8333, 30080, 30081, 30082
WEB_PORT = 30030
PORTS = (OBJECT_STORE_PORT, HTTP_PORT, GRPC_PORT, GATEWAY_PORT, WEB_PORT)
"""Ports of the node that tests reach from outside."""

MODELS = "platform_core/testing/parts/model_packages.py"
"""Which file of our package holds the estimators of tests' models."""
BAD_IMAGES = {
    "without-models": 'raise ImportError("this image lacks what models need")\n',
    "failing": Path(model_packages.__file__).read_text().replace("(x[:, 0] < 0).any()", "(x[:, 0] > 0).any()"),
}
"""Images in which tests' models cannot be loaded, or fail for callers whose first feature is above 0."""


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """Run a cluster with one real node, which knows the image of our package; skipped where none can be."""
    if problem := obstacle():
        pytest.skip(problem)
    if absent := missing():
        pytest.fail(f"{', '.join(absent)} missing: run scripts/cluster.sh")
    images = images_built(tmp_path_factory.getbasetemp())
    scratch = tempfile.TemporaryDirectory(prefix="loopline-cluster-")
    with scratch as folder, running(Path(folder) / "cluster", images, PORTS) as found:
        yield found


def images_folder(base: Path) -> Path:
    """Return where this session's images lie."""
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "images"


def images_built(base: Path) -> Images:
    """Build the images, or take those that another worker of this session builds."""
    folder = images_folder(base)
    folder.mkdir(exist_ok=True)
    done = folder / "images.json"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            made = with_team(folder, with_loopline(folder), "kiln", Path(__file__).with_name("kiln"))
            for name, text in BAD_IMAGES.items():
                made = with_file(folder, made, name, MODELS, text)
            done.write_text(json.dumps([str(made.seed), *map(str, made.archives)]))
    seed, *archives = map(Path, json.loads(done.read_text()))
    return Images(seed, tuple(archives))


@pytest.fixture(scope="session")
def kubernetes_api(cluster):
    """Give the cluster's API, signed in as its administrator."""
    from kubernetes import config

    return config.new_client_from_config(str(cluster.kubeconfig))


@pytest.fixture(scope="session")
def kubernetes_core(kubernetes_api):
    """Give the part of it that knows pods, nodes and quotas."""
    from kubernetes import client

    return client.CoreV1Api(kubernetes_api)


@pytest.fixture(scope="module")
def team_namespace(kubernetes_core, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Make a team's namespace: Pod Security ``restricted``, and a claim on the folder of the tests' files."""
    name = f"team-{next(NUMBERS)}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    kubernetes_core.create_namespace({"metadata": {"name": name, "labels": labels}})
    tmp_path_factory.getbasetemp().chmod(0o755)  # pods do not run as root
    size = {"storage": "1Gi"}
    volume = {
        "capacity": size,
        "accessModes": ["ReadWriteMany"],
        "hostPath": {"path": str(tmp_path_factory.getbasetemp())},
        "claimRef": {"namespace": name, "name": "shared"},
    }
    kubernetes_core.create_persistent_volume({"metadata": {"name": name}, "spec": volume})
    claim = {
        "accessModes": ["ReadWriteMany"],
        "storageClassName": "",
        "volumeName": name,
        "resources": {"requests": size},
    }
    kubernetes_core.create_namespaced_persistent_volume_claim(name, {"metadata": {"name": "shared"}, "spec": claim})
    yield name
    kubernetes_core.delete_namespace(name)
    kubernetes_core.delete_persistent_volume(name)


@pytest.fixture
def kubernetes_compute(cluster, team_namespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable]:
    """Bind a compute to the namespace, with settings of a test's own."""
    from loopline.resources.kubernetes.compute import KubernetesCompute
    from scripts.cluster import images
    from scripts.cluster.python_layer import interpreter

    made = []

    def bind(**settings):
        common = {"image": images.NAME, "image_pull_policy": "Never", "python": str(interpreter())}
        claims = {"shared": str(tmp_path_factory.getbasetemp())}
        where = {"kubeconfig": cluster.kubeconfig, "namespace": team_namespace, "claims": claims}
        made.append(KubernetesCompute(**{**common, **where, **settings}))
        return made[-1]

    yield bind
    for one in made:
        one.close()
