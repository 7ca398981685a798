"""A real Redis Cluster on this machine. Servers find in their folders who belongs to it, as after a restart.

Telling them by ``CLUSTER MEET`` is left out: a server forgets whom it is to meet after a second or two, in which a busy
machine may not have answered.
"""

from __future__ import annotations

import secrets
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from loopline.platform_core.testing.parts.ports import free_ports
from tests.hanging import hang
from tests.machine import needs
from tests.waiting import until

SLOTS = 16384


class RedisCluster:
    """Primaries that share the slots, and replicas of the first; nothing is kept on disk but who they are.

    ``away_ms`` is how long a server is silent before the others take it for dead.
    """

    def __init__(self, folder: Path, primaries: int = 3, replicas: int = 0, away_ms: int = 2000) -> None:
        self.folder, self.primaries, self.away_ms = folder, primaries, away_ms
        servers = primaries + replicas
        found = free_ports(2 * servers)
        self.ports, self.buses = found[:servers], found[servers:]
        self.names = [secrets.token_hex(20) for _ in self.ports]
        self.processes: dict[int, subprocess.Popen[bytes]] = {}
        self.urls = [f"redis://127.0.0.1:{port}" for port in self.ports]
        self.clients = [redis.Redis(port=port, socket_timeout=10) for port in self.ports]

    @property
    def url(self) -> str:
        """Return how to reach the first server."""
        return self.urls[0]

    def start(self) -> None:
        """Start every server, and wait until all agree."""
        for at in range(len(self.ports)):
            (self.folder / str(at)).mkdir()
            (self.folder / str(at) / "nodes.conf").write_text(self._known_to(at), encoding="utf-8")
            self._spawn(at)
        for at in range(len(self.ports)):
            self._wait_for(at)
        self.wait_until(self.agrees, "the servers do not agree")
        for at in range(self.primaries, len(self.ports)):
            self.wait_until(lambda at=at: self.follows(at), "no replica follows")

    def start_one(self, at: int) -> None:
        """Start one server again; what it knew of the others is still in its folder."""
        self._spawn(at)
        self._wait_for(at)

    def agrees(self) -> bool:
        """Say whether every server knows of all, and none misses a slot."""
        told = [client.execute_command("CLUSTER", "INFO").decode() for client in self.clients]
        known = [dict(line.split(":", 1) for line in text.split()) for text in told]
        return all(
            (info["cluster_state"], int(info["cluster_known_nodes"])) == ("ok", len(self.ports)) for info in known
        )

    def follows(self, at: int) -> bool:
        """Say whether a server is a replica that has all that its primary has."""
        told = self.clients[at].info("replication")
        return (told["role"], told.get("master_link_status")) == ("slave", "up")

    def let_in(self, user: str, password: str) -> None:
        """Let a user do everything, on every server."""
        for client in self.clients:
            client.execute_command("ACL", "SETUSER", user, "reset", "on", f">{password}", "~*", "+@all")

    def owner(self, slot: int, by: int = 0) -> int:
        """Return which primary holds a slot, as one of the servers sees it."""
        for first, last, owner, *_ in self.clients[by].execute_command("CLUSTER", "SLOTS"):
            if first <= slot <= last:
                return self.ports.index(int(owner[1]))
        raise LookupError(slot)

    def begin_move(self, slot: int, to: int) -> int:
        """Open a slot for its way to another primary; returns who still holds it."""
        came_from = self.owner(slot)
        self.clients[to].execute_command("CLUSTER", "SETSLOT", slot, "IMPORTING", self.names[came_from])
        self.clients[came_from].execute_command("CLUSTER", "SETSLOT", slot, "MIGRATING", self.names[to])
        return came_from

    def move_keys(self, slot: int, came_from: int, to: int, most: int) -> int:
        """Move some keys of a slot; returns how many."""
        keys = self.clients[came_from].execute_command("CLUSTER", "GETKEYSINSLOT", slot, most)
        if keys:
            self.clients[came_from].execute_command("MIGRATE", "127.0.0.1", self.ports[to], "", 0, 5000, "KEYS", *keys)
        return len(keys)

    def end_move(self, slot: int, came_from: int, to: int) -> None:
        """Let the slot belong to the other one, once all its keys are there."""
        while self.move_keys(slot, came_from, to, 100):
            pass
        for at in (to, came_from):
            self.clients[at].execute_command("CLUSTER", "SETSLOT", slot, "NODE", self.names[to])

    def kill(self, at: int) -> None:
        """Kill a server, as a machine that loses its power would."""
        self.processes[at].kill()
        self.processes[at].wait()

    def hang(self, at: int) -> None:
        """Let a server keep its connections and answer nobody."""
        hang(self.processes[at].pid)

    def go_on(self, at: int) -> None:
        """Let a server that hangs go on, with what it knew before."""
        self.processes[at].send_signal(signal.SIGCONT)

    def close(self) -> None:
        """End every server."""
        for at, process in self.processes.items():
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                self.kill(at)
        for client in self.clients:
            client.close()

    def wait_until(self, holds: Callable[[], bool], otherwise: str) -> None:
        """Wait for something, half a minute at most."""
        until(holds, 30, told=lambda: f"Redis Cluster: {otherwise}")

    def _known_to(self, me: int) -> str:
        """Write what a server's file of the cluster says: a line a server, with its slots."""
        ends = [SLOTS * at // self.primaries for at in range(self.primaries + 1)]
        lines = []
        for at, (name, port, bus) in enumerate(zip(self.names, self.ports, self.buses, strict=True)):
            is_primary = at < self.primaries
            role = f"master - 0 0 {at + 1}" if is_primary else f"slave {self.names[0]} 0 0 1"
            slots = f" {ends[at]}-{ends[at + 1] - 1}" if is_primary else ""
            lines.append(f"{name} 127.0.0.1:{port}@{bus} {'myself,' * (at == me)}{role} connected{slots}\n")
        return "".join(lines) + f"vars currentEpoch {self.primaries} lastVoteEpoch 0\n"

    def _spawn(self, at: int) -> None:
        found = needs("redis-server")
        settings = {
            "port": self.ports[at], "cluster-port": self.buses[at], "bind": "127.0.0.1", "dir": self.folder / str(at),
            "save": "", "logfile": "log", "cluster-enabled": "yes", "cluster-node-timeout": self.away_ms,
            "repl-diskless-sync-delay": 0,
        }  # fmt: skip
        flags = [text for name, value in settings.items() for text in (f"--{name}", str(value))]
        self.processes[at] = subprocess.Popen([found, *flags], stdout=subprocess.DEVNULL)

    def _wait_for(self, at: int) -> None:
        def answers() -> bool:
            if self.processes[at].poll() is not None:
                log = (self.folder / str(at) / "log").read_text(encoding="utf-8")
                pytest.fail(f"Redis Cluster: server {at} ended\n{log[-2000:]}")
            try:
                return bool(self.clients[at].info("server")["process_id"] == self.processes[at].pid)
            except (redis.BusyLoadingError, redis.ConnectionError, redis.TimeoutError):
                return False

        self.wait_until(answers, f"server {at} does not answer")
