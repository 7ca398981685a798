"""Lets pods of the tests' cluster reach a server outside of it: a port of the node that leads to the server's own."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from scripts.cluster.forward import through
from scripts.cluster.outside import Cluster
from scripts.cluster.settings import NODE_ADDRESS

_LISTEN = """
import socket, sys
listener = socket.create_server((sys.argv[1], int(sys.argv[2])), backlog=512)
socket.send_fds(socket.socket(fileno=0), [b"1"], [listener.fileno()])
"""
"""Run within the cluster's network; the socket belongs to it for ever, whoever accepts on it."""


@contextmanager
def let_in(cluster: Cluster, port: int, target: str | int) -> Iterator[str]:
    """Open a port of the node that leads to a port of this machine, or to a socket by its path.

    Gives the address by which pods reach it, ``host:port``.
    """
    listener = _listening(cluster, port)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=_serve, args=(loop, listener, target), daemon=True)
    thread.start()
    try:
        yield f"{NODE_ADDRESS}:{port}"
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()


def _listening(cluster: Cluster, port: int) -> socket.socket:
    ours, theirs = socket.socketpair()
    command = ["nsenter", f"--net={cluster.network}", sys.executable, "-c", _LISTEN, NODE_ADDRESS, str(port)]
    subprocess.run(command, stdin=theirs, check=True)
    _, descriptors, _, _ = socket.recv_fds(ours, 1, 1)
    return socket.socket(fileno=descriptors[0])


def _serve(loop: asyncio.AbstractEventLoop, listener: socket.socket, target: str | int) -> None:
    asyncio.set_event_loop(loop)
    is_path = isinstance(target, str)
    connect = (
        partial(asyncio.open_unix_connection, target)
        if is_path
        else partial(asyncio.open_connection, "127.0.0.1", target)
    )
    server = loop.run_until_complete(asyncio.start_server(through(connect), sock=listener))
    loop.run_forever()
    server.close()
    carrying = asyncio.all_tasks(loop)
    for task in carrying:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*carrying, return_exceptions=True))
    loop.close()
