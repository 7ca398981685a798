"""Redis Cluster keeps the online store's promises: three real servers, and slots that move between them."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis.crc import key_slot

from loopline.platform_core.contracts.online_packing import pack
from loopline.platform_core.contracts.online_store import OnlineRow
from loopline.platform_core.errors import ContractBroken, StoreUnavailable, Unsupported
from loopline.platform_core.testing.credentials import CredentialsKit
from loopline.platform_core.testing.online_store import OnlineStoreKit, events, view_rows
from loopline.platform_core.testing.parts.ports import free_port
from loopline.resources.redis.online_store import RedisOnlineStore
from loopline.resources.redis_cluster import changing
from loopline.resources.redis_cluster.online_store import RedisClusterOnlineStore
from tests.emulators.redis_cluster import RedisCluster
from tests.resources.redis.forked import hold_when_forked

ENTITY = "customer_id"
PATIENCE = 10
"""Seconds within which half a second has passed on a machine that does much else."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisCluster]:
    """Run three primaries; tests share them, so each takes a prefix of its own."""
    cluster = RedisCluster(tmp_path_factory.mktemp("cluster"))
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.close()


@pytest.fixture
def prefix() -> str:
    """Name a part of the cluster that no other test has, with signs that mean something to Redis' patterns."""
    return f"test-{uuid.uuid4().hex}[*]:"


@pytest.fixture
def store(cluster: RedisCluster, prefix: str) -> Iterator[RedisClusterOnlineStore]:
    """Open a store on an empty part of the cluster."""
    store = RedisClusterOnlineStore(url=cluster.url, prefix=prefix, timeout_seconds=20)
    yield store
    store.close()
    store.close()


@pytest.fixture
def opened_anew(cluster: RedisCluster, prefix: str) -> Iterator[RedisClusterOnlineStore]:
    """Open the same part again, by another server."""
    store = RedisClusterOnlineStore(url=cluster.urls[2], prefix=prefix, timeout_seconds=20)
    yield store
    store.close()


class TestRedisClusterOnlineStore(OnlineStoreKit):
    """Every promise of the contract."""

    tested_on = "real server: Redis Cluster of three"


class TestWrongPassword(CredentialsKit):
    """A cluster that asks for a password."""

    @pytest.fixture
    def stranger(self, cluster: RedisCluster, wrong_secret: str) -> Iterator[RedisClusterOnlineStore]:
        """Open a store with it; the same one with the right password is let in."""
        cluster.let_in("frodo", "open-sesame")
        place = cluster.url.removeprefix("redis://")
        known = RedisClusterOnlineStore(url=f"redis://frodo:open-sesame@{place}", timeout_seconds=20)
        assert known.write("v", ENTITY, view_rows(range(9), [1] * 9, spend=[1.0] * 9)) == 9
        known.drop("v")
        known.close()
        store = RedisClusterOnlineStore(url=f"redis://frodo:{wrong_secret}@{place}", timeout_seconds=20)
        yield store
        store.close()


def test_a_row_is_one_value_and_an_entitys_views_are_in_one_slot(
    store: RedisClusterOnlineStore, cluster: RedisCluster
) -> None:
    """What lies there is what every other reader of the encoding expects, under a name it can build."""
    for view in ("team.v.v1", "team.w.v1"):
        store.write(view, ENTITY, view_rows([7], [-5], spend=[1.5], country=["Ærø"]))
    names = [f"{store.prefix}{view}:{{7}}" for view in ("team.v.v1", "team.w.v1")]
    at = cluster.owner(slot_of(names[0]))
    assert cluster.clients[at].mget(names) == [pack(OnlineRow(-5, (1.5, "Ærø")))] * 2


