"""Each identity on AWS may do what our vendors ask as it, as recorded before emulators, and nothing else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import date, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.request import urlopen

import pytest

from loopline.platform_core.contracts.event_stream import Record
from loopline.platform_core.contracts.serving import DesiredState, ObservedState, Served
from loopline.platform_core.contracts.state_store import ServerReport
from loopline.platform_core.errors import Refused
from loopline.platform_core.runtime.prediction_log import log
from loopline.platform_core.testing.compute import ECHO, ENDLESS, SMALL, calls
from loopline.platform_core.testing.lake import numbered
from loopline.platform_core.testing.online_store import view_rows
from loopline.resources.aws_secrets_manager.secrets import AwsSecretsManager
from loopline.resources.delta.lake import DeltaLake
from loopline.resources.dynamodb.online_store import DynamodbOnlineStore
from loopline.resources.kinesis.event_stream import KinesisEventStream
from loopline.resources.object_store.event_source import ObjectStoreEventSource
from loopline.resources.object_store.serving import ObjectStoreServing
from loopline.resources.sagemaker import logs
from loopline.resources.sagemaker.compute import SageMakerCompute
from tests.deploy.terraform import actions
from tests.deploy.terraform.actions import BUCKET, ONLINE, PLACES, QUEUE, REGION, ROLE, SECRET, STREAM, UNSEEN, Right
from tests.deploy.terraform.hcl import AWS, Configuration, parsed
from tests.deploy.terraform.recorder import Recorder, recording
from tests.emulators.aws import AwsServer
from tests.emulators.faults import Request
from tests.emulators.sagemaker_server import IMAGE, SageMakerServer
from tests.s3_server import KEY
from tests.s3_server import SECRET as SECRET_KEY

POLICIES = ("loop", "serving", "training")
TABLE, SOURCE, VIEW, MODEL = "shop/raw/orders", "shop/orders", "shop.orders.v1", "shop.model"
KEYS = {ONLINE: [("v", "S", "HASH"), ("k", "S", "RANGE")], PLACES: [("shard", "S", "HASH"), ("offset", "N", "RANGE")]}


@pytest.fixture(scope="module")
def policies() -> Configuration:
    """Read the files."""
    return Configuration(parsed({file.name: file.read_text() for file in sorted(AWS.glob("*.tf"))}))


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
    told = {"QueueArn": f"arn:aws:sqs:{REGION}:{actions.ACCOUNT}:{QUEUE}", "Events": ["s3:ObjectCreated:*"]}
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
    asks, taken = _Asks(made, recorder.urls, tmp_path_factory.mktemp("work")), recorder.taken
    _loop(asks)
    found = {"loop": actions.asked([*taken("aws"), *taken("sagemaker")])}
    _serving(asks)
    found["serving"] = actions.asked(taken("aws"))
    _training(asks)
    found["training"] = actions.asked([*taken("aws"), *taken("role")])
    return found


class _Asks:
    """The vendors as the environment file of AWS binds them, over proxies."""

    def __init__(self, aws: AwsServer, urls: Mapping[str, str], folder: Path) -> None:
        self.aws, self.url, self.jobs, self.folder = aws, urls["aws"], urls["sagemaker"], folder
        url = self.url
        self.store = f"s3://{BUCKET}"
        self.options = {"aws_region": REGION, "aws_endpoint": url, "aws_allow_http": "true"}
        self.online = DynamodbOnlineStore(table=ONLINE, region=REGION, endpoint_url=url, timeout_seconds=10)
        self.secrets = AwsSecretsManager(region=REGION, endpoint_url=url)
        self.lake = DeltaLake(root=f"{self.store}/lake", storage_options=self.options)
        self.serving = ObjectStoreServing(
            store=f"{self.store}/serving", storage_options=self.options, address="http://127.0.0.1:1"
        )

    def compute(self) -> SageMakerCompute:
        """Bind the compute."""
        return SageMakerCompute(
            image=IMAGE,
            role=ROLE,
            store=f"{self.store}/tasks",
            region=REGION,
            endpoints={"sagemaker": self.jobs, "logs": self.jobs, "s3": self.url},
            poll_seconds=0.1,
            api_patience_seconds=10,
        )

    def deliver(self, key: str, content: bytes) -> None:
        """Write a file as somebody else, past the proxy."""
        self.aws.client("s3").put_object(Bucket=BUCKET, Key=key, Body=content)

    def source(self) -> ObjectStoreEventSource:
        """Bind the source of events, with the queue."""
        return ObjectStoreEventSource(
            url=f"{self.store}/landing",
            storage_options=self.options,
            notifications=f"{self.url}/{actions.ACCOUNT}/{QUEUE}",
            notification_options={"endpoint_url": self.url, "region_name": REGION},
        )


def _loop(asks: _Asks) -> None:
    """Take files and records in, write features, train, deploy, and read what servers have logged."""
    assert asks.secrets.current(SECRET) == "postgresql://one"
    _tables(asks.lake)
    _files(asks)
    _records(asks.url)
    asks.online.write(VIEW, "customer_id", view_rows(["1", "2"], [1, 1], spend=[1.0, 2.0]))
    void = view_rows(["2"], [2], spend=[0.0])
    asks.online.replace(VIEW, "customer_id", view_rows(["1"], [2], spend=[3.0]), void)
    assert asks.online.read([(VIEW, ["1"])])[0][0]
    asks.online.drop(VIEW)
    compute = asks.compute()
    assert compute.run(ECHO, {"folder": str(asks.folder), "value": 1}, SMALL, "echo")["value"] == 1
    assert compute.billed("echo")
    _cancelled(compute, asks.folder)
    package = asks.folder / "package"
    package.mkdir()
    package.joinpath("weights").write_bytes(b"1" * 1000)
    asks.serving.states.ask(DesiredState(MODEL, 1, Served("1", package, "cycle-1")))
    asks.serving.states.observed(MODEL)
    asks.serving.logs.read(MODEL, None)
    asks.serving.feed.drop("shop.other")


def _tables(lake: DeltaLake) -> None:
    for n in range(3):
        lake.append(TABLE, numbered(n, day=1 + n % 2), {"app": n})
    assert len(lake.read(TABLE)) == 3
    assert (lake.version(TABLE), lake.committed(TABLE)) == (2, {"app": 2})
    lake.tidy(TABLE, [2], timedelta(0))
    lake.drop_days(TABLE, date(2020, 1, 2))
    assert TABLE in lake.tables()
    with lake.set_apart("apart") as apart:
        apart.append(TABLE, numbered(1))


def _files(asks: _Asks) -> None:
    source = asks.source()
    source.arrivals(SOURCE)
    asks.deliver(f"landing/{SOURCE}/one.csv", b"id\n1")
    [arrival] = source.arrivals(SOURCE)
    assert len(source.read(SOURCE, arrival)) == 1


def _records(url: str) -> None:
    stream = KinesisEventStream(table=PLACES, region=REGION, endpoint_url=url, reads_per_second=1000)
    stream.publish("shop/orders", [Record(b"%d" % n, b"key") for n in range(3)])
    assert len(stream.read("shop/orders", {}, 10, 5)) == 3
    assert stream.ends("shop/orders") == {0: 3}


def _cancelled(compute: SageMakerCompute, folder: Path) -> None:
    """Cancel a task while it runs."""
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(compute.run, ENDLESS, {"folder": str(folder), "seconds": 60}, SMALL, "endless")
        end = time.monotonic() + 60
        while calls(folder) < 2 and time.monotonic() < end:
            time.sleep(0.1)
        compute.cancel("endless")
        with pytest.raises(Refused, match="cancelled"):
            waiting.result()


def _serving(asks: _Asks) -> None:
    """Learn what is to be served, fetch its package, say so, read features, and log answers."""
    assert asks.secrets.current(SECRET)
    found = asks.serving.feed.asked(asks.folder / "packages")
    assert found
    assert not found.problems
    asks.serving.feed.report("one", ServerReport({MODEL: ObservedState(1, ready=True)}))
    asks.serving.feed.leave("one")
    asyncio.run(asks.online.fetch([(VIEW, ["1"])]))
    assert asks.serving.sink.put("one", MODEL, f"0-000001{log.SUFFIX}", 0, b"frames") == 6


def _training(asks: _Asks) -> None:
    """Read the lake, and write and read a model's files by MLflow's own client of S3."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    assert asks.secrets.current(SECRET)
    assert len(asks.lake.read(TABLE))
    files = asks.folder / "files"
    files.mkdir()
    files.joinpath("model.txt").write_text("tree")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("MLFLOW_S3_ENDPOINT_URL", asks.url)
        environment.setenv("AWS_DEFAULT_REGION", REGION)
        kept = get_artifact_repository(f"{asks.store}/models/1")
        kept.log_artifacts(str(files))
        assert Path(kept.download_artifacts("model.txt")).read_text() == "tree"


