"""Which of a gang's pods count, whose end is that of all, and how each learns where the others are."""

from __future__ import annotations

import json
import threading
import time

from kubernetes_objects import container, read

from loopline.resources.kubernetes import in_pod
from loopline.resources.kubernetes.gang import decisive, ranks_of
from loopline.resources.kubernetes.names import GANG

SPEC = {"containers": [{"name": "task", "image": "example/team:7"}]}


def worker(rank, status, *, told=True, deleted=False, made="2026-01-01T00:00:00Z"):
    """Return the pod of a rank."""
    metadata = {
        "name": f"train-{rank}-{made}",
        "creationTimestamp": made,
        "labels": {"batch.kubernetes.io/job-completion-index": str(rank)},
        "annotations": {GANG: "[]"} if told else {},
    }
    if deleted:
        metadata["deletionTimestamp"] = "2026-01-01T00:01:00Z"
    return read("Pod", {"metadata": metadata, "spec": SPEC, "status": status})


def ended(code, second=5, phase="Failed", **more):
    """Return the status of a pod whose container ended."""
    terminated = {"exitCode": code, "finishedAt": f"2026-01-01T00:00:{second:02}Z"}
    return {"phase": phase, "containerStatuses": container(terminated=terminated), **more}


AT_WORK = {"phase": "Running", "containerStatuses": container(running={})}
DONE = ended(0, phase="Succeeded")
DRAINED = [{"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI", "message": "drained"}]


def test_the_newest_pod_of_each_rank_counts():
    """One that gave its place back before it began is no rank; one that had begun and is taken away still is."""
    later = "2026-01-01T00:10:00Z"
    pods = [
        worker(1, AT_WORK),
        worker(0, AT_WORK, told=False, deleted=True),
        worker(1, AT_WORK, made=later),
        worker(2, AT_WORK, told=False, deleted=True),
        worker(3, AT_WORK, deleted=True),
    ]
    found = ranks_of(pods, 4)
    assert list(found) == [1, 3]
    assert found[1].metadata.name.endswith(later)


def test_all_are_done_when_each_is():
    """The first one's answer is not the gang's while another is at work."""
    assert decisive({0: worker(0, DONE), 1: worker(1, AT_WORK)}, 2) is None
    assert decisive({0: worker(0, DONE)}, 2) is None
    both = {0: worker(0, DONE), 1: worker(1, DONE)}
    assert decisive(both, 2) is both[0]


def test_the_first_that_fell_says_why():
    """Not one that was ended for its sake, nor one that lost its connection to it a second later."""
    ranks = {
        0: worker(0, ended(143, second=3), deleted=True),
        1: worker(1, ended(1, second=5)),
        2: worker(2, ended(1, second=6)),
        3: worker(3, DONE),
    }
    assert decisive(ranks, 4) is ranks[1]
    drained = {
        0: worker(0, ended(143, second=3), deleted=True),
        1: worker(1, ended(143, 4, conditions=DRAINED), deleted=True),
    }
    assert decisive(drained, 2) is drained[1]


def test_a_pod_waits_until_it_knows_the_others(tmp_path, monkeypatch):
    """The kubelet fills the file when all have their places."""
    monkeypatch.setenv("JOB_COMPLETION_INDEX", "1")
    file = tmp_path / "gang"
    file.write_text("")
    addresses = ["10.0.0.7:29500", "10.0.0.8:29500"]

    threading.Timer(0.3, file.write_text, (json.dumps(addresses),)).start()
    began = time.monotonic()
    gang = in_pod._together(file)
    assert time.monotonic() - began > 0.2
    variables = gang.variables()
    assert (gang.rank, list(gang.addresses)) == (1, addresses)
    assert (variables["MASTER_ADDR"], variables["MASTER_PORT"]) == ("10.0.0.7", "29500")
    assert (variables["RANK"], variables["WORLD_SIZE"]) == ("1", "2")
