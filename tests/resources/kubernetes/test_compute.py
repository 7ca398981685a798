"""The compute on a real cluster: every promise, and each way in which a pod ends."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from kubernetes import client

from loopline.platform_core.errors import InvalidEnvironment, Overloaded, Refused, TaskFailed, Transient, Unsupported
from loopline.platform_core.specs.model import Requirements
from loopline.platform_core.testing.compute import (
    ECHO,
    ENDLESS,
    ENDLESS_SECONDS,
    HUNGRY,
    MEET,
    PAIR,
    SLOW,
    SMALL,
    TALK,
    TINY,
    ComputeKit,
    calls,
)
from loopline.resources.kubernetes.names import job_name
from scripts.cluster.pools import Pool, grant
from scripts.cluster.settings import NODE
from tests.cluster.killing import api_server, away

pytestmark = pytest.mark.timeout(600)  # the first one brings the cluster up
GPU = "nvidia.com/gpu"
TOLD_SECONDS = 30


class TestKubernetesCompute(ComputeKit):
    tested_on = "real cluster"

    @pytest.fixture
    def compute(self, bound, request):
        """One whose keys are of this test alone."""
        return bound()


def pods(core, namespace, key):
    """Return a key's pods."""
    return core.list_namespaced_pod(namespace, label_selector=f"batch.kubernetes.io/job-name={job_name(key)}").items


def until(holds, seconds=60):
    """Wait until something holds, and return it."""
    end = time.monotonic() + seconds
    while not (found := holds()):
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.1)  # between two looks: what is looked at tells nobody
    return found


@pytest.fixture
def at_work():
    """Run tasks in threads of their own."""
    with ThreadPoolExecutor(4) as pool:
        yield pool.submit


CALLER = """
import json, sys
from pathlib import Path
from loopline.platform_core.testing.compute import SLOW, SMALL
from loopline.resources.kubernetes.compute import KubernetesCompute
compute = KubernetesCompute(**json.loads(sys.argv[1]))
print(json.dumps(compute.run(SLOW, {"folder": sys.argv[2], "value": 7}, SMALL, sys.argv[3])))
"""


def called(compute, folder, key):
    """Start a caller of its own process, and wait until its task runs."""
    caller = subprocess.Popen([sys.executable, "-c", CALLER, compute.model_dump_json(), str(folder), key])
    until(lambda: calls(folder))
    return caller


def test_killed_caller_leaves_the_job_at_work(bound, tmp_path):
    """A caller is killed (-9) in mid-task: the next caller gets the result of the very same run."""
    compute = bound()
    caller = called(compute, tmp_path, "shared")
    caller.kill()
    caller.wait()
    assert compute.run(SLOW, {"folder": str(tmp_path), "value": 7}, SMALL, "shared") == {"value": 7, "before": 0}
    assert calls(tmp_path) == 1


def test_an_answer_outlives_its_pod(bound, core, namespace, tmp_path):
    """A pod goes with its node; the first result stays with the Job."""
    args = {"folder": str(tmp_path), "value": 1}
    first = bound().run(ECHO, args, SMALL, "outlives")
    for pod in pods(core, namespace, "outlives"):
        core.delete_namespaced_pod(pod.metadata.name, namespace)
    until(lambda: not pods(core, namespace, "outlives"))
    assert bound().run(ECHO, args, SMALL, "outlives") == first
    assert calls(tmp_path) == 1


def test_an_answer_that_nobody_read_is_made_anew(bound, core, namespace, api, tmp_path):
    """The caller died, and then the pod went: the task runs again."""
    compute, args = bound(), {"folder": str(tmp_path), "value": 7}
    caller = called(compute, tmp_path, "unread")
    caller.kill()
    caller.wait()
    batch = client.BatchV1Api(api)
    until(lambda: batch.read_namespaced_job(job_name("unread"), namespace).status.succeeded)
    for pod in pods(core, namespace, "unread"):
        core.delete_namespaced_pod(pod.metadata.name, namespace)
    until(lambda: not pods(core, namespace, "unread"))
    assert compute.run(SLOW, args, SMALL, "unread")["before"] == 1


