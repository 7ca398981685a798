"""Look-ups on the event loop: they travel together, nobody hangs, and a server that was away is used again."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis
import uvloop

from loopline.platform_core.contracts.online_store import OnlineRow
from loopline.platform_core.errors import StoreUnavailable
from loopline.platform_core.testing.online_store import view_rows
from loopline.resources.redis import link
from loopline.resources.redis.online_store import RedisOnlineStore

KEYS = 50


@pytest.fixture
def store(own_redis_server: Any) -> Iterator[RedisOnlineStore]:
    """Open a store in which each key holds its own number."""
    store = RedisOnlineStore(url=own_redis_server.url, timeout_seconds=0.3)
    _fill(store)
    yield store
    store.close()


def _fill(store: RedisOnlineStore) -> None:
    for view in ("v", "w"):
        rows = view_rows(list(range(KEYS)), list(range(KEYS)), spend=[float(n) for n in range(KEYS)])
        store.write(view, "customer_id", rows)


async def ask(store: RedisOnlineStore, key: int, *, lost: bool = False) -> bool | str:
    """Fetch a key from two views; gives whether the answer is right, or why there is none.

    With ``lost`` a row that is not there is right too: the server was started empty.
    """
    try:
        found = await store.fetch([("v", [str(key), "no"]), ("w", [str(key)])])
    except StoreUnavailable as error:
        return error.problem
    row = OnlineRow(key, (float(key),))
    right: tuple[OnlineRow | None, ...] = (row, None) if lost else (row,)
    return found[0][0] in right and found[1][0] in right and found[0][1] is None


def run(story: Callable[[], Awaitable[Any]]) -> Any:
    """Run a story that must not hang."""

    async def bounded() -> Any:
        async with asyncio.timeout(20):
            return await story()

    return asyncio.run(bounded())


def test_fetches_at_once_share_a_trip(store: RedisOnlineStore) -> None:
    """Fifty requests that ask in the same turn of the loop cost the server one command; one after another, fifty."""
    client = redis.Redis.from_url(store.url)

    def trips() -> int:
        return int(client.info("commandstats").get("cmdstat_mget", {"calls": 0})["calls"])

    async def at_once() -> list[bool | str]:
        return await asyncio.gather(*(ask(store, key) for key in range(KEYS)))

    async def in_turn() -> list[bool | str]:
        return [await ask(store, key) for key in range(KEYS)]

    before = trips()
    assert run(at_once) == [True] * KEYS
    together = trips()
    assert run(in_turn) == [True] * KEYS
    assert (together - before, trips() - together) == (1, KEYS)
    client.close()


def test_nobody_waits_for_the_answer_of_another(own_redis_server: Any, store: RedisOnlineStore) -> None:
    """What is asked while a trip is under way is on the wire before that trip is answered."""
    client = redis.Redis.from_url(store.url)

    async def story() -> tuple[list[bool | str], int]:
        assert await ask(store, 0) is True
        client.client_pause(100)  # the server takes commands in and answers none
        first = asyncio.create_task(ask(store, 1))
        await asyncio.sleep(0.02)  # until it is on the wire, of which nobody tells
        second = asyncio.create_task(ask(store, 2))
        await asyncio.sleep(0.02)  # the same
        sent = len(next(iter(store._pipelines.values()))._link._awaited)  # type: ignore[union-attr]
        return list(await asyncio.gather(first, second)), sent

    assert run(story) == ([True, True], 2)
    client.close()
    assert own_redis_server.process.poll() is None


def test_one_that_is_cancelled_harms_nobody(store: RedisOnlineStore) -> None:
    """Whoever gives up, at whatever moment, others get their own rows."""

    async def story() -> list[bool | str]:
        kept = []
        for key in range(KEYS):
            leaving = asyncio.create_task(ask(store, key))
            staying = asyncio.create_task(ask(store, key))
            await asyncio.sleep(0.0001 * (key % 5))  # at any moment of the answer
            leaving.cancel()
            kept.append(staying)
        return list(await asyncio.gather(*kept))

    assert run(story) == [True] * KEYS


def test_a_server_killed_and_started_while_asked(own_redis_server: Any, store: RedisOnlineStore) -> None:
    """Ten requests ask without a pause: each is answered rightly or told so, and all are answered when it is back."""

    async def keep_asking(key: int, said: list[bool | str], ended: asyncio.Event) -> None:
        while not ended.is_set():
            said.append(await ask(store, key, lost=True))
            await asyncio.sleep(0.001)  # asks without a pause, and lets the others ask

    async def story() -> tuple[list[bool | str], list[bool | str]]:
        said: list[bool | str] = []
        ended = asyncio.Event()
        tasks = [asyncio.create_task(keep_asking(key, said, ended)) for key in range(10)]
        for _ in range(3):
            await asyncio.sleep(0.05)  # a while in which it is asked as it is
            await asyncio.to_thread(own_redis_server.kill)
            await asyncio.sleep(0.05)  # a while in which it is asked as it is
            await asyncio.to_thread(own_redis_server.start)
            await asyncio.to_thread(_fill, store)
        ended.set()
        await asyncio.gather(*tasks)
        return said, [await ask(store, key) for key in range(KEYS)]

    said, afterwards = run(story)
    told = {answer for answer in said if isinstance(answer, str)}
    assert (True in said, False in said) == (True, False)
    assert told
    assert all(problem.startswith("Redis: ") for problem in told)
    assert afterwards == [True] * KEYS


def test_a_server_that_hangs_is_given_up(own_redis_server: Any, store: RedisOnlineStore) -> None:
    """Every waiting request is told within the time-out, and the late answers reach nobody."""

    async def story() -> tuple[float, list[bool | str], list[bool | str]]:
        assert await ask(store, 0) is True
        own_redis_server.stop()
        begun = time.monotonic()
        told = await asyncio.gather(*(ask(store, key) for key in range(10)))
        seconds = time.monotonic() - begun
        own_redis_server.go_on()
        return seconds, told, await asyncio.gather(*(ask(store, key) for key in range(10, 20)))

    seconds, told, afterwards = run(story)
    assert told == ["Redis: no answer in 0.3 s"] * 10
    assert 0.25 < seconds < 2
    assert afterwards == [True] * 10


def test_a_server_that_takes_a_connection_and_says_nothing(own_redis_server: Any) -> None:
    """Logging in is bounded by the same time-out."""
    store = RedisOnlineStore(url=own_redis_server.url.replace("/0", "/1"), timeout_seconds=0.2)
    own_redis_server.stop()
    (said,) = run(lambda: asyncio.gather(ask(store, 1)))
    assert said.startswith("Redis: no connection")
    own_redis_server.go_on()


def test_passwords_and_databases(own_redis_server: Any) -> None:
    """A user and a database come with the URL; a wrong password is told and not repeated."""
    own_redis_server.kill()
    own_redis_server.start("--requirepass", "open-sesame")
    url = own_redis_server.url.replace("://", "://default:{}@").replace("/0", "/3")
    store = RedisOnlineStore(url=url.format("open-sesame"))
    _fill(store)
    assert run(lambda: ask(store, 7)) is True
    said = run(lambda: ask(RedisOnlineStore(url=url.format("mellon")), 7))
    assert "WRONGPASS" in said
    assert "mellon" not in said
    store.close()


@pytest.mark.parametrize("new_loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_a_busy_loop_is_no_silent_server(store: RedisOnlineStore, new_loop: Callable[[], Any]) -> None:
    """A loop that was busy for longer than the time-out still takes the answers that came meanwhile."""

    async def story() -> list[bool | str]:
        assert await ask(store, 0) is True
        waiting = [asyncio.create_task(ask(store, key)) for key in range(3)]
        await asyncio.sleep(0.001)  # until they are on the wire
        time.sleep(0.4)  # noqa: ASYNC251 - a model that takes its time, longer than the time-out
        return list(await asyncio.gather(*waiting))

    with asyncio.Runner(loop_factory=new_loop) as runner:
        assert runner.run(story()) == [True] * 3


def test_closing_tells_who_waits(own_redis_server: Any, store: RedisOnlineStore) -> None:
    """A store that is closed while requests wait lets none of them hang, and opens again when asked."""

    async def story() -> tuple[list[bool | str], bool | str]:
        assert await ask(store, 0) is True
        own_redis_server.stop()
        waiting = [asyncio.create_task(ask(store, key)) for key in range(3)]
        await asyncio.sleep(0.02)  # until they are on the wire
        store.close()
        told = list(await asyncio.gather(*waiting))
        own_redis_server.go_on()
        return told, await ask(store, 4)

    assert run(story) == (["Redis: it was closed"] * 3, True)


def test_looking_up_needs_no_redis_py(store: RedisOnlineStore) -> None:
    """An inference server's first request does not wait for an import that takes longer than its time-out."""
    code = f"""
import asyncio, sys
from loopline.resources.redis.online_store import RedisOnlineStore
rows = asyncio.run(RedisOnlineStore(url={store.url!r}).fetch([("v", ["7"])]))
print(rows[0][0].values, "redis" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "(7.0,) False"


def _signed_by_itself(folder: Path, *how: str) -> tuple[Path, Path]:
    """Make a key and its certificate."""
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-days", "1"]
    command += ["-subj", "/CN=localhost", "-keyout", key, "-out", certificate]
    subprocess.run([*command, *how], check=True, capture_output=True)
    return key, certificate


def test_a_key_with_a_password(tmp_path: Path) -> None:
    """The url gives it; without it nobody is asked at the terminal, while the server stands still."""
    key, certificate = _signed_by_itself(tmp_path, "-passout", "pass:word")
    url = f"rediss://localhost?ssl_certfile={certificate}&ssl_keyfile={key}"
    with pytest.raises(ssl.SSLError):
        link._tls(urlsplit(url))
    assert link._tls(urlsplit(f"{url}&ssl_password=word"))


def test_tls_and_sockets(own_redis_server: Any, tmp_path: Path) -> None:
    """``rediss://`` checks the server's certificate; ``unix://`` needs no network."""
    names = ("-nodes", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    (key, certificate), socket = _signed_by_itself(tmp_path, *names), tmp_path / "socket"
    own_redis_server.kill()
    tls = ["--tls-port", str(own_redis_server.port), "--tls-cert-file", str(certificate), "--tls-key-file", str(key)]
    own_redis_server.start("--port", "0", *tls, "--tls-auth-clients", "no", "--unixsocket", str(socket))
    url = own_redis_server.url.replace("redis://", "rediss://")
    known = RedisOnlineStore(url=f"{url}?ssl_ca_certs={certificate}")
    _fill(known)
    assert run(lambda: ask(known, 7)) is True
    assert "certificate" in str(run(lambda: ask(RedisOnlineStore(url=url), 7)))
    assert run(lambda: ask(RedisOnlineStore(url=f"unix://{socket}"), 7)) is True
    known.close()
