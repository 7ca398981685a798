"""Google's Secret Manager as a strict fake over TLS: names, states, sizes and errors as the service documents them.

It speaks the service's REST interface, as Loopline asks for it; every call must bear a token that a service account of
ours has signed, and a path that is not written is NOT_FOUND.
"""

from __future__ import annotations

import base64
import contextlib
import json
import re
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

import pytest

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

    def accessed(self, name: str) -> tuple[int, dict[str, Any]]:
        """Answer as the service does."""
        self.calls += 1
        if self.mood == "silent":
            self.awake.wait(10)
        if self.mood == "busy":
            return _error(429, "RESOURCE_EXHAUSTED", "Quota exceeded")
        if self.mood == "refuses":
            return _error(403, "PERMISSION_DENIED", f"Permission denied on resource {name}")
        found = _VERSION.fullmatch(name)
        if found is None:
            return _error(400, "INVALID_ARGUMENT", f"Invalid resource name {name}")
        project, _, secret, version = found.groups()
        versions = self.versions.get(f"{project}/{secret}")
        if not versions or (version != "latest" and int(version) > len(versions)):
            return _error(404, "NOT_FOUND", f"Secret [{name}] not found or has no versions.")
        number = len(versions) if version == "latest" else int(version)
        data, state = versions[number - 1]
        if state != "ENABLED":
            return _error(400, "FAILED_PRECONDITION", f"Secret Version is in {state} state.")
        payload = {"data": base64.b64encode(data).decode()}
        return 200, {"name": f"projects/1/secrets/{secret}/versions/{number}", "payload": payload}


def _error(code: int, status: str, message: str) -> tuple[int, dict[str, Any]]:
    return code, {"error": {"code": code, "status": status, "message": message}}


class SecretManager:
    """The fake behind TLS, and a service account whose key signs what it lets in."""

    def __init__(self, folder: Path, key: Any = None) -> None:
        """Start; who signs with ``key``, or with one of the fake's own, is let in."""
        import trustme
        from cryptography.hazmat.primitives import serialization
        from cryptography.hazmat.primitives.asymmetric import rsa

        authority = trustme.CA()
        trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(trust)
        self.authority = folder / "authority.pem"
        authority.cert_pem.write_to_path(str(self.authority))
        self._key = key or rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._public = self._key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.account = self.signer(folder / "account.json", self._key)
        self.stranger = self.signer(folder / "stranger.json", rsa.generate_private_key(65537, 2048))
        self.fake = SecretManagerFake()
        self.asked = list[str]()
        """The path of each call that was let in."""
        self.server = _Server(self, trust)
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

    def answered(self, path: str, authorization: str) -> tuple[int, dict[str, Any]]:
        """Answer a GET, if who asks is let in."""
        if not self._allows(authorization.removeprefix("Bearer ")):
            return _error(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.")
        self.asked.append(path)
        found = re.fullmatch(r"/v1/(projects/.+):access", path)
        if found is None:
            return _error(404, "NOT_FOUND", f"no method at {path}")
        return self.fake.accessed(found[1])

    def _allows(self, token: str) -> bool:
        from google.auth import exceptions, jwt

        try:
            told = jwt.decode(token, certs=self._public.decode())
        except (ValueError, exceptions.GoogleAuthError):
            return False
        return str(told["iss"]).startswith("kit@")


class _Server:
    """The fake on a port of this process; it may be stopped and started on the same port."""

    def __init__(self, service: SecretManager, trust: ssl.SSLContext) -> None:
        self._service, self._trust = service, trust
        self._server: ThreadingHTTPServer | None = None
        self.port = 0
        self.start()

    def start(self) -> None:
        """Listen."""
        if self._server is not None:
            return
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), _Handler)
        self._server.daemon_threads = True
        self._server.fake = self._service  # type: ignore[attr-defined]
        self._server.socket = self._trust.wrap_socket(
            self._server.socket, server_side=True, do_handshake_on_connect=False
        )
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Listen no more."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        service: SecretManager = self.server.fake  # type: ignore[attr-defined]
        path = unquote(urlsplit(self.path).path)
        status, said = service.answered(path, self.headers.get("authorization", ""))
        body = json.dumps(said).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        with contextlib.suppress(OSError):  # who asked may have gone
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Write no log."""


@pytest.fixture(scope="session")
def secret_manager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecretManager]:
    """Run the fake for this session."""
    service = SecretManager(tmp_path_factory.mktemp("secret-manager"))
    yield service
    service.server.stop()
