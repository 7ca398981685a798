"""Azure's storage as an emulator: Azurite, which checks who asks, on ports of its own."""

from __future__ import annotations

import base64
import hashlib
import hmac
import uuid
from email.utils import formatdate
from pathlib import Path

import httpx

from loopline.platform_core.testing.parts.ports import free_ports
from tests.emulators.process import NODE_MODULES, Emulator, fetch_node_modules, node
from tests.s3_server import start_on_free_ports

CONTAINER, ACCOUNT = "loopline", "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
"""The one key that Azurite knows unless it is told another: it is written in its manual."""


class Azurite:
    """One process with blobs and queues in memory."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.choose()

    def choose(self) -> None:
        """Choose ports."""
        blob, queue, table = free_ports(3)
        self.url, self.queue_url = (f"http://127.0.0.1:{port}/{ACCOUNT}" for port in (blob, queue))
        ports = {"blob": blob, "queue": queue, "table": table}
        where = [
            word for name, port in ports.items() for word in (f"--{name}Host", "127.0.0.1", f"--{name}Port", str(port))
        ]
        how = ["--inMemoryPersistence", "--skipApiVersionCheck", "--disableTelemetry", "--silent"]
        script = NODE_MODULES / "azurite" / "dist" / "src" / "azurite.js"
        compiled = {"NODE_COMPILE_CACHE": str(NODE_MODULES.parent / ".compiled")}  # half of what starting costs
        self._server = Emulator([node(), str(script), *how, *where], self._folder, compiled)

    @property
    def options(self) -> dict[str, str]:
        """Return what a client of object stores is told."""
        return self.options_at(self.url)

    @property
    def connection(self) -> str:
        """Return what clients that take a connection string are told."""
        return self.connection_at(self.url)

    @staticmethod
    def connection_at(url: str) -> str:
        """Return a connection string that leads over another URL."""
        return f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={url}"

    @staticmethod
    def for_mlflow(place: str) -> str:
        """Return a place as MLflow names it."""
        container, _, path = place.removeprefix("az://").partition("/")
        return f"wasbs://{container}@{ACCOUNT}.blob.core.windows.net/{path}"

    def options_at(self, url: str, key: str = KEY) -> dict[str, str]:
        """Return options that lead over another URL, or with another key."""
        return {
            "azure_storage_account_name": ACCOUNT,
            "azure_storage_account_key": key,
            "azure_endpoint": url,
        }

    def wrong_secret(self) -> dict[str, str]:
        """Return options with a key of somebody else's."""
        return self.options_at(self.url, base64.b64encode(b"wrong" * 10).decode())

    def start(self) -> None:
        """Start it, and make the container; where another took a port of it first, ``url`` is another one."""
        fetch_node_modules()
        start_on_free_ports(self)

    def start_once(self) -> None:
        """Start it on these ports."""
        self._server.start(lambda: self.make_bucket(CONTAINER))

    def make_bucket(self, name: str) -> None:
        """Make a container."""
        self._ask("PUT", name)

    def drop_bucket(self, name: str) -> None:
        """Delete a container with all that is in it."""
        self._ask("DELETE", name)

    def place(self, bucket: str = CONTAINER) -> str:
        """Return the URL of a prefix that no other test has."""
        return f"az://{bucket}/{uuid.uuid4().hex[:12]}"

    def _ask(self, method: str, container: str) -> None:
        """Ask for a container, signed by the account's key as the protocol has it."""
        headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": "2021-12-02"}
        about = "\n".join(f"{name}:{value}" for name, value in sorted(headers.items()))
        what = f"/{ACCOUNT}/{ACCOUNT}/{container}\nrestype:container"
        text = "\n".join([method, *[""] * 11, about, what])
        signed = hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()
        headers["authorization"] = f"SharedKey {ACCOUNT}:{base64.b64encode(signed).decode()}"
        url = f"{self.url}/{container}?restype=container"
        httpx.request(method, url, headers=headers).raise_for_status()

    def kill(self) -> None:
        """Kill it."""
        self._server.end()
