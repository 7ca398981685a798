"""Online features on the way to an answer: many requests wait at once, and what was stale or missing is told."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest

from loopline.platform_core.errors import StoreUnavailable
from loopline.platform_core.foundation.clock import ReplayClock
from loopline.platform_core.runtime.model.manifest import ViewField
from loopline.platform_core.testing.fakes.online_store import InMemoryOnlineStore
from loopline.platform_core.testing.parts.model_packages import Column, Constant
from tests.platform_core.runtime.conftest import HISTORY, MODEL, in_loop, tensors

NOON = "2011-03-01T12:00:00Z"
NOON_US = 1_298_980_800_000_000
DAY_US = 86_400_000_000


class Slow(InMemoryOnlineStore):
    """A store that answers when it is told to; ``asked`` counts who waits."""

    _told: asyncio.Event | None = None
    _asked: int = 0

    async def fetch(self, asks):
        self._asked += 1
        if self._told is not None:
            await self._told.wait()
        return self.read(asks)

    async def until_asked(self, times):
        """Wait until so many requests wait."""
        async with asyncio.timeout(10):
            while self._asked < times:  # noqa: ASYNC110 - an event would have to know the number
                await asyncio.sleep(0)  # a turn of the loop


@pytest.fixture
def slow(server):
    """Give a server whose store waits."""
    server.store = server.inference.store = Slow()
    server.serve(Column(1), views=[HISTORY])
    for key in range(8):
        server.know(str(key), key / 10, "GB")
    return server


def request(key):
    """Write a request of one customer."""
    return json.dumps({"inputs": tensors(customer_id=[key], amount=[1.0]), "parameters": {"event_time": NOON}}).encode()


def asking(server, key):
    """Begin to ask for one customer."""
    return asyncio.create_task(server._ask("POST", f"/v2/models/{MODEL}/infer", request(key), {}))


def probability(reply):
    """Read the score of a reply."""
    return reply.json["outputs"][0]["data"][0]


@in_loop
async def test_requests_wait_beside_each_other(slow):
    """All of them are at the store before the first has an answer, and each gets its own."""
    slow.store._told = asyncio.Event()
    waiting = [asking(slow, key) for key in range(8)]
    await slow.store.until_asked(8)
    assert slow.logged == []
    health = await slow._ask("GET", "/v2/health/live", b"", {})
    assert health.status == 200
    slow.store._told.set()
    replies = await asyncio.gather(*waiting)
    assert [probability(reply) for reply in replies] == [key / 10 for key in range(8)]
    assert len(slow.logged) == 8


@in_loop
async def test_a_request_keeps_the_version_it_began_with(slow):
    """A swap while it waits for the store is for those who come later; model, version and log agree."""
    slow.store._told = asyncio.Event()
    early = asking(slow, 3)
    await slow.store.until_asked(1)
    slow.route(slow.served("2", Constant(0.9), views=[HISTORY]))
    late = asking(slow, 3)
    await slow.store.until_asked(2)
    slow.store._told.set()
    replies = await early, await late
    assert [(r.json["model_version"], probability(r)) for r in replies] == [("1", 0.3), ("2", 0.9)]
    assert sorted((record.version, record.scores) for _, record in slow.logged) == [("1", [0.3]), ("2", [0.9])]


@in_loop
async def test_one_that_cannot_be_looked_up_harms_nobody(slow):
    """A store that fails for one request is that request's 503."""

    class Moody(Slow):
        async def fetch(self, asks):
            if asks[0][1] == ["1"]:
                raise StoreUnavailable("the store did not answer", "start it")
            return await super().fetch(asks)

    moody = Moody()
    moody._own.update(slow.store.held)
    slow.inference.store = moody
    replies = await asyncio.gather(*(asking(slow, key) for key in range(3)))
    assert [reply.status for reply in replies] == [200, 503, 200]
    assert len(slow.logged) == 2


def test_stale_and_missing_are_told_apart(server):
    """Per row: a view without a row or of another width is missing, one whose row is too old is stale."""
    other = ViewField("retail.basket.v1", "customer_id", ["size"])
    server.serve(views=[HISTORY, other])
    for key, age_us in (("1", DAY_US), ("2", 91 * DAY_US)):
        server.know(key, 3.0, "GB", event_time_us=NOON_US - age_us)
    columns = {"customer_id": [1, 2, 3], "amount": [1.0] * 3}
    server.infer(columns, parameters={"event_time": NOON})
    ((_, record),) = server.logged
    assert record.stale == [[], [HISTORY.view], []]
    assert record.missing == [[other.view], [other.view], [HISTORY.view, other.view]]
    assert [json.loads(row)["orders"] for row in record.features] == [3.0, None, None]


def test_freshness_is_counted(server):
    """Ages fall into buckets by model and view; missing and stale rows are counted."""
    server.serve(views=[HISTORY])
    for key, age_us in (("1", 0), ("2", DAY_US // 2), ("3", 91 * DAY_US)):
        server.know(key, 3.0, "GB", event_time_us=NOON_US - age_us)
    server.infer({"customer_id": [1, 2, 3, 4, 5], "amount": [1.0] * 5}, parameters={"event_time": NOON})
    text = server.ask("GET", "/metrics").body.decode()
    labels = f'model="{MODEL}",view="{HISTORY.view}"'
    assert f'loopline_feature_age_seconds_bucket{{{labels},le="1"}} 1' in text
    assert f'loopline_feature_age_seconds_bucket{{{labels},le="86400"}} 2' in text
    assert f'loopline_feature_age_seconds_bucket{{{labels},le="+Inf"}} 3' in text
    assert f"loopline_feature_age_seconds_sum{{{labels}}} {91.5 * 86400:.9f}" in text
    assert f"loopline_features_missing_total{{{labels}}} 2" in text
    assert f"loopline_features_stale_total{{{labels}}} 1" in text


def test_times_are_the_platforms(server, tmp_path):
    """Asked before the look-up, logged after it; a request that brings no event time happens now."""
    clock = server.inference.clock = ReplayClock(tmp_path / "clock")
    begun = datetime(2011, 3, 1, 12, tzinfo=UTC)
    clock.set(begun)

    class Passing(InMemoryOnlineStore):
        async def fetch(self, asks):
            clock.set(begun + timedelta(seconds=5))
            return self.read(asks)

    server.inference.store = Passing()
    server.serve(views=[HISTORY])
    server.infer({"customer_id": [1], "amount": [1.0]})
    ((_, record),) = server.logged
    assert (record.event_time_us, record.asked_at_us) == (NOON_US, NOON_US)
    assert record.logged_at_us == NOON_US + 5_000_000
