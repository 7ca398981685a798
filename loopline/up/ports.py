"""Ports of this machine: which are free, and which answer."""

from __future__ import annotations

import socket

HOST = "127.0.0.1"
TRIES = 20


def free_port(wanted: int = 0) -> int:
    """Return the wanted port, one of the next few when it is busy, or any (0)."""
    for candidate in [*range(wanted, wanted + TRIES), 0] if wanted else [0]:
        bound = _bind(candidate)
        if bound is not None:
            return bound
    raise AssertionError("the system gave no port")


def answers(port: int) -> bool:
    """Say whether something listens on a port."""
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex((HOST, port)) == 0


def _bind(port: int) -> int | None:
    with socket.socket() as probe:
        # A server that has just ended leaves its port in TIME_WAIT, which servers bind over and so do we.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return None
        return int(probe.getsockname()[1])
