"""DynamoDB as Dynalite answers it: a third of moto's time a request, and none of its other services."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from loopline.platform_core.testing.parts.ports import free_ports
from tests.emulators.aws import KEY, REGION, SECRET
from tests.emulators.process import NODE_MODULES, Emulator, fetch_node_modules, node

_AT_ONCE = ["--createTableMs", "0", "--deleteTableMs", "0", "--updateTableMs", "0"]


class Dynalite:
    """One process with tables in memory; it knows no time to live, and takes every signature."""

    def __init__(self, folder: Path) -> None:
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        script = NODE_MODULES / "dynalite" / "cli.js"
        where = ["--host", "127.0.0.1", "--port", str(port)]
        self._server = Emulator([node(), str(script), *where, *_AT_ONCE], folder)

    def start(self) -> None:
        """Start it and wait until it answers."""
        fetch_node_modules()
        self._server.start(self.client().list_tables)

    def end(self) -> None:
        """End it."""
        self._server.end()

    def client(self) -> Any:
        """Make boto3's client of it."""
        import boto3

        return boto3.session.Session(KEY, SECRET, region_name=REGION).client("dynamodb", endpoint_url=self.url)
