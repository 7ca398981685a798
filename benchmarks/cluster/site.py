"""The cluster that is measured on: a namespace in which pods keep to Pod Security, an object store, two images."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from benchmarks.cluster import kserve_image
from loopline.resources.kubernetes.serving import KubernetesServing
from scripts.cluster.images import with_loopline
from scripts.cluster.outside import Cluster, missing, obstacle, running
from tests.cluster.endpoints_in_pods import bound, store_on_node
from tests.cluster.kubernetes_cluster import PORTS

NAMESPACE = "measured"
_CGROUPS = Path("/sys/fs/cgroup")
_PATIENCE_SECONDS = 180


@dataclass(frozen=True)
class Site:
    """A cluster, a folder for files, and how the object store is reached from outside."""

    cluster: Cluster
    folder: Path
    store: Mapping[str, str]

    @cached_property
    def api(self) -> Any:
        """Return the API's client."""
        from kubernetes import config

        return config.new_client_from_config(str(self.cluster.kubeconfig))

    @cached_property
    def core(self) -> Any:
        """Return the part of it that knows pods."""
        from kubernetes import client

        return client.CoreV1Api(self.api)

    @cached_property
    def apps(self) -> Any:
        """Return the part that knows Deployments."""
        from kubernetes import client

        return client.AppsV1Api(self.api)

    @property
    def within(self) -> tuple[str, ...]:
        """Return the command that runs another one in the node's network."""
        return ("nsenter", f"--net={self.cluster.network}")

    def serving(self, **settings: Any) -> KubernetesServing:
        """Bind our serving to the namespace."""
        beyond = {"storage_options": dict(self.store), "kubeconfig": self.cluster.kubeconfig}
        found = bound(self.core, NAMESPACE, "kubernetes", KubernetesServing, beyond, **settings)
        assert isinstance(found, KubernetesServing)
        return found

    def cpu_seconds(self, selector: str) -> float:
        """Return what pods of any namespace have used so far, with all containers."""
        pods = self.core.list_pod_for_all_namespaces(label_selector=selector).items
        return sum(_used(pod.metadata.uid) for pod in pods)


@contextmanager
def site() -> Iterator[Site]:
    """Bring a cluster up.

    Raises:
        RuntimeError: this machine can have none.
    """
    if problem := obstacle() or (missing() and f"{', '.join(missing())} missing: run scripts/cluster.sh"):
        raise RuntimeError(problem)
    with tempfile.TemporaryDirectory(prefix="loopline-cluster-") as name:
        folder = Path(name)
        images = with_loopline(folder)
        images = replace(images, archives=(*images.archives, kserve_image.built(folder)))
        with running(folder / "cluster", images, PORTS) as cluster:
            found = Site(cluster, folder, {})
            labels = {"pod-security.kubernetes.io/enforce": "restricted"}
            found.core.create_namespace({"metadata": {"name": NAMESPACE, "labels": labels}})
            with store_on_node(cluster, found.core) as store:
                yield replace(found, store=store)


def until(holds: Callable[[], Any], pause_seconds: float = 0.05, limit_seconds: float = _PATIENCE_SECONDS) -> Any:
    """Wait until something holds, and return it.

    Raises:
        TimeoutError: it never did.
    """
    end = time.monotonic() + limit_seconds
    while not (found := holds()):
        if time.monotonic() > end:
            raise TimeoutError(f"nothing after {limit_seconds:g} s")
        time.sleep(pause_seconds)
    return found


def _used(uid: str) -> float:
    """Return a pod's processor seconds, by whichever version of cgroups there is."""
    for file, unit in (("cpuacct.usage", 1e9), ("cpu.stat", 1e6)):
        for found in _CGROUPS.glob(f"**/loopline-*/**/*pod{uid}/{file}"):
            return int(found.read_text().split()[1 if file == "cpu.stat" else 0]) / unit
    raise RuntimeError(f"no cgroup of the pod {uid}")
