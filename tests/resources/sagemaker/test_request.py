"""The job that is asked for, and on which machine: by the request that the service got."""

from __future__ import annotations

import re

import pytest

from loopline.platform_core.environment import bind
from loopline.platform_core.errors import InvalidEnvironment, InvalidSpec, Unsupported
from loopline.platform_core.specs.model import Requirements
from loopline.resources.managed_jobs.machines import smallest
from loopline.resources.managed_jobs.names import job_name, room, words
from loopline.resources.managed_jobs.service import Order
from loopline.resources.sagemaker.compute import SageMakerCompute
from loopline.resources.sagemaker.instance_types import SHIPPED
from loopline.resources.sagemaker.request import training_job
from tests.emulators.aws_model import model, problems
from tests.emulators.sagemaker_server import IMAGE, ROLE

PLAIN = {"image": IMAGE, "role": ROLE, "store": "s3://tests/loopline"}
SHAPE = model("sagemaker").operation_model("CreateTrainingJob").input_shape
PAIR = Requirements(cpu=3, memory_gb=10, workers=2)
ARGS = {"team": "retail", "model": "cancellations", "cycle": "c-8"}


def order(**more):
    """Return an order of a task."""
    known = {"name": "loopline-k-1", "key": "k", "task": b"{}", "args": ARGS, "requirements": PAIR}
    return Order(**{**known, "machine": "ml.m5.xlarge", **more})


def asked(**settings):
    """Write a request, and hold it against the service's own model."""
    found = training_job(SageMakerCompute(**{**PLAIN, **settings}), order(), "s3://tests/loopline/k/")
    assert problems(SHAPE, found) == []
    return found


def test_everything_that_an_environment_says_is_asked_for():
    """Role of the team, network, keys, limits, tags, and the environment's variables over ours."""
    found = asked(
        role="arn:aws:iam::123456789012:role/ml-{team}",
        subnets=["subnet-1"],
        security_groups=["sg-1"],
        volume_kms_key="alias/disks",
        output_kms_key="alias/answers",
        encrypt_between_workers=True,
        spot=True,
        spot_wait_hours=3,
        max_runtime_hours=2,
        volume_gb=50,
        tags={"tenant": "acme"},
        env={"LOOPLINE_HOME": "/data", "LOOPLINE_LEDGER": "postgresql://ledger/loopline"},
    )
    assert found["RoleArn"] == "arn:aws:iam::123456789012:role/ml-retail"
    assert found["VpcConfig"] == {"Subnets": ["subnet-1"], "SecurityGroupIds": ["sg-1"]}
    assert found["OutputDataConfig"] == {"S3OutputPath": "s3://tests/loopline", "KmsKeyId": "alias/answers"}
    assert found["ResourceConfig"] == {
        "InstanceType": "ml.m5.xlarge",
        "InstanceCount": 2,
        "VolumeSizeInGB": 50,
        "VolumeKmsKeyId": "alias/disks",
    }
    assert found["StoppingCondition"] == {"MaxRuntimeInSeconds": 7200, "MaxWaitTimeInSeconds": 10_800}
    assert found["EnableManagedSpotTraining"] is True
    assert found["EnableInterContainerTrafficEncryption"] is True
    said = {tag["Key"]: tag["Value"] for tag in found["Tags"]}
    assert said == {
        "tenant": "acme",
        "loopline:team": "retail",
        "loopline:model": "cancellations",
        "loopline:cycle": "c-8",
        "loopline:key": "k",
        "loopline:managed-by": "loopline",
    }
    assert found["Environment"]["LOOPLINE_HOME"] == "/data"
    assert found["Environment"]["OMP_NUM_THREADS"] == "3"


def test_the_image_is_started_by_its_own_python():
    """Not by ``train``, which an image of ours does not have."""
    algorithm = asked(python="/opt/venv/bin/python")["AlgorithmSpecification"]
    assert algorithm["ContainerEntrypoint"] == ["/opt/venv/bin/python", "-m", "loopline.resources.sagemaker.in_job"]


