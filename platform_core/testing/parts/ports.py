"""Free ports of this machine, for servers of tests."""

from __future__ import annotations

import random
import socket
from contextlib import ExitStack, suppress

PORTS = range(12_000, 32_768)
"""Linux gives connections those from 32,768 on: one of them may be taken before a server listens there."""


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nobody listens."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Return different ports of 127.0.0.1 on which nobody listens, drawn at random."""
    found: list[int] = []
    with ExitStack() as held:
        while len(found) < count:
            probe = held.enter_context(socket.socket())
            with suppress(OSError):
                probe.bind(("127.0.0.1", random.choice(PORTS)))
                found.append(int(probe.getsockname()[1]))
    return found