def test_too_little_memory_is_permanent_and_says_what_to_raise(bound):
    """The kernel kills it; another try would end the same way."""
    with pytest.raises(TaskFailed, match=r"more than 0\.2 GB") as caught:
        bound().run(HUNGRY, {"gigabytes": 0.6}, Requirements(memory_gb=0.2), "hungry")
    assert "memory_gb" in caught.value.fix


def test_a_drained_node_is_transient_and_the_key_runs_anew(bound, core, namespace, at_work, tmp_path):
    """The pod is evicted by the API, as ``kubectl drain`` does."""
    args = {"folder": str(tmp_path), "seconds": ENDLESS_SECONDS}
    waiting = at_work(bound().run, ENDLESS, args, SMALL, "drained")
    until(lambda: calls(tmp_path))
    (pod,) = pods(core, namespace, "drained")
    core.create_namespaced_pod_eviction(
        pod.metadata.name, namespace, client.V1Eviction(metadata=client.V1ObjectMeta(name=pod.metadata.name))
    )
    with pytest.raises(Transient, match="drained"):
        waiting.result(120)
    assert bound().run(ENDLESS, args | {"seconds": 0}, SMALL, "drained") == 1


def test_a_preempted_task_is_transient_and_says_so(bound, api, core, at_work, tmp_path):
    """Something more important takes its cores."""
    scheduling = client.SchedulingV1Api(api)
    for name, value in (("loopline-low", -10), ("loopline-high", 10)):
        scheduling.create_priority_class({"metadata": {"name": name}, "value": value})
    cores = float(core.read_node(NODE).status.allocatable["cpu"])
    most = Requirements(cpu=cores * 0.8, memory_gb=0.1)
    args = {"folder": str(tmp_path), "seconds": ENDLESS_SECONDS}
    low = at_work(bound(priority_class="loopline-low").run, ENDLESS, args, most, "low")
    until(lambda: calls(tmp_path))
    high = at_work(bound(priority_class="loopline-high").run, ENDLESS, args | {"seconds": 0}, most, "high")
    with pytest.raises(Transient, match="preempted"):
        low.result(120)
    assert high.result(120) == 1


def test_an_image_that_is_not_there_is_told_in_time(bound):
    """The kubelet's words, and that it is the environment's to mend."""
    began = time.monotonic()
    with pytest.raises(InvalidEnvironment, match=r"loopline\.local/nobody:1"):
        bound(image="loopline.local/nobody:1", waiting="fail").run("os:getpid", {}, SMALL, "no-image")
    assert time.monotonic() - began < 2 * TOLD_SECONDS  # told in 30 s on a machine that has its cores for itself


@pytest.fixture
def one_gpu(core, namespace):
    """Give the node a GPU, and the team a quota of two."""
    grant(core, NODE, GPU, 1)
    until(lambda: core.read_node(NODE).status.allocatable.get(GPU) == "1")
    quota = {"metadata": {"name": "gpus"}, "spec": {"hard": {f"requests.{GPU}": "2"}}}
    core.create_namespaced_resource_quota(namespace, quota)
    until(lambda: (core.read_namespaced_resource_quota("gpus", namespace).status.hard or {}).get(f"requests.{GPU}"))
    yield lambda key: pods(core, namespace, key)
    core.delete_namespaced_resource_quota("gpus", namespace)
    grant(core, NODE, GPU, 0)


