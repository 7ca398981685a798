"""Free ports of this machine are different, none is busy, and the system gives none of them to a connection."""

from __future__ import annotations

import socket
from pathlib import Path

from loopline.platform_core.foundation.ports import HOST, PORTS, free_ports


def test_a_busy_port_is_not_drawn():
    """Whatever else is drawn; of two ports of which somebody listens on one it is the other."""
    with socket.create_server((HOST, free_ports(1)[0])) as server:
        busy = server.getsockname()[1]
        other = busy + 1 if busy + 1 in PORTS else busy - 1
        assert free_ports(1, (busy, other)) == [other]


def test_none_is_drawn_twice():
    """Not by one call, nor by the next, though nobody listens yet."""
    drawn = [*free_ports(200), *free_ports(200)]
    assert len(set(drawn)) == len(drawn)


def test_no_connection_can_take_one():
    """This system gives connections other ports."""
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert max(free_ports(200)) < first
