"""Each identity on AWS may do what our vendors ask as it, as recorded before emulators, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.request import urlopen

import pytest

from loopline.platform_core.contracts.event_stream import Record
from loopline.platform_core.contracts.serving import DesiredState
from loopline.platform_core.errors import LooplineError
from loopline.platform_core.testing.parts.endpoints import served, wait_until
from loopline.resources.aws_secrets_manager.secrets import AwsSecretsManager
from loopline.resources.delta.lake import DeltaLake
from loopline.resources.dynamodb.online_store import DynamodbOnlineStore
from loopline.resources.kinesis.event_stream import KinesisEventStream
from loopline.resources.managed_endpoints import serving as managed
from loopline.resources.managed_endpoints.service import Phase
from loopline.resources.object_store.event_source import ObjectStoreEventSource
from loopline.resources.object_store.serving import ObjectStoreServing
from loopline.resources.sagemaker import logs
from loopline.resources.sagemaker.compute import SageMakerCompute
from loopline.resources.sagemaker.serving import SageMakerServing
from tests.deploy.terraform import asked_aws, stories
from tests.deploy.terraform.asked_aws import (
    BUCKET,
    ENDPOINTS_ROLE,
    ONLINE,
    PLACES,
    QUEUE,
    REGION,
    ROLE,
    SECRET,
    STREAM,
    UNSEEN,
)
from tests.deploy.terraform.hcl import read
from tests.deploy.terraform.recorder import Recorder, recording
from tests.deploy.terraform.rights import Right, RightsKit
from tests.deploy.terraform.statements import statements
from tests.deploy.terraform.stories import MODEL, OTHER, Bound
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
def recorder(made: AwsServer) -> Iterator[Recorder]:
    """Stand before AWS as it is asked by us (``aws``) and as the job's role (``role``)."""
    with recording(aws=made.url, role=made.url) as running, pytest.MonkeyPatch.context() as environment:
        environment.setenv("AWS_ACCESS_KEY_ID", KEY)  # the one that the fake of SageMaker knows
        environment.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        environment.setattr(logs, "LAST_SECONDS", 1)  # a job that is cancelled says no last line
        environment.setattr(managed, "LOOK_SECONDS", -1.0)  # each look asks the service
        yield running


@pytest.fixture(scope="module")
def sagemaker(recorder: Recorder, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SageMakerServer]:
    """Run SageMaker, and stand before it."""
    bucket: Any = SimpleNamespace(url=recorder.urls["role"])
    server = SageMakerServer(tmp_path_factory.mktemp("sagemaker"), bucket)
    server.program.start(lambda: urlopen(server.url).close())
    recorder.add("sagemaker", server.url)
    yield server
    server.program.end()


@pytest.fixture(scope="module")
def needed(
    made: AwsServer, recorder: Recorder, sagemaker: SageMakerServer, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, set[Right]]:
    """Do as each identity what our vendors do, and return the rights that it took."""
    folder, urls = tmp_path_factory.mktemp("work"), recorder.urls

    def asked(*ways: str) -> set[Right]:
        return asked_aws.asked([request for way in ways for request in recorder.taken(way)])

    stories.loop(_bound(made, urls, folder))
    _records(urls["aws"])
    _endpoints(sagemaker, urls, folder)
    found = {"loop": asked("aws", "sagemaker")}
    stories.serving(_bound(made, urls, folder))
    found["serving"] = asked("aws")
    stories.of_a_group(_bound(made, urls, folder))
    found["endpoints"] = asked("aws")
    with closing(_serving(urls, folder).caller(MODEL)) as caller, pytest.raises(LooplineError, match="not found"):
        caller.ask(b"{}")  # no container runs
    found["callers"] = asked("sagemaker")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MLFLOW_S3_ENDPOINT_URL", urls["aws"])
        environment.setenv("AWS_DEFAULT_REGION", REGION)
        stories.training(_bound(made, urls, folder))
    found["training"] = asked("aws", "role")
    return found


def _serving(urls: Mapping[str, str], folder: Path, **more: Any) -> SageMakerServing:
    """Bind serving as ``aws-endpoint.yaml`` does."""
    file = folder / "environment.yaml"
    file.write_text("bindings: {}\n")
    return SageMakerServing(
        image=IMAGE,
        role=ENDPOINTS_ROLE,
        store=f"s3://{BUCKET}/serving",
        storage_options=_options(urls),
        region=REGION,
        endpoints={"sagemaker": urls["sagemaker"], "sagemaker-runtime": urls["sagemaker"]},
        environment=file,
        **more,
    )


def _endpoints(server: SageMakerServer, urls: Mapping[str, str], folder: Path) -> None:
    """Make an endpoint; make one, change it, and let it end. No container runs."""
    server.fail("endpoint", bare=True, times=3)
    for model, instances in ((MODEL, 1), (OTHER, 1), (OTHER, 2)):
        with closing(_serving(urls, folder, instances=instances)) as serving:
            serving.apply(DesiredState(model, 1, served(folder, "1")))
            assert wait_until(partial(_has_come, serving, model))
    with closing(_serving(urls, folder)) as serving:
        assert serving.let_go(OTHER)


def _has_come(serving: SageMakerServing, model: str) -> bool:
    serving.observe(model)
    plan = serving.below(serving.group(model)).read("endpoint")
    seen = serving.service.look(serving.endpoint_name(model))
    return plan is not None and (seen.phase, seen.plan) == (Phase.SERVING, plan[0].decode())


def _options(urls: Mapping[str, str]) -> dict[str, str]:
    return {"aws_region": REGION, "aws_endpoint": urls["aws"], "aws_allow_http": "true"}


def _bound(aws: AwsServer, urls: Mapping[str, str], folder: Path) -> Bound:
    """Bind the vendors as the environment file of AWS does, over proxies."""
    url, store, options = urls["aws"], f"s3://{BUCKET}", _options(urls)

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
    signed = scope["authorization"].replace("/s3/", "/sagemaker/")
    head = {"authorization": signed, "x-amz-target": "SageMaker.ListApps"}
    with pytest.raises(ValueError, match="ListApps: a way of asking SageMaker that is not known here"):
        asked_aws.asked([Request("POST", "/", head, b"{}")])
    with pytest.raises(ValueError, match="no service that is known"):
        asked_aws.asked([Request("GET", "/", {}, b"")])
