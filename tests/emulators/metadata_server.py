"""A fake of Google's metadata server: where a workload on GKE, or a machine, gets its tokens."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

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

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *told: Any) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            found = answers.get(urlsplit(self.path).path)
            known = found is not None and (self.path == "/" or self.headers.get("Metadata-Flavor") == "Google")
            said = (found if isinstance(found, str) else json.dumps(found)).encode() if known else b""
            self.send_response(200 if known else 404)
            self.send_header("Metadata-Flavor", "Google")
            self.send_header("Content-Type", "text/html" if isinstance(found, str) else "application/json")
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield f"127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
