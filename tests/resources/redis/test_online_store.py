"""Redis keeps the online store's promises: a real server, real processes."""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import threading
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis

from loopline.platform_core.contracts.online_packing import pack
from loopline.platform_core.contracts.online_store import Keep, OnlineRow
from loopline.platform_core.errors import ContractBroken, StoreUnavailable, Unsupported
from loopline.platform_core.testing.credentials import CredentialsKit
from loopline.platform_core.testing.online_store import OnlineStoreKit, events, view_rows
from loopline.platform_core.testing.parts.ports import free_port
from loopline.resources.redis.online_store import RedisOnlineStore
from tests.resources.redis.forked import hold_when_forked, reads_right


def _writes_shuffled(url: str, prefix: str, seed: int) -> None:
    """Write two thousand events of fifty keys, in an order of this writer's own."""
    store = RedisOnlineStore(url=url, prefix=prefix)
    every = [(key, time) for key in range(50) for time in range(40)]
    random.Random(seed).shuffle(every)
    for at in range(0, len(every), 20):
        keys, times = zip(*every[at : at + 20], strict=True)
        store.write("v", "customer_id", view_rows(keys, times, spend=[float(time) for time in times]))


@pytest.fixture
def prefix() -> str:
    """Name a part of the server that no other test has, with signs that mean something to Redis' patterns."""
    return f"test-{uuid.uuid4().hex}[*]:"


@pytest.fixture
def store(redis_server: Any, prefix: str) -> Iterator[RedisOnlineStore]:
    """Open a store on an empty part of the server."""
    store = RedisOnlineStore(url=redis_server.url, prefix=prefix)
    yield store
    store.close()
    store.close()


@pytest.fixture
def opened_anew(redis_server: Any, prefix: str) -> Iterator[RedisOnlineStore]:
    """Open the same part again."""
    store = RedisOnlineStore(url=redis_server.url, prefix=prefix)
    yield store
    store.close()


@pytest.fixture
def raw(redis_server: Any) -> Iterator[redis.Redis]:
    """Look at the server itself."""
    client = redis.Redis.from_url(redis_server.url)
    yield client
    client.close()


class TestRedisOnlineStore(OnlineStoreKit):
    """Every promise of the contract."""

    tested_on = "real server: Redis"


class TestWrongPassword(CredentialsKit):
    """A server that asks for a password."""

    @pytest.fixture
    def stranger(self, own_redis_server: Any, wrong_secret: str) -> Iterator[RedisOnlineStore]:
        """Open a store with it."""
        own_redis_server.kill()
        own_redis_server.start("--requirepass", "open-sesame")
        store = RedisOnlineStore(url=own_redis_server.url.replace("://", f"://default:{wrong_secret}@"))
        yield store
        store.close()


def test_a_row_is_one_value_in_the_shared_encoding(store: RedisOnlineStore, raw: redis.Redis) -> None:
    """What lies on the server is what every other reader of the encoding expects, under a name it can build."""
    store.write("team.v.v1", "customer_id", view_rows([7], [-5], spend=[1.5], country=["Ærø"]))
    assert raw.get(f"{store.prefix}team.v.v1:7") == pack(OnlineRow(-5, (1.5, "Ærø")))


