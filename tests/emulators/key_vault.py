"""Azure's Key Vault as a strict fake over TLS, and the sign-in whose tokens alone it takes.

The sign-in gives a token for a federated one (workload identity), as ``AZURE_FEDERATED_TOKEN_FILE`` holds it. The vault
answers a request without a token with the challenge that tells where to sign in, as the service does.
"""

from __future__ import annotations

import re
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.emulators.http_server import Answer, Request, Serving, as_json, certified

TENANT, CLIENT = "11111111-2222-3333-4444-555555555555", "66666666-7777-8888-9999-000000000000"
LARGEST = 25_600
_NAME = re.compile(r"[A-Za-z0-9-]{1,127}")
_SECRET = re.compile(r"/secrets/([^/]+)(?:/([0-9a-f]*))?")


class KeyVault:
    """Both of them on one port of this process; ``mood`` is how the vault answers."""

    def __init__(self, folder: Path) -> None:
        self.authority, trust = certified(folder)
        self.server = Serving(self._answer, trust=trust)
        self.port, self.url = self.server.port, self.server.url
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

    def challenge(self) -> str:
        """Say where to sign in; the client checks that the vault lies in the resource's domain."""
        return f'Bearer authorization="{self.url}/{TENANT}", resource="https://0.0.1:{self.port}"'

    def _answer(self, request: Request) -> Answer | None:
        """Answer the vault's callers, who asks how to sign in, and who signs in."""
        place = urlsplit(request.path)
        if request.method == "POST":
            return as_json(*self.token(parse_qs(request.body.decode())))
        if place.path.endswith("/.well-known/openid-configuration"):
            at = f"{self.url}/{TENANT}"
            names = {"token_endpoint": "token", "authorization_endpoint": "authorize"}
            where = {name: f"{at}/oauth2/v2.0/{end}" for name, end in names.items()}
            return as_json(200, {"issuer": f"{at}/v2.0", **where})
        if self.mood == "gone":
            return None
        if self.mood == "silent":
            self.awake.wait(10)
        status, said = self.answered(place.path, parse_qs(place.query), request.token)
        asks = status == 401 and "Authorization" not in request.headers
        return as_json(status, said, {"WWW-Authenticate": self.challenge()} if asks else {})

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


@pytest.fixture(scope="session")
def key_vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KeyVault]:
    """Run vault and sign-in for this session."""
    vault = KeyVault(tmp_path_factory.mktemp("key-vault"))
    with vault.server:
        yield vault
