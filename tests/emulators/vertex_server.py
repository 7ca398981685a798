"""Vertex AI as a strict fake that runs the jobs, its objects in Cloud Storage's emulator: fixtures."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from loopline.platform_core.testing.parts.ports import free_ports
from loopline.resources.vertex.compute import VertexCompute
from tests.emulators import google_account
from tests.emulators.gcs import BUCKET, GcsServer
from tests.emulators.process import Emulator, Faulty

IMAGE = "europe-west4-docker.pkg.dev/tests/ml/loopline:tests"
PROJECT = "tests"


class VertexServer(Faulty):
    """The fake's process, and what a test says to it."""

    def __init__(self, folder: Path, gcs: GcsServer, role: Mapping[str, str] | None = None) -> None:
        """Be ready to start; ``role`` are variables of which every job has the same, as it has its identity."""
        self.gcs, port = gcs, free_ports(1)[0]
        self.url = f"http://127.0.0.1:{port}"
        self.endpoints = {"vertex": self.url, "storage": gcs.json_url}
        self.key, public = google_account.new_key(), folder / "public.pem"
        public.write_bytes(google_account.public(self.key))
        keys = {"account": self.key, "stranger": google_account.new_key()}
        self.account, self.stranger = (
            google_account.signer(folder / f"{name}.json", one, PROJECT, f"{self.url}/token")
            for name, one in keys.items()
        )
        command = [sys.executable, "-m", "tests.emulators.vertex", str(port), str(folder), gcs.json_url, str(public)]
        given = {"GOOGLE_APPLICATION_CREDENTIALS": str(self.account), **role} if role else {}
        self.program = Emulator(command, folder, {f"ROLE_{name}": value for name, value in given.items()})


@pytest.fixture(scope="module")
def vertex(tmp_path_factory: pytest.TempPathFactory, gcs_server: GcsServer) -> Iterator[VertexServer]:
    """Run the fake for a file of tests: what goes on running costs all that come after."""
    found = VertexServer(tmp_path_factory.mktemp("vertex"), gcs_server)
    found.program.start(lambda: urlopen(f"{found.url}/_requests").close())
    yield found
    found.program.end_gently()


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
