"""What the server takes from inside uvicorn is there: the attributes that it reads, the steps that it replaces."""

from __future__ import annotations

import inspect
from http import HTTPStatus

import pytest

from loopline.platform_core.runtime.fast_path.uvicorn_private import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

STEPS = {
    "connection_made": ["self", "transport"],
    "data_received": ["self", "data"],
    "on_message_begin": ["self"],
    "on_headers_complete": ["self"],
    "on_body": ["self", "body"],
    "on_message_complete": ["self"],
    "send_400_response": ["self", "msg"],
    "shutdown": ["self"],
    "_start_asgi_task": ["self", "cycle", "app"],
}


@pytest.mark.parametrize("step", STEPS)
def test_a_step_that_we_replace_is_called_as_before(step):
    """A method that went, or takes other arguments now, would never be called, and limits would hold no more."""
    assert list(inspect.signature(getattr(HttpToolsProtocol, step)).parameters) == STEPS[step]


def test_a_connection_keeps_what_we_read():
    """The names stand in uvicorn's own source: attributes of an instance are not declared by its class."""
    source = inspect.getsource(HttpToolsProtocol)
    for name in ("app_state", "connections", "server_state", "cycle", "scope", "headers", "url", "parser", "flow"):
        assert f"self.{name}" in source, name
    cycle = inspect.getsource(RequestResponseCycle)
    for name in ("more_body", "response_started", "response_complete", "scope"):
        assert f"self.{name}" in cycle, name


def test_every_status_has_its_line():
    """An answer begins with uvicorn's own status line, so that both ways through the server write the same bytes."""
    assert STATUS_LINE[HTTPStatus.OK] == b"HTTP/1.1 200 OK\r\n"
