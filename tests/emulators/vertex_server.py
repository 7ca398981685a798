"""Vertex AI as a strict fake that runs the jobs, its objects in Cloud Storage's emulator: fixtures."""

from __future__ import annotations

import json
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from loopline.resources.vertex.compute import VertexCompute
from tests.emulators.gcs import BUCKET, GcsServer
from tests.emulators.process import Emulator, Faulty
from tests.s3_server import free_ports

IMAGE = "europe-west4-docker.pkg.dev/tests/ml/loopline:tests"
PROJECT = "tests"


class VertexServer(Faulty):
    """The fake's process, and what a test says to it."""

    def __init__(self, folder: Path, gcs: GcsServer, role: Mapping[str, str] | None = None) -> None:
        """Be ready to start; ``role`` are variables of which every job has the same, as it has its identity."""
        self.gcs, port = gcs, free_ports(1)[0]
        self.url = f"http://127.0.0.1:{port}"
        self.endpoints = {"vertex": self.url, "storage": gcs.json_url}
        self.key = rsa.generate_private_key(65537, 2048)
        public, form = folder / "public.pem", serialization.PublicFormat.SubjectPublicKeyInfo
        public.write_bytes(self.key.public_key().public_bytes(serialization.Encoding.PEM, form))
        self.account = self.signer(folder / "account.json", self.key)
        self.stranger = self.signer(folder / "stranger.json", rsa.generate_private_key(65537, 2048))
        command = [sys.executable, "-m", "tests.emulators.vertex", str(port), str(folder), gcs.json_url, str(public)]
        given = {"GOOGLE_APPLICATION_CREDENTIALS": str(self.account), **role} if role else {}
        self.program = Emulator(command, folder, {f"ROLE_{name}": value for name, value in given.items()})

    def signer(self, file: Path, key: Any) -> Path:
        """Write a service account's file, as Google gives it."""
        encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        said = {
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": "1",
            "private_key": key.private_bytes(encoding, form, serialization.NoEncryption()).decode(),
            "client_email": f"kit@{PROJECT}.iam.gserviceaccount.com",
            "client_id": "1",
            "token_uri": f"{self.url}/token",
        }
        file.write_text(json.dumps(said))
        return file


@pytest.fixture(scope="module")
def vertex(tmp_path_factory: pytest.TempPathFactory, gcs_server: GcsServer) -> Iterator[VertexServer]:
    """Run the fake for a file of tests: what goes on running costs all that come after."""
    found = VertexServer(tmp_path_factory.mktemp("vertex"), gcs_server)
    found.program.start(lambda: urlopen(f"{found.url}/_requests").close())
    yield found
    found.program.process.terminate()  # its endpoints' containers end with it
    found.program.process.wait(30)
    found.program.end()


@pytest.fixture
def bound(vertex: VertexServer, monkeypatch: pytest.MonkeyPatch) -> Callable[..., VertexCompute]:
    """Bind the vendor with credentials as its client looks for them, to a folder and names of this test alone."""
    monkeypatch.setenv("GOOGLE_APPLICATION_CREDENTIALS", str(vertex.account))
    vertex.mend()
    own = uuid.uuid4().hex[:8]

    def bind(**more: Any) -> VertexCompute:
        settings = {
            "image": IMAGE,
            "python": "python",
            "project": PROJECT,
            "location": "europe-west4",
            "store": f"gs://{BUCKET}/{own}",
            "endpoints": vertex.endpoints,
            "name_prefix": f"t{own}",
            "poll_seconds": 0.1,
            "api_patience_seconds": 5,
        }
        return VertexCompute(**{**settings, **more})

    return bind
