"""A Redis server that tenants share: what comes to a place there, and what tries to come to another's."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import redis

from loopline.platform_core.contracts.online_packing import pack
from loopline.platform_core.contracts.online_store import OnlineRow
from loopline.platform_core.testing.online_store import view_rows
from loopline.platform_core.testing.parts.ports import free_port
from loopline.platform_core.testing.tenant_store import NOTE, TEXT, Attempt, Fields
from loopline.resources.redis import functions
from loopline.resources.redis.functions import FORGET_FUNCTION, KEEP_FUNCTION, LIBRARY, REPLACE_FUNCTION
from loopline.resources.redis.online_store import RedisOnlineStore
from loopline.resources.redis.tenants import RedisTenants
from tests.conftest import RedisServer
from tests.tenants.served import Served, cut_off_at

RULER, PASSWORD = "ruler", "rules-them-all"
VIEW = "notes"
NEWER = pack(OnlineRow(2**53, ("theirs no more",)))


class SharedRedis(RedisServer):
    """A server with a file of users: its default user is off, and an administrator is there, and one with no rights."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.file = folder / "users.acl"
        users = ("default off", f"{RULER} on >{PASSWORD} ~* &* +@all", f"nobody on >{PASSWORD} +ping")
        self.file.write_text("".join(f"user {user}\n" for user in users))

    def start(self, *more: str) -> None:
        """Start it with its users."""
        super().start("--aclfile", str(self.file), *more)

    def tenants(self, user: str = RULER, password: str = PASSWORD) -> RedisTenants:
        """Ask it as an administrator, or as somebody else."""
        return RedisTenants(url=self.url.replace("://", f"://{user}:{password}@"))

    def served(self) -> Served:
        """Return it as tests of every store want it."""
        away = RedisTenants(url=f"redis://127.0.0.1:{free_port()}/0")
        ruler = {"url": self.tenants().url, "prefix": ""}
        return Served(self.tenants(), RedisGuest, ruler, cut_off, away, self.tenants("nobody"))


@contextmanager
def served() -> Iterator[Served]:
    """Run a server."""
    with TemporaryDirectory(prefix="loopline-redis-") as folder:
        server = SharedRedis(Path(folder))
        server.start()
        try:
            yield server.served()
        finally:
            server.kill()


