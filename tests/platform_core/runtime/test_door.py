"""The pages' guard before the inference server: whom it lets in on either way, and whom it refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest

from loopline.gateway import api_keys
from loopline.gateway.api_keys import Tenant
from loopline.inference_server import door
from loopline.platform_core.testing.parts.model_packages import Constant
from loopline.web_guard import VARIABLE
from tests.platform_core.runtime.conftest import Listening, listening, tensors

INFER = "/v2/models/kit.model/infer"
BODY = json.dumps({"inputs": tensors(customer_id=[7], amount=[2.5])})
JSON = {"content-type": "application/json"}
FORM = {"content-type": "application/x-www-form-urlencoded"}
"""What curl says of a body by itself."""


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    """Run a server on this machine as ``loopline up`` does."""
    with listening(tmp_path_factory.mktemp("server"), {"kit.model": Constant(0.2)}) as server:
        yield server


def ask(port: int, headers: dict[str, str], method: str = "POST", path: str = INFER) -> tuple[int, dict[str, object]]:
    """Ask with these headers and no others but the body's length; twice, since a first request teaches a server."""
    found = []
    for _ in range(2):
        connection = HTTPConnection("127.0.0.1", port, timeout=60)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        body = BODY.encode() if method == "POST" else b""
        for name, value in {"host": f"127.0.0.1:{port}", "content-length": str(len(body)), **headers}.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        found.append((answer.status, json.loads(answer.read() or b"{}")))
        connection.close()
    assert found[0][0] == found[1][0], found
    return found[1]


@pytest.mark.parametrize("way", [{}, {"prefer": "wait=5"}], ids=["at once", "by ASGI"])
@pytest.mark.parametrize(
    "headers",
    [
        JSON,
        FORM,
        {},
        {"content-type": "application/octet-stream"},
        JSON | {"host": "localhost:8080"},
        JSON | {"host": "[::1]:1"},
        JSON | {"host": "10.0.0.5:8080"},
        JSON | {"host": ""},
        JSON | {"host": "LOCALHOST", "origin": "http://localhost", "sec-fetch-site": "same-origin"},
    ],
)
def test_programs_are_answered(headers: dict[str, str], way: dict[str, str], running: Listening) -> None:
    """By this machine's names and by addresses, with whatever type of content programs say, or none."""
    assert ask(running.port, {**headers, **way})[0] == 200


@pytest.mark.parametrize("way", [{}, {"prefer": "wait=5"}], ids=["at once", "by ASGI"])
@pytest.mark.parametrize(
    ("headers", "words"),
    [
        (JSON | {"host": "evil.example"}, "not known as 'evil.example'"),
        (JSON | {"host": "evil.example", "origin": "http://evil.example"}, "not known as"),
        (JSON | {"origin": "http://evil.example"}, "another site's page"),
        (JSON | {"origin": "null"}, "another site's page"),
        (FORM | {"origin": "http://evil.example"}, "another site's page"),
        (JSON | {"sec-fetch-site": "cross-site"}, "another site's page"),
        ({"content-type": "text/plain"}, "a body of text/plain"),
        ({"content-type": "Text/Plain;charset=UTF-8"}, "a body of text/plain"),
        ({"content-type": "multipart/form-data; boundary=x"}, "a body of multipart/form-data"),
    ],
)
def test_another_site_s_page_is_refused(
    headers: dict[str, str], words: str, way: dict[str, str], running: Listening
) -> None:
    """In the protocol's shape, and nothing of it is in the prediction log."""
    status, said = ask(running.port, {**headers, **way})
    assert status == 403
    assert words in str(said["error"])
    assert VARIABLE in str(said["error"])


def test_a_page_that_points_its_name_here_reads_nothing(running: Listening) -> None:
    """Names of models and their metrics are not for it either; who looks whether the server lives is answered."""
    for path in ("/v2", "/v2/models/kit.model", "/v2/health/ready"):
        assert ask(running.port, {"host": "evil.example"}, "GET", path)[0] == 403
        assert ask(running.port, {"origin": "http://evil.example"}, "GET", path)[0] == 200
        assert ask(running.port, {}, "GET", path)[0] == 200


def test_by_which_names_it_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    """On its own machine by that's, elsewhere by any, such as a Service's; or by those that the variable names."""
    monkeypatch.delenv(VARIABLE, raising=False)
    assert "*" not in door.names("127.0.0.1")
    assert door.names("0.0.0.0") == ("*",)
    assert door.plain(("*",))(b"host", b"retail.loopline.svc:8080")
    monkeypatch.setenv(VARIABLE, "scores.example.com")
    for host in ("127.0.0.1", "0.0.0.0"):
        taken = door.plain(door.names(host))
        assert taken(b"host", b"scores.example.com")
        assert not taken(b"host", b"evil.example")


EVIL = JSON | {"host": "evil.example"}


@pytest.mark.parametrize(
    ("settings", "headers", "status"),
    [
        (", host: 0.0.0.0", EVIL, 200),
        (", host: 0.0.0.0", EVIL | {"sec-fetch-site": "cross-site"}, 403),
        (", gateway: {{keys: {folder}/keys.json}}", EVIL, 401),
        (", gateway: {{access_log: {folder}/log}}", EVIL, 403),
        (", gateway: {{access_log: {folder}/log}}", JSON, 200),
    ],
)
def test_a_guard_stands_where_a_page_could_ask(
    settings: str, headers: dict[str, str], status: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clients in a cluster know a server by its Service's name; who must show a key is asked for that alone."""
    monkeypatch.delenv(VARIABLE, raising=False)
    api_keys.create(tmp_path / "keys.json", "shop", Tenant(("retail.*",)))
    with listening(tmp_path, {"kit.model": Constant(0.2)}, settings.format(folder=tmp_path)) as server:
        assert ask(server.port, headers)[0] == status