def test_writers_that_shuffle_the_same_events_leave_the_newest(store: RedisOnlineStore) -> None:
    """Two processes write two thousand events of fifty keys in different orders; every key ends with its newest."""
    fork = multiprocessing.get_context("fork")
    writers = [fork.Process(target=_writes_shuffled, args=(store.url, store.prefix, seed)) for seed in (1, 2)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert [writer.exitcode for writer in writers] == [0, 0]
    keys = [str(key) for key in range(50)]
    assert store.read([("v", keys)]) == [[OnlineRow(39, (39.0,))] * 50]


def test_times_before_1970_and_far_ahead_are_in_order(store: RedisOnlineStore) -> None:
    """Whatever two event times are written in whatever order, the later one stays."""
    times = [-(2**62), -(2**32) - 1, -(2**32), -1, 0, 1, 2**32 - 1, 2**32, 2**53, 2**53 + 1, 2**62]
    pairs = [(first, second) for first in times for second in times]
    keys = list(range(len(pairs)))
    for side in (0, 1):
        store.write("v", "customer_id", view_rows(keys, [pair[side] for pair in pairs], side=[side] * len(pairs)))
    rows = store.read([("v", [str(key) for key in keys])])[0]
    wanted = [OnlineRow(max(pair), (int(pair[1] >= pair[0]),)) for pair in pairs]
    assert rows == wanted


def test_a_server_that_forgot_the_script_is_given_it_again(store: RedisOnlineStore, raw: redis.Redis) -> None:
    """After SCRIPT FLUSH a write of many batches works, and counts its keys once."""
    many = list(range(2000))
    rows = view_rows(many, [1] * 2000, spend=[1.0] * 2000)
    assert store.write("v", "customer_id", rows) == 2000
    raw.script_flush()
    assert store.write("v", "customer_id", rows) == 2000
    assert events(store, "v", ["0", "1999"]) == {"0": 1, "1999": 1}


def test_expiry_is_counted_from_the_event_on_the_platforms_clock(store: RedisOnlineStore, raw: redis.Redis) -> None:
    """Data of 2011 replayed today lives as long as it would have then; writing a row again changes nothing."""
    then = datetime(2011, 3, 1, tzinfo=UTC)
    event_us = int((then - timedelta(hours=1)).timestamp()) * 1_000_000
    for _ in range(2):
        store.write("v", "customer_id", view_rows([1], [event_us], spend=[1.0]), Keep(0.5, then))
        assert raw.pttl(f"{store.prefix}v:1") == pytest.approx(11 * 3_600_000, abs=2000)
    later = Keep(0.5, then + timedelta(hours=10))
    store.write("v", "customer_id", view_rows([1], [event_us], spend=[1.0]), later)
    assert raw.pttl(f"{store.prefix}v:1") == pytest.approx(3_600_000, abs=2000)
    store.write("v", "customer_id", view_rows([1], [event_us], spend=[1.0]))
    assert raw.pttl(f"{store.prefix}v:1") == -1


def test_drop_takes_every_key_of_a_view(store: RedisOnlineStore, raw: redis.Redis) -> None:
    """Thousands of keys go, and a view whose name begins the same stays."""
    many = list(range(5000))
    store.write("v", "customer_id", view_rows(many, [1] * 5000, spend=[1.0] * 5000))
    store.write("v2", "customer_id", view_rows([1], [1], spend=[1.0]))
    store.drop("v")
    left = [key for key in raw.scan_iter(count=5000) if key.startswith(store.prefix.encode())]
    assert left == [f"{store.prefix}v2:1".encode()]


def test_a_forked_process_has_connections_of_its_own(store: RedisOnlineStore) -> None:
    """Parent and child read at the same time through one store and never get each other's answers."""
    hold_when_forked(store, 300)


def test_one_instance_serves_many_threads(store: RedisOnlineStore) -> None:
    """Threads that read and write through one store get their own answers."""
    store.write("v", "customer_id", view_rows(list(range(8)), list(range(8)), spend=[1.0] * 8))
    failed: list[BaseException] = []

    def work(key: int) -> None:
        try:
            for time_us in range(50):
                assert store.write(f"of-{key}", "customer_id", view_rows([key], [time_us], spend=[1.0])) == 1
                reads_right(store, str(key), key, times=2)
        except BaseException as error:  # noqa: BLE001 - shown by the assertion below
            failed.append(error)

    threads = [threading.Thread(target=work, args=(key,)) for key in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []


def test_a_server_that_was_killed_is_used_again(own_redis_server: Any) -> None:
    """While it is away callers are told what to do; when it is back, reading and writing work without a new store."""
    store = RedisOnlineStore(url=own_redis_server.url)
    rows = view_rows([1], [1], spend=[1.0])
    assert store.write("v", "customer_id", rows) == 1
    own_redis_server.kill()
    for attempt in (lambda: store.read([("v", ["1"])]), lambda: store.write("v", "customer_id", rows)):
        with pytest.raises(StoreUnavailable) as caught:
            attempt()
        assert str(own_redis_server.port) in caught.value.problem
        assert "runs and is reached" in caught.value.fix
    own_redis_server.start()
    assert events(store, "v", ["1"]) == {"1": None}
    assert store.write("v", "customer_id", rows) == 1
    assert events(store, "v", ["1"]) == {"1": 1}
    store.close()


def test_a_server_that_hangs_is_waited_for_so_long(own_redis_server: Any) -> None:
    """A stopped server costs the time-out and no more; its late answer is nobody else's."""
    store = RedisOnlineStore(url=own_redis_server.url, timeout_seconds=0.2)
    store.write("v", "customer_id", view_rows([1, 2], [1, 2], spend=[1.0, 2.0]))
    own_redis_server.stop()
    begun = time.monotonic()
    with pytest.raises(StoreUnavailable):
        store.read([("v", ["1"])])
    assert 0.15 < time.monotonic() - begun < 20
    own_redis_server.go_on()
    assert events(store, "v", ["2"]) == {"2": 2}
    store.close()


def test_a_full_server_refuses_aloud(own_redis_server: Any) -> None:
    """A write that does not fit is an error with the server's own word."""
    own_redis_server.kill()
    own_redis_server.start("--maxmemory", "2mb", "--maxmemory-policy", "noeviction")
    store = RedisOnlineStore(url=own_redis_server.url)
    many = list(range(50_000))
    with pytest.raises(StoreUnavailable, match="maxmemory"):
        store.write("v", "customer_id", view_rows(many, [1] * len(many), spend=[1.0] * len(many)))
    store.close()


def test_a_cluster_has_a_vendor_of_its_own(own_redis_server: Any) -> None:
    """It is said what to bind instead, on every path."""
    own_redis_server.kill()
    own_redis_server.start("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    store = RedisOnlineStore(url=own_redis_server.url)
    asks = [("v", ["1", "2"])]
    for attempt in (lambda: store.read(asks), lambda: asyncio.run(store.fetch(asks))):
        with pytest.raises(Unsupported, match="redis_cluster"):
            attempt()
    store.close()


def test_what_another_program_wrote_is_named(store: RedisOnlineStore, raw: redis.Redis) -> None:
    """Bytes that are no row are a broken contract, and a fix comes with it."""
    raw.set(f"{store.prefix}v:1", b"hello")
    with pytest.raises(ContractBroken, match="refill"):
        store.read([("v", ["1"])])