class RedisGuest:
    """A tenant's online store: a text is a row of a view."""

    def __init__(self, fields: Fields) -> None:
        self._store = RedisOnlineStore(**fields, shared=True)

    def write(self, name: str, text: str) -> None:
        """Write a row."""
        self._store.write(VIEW, "customer_id", note(name, text, time.time_ns() // 1000))

    def read(self, name: str) -> str:
        """Read a row."""
        (found,) = self._store.read([(VIEW, [name])])[0]
        if found is None:
            raise KeyError(name)
        return str(found.values[0])

    def close(self) -> None:
        """Leave."""
        self._store.close()


def cut_off(request: int) -> AbstractContextManager[None]:
    """Let an administrator's commands fail from one on."""
    return cut_off_at(request, redis.Redis, "execute_command")


def note(name: str, text: str, time_us: int = 1) -> pa.Table:
    """Make the row of a text."""
    return view_rows([name], [time_us], text=[text])


def place(tenant: str) -> functions.Place:
    """Return where a tenant's notes are, and the lists that tell of them."""
    return functions.Place(f"tenant:{tenant}:", VIEW)


def key(tenant: str, name: str = NOTE) -> str:
    """Return the key of a note."""
    return place(tenant).head + name


@contextmanager
def client(fields: Fields, **more: Any) -> Iterator[redis.Redis]:
    """Connect as somebody."""
    one = redis.Redis.from_url(fields["url"], protocol=more.pop("protocol", 2), socket_timeout=5, **more)
    try:
        yield one
    finally:
        one.close()


Came = Callable[[Any], bool]


def says(part: str | bytes) -> Came:
    """Expect an answer that has a text in it somewhere."""
    text = part.decode() if isinstance(part, bytes) else part
    return lambda answer: text in str(answer)


def asks(
    command: str, *words: str | bytes | Callable[[str], Any], came: Came = lambda _: True, ruling: bool = False
) -> Attempt:
    """Make the attempt of one command, whose words may come from whose place it is."""

    def act(fields: Fields, tenant: str) -> bool:
        with client(fields) as one:
            said = [word(tenant) if callable(word) else word for word in words]
            return came(one.execute_command(*command.split(), *said))

    spoken = " ".join([command, *(word if isinstance(word, str) else "…" for word in words)])
    return Attempt(spoken, act, ruling)


def rules(command: str, *words: str | bytes | Callable[[str], Any], came: Came = lambda _: True) -> Attempt:
    """Make the attempt of a command that no tenant may."""
    return asks(command, *words, came=came, ruling=True)


def _views(tenant: str) -> str:
    return place(tenant).views


def _list(tenant: str) -> str:
    return place(tenant).keys


def _store(fields: Fields, tenant: str) -> RedisOnlineStore:
    return RedisOnlineStore(url=fields["url"], prefix=place(tenant).prefix, shared=True)


def _read_as_store(fields: Fields, tenant: str) -> bool:
    found = _store(fields, tenant).read([(VIEW, [NOTE])])[0][0]
    return found is not None and found.values == (TEXT,)


def _write_as_store(fields: Fields, tenant: str) -> bool:
    return _store(fields, tenant).write(VIEW, "customer_id", note(NOTE, "theirs no more", 2**53)) == 1


def _replace_as_store(fields: Fields, tenant: str) -> bool:
    void = note(NOTE, "", 2**54).select(["customer_id", "event_time"])
    return _store(fields, tenant).replace(VIEW, "customer_id", note(NOTE, "", 2**54).slice(1), void) == 1


def _drop_as_store(fields: Fields, tenant: str) -> bool:
    store = _store(fields, tenant)
    there = store.read([(VIEW, [NOTE])])[0][0]
    store.drop(VIEW)
    return there is not None and store.read([(VIEW, [NOTE])])[0][0] is None


def _set_apart_as_store(fields: Fields, tenant: str) -> bool:
    with _store(fields, tenant).set_apart("tried") as apart:
        return apart.write(VIEW, "customer_id", note(NOTE, "there")) == 1


def by(says: str, act: Callable[[redis.Redis, str], Any], *, ruling: bool = False, **more: Any) -> Attempt:
    """Make an attempt to have the note's key by a client; an answer that is none came nowhere."""

    def made(fields: Fields, tenant: str) -> bool:
        with client(fields, **more) as one:
            return act(one, key(tenant)) is not None

    return Attempt(says, made, ruling)


def _beside_ones_own(fields: Fields, tenant: str) -> bool:
    with client(fields) as one:
        return one.mget(f"{fields['prefix']}{VIEW}:{NOTE}", key(tenant))[1] is not None


def _inline(fields: Fields, tenant: str) -> bool:
    """Speak to the server as by telnet."""
    at = urlsplit(fields["url"])
    with socket.create_connection((str(at.hostname), int(at.port or 0)), 5) as plain, plain.makefile("rwb") as line:
        line.write(f"AUTH {unquote(at.username or '')} {at.password}\r\nMGET {key(tenant)}\r\n".encode())
        line.flush()
        said = [line.readline() for _ in range(2)]
        if not said[1].startswith(b"*"):
            return False
        return TEXT.encode() in line.read(max(0, int(line.readline()[1:])))  # by its size: times hold any byte


def _function_beyond_its_keys(fields: Fields, tenant: str) -> bool:
    """Declare a key of one's own and hand the other's lists over as if they were one's own."""
    with client(fields) as one:
        one.execute_command("FCALL", KEEP_FUNCTION, 3, key(tenant, "x"), _views(tenant), _list(tenant), NEWER, "evil")
        return True


def _migrates(fields: Fields, tenant: str) -> bool:
    """Say a server where nobody listens: whoever may is told so."""
    try:
        with client(fields) as one:
            return bool(one.execute_command("MIGRATE", "127.0.0.1", "1", key(tenant), "0", "100", "COPY"))
    except redis.ResponseError as error:
        return "IOERR" in str(error)


def _flushes(fields: Fields, tenant: str) -> bool:
    """Empty all of it; whoever may does so to a database that is empty."""
    with client(fields) as one:
        if not fields["prefix"]:
            one.execute_command("SELECT", "9")
        return bool(one.execute_command("FLUSHDB"))


def _replicates(fields: Fields, tenant: str) -> bool:
    with client(fields) as one:
        link = one.connection_pool.get_connection()
        try:
            link.send_command("PSYNC", "?", "-1")
            return "FULLRESYNC" in str(link.read_response())
        finally:
            link.disconnect()


def _listens(*command: str) -> Attempt:
    def act(fields: Fields, tenant: str) -> bool:
        with client(fields) as one:
            link = one.connection_pool.get_connection()
            try:
                link.send_command(*command)
                return bool(link.read_response())
            finally:
                link.disconnect()

    return Attempt(" ".join(command), act, ruling=True)


_SCRIPT = "return redis.call('GET', ARGV[1])"
_EVIL = "#!lua name=evil\nredis.register_function('evil', function(keys, args) return 1 end)"
ATTEMPTS: Sequence[Attempt] = (
    asks("MGET", key, came=says(TEXT)),
    asks("GETRANGE", key, "0", "-1", came=says(TEXT)),
    asks("EXISTS", key, came=lambda count: count == 1),
    asks("PTTL", key, came=lambda left: left == -1),
    asks("SET", key, NEWER),
    asks("SET", lambda tenant: key(tenant, "new"), NEWER, "PX", "60000"),
    asks("DEL", key, came=lambda count: count == 1),
    asks("UNLINK", key, came=lambda count: count == 1),
    asks("ZRANGE", _list, "0", "-1", came=says(NOTE)),
    asks("ZRANGE", _list, "-inf", "+inf", "BYSCORE", "WITHSCORES", came=says(NOTE)),
    asks("SMEMBERS", _views, came=says(VIEW)),
    asks("SADD", _views, "evil", came=lambda count: count == 1),
    asks("SREM", _views, VIEW, came=lambda count: count == 1),
    asks("ZADD", _list, "1", "evil", came=lambda count: count == 1),
    asks("ZREM", _list, key, came=lambda count: count == 1),
    asks("ZREMRANGEBYSCORE", _list, "-inf", "+inf", came=lambda count: count == 1),
    asks("FCALL", KEEP_FUNCTION, "3", key, _views, _list, NEWER, VIEW, came=lambda count: count == 1),
    asks("FCALL", REPLACE_FUNCTION, "3", key, _views, _list, "", NEWER, VIEW, came=lambda count: count == 1),
    asks("FCALL", FORGET_FUNCTION, "3", key, _views, _list, VIEW, came=lambda count: count == 1),
    Attempt("a function's lists", _function_beyond_its_keys),
    Attempt("the online store reads", _read_as_store),
    Attempt("the online store writes", _write_as_store),
    Attempt("the online store replaces", _replace_as_store),
    Attempt("the online store drops a view", _drop_as_store),
    Attempt("the online store has a place set apart", _set_apart_as_store),
    Attempt("beside a key of one's own", _beside_ones_own),
    by("in a pipeline", lambda one, key: one.pipeline(transaction=False).ping().mget(key).execute()[1][0]),
    by("by RESP3", lambda one, key: one.mget(key)[0], protocol=3),
    Attempt("by inline commands", _inline),
    by("in a transaction", lambda one, key: one.pipeline(transaction=True).mget(key).execute()[0][0], ruling=True),
    rules("GET", key, came=says(TEXT)),
    rules("SCAN", "0", "MATCH", lambda tenant: f"*{tenant}:*", "COUNT", "100000", came=says(NOTE)),
    rules("KEYS", lambda tenant: key(tenant)[:-1] + "?", came=says(NOTE)),
    rules("RANDOMKEY"),
    rules("DBSIZE"),
    rules("EVAL", _SCRIPT, "0", key, came=says(TEXT)),
    rules("EVAL_RO", _SCRIPT, "0", key, came=says(TEXT)),
    rules("SCRIPT LOAD", _SCRIPT),
    rules("FUNCTION LOAD", "REPLACE", _EVIL),
    rules("FUNCTION LOAD", "REPLACE", LIBRARY),
    rules("FUNCTION LIST"),
    rules("FUNCTION DUMP"),
    rules("DUMP", key, came=says(TEXT)),
    rules("COPY", key, lambda tenant: "tenant:retail:stolen", "REPLACE"),
    rules("RENAME", key, "tenant:retail:stolen"),
    rules("MOVE", key, "1"),
    rules("SELECT", "1"),
    rules("SWAPDB", "2", "3"),
    rules("SORT", _views, "BY", "nosort", "GET", lambda tenant: key(tenant, "").replace(VIEW, "*") + NOTE, "ALPHA"),
    rules("OBJECT ENCODING", key),
    rules("MEMORY USAGE", key),
    rules("TYPE", key),
    rules("EXPIRE", key, "1"),
    rules("PERSIST", _views),
    rules("TOUCH", key),
    Attempt("MIGRATE to a server of one's own", _migrates, ruling=True),
    rules("ACL LIST"),
    rules("ACL USERS"),
    rules("ACL GETUSER", lambda tenant: f"tenant:{tenant}", came=says("passwords")),
    rules("ACL SETUSER", "somebody", "allkeys", "allcommands"),
    rules("ACL DELUSER", "somebody"),
    rules("ACL LOG"),
    rules("CONFIG GET", "*pass*"),
    rules("CONFIG SET", "maxmemory", "0"),
    rules("CLIENT LIST"),
    rules("CLIENT KILL USER", lambda tenant: f"tenant:{tenant}"),
    rules("CLIENT PAUSE", "1"),
    rules("INFO", "keyspace"),
    rules("SLOWLOG GET"),
    rules("LATENCY LATEST"),
    rules("MODULE LIST"),
    rules("LASTSAVE"),
    rules("REPLICAOF", "NO", "ONE"),
    rules("PUBLISH", "tenant:retail-two:told", "hello"),
    rules("PUBSUB CHANNELS"),
    rules("XADD", lambda tenant: key(tenant, "log"), "*", "a", "b"),
    Attempt("FLUSHDB", _flushes, ruling=True),
    _listens("SUBSCRIBE", "tenant:retail-two:told"),
    _listens("PSUBSCRIBE", "*"),
    _listens("MONITOR"),
    Attempt("PSYNC, as a replica would", _replicates, ruling=True),
)
"""Those that ``rules`` makes are of no use to a tenant, on its own keys neither."""
