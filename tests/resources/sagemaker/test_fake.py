"""The fake is strict: it refuses what the service's own model does, and what it does not know."""

from __future__ import annotations

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.emulators.sagemaker_server import IMAGE, ROLE
from tests.s3_server import BUCKET, KEY, SECRET


def client(server, secret=SECRET, service="sagemaker"):
    """Return AWS's own client."""
    return boto3.client(
        service, endpoint_url=server.url, region_name="eu-west-1", aws_access_key_id=KEY, aws_secret_access_key=secret
    )


def job(name, **more):
    """Return a job that ends at once."""
    return {
        "TrainingJobName": name,
        "AlgorithmSpecification": {
            "TrainingImage": IMAGE,
            "TrainingInputMode": "File",
            "ContainerEntrypoint": ["true"],
        },
        "RoleArn": ROLE,
        "OutputDataConfig": {"S3OutputPath": f"s3://{BUCKET}/fake"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        **more,
    }


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"TrainingJobName": "under_score"}, "is not as"),
        ({"RoleArn": "arn:aws:iam::12:role/x" + "x" * 20}, "is not as"),
        ({"ResourceConfig": {"InstanceType": "ml.nope", "InstanceCount": 1}}, "none of its values"),
        ({"Environment": {"A": "x" * 513}}, "is not between"),
        ({"Tags": [{"Key": "a", "Value": "<b>"}]}, "is not as"),
        ({"HyperParameters": {"a": "x" * 2501}}, "is not between"),
        ({"EnableManagedSpotTraining": True}, "MaxWaitTimeInSeconds"),
    ],
)
def test_what_the_model_refuses_is_refused(server, wrong, said):
    """The client lets all of it through, and so does moto."""
    with pytest.raises(ClientError, match=said) as told:
        client(server).create_training_job(**job("strict", **wrong))
    assert told.value.response["Error"]["Code"] == "ValidationException"


def test_names_are_taken_for_ever_and_unknown_ones_are_told(server):
    """As the service tells it."""
    sagemaker = client(server)
    sagemaker.create_training_job(**job("taken"))
    with pytest.raises(ClientError, match="ResourceInUse"):
        sagemaker.create_training_job(**job("taken"))
    with pytest.raises(ClientError, match="Requested resource not found"):
        sagemaker.describe_training_job(TrainingJobName="nobody")


def test_unknown_operations_and_wrong_secrets_are_refused(server):
    """What is not there is not made up."""
    with pytest.raises(ClientError, match="UnknownOperationException"):
        client(server).list_endpoints()
    with pytest.raises(ClientError, match="UnrecognizedClientException"):
        client(server, secret="another").list_training_jobs()
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        client(server, service="logs").describe_log_streams(logGroupName="/aws/another")
