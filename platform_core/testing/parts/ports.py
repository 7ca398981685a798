"""Free TCP ports of this machine, for servers in tests."""

from __future__ import annotations

import os
import random
import socket
from contextlib import ExitStack, suppress

PORTS = range(12_000, 32_768)
"""Linux gives connections those from 32,768 on: one of them may be taken before a server listens there."""
_PARTS = 8
_drawn: set[int] = set()


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nobody listens."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Return different ports of 127.0.0.1 on which nobody listens, drawn at random.

    Until its server listens a port looks free to everybody: none is drawn twice in a process, and each worker of
    pytest draws from a part of its own.
    """
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    own = PORTS[number % _PARTS :: _PARTS]
    found: list[int] = []
    with ExitStack() as held:
        while len(found) < count:
            port = random.SystemRandom().choice(own)
            if port in _drawn and len(_drawn) < len(own) // 2:
                continue
            probe = held.enter_context(socket.socket())
            with suppress(OSError):
                probe.bind(("127.0.0.1", port))
                found.append(port)
                _drawn.add(port)
    return found