def test_rows_are_on_every_server_and_drop_takes_them_all(
    store: RedisClusterOnlineStore, cluster: RedisCluster
) -> None:
    """Thousands of keys of each server go, and a view whose name begins the same stays."""
    many = list(range(6000))
    assert store.write("v", ENTITY, view_rows(many, [1] * 6000, spend=[1.0] * 6000)) == 6000
    store.write("v2", ENTITY, view_rows([1], [1], spend=[1.0]))
    held = [[*client.scan_iter(count=5000)] for client in cluster.clients]
    assert min(len([key for key in keys if key.startswith(store.prefix.encode())]) for keys in held) > 1500
    store.drop("v")
    left = [key for client in cluster.clients for key in client.scan_iter(count=5000)]
    assert [key for key in left if key.startswith(store.prefix.encode())] == [f"{store.prefix}v2:{{1}}".encode()]


def test_servers_that_forgot_the_script_are_given_it_again(
    store: RedisClusterOnlineStore, cluster: RedisCluster
) -> None:
    """After SCRIPT FLUSH on one of them a write counts each key once."""
    many = list(range(3000))
    rows = view_rows(many, [1] * 3000, spend=[1.0] * 3000)
    assert store.write("v", ENTITY, rows) == 3000
    cluster.clients[1].script_flush()
    assert store.write("v", ENTITY, rows) == 3000


def test_a_slot_that_moves_loses_nothing_and_takes_no_older_event(
    store: RedisClusterOnlineStore, cluster: RedisCluster
) -> None:
    """Half moved and moved: reads find every row, writes keep the newest, on both ways of asking."""
    keys = [key for key in map(str, range(200_000)) if slot_of(key) == 4711][:10]
    slot, to = 4711, (cluster.owner(4711) + 1) % 3
    asks = [("v", keys), ("w", keys[:3])]

    def written(event: int) -> int:
        return store.write("v", ENTITY, view_rows(keys, [event] * 10, spend=[float(event)] * 10))

    def both() -> set[int | None]:
        fetched = asyncio.run(store.fetch(asks))
        assert fetched == store.read(asks)
        assert fetched[1] == [None] * 3
        return {row.event_time_us if row else None for row in fetched[0]}

    assert (written(20), both()) == (10, {20})
    came_from = cluster.begin_move(slot, to)
    for most, event in ((4, 30), (3, 40)):
        assert cluster.move_keys(slot, came_from, to, most) == most
        assert both() == {event - 10}
        assert (written(event), written(5), both()) == (10, 0, {event})
    new = [key for key in map(str, range(200_000, 900_000)) if slot_of(key) == slot][:2]
    store.write("v", ENTITY, view_rows(new, [1, 2], spend=[1.0, 2.0]))  # they are made where the slot goes
    assert events(store, "v", new) == dict(zip(new, (1, 2), strict=True))
    cluster.end_move(slot, came_from, to)
    assert (both(), written(5), written(50), both()) == ({40}, 0, 10, {50})
    void = view_rows(keys[:5], [50] * 5)
    assert store.replace("v", ENTITY, view_rows(keys[:2], [7, 7], spend=[1.0, 1.0]), void) == 5
    assert [row and row.event_time_us for row in store.read([("v", keys)])[0]] == [7, 7, None, None, None, *[50] * 5]


def test_slots_move_while_everybody_reads_and_writes(store: RedisClusterOnlineStore, cluster: RedisCluster) -> None:
    """No answer is wrong and none fails; in the end each key holds its newest event, and drop finds all of them."""
    keys = [str(key) for key in range(300)]
    slots = sorted({slot_of(key) for key in keys})[:60]
    ended, failed, last = threading.Event(), [], 0
    store.write("v", ENTITY, view_rows(keys, [0] * 300, spend=[0.0] * 300))

    def look() -> None:
        try:
            while not ended.is_set():
                assert all(store.read([("v", keys)])[0])
                assert all(asyncio.run(store.fetch([("v", keys[:50])]))[0])
        except BaseException as error:  # noqa: BLE001 - shown by the assertion below
            failed.append(error)

    def move() -> None:
        for slot in slots:
            to = (cluster.owner(slot) + 1) % 3
            came_from = cluster.begin_move(slot, to)
            cluster.end_move(slot, came_from, to)
        ended.set()

    others = [threading.Thread(target=look), threading.Thread(target=move)]
    for other in others:
        other.start()
    while not ended.is_set():
        last += 2
        store.write("v", ENTITY, view_rows(keys, [last] * 300, spend=[1.0] * 300))
        assert store.write("v", ENTITY, view_rows(keys, [last - 1] * 300, spend=[2.0] * 300)) == 0
    for other in others:
        other.join()
    assert failed == []
    assert set(events(store, "v", keys).values()) == {last}
    store.drop("v")
    assert set(events(store, "v", keys).values()) == {None}


