"""Ports outside of the namespaces: sockets that listen before ``unshare`` are served from within."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from scripts.cluster.settings import API_PORT, NODE_ADDRESS

_CHUNK = 65536
_RULES_SECONDS = 0.05
"""After so long a connection that was refused is tried once more."""
Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True)
class Door:
    """A listening socket outside, and where inside it leads."""

    descriptor: int
    host: str
    port: int

    def socket(self) -> socket.socket:
        """Return the socket, in the process that serves it."""
        return socket.socket(fileno=self.descriptor)


def opened(ports: tuple[int, ...]) -> tuple[list[Door], dict[str, int]]:
    """Open a door to the API and one to each port of the node; gives the doors, and the ports outside by name."""
    wanted = {"api": ("127.0.0.1", API_PORT)} | {str(port): (NODE_ADDRESS, port) for port in ports}
    doors, outside = [], {}
    for name, (host, port) in wanted.items():
        listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        listener.set_inheritable(True)
        outside[name] = int(listener.getsockname()[1])
        doors.append(Door(listener.detach(), host, port))
    return doors, outside


async def serve(doors: list[Door], every: Callable[[], None], period_seconds: float = 0.5) -> None:
    """Carry bytes through the doors for ever, and call ``every`` from time to time."""
    servers = [
        await asyncio.start_server(through(partial(asyncio.open_connection, door.host, door.port)), sock=door.socket())
        for door in doors
    ]
    async with contextlib.AsyncExitStack() as stack:
        for server in servers:
            await stack.enter_async_context(server)
        while True:
            await asyncio.sleep(period_seconds)
            every()


def through(connect: Callable[[], Awaitable[Ends]]) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]:
    """Carry each connection on to where ``connect`` leads."""

    async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            far_reader, far_writer = await _connected(connect)
        except OSError:
            writer.close()
            return
        with contextlib.suppress(asyncio.CancelledError):  # asyncio prints one that ends a connection
            await asyncio.gather(_pump(reader, far_writer), _pump(far_reader, writer))

    return carry


async def _connected(connect: Callable[[], Awaitable[Ends]]) -> Ends:
    """Connect; a port of the node finds no rule where kube-proxy exchanges them: one connection in ten thousand."""
    try:
        return await connect()
    except ConnectionRefusedError:
        await asyncio.sleep(_RULES_SECONDS)
        return await connect()


async def _pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
    with contextlib.closing(target), contextlib.suppress(OSError):
        while data := await source.read(_CHUNK):
            target.write(data)
            await target.drain()
