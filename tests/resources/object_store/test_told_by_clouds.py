"""Objects of Cloud Storage by what Pub/Sub tells, and of Blob storage by what Event Grid puts into a storage queue.

Both stores are emulators that tell nobody, so that the tests tell what the services would: Pub/Sub is a strict fake,
the queue is Azurite's. SQS has tests of its own.
"""

from __future__ import annotations

import base64
import json
import logging
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import Any, Protocol

import grpc
import pytest
from azure.storage.queue import QueueClient

from loopline.platform_core.errors import InvalidEnvironment, StoreUnavailable
from loopline.platform_core.testing.event_source import MORNING, EventSourceKit
from loopline.resources.object_store import pubsub, storage_queue
from loopline.resources.object_store.event_source import ObjectStoreEventSource
from loopline.resources.object_store.queues import notifications_of
from tests.emulators.azurite import ACCOUNT, KEY, Azurite
from tests.emulators.google_fake import Fault
from tests.emulators.pubsub_fake import SUBSCRIPTION, PubsubFake
from tests.emulators.stores import StoreServer
from tests.resources.object_store.test_event_source import ObjectDelivery

BOTH = pytest.mark.parametrize("cloud", ["gs", "az"])
Make = Callable[..., ObjectStoreEventSource]
SOURCE, OTHER = "t/s", "t/other"


class Queue(Protocol):
    """A queue in which a store tells, and what a source is told of it."""

    name: str
    options: dict[str, str]

    def tell(self, bucket: str, key: str, kind: str = "") -> None:
        """Say that an object was written, or that something of another ``kind`` happened to it."""

    def tell_anything(self, said: str) -> None:
        """Send what is no notification."""

    def waiting(self) -> int:
        """Count messages that are there, received or not."""

    def lose(self) -> None:
        """Lose every message."""


class Subscription:
    """One of Pub/Sub."""

    name = SUBSCRIPTION

    def __init__(self) -> None:
        self.fake = PubsubFake()
        self.options = {"endpoint": self.fake.endpoint}

    def tell(self, bucket: str, key: str, kind: str = "") -> None:
        """Say it as Cloud Storage does."""
        about = {"eventType": kind or "OBJECT_FINALIZE", "bucketId": bucket, "objectId": key, "objectGeneration": "1"}
        self.fake.tell({**about, "payloadFormat": "JSON_API_V1"}, json.dumps({"kind": "storage#object"}).encode())

    def tell_anything(self, said: str) -> None:
        """Publish it without attributes."""
        self.fake.tell({}, said.encode())

    def waiting(self) -> int:
        """Count what is held."""
        return len(self.fake.held[self.name])

    def lose(self) -> None:
        """Forget it."""
        self.fake.held[self.name].clear()


class StorageQueue:
    """One of Azurite's."""

    options = {"account_name": ACCOUNT, "account_key": KEY}  # noqa: RUF012 - of a class that is used once

    def __init__(self, azurite: Azurite) -> None:
        self.name = f"{azurite.queue_url}/q-{uuid.uuid4().hex[:12]}"
        self.client = QueueClient.from_queue_url(self.name, credential=dict(self.options))
        self.client.create_queue()

    def tell(self, bucket: str, key: str, kind: str = "") -> None:
        """Say it as Event Grid does."""
        what = kind or "BlobCreated"
        url = f"https://{ACCOUNT}.blob.core.windows.net/{bucket}/{key}"
        event = {
            "topic": "/subscriptions/0/resourceGroups/ml/providers/Microsoft.Storage/storageAccounts/a",
            "subject": f"/blobServices/default/containers/{bucket}/blobs/{key}",
            "eventType": f"Microsoft.Storage.{what}",
            "id": uuid.uuid4().hex,
            "data": {"api": "PutBlob", "url": url, "contentLength": 1},
            "dataVersion": "",
            "metadataVersion": "1",
        }
        self.send(event)

    def send(self, event: Any) -> None:
        """Put an event into the queue, in Base64."""
        self.client.send_message(base64.b64encode(json.dumps(event).encode()).decode())

    def tell_anything(self, said: str) -> None:
        """Put it there as it is."""
        self.client.send_message(said)

    def waiting(self) -> int:
        """Count what is there."""
        return int(self.client.get_queue_properties().approximate_message_count or 0)

    def lose(self) -> None:
        """Clear it."""
        self.client.clear_messages()


@pytest.fixture
def queue(cloud: str, request: pytest.FixtureRequest) -> Iterator[Any]:
    """Give a queue of the test's own."""
    if cloud == "az":
        yield StorageQueue(request.getfixturevalue("azurite"))
        return
    subscription = Subscription()
    yield subscription
    subscription.fake.stop()


@pytest.fixture
def place(store_server: StoreServer) -> str:
    """Name a prefix of the test's own."""
    return f"{store_server.place()}/landing"


