"""Tenant store on Redis: an ACL user each, for the keys below its prefix."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Annotated, Any, ClassVar, Final
from urllib.parse import quote, urlsplit

from pydantic import AfterValidator, Field

from loopline.platform_core.contracts.tenant_store import TenantStore
from loopline.platform_core.errors import InvalidEnvironment, Unsupported
from loopline.platform_core.tenants.names import checked
from loopline.resources.redis.failure import NO_RIGHT, of_redis_py
from loopline.resources.redis.functions import CALLED, LIBRARY
from loopline.resources.redis.online_store import escaped
from loopline.resources.redis.url import of_server

Ask = Callable[..., Any]
ALLOWED: Final = (*CALLED, "mget", "fcall", "zrange", "smembers", "ping")
"""All that a tenant may ask: what the online store's client does with ``shared: true``.

No script of its own, nothing that shows or touches all keys (SCAN, KEYS, RANDOMKEY, DBSIZE, FLUSHALL), another database
(MOVE, COPY, SWAPDB), other connections (CLIENT, MONITOR, channels) or the server (ACL, CONFIG, INFO, MIGRATE).
"""
SCANNED: Final = 1000
NAMED: Final = 100
NEEDS = "name an administrator in url: ACL, CLIENT, FUNCTION, SCAN, UNLINK and MEMORY on all keys"


class RedisTenants(TenantStore):
    """A user ``<prefix><tenant>`` for the keys ``<prefix><tenant>:*``, whose online store has ``shared: true``.

    ``url`` is an administrator's, and the tenant's leads to the same database of the same server. Users are written to
    the server's ``aclfile``, if it has one; without it they are gone when the server is started anew, unless its
    configuration is written by ``CONFIG REWRITE``. Replicas do not take users over: give each the same ``aclfile``.
    A server whose default user needs no password keeps nobody apart, and is refused.
    """

    extras = ("redis",)
    fields: ClassVar[tuple[str, ...]] = ("url", "prefix")

    url: Annotated[str, AfterValidator(of_server)]
    prefix: str = Field("tenant:", pattern=r"^[A-Za-z0-9._:-]+$")
    timeout_seconds: float = Field(10.0, gt=0)

    def create(self, tenant: str, password: str) -> Mapping[str, str]:
        """Load the functions, and make the user or set it right, and open, in one command.

        With another password connections that came by the old one are ended before it is taken.

        Raises:
            InvalidEnvironment: the administrator may not, or whoever reaches the server may do everything.
        """
        name = self._user(tenant)
        with self._asking() as ask:
            _refuse_open(_described(ask, "default"))
            _load(ask)
            before = _described(ask, name)
            hashed = hashlib.sha256(password.encode()).hexdigest()
            if before and hashed not in _texts(before["passwords"]):
                ask("ACL", "SETUSER", name, "off", "resetpass")
                ask("CLIENT", "KILL", "USER", name)
            ask("ACL", "SETUSER", name, "reset", "on", f"#{hashed}", *self._rights(tenant))
            _save(ask)
        return {"url": self._url(name, password), "prefix": self._place(tenant)}

    def suspend(self, tenant: str) -> None:
        """Turn the user off, and end its connections."""
        with self._asking() as ask:
            if self._turn(ask, tenant, "off"):
                ask("CLIENT", "KILL", "USER", self._user(tenant))

    def resume(self, tenant: str) -> None:
        """Turn the user on."""
        with self._asking() as ask:
            self._turn(ask, tenant, "on")

    def delete(self, tenant: str) -> None:
        """End the user's connections, remove its keys, and then the user."""
        self.suspend(tenant)
        with self._asking() as ask:
            for keys in self._keys(ask, tenant):
                ask("UNLINK", *keys)
            ask("ACL", "DELUSER", self._user(tenant))
            _save(ask)

    def holds(self, tenant: str) -> tuple[str, ...]:
        """Name the user and its keys: a hundred, and how many more."""
        with self._asking() as ask:
            user = [f"user {self._user(tenant)}"] if _described(ask, self._user(tenant)) else []
            keys = sorted({key for found in self._keys(ask, tenant) for key in found})
        named = [f"key {key.decode(errors='backslashreplace')}" for key in keys[:NAMED]]
        return (*user, *named, *([f"{len(keys) - NAMED} more keys"] if len(keys) > NAMED else []))

    def is_open(self, tenant: str) -> bool:
        """Say whether the user is on."""
        with self._asking() as ask:
            found = _described(ask, self._user(tenant))
        return bool(found) and _is_on(found)

    def stored_bytes(self, tenant: str) -> int:
        """Add up what each key takes of the server's memory, its own overhead included; walks over all keys."""
        with self._asking() as ask:
            found = {key for keys in self._keys(ask, tenant) for key in keys}
            return sum(ask("MEMORY", "USAGE", key) or 0 for key in found)

    def _user(self, tenant: str) -> str:
        return f"{self.prefix}{checked(tenant)}"

    def _place(self, tenant: str) -> str:
        return f"{self._user(tenant)}:"

    def _rights(self, tenant: str) -> list[str]:
        database = urlsplit(self._url("", "")).path.strip("/")
        select = [f"+select|{database}"] if database.isdecimal() and self.url.startswith("redis") else []
        return [f"~{escaped(self._place(tenant))}*", *(f"+{command}" for command in ALLOWED), *select]

    def _url(self, user: str, password: str) -> str:
        place = urlsplit(self.url)
        at = place.netloc.rpartition("@")[2]
        return place._replace(netloc=f"{quote(user, safe='')}:{quote(password, safe='')}@{at}").geturl()

    def _turn(self, ask: Ask, tenant: str, state: str) -> bool:
        """Turn the user on or off; says whether there is one."""
        if not _described(ask, self._user(tenant)):
            return False
        ask("ACL", "SETUSER", self._user(tenant), state)
        _save(ask)
        return True

    def _keys(self, ask: Ask, tenant: str) -> Iterator[Sequence[bytes]]:
        """Walk over the tenant's keys; one may come twice."""
        match, cursor = f"{escaped(self._place(tenant))}*", b"0"
        while True:
            cursor, keys = ask("SCAN", cursor, "MATCH", match, "COUNT", SCANNED)
            if keys:
                yield keys
            if int(cursor) == 0:
                return

    @contextmanager
    def _asking(self) -> Iterator[Ask]:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry

        waiting = dict.fromkeys(("socket_timeout", "socket_connect_timeout"), self.timeout_seconds)
        client = redis.Redis.from_url(self.url, **waiting, retry=Retry(NoBackoff(), 0), protocol=2)
        try:
            yield client.execute_command
        except redis.AuthenticationError as error:
            raise InvalidEnvironment(f"Redis: {error}", NEEDS) from error
        except (redis.RedisError, OSError) as error:
            told = of_redis_py(error)
            if type(error).__name__ in NO_RIGHT:
                raise InvalidEnvironment(told.problem, NEEDS) from error
            if "unknown" in told.problem.lower() and "command" in told.problem:
                raise Unsupported(told.problem, "use Redis 7 or newer: users there, and functions") from error
            raise told from error
        finally:
            client.close()


def _described(ask: Ask, user: str) -> dict[str, Any]:
    """Return what the server tells of a user, empty where there is none."""
    told = ask("ACL", "GETUSER", user) or []
    return dict(zip((str(name, "utf-8") for name in told[::2]), told[1::2], strict=True))


def _is_on(user: Mapping[str, Any]) -> bool:
    return "on" in _texts(user["flags"])


def _texts(said: Sequence[bytes]) -> list[str]:
    return [text.decode() for text in said]


def _refuse_open(default: Mapping[str, Any]) -> None:
    if {"on", "nopass"} <= set(_texts(default["flags"])):
        raise InvalidEnvironment(
            "Redis: its default user needs no password, so that every tenant may do everything",
            "set requirepass, or turn it off by 'ACL SETUSER default off', and name an administrator in url",
        )


def _load(ask: Ask) -> None:
    """Load the functions where they are not there; a name says what is in it."""
    from redis import ResponseError

    try:
        ask("FUNCTION", "LOAD", LIBRARY)
    except ResponseError as error:
        if "already exists" not in str(error):
            raise


def _save(ask: Ask) -> None:
    from redis import ResponseError

    try:
        ask("ACL", "SAVE")
    except ResponseError as error:
        if "not configured" not in str(error):
            raise
