"""HTTP server that records what is posted to it, for tests of notifiers."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Literal, Self

STATUS = {"well": 200, "busy": 503, "refuses": 403, "moved": 302}
SILENCE_SECONDS = 3.0


@dataclass(frozen=True)
class Posted:
    """One request: its path, headers in lower case, and body."""

    path: str
    headers: Mapping[str, str]
    body: bytes


class HttpSink:
    """Answers every POST by its mood and keeps those that it took; use it as a context manager."""

    def __init__(self) -> None:
        self.mood: Literal["well", "busy", "refuses", "silent", "moved"] = "well"
        self.posted: list[Posted] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True

    def __enter__(self) -> Self:
        """Begin to answer."""
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Answer no more."""
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """Return the address."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                mood = sink.mood
                if mood == "silent":
                    time.sleep(SILENCE_SECONDS)
                    return
                if mood == "well":
                    headers = {name.lower(): value for name, value in self.headers.items()}
                    sink.posted.append(Posted(self.path, headers, body))
                self.send_response(STATUS[mood])
                for name, value in (
                    ("retry-after", "7"),
                    ("location", f"{sink.url}/elsewhere"),
                    ("content-length", "0"),
                ):
                    self.send_header(name, value)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Keep quiet."""

        return Handler
