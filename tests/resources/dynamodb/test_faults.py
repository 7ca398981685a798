"""What networks and clouds do between DynamoDB's store and its server: nothing lost, nothing twice, told in time."""

from __future__ import annotations

import asyncio
import json
import random
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from loopline.platform_core.contracts.online_store import OnlineRow
from loopline.platform_core.errors import (
    ContractBroken,
    InvalidEnvironment,
    LooplineError,
    StoreUnavailable,
    Transient,
)
from loopline.platform_core.testing.online_store import events, new_view, view_rows
from loopline.resources.dynamodb.online_store import DynamodbOnlineStore
from tests.emulators import faults
from tests.emulators.aws import REGION, AwsServer
from tests.emulators.faults import Answer, Does, FaultProxy, Matcher

TIMEOUT_SECONDS, SHORT_SECONDS = 2.0, 0.5
READS, PUTS, DELETES, BATCHES = (
    faults.header("X-Amz-Target", f"\\.{name}$") for name in ("BatchGetItem", "PutItem", "DeleteItem", "BatchWriteItem")
)
TOKEN = "IQoJb3JpZ2luX2VjEXAMPLE"
CANONICAL = f"It does not match. The Canonical String for this request should have been 'x-amz-security-token:{TOKEN}'"


def refused(code: str, message: str = "no", status: int = 400) -> Does:
    """Answer as DynamoDB does."""
    said = {"__type": f"com.amazonaws.dynamodb.v20120810#{code}", "message": message}
    return faults.answer(status, json.dumps(said).encode(), {"Content-Type": "application/x-amz-json-1.0"})


THROTTLED = refused("ProvisionedThroughputExceededException")
GARBAGE = faults.answer(200, b"<html>")


@pytest.fixture(scope="module")
def listening(aws: AwsServer) -> Iterator[FaultProxy]:
    """Stand before AWS."""
    with FaultProxy(aws.url) as proxy:
        yield proxy


@pytest.fixture(scope="module")
def held(listening: FaultProxy) -> Iterator[DynamodbOnlineStore]:
    """Open a store behind the proxy."""
    store = DynamodbOnlineStore(
        table=f"faults-{uuid.uuid4().hex}",
        region=REGION,
        endpoint_url=listening.url,
        create=True,
        timeout_seconds=TIMEOUT_SECONDS,
        patience_seconds=3,
        connections=8,
    )
    store.write("any", "customer_id", view_rows([1], [1], spend=[1.0]))
    yield store
    store.close()


@pytest.fixture
def proxy(listening: FaultProxy) -> FaultProxy:
    """Give the proxy without rules."""
    listening.clear()
    return listening


@pytest.fixture
def store(held: DynamodbOnlineStore, proxy: FaultProxy) -> DynamodbOnlineStore:
    """Give the store, at full pace."""
    held._pens.get().pace.at_once = held.connections
    return held


@pytest.fixture(scope="module")
def held_briefly(held: DynamodbOnlineStore) -> Iterator[DynamodbOnlineStore]:
    """Open the store with little time."""
    short = {"timeout_seconds": SHORT_SECONDS, "patience_seconds": 3 * SHORT_SECONDS}
    store = DynamodbOnlineStore(**held.model_dump() | short)
    store._readers.get()  # loading boto3 counts for no read
    yield store
    store.close()


def _written(store: DynamodbOnlineStore, count: int = 5) -> tuple[str, list[str]]:
    view, keys = new_view(), [str(n) for n in range(count)]
    store.write(view, "customer_id", view_rows(keys, [1] * count, spend=[1.0] * count))
    return view, keys


def _both(store: DynamodbOnlineStore, view: str, keys: list[str]) -> list[list[list[OnlineRow | None]]]:
    """Read and fetch."""
    return [store.read([(view, keys)]), asyncio.run(store.fetch([(view, keys)]))]


