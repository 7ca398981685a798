"""OpenBao, which speaks Vault's API: the real server, in memory, on a free port."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from loopline.platform_core.testing.parts.ports import free_port
from tests.emulators.process import Emulator, program

ROOT_TOKEN = "tests-root"


class OpenBao(Emulator):
    """One process; ``root`` is a client that may do everything."""

    def __init__(self, folder: Path) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{self.address}"
        command = [program("bao"), "server", "-dev", "-dev-no-store-token", f"-dev-root-token-id={ROOT_TOKEN}"]
        super().__init__([*command, f"-dev-listen-address={self.address}"], folder)

    def begin(self) -> None:
        """Start it, with the engine at ``secret`` that takes versions."""
        import hvac

        self.root: Any = hvac.Client(self.url, token=ROOT_TOKEN)
        self.start(self.root.secrets.kv.v2.read_configuration)
        end = time.monotonic() + 10
        while time.monotonic() < end:  # an engine that was just mounted is upgraded for a moment
            try:
                self.root.secrets.kv.v2.create_or_update_secret("begun", secret={"value": "1"})
            except hvac.exceptions.VaultError:
                time.sleep(0.05)  # between two looks
            else:
                return
        raise TimeoutError("the engine of secrets was not there in 10 s")

    def unseal(self) -> None:
        """Let a sealed one answer again, by the key that it told its log when it began."""
        told = self.folder.joinpath("log").read_text(encoding="utf-8")
        key = next(line.split(": ")[1] for line in told.splitlines() if line.startswith("Unseal Key: "))
        assert not self.root.sys.submit_unseal_key(key)["sealed"]


@pytest.fixture(scope="module")
def openbao(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OpenBao]:
    """Run OpenBao for this session."""
    server = OpenBao(tmp_path_factory.mktemp("openbao"))
    server.begin()
    yield server
    server.end()
