"""Redis keeps tenants apart: a real server with a file of users."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis

from loopline.platform_core.contracts.online_store import Keep
from loopline.platform_core.errors import InvalidEnvironment, InvalidSpec
from loopline.platform_core.testing.online_store import OnlineStoreKit, view_rows
from loopline.platform_core.testing.tenant_store import CutOff, TenantStoreKit
from loopline.resources.redis.functions import Place
from loopline.resources.redis.online_store import RedisOnlineStore
from loopline.resources.redis.tenants import RedisTenants
from tests.conftest import RedisServer
from tests.tenants.served import OfServed, Served
from tests.tenants.stores import redis_store
from tests.tenants.stores.redis_store import ATTEMPTS, RedisGuest, SharedRedis


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SharedRedis]:
    """Run a server of these tests' own."""
    server = SharedRedis(tmp_path_factory.mktemp("shared-redis"))
    server.start()
    yield server
    server.kill()


@pytest.fixture(scope="module")
def served(server: SharedRedis) -> Served:
    """Share it with the kit."""
    return server.served()


class TestRedisTenants(OfServed, TenantStoreKit):
    """Every promise of the contract."""

    tested_on = "real server: Redis"
    every = ATTEMPTS


class TestRedisOfATenant(OnlineStoreKit):
    """An online store keeps its promises with a tenant's rights, too."""

    tested_on = "real server: Redis by a tenant"

    @pytest.fixture
    def opened_anew(self, store: RedisOnlineStore) -> Iterator[RedisOnlineStore]:
        """Open the same place again."""
        again = store.with_settings()
        yield again
        again.close()


@pytest.fixture
def store(server: SharedRedis) -> Iterator[RedisOnlineStore]:
    """Make a tenant, lend its store, and remove it."""
    tenants = server.tenants()
    store = RedisOnlineStore(**tenants.create("kit", "a-password"), shared=True)
    yield store
    store.close()
    tenants.delete("kit")


@pytest.fixture
def raw(server: SharedRedis) -> Iterator[redis.Redis]:
    """Look at the server itself."""
    with redis_store.client(server.served().ruler) as client:
        yield client


def test_a_view_is_forgotten_by_its_list(store: RedisOnlineStore, raw: redis.Redis) -> None:
    """Thousands of keys go, of both kinds, and nothing of it is left, nor of another view."""
    many, then = list(range(2500)), datetime(2011, 3, 1, tzinfo=UTC)
    recent = [int(then.timestamp()) * 1_000_000] * 2500
    store.write("v", "customer_id", view_rows(many, recent, spend=[1.0] * 2500))
    store.write("v", "customer_id", view_rows([str(-key) for key in many], recent, spend=[1.0] * 2500), Keep(1, then))
    store.write("v2", "customer_id", view_rows([1], [1], spend=[1.0]))
    assert raw.zcard(Place(store.prefix, "v").keys) == 4999
    store.drop("v")
    place = Place(store.prefix, "v2")
    assert {key.decode() for key in raw.scan_iter(f"{store.prefix}*")} == {place.head + "1", place.keys, place.views}
    assert raw.smembers(place.views) == {b"v2"}


def test_what_has_ended_is_struck_off_the_list(store: RedisOnlineStore, raw: redis.Redis) -> None:
    """A list does not grow by those that ended long ago."""
    then = datetime(2011, 3, 1, tzinfo=UTC)
    ends_us = int(then.timestamp()) * 1_000_000 - 86_400_000_000 + 50_000
    store.write("v", "customer_id", view_rows([1, 2], [ends_us] * 2, spend=[1.0] * 2), Keep(1, then))
    assert raw.zcard(Place(store.prefix, "v").keys) == 2
    time.sleep(0.1)  # until the rows have ended, by the server's clock
    store.write("v", "customer_id", view_rows([3], [ends_us + 10**9], spend=[1.0]), Keep(1, then))
    assert raw.zrange(Place(store.prefix, "v").keys, 0, -1) == [f"{store.prefix}v:3".encode()]


def test_what_a_store_needs_to_be_told_is_said(store: RedisOnlineStore) -> None:
    """Who forgets ``shared``, or names another's prefix, is told so, and not to try again."""
    for wrong in (store.with_settings(shared=False), store.with_settings(prefix="loopline:")):
        with pytest.raises(InvalidEnvironment, match="shared: true"):
            wrong.write("v", "customer_id", view_rows([1], [1], spend=[1.0]))
        wrong.close()


def test_a_server_without_the_functions_is_named(store: RedisOnlineStore, raw: redis.Redis) -> None:
    """It says who has to do what; made once more, the tenant goes on."""
    raw.execute_command("FUNCTION", "FLUSH")
    with pytest.raises(InvalidEnvironment, match="make the tenant once more"):
        store.write("v", "customer_id", view_rows([1], [1], spend=[1.0]))


