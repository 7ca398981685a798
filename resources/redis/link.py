"""Redis connection of an event loop: pipelined commands, replies in order.

Source: the Redis serialization protocol (RESP2) and its pipelining. On hiredis alone: a server that only looks up never
imports redis-py, which takes longer than a time-out may be.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, cast
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import hiredis

Answered = Callable[[Any], None]
"""Takes a reply: what Redis said, ``hiredis.ReplyError`` included, or a ``ConnectionError`` where it said nothing."""

PORT = 6379


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
            self._awaited.popleft()[1](ConnectionError(str(error or self._why)))

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
        deadline = self._awaited[0][0]
        if deadline > self._loop.time():
            self._watch = self._loop.call_at(deadline, self._look)
        else:
            self.end(f"no answer in {self._timeout_seconds:g} s")


async def connected(url: str, timeout_seconds: float) -> Link:
    """Open a connection, log in and choose the database.

    Raises:
        OSError: there is no connection, or the server does not let us in.
    """
    place, loop = urlsplit(url), asyncio.get_running_loop()
    if place.scheme == "unix":
        _, link = await loop.create_unix_connection(lambda: Link(timeout_seconds), unquote(place.path))
    else:
        host, port = place.hostname or "localhost", place.port or PORT
        _, link = await loop.create_connection(lambda: Link(timeout_seconds), host, port, ssl=_tls(place))
    try:
        for command in _greeting(place):
            await _obeyed(link, command)
    except BaseException:
        link.end("it was given up")
        raise
    return link


async def _obeyed(link: Link, command: Sequence[str]) -> None:
    reply = asyncio.get_running_loop().create_future()
    link.send(command, lambda said: None if reply.done() else reply.set_result(said))
    if isinstance(said := await reply, Exception):
        raise ConnectionError(str(said))


def _greeting(place: SplitResult) -> list[tuple[str, ...]]:
    commands: list[tuple[str, ...]] = []
    if place.password:
        user = [unquote(place.username)] if place.username else []
        commands.append(("AUTH", *user, unquote(place.password)))
    database = dict(parse_qsl(place.query)).get("db") or ("" if place.scheme == "unix" else place.path.strip("/"))
    if database:
        commands.append(("SELECT", database))
    return commands


def _tls(place: SplitResult) -> Any:
    if place.scheme != "rediss":
        return None
    import ssl

    files = dict(parse_qsl(place.query))
    context = ssl.create_default_context(cafile=files.get("ssl_ca_certs"))
    if "ssl_certfile" in files:
        context.load_cert_chain(files["ssl_certfile"], files.get("ssl_keyfile"), files.get("ssl_password", ""))
    return context
