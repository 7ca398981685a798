"""TCP ports of this machine: finds free ones, and checks which answer."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from itertools import chain

from loopline.platform_core.foundation.ports import HOST, PORTS

TRIES = 20


class HeldPorts:
    """Ports that are chosen before their servers listen: no other ``up`` that begins meanwhile chooses them too.

    Each is held by a UDP socket of the same number, which none of the servers needs, and which the system lets go when
    this process ends, however it ends.
    """

    def __init__(self) -> None:
        self._sockets: dict[int, socket.socket] = {}

    def hold(self, wanted: int = 0) -> int:
        """Hold the wanted port, one of the next few when it is busy or held by another, or any (0); return it."""
        for port in _free_ports(wanted):
            if port in self._sockets and port == wanted:
                return port
            held = _bound(port, socket.SOCK_DGRAM)
            if held is not None:
                self._sockets[port] = held
                return port
        raise AssertionError("the system gave no port")

    def close(self) -> None:
        """Let all go."""
        while self._sockets:
            self._sockets.popitem()[1].close()


def free_port(wanted: int = 0) -> int:
    """Return the wanted port, one of the next few when it is busy, or any (0)."""
    return next(_free_ports(wanted))


def answers(port: int) -> bool:
    """Say whether something listens on a port."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((HOST, port)) == 0


def _free_ports(wanted: int) -> Iterator[int]:
    """Yield free ports: from the wanted one on, then any."""
    drawn = random.SystemRandom().sample(PORTS, TRIES)
    for port in chain(range(wanted, wanted + TRIES) if wanted else (), drawn):
        listener = _bound(port, socket.SOCK_STREAM)
        if listener is not None:
            listener.close()
            yield port


def _bound(port: int, kind: socket.SocketKind) -> socket.socket | None:
    probe = socket.socket(type=kind)
    if kind is socket.SOCK_STREAM:
        # A server that has just ended leaves its port in TIME_WAIT, which servers bind over and so do we.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        probe.bind((HOST, port))
    except OSError:
        probe.close()
        return None
    return probe
