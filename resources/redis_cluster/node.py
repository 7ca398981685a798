"""Connection to one Redis Cluster node, with batching by turn of the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from loopline.resources.redis.gathering import Gathering
from loopline.resources.redis.link import Answered

if TYPE_CHECKING:
    from loopline.resources.redis.link import Link

Command = Sequence[str | bytes | int]


class Node(Gathering[tuple[Command, Answered]]):
    """Sends commands to one server."""

    def send(self, command: Command, answered: Answered) -> None:
        """Have a command sent at the end of this turn, after those that were given before."""
        self._add((command, answered))

    async def ask(self, *command: str | bytes | int) -> Any:
        """Send a command and return its reply, errors included."""
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.send(command, lambda said: None if reply.done() else reply.set_result(said))
        return await reply

    def _write(self, link: Link, waiting: list[tuple[Command, Answered]]) -> None:
        link.send_all(waiting)

    def _refuse(self, waiting: list[tuple[Command, Answered]], why: ConnectionError) -> None:
        for _, answered in waiting:
            answered(why)
