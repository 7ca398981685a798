"""One guard for three servers: by which names they may be asked, and from which pages."""

from __future__ import annotations

import pytest
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket, WebSocketDisconnect

from loopline import web_guard
from loopline.platform_core.audit import origin
from loopline.web_guard import Guard, graphql_as_json

HERE = "http://localhost:3000"


async def echo(socket: WebSocket) -> None:
    """Say one word."""
    await socket.accept()
    await socket.send_text("open")
    await socket.close()


def client(**how) -> TestClient:
    """Ask an application of one page and one websocket."""
    routes = [
        Route("/{path:path}", lambda _: PlainTextResponse("done"), methods=["GET", "POST", "DELETE"]),
        WebSocketRoute("/live", echo),
    ]
    return TestClient(Starlette(routes=routes, middleware=[Middleware(Guard, **how)]), HERE)


def opened(portal: TestClient, **headers: str) -> bool:
    """Say whether a websocket is opened."""
    try:
        with portal.websocket_connect("ws://localhost:3000/live", headers=headers) as socket:
            return socket.receive_text() == "open"
    except WebSocketDisconnect:
        return False


def test_the_audit_s_record_knows_who_asked() -> None:
    """The address is that of the request in which something is decided, in a thread too, and of no other.

    A program of this machine names what it likes, as a proxy does; the record, which stays, takes no book of it.
    """
    said = Starlette(routes=[Route("/", lambda _: PlainTextResponse(origin.current().source))])
    for named in ("192.0.2.7", "2001:db8::1%eth0", "x" * 50_000):
        kept = TestClient(Guard(said), HERE, client=(named, 0)).get("/").text
        assert kept == named[: web_guard.LONGEST_ADDRESS]
        assert origin.current().source != kept


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1:3000", "[::1]:3000", "[::1]", "LocalHost:1", "10.0.0.5:8090", "[fe80::1]"]
)
def test_this_machine_s_names_and_addresses_are_taken(host):
    """With any port, for one may be forwarded; an address in figures is nobody's name, so no page can point it here."""
    assert client().get("/", headers={"host": host}).text == "done"


@pytest.mark.parametrize("host", ["evil.example", "evil.example:3", "", "localhost.evil.example", "a.127.0.0.1"])
def test_other_names_are_not(host):
    """A page may point a name of its own at this machine, and would read everything then; what to do is said."""
    refused = client().get("/", headers={"host": host})
    assert refused.status_code == 403
    assert "LOOPLINE_HOSTS" in refused.json()["error"]["fix"]
    assert repr(host.partition(":")[0]) in refused.json()["error"]["problem"]
    assert not opened(client(), host=host)


def test_names_come_from_a_variable(monkeypatch):
    """Beside this machine's own."""
    monkeypatch.setenv(web_guard.VARIABLE, " dagster.corp , Loopline.corp,")
    named = client(hosts=web_guard.allowed("10.0.0.5"))
    for host in ("dagster.corp", "loopline.corp", "10.0.0.5:80", "localhost"):
        assert named.get("/", headers={"host": host}).status_code == 200
    assert named.get("/", headers={"host": "evil.example"}).status_code == 403
    monkeypatch.setenv(web_guard.VARIABLE, "*")
    assert client(hosts=web_guard.allowed()).get("/", headers={"host": "any.where"}).status_code == 200


FOREIGN = [
    {"origin": "http://evil.example"},
    {"origin": "null"},
    {"origin": "http://localhost:9999"},
    {"origin": "http://localhost:3000.evil.example"},
    {"origin": "http://["},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"origin": HERE, "sec-fetch-site": "cross-site"},
]


@pytest.mark.parametrize("headers", FOREIGN)
def test_another_site_s_page_changes_nothing_and_opens_nothing(headers):
    """It may follow a link here, and no more."""
    asked = client()
    assert asked.get("/", headers=headers).status_code == 200
    for method in ("POST", "DELETE"):
        assert asked.request(method, "/", headers=headers).status_code == 403
    assert not opened(asked, **headers)


@pytest.mark.parametrize("headers", [{}, {"origin": HERE}, {"origin": HERE, "sec-fetch-site": "same-origin"}])
def test_our_own_pages_and_programs_do(headers):
    """Who says nothing of where it comes from is no browser."""
    assert client().post("/", headers=headers).text == "done"
    assert opened(client(), **headers)


def graphql(asked: TestClient, method: str, path: str, kind: str | None = "application/json") -> int:
    """Send something to the GraphQL of an application; gives the status."""
    headers = {"content-type": kind} if kind else {}
    return asked.request(method, path, headers=headers, content=b"{}" if method == "POST" else None).status_code


def test_graphql_is_a_body_of_json():
    """Nothing else reaches it: not the address, not a kind that a page may send without asking first."""
    asked = client(rule=graphql_as_json)
    assert graphql(asked, "POST", "/graphql") == 200
    assert graphql(asked, "POST", "/team/graphql", "Application/JSON; charset=utf-8") == 200
    for kind in ("text/plain", "text/plain; a=application/json", "application/graphql", "multipart/form-data", None):
        assert graphql(asked, "POST", "/graphql", kind) == 403
    for path in ("/graphql?query=mutation", "/graphql?a=1&query=", "/graphql?%71uery=x", "/team/graphql/?query=x"):
        assert [graphql(asked, method, path) for method in ("GET", "POST", "HEAD")] == [403, 403, 403]
    assert graphql(asked, "GET", "/graphql", None) == 200
    assert graphql(asked, "POST", "/report", "text/plain") == 200


def test_headers_are_set_on_refusals_too():
    """But an application's own stay."""
    asked = client(headers={"x-frame-options": "SAMEORIGIN", "content-type": "nonsense"})
    answers = [asked.get("/"), asked.get("/", headers={"host": "evil.example"})]
    assert [answer.headers["x-frame-options"] for answer in answers] == ["SAMEORIGIN"] * 2
    assert "nonsense" not in {answer.headers["content-type"] for answer in answers}
