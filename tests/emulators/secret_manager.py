"""Google's Secret Manager as a strict fake over TLS: names, states, sizes and errors as the service documents them.

It speaks the service's REST interface, as Loopline asks for it; every call must bear a token that a service account of
ours has signed, and a path that is not written is NOT_FOUND.
"""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

import pytest

from tests.emulators import google_account
from tests.emulators.http_server import Answer, Request, Serving, as_json, certified

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
        self.authority, trust = certified(folder)
        key = key or google_account.new_key()
        self._public = google_account.public(key)
        keys, nowhere = {"account": key, "stranger": google_account.new_key()}, "https://127.0.0.1:1/token"
        self.account, self.stranger = (
            google_account.signer(folder / f"{name}.json", one, PROJECT, nowhere) for name, one in keys.items()
        )
        self.fake = SecretManagerFake()
        self.asked = list[str]()
        """The path of each call that was let in."""
        self.server = Serving(self._answer, trust=trust)
        self.endpoint = f"127.0.0.1:{self.server.port}"

    def _answer(self, request: Request) -> Answer:
        return as_json(*self.answered(unquote(urlsplit(request.path).path), request.token))

    def answered(self, path: str, token: str) -> tuple[int, dict[str, Any]]:
        """Answer a GET, if who asks is let in."""
        if not self._allows(token):
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


@pytest.fixture(scope="session")
def secret_manager(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecretManager]:
    """Run the fake for this session."""
    service = SecretManager(tmp_path_factory.mktemp("secret-manager"))
    with service.server:
        yield service