PASSING: dict[str, Does] = {
    "throttled": THROTTLED,
    "throttled by the account": refused("ThrottlingException"),
    "server error": refused("InternalServerError", status=500),
    "unavailable": faults.answer(503, b"<html>busy</html>"),
    "cut before": faults.lose_request(),
    "cut after": faults.lose_response(),
    "garbage": GARBAGE,
    "hangs": faults.slow_answer(TIMEOUT_SECONDS * 0.6),
}


@pytest.mark.parametrize("name", PASSING)
def test_a_read_outlives_what_passes(store: DynamodbOnlineStore, proxy: FaultProxy, name: str) -> None:
    """Its first request fails and the answer is right all the same, in time."""
    view, keys = _written(store)
    for read in (lambda: store.read([(view, keys)]), lambda: asyncio.run(store.fetch([(view, keys)]))):
        rule = proxy.add(READS, PASSING[name], times=1)
        begun = time.monotonic()
        assert read() == [[OnlineRow(1, (1.0,))] * 5]
        assert rule.taken == 1
        assert time.monotonic() - begun < TIMEOUT_SECONDS + 1


STAYING = [THROTTLED, refused("X", status=503), faults.lose_request(), faults.slow_answer(30), faults.trickle(0.03)]


@pytest.mark.parametrize("does", STAYING)
def test_a_read_ends_in_time(
    store: DynamodbOnlineStore, held_briefly: DynamodbOnlineStore, proxy: FaultProxy, does: Does
) -> None:
    """What stays is told as unavailable within the time-out, and the next read after it is right."""
    view, keys = _written(store)
    proxy.add(READS, does)
    ask = [(view, keys)]
    for read in (lambda: held_briefly.read(ask), lambda: asyncio.run(held_briefly.fetch(ask))):
        begun = time.monotonic()
        with pytest.raises(StoreUnavailable, match=store.table):
            read()
        assert time.monotonic() - begun < 10  # on a machine that others use as well; without an end it is 30, or never
    proxy.clear()
    assert _both(store, view, keys) == [[[OnlineRow(1, (1.0,))] * 5]] * 2