def test_a_role_of_a_team_needs_a_team():
    """A task of the platform's own names none."""
    compute = SageMakerCompute(**PLAIN | {"role": "arn:aws:iam::123456789012:role/ml-{team}"})
    with pytest.raises(InvalidEnvironment, match="name it without"):
        training_job(compute, order(args={}), "s3://tests/k/")


def test_a_key_that_the_service_would_cut_is_refused():
    """It could not be told from another one."""
    with pytest.raises(InvalidSpec, match="2501 characters"):
        training_job(SageMakerCompute(**PLAIN), order(key="k" * 2501), "s3://tests/k/")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"store": "s3://UPPER"}, "store"),
        ({"store": "gs://bucket/x"}, "store"),
        ({"env": {"A": "x" * 513}}, "env"),
        ({"env": {"1A": "x"}}, "env"),
        ({"env": {f"V{n}": "" for n in range(91)}}, "env"),
        ({"tags": {"a": "x" * 257}}, "tags"),
        ({"tags": {"a": "<b>"}}, "tags"),
        ({"tags": {f"t{n}": "" for n in range(46)}}, "tags"),
        ({"security_groups": [f"sg-{n}" for n in range(6)]}, "security_groups"),
        ({"endpoints": {"ec2": "https://x"}}, "endpoints"),
        ({"image": "x" * 256}, "image"),
        ({"name_prefix": "Under_score"}, "name_prefix"),
    ],
)
def test_what_the_service_would_refuse_is_refused_when_it_is_bound(wrong, said):
    """The service's limits are ours: an emulator would let them through."""
    with pytest.raises(InvalidEnvironment, match=f"compute.{said}"):
        bind("compute", {"vendor": "sagemaker", **PLAIN, **wrong})


@pytest.mark.parametrize(
    ("asks", "machine"),
    [
        ({"cpu": 1, "memory_gb": 2}, "ml.m5.large"),
        ({"cpu": 2, "memory_gb": 16}, "ml.r5.large"),
        ({"cpu": 4, "memory_gb": 8}, "ml.c5.xlarge"),
        ({"cpu": 4, "memory_gb": 16}, "ml.m5.xlarge"),
        ({"cpu": 1, "memory_gb": 30}, "ml.r5.xlarge"),
        ({"cpu": 1, "memory_gb": 2, "gpu": 1}, "ml.g5.xlarge"),
        ({"cpu": 8, "memory_gb": 64, "gpu": 2}, "ml.g5.12xlarge"),
        ({"cpu": 96, "memory_gb": 1000, "gpu": 8}, "ml.p4d.24xlarge"),
    ],
)
def test_the_smallest_type_that_has_enough_is_taken(asks, machine):
    """First by GPUs, then by cores, then by memory."""
    assert smallest(SHIPPED, Requirements(**asks), 20) == machine


def test_no_type_has_as_much():
    """The error says what was asked for and the largest there is."""
    with pytest.raises(Unsupported, match=r"gpu=9; the largest of the \d+ known is ml.p5.48xlarge"):
        smallest(SHIPPED, Requirements(gpu=9), 20)


def test_every_shipped_type_is_one_of_the_service():
    """What it does not know would be refused with each job."""
    known = set(SHAPE.members["ResourceConfig"].members["InstanceType"].enum)
    assert set(SHIPPED) <= known


KEYS = ["c-8", "retail/cancellations/2026-11-27T10:00:00+00:00", "ä ö ü", "", "-", "k" * 300, "a/b", "a:b", "A/B"]


@pytest.mark.parametrize("prefix", ["loopline", "a" * 16])
def test_names_are_the_service_s_and_tell_keys_apart(prefix):
    """63 letters, digits and dashes; another attempt is another name."""
    names = [job_name(prefix, key, attempt, 63) for key in KEYS for attempt in (1, 9999)]
    assert len(set(names)) == len(names)
    assert all(len(name) <= 63 and re.fullmatch("[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}", name) for name in names)


@pytest.mark.parametrize("key", KEYS)
def test_the_words_of_a_key_begin_those_below_it(key):
    """So what is below a key is among the jobs whose names contain its words."""
    most = room("loopline", 63)
    assert words(f"{key}/trial-1", most).startswith(words(key, most))
    assert f"loopline-{words(key, most)}" in job_name("loopline", f"{key}/trial-1", 1, 63)
