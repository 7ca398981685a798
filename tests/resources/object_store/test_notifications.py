"""Objects of S3 by what SQS tells of them: moto is both, so what is shown of rights and pace is a fake's."""

from __future__ import annotations

import json
import logging
import time
import uuid
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from loopline.platform_core.errors import InvalidEnvironment
from loopline.platform_core.testing.event_source import MORNING, EventSourceKit
from loopline.resources.object_store.event_source import ObjectStoreEventSource
from loopline.resources.object_store.queues import notifications_of
from tests.emulators import faults
from tests.emulators.aws import KEY, REGION, SECRET, AwsServer
from tests.resources.object_store.test_event_source import ObjectDelivery

Make = Callable[..., ObjectStoreEventSource]
SOURCE, OTHER = "t/s", "t/other"


class Bucket:
    """A bucket that tells of what is written below ``landing/`` in a queue."""

    def __init__(self, aws: AwsServer) -> None:
        self.name, self.url = f"b-{uuid.uuid4().hex[:12]}", ""
        self.s3, self.sqs = aws.client("s3"), aws.client("sqs")
        self.s3.create_bucket(Bucket=self.name, CreateBucketConfiguration={"LocationConstraint": REGION})
        attributes = {"VisibilityTimeout": "2"}
        self.queue = self.sqs.create_queue(QueueName=self.name, Attributes=attributes)["QueueUrl"]
        about = self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=["QueueArn"])
        rules = [{"Name": "prefix", "Value": "landing/"}]
        told = {
            "QueueArn": about["Attributes"]["QueueArn"],
            "Events": ["s3:ObjectCreated:*"],
            "Filter": {"Key": {"FilterRules": rules}},
        }
        self.s3.put_bucket_notification_configuration(
            Bucket=self.name, NotificationConfiguration={"QueueConfigurations": [told]}
        )
        self.options = {
            "aws_endpoint": aws.url,
            "aws_access_key_id": KEY,
            "aws_secret_access_key": SECRET,
            "aws_region": REGION,
        }
        self.place = f"s3://{self.name}/landing"

    def tell(self, body: Any) -> None:
        """Send a message."""
        self.sqs.send_message(QueueUrl=self.queue, MessageBody=body if isinstance(body, str) else json.dumps(body))

    def lose(self) -> None:
        """Lose every message."""
        self.sqs.purge_queue(QueueUrl=self.queue)

    def waiting(self) -> int:
        """Count messages that are there, received or not."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.sqs.get_queue_attributes(QueueUrl=self.queue, AttributeNames=names)["Attributes"]
        return sum(int(found[name]) for name in names)


@pytest.fixture
def bucket(aws: AwsServer) -> Bucket:
    """Make one."""
    return Bucket(aws)


@pytest.fixture
def make(aws: AwsServer, bucket: Bucket) -> Make:
    """Make sources that list once an hour, as several processes would."""

    def made(**more: Any) -> ObjectStoreEventSource:
        told = {
            "url": bucket.place,
            "storage_options": bucket.options,
            "notifications": bucket.queue,
            "notification_options": {"endpoint_url": aws.url, "region_name": REGION},
            "list_all_seconds": 3600,
        }
        return ObjectStoreEventSource.model_validate(told | more)

    return made


@pytest.fixture
def events(make: Make) -> ObjectStoreEventSource:
    """Give a source."""
    return make()


@pytest.fixture
def deliver(bucket: Bucket) -> ObjectDelivery:
    """Deliver there."""
    return ObjectDelivery(bucket.place, bucket.options)


class TestByNotifications(EventSourceKit):
    """Every promise, where everything is listed once an hour only."""

    tested_on = "emulator: moto"


def names(events: ObjectStoreEventSource, source: str = SOURCE) -> list[str]:
    """Name what is listed, the oldest first."""
    return [arrival.name for arrival in events.arrivals(source)]


def record(bucket: Bucket, key: str, event: str = "ObjectCreated:Put") -> dict[str, Any]:
    """Write a notification as S3 does."""
    return {"Records": [{"eventName": event, "s3": {"bucket": {"name": bucket.name}, "object": {"key": key}}}]}


def test_what_is_told_twice_is_one_and_what_is_lost_is_listed(
    make: Make, bucket: Bucket, deliver: ObjectDelivery
) -> None:
    """Told again and late it is the arrival that it was; lost, everything is listed once in a while."""
    events = make()
    assert not names(events)
    deliver.whole(SOURCE, "told", b"id\n1", MORNING)
    [first] = events.arrivals(SOURCE)
    for _ in range(3):
        bucket.tell(record(bucket, f"landing/{SOURCE}/told.csv"))
        assert events.arrivals(SOURCE) == [first]
    assert bucket.waiting() == 0
    deliver.whole(SOURCE, "lost", b"id\n2", MORNING + timedelta(hours=1))
    bucket.lose()
    assert names(events) == ["told.csv"]
    events._prefix(SOURCE).list_next()
    assert names(events) == ["told.csv", "lost.csv"]
    assert names(make()) == ["told.csv", "lost.csv"]


def test_nothing_is_let_go_before_it_is_in_the_log(make: Make, bucket: Bucket, deliver: ObjectDelivery) -> None:
    """A process that dies in between loses nothing: the next one is told again."""
    events = make()
    names(events)
    deliver.whole(SOURCE, "a", b"id\n1", MORNING)
    queue = events._told()
    told = queue.receive()
    assert [key for one in told for key in one.keys] == [f"{SOURCE}/a.csv"]
    del events, queue
    anew = make()
    anew._prefix(SOURCE)._listed_at = float("inf")  # it lists nothing
    end = time.monotonic() + 30
    while not names(anew) and time.monotonic() < end:
        time.sleep(0.2)  # until the queue takes it for lost
    assert names(anew) == ["a.csv"]


def test_one_queue_tells_of_every_source(make: Make, bucket: Bucket, deliver: ObjectDelivery) -> None:
    """Whoever looks takes in what is told of other sources as well, and their processes find it in the log."""
    one, other = make(), make()
    assert (names(one), names(other, OTHER)) == ([], [])
    deliver.whole(OTHER, "a b+ü", b"id\n1", MORNING)
    assert names(one) == []
    assert bucket.waiting() == 0
    assert names(other, OTHER) == ["a b+ü.csv"]


def test_messages_of_every_form_are_understood(make: Make, bucket: Bucket, deliver: ObjectDelivery) -> None:
    """S3's own, SNS's and EventBridge's; what nobody understands stays for the queue's own rule."""
    events = make()
    names(events)
    for name in ("sns", "bridge", "removed"):
        deliver.whole(SOURCE, name, name.encode(), MORNING)
    bucket.lose()
    bucket.tell({"TopicArn": "arn:aws:sns:x", "Message": json.dumps(record(bucket, f"landing/{SOURCE}/sns.csv"))})
    about = {"bucket": {"name": bucket.name}, "object": {"key": f"landing/{SOURCE}/bridge.csv"}}
    bucket.tell({"detail-type": "Object Created", "detail": about})
    bucket.tell({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": bucket.name})
    bucket.tell(record(bucket, f"landing/{SOURCE}/removed.csv", "ObjectRemoved:Delete"))
    bucket.tell(record(bucket, f"elsewhere/{SOURCE}/removed.csv"))
    bucket.tell(record(bucket, "landing/top.csv"))
    bucket.tell("no JSON")
    assert names(events) == ["bridge.csv", "sns.csv"]
    assert bucket.waiting() == 1


def test_a_queue_that_is_away_is_done_without(
    make: Make, bucket: Bucket, deliver: ObjectDelivery, caplog: pytest.LogCaptureFixture
) -> None:
    """Everything is listed meanwhile, and the log says why."""
    events = make(notifications=f"{bucket.queue}-gone")
    assert not names(events)
    deliver.whole(SOURCE, "a", b"id\n1", MORNING)
    with caplog.at_level(logging.WARNING):
        assert names(events) == ["a.csv"]
    assert "everything is listed" in caplog.text


def test_each_request_may_fail_in_each_way(aws: AwsServer, make: Make, bucket: Bucket, deliver: ObjectDelivery) -> None:
    """Also when messages were received or deleted: what was not told is listed, what is told again is known.

    boto3 takes an answer that breaks off for one without messages: they come when their lease ends.
    """
    bucket.sqs.set_queue_attributes(QueueUrl=bucket.queue, Attributes={"VisibilityTimeout": "1"})
    there: list[str] = []
    with faults.FaultProxy(aws.url) as proxy:
        events = make(notification_options={"endpoint_url": proxy.url, "region_name": REGION})
        names(events)
        for way, does in enumerate((faults.answer(503), faults.lose_request(), faults.lose_response())):
            rule = proxy.add(faults.one_later_each_time(), does)
            for number in range(2):
                deliver.whole(SOURCE, f"{way}-{number}", b"id\n1", MORNING + timedelta(hours=len(there)))
                there.append(f"{way}-{number}.csv")
                assert names(events) == there
            assert rule.taken > 1
            proxy.clear()
        deliver.whole(SOURCE, "torn", b"id\n1", MORNING + timedelta(hours=len(there)))
        proxy.add(faults.every(), faults.tear_answer(), times=1)
        end = time.monotonic() + 60
        while (bucket.waiting() or names(events) == there) and time.monotonic() < end:
            time.sleep(0.1)  # between two looks: what is looked at tells nobody
            assert names(events)[: len(there)] == there
        found = events.arrivals(SOURCE)
    assert [each.name for each in found] == [*there, "torn.csv"]
    assert bucket.waiting() == 0
    assert len({each.arrival_id for each in found}) == len(there) + 1
    assert make().arrivals(SOURCE) == found


def test_a_queue_of_another_kind_is_refused() -> None:
    """With what to write instead."""
    for queue, url in (("amqp://x", "s3://b"), ("https://sqs/x", "gs://b"), ("https://sqs/x", "az://b")):
        with pytest.raises(InvalidEnvironment, match="is no queue in which"):
            notifications_of(queue, url, {})
