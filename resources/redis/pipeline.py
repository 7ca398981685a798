"""One connection of an event loop to Redis, on which the look-ups of concurrent requests travel together.

Commands go out as they come and replies come back in their order, so nobody waits for another's reply; look-ups of the
same turn of the event loop are one MGET. Source: the Redis serialization protocol (RESP2) and its pipelining.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any, NamedTuple, cast

import hiredis

from platform_core.errors import StoreUnavailable

Answered = Callable[[Any], None]
"""Takes a reply, or the exception that came instead."""
FIX = "see that the server runs and is reached, and that it lets this user in"


class Ask(NamedTuple):
    """Keys that one request wants, and where their values go."""

    keys: Sequence[str]
    values: asyncio.Future[list[bytes | None]]

    def answer(self, values: list[bytes | None] | Exception) -> None:
        """Give the values; whoever asked may have gone."""
        if self.values.done():
            return
        if isinstance(values, Exception):
            self.values.set_exception(values)
        else:
            self.values.set_result(values)


class Pipeline:
    """Collects look-ups and sends them; connects when it must, also after the server was away."""

    def __init__(self, url: str, timeout_seconds: float) -> None:
        self._url, self._timeout_seconds = url, timeout_seconds
        self._waiting: list[Ask] = []
        self._planned = False
        self._link: Link | None = None
        self._connecting: asyncio.Task[None] | None = None

    async def values(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the value of each key.

        Raises:
            StoreUnavailable: there is no connection, or no answer in time.
        """
        loop = asyncio.get_running_loop()
        ask = Ask(keys, loop.create_future())
        self._waiting.append(ask)
        if not self._planned:
            self._planned = True
            loop.call_soon(self._send)
        return await ask.values

    def close(self) -> None:
        """End the connection; who waits is told so."""
        if self._connecting is not None:
            self._connecting.cancel()
        if self._link is not None:
            self._link.end("it was closed")

    def _send(self) -> None:
        self._planned = False
        if self._link is None or not self._link.is_open:
            if self._connecting is None:
                self._connecting = asyncio.get_running_loop().create_task(self._connect())
            return
        asks, self._waiting = self._waiting, []
        keys = [key for ask in asks for key in ask.keys]
        self._link.send(("MGET", *keys), lambda reply: _share(asks, reply))

    async def _connect(self) -> None:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                self._link = await _connected(self._url, self._timeout_seconds)
        except (OSError, TimeoutError, StoreUnavailable) as error:
            self._give_up(f"no connection: {error or 'no answer in time'}")
        except asyncio.CancelledError:
            self._give_up("it was closed")
        else:
            self._connecting = None
            self._send()

    def _give_up(self, why: str) -> None:
        self._connecting = None
        asks, self._waiting = self._waiting, []
        _share(asks, _unavailable(why))


class Link(asyncio.Protocol):
    """A connection: each command gets its reply; when one is late, all of them fail and the connection ends."""

    def __init__(self, timeout_seconds: float) -> None:
        self.is_open = False
        self._timeout_seconds = timeout_seconds
        self._reader = hiredis.Reader()
        self._awaited: deque[tuple[float, Answered]] = deque()
        self._watch: asyncio.TimerHandle | None = None
        self._why = "the server ended the connection"
        self._loop = asyncio.get_running_loop()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take commands from now on."""
        self._transport, self.is_open = cast("asyncio.Transport", transport), True

    def connection_lost(self, error: Exception | None) -> None:
        """Tell everybody who waits."""
        self.is_open = False
        if self._watch is not None:
            self._watch.cancel()
        while self._awaited:
            self._awaited.popleft()[1](_unavailable(str(error or self._why)))

    def data_received(self, data: bytes) -> None:
        """Hand out the replies that are whole."""
        self._reader.feed(data)
        try:
            while self._awaited and (reply := self._reader.gets()) is not False:
                self._awaited.popleft()[1](reply)
        except hiredis.ProtocolError as error:
            self.end(str(error))

    def send(self, command: Sequence[str | bytes | int], answered: Answered) -> None:
        """Write a command; its reply is handed to ``answered``."""
        deadline = self._loop.time() + self._timeout_seconds
        self._awaited.append((deadline, answered))
        self._transport.write(hiredis.pack_command(tuple(command)))
        if self._watch is None:
            self._watch = self._loop.call_at(deadline, self._look)

    def end(self, why: str) -> None:
        """End the connection at once."""
        self._why, self.is_open = why, False
        self._transport.abort()

    def _look(self) -> None:
        """End a connection whose oldest command is late; one timer serves them all, since most never ring."""
        self._watch = None
        if not self._awaited:
            return
        if self._awaited[0][0] <= self._loop.time():
            self.end(f"no answer in {self._timeout_seconds:g} s")
        else:
            self._watch = self._loop.call_at(self._awaited[0][0], self._look)


def _share(asks: Sequence[Ask], reply: Any) -> None:
    """Cut a reply into what each ask wanted."""
    if isinstance(reply, hiredis.ReplyError):
        reply = _unavailable(str(reply))
    values = iter(() if isinstance(reply, Exception) else reply)
    for ask in asks:
        ask.answer(reply if isinstance(reply, Exception) else list(islice(values, len(ask.keys))))


async def _connected(url: str, timeout_seconds: float) -> Link:
    """Open a connection, log in and choose the database."""
    from redis.connection import parse_url

    place: dict[str, Any] = parse_url(url)  # type: ignore[no-untyped-call]
    loop = asyncio.get_running_loop()
    if "path" in place:
        _, link = await loop.create_unix_connection(lambda: Link(timeout_seconds), place["path"])
    else:
        host, port = place.get("host", "localhost"), place.get("port", 6379)
        _, link = await loop.create_connection(lambda: Link(timeout_seconds), host, port, ssl=_tls(url, place))
    for command in _greeting(place):
        reply = loop.create_future()
        link.send(command, reply.set_result)
        if isinstance(said := await reply, Exception):
            link.end(str(said))
            raise said if isinstance(said, StoreUnavailable) else _unavailable(str(said))
    return link


def _greeting(place: dict[str, Any]) -> list[tuple[str, ...]]:
    commands: list[tuple[str, ...]] = []
    if place.get("password"):
        commands.append(("AUTH", *([place["username"]] if place.get("username") else []), place["password"]))
    if place.get("db"):
        commands.append(("SELECT", str(place["db"])))
    return commands


def _tls(url: str, place: dict[str, Any]) -> Any:
    if not url.startswith("rediss:"):
        return None
    import ssl

    context = ssl.create_default_context(cafile=place.get("ssl_ca_certs"))
    if place.get("ssl_certfile"):
        context.load_cert_chain(place["ssl_certfile"], place.get("ssl_keyfile"))
    return context


def _unavailable(why: str) -> StoreUnavailable:
    return StoreUnavailable(f"Redis: {why}", FIX)
