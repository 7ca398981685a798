"""A fake of Google's metadata server: where a workload on GKE, or a machine, gets its tokens."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

from tests.emulators.http_server import Answer, Request, Serving

ACCOUNT = "/computeMetadata/v1/instance/service-accounts/default"

NAMED = "/computeMetadata/v1/instance/service-accounts/kit@example.com"
"""The same, as who has asked once asks for another token."""


@contextmanager
def metadata_server(project: str, token: str) -> Iterator[str]:
    """Run one; gives its ``host:port``."""
    account = {"email": "kit@example.com", "scopes": ["https://www.googleapis.com/auth/cloud-platform"], "aliases": []}
    answers: dict[str, Any] = {
        "/": "computeMetadata/",
        "/computeMetadata/v1/project/project-id": project,
        "/computeMetadata/v1/universe/universe-domain": "googleapis.com",
        f"{ACCOUNT}/": account,
        f"{ACCOUNT}/email": account["email"],
        f"{ACCOUNT}/token": {"access_token": token, "expires_in": 3600, "token_type": "Bearer"},
        f"{NAMED}/": account,
        f"{NAMED}/token": {"access_token": token, "expires_in": 3600},
    }

    def answered(request: Request) -> Answer:
        found = answers.get(urlsplit(request.path).path)
        known = found is not None and (request.path == "/" or request.headers.get("Metadata-Flavor") == "Google")
        said = (found if isinstance(found, str) else json.dumps(found)).encode() if known else b""
        kind = "text/html" if isinstance(found, str) else "application/json"
        return Answer(200 if known else 404, said, {"Metadata-Flavor": "Google", "Content-Type": kind})

    with Serving(answered) as server:
        yield f"127.0.0.1:{server.port}"