def test_keys_that_were_left_are_asked_for_again(store: DynamodbOnlineStore, proxy: FaultProxy) -> None:
    """The service may answer a part: by size, or because a partition is busy; only what is left is asked for."""
    view, keys = _written(store, 8)

    def half(given: Answer) -> Answer:
        said = json.loads(given.body)
        items = said["Responses"][store.table]
        kept, left = items[: len(items) // 2], items[len(items) // 2 :]
        said["Responses"][store.table] = kept
        keys = [{name: item[name] for name in "vk"} for item in left]
        said["UnprocessedKeys"] = {store.table: {"Keys": keys, "ConsistentRead": True}}
        return Answer(given.status, json.dumps(said).encode(), {"Content-Type": "application/x-amz-json-1.0"})

    proxy.add(READS, faults.changed(half), times=3)
    assert events(store, view, keys) == dict.fromkeys(keys, 1)
    asked = [len(json.loads(seen.body)["RequestItems"][store.table]["Keys"]) for seen in proxy.seen if READS(seen)]
    assert asked == [8, 4, 2, 1]
    proxy.add(READS, faults.changed(half))
    with pytest.raises(StoreUnavailable, match="did not answer within"):
        store.read([(view, keys)])


def test_requests_hold_a_hundred_keys_once_each(store: DynamodbOnlineStore, proxy: FaultProxy) -> None:
    """A key that is asked for twice is sent once, and every read is consistent."""
    view, keys = _written(store, 3)
    many = [str(n) for n in range(230)]
    found = store.read([(view, many + keys), (view, keys)])
    assert [len(rows) for rows in found] == [233, 3]
    assert found[0][:3] == found[0][-3:] == found[1] == [OnlineRow(1, (1.0,))] * 3
    asked = [json.loads(seen.body)["RequestItems"][store.table] for seen in proxy.seen if READS(seen)]
    assert sorted(len(each["Keys"]) for each in asked) == [30, 100, 100]
    assert all(each["ConsistentRead"] for each in asked)


def test_fetches_of_one_turn_share_requests(store: DynamodbOnlineStore, proxy: FaultProxy) -> None:
    """Fifty that ask in the same turn cost one request, and the event loop goes on while it is underway."""
    view, keys = _written(store, 50)
    store._readers.get()  # loading boto3 is no reading
    proxy.add(READS, faults.delay(0.5))
    ticks: list[float] = []

    async def beat() -> None:
        while True:
            ticks.append(time.monotonic())
            await asyncio.sleep(0.01)  # a beat

    async def ask() -> list[Any]:
        beating = asyncio.create_task(beat())
        found = await asyncio.gather(*(store.fetch([(view, [key])]) for key in keys))
        beating.cancel()
        return found

    assert asyncio.run(ask()) == [[[OnlineRow(1, (1.0,))]]] * 50
    assert proxy.count(READS) == 1
    assert len(ticks) > 5


@pytest.mark.parametrize("does", [faults.lose_response(), faults.lose_request(), faults.slow_answer(1.2)])
def test_an_answer_that_is_lost_changes_nothing(store: DynamodbOnlineStore, proxy: FaultProxy, does: Does) -> None:
    """Whether or not it was done before, each row is there once and counted once; what goes is gone and counted."""
    view, keys = new_view(), ["a", "b", "c"]
    puts, deletes = proxy.add(PUTS, does, times=2), proxy.add(DELETES, does, times=1)
    assert store.write(view, "customer_id", view_rows(keys, [5, 5, 5], spend=[1.0] * 3)) == 3
    assert store.replace(view, "customer_id", view_rows(["a"], [4], spend=[0.0]), view_rows(["a", "b"], [5] * 2)) == 2
    assert (puts.taken, deletes.taken) == (2, 1)
    assert events(store, view, keys) == {"a": 4, "b": None, "c": 5}


def test_a_lost_answer_takes_back_no_newer_event(store: DynamodbOnlineStore, proxy: FaultProxy, aws: AwsServer) -> None:
    """While a write asks again somebody else has written a newer event: that one stays, and the count says so.

    Nothing but the closed connection loses the answer: a slow emulator would be asked again before the newer event.
    """
    view, other = new_view(), DynamodbOnlineStore(**store.model_dump() | {"endpoint_url": aws.url})
    patient = DynamodbOnlineStore(**store.model_dump() | {"timeout_seconds": 30.0, "patience_seconds": 60.0})

    def overtaken(request: faults.Request, forward: faults.Forward) -> None:
        forward(request)
        other.write(view, "customer_id", view_rows(["a"], [9], spend=[9.0]))

    proxy.add(PUTS, overtaken, times=1)
    assert patient.write(view, "customer_id", view_rows(["a"], [5], spend=[1.0])) == 0
    assert events(store, view, ["a"]) == {"a": 9}
    other.close()
    patient.close()


def test_a_throttled_write_slows_down_and_goes_on(store: DynamodbOnlineStore, proxy: FaultProxy) -> None:
    """Every row gets there; fewer are underway at once than before, and again more when the service takes them."""
    pace, view, keys = store._pens.get().pace, new_view(), [str(n) for n in range(60)]
    seen: list[float] = []

    def throttled(request: faults.Request, forward: faults.Forward) -> Answer | None:
        seen.append(pace.at_once)
        return THROTTLED(request, forward)

    rule = proxy.add(PUTS, throttled, times=30)
    assert store.write(view, "customer_id", view_rows(keys, [1] * 60, spend=[1.0] * 60)) == 60
    assert (rule.taken, proxy.count(PUTS)) == (30, 90)
    assert seen[0] == 8
    assert min(seen) <= 4
    assert pace.at_once > min(seen)
    assert events(store, view, keys) == dict.fromkeys(keys, 1)


def test_a_service_that_takes_nothing_is_given_up(
    store: DynamodbOnlineStore, held_briefly: DynamodbOnlineStore, proxy: FaultProxy
) -> None:
    """After ``patience_seconds`` the write ends; what was taken before stays, and the same write again completes it."""
    view, keys = new_view(), [str(n) for n in range(20)]
    proxy.add(PUTS, THROTTLED, skip=7)
    rows = view_rows(keys, [1] * 20, spend=[1.0] * 20)
    begun = time.monotonic()
    with pytest.raises(StoreUnavailable, match="throttled"):
        held_briefly.write(view, "customer_id", rows)
    assert 3 * SHORT_SECONDS < time.monotonic() - begun < 20
    proxy.clear()
    assert sum(event is not None for event in events(store, view, keys).values()) == 7
    assert store.write(view, "customer_id", rows) == 20


def test_writers_leave_the_newest_whatever_happens(store: DynamodbOnlineStore, proxy: FaultProxy) -> None:
    """Two writers shuffle the same events while a fifth of their requests is refused, lost or loses its answer."""
    view, keys, chance = new_view(), [str(n) for n in range(10)], random.Random(3)
    other = DynamodbOnlineStore(**store.model_dump())
    happening = [THROTTLED, PASSING["server error"], faults.lose_request(), faults.lose_response()]
    rules = [proxy.add(lambda seen: PUTS(seen) and chance.random() < 0.05, does) for does in happening]

    def write(to: DynamodbOnlineStore, seed: int) -> None:
        every = [(key, event) for key in keys for event in range(12)]
        random.Random(seed).shuffle(every)
        for at in range(0, len(every), 8):
            part = every[at : at + 8]
            values = [float(event) for _, event in part]
            to.write(view, "customer_id", view_rows(*map(list, zip(*part, strict=True)), spend=values))

    with ThreadPoolExecutor(2) as writers:
        for done in [writers.submit(write, to, seed) for seed, to in enumerate((store, other))]:
            done.result()
    assert min(rule.taken for rule in rules) > 0
    proxy.clear()
    assert store.read([(view, keys)]) == [[OnlineRow(11, (11.0,))] * 10]
    other.close()


def test_a_drop_goes_on_until_all_is_gone(store: DynamodbOnlineStore, proxy: FaultProxy) -> None:
    """Deletions that are left, throttled, or whose answer is lost or no answer are asked for again."""
    view, keys = _written(store, 10)

    def none_of_it(request: faults.Request, forward: faults.Forward) -> Answer:
        said = {"UnprocessedItems": json.loads(request.body)["RequestItems"]}
        return Answer(200, json.dumps(said).encode(), {"Content-Type": "application/x-amz-json-1.0"})

    rules = [proxy.add(BATCHES, does, times=1) for does in (none_of_it, THROTTLED, faults.lose_response(), GARBAGE)]
    rules.append(proxy.add(faults.header("X-Amz-Target", "Query"), GARBAGE, times=1))
    store.drop(view)
    assert [rule.taken for rule in rules] == [1] * 5
    assert set(events(store, view, keys).values()) == {None}


def test_a_table_is_made_whose_making_was_not_answered(aws: AwsServer, proxy: FaultProxy) -> None:
    """It is looked at again, made once, and the service deletes what is gone."""
    calls = {
        name: faults.header("X-Amz-Target", f"\\.{name}$")
        for name in ("DescribeTable", "CreateTable", "UpdateTimeToLive")
    }
    rules = [
        proxy.add(calls["DescribeTable"], refused("InternalServerError", status=500), times=1),
        proxy.add(calls["CreateTable"], THROTTLED, times=1),
        proxy.add(calls["CreateTable"], faults.lose_response(), times=1),
        proxy.add(calls["UpdateTimeToLive"], faults.lose_response(), times=1),
    ]
    store = DynamodbOnlineStore(
        table=f"made-{uuid.uuid4().hex}", region=REGION, endpoint_url=proxy.url, create=True, timeout_seconds=30
    )
    assert store.write("v", "customer_id", view_rows([1], [1], spend=[1.0])) == 1
    assert [rule.taken for rule in rules] == [1] * 4
    described = aws.client("dynamodb").describe_time_to_live(TableName=store.table)
    assert described["TimeToLiveDescription"]["TimeToLiveStatus"] == "ENABLED"
    store.close()


REFUSALS: dict[str, tuple[Does, type[LooplineError], str]] = {
    "expired": (refused("ExpiredTokenException", "expired"), StoreUnavailable, "have expired.*renew"),
    "unknown": (refused("UnrecognizedClientException"), InvalidEnvironment, "not accepted.*identity"),
    "wrong secret": (refused("InvalidSignatureException", CANONICAL), InvalidEnvironment, "not accepted.*identity"),
    "clock": (
        refused("InvalidSignatureException", f"Signature expired: x. {CANONICAL}"),
        StoreUnavailable,
        "clock.*NTP",
    ),
    "not let in": (refused("OddException", CANONICAL, 403), InvalidEnvironment, "OddException: It does not match"),
    "denied": (refused("AccessDeniedException", "not authorized to perform: dynamodb:X"), InvalidEnvironment, "right"),
    "invalid": (refused("ValidationException", "too odd"), ContractBroken, "too odd"),
    "missing": (refused("ResourceNotFoundException"), InvalidEnvironment, "create it there with partition key"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_is_told_at_once_as_what_it_is(aws: AwsServer, proxy: FaultProxy, name: str) -> None:
    """It is asked once, by read, fetch, write and drop alike, and no error repeats a session's token."""
    does, kind, words = REFUSALS[name]
    store = DynamodbOnlineStore(table="refused", region=REGION, endpoint_url=proxy.url, timeout_seconds=20)
    attempts: list[Callable[[], object]] = [
        lambda: store.read([("v", ["1"])]),
        lambda: asyncio.run(store.fetch([("v", ["1"])])),
        lambda: store.write("v", "customer_id", view_rows([1], [1], spend=[1.0])),
    ]
    proxy.add(faults.every(), does)
    for number, attempt in enumerate(attempts):
        with pytest.raises(kind, match=words) as caught:
            attempt()
        assert proxy.count(faults.every()) == number + 1
        assert isinstance(caught.value, Transient) == (kind is StoreUnavailable)
        assert TOKEN not in str(caught.value) + repr(caught.value.__cause__)
    store.close()


def test_nobody_there(aws: AwsServer) -> None:
    """An endpoint that is not reached is told in time, with its address."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # held, so that no other test's server comes to listen there
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        store = DynamodbOnlineStore(region=REGION, endpoint_url=url, timeout_seconds=0.4, patience_seconds=0.5)
        for attempt in (
            lambda: store.read([("v", ["1"])]),
            lambda: store.write("v", "customer_id", view_rows([1], [1], spend=[1.0])),
        ):
            begun = time.monotonic()
            with pytest.raises(StoreUnavailable, match=url):
                attempt()
            assert time.monotonic() - begun < 10
        store.close()


def test_a_read_that_is_late_tells_why_a_request_before_it_failed(
    store: DynamodbOnlineStore, proxy: FaultProxy
) -> None:
    """Nobody answers: a request is given up and asked again, and time is over within the second."""
    view, keys = _written(store)
    proxy.add(READS, faults.slow_answer(30))
    for attempt in (lambda: store.read([(view, keys)]), lambda: asyncio.run(store.fetch([(view, keys)]))):
        with pytest.raises(StoreUnavailable, match=r"did not answer within .*; a request before said: .*Read timeout"):
            attempt()


def test_a_read_that_hangs_keeps_no_other_waiting(store: DynamodbOnlineStore, proxy: FaultProxy) -> None:
    """One of two views is not answered: whoever asks for the other is, meanwhile."""
    slow, keys = _written(store)
    quick, _ = _written(store)
    asked: Matcher = faults.every(READS, faults.body(slow.encode()))
    proxy.add(asked, faults.slow_answer(30))
    failed: list[BaseException] = []

    def hang() -> None:
        try:
            store.read([(slow, keys)])
        except StoreUnavailable as error:
            failed.append(error)

    hanging = threading.Thread(target=hang)
    hanging.start()
    for _ in range(5):
        assert events(store, quick, keys) == dict.fromkeys(keys, 1)
    hanging.join()
    assert len(failed) == 1
