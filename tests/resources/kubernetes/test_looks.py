"""Why a pod waits and how it ended, told apart by what the API server says of it."""

from __future__ import annotations

import pytest
from kubernetes_objects import container, pod, read

from loopline.platform_core.errors import TaskFailed, Transient
from loopline.platform_core.specs.model import Requirements
from loopline.resources.kubernetes import pod_status

ASKED = Requirements(memory_gb=4)


def failed(status, **more):
    """Return the error of a pod that failed."""
    return pod_status.ended(pod({"phase": "Failed", **status}, **more), ASKED).error


def test_a_pod_at_work_has_not_ended():
    """Neither running nor waiting nor finishing nor unheard of."""
    for status in ({"phase": "Pending"}, {"phase": "Running", "containerStatuses": container(running={})}, {}):
        assert pod_status.ended(pod(status), ASKED) is None


def test_memory_is_permanent_and_says_what_to_raise():
    """An OOM kill would come again."""
    error = failed({"containerStatuses": container(terminated={"exitCode": 137, "reason": "OOMKilled"})})
    assert isinstance(error, TaskFailed)
    assert "more than 4 GB" in error.problem
    assert "memory_gb" in error.fix


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("PreemptionByScheduler", "preempted"),
        ("EvictionByEvictionAPI", "drained"),
        ("DeletionByTaintManager", "unreachable"),
        ("TerminationByKubelet", "runs short"),
        ("SomethingNew", "SomethingNew"),
    ],
)
def test_disruptions_are_transient_and_named(reason, words):
    """Preempted, drained, its node taken back: another try may do, and the words say which it was."""
    conditions = [{"type": "DisruptionTarget", "status": "True", "reason": reason, "message": "as they said"}]
    error = failed({"conditions": conditions, "containerStatuses": container(terminated={"exitCode": 143})})
    assert isinstance(error, Transient)
    assert words in error.problem
    assert "as they said" in error.problem


def test_an_eviction_for_the_nodes_sake_is_transient_and_one_for_its_own_disk_is_not():
    """Who fills the disk fills it again."""
    pressed = failed({"reason": "Evicted", "message": "The node was low on resource: memory."})
    assert isinstance(pressed, Transient)
    full = failed({"reason": "Evicted", "message": "Pod ephemeral local storage usage exceeds the total limit of 10G."})
    assert isinstance(full, TaskFailed)
    assert "ephemeral_storage_gb" in full.fix


@pytest.mark.parametrize(("code", "kind"), [(137, Transient), (143, Transient), (1, TaskFailed), (127, TaskFailed)])
def test_exit_codes(code, kind):
    """A kill may be nobody's fault; a program that cannot start ends so each time."""
    assert isinstance(failed({"containerStatuses": container(terminated={"exitCode": code, "reason": "Error"})}), kind)


def test_scheduler_and_kubelet_have_their_own_words():
    """Unschedulable waits for capacity; an image that cannot be had waits for a person."""
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}
    assert pod_status.wait(pod({"conditions": [condition]})) == pod_status.Wait("0/1 nodes", passing=True)
    waiting = {"reason": "ImagePullBackOff", "message": "no such host"}
    found = pod_status.wait(pod({"containerStatuses": container(waiting=waiting)}))
    assert found == pod_status.Wait("ImagePullBackOff: no such host", passing=False)
    assert pod_status.wait(pod({"containerStatuses": container(waiting={"reason": "ContainerCreating"})})) is None


def test_a_job_whose_pod_is_gone_says_what_the_controller_said():
    """Its condition is what is left of the eviction."""
    condition = {
        "type": "Failed",
        "status": "True",
        "reason": "PodFailurePolicy",
        "message": "Pod a/b has condition DisruptionTarget matching FailJob rule at index 0",
    }
    job = read("Job", {"metadata": {"name": "train"}, "status": {"conditions": [condition]}})
    assert pod_status.failed(job)
    assert not pod_status.complete(job)
    error = pod_status.gone(job, None, ASKED)
    assert isinstance(error, Transient)
    assert "evicted or preempted" in error.problem