def test_users_are_there_after_a_restart(tmp_path: Any) -> None:
    """Suspended or not, as they were; the file holds no password."""
    server = SharedRedis(tmp_path)
    server.start()
    tenants = server.tenants()
    fields = tenants.create("retail", "a-password")
    tenants.create("tools", "a-password")
    tenants.suspend("tools")
    server.kill()
    server.start()
    assert (tenants.is_open("retail"), tenants.is_open("tools")) == (True, False)
    tenants.create("retail", "a-password")
    RedisGuest(fields).write("note", "text")
    assert "a-password" not in server.file.read_text()
    assert "a-password" not in repr(tenants.model_copy(update={"url": fields["url"]}))
    server.kill()


def test_a_server_that_asks_nobody_keeps_nobody_apart(redis_server: RedisServer) -> None:
    """It is refused before anybody is made there."""
    tenants = RedisTenants(url=redis_server.url)
    with pytest.raises(InvalidEnvironment, match="default user needs no password"):
        tenants.create("retail", "a-password")
    assert tenants.holds("retail") == ()


def test_without_a_file_of_users_it_works_until_the_server_ends(own_redis_server: RedisServer) -> None:
    """With a password for the default user, who is the administrator."""
    own_redis_server.kill()
    own_redis_server.start("--requirepass", "ruler")
    tenants = RedisTenants(url=own_redis_server.url.replace("://", "://:ruler@").replace("/0", "/3"))
    guest = RedisGuest(tenants.create("retail", "a-password"))
    guest.write("note", "text")
    assert guest.read("note") == "text"
    assert [name for name in tenants.holds("retail") if "note" in name]
    assert tenants.with_settings(url=tenants.url.replace("/3", "/0")).stored_bytes("retail") == 0
    guest.close()


def test_a_wrong_password_of_the_administrators(server: SharedRedis) -> None:
    """It is an error that stays one, and does not show it."""
    with pytest.raises(InvalidEnvironment, match="name an administrator") as caught:
        server.tenants(password="mellon").is_open("retail")
    assert "mellon" not in str(caught.value)


@pytest.mark.parametrize("name", ["a", "retail:two", "retail*", "Retail", "retail--two", "retail-", "1st", "x" * 25])
def test_what_is_no_name_is_refused(server: SharedRedis, name: str) -> None:
    """Whoever calls has looked at it; a pattern is made of it here."""
    with pytest.raises(InvalidSpec, match="no name of a tenant"):
        server.tenants().create(name, "a-password")


def test_a_key_that_is_no_text_is_counted_and_removed(server: SharedRedis, raw: redis.Redis) -> None:
    """A tenant may write bytes as it likes below its prefix."""
    tenants = server.tenants()
    with redis_store.client(tenants.create("kit", "a-password")) as client:
        client.set(b"tenant:kit:\xff\x00\r\n", b"x" * 1000)
    assert tenants.stored_bytes("kit") > 1000
    assert any("\\xff" in name for name in tenants.holds("kit"))
    tenants.delete("kit")
    assert (tenants.holds("kit"), list(raw.scan_iter("tenant:kit*"))) == ((), [])


def test_cut_off_while_the_password_changes_the_old_one_opens_nothing(server: SharedRedis) -> None:
    """Wherever it was cut off, whoever came by the old password is out when the tenant was made once more."""
    tenants, cuts = server.tenants(), 0
    for request in range(1, 20):
        at = urlsplit(tenants.create("kit", "old")["url"])
        with socket.create_connection((str(at.hostname), int(at.port or 0)), 5) as inside:
            inside.sendall(b"AUTH tenant:kit old\r\nPING\r\n")
            assert _said(inside, b"PONG")
            through = _comes_through(tenants, request)
            tenants.create("kit", "new")
            assert not _said(inside, b"never")
            assert inside.recv(100) == b""
        if through:
            break
        cuts += 1
    assert cuts >= 5
    tenants.delete("kit")


def test_connections_of_a_suspended_user_end(server: SharedRedis) -> None:
    """The server closes them at once, and opens none, but others'."""
    tenants = server.tenants()
    at = urlsplit(tenants.create("kit", "old")["url"])
    with socket.create_connection((str(at.hostname), int(at.port or 0)), 5) as inside:
        inside.sendall(b"AUTH tenant:kit old\r\nPING\r\n")
        assert _said(inside, b"PONG")
        tenants.suspend("kit")
        assert inside.recv(100) == b""
    with socket.create_connection((str(at.hostname), int(at.port or 0)), 5) as outside:
        outside.sendall(b"AUTH tenant:kit old\r\nPING\r\n")
        assert _said(outside, b"WRONGPASS")
    tenants.delete("kit")


def _comes_through(tenants: RedisTenants, request: int) -> bool:
    try:
        with redis_store.cut_off(request):
            tenants.create("kit", "new")
    except CutOff:
        return False
    return True


def _said(inside: socket.socket, words: bytes) -> bool:
    """Read until these words come, or the server ends the connection."""
    said = b""
    while words not in said:
        piece = inside.recv(1000)
        if not piece:
            return False
        said += piece
    return True
