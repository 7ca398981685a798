"""Cosmos DB keeps the online store's promises: on a strict fake of its gateway, by Microsoft's own client."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from loopline.platform_core.contracts.online_packing import pack
from loopline.platform_core.contracts.online_store import Keep, OnlineRow
from loopline.platform_core.errors import ContractBroken, InvalidEnvironment, Permanent, StoreUnavailable
from loopline.platform_core.testing.online_store import OnlineStoreKit, events, view_rows
from loopline.resources.cosmos.items import item_id, parts
from loopline.resources.cosmos.online_store import CosmosOnlineStore
from tests.emulators.cosmos_fake import CosmosFake, Fault, running
from tests.resources.nosql.faults import Faults


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CosmosFake]:
    """Run an account of this test's own, whose managed identity this process has."""
    with running(tmp_path) as fake:
        for name, value in fake.environment.items():
            monkeypatch.setenv(name, value)
        yield fake


@pytest.fixture
def store(fake: CosmosFake) -> Iterator[CosmosOnlineStore]:
    """Open a store."""
    store = CosmosOnlineStore(endpoint=fake.url, timeout_seconds=30)
    yield store
    store.close()
    store.close()


@pytest.fixture
def opened_anew(fake: CosmosFake) -> Iterator[CosmosOnlineStore]:
    """Open it again."""
    store = CosmosOnlineStore(endpoint=fake.url, timeout_seconds=30)
    yield store
    store.close()


class TestCosmosOnlineStore(OnlineStoreKit):
    """Every promise of the contract."""

    tested_on = "strict fake"


@pytest.fixture
def opened(fake: CosmosFake) -> Iterator[Callable[..., CosmosOnlineStore]]:
    """Give a function that opens a store with other settings."""
    stores: list[CosmosOnlineStore] = []

    def opened(**settings: Any) -> CosmosOnlineStore:
        stores.append(CosmosOnlineStore(**{"endpoint": fake.url, "timeout_seconds": 30, **settings}))
        return stores[-1]

    yield opened
    for store in stores:
        store.close()


@pytest.fixture
def broken(fake: CosmosFake) -> Callable[..., None]:
    """Give a function that lets requests of some kinds fail, each so many times."""
    kinds = {"read": ("read", "query"), "write": ("create", "replace"), "take": ("delete", "replace")}
    statuses = {"throttled": 429, "away": 503, "lost": 500, "hangs": 503, "expired": 401}

    def broken(kind: str, fault: str, times: int) -> None:
        how = {"status": statuses[fault], "after": fault == "lost", "hangs": fault == "hangs", "times": times}
        fake.faults += [Fault(one, **how) for one in kinds[kind]]

    return broken


@pytest.fixture
def between(fake: CosmosFake) -> Callable[[Callable[[], object]], None]:
    """Give a function that lets something happen before the next write is done."""
    return fake.between.append


class TestFaults(Faults):
    """Every fault, between Microsoft's client and the fake."""


@pytest.mark.parametrize("status", [408, 410, 449, 500, 503])
def test_what_passes_is_tried_again(fake: CosmosFake, store: CosmosOnlineStore, status: int) -> None:
    """Time-outs, moved partitions, colliding requests and failures of the service end, and the row is written once."""
    fake.faults = [Fault("create", status)]
    assert store.write("v", "customer_id", view_rows([1], [1], spend=[1.0])) == 1
    assert events(store, "v", ["1"]) == {"1": 1}


def test_the_service_says_how_long_to_wait(fake: CosmosFake, store: CosmosOnlineStore) -> None:
    """Nothing is sent before the time that came with a 429."""
    fake.faults = [Fault("create", 429, retry_ms=700)]
    store.read([])
    begun = time.monotonic()
    store.write("v", "customer_id", view_rows([1], [1], spend=[1.0]))
    assert time.monotonic() - begun >= 0.7
    assert fake.calls.count("create") == 2


@pytest.mark.parametrize("key", ["", ".", "a/b", "a\\b", "a?b#c", "Ærø", "_2f", " ", "a" * 1021])
def test_any_key_is_an_id(store: CosmosOnlineStore, key: str) -> None:
    """What the service takes for no id is spelled otherwise."""
    store.write("v", "customer_id", view_rows([key], [1], spend=[1.0]))
    assert events(store, "v", [key, key + "b"]) == {key: 1, key + "b": None}


def test_what_does_not_fit_is_refused_before_it_is_sent(fake: CosmosFake, store: CosmosOnlineStore) -> None:
    """A key or a row that is too large is a broken contract with a number; asking for such a key finds nothing."""
    with pytest.raises(ContractBroken, match="at most 1022"):
        store.write("v", "customer_id", view_rows(["a" * 1022], [1], spend=[1.0]))
    with pytest.raises(ContractBroken, match="2 MB"):
        store.write("v", "customer_id", view_rows([1], [1], text=["x" * 1_600_000]))
    assert store.read([("v", ["a" * 1022])]) == [[None]]
    assert "create" not in fake.calls


def test_long_keys_are_asked_in_several_queries(fake: CosmosFake, store: CosmosOnlineStore) -> None:
    """A query's text is bounded, so what is asked at once is counted in bytes as well; answers come in pages."""
    keys = [f"{n:03}{'k' * 900}" for n in range(300)]
    found = parts([item_id("v", key) or "" for key in keys])
    assert [sum(len(name) for name in part) <= 200_000 for part in found] == [True] * len(found)
    assert [name for part in found for name in part] == [item_id("v", key) for key in keys]
    fake.page = 3
    store.write("v", "customer_id", view_rows(keys[:20], list(range(20)), spend=[1.0] * 20))
    assert list(events(store, "v", keys[:20]).values()) == list(range(20))


