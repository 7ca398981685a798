"""What could never run is refused, with what there is; what might is left to the scheduler."""

from __future__ import annotations

import pytest
from kubernetes_objects import read

from loopline.platform_core.errors import Unsupported
from loopline.platform_core.specs.model import Requirements
from loopline.resources.kubernetes import schedulability
from loopline.resources.kubernetes.quantities import number
from loopline.resources.kubernetes.settings import Largest, Settings

GPU = "nvidia.com/gpu"


def node(*, labels=None, taints=(), **capacity):
    """Return a node; a GPU is ``gpu``."""
    allocatable = {GPU if name == "gpu" else name: size for name, size in capacity.items()}
    allocatable = {"ephemeral-storage": "50Gi"} | allocatable
    return read(
        "Node",
        {
            "metadata": {"name": "n", "labels": labels or {}},
            "spec": {"taints": list(taints)},
            "status": {"allocatable": allocatable},
        },
    )


class Cluster:
    """A link to lists that are given."""

    def __init__(self, nodes=(), quotas=(), limits=()):
        self.core = self
        self.list_node, self.list_namespaced_resource_quota, self.list_namespaced_limit_range = nodes, quotas, limits

    def allowed(self, found, *_args):
        return list(found)

    lately = allowed


def require(cluster, requirements, **settings):
    """Ask whether a task could ever run."""
    schedulability.require(cluster, Settings(image="i", **settings), requirements, "team")


def quota(**hard):
    """Return a quota of the namespace."""
    return read("ResourceQuota", {"metadata": {"name": "most", "namespace": "team"}, "spec": {"hard": hard}})


def test_a_node_that_has_all_of_it_is_needed():
    """Cores of one node and a GPU of another are no place for a task that needs both."""
    nodes = [node(cpu="8", memory="32Gi"), node(cpu="2", memory="8Gi", gpu="1")]
    require(Cluster(nodes), Requirements(cpu=2, memory_gb=8, gpu=1))
    with pytest.raises(Unsupported, match=r"cpu=8.*gpu=1"):
        require(Cluster(nodes), Requirements(cpu=8, memory_gb=8, gpu=1))
    with pytest.raises(Unsupported, match=r"memory_gb=64.*34"):
        require(Cluster(nodes), Requirements(memory_gb=64))


def test_labels_and_taints_say_which_nodes_count():
    """A node that the selector leaves out, or whose taint is not tolerated, is none."""
    kept = {"key": "team", "value": "b", "effect": "NoSchedule"}
    cluster = Cluster([node(labels={"pool": "cpu"}, taints=[kept], cpu="8", memory="32Gi")])
    with pytest.raises(Unsupported, match="none has the labels"):
        require(cluster, Requirements())
    tolerations = ({"key": "team", "operator": "Equal", "value": "b"},)
    require(cluster, Requirements(), tolerations=tolerations)
    with pytest.raises(Unsupported, match="pool"):
        require(cluster, Requirements(), tolerations=tolerations, node_selector={"pool": "gpu"})


def test_who_asks_for_a_gpu_tolerates_its_taint_and_a_sick_node_counts():
    """Nodes with GPUs are kept for those; a node that is not ready now may be later."""
    taints = [
        {"key": GPU, "effect": "NoSchedule"},
        {"key": "node.kubernetes.io/not-ready", "effect": "NoExecute"},
    ]
    cluster = Cluster([node(taints=taints, cpu="8", memory="32Gi", gpu="1")])
    require(cluster, Requirements(gpu=1))
    with pytest.raises(Unsupported):
        require(cluster, Requirements())


def test_disk_counts_too():
    """Where nodes do not count it, nobody must ask for it."""
    nodes = [node(cpu="2", memory="8Gi", **{"ephemeral-storage": "5G"})]
    with pytest.raises(Unsupported, match=r"ephemeral-storage=10 GB.*ephemeral-storage=5 GB"):
        require(Cluster(nodes), Requirements())
    require(Cluster(nodes), Requirements(), ephemeral_storage_gb=0)


def test_a_pool_that_grows_is_believed():
    """Where nodes come when they are needed, the environment says how large they can be."""
    small = Cluster([node(cpu="2", memory="4Gi")])
    largest = Largest(cpu=64, memory_gb=256, gpu=8)
    require(small, Requirements(cpu=32, gpu=8), largest_node=largest)
    with pytest.raises(Unsupported):
        require(small, Requirements(cpu=65), largest_node=largest)


@pytest.mark.parametrize("name", ["requests.memory", "memory", "limits.memory"])
def test_a_quota_that_could_never_hold_it_is_named(name):
    """What the whole quota does not hold, waiting does not bring."""
    with pytest.raises(Unsupported, match=r"quota 'most'.*team"):
        require(Cluster(quotas=[quota(**{name: "4Gi"})]), Requirements(memory_gb=8))
    require(Cluster(quotas=[quota(**{name: "4Gi"})]), Requirements(memory_gb=4))


def test_a_quota_of_gpus_and_a_limit_range_are_named():
    """The quota also under a name of one's own; the other is a container's most."""
    with pytest.raises(Unsupported, match="gpu"):
        require(Cluster(quotas=[quota(**{f"requests.{GPU}": "1"})]), Requirements(gpu=2))
    most = {"limits": [{"type": "Container", "max": {"cpu": "2"}}]}
    limit = {"metadata": {"name": "l", "namespace": "team"}, "spec": most}
    with pytest.raises(Unsupported, match="limit range 'l'"):
        require(Cluster(limits=[read("LimitRange", limit)]), Requirements(cpu=3))


def test_who_may_not_look_is_not_refused():
    """Without the right to list nodes, the scheduler decides."""
    require(Cluster(), Requirements(cpu=100_000))


@pytest.mark.parametrize(
    ("text", "size"),
    [("250m", 0.25), ("4Gi", 2**32), ("2", 2), ("1e3", 1000), ("128974848", 128974848), ("1E", 1e18), ("5k", 5000)],
)
def test_quantities(text, size):
    """As Kubernetes writes them."""
    assert number(text) == size


def test_workers_that_no_nodes_hold_together_are_refused():
    """Each would fit somewhere; a pool that grows is believed, a quota is for all of them."""
    cluster = Cluster([node(cpu="4", memory="32Gi"), node(cpu="3", memory="32Gi")])
    require(cluster, Requirements(cpu=2, workers=3))
    with pytest.raises(Unsupported, match=r"4 workers.*2 nodes hold 3"):
        require(cluster, Requirements(cpu=2, workers=4))
    require(cluster, Requirements(cpu=2, workers=4), largest_node=Largest(cpu=4, memory_gb=32))
    with pytest.raises(Unsupported, match="quota 'most'"):
        require(Cluster(quotas=[quota(memory="8Gi")]), Requirements(memory_gb=4, workers=3))


def test_a_node_that_has_just_come_counts():
    """What was listed a minute ago allows, and refuses nothing: before that, the nodes are looked at again."""

    class Remembering(Cluster):
        looks = 0

        def lately(self, _):
            return [node(cpu="1", memory="2Gi")]

        def allowed(self, found, *args):
            self.looks += found is self.list_node
            return super().allowed(found, *args)

    cluster = Remembering([node(cpu="8", memory="32Gi")])
    require(cluster, Requirements(cpu=1, memory_gb=1))
    assert cluster.looks == 0
    require(cluster, Requirements(cpu=8, memory_gb=8))
    assert cluster.looks == 1
    with pytest.raises(Unsupported, match=r"of 1 nodes the most is .*cpu=8"):
        require(cluster, Requirements(cpu=9))
