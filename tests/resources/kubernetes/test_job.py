"""The Job that a task becomes."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loopline.platform_core.environment import bind
from loopline.platform_core.errors import InvalidEnvironment
from loopline.platform_core.specs.model import Requirements
from loopline.resources.kubernetes.job import manifest
from loopline.resources.kubernetes.names import job_name
from loopline.resources.kubernetes.settings import Settings


def pod(requirements=None, **settings):
    """Return the pod of a Job."""
    job = manifest(Settings(image="example/retail:7", **settings), requirements or Requirements(), "k", "packed", "a")
    return job["spec"]["template"]["spec"]


@given(st.text(min_size=1))
def test_any_key_becomes_a_name(key):
    """A label of the DNS, which pods' names still fit behind."""
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", job_name(key))
    assert len(job_name(key)) <= 57


def test_keys_that_look_alike_have_names_of_their_own():
    """``k/2`` is not ``k:2``."""
    assert len({job_name(key) for key in ("k/2", "k:2", "K-2", "k-2")}) == 4


def test_requirements_become_resources():
    """Memory and GPUs are asked for and limited, cores are asked for."""
    found = pod(Requirements(cpu=1.5, memory_gb=4, gpu=2))["containers"][0]["resources"]
    assert found["requests"] == {
        "cpu": "1500m",
        "memory": "4000000000",
        "ephemeral-storage": "10000000000",
        "nvidia.com/gpu": "2",
    }
    assert "cpu" not in found["limits"]
    assert found["limits"]["nvidia.com/gpu"] == "2"


def test_only_who_asks_for_a_gpu_goes_where_they_are():
    """Its resource, selector and taint are the environment's."""
    where = {"gpu_resource": "amd.com/gpu", "gpu_node_selector": {"pool": "gpu"}, "node_selector": {"arch": "x"}}
    assert pod(**where)["nodeSelector"] == {"arch": "x"}
    assert pod(**where)["tolerations"] == []
    with_gpu = pod(Requirements(gpu=1), **where)
    assert with_gpu["nodeSelector"] == {"arch": "x", "pool": "gpu"}
    assert with_gpu["tolerations"][0]["key"] == "amd.com/gpu"


def test_the_container_sees_threads_claims_and_secrets():
    """One core asked, one thread for OpenMP; claims at their paths; variables from Secrets."""
    found = pod(claims={"shared": "/mnt/shared"}, environment_from=("store",), env={"A": "b"}, priority_class="low")
    container = found["containers"][0]
    variables = {one["name"]: one["value"] for one in container["env"]}
    assert variables["OMP_NUM_THREADS"] == "1"
    assert variables["A"] == "b"
    assert "/mnt/shared" in {mount["mountPath"] for mount in container["volumeMounts"]}
    assert container["envFrom"] == [{"secretRef": {"name": "store"}}]
    assert found["priorityClassName"] == "low"


def test_workers_become_an_indexed_job():
    """As many pods as workers, each with as much; one that fails is not tried again."""
    job = manifest(Settings(image="i"), Requirements(cpu=2, workers=3), "k", "packed", "a")["spec"]
    assert (job["completionMode"], job["completions"], job["parallelism"], job["backoffLimit"]) == ("Indexed", 3, 3, 0)
    container = job["template"]["spec"]["containers"][0]
    assert {"name": "LOOPLINE_WORKERS", "value": "3"} in container["env"]
    assert container["resources"]["requests"]["cpu"] == "2000m"
    alone = manifest(Settings(image="i"), Requirements(), "k", "packed", "a")["spec"]
    assert "completionMode" not in alone


def test_a_team_has_a_namespace_and_an_account():
    """As the task's arguments name it; a task without a team needs names without one."""
    settings = Settings(image="i", namespace="ml-{team}", service_account="{team}-training")
    assert settings.placed({"team": "retail"}) == ("ml-retail", "retail-training")
    assert settings.placed({"team": "ad_tech"}) == ("ml-ad-tech", "ad-tech-training")
    with pytest.raises(InvalidEnvironment, match=r"\{team\}"):
        settings.placed({})


def test_an_environment_binds_it():
    """By its name, without a cluster."""
    bound = bind(
        "compute", {"vendor": "kubernetes", "image": "example/retail:7", "largest_node": {"cpu": 8, "memory_gb": 32}}
    )
    assert bound.largest_node.cpu == 8
