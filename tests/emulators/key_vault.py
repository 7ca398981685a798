"""Azure's Key Vault as a strict fake over TLS, and the sign-in whose tokens alone it takes.

The sign-in gives a token for a federated one (workload identity), as ``AZURE_FEDERATED_TOKEN_FILE`` holds it. The vault
answers a request without a token with the challenge that tells where to sign in, as the service does.
"""

from __future__ import annotations

import json
import re
import ssl
import threading
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

TENANT, CLIENT = "11111111-2222-3333-4444-555555555555", "66666666-7777-8888-9999-000000000000"
LARGEST = 25_600
_NAME = re.compile(r"[A-Za-z0-9-]{1,127}")
_SECRET = re.compile(r"/secrets/([^/]+)(?:/([0-9a-f]*))?")


class KeyVault:
    """Both of them on one port of this process; ``mood`` is how the vault answers."""

    def __init__(self, folder: Path) -> None:
        import trustme

        authority = trustme.CA()
        self.authority = folder / "authority.pem"
        authority.cert_pem.write_to_path(str(self.authority))
        trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("127.0.0.1").configure_cert(trust)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self._server.socket = trust.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self._server.fake = self  # type: ignore[attr-defined]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        self.port = self._server.server_address[1]
        self.url = f"https://127.0.0.1:{self.port}"
        self.secrets: dict[str, tuple[str, bool]] = {}
        self.tokens: set[str] = set()
        self.federated = folder / "federated"
        self.assertion = uuid.uuid4().hex
        self.federated.write_text(self.assertion)
        self.mood, self.awake, self.asked, self.signed_in = "well", threading.Event(), list[str](), 0

    def set(self, name: str, value: str) -> None:
        """Set a secret's current version; case makes no other name."""
        assert _NAME.fullmatch(name)
        assert len(value.encode()) <= LARGEST
        self.secrets[name.lower()] = (value, True)

    def disable(self, name: str) -> None:
        """Disable the current version."""
        self.secrets[name.lower()] = (self.secrets[name.lower()][0], False)

    def end(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()

    def challenge(self) -> str:
        """Say where to sign in; the client checks that the vault lies in the resource's domain."""
        return f'Bearer authorization="{self.url}/{TENANT}", resource="https://0.0.1:{self.port}"'

    def answered(self, path: str, query: dict[str, list[str]], token: str) -> tuple[int, Any]:  # noqa: PLR0911
        """Answer what a vault is asked."""
        self.asked.append(path)
        if self.mood == "busy":
            return 429, _error("Throttled", "Request was not processed because too many requests were received.")
        if token not in self.tokens:
            return 401, _error("Unauthorized", "AKV10000: Request is missing a Bearer or PoP token.")
        if self.mood == "refuses":
            return 403, _error("Forbidden", "Caller is not authorized to perform action.", "ForbiddenByRbac")
        found = _SECRET.fullmatch(path.rstrip("/"))
        if not re.fullmatch(r"\d\.\d|\d{4}-\d\d-\d\d", query.get("api-version", [""])[0]):
            return 400, _error("BadParameter", "api-version must be specified")
        if found is None or not _NAME.fullmatch(found[1]) or found[2]:
            return 400, _error("BadParameter", f"Invalid secret identifier: {path}.")
        value, enabled = self.secrets.get(found[1].lower(), ("", False))
        if found[1].lower() not in self.secrets:
            return 404, _error("SecretNotFound", f"A secret with (name/id) {found[1]} was not found in this key vault.")
        if not enabled:
            return 403, _error("Forbidden", "Operation get is not allowed on a disabled secret.", "SecretDisabled")
        attributes = {"enabled": True, "created": 1, "updated": 1, "recoveryLevel": "Recoverable"}
        return 200, {"value": value, "id": f"{self.url}/secrets/{found[1]}/{'0' * 32}", "attributes": attributes}

    def token(self, form: dict[str, list[str]]) -> tuple[int, Any]:
        """Give a token for the federated one."""
        said = {name: values[0] for name, values in form.items()}
        if said.get("client_assertion") != self.assertion or said.get("client_id") != CLIENT:
            return 401, {"error": "invalid_client", "error_description": "AADSTS700213: No matching federated identity"}
        if said.get("scope", "").split() and "https://0.0.1" not in said["scope"]:
            return 400, {"error": "invalid_scope", "error_description": "AADSTS70011: The scope is not valid."}
        self.signed_in += 1
        token = uuid.uuid4().hex
        self.tokens.add(token)
        return 200, {"token_type": "Bearer", "expires_in": 3600, "access_token": token}


def _error(code: str, message: str, inner: str = "") -> dict[str, Any]:
    more = {"innererror": {"code": inner}} if inner else {}
    return {"error": {"code": code, "message": message, **more}}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer the vault's callers, and who asks how to sign in."""
        fake: KeyVault = self.server.fake  # type: ignore[attr-defined]
        place = urlsplit(self.path)
        if place.path.endswith("/.well-known/openid-configuration"):
            self._send(
                200,
                {
                    "issuer": f"{fake.url}/{TENANT}/v2.0",
                    "token_endpoint": f"{fake.url}/{TENANT}/oauth2/v2.0/token",
                    "authorization_endpoint": f"{fake.url}/{TENANT}/oauth2/v2.0/authorize",
                },
            )
            return
        if fake.mood == "gone":
            self.close_connection = True
            return
        if fake.mood == "silent":
            fake.awake.wait(10)
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        self._send(*fake.answered(place.path, parse_qs(place.query), token))

    def do_POST(self) -> None:
        """Answer who signs in."""
        fake: KeyVault = self.server.fake  # type: ignore[attr-defined]
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self._send(*fake.token(form))

    def _send(self, status: int, said: Any) -> None:
        body = json.dumps(said).encode()
        self.send_response(status)
        if status == 401 and "Authorization" not in self.headers:
            self.send_header("WWW-Authenticate", self.server.fake.challenge())  # type: ignore[attr-defined]
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture(scope="session")
def key_vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyVault]:
    """Run vault and sign-in for this session."""
    vault = KeyVault(tmp_path_factory.mktemp("key-vault"))
    yield vault
    vault.end()
