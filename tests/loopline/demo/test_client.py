"""The demo's application does not take a server's hanging up on an idle connection for a failure."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from loopline.demo.client import Client
from loopline.demo.declared import Request
from loopline.platform_core.contracts import caller as module
from loopline.platform_core.contracts.caller import HttpCaller

ORDER = Request("A", datetime(2010, 1, 4, tzinfo=UTC), {"customer_id": 1, "invoice": "A"})


class Endpoint(BaseHTTPRequestHandler):
    """Answers with 200, keeps the connection, and hangs up without a word when it is told to."""

    protocol_version = "HTTP/1.1"
    hang_up: threading.Event
    hung_up: threading.Event
    connections: list[int]

    def setup(self) -> None:
        """Count the connection."""
        super().setup()
        self.connections.append(1)

    def do_POST(self) -> None:
        """Answer; if told to, close the connection once the answer is sent."""
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(200)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"{}")
        self.close_connection = self.hang_up.is_set()

    def finish(self) -> None:
        """Say that the connection is being closed."""
        super().finish()
        self.hung_up.set()

    def log_message(self, *_: object) -> None:
        """Keep quiet."""


@pytest.fixture
def endpoint() -> Iterator[type[Endpoint]]:
    """Serve; gives the handler, with the address of the server."""
    handler = type("Each", (Endpoint,), {"hang_up": threading.Event(), "hung_up": threading.Event(), "connections": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    handler.url = f"http://127.0.0.1:{server.server_port}/v2/models/retail"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield handler
    server.shutdown()
    thread.join()
    server.server_close()


def test_one_connection_is_kept_while_it_is_used(endpoint: type[Endpoint]) -> None:
    """Requests after each other travel on one connection."""
    client = Client(HttpCaller(endpoint.url))
    for _ in range(3):
        client.ask(ORDER)
    client.close()
    assert (client.tally.answered, client.tally.failed, len(endpoint.connections)) == (3, 0, 1)


def test_a_connection_that_rested_is_opened_anew(endpoint: type[Endpoint], monkeypatch: pytest.MonkeyPatch) -> None:
    """The server hung up meanwhile; nothing fails, and nothing was asked twice."""
    client = Client(HttpCaller(endpoint.url))
    endpoint.hang_up.set()
    client.ask(ORDER)
    assert endpoint.hung_up.wait(60)
    monkeypatch.setattr(module, "IDLE_SECONDS", 0.0)
    client.ask(ORDER)
    client.close()
    assert (client.tally.answered, client.tally.failed, len(endpoint.connections)) == (2, 0, 2), client.tally.trouble


def test_an_endpoint_that_is_not_there_is_a_failure_of_one_request() -> None:
    """Each is counted, and says which server was asked; the application goes on."""
    client = Client(HttpCaller("http://127.0.0.1:9/v2/models/retail/infer"))
    client.ask(ORDER)
    client.ask(ORDER)
    assert (client.tally.answered, client.tally.failed) == (0, 2)
    assert "127.0.0.1:9 does not answer" in client.tally.trouble
