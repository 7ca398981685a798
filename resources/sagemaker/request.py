"""Request of a SageMaker training job."""

from __future__ import annotations

from typing import Any

from loopline.resources.managed_jobs.service import Order
from loopline.resources.managed_jobs.settings import SAID, filled
from loopline.resources.sagemaker.in_job import CHANNEL
from loopline.resources.sagemaker.settings import Settings, tag_value

KEY, WORKERS = "loopline-key", "loopline-workers"
"""The hyperparameters that say for which key a job was made, and how many workers it has."""
MOST_KEY_CHARS = 2500
"""A hyperparameter's value may have so many."""
_HOUR_SECONDS = 3600

Request = dict[str, Any]


def training_job(settings: Settings, order: Order, task_url: str) -> Request:
    """Write the request of a job whose task lies below ``task_url``.

    Raises:
        InvalidSpec: the key is longer than the service keeps.
    """
    order.check_key(MOST_KEY_CHARS)
    found: Request = {
        "TrainingJobName": order.name,
        "AlgorithmSpecification": {
            "TrainingImage": settings.image,
            "TrainingInputMode": "File",
            "ContainerEntrypoint": [settings.python, "-m", "loopline.resources.sagemaker.in_job"],
        },
        "RoleArn": filled(settings.role, order.args, "role"),
        "HyperParameters": {KEY: order.key, WORKERS: str(order.requirements.workers)},
        "Environment": settings.variables(order.requirements.cpu),
        "InputDataConfig": [_channel(task_url)],
        "OutputDataConfig": _given(S3OutputPath=settings.store, KmsKeyId=settings.output_kms_key),
        "ResourceConfig": _resources(settings, order),
        "StoppingCondition": {"MaxRuntimeInSeconds": int(settings.max_runtime_hours * _HOUR_SECONDS)},
        "Tags": [{"Key": name, "Value": value} for name, value in _tags(settings, order).items()],
        "EnableInterContainerTrafficEncryption": settings.encrypt_between_workers,
    }
    if settings.subnets:
        found["VpcConfig"] = {"Subnets": [*settings.subnets], "SecurityGroupIds": [*settings.security_groups]}
    if settings.spot:
        longest = max(settings.spot_wait_hours, settings.max_runtime_hours)
        found["EnableManagedSpotTraining"] = True
        found["StoppingCondition"]["MaxWaitTimeInSeconds"] = int(longest * _HOUR_SECONDS)
    return found


def _given(**members: Any) -> Request:
    return {name: value for name, value in members.items() if value is not None}


def _resources(settings: Settings, order: Order) -> Request:
    return _given(
        InstanceType=order.machine,
        InstanceCount=order.requirements.workers,
        VolumeSizeInGB=settings.volume_gb,
        VolumeKmsKeyId=settings.volume_kms_key,
    )


def _channel(task_url: str) -> Request:
    source = {"S3DataType": "S3Prefix", "S3Uri": task_url, "S3DataDistributionType": "FullyReplicated"}
    return {"ChannelName": CHANNEL, "DataSource": {"S3DataSource": source}, "InputMode": "File"}


def _tags(settings: Settings, order: Order) -> dict[str, str]:
    own = {f"loopline:{name}": tag_value(str(order.args[name])) for name in SAID if name in order.args}
    return {**settings.tags, **own, "loopline:key": tag_value(order.key), "loopline:managed-by": "loopline"}
