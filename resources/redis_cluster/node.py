"""One server of the cluster, as an event loop reaches it: what is asked in one turn of the loop travels in one go."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from loopline.resources.redis.link import Answered, Link, connected

Command = Sequence[str | bytes | int]


class Node:
    """Sends commands to one server; connects when it must, also after the server was away."""

    def __init__(self, url: str, timeout_seconds: float) -> None:
        self._url, self._timeout_seconds = url, timeout_seconds
        self._waiting: list[tuple[Command, Answered]] = []
        self._planned = False
        self._link: Link | None = None
        self._connecting: asyncio.Task[None] | None = None

    @property
    def is_open(self) -> bool:
        """Say whether there is a connection."""
        return self._link is not None and self._link.is_open

    def send(self, command: Command, answered: Answered) -> None:
        """Have a command sent at the end of this turn, after those that were given before."""
        self._waiting.append((command, answered))
        if not self._planned:
            self._planned = True
            asyncio.get_running_loop().call_soon(self._flush)

    async def ask(self, *command: str | bytes | int) -> Any:
        """Send a command and return its reply, errors included."""
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.send(command, lambda said: None if reply.done() else reply.set_result(said))
        return await reply

    def close(self) -> None:
        """End the connection; who waits is told so."""
        if self._connecting is not None:
            self._connecting.cancel()
        if self._link is not None:
            self._link.end("it was closed")

    def _flush(self) -> None:
        self._planned = False
        if self._link is None or not self._link.is_open:
            if self._connecting is None:
                self._connecting = asyncio.get_running_loop().create_task(self._connect())
            return
        waiting, self._waiting = self._waiting, []
        if waiting:
            self._link.send_all(waiting)

    async def _connect(self) -> None:
        try:
            async with asyncio.timeout(self._timeout_seconds):
                self._link = await connected(self._url, self._timeout_seconds)
        except OSError as error:
            self._give_up(f"no connection: {str(error) or 'no answer in time'}")
        except asyncio.CancelledError:
            self._give_up("it was closed")
        else:
            self._connecting = None
            self._flush()

    def _give_up(self, why: str) -> None:
        self._connecting = None
        waiting, self._waiting = self._waiting, []
        for _, answered in waiting:
            answered(ConnectionError(why))