def test_one_gpu_the_second_task_waits_the_quota_refuses_the_third(bound, one_gpu, at_work, tmp_path, capfd):
    """A GPU task lands where one is; the scheduler's words and the quota's name reach whoever waits."""
    one, args = Requirements(memory_gb=0.1, gpu=1), {"folder": str(tmp_path), "seconds": ENDLESS_SECONDS}
    compute, seen = bound(), []
    first = at_work(compute.run, ENDLESS, args, one, "gpu-1")
    until(lambda: calls(tmp_path))
    second = at_work(bound().run, ENDLESS, args | {"seconds": 0}, one, "gpu-2")
    until(lambda: one_gpu("gpu-2"))
    third = at_work(bound(waiting="fail").run, ENDLESS, args, one, "gpu-3")
    with pytest.raises(Overloaded, match="exceeded quota: gpus"):
        third.result(ENDLESS_SECONDS)
    until(lambda: seen.append(capfd.readouterr().err) or f"Insufficient {GPU}" in "".join(seen))
    compute.cancel("gpu-1")
    with pytest.raises(Refused, match="cancelled"):
        first.result(ENDLESS_SECONDS)
    assert second.result(ENDLESS_SECONDS) == 1
    assert one_gpu("gpu-2")[0].spec.node_name == NODE
    with pytest.raises(Unsupported, match=r"quota 'gpus'|no node has it"):
        bound().run(ECHO, {}, Requirements(gpu=3), "gpu-4")


def test_a_gang_with_too_few_places_does_not_begin_and_keeps_none(bound, core, at_work, tmp_path, capfd):
    """One of two would fit beside what runs: none begins, the one gives its place back, and both come when they can."""
    whole = float(core.read_node(NODE).status.allocatable["cpu"])
    busy, gang = tmp_path / "busy", tmp_path / "gang"
    for folder in (busy, gang):
        folder.mkdir()
        folder.chmod(0o777)
    first = Requirements(cpu=whole * 0.4, memory_gb=0.1)
    two = Requirements(cpu=whole * 0.35, memory_gb=0.1, workers=2)
    blocking = at_work(bound().run, ENDLESS, {"folder": str(busy), "seconds": ENDLESS_SECONDS}, first, "blocks")
    until(lambda: calls(busy))
    waiting = at_work(bound(gang_seconds=2).run, MEET, {"folder": str(gang)}, two, "gang")
    until(lambda: [pod for pod in pods(core, bound().namespace, "gang") if pod.spec.node_name], 120)
    until(lambda: "gives its places back" in capfd.readouterr().err, 120)
    until(lambda: not [p for p in pods(core, bound().namespace, "gang") if not p.metadata.deletion_timestamp], 120)
    assert calls(gang) == 0
    bound().cancel("blocks")
    assert waiting.result(240)["heard"] == [0, 1]
    assert calls(gang) == two.workers
    with pytest.raises(Refused):
        blocking.result(60)


def test_a_drained_rank_ends_its_gang(bound, core, namespace, at_work, tmp_path):
    """Its pod is evicted: the error says that, the other is gone too, and the key runs anew."""
    args = {"folder": str(tmp_path), "seconds": ENDLESS_SECONDS}
    waiting = at_work(bound().run, ENDLESS, args, PAIR, "gang-drained")
    until(lambda: calls(tmp_path) == PAIR.workers, 120)
    name = next(pod.metadata.name for pod in pods(core, namespace, "gang-drained") if "-1-" in pod.metadata.name)
    core.create_namespaced_pod_eviction(name, namespace, client.V1Eviction(metadata=client.V1ObjectMeta(name=name)))
    with pytest.raises(Transient, match="drained"):
        waiting.result(120)
    until(
        lambda: (
            not pods(core, namespace, "gang-drained")
            or all(pod.status.phase == "Failed" for pod in pods(core, namespace, "gang-drained"))
        )
    )
    assert bound().run(ENDLESS, args | {"seconds": 0}, PAIR, "gang-drained") in {2, 3}


