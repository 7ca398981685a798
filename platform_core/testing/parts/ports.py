"""Free TCP ports of this machine, for servers in tests: each worker of pytest draws from a part of its own."""

from __future__ import annotations

import os

from loopline.platform_core.foundation import ports

_PARTS = 8


def free_port() -> int:
    """Return a port of 127.0.0.1 on which nobody listens."""
    return free_ports(1)[0]


def free_ports(count: int) -> list[int]:
    """Return different ports of 127.0.0.1 on which nobody listens, drawn at random."""
    number = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    return ports.free_ports(count, ports.PORTS[number % _PARTS :: _PARTS])
