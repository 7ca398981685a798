"""Each identity on AWS may do what our vendors ask as it, as recorded before emulators, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.request import urlopen

import pytest

from loopline.platform_core.contracts.event_stream import Record
from loopline.resources.aws_secrets_manager.secrets import AwsSecretsManager
from loopline.resources.delta.lake import DeltaLake
from loopline.resources.dynamodb.online_store import DynamodbOnlineStore
from loopline.resources.kinesis.event_stream import KinesisEventStream
from loopline.resources.object_store.event_source import ObjectStoreEventSource
from loopline.resources.object_store.serving import ObjectStoreServing
from loopline.resources.sagemaker import logs
from loopline.resources.sagemaker.compute import SageMakerCompute
from tests.deploy.terraform import asked_aws, stories
from tests.deploy.terraform.asked_aws import BUCKET, ONLINE, PLACES, QUEUE, REGION, ROLE, SECRET, STREAM, UNSEEN
from tests.deploy.terraform.hcl import read
from tests.deploy.terraform.recorder import Recorder, recording
from tests.deploy.terraform.rights import Right, RightsKit
from tests.deploy.terraform.statements import statements
from tests.deploy.terraform.stories import Bound
from tests.emulators.aws import AwsServer
from tests.emulators.faults import Request
from tests.emulators.sagemaker_server import IMAGE, SageMakerServer
from tests.s3_server import KEY
from tests.s3_server import SECRET as SECRET_KEY

KEYS = {ONLINE: [("v", "S", "HASH"), ("k", "S", "RANGE")], PLACES: [("shard", "S", "HASH"), ("offset", "N", "RANGE")]}


@pytest.fixture(scope="module")
def given() -> dict[str, set[Right]]:
    """Read what each policy allows."""
    made = read("aws")
    return {policy: asked_aws.granted(statements(made, policy)) for policy in UNSEEN}


@pytest.fixture(scope="module")
def made(aws: AwsServer) -> AwsServer:
    """Make what Terraform makes."""
    s3, tables, queues = (aws.client(name) for name in ("s3", "dynamodb", "sqs"))
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    for table, keys in KEYS.items():
        tables.create_table(
            TableName=table,
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": kind} for key, kind, _ in keys],
            KeySchema=[{"AttributeName": key, "KeyType": role} for key, _, role in keys],
            BillingMode="PAY_PER_REQUEST",
        )
    queues.create_queue(QueueName=QUEUE)
    told = {"QueueArn": f"arn:aws:sqs:{REGION}:{asked_aws.ACCOUNT}:{QUEUE}", "Events": ["s3:ObjectCreated:*"]}
    s3.put_bucket_notification_configuration(Bucket=BUCKET, NotificationConfiguration={"QueueConfigurations": [told]})
    aws.client("kinesis").create_stream(StreamName=STREAM, ShardCount=1)
    aws.client("secretsmanager").create_secret(Name=SECRET, SecretString="postgresql://one")
    return aws


@pytest.fixture(scope="module")
def recorder(made: AwsServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Recorder]:
    """Stand before AWS as it is asked by us (``aws``) and as the job's role (``role``), and before SageMaker."""
    with recording(aws=made.url, role=made.url) as running, pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ACCESS_KEY_ID", KEY)  # the one that the fake of SageMaker knows
        environment.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        environment.setattr(logs, "LAST_SECONDS", 1)  # a job that is cancelled says no last line
        bucket: Any = SimpleNamespace(url=running.urls["role"])
        server = SageMakerServer(tmp_path_factory.mktemp("sagemaker"), bucket)
        server.program.start(lambda: urlopen(server.url).close())
        running.add("sagemaker", server.url)
        yield running
        server.program.end()


@pytest.fixture(scope="module")
def needed(made: AwsServer, recorder: Recorder, tmp_path_factory: pytest.TempPathFactory) -> dict[str, set[Right]]:
    """Do as each identity what our vendors do, and return the rights that it took."""
    folder, taken = tmp_path_factory.mktemp("work"), recorder.taken
    stories.loop(_bound(made, recorder.urls, folder))
    _records(recorder.urls["aws"])
    found = {"loop": asked_aws.asked([*taken("aws"), *taken("sagemaker")])}
    stories.serving(_bound(made, recorder.urls, folder))
    found["serving"] = asked_aws.asked(taken("aws"))
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MLFLOW_S3_ENDPOINT_URL", recorder.urls["aws"])
        environment.setenv("AWS_DEFAULT_REGION", REGION)
        stories.training(_bound(made, recorder.urls, folder))
    found["training"] = asked_aws.asked([*taken("aws"), *taken("role")])
    return found


def _bound(aws: AwsServer, urls: Mapping[str, str], folder: Path) -> Bound:
    """Bind the vendors as the environment file of AWS does, over proxies."""
    url, store = urls["aws"], f"s3://{BUCKET}"
    options = {"aws_region": REGION, "aws_endpoint": url, "aws_allow_http": "true"}

    def deliver(key: str, content: bytes) -> None:
        aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body=content)

    return Bound(
        folder=folder,
        store=store,
        names=(SECRET,),
        secrets=AwsSecretsManager(region=REGION, endpoint_url=url),
        lake=DeltaLake(root=f"{store}/lake", storage_options=options),
        online=DynamodbOnlineStore(table=ONLINE, region=REGION, endpoint_url=url, timeout_seconds=10),
        source=ObjectStoreEventSource(
            url=f"{store}/landing",
            storage_options=options,
            notifications=f"{url}/{asked_aws.ACCOUNT}/{QUEUE}",
            notification_options={"endpoint_url": url, "region_name": REGION},
        ),
        serving=ObjectStoreServing(store=f"{store}/serving", storage_options=options, address="http://127.0.0.1:1"),
        compute=SageMakerCompute(
            image=IMAGE,
            role=ROLE,
            store=f"{store}/tasks",
            region=REGION,
            endpoints={"sagemaker": urls["sagemaker"], "logs": urls["sagemaker"], "s3": url},
            poll_seconds=0.1,
            api_patience_seconds=10,
        ),
        deliver=deliver,
    )


def _records(url: str) -> None:
    """Publish and read a stream's records, as the loop."""
    stream = KinesisEventStream(table=PLACES, region=REGION, endpoint_url=url, reads_per_second=1000)
    stream.publish("shop/orders", [Record(b"%d" % n, b"key") for n in range(3)])
    assert len(stream.read("shop/orders", {}, 10, 5)) == 3
    assert stream.ends("shop/orders") == {0: 3}


class TestRights(RightsKit):
    """The policies grant what was needed."""

    unseen = UNSEEN
    strange = (
        Right("s3:PutBucketPolicy", f"arn:aws:s3:::{BUCKET}"),
        Right("s3:GetObject", "arn:aws:s3:::other/*"),
    )


def test_what_is_not_known_is_refused() -> None:
    """A request of a service or in a way that the table does not have is no right of none."""
    scope = {"authorization": f"AWS4-HMAC-SHA256 Credential=K/20200101/{REGION}/s3/aws4_request, Signature=0"}
    with pytest.raises(ValueError, match="not known here"):
        asked_aws.asked([Request("PUT", f"/{BUCKET}?policy=", scope, b"")])
    with pytest.raises(ValueError, match="no service that is known"):
        asked_aws.asked([Request("GET", "/", {}, b"")])