class Telling(ObjectDelivery):
    """Writes objects, and says so."""

    def __init__(self, place: str, options: Mapping[str, str], queue: Queue) -> None:
        super().__init__(place, options)
        self.queue = queue
        self.bucket, _, self.prefix = place.partition("://")[2].partition("/")

    def put(self, key: str, content: bytes, **beside: str) -> None:
        """Write one."""
        super().put(key, content, **beside)
        self.queue.tell(self.bucket, f"{self.prefix}/{key}")


@pytest.fixture
def deliver(store_server: StoreServer, place: str, queue: Queue) -> Telling:
    """Deliver there."""
    return Telling(place, store_server.options, queue)


@pytest.fixture
def make(store_server: StoreServer, place: str, queue: Queue) -> Make:
    """Make sources that list once an hour, as several processes would."""

    def made(**more: Any) -> ObjectStoreEventSource:
        told = {
            "url": place,
            "storage_options": {**store_server.options, "allow_http": "true"},
            "notifications": queue.name,
            "notification_options": queue.options,
            "list_all_seconds": 3600,
        }
        return ObjectStoreEventSource.model_validate(told | more)

    return made


@pytest.fixture
def events(make: Make) -> ObjectStoreEventSource:
    """Give a source."""
    return make()


@BOTH
class TestToldByClouds(EventSourceKit):
    """Every promise, where everything is listed once an hour only."""

    tested_on = "emulator: Azurite, fake-gcs-server; strict fake: Pub/Sub"


def names(events: ObjectStoreEventSource, source: str = SOURCE) -> list[str]:
    """Name what is listed, the oldest first."""
    return [arrival.name for arrival in events.arrivals(source)]


@BOTH
def test_what_is_told_twice_is_one_and_what_is_lost_is_listed(make: Make, queue: Queue, deliver: Telling) -> None:
    """Told again and late it is the arrival that it was; lost, everything is listed once in a while."""
    events = make()
    assert not names(events)
    deliver.whole(SOURCE, "told", b"id\n1", MORNING)
    [first] = events.arrivals(SOURCE)
    for _ in range(2):
        queue.tell(deliver.bucket, f"{deliver.prefix}/{SOURCE}/told.csv")
    assert events.arrivals(SOURCE) == [first]
    assert queue.waiting() == 0
    deliver.whole(SOURCE, "lost", b"id\n2", MORNING + timedelta(hours=1))
    queue.lose()
    assert names(events) == ["told.csv"]
    events._prefix(SOURCE).list_next()
    assert names(events) == ["told.csv", "lost.csv"]
    assert names(make()) == ["told.csv", "lost.csv"]


