"""Runs the strict fake of BigQuery over HTTP, in a thread: whoever asks bears the token that he was given."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tests.emulators.bigquery_fake import Bigquery, Refused, answer

PROJECT, TOKEN = "kit", "ya29.kit"


@dataclass
class BigqueryServer:
    """Where it answers, and what it holds."""

    url: str
    fake: Bigquery = field(default_factory=Bigquery)
    token: str = TOKEN


@contextmanager
def bigquery_server() -> Iterator[BigqueryServer]:
    """Run one."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *told: Any) -> None:
            """Say nothing."""

        def _answer(self) -> None:
            parts = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            path = parts.path.removeprefix(f"/bigquery/v2/projects/{PROJECT}")
            try:
                if self.headers.get("Authorization") != f"Bearer {running.token}":
                    raise Refused(401, "authError", "Request had invalid authentication credentials.")  # noqa: TRY301
                with lock:
                    said, status = answer(running.fake, self.command, path, dict(parse_qsl(parts.query)), body), 200
            except Refused as refused:
                what = {"reason": refused.reason, "message": str(refused)}
                said, status = (
                    {"error": {"code": refused.status, "message": str(refused), "errors": [what]}},
                    refused.status,
                )
            content = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_DELETE = _answer  # noqa: N815 - as the standard library calls them

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    running = BigqueryServer(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
    try:
        yield running
    finally:
        server.shutdown()
        server.server_close()