def test_pools_by_label_and_taint(bound, api, core, namespace, at_work):
    """Where a GPU node is only simulated, the pod is bound to it, and to no other."""
    taint = {"key": GPU, "value": "present", "effect": "NoSchedule"}
    capacity = {"cpu": "16", "memory": "64Gi", "ephemeral-storage": "100Gi", GPU: "4"}
    with Pool(api, ["gpu-a"], capacity, {"pool": "gpu"}, [taint]):
        compute = bound(gpu_node_selector={"pool": "gpu"})
        waiting = at_work(compute.run, ECHO, {"folder": "/", "value": 1}, Requirements(memory_gb=0.1, gpu=4), "pooled")
        (pod,) = until(lambda: [pod for pod in pods(core, namespace, "pooled") if pod.spec.node_name])
        assert pod.spec.node_name == "gpu-a"
        compute.cancel("pooled")
        core.delete_namespaced_pod(
            pod.metadata.name, namespace, grace_period_seconds=0
        )  # no kubelet is there to end it
        with pytest.raises((Refused, Transient)):
            waiting.result(60)


def test_the_log_comes_while_the_task_runs(bound, at_work, capfd):
    """Whoever waits reads along, and reads every line once."""
    running = at_work(bound().run, TALK, {"lines": 20, "pause_seconds": 0.5}, SMALL, "talk")
    seen = ""

    def told():
        nonlocal seen
        seen += capfd.readouterr().err
        return "line 3 of 20" in seen

    until(told)
    assert not running.done()
    assert running.result(60) == 20
    seen += capfd.readouterr().err
    assert [line for line in seen.splitlines() if line.startswith("line ")] == [f"line {n} of 20" for n in range(20)]


def test_an_api_server_away_for_a_minute_loses_nothing_and_is_told(bound, cluster, at_work, tmp_path, capfd):
    """Two tasks end meanwhile, one of them a gang's; who waits is told while it is away, and nothing runs twice."""
    seen = ""

    def told(words):
        nonlocal seen
        seen += capfd.readouterr().err
        return words in seen

    alone, together = tmp_path / "alone", tmp_path / "together"
    for folder in (alone, together):
        folder.mkdir()
        folder.chmod(0o777)
    for_long = {"seconds": 30}
    first = at_work(bound().run, ENDLESS, for_long | {"folder": str(alone)}, TINY, "minute")
    gang = at_work(bound().run, ENDLESS, for_long | {"folder": str(together)}, PAIR, "minute-gang")
    until(lambda: calls(alone) and calls(together) == PAIR.workers, 120)
    with away(api_server(cluster), 65):
        until(lambda: told("the Kubernetes API does not answer"), 60)
    assert (first.result(180), gang.result(180) in {0, 1}) == (0, True)
    assert (calls(alone), calls(together)) == (1, PAIR.workers)
    until(lambda: told("answers again"), 10)


def test_an_api_server_that_stays_away_has_a_bound(bound, tmp_path):
    """The message says that the Job goes on."""
    kubeconfig = tmp_path / "kubeconfig"
    document = json.loads(bound().kubeconfig.read_text())
    document["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    kubeconfig.write_text(json.dumps(document))
    with pytest.raises(Transient, match="away"):
        bound(kubeconfig=kubeconfig, api_patience_seconds=1).run("os:getpid", {}, SMALL, "nobody")


def test_a_namespace_that_is_not_there_is_the_environments_fault(bound):
    """With the server's own words."""
    with pytest.raises(InvalidEnvironment, match="nowhere"):
        bound(namespace="nowhere").run("os:getpid", {}, SMALL, "nobody")


def test_a_failure_shows_the_traceback(bound, tmp_path):
    """The error names the line that raised, as on a laptop."""
    with pytest.raises(TaskFailed) as caught:
        bound().run("loopline.platform_core.testing.compute:fragile", {"folder": str(tmp_path)}, SMALL, "fragile")
    assert "ValueError: the cup fell" in caught.value.problem
    assert 'raise ValueError("the cup fell")' in caught.value.fix
