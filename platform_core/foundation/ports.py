"""Free TCP ports of this machine, outside of those that the system gives to connections."""

from __future__ import annotations

import random
import socket
from collections.abc import Sequence
from contextlib import ExitStack, suppress

HOST = "127.0.0.1"
PORTS = range(12_000, 32_768)
"""Linux gives connections those from 32,768 on: one of them may be taken before a server listens there."""
_drawn: set[int] = set()


def free_ports(count: int, among: Sequence[int] = PORTS) -> list[int]:
    """Return different ports of 127.0.0.1 on which nobody listens, drawn at random from some.

    Until its server listens a port looks free to everybody: so none is drawn twice in a process, as long as half of
    them have not been drawn.
    """
    found: list[int] = []
    with ExitStack() as held:
        while len(found) < count:
            port = random.SystemRandom().choice(among)
            if port in _drawn and len(_drawn) < len(among) // 2:
                continue
            probe = held.enter_context(socket.socket())
            with suppress(OSError):
                probe.bind((HOST, port))
                found.append(port)
                _drawn.add(port)
    return found
