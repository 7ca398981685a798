"""What is a URL of Redis, and what is refused before a part of it stands in an error."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from loopline.platform_core import environment
from loopline.platform_core.errors import InvalidEnvironment
from loopline.resources.redis.online_store import RedisOnlineStore
from loopline.resources.redis.tenants import RedisTenants
from loopline.resources.redis_cluster.online_store import RedisClusterOnlineStore

STORES = (RedisOnlineStore, RedisTenants, RedisClusterOnlineStore)
SERVERS = (
    "redis://localhost:6379",
    "redis://localhost:6379/",
    "redis://localhost/0",
    "rediss://user:pa%2Fss%40word@cache.example.com:6380/0?ssl_ca_certs=/etc/ca.pem&ssl_certfile=c&ssl_keyfile=k",
    "redis://:a password:with@signs@10.0.0.1:1",
    "redis://[::1]:6379/0",
)
OWN = (
    "redis:///3",
    "redis://localhost:6379/12?db=4",
    "unix:///run/redis.sock?db=1",
    "unix://user:pass@/run/redis.sock",
)
ODD = ("pa55WORD/rest", "pa55WORD?rest", "pa55WORD#rest", "pa55\nWORD", "/pa55WORD", "123/pa55WORD")


@pytest.mark.parametrize("url", SERVERS)
def test_a_url_of_a_server(url: str) -> None:
    """Each store takes it as it is."""
    assert {store(url=url).url for store in STORES} == {url}


@pytest.mark.parametrize("url", OWN)
def test_a_url_of_a_database_or_a_socket(url: str) -> None:
    """A cluster has neither."""
    assert {RedisOnlineStore(url=url).url, RedisTenants(url=url).url} == {url}
    with pytest.raises(ValidationError):
        RedisClusterOnlineStore(url=url)


@pytest.mark.parametrize(
    "url", ["http://localhost", "redis:/localhost", "redis://localhost/a", "redis://host:port", ""]
)
def test_what_is_none(url: str) -> None:
    """It is refused with the form, and with what to do about a password."""
    for store in STORES:
        with pytest.raises(ValidationError, match=r"is not redis://\[user:password@\]host.*%2F is /"):
            store(url=url)


@pytest.mark.parametrize("vendor", ["redis", "redis_cluster"])
@pytest.mark.parametrize("password", ODD)
def test_a_password_that_is_not_written_for_a_url_is_refused_unseen(vendor: str, password: str, tmp_path: Path) -> None:
    """Its url is a secret as a whole: what was read of it as a port or a path stood in the error of a look-up."""
    file, secrets = tmp_path / "environment.yaml", tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "online").write_text(f"redis://:{password}@localhost:6379")
    binding = f'online_store: {{vendor: {vendor}, url: "secret://online"}}'
    file.write_text(f"bindings:\n  secrets: {{vendor: files, root: {secrets}}}\n  {binding}\n")
    with pytest.raises(InvalidEnvironment, match=r"url: the secret does not fit the field") as caught:
        _ = environment.read(file, only=("online_store",)).bindings["online_store"]
    assert caught.value.__cause__ is None
    assert not [word for word in ("pa55", "WORD", "rest@") if word in str(caught.value)]
