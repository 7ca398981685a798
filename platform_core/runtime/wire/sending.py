"""Response writes that are deferred to the end of an event loop's turn, and sent together.

A write wakes whoever waits for it. On a machine without a core that polls that costs the writer 10 to 80 µs: an
interrupt to another core, and caches that are cold after it. Who is awake already need not be woken: the first answer
of a turn pays, the others do not. Head and body of an answer are one write.
"""

from __future__ import annotations

import asyncio
from typing import Any


class Turn:
    """The connections that have something to send; belongs to one event loop."""

    def __init__(self) -> None:
        self._waiting: list[Sending] = []

    def add(self, one: Sending) -> None:
        """Let a connection send when this turn of the loop is over."""
        if not self._waiting:
            asyncio.get_running_loop().call_soon(self.over)
        self._waiting.append(one)

    def over(self) -> None:
        """End the turn: send what waits."""
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one.flush()


class Sending:
    """A transport that writes when the turn is over; in all else it is the transport that it was given."""

    def __init__(self, transport: asyncio.Transport, turn: Turn) -> None:
        self._transport, self._turn = transport, turn
        self._parts: list[bytes] = []
        self.is_closing = transport.is_closing

    def __getattr__(self, name: str) -> Any:
        """Return what the transport has."""
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Send some bytes at the end of the turn."""
        if not self._parts:
            self._turn.add(self)
        self._parts.append(data)

    def flush(self) -> None:
        """Send what waits, if anybody is still there."""
        parts, self._parts = self._parts, []
        if parts and not self._transport.is_closing():
            self._transport.write(parts[0] if len(parts) == 1 else b"".join(parts))

    def close(self) -> None:
        """Send what waits, then close."""
        self.flush()
        self._transport.close()
