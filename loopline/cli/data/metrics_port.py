"""HTTP port for Prometheus to scrape a stream's process."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ANYWHERE = "0.0.0.0"  # noqa: S104 - who collects metrics asks from elsewhere; they name the source and tell numbers


@contextlib.contextmanager
def serving(port: int | None, text: Callable[[], bytes]) -> Iterator[None]:
    """Answer ``GET /metrics`` in threads of its own."""
    if port is None:
        yield
        return

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path.partition("?")[0] == "/metrics"
            self.send_response(200 if found else 404)
            self.send_header("content-type", "text/plain; version=0.0.4")
            self.end_headers()
            self.wfile.write(text() if found else b"see /metrics\n")

        def log_message(self, *_: object) -> None:
            """Keep quiet: a scrape is no news."""

    with ThreadingHTTPServer((ANYWHERE, port), Page) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield
        finally:
            server.shutdown()
