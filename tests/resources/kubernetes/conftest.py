"""What the tests of the vendors on Kubernetes share: a team's namespace on the session's cluster, and its compute."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))
NUMBERS = count(1)


@pytest.fixture(scope="session")
def api(cluster):
    """Give the cluster's API, signed in as its administrator."""
    from kubernetes import config

    return config.new_client_from_config(str(cluster.kubeconfig))


@pytest.fixture(scope="session")
def core(api):
    """Give the part of it that knows pods, nodes and quotas."""
    from kubernetes import client

    return client.CoreV1Api(api)


@pytest.fixture
def tmp_path(tmp_path: Path) -> Path:
    """Let pods, which do not run as root, write there too."""
    tmp_path.chmod(0o777)
    return tmp_path


@pytest.fixture(scope="module")
def namespace(core, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Make a team's namespace: Pod Security ``restricted``, and a claim on the folder of the tests' files."""
    name = f"team-{next(NUMBERS)}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    core.create_namespace({"metadata": {"name": name, "labels": labels}})
    size = {"storage": "1Gi"}
    volume = {
        "capacity": size,
        "accessModes": ["ReadWriteMany"],
        "hostPath": {"path": str(tmp_path_factory.getbasetemp())},
        "claimRef": {"namespace": name, "name": "shared"},
    }
    core.create_persistent_volume({"metadata": {"name": name}, "spec": volume})
    claim = {
        "accessModes": ["ReadWriteMany"],
        "storageClassName": "",
        "volumeName": name,
        "resources": {"requests": size},
    }
    core.create_namespaced_persistent_volume_claim(name, {"metadata": {"name": "shared"}, "spec": claim})
    yield name
    core.delete_namespace(name)
    core.delete_persistent_volume(name)


@pytest.fixture
def bound(cluster, namespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable]:
    """Bind a compute to the namespace, with settings of a test's own."""
    from loopline.resources.kubernetes.compute import KubernetesCompute
    from scripts.cluster import images
    from scripts.cluster.python_layer import interpreter

    made = []

    def bind(**settings):
        common = {"image": images.NAME, "image_pull_policy": "Never", "python": str(interpreter())}
        claims = {"shared": str(tmp_path_factory.getbasetemp())}
        where = {"kubeconfig": cluster.kubeconfig, "namespace": namespace, "claims": claims}
        made.append(KubernetesCompute(**{**common, **where, **settings}))
        return made[-1]

    yield bind
    for one in made:
        one.close()