def test_the_service_deletes_what_has_expired(fake: CosmosFake, store: CosmosOnlineStore) -> None:
    """``ttl`` ends with the row's life by the platform's clock; a row without ``keep`` has none."""
    then = datetime(2011, 3, 1, tzinfo=UTC)
    event_us = int((then - timedelta(hours=1)).timestamp()) * 1_000_000
    store.write("v", "customer_id", view_rows([1], [event_us], spend=[1.0]), Keep(0.5, then))
    store.write("v", "customer_id", view_rows([2], [event_us], spend=[1.0]))
    store.write("v", "customer_id", view_rows([3], [event_us], spend=[1.0]), Keep(1 / 24 + 1e-9, then))
    store.write("v", "customer_id", view_rows([4], [event_us], spend=[1.0]), Keep(1e5, then))
    first, second, third, fourth = (fake.items[f"v:{key}"] for key in "1234")
    assert first["ttl"] == pytest.approx(11 * 3600, abs=60)
    assert (third["ttl"], fourth["ttl"]) == (1, 2**31 - 1)
    assert not {"ttl", "until_us"} & set(second)
    assert base64.b64decode(second["row"]) == pack(OnlineRow(event_us, (1.0,)))
    time.sleep(0.01)  # until the row is too old by the clock
    assert set(events(store, "v", list("123")).items()) == {("1", event_us), ("2", event_us), ("3", None)}
    time.sleep(2)  # until the service counts it as too old: it knows whole seconds only
    assert (fake.sweep(), len(fake.items)) == (1, 3)


def test_drop_takes_every_item_of_a_view(fake: CosmosFake, store: CosmosOnlineStore) -> None:
    """More than one page goes, over a fault; another view stays."""
    many = list(range(250))
    store.write("v", "customer_id", view_rows(many, [1] * 250, spend=[1.0] * 250))
    store.write("v2", "customer_id", view_rows([1], [1], spend=[1.0]))
    fake.faults = [Fault("query", 503), Fault("delete", 429, times=3), Fault("delete", 500, after=True)]
    store.drop("v")
    assert list(fake.items) == ["v2:1"]


def test_what_is_asked_in_one_turn_travels_together(fake: CosmosFake, store: CosmosOnlineStore) -> None:
    """Twenty requests of one turn of the event loop are a query a physical partition."""
    store.write("v", "customer_id", view_rows(list(range(10)), list(range(10)), spend=[1.0] * 10))
    fake.calls.clear()

    async def all_at_once() -> list[Any]:
        return await asyncio.gather(*(store.fetch([("v", [str(n % 10), "none"])]) for n in range(20)))

    found = asyncio.run(all_at_once())
    assert [answer[0][0].event_time_us for answer in found] == [n % 10 for n in range(20)]
    assert len(fake.calls) == 2
    assert set(fake.calls) <= {"query", "read"}


@pytest.mark.parametrize(
    ("change", "problem", "fix"),
    [
        ({"consistency": "Session"}, "consistency Session", "--default-consistency-level"),
        ({"several_writers": True}, "several regions", "--enable-multiple-write-locations false"),
        ({"container": {"partitionKey": {"paths": ["/pk"]}}}, "partition key", "--partition-key-path /id"),
        ({"container": {"defaultTtl": None}}, "time to live", "--ttl -1"),
    ],
)
def test_an_account_that_promises_less_is_refused(
    fake: CosmosFake, store: CosmosOnlineStore, change: dict[str, Any], problem: str, fix: str
) -> None:
    """What would break a promise is said when the store is opened, with the command that mends it."""
    for name, value in change.items():
        setattr(fake, name, fake.container | value if name == "container" else value)
    with pytest.raises(Permanent, match=problem) as caught:
        store.read([("v", ["1"])])
    assert fix in caught.value.fix
    with pytest.raises(Permanent, match=problem):  # at once, without asking again
        asyncio.run(store.fetch([("v", ["1"])]))
    assert fake.calls.count("container") == 1


def test_a_container_that_is_gone_and_rights_that_are_missing(fake: CosmosFake, opened: Any) -> None:
    """The one is permanent, also while rows are written; the other may be given."""
    store = opened(patience_seconds=20)
    store.write("v", "customer_id", view_rows([1, 2], [1, 1], spend=[1.0, 1.0]))
    fake.there = False
    store._opened()[0]._link._looked_at = 0.0
    for ask in (lambda: events(store, "v", ["1", "2"]), lambda: _write_one(store), lambda: store.drop("v")):
        with pytest.raises(InvalidEnvironment, match="Owner resource"):
            ask()
    fake.there, fake.rights = True, False
    with pytest.raises(StoreUnavailable, match="role assignment create") as caught:
        store.read([("v", ["1", "2"])])
    assert "good" not in str(caught.value)


def _write_one(store: CosmosOnlineStore) -> int:
    return store.write("v", "customer_id", view_rows([1], [1], spend=[1.0]))


def test_a_server_that_nobody_vouches_for_is_not_talked_to(fake: CosmosFake, opened: Any, monkeypatch: Any) -> None:
    """Without the authority's certificate there is no connection, and no token goes out."""
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    with pytest.raises(StoreUnavailable, match=r"(?i)certificate"):
        opened().read([("v", ["1"])])
    assert fake.calls == []
