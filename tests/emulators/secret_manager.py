"""Google's Secret Manager as a strict fake: names, versions' states, sizes and errors as the service documents them."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import grpc
import pytest

from tests.emulators.grpc_fake import GrpcFake, GrpcServer

LARGEST = 65_536
PROJECT = "kit-project"
_VERSION = re.compile(r"projects/([^/]+)(?:/locations/([^/]+))?/secrets/([A-Za-z0-9_-]{1,255})/versions/(latest|\d+)")
State = Literal["ENABLED", "DISABLED", "DESTROYED"]


class SecretManagerFake:
    """Keeps versions by ``project/name``; ``mood`` is how it answers."""

    def __init__(self) -> None:
        self.versions: dict[str, list[tuple[bytes, State]]] = {}
        self.mood, self.awake, self.calls = "well", threading.Event(), 0

    def add(self, name: str, data: bytes, project: str = PROJECT) -> None:
        """Add a version."""
        assert re.fullmatch(r"[A-Za-z0-9_-]{1,255}", name)
        assert len(data) <= LARGEST
        self.versions.setdefault(f"{project}/{name}", []).append((data, "ENABLED"))

    def disable(self, name: str) -> None:
        """Disable the newest version."""
        versions = self.versions[f"{PROJECT}/{name}"]
        versions[-1] = (versions[-1][0], "DISABLED")

    def AccessSecretVersion(self, request: Any, context: Any) -> Any:  # noqa: N802 - the service's name
        """Answer as the service does."""
        from google.cloud import secretmanager_v1

        self.calls += 1
        if self.mood == "silent":
            self.awake.wait(10)
        if self.mood == "busy":
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "Quota exceeded")
        if self.mood == "refuses":
            context.abort(grpc.StatusCode.PERMISSION_DENIED, f"Permission denied on resource {request.name}")
        found = _VERSION.fullmatch(request.name)
        if found is None:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, f"Invalid resource name {request.name}")
        project, _, name, version = found.groups()
        versions = self.versions.get(f"{project}/{name}")
        if not versions or (version != "latest" and int(version) > len(versions)):
            context.abort(grpc.StatusCode.NOT_FOUND, f"Secret [{request.name}] not found or has no versions.")
        number = len(versions) if version == "latest" else int(version)
        data, state = versions[number - 1]
        if state != "ENABLED":
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"Secret Version is in {state} state.")
        answer = secretmanager_v1.AccessSecretVersionResponse(name=f"projects/1/secrets/{name}/versions/{number}")
        answer.payload.data = data
        return answer


class SecretManager:
    """The fake behind TLS, and a service account whose key signs what it lets in."""

    def __init__(self, folder: Path, key: Any = None) -> None:
        """Start; who signs with ``key``, or with one of the fake's own, is let in."""
        import trustme
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import rsa
        from google.cloud.secretmanager_v1.services.secret_manager_service.transports import (
            SecretManagerServiceGrpcTransport,
        )

        authority = trustme.CA()
        certificate = authority.issue_cert("127.0.0.1")
        self.authority = folder / "authority.pem"
        authority.cert_pem.write_to_path(str(self.authority))
        self._key = key or rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._public = self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.account = self.signer(folder / "account.json", self._key)
        self.stranger = self.signer(folder / "stranger.json", rsa.generate_private_key(65537, 2048))
        self.fake = SecretManagerFake()
        self.handler = GrpcFake(SecretManagerServiceGrpcTransport, self.fake, self._allows)
        chain = b"".join(part.bytes() for part in certificate.cert_chain_pems)
        self.server = GrpcServer(self.handler, certificate.private_key_pem.bytes(), chain)
        self.endpoint = f"127.0.0.1:{self.server.port}"

    def signer(self, file: Path, key: Any) -> Path:
        """Write a service account's file, as Google gives it."""
        from cryptography.hazmat.primitives import serialization

        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        said = {
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": "1",
            "private_key": pem.decode(),
            "client_email": f"kit@{PROJECT}.iam.gserviceaccount.com",
            "client_id": "1",
            "token_uri": "https://127.0.0.1:1/token",
        }
        file.write_text(json.dumps(said))
        return file

    def _allows(self, token: str) -> bool:
        from google.auth import exceptions, jwt

        try:
            told = jwt.decode(token, certs=self._public.decode())
        except (ValueError, exceptions.GoogleAuthError):
            return False
        return str(told["iss"]).startswith("kit@")


@pytest.fixture(scope="session")
def secret_manager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecretManager]:
    """Run the fake for this session."""
    service = SecretManager(tmp_path_factory.mktemp("secret-manager"))
    yield service
    service.server.stop()
