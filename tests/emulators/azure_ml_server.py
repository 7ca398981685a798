"""Azure ML as a strict fake that runs the jobs, its objects in Azurite: fixtures."""

from __future__ import annotations

import ssl
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import trustme

from loopline.platform_core.testing.parts.ports import free_ports
from loopline.resources.azure_ml.compute import AzureMLCompute
from tests.emulators.app_identity import Identity
from tests.emulators.azurite import ACCOUNT, CONTAINER, KEY, Azurite
from tests.emulators.process import Emulator, Faulty

IMAGE = "acme.azurecr.io/loopline:tests"
SUBSCRIPTION, GROUP, WORKSPACE = "00000000-0000-0000-0000-000000000001", "ml", "loop"
CLUSTERS = {
    "small": {"cpu": 4, "memory_gb": 16, "size": "Standard_D4s_v5"},
    "large": {"cpu": 32, "memory_gb": 128, "size": "Standard_D32s_v5"},
}


class AzureMLServer(Faulty):
    """The fake's process, and what a test says to it."""

    def __init__(self, folder: Path, azurite: Azurite, token: str, role: Mapping[str, str] | None = None) -> None:
        """Be ready to start; ``role`` are variables of which every job has the same, as it has its identity."""
        port = free_ports(1)[0]
        self.url, self.token = f"https://127.0.0.1:{port}", token
        signer, certificate = trustme.CA(), folder / "certificate.pem"
        signer.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(certificate))
        self.authority = folder / "authority.pem"
        signer.cert_pem.write_to_path(str(self.authority))
        self.trust = ssl.create_default_context(cafile=str(self.authority))
        self.endpoints = {"resource_manager": self.url, "history": self.url, "blob": azurite.url}
        said = [str(port), str(certificate), str(folder), azurite.url, KEY, token]
        given = {f"ROLE_{name}": value for name, value in (role or {}).items()}
        self.program = Emulator([sys.executable, "-m", "tests.emulators.azure_ml", *said], folder, given)

    def start(self) -> None:
        """Start it."""
        self.program.start(lambda: urlopen(f"{self.url}/_requests", context=self.trust).close())

    def settings(self, prefix: str) -> dict[str, Any]:
        """Return what an environment says of it, with a folder and names of its own."""
        return {
            "image": IMAGE,
            "python": "python",
            "subscription": SUBSCRIPTION,
            "resource_group": GROUP,
            "workspace": WORKSPACE,
            "clusters": CLUSTERS,
            "store": f"az://{CONTAINER}/{prefix}",
            "account": ACCOUNT,
            "account_key": KEY,
            "endpoints": self.endpoints,
            "authority": self.authority,
            "name_prefix": prefix,
            "poll_seconds": 0.1,
            "api_patience_seconds": 5,
            "most_workers": 4,
        }


def endpoint_settings(server: AzureMLServer, azurite: Azurite, own: str) -> dict[str, Any]:
    """Return what an environment says of endpoints, with a place and names of its own."""
    return {
        "image": IMAGE,
        "subscription": SUBSCRIPTION,
        "resource_group": GROUP,
        "workspace": WORKSPACE,
        "location": "westeurope",
        "store": f"az://{CONTAINER}/{own}",
        "storage_options": azurite.options,
        "endpoints": {"resource_manager": server.url},
        "authority": server.authority,
        "name_prefix": f"t{own}",
    }


@pytest.fixture(scope="module")
def identity() -> Iterator[Identity]:
    """Run the place where the identity gets its tokens."""
    found = Identity("good")
    yield found
    found.end()


@pytest.fixture(scope="module")
def azure_ml(tmp_path_factory: pytest.TempPathFactory, azurite: Azurite) -> Iterator[AzureMLServer]:
    """Run the fake for a file of tests: what goes on running costs all that come after."""
    found = AzureMLServer(tmp_path_factory.mktemp("azure-ml"), azurite, "good")
    found.start()
    yield found
    found.program.end_gently()


@pytest.fixture
def bound(
    azure_ml: AzureMLServer, identity: Identity, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., AzureMLCompute]:
    """Bind the vendor with credentials as its client looks for them, to a folder and names of this test alone."""
    for name, value in identity.environment.items():
        monkeypatch.setenv(name, value)
    identity.token = "good"
    azure_ml.mend()
    own = f"t{uuid.uuid4().hex[:8]}"
    return lambda **more: AzureMLCompute(**{**azure_ml.settings(own), **more})


@pytest.fixture(scope="module")
def signed_in(identity: Identity) -> Iterator[Identity]:
    """Have a module's process find its identity."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in identity.environment.items():
            patch.setenv(name, value)
        yield identity
