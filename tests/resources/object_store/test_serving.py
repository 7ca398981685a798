"""Servers on another machine: nothing is shared but an object store. The kit, and what a relay carries through."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from loopline.platform_core.testing.inference_server import free_port, inference_server, shadow_process
from loopline.platform_core.testing.serving import ServingKit
from loopline.resources.object_store.serving import ObjectStoreServing
from tests.s3_server import S3Server


@dataclass
class Machine:
    """A machine with an inference server, its shadows and its relay; whoever deploys has no part in its folder."""

    folder: Path
    server: S3Server
    place: str
    name: str = "one"
    port: int = field(default_factory=free_port)
    grpc_port: int = field(default_factory=free_port)

    @property
    def serving(self) -> ObjectStoreServing:
        """Return the vendor as whoever deploys binds it: with a folder of his own, where nothing is."""
        return ObjectStoreServing(
            store=self.place,
            storage_options=self.server.options,
            address=f"http://127.0.0.1:{self.port}",
            grpc_address=f"127.0.0.1:{self.grpc_port}",
            root=f"{self.folder}/nothing",
            port=0,
        )

    @property
    def environment(self) -> Path:
        """Write the environment file of the machine."""
        file = self.folder / "environment.yaml"
        options = "".join(f"\n      {name}: {value}" for name, value in self.server.options.items())
        file.write_text(f"""
name: machine
bindings:
  serving:
    vendor: object_store
    store: {self.place}
    storage_options:{options}
    address: http://127.0.0.1:{self.port}
    root: "{self.folder}/server"
    port: {self.port}
    grpc_port: {self.grpc_port}
  online_store: {{vendor: sqlite, path: "{self.folder}/online.db"}}
""")
        return file

    @contextmanager
    def relay(self) -> Iterator[subprocess.Popen[bytes]]:
        """Run the relay until the block ends."""
        command = [
            sys.executable,
            "-m",
            "loopline.relay",
            "--environment",
            str(self.environment),
            "--server",
            self.name,
        ]
        process = subprocess.Popen(command)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(60)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run all of it; at the end the server goes first, as in a pod whose relay drains."""
        with ExitStack() as stack:
            stack.enter_context(self.relay())
            stack.enter_context(shadow_process(self.environment))
            stack.enter_context(inference_server(self.environment, self.port))
            yield


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, s3_server: S3Server) -> Iterator[Machine]:
    """Run one machine for the whole module."""
    machine = Machine(tmp_path_factory.mktemp("machine"), s3_server, s3_server.place())
    with machine.running():
        yield machine


class TestObjectStoreServing(ServingKit):
    @pytest.fixture
    def serving(self, machine: Machine) -> ObjectStoreServing:
        """The vendor far from its servers."""
        return machine.serving