@pytest.mark.parametrize("policy", POLICIES)
def test_what_is_needed_is_granted(policies: Configuration, needed: dict[str, set[Right]], policy: str) -> None:
    """Nothing is missing."""
    given = actions.granted(policies.statements(policy))
    assert needed[policy]
    assert not actions.missing(needed[policy], given)


@pytest.mark.parametrize("policy", POLICIES)
def test_nothing_else_is_granted(policies: Configuration, needed: dict[str, set[Right]], policy: str) -> None:
    """Each right was used, on each of its resources, or stands with its source in the table of what nobody sees."""
    given = actions.granted(policies.statements(policy))
    assert not actions.too_many(needed[policy], given, UNSEEN[policy])
    unseen = set(UNSEEN[policy])
    assert unseen <= {each.action for each in given}
    assert not unseen & {each.action for each in needed[policy]}


@pytest.mark.parametrize("policy", POLICIES)
def test_one_missing_and_one_too_many_are_named(
    policies: Configuration, needed: dict[str, set[Right]], policy: str
) -> None:
    """Whichever right is taken away, something that is needed is missing; what is added is found."""
    given = actions.granted(policies.statements(policy))
    for one in sorted(given):
        if one.action not in UNSEEN[policy]:
            lost = actions.missing(needed[policy], given - {one})
            assert {each.action for each in lost} == {one.action}, one
    for more in (Right("s3:PutBucketPolicy", f"arn:aws:s3:::{BUCKET}"), Right("s3:GetObject", "arn:aws:s3:::other/*")):
        assert actions.too_many(needed[policy], given | {more}, UNSEEN[policy]) == [more]


def test_what_is_not_known_is_refused() -> None:
    """A request of a service or in a way that the table does not have is no right of none."""
    scope = {"authorization": f"AWS4-HMAC-SHA256 Credential=K/20200101/{REGION}/s3/aws4_request, Signature=0"}
    with pytest.raises(ValueError, match="not known here"):
        actions.asked([Request("PUT", f"/{BUCKET}?policy=", scope, b"")])
    with pytest.raises(ValueError, match="no service that is known"):
        actions.asked([Request("GET", "/", {}, b"")])