def test_servers_hang_and_die(tmp_path: Path) -> None:
    """Callers are told in time; a replica takes over with every row; without one callers are told who is away."""
    cluster = RedisCluster(tmp_path, replicas=1, away_ms=1000)
    keys = [str(key) for key in range(300)]
    try:
        cluster.start()
        store = RedisClusterOnlineStore(url=cluster.url, seeds=(_place(cluster, 1),), timeout_seconds=0.5)
        patient = store.with_settings(timeout_seconds=20)
        cluster.wait_until(lambda: _is_written(store, keys), "nothing can be written")
        cluster.wait_until(lambda: cluster.clients[3].dbsize() == cluster.clients[0].dbsize(), "the replica is behind")

        cluster.hang(0)
        assert _told_until_found(store, keys, cluster) < PATIENCE
        assert cluster.owner(0, by=1) == 3
        cluster.wait_until(lambda: _is_fetched(store, keys), "who asks first of one that hangs never gets to others")
        cluster.go_on(0)  # it still takes itself for the primary, until the others have told it
        assert set(events(patient, "v", keys).values()) == {1}
        cluster.wait_until(lambda: cluster.follows(0), "who hung does not follow")

        cluster.kill(3)
        assert _told_until_found(store, keys, cluster) < PATIENCE
        cluster.wait_until(lambda: _is_written(store, keys, 2), "nothing can be written")
        first_is_dead = {"url": cluster.urls[3], "seeds": (_place(cluster, 2),)}
        again = RedisClusterOnlineStore(**first_is_dead, timeout_seconds=20)
        cluster.wait_until(lambda: _is_seen(again, keys, 2), "rows are not seen")
        again.close()

        cluster.kill(1)  # it has no replica, so the whole cluster is down
        cluster.wait_until(lambda: str(cluster.ports[1]) in _problem(store, keys), "nobody says who is away")
        cluster.start_one(1)  # it kept nothing: the lake fills it again
        cluster.wait_until(lambda: _is_written(store, keys, 3), "it is not used again")
        cluster.wait_until(lambda: _is_seen(patient, keys, 3), "who last asked long ago does not see it")
        store.close()
        patient.close()
    finally:
        cluster.close()


def test_a_server_that_hangs_keeps_nobody_waiting(cluster: RedisCluster, prefix: str) -> None:
    """Whoever asks for what it holds is told within the time-out, who asks others is answered meanwhile."""
    store = RedisClusterOnlineStore(url=cluster.url, prefix=prefix, timeout_seconds=0.3)
    patient = RedisClusterOnlineStore(url=cluster.url, prefix=prefix, timeout_seconds=20)
    held = {at: [key for key in map(str, range(90)) if _holds(cluster, at, f"{prefix}v:{{{key}}}")] for at in (0, 1)}
    cluster.wait_until(lambda: _is_written(store, [*held[0], *held[1]]), "nothing can be written")
    cluster.hang(1)
    try:
        for attempt in (lambda: store.read([("v", held[1])]), lambda: asyncio.run(store.fetch([("v", held[1])]))):
            begun = time.monotonic()
            with pytest.raises(StoreUnavailable, match="no answer"):
                attempt()
            assert 0.25 < time.monotonic() - begun < PATIENCE
        assert set(events(patient, "v", held[0]).values()) == {1}
    finally:
        cluster.go_on(1)
    cluster.wait_until(cluster.agrees, "the servers do not agree again")
    cluster.wait_until(lambda: _is_seen(store, [*held[0], *held[1]], 1), "who was told so is not answered again")
    assert set(events(patient, "v", [*held[0], *held[1]]).values()) == {1}
    store.close()
    patient.close()