@BOTH
def test_nothing_is_let_go_before_it_is_in_the_log(
    make: Make, queue: Queue, deliver: Telling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that dies in between loses nothing: the next one is told again; letting go too late does no harm."""
    events = make()
    names(events)
    deliver.whole(SOURCE, "a", b"id\n1", MORNING)
    monkeypatch.setattr(storage_queue, "HIDDEN_SECONDS", 1)
    if isinstance(queue, Subscription):
        queue.fake.lease_seconds = 1.0
    dead = events._told()
    told = dead.receive()
    assert f"{SOURCE}/a.csv" in [key for one in told for key in one.keys]
    anew = make()
    anew._prefix(SOURCE)._listed_at = float("inf")  # it lists nothing
    end = time.monotonic() + 30
    monkeypatch.setattr(storage_queue, "HIDDEN_SECONDS", 30)
    if isinstance(queue, Subscription):
        queue.fake.lease_seconds = 30.0
    while not names(anew) and time.monotonic() < end:
        time.sleep(0.1)  # until the queue takes it for lost
    assert names(anew) == ["a.csv"]
    dead.done(told)
    assert queue.waiting() == 0


@BOTH
def test_what_is_about_something_else_goes_and_what_nobody_understands_stays(
    make: Make, queue: Queue, deliver: Telling, caplog: pytest.LogCaptureFixture
) -> None:
    """Other buckets, prefixes and events are let go; what is no notification is told in the log, and left there."""
    events = make()
    assert (names(events), names(events, OTHER)) == ([], [])
    deliver.whole(OTHER, "a b+ü", b"id\n1", MORNING)
    gone = "OBJECT_DELETE" if queue.name == SUBSCRIPTION else "BlobDeleted"
    queue.tell(deliver.bucket, f"{deliver.prefix}/{SOURCE}/gone.csv", gone)
    queue.tell("another-bucket", f"{deliver.prefix}/{SOURCE}/x.csv")
    queue.tell(deliver.bucket, f"elsewhere/{SOURCE}/x.csv")
    queue.tell(deliver.bucket, f"{deliver.prefix}/top.csv")
    for said in ("no JSON", "[]", '{"eventType": "x"}', "bm8gSlNPTg=="):
        queue.tell_anything(said)
    with caplog.at_level(logging.WARNING):
        assert names(events) == []
    assert queue.waiting() == 4
    assert "is no notification of" in caplog.text
    assert names(events, OTHER) == ["a b+ü.csv"]


@BOTH
def test_a_queue_that_is_away_or_not_ours_is_done_without(
    make: Make, queue: Queue, deliver: Telling, caplog: pytest.LogCaptureFixture
) -> None:
    """Not there, or with a wrong secret: everything is listed meanwhile, and the log says why, but no secret."""
    secret = base64.b64encode(b"somebody else's").decode()
    others = [make(notifications=f"{queue.name}-gone")]
    if isinstance(queue, Subscription):
        queue.fake.token = secret
        others.append(make())
    else:
        others.append(make(notification_options={"account_name": ACCOUNT, "account_key": secret}))
    deliver.whole(SOURCE, "a", b"id\n1", MORNING)
    for events in others:
        assert names(events) == ["a.csv"]
        deliver.whole(SOURCE, "b", b"id\n2", MORNING + timedelta(hours=1))
        with caplog.at_level(logging.WARNING):
            assert names(events) == ["a.csv", "b.csv"]
        assert "everything is listed" in caplog.text
        assert secret not in caplog.text
        caplog.clear()
        deliver.store.delete(f"{SOURCE}/b.csv")


@pytest.mark.parametrize("cloud", ["gs"])
def test_faults_of_a_queue_lose_nothing(make: Make, queue: Queue, deliver: Telling) -> None:
    """Throttled, away, or with an answer that was lost after the messages were leased or let go: each file is one."""
    assert isinstance(queue, Subscription)
    queue.fake.lease_seconds = 0.1
    events = make()
    for number, (method, after) in enumerate([("Pull", False), ("Pull", True), ("Acknowledge", True)]):
        names(events)
        deliver.whole(SOURCE, str(number), b"id\n%d" % number, MORNING + timedelta(hours=number))
        queue.fake.faults.append(Fault(method, grpc.StatusCode.UNAVAILABLE, after=after))
        assert names(events) == [f"{each}.csv" for each in range(number + 1)]
        queue.fake.faults.append(Fault("Pull", grpc.StatusCode.RESOURCE_EXHAUSTED))
        with pytest.raises(StoreUnavailable, match="a fault of the tests"):
            events._told().receive()
    queue.fake.lease_seconds, end = 30.0, time.monotonic() + 30
    while queue.waiting() and time.monotonic() < end:
        assert len(names(events)) == 3
    assert queue.waiting() == 0


@pytest.mark.parametrize("cloud", ["gs"])
def test_a_subscription_that_says_nothing_is_done_without(
    make: Make, queue: Queue, deliver: Telling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In time, also where the object is known and only the message cannot be let go; who has no identity is told so."""
    assert isinstance(queue, Subscription)
    monkeypatch.setattr(pubsub, "ANSWER_SECONDS", 0.2)
    events = make()
    for number, method in enumerate(("Pull", "Acknowledge")):
        names(events)
        deliver.whole(SOURCE, str(number), b"id\n%d" % number, MORNING + timedelta(hours=number))
        queue.fake.faults.append(Fault(method))
        begun = time.monotonic()
        assert names(events) == [f"{each}.csv" for each in range(number + 1)]
        assert time.monotonic() - begun < 10
        assert not [fault for fault in queue.fake.faults if fault.times]
    queue.fake.faults.append(Fault("Pull", grpc.StatusCode.UNAUTHENTICATED))
    with pytest.raises(StoreUnavailable, match="workload identity"):
        events._told().receive()


@pytest.mark.parametrize("cloud", ["az"])
def test_cloud_events_and_files_that_are_begun(make: Make, queue: Queue, deliver: Telling) -> None:
    """CloudEvents say the same in other words, names may be quoted, and a file that is only begun is not taken."""
    assert isinstance(queue, StorageQueue)
    events = make()
    names(events)
    for name in ("cloud event", "list", "plain"):
        deliver.whole(SOURCE, name, name.encode(), MORNING)
    queue.lose()
    head = f"/blobServices/default/containers/{deliver.bucket}/blobs/{deliver.prefix}/{SOURCE}"
    said = {"specversion": "1.0", "type": "Microsoft.Storage.BlobCreated", "data": {"api": "PutBlockList"}}
    queue.send(said | {"subject": f"{head}/cloud%20event.csv"})
    renamed = {"eventType": "Microsoft.Storage.BlobRenamed", "subject": f"{head}/list.csv", "data": None}
    queue.send([renamed])
    queue.send(said | {"subject": f"{head}/plain.csv", "data": {"api": "CreateFile"}})
    assert names(events) == ["cloud event.csv", "list.csv"]
    assert queue.waiting() == 0


@BOTH
def test_a_setting_that_is_none_is_refused(queue: Queue, place: str) -> None:
    """With what there is instead."""
    with pytest.raises(InvalidEnvironment, match="has no option"):
        notifications_of(queue.name, place, {"region_name": "eu"})
