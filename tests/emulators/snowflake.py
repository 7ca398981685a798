"""Snowflake as fakesnow answers it: its protocol over HTTP, statements on DuckDB."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from loopline.platform_core.testing.parts.ports import free_ports
from tests.emulators.process import PEERS, Emulator, fetch_node_modules

PASSWORD = "open sesame"


class Snowflake:
    """One process with tables in memory, on a Python of its own: it holds DuckDB and Snowflake's client back."""

    def __init__(self, folder: Path) -> None:
        (port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{port}"
        script = Path(__file__).with_name("fakesnow_server.py")
        self._server = Emulator([str(PEERS / "fakesnow/bin/python"), "-P", str(script), str(port)], folder)

    def start(self) -> None:
        """Start it and wait until it answers."""
        fetch_node_modules()
        self._server.start(self.mend)

    def end(self) -> None:
        """End it."""
        self._server.end()

    def fail(self, statement: str, **how: Any) -> None:
        """Let statements that hold a text fail."""
        self._tell({"statement": statement, **how})

    def mend(self) -> None:
        """Let nothing go wrong any more."""
        self._tell(None)

    def _tell(self, fault: dict[str, Any] | None) -> None:
        urlopen(Request(f"{self.url}/_faults", json.dumps(fault).encode())).close()