def test_a_forked_process_has_connections_of_its_own(store: RedisClusterOnlineStore) -> None:
    """Parent and child read at the same time through one store and never get each other's answers."""
    hold_when_forked(store, 50)


def test_what_is_no_cluster_and_what_is_one_are_told_apart(redis_server: Any, cluster: RedisCluster) -> None:
    """Each vendor names the other; a server that is away, and bytes that are no row, are told as they are."""
    with pytest.raises(Unsupported, match="vendor 'redis'"):
        RedisClusterOnlineStore(url=redis_server.url.removesuffix("/0")).read([("v", ["1"])])
    with pytest.raises(Unsupported, match="redis_cluster"):
        RedisOnlineStore(url=f"{cluster.url}/0", timeout_seconds=20).read([("v", ["1", "2"])])
    with pytest.raises(StoreUnavailable, match=r"connecting to 127\.0\.0\.1"):
        RedisClusterOnlineStore(url=f"redis://127.0.0.1:{free_port()}").read([("v", ["1"])])


def test_a_write_goes_by_parts(store: RedisClusterOnlineStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """More rows than one part has are written and counted, each once; what another program wrote is named."""
    monkeypatch.setattr(changing, "AT_ONCE", 7)
    assert store.write("v", ENTITY, view_rows(list(range(50)), [1] * 50, spend=[1.0] * 50)) == 50
    assert store.write("v", ENTITY, view_rows(list(range(60)), [0] * 60, spend=[1.0] * 60)) == 10
    background = store._background()
    name = f"{store.prefix}v:{{1}}"
    background.wait(background.client.run([(name, ("SET", name, "hello"))]))
    with pytest.raises(ContractBroken, match="refill"):
        store.read([("v", ["1"])])


def test_an_address_that_is_no_cluster_s_is_refused() -> None:
    """A database other than the first, and a prefix that would put all keys into one slot."""
    for wrong in ({"url": "redis://host:6379/3"}, {"url": "unix://socket"}, {"prefix": "{loopline}:"}):
        with pytest.raises(ValueError, match=r"pattern|is not redis:"):
            RedisClusterOnlineStore(**wrong)


def slot_of(name: str) -> int:
    """Return a key's slot, as redis-py has it."""
    return int(key_slot(name.encode()))


def _place(cluster: RedisCluster, at: int) -> str:
    return f"127.0.0.1:{cluster.ports[at]}"


def _holds(cluster: RedisCluster, at: int, name: str) -> bool:
    return cluster.owner(slot_of(name)) == at


def _told_until_found(store: RedisClusterOnlineStore, keys: list[str], cluster: RedisCluster) -> float:
    """Read until every row is found, after being told at least once; returns the longest wait, in seconds."""
    waits: list[float] = []

    def found() -> bool:
        begun = time.monotonic()
        try:
            return all(store.read([("v", keys)])[0])
        except StoreUnavailable:
            waits.append(time.monotonic() - begun)
            return False

    cluster.wait_until(found, "rows are not found again")
    return max(waits)


def _is_fetched(store: RedisClusterOnlineStore, keys: list[str]) -> bool:
    """Fetch on a new event loop, which knows nothing but the addresses that it was given."""
    try:
        return all(asyncio.run(store.fetch([("v", keys)]))[0])
    except StoreUnavailable:
        return False


def _is_seen(store: RedisClusterOnlineStore, keys: list[str], event: int) -> bool:
    try:
        return set(events(store, "v", keys).values()) == {event}
    except StoreUnavailable:
        return False


def _is_written(store: RedisClusterOnlineStore, keys: list[str], event: int = 1) -> bool:
    return not _problem(store, keys, event)


def _problem(store: RedisClusterOnlineStore, keys: list[str], event: int = 1) -> str:
    try:
        store.write("v", ENTITY, view_rows(keys, [event] * len(keys), spend=[1.0] * len(keys)))
    except StoreUnavailable as error:
        return error.problem
    return ""
