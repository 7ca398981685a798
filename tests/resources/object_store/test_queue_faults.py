"""A storage queue of Azure's that is busy, away, silent or refuses: every object is there once, and at once."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from urllib.parse import urlsplit

import pytest

from loopline.platform_core.errors import StoreUnavailable
from loopline.platform_core.testing.event_source import MORNING
from loopline.resources.object_store import storage_queue
from loopline.resources.object_store.event_source import ObjectStoreEventSource
from tests.emulators.azurite import Azurite
from tests.emulators.faults import (
    FaultProxy,
    answer,
    every,
    hold,
    lose_request,
    lose_response,
    method,
    one_later_each_time,
    tear_answer,
)
from tests.resources.object_store.test_told_by_clouds import SOURCE, StorageQueue, Telling, names

XML = {"Content-Type": "application/xml"}
OLD = b"<Error><Code>AuthenticationFailed</Code><Message>Request date header too old: '...'</Message></Error>"
GONE = b"<Error><Code>QueueNotFound</Code><Message>The specified queue does not exist.</Message></Error>"
BUSY = b"<Error><Code>ServerBusy</Code><Message>The server is busy.</Message></Error>"
PASSING = {
    "busy": answer(503, BUSY, {**XML, "x-ms-error-code": "ServerBusy"}),
    "throttled": answer(429),
    "lost request": lose_request(),
    "lost response": lose_response(),
    "torn answer": tear_answer(),
    "no XML": answer(200, b"<html>"),
}
Make = Callable[[], ObjectStoreEventSource]


@pytest.fixture(scope="module")
def proxy(azurite: Azurite) -> Iterator[FaultProxy]:
    """Stand before the queues."""
    with FaultProxy(azurite.queue_url) as proxy:
        yield proxy


@pytest.fixture
def queue(azurite: Azurite, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch) -> StorageQueue:
    """Give a queue of the test's own, which tells again soon what nobody let go."""
    proxy.clear()
    monkeypatch.setattr(storage_queue, "HIDDEN_SECONDS", 1)
    return StorageQueue(azurite)


@pytest.fixture
def deliver(azurite: Azurite, queue: StorageQueue) -> Telling:
    """Deliver, and say so."""
    return Telling(f"{azurite.place()}/landing", azurite.options, queue)


@pytest.fixture
def make(azurite: Azurite, proxy: FaultProxy, deliver: Telling, queue: StorageQueue) -> Make:
    """Make sources that list once an hour and are told by the proxy, as several processes would."""
    told = {
        "url": f"az://{deliver.bucket}/{deliver.prefix}",
        "storage_options": {**azurite.options, "allow_http": "true"},
        "notifications": f"{proxy.url}{urlsplit(queue.name).path}",
        "notification_options": queue.options,
        "list_all_seconds": 3600,
    }
    return lambda: ObjectStoreEventSource.model_validate(told)


def test_each_request_may_fail_in_each_way(
    make: Make, queue: StorageQueue, deliver: Telling, proxy: FaultProxy
) -> None:
    """Also when messages were received or deleted: what was not told is listed, what is told again is known."""
    events = make()
    there: list[str] = []
    names(events)
    for fault, does in PASSING.items():
        rule = proxy.add(one_later_each_time(), does)
        for number in range(2):
            deliver.whole(SOURCE, f"{fault} {number}", b"id\n1", MORNING + timedelta(hours=len(there)))
            there.append(f"{fault} {number}.csv")
            assert names(events) == there
        assert rule.taken > 1
        proxy.clear()
    first, end = events.arrivals(SOURCE), time.monotonic() + 60
    while queue.waiting() and time.monotonic() < end:
        time.sleep(0.1)  # between two looks: what is looked at tells nobody
        assert events.arrivals(SOURCE) == first
    assert queue.waiting() == 0
    assert len({each.arrival_id for each in first}) == len(there)
    assert make().arrivals(SOURCE) == first


def test_a_queue_that_says_nothing_is_done_without(
    make: Make, deliver: Telling, proxy: FaultProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In time, and of a message that cannot be let go the object is there."""
    monkeypatch.setattr(storage_queue, "ANSWER_SECONDS", 0.2)
    for number, what in enumerate(("GET", "DELETE")):
        events = make()
        names(events)
        deliver.whole(SOURCE, str(number), b"id\n%d" % number, MORNING + timedelta(hours=number))
        rule = proxy.add(every(method(what)), hold(over := threading.Event()))
        begun = time.monotonic()
        assert names(events) == [f"{each}.csv" for each in range(number + 1)]
        assert time.monotonic() - begun < 10
        proxy.clear()
        over.set()
        assert rule.taken == 1


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [(403, OLD, "set this machine's clock"), (401, b"", "Data Message Processor"), (404, GONE, "create the queue")],
    ids=["clock", "nobody", "gone"],
)
def test_a_refusal_is_told_with_what_to_do(  # noqa: PLR0913, PLR0917 - three say what, three where
    status: int,
    body: bytes,
    says: str,
    make: Make,
    deliver: Telling,
    proxy: FaultProxy,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """In the log; objects are listed all the same."""
    events = make()
    names(events)
    deliver.whole(SOURCE, "a", b"id\n1", MORNING)
    proxy.add(every(), answer(status, body, XML))
    with pytest.raises(StoreUnavailable, match=says) as told:
        events._told().receive()
    assert told.value.delay_seconds > 0
    with caplog.at_level(logging.WARNING):
        assert names(events) == ["a.csv"]
    assert "everything is listed" in caplog.text
    assert says in caplog.text
