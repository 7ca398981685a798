"""The door alone, before an application that only says what reached it: whom it lets in, and that it takes nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient
from starlette.websockets import WebSocketDisconnect

from loopline.mlflow_ui import looked
from loopline.mlflow_ui.door import Door
from loopline.platform_core.audit import reading
from loopline.platform_core.identity.caller import SCOPE, Caller
from loopline.platform_core.identity.names import OWN
from loopline.platform_core.platform import Platform
from loopline.up.rights.policies import MOST_TOLD, Policies

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOG = "/api/2.0/mlflow/runs/log-batch"
ALIAS = "/api/2.0/mlflow/registered-models/alias"
Asking = Callable[..., TestClient]


async def told(scope: Scope, receive: Receive, send: Send) -> None:
    """Say how long the body was that reached it."""
    body = await Request(scope, receive).body()
    await PlainTextResponse(f"{len(body)} {sum(body)}")(scope, receive, send)


@pytest.fixture
def asking(platform: Platform) -> Asking:
    """Ask as somebody."""
    door = Door(told, Policies(lambda: platform), "/ml")

    def ask(name: str, *, service: bool = False) -> TestClient:
        async def known(scope: Scope, receive: Receive, send: Send) -> None:
            await door({**scope, SCOPE: Caller(name, service=service)}, receive, send)

        app: ASGIApp = known
        return TestClient(app)

    return ask


def newest(platform: Platform) -> tuple[str, str, str]:
    """Return what the record's last entry says."""
    with platform.ledger.reading() as connection:
        ((_, entry), *_), _ = reading.newest(connection, reading.Wanted(), 1)
    return entry.what, entry.who, entry.subject


@pytest.mark.parametrize("size", [0, 10, looked.MOST_BYTES, looked.MOST_BYTES + 1, 3_000_000])
def test_a_body_that_was_looked_at_arrives_whole(asking: Asking, size: int) -> None:
    """However long it is."""
    content = b"xy" * (size // 2) + b"z" * (size % 2)
    assert asking("ci").post(LOG, content=content).text == f"{size} {sum(content)}"


@pytest.mark.parametrize(
    ("pieces", "length", "known"), [(3, 10, True), (9_999, 1, True), (10_001, 1, False), (9, 50_000, False)]
)
def test_a_body_in_pieces_is_looked_at_and_received_once_more(pieces: int, length: int, known: bool) -> None:
    """In the pieces in which it came; one that is too long, or in too many, is received as well."""
    left = iter(range(pieces))

    async def receive() -> Message:
        return {"type": "http.request", "body": b"x" * length, "more_body": next(left) < pieces - 1}

    async def read() -> tuple[bytes | None, list[int]]:
        body, again = await looked.begun(receive)
        found = [await again()]
        while found[-1]["more_body"]:
            found.append(await again())
        return body, [len(message["body"]) for message in found]

    assert asyncio.run(read()) == (b"x" * pieces * length if known else None, [length] * pieces)


def test_a_body_that_is_broken_off_is_none() -> None:
    """Whoever reads it after us is told too."""
    coming = iter([{"type": "http.request", "body": b"{}", "more_body": True}, {"type": "http.disconnect"}])

    async def receive() -> Message:
        return next(coming)

    async def read() -> tuple[bytes | None, list[str]]:
        body, again = await looked.begun(receive)
        return body, [(await again())["type"] for _ in range(2)]

    assert asyncio.run(read()) == (None, ["http.request", "http.disconnect"])


def test_the_record_says_of_what(asking: Asking, platform: Platform) -> None:
    """By either spelling, from address and body; of a body too long to be looked at the path alone."""
    asking("ci").post(f"{LOG}?run_uuid=u", json={"runId": "r", "run_uuid": "v", "metrics": []})
    assert newest(platform) == ("attempt.allowed", "ci", f"MLflow POST {LOG}: run_id r run_uuid v run_uuid u")
    asking("ci").post(LOG, content=json.dumps(json.dumps({"run_id": "twice\nwritten"})))
    assert newest(platform)[2] == f"MLflow POST {LOG}: run_id 'twice\\nwritten'"
    asking("ci").post(LOG, content=b'{"run_id": "\\ud800"}')
    assert newest(platform)[2] == f"MLflow POST {LOG}: run_id '\\ud800'"
    asking("ci").post(LOG, json={"run_id": "r", "metrics": "a" * looked.MOST_BYTES})
    assert newest(platform)[2] == f"MLflow POST {LOG}"
    assert asking("ci").post(LOG, content=b"[" * 50_000).status_code == 200


@pytest.mark.parametrize("method", ["POST", "DELETE"])
def test_nobody_hides_what_is_changed_of_a_model(asking: Asking, platform: Platform, method: str) -> None:
    """By a body too long to be written down, or an address that pushes it out."""
    body = json.dumps({"name": "retail.cancellations", "alias": "champion", "version": "2"}).encode()
    assert asking("ci").request(method, ALIAS, content=body + b" " * 1000).status_code == 200
    said = f"MLflow {method} {ALIAS}: name retail.cancellations alias champion version 2"
    assert newest(platform)[2] == said
    pushed = "&".join(f"name={number}{'x' * 250}" for number in range(9))
    assert asking("ci").request(method, f"{ALIAS}?{pushed}", content=body).status_code == 200
    assert newest(platform)[2].startswith(said)
    assert len(newest(platform)[2]) == MOST_TOLD
    assert asking("ci").request(method, ALIAS, content=body + b" " * looked.MOST_BYTES).status_code == 403
    assert newest(platform) == ("attempt.denied", "ci", f"MLflow {method} {ALIAS}")


def test_roles_decide(asking: Asking, platform: Platform) -> None:
    """Who may write, who only reads, who has no role; of what is closed and of what nobody knows, all are told."""
    allowed = {name: asking(name).post(ALIAS, json={}).status_code for name in ("ci", "root", "bob", "olga", "zed")}
    assert allowed == {"ci": 200, "root": 200, "bob": 403, "olga": 403, "zed": 403}
    assert newest(platform) == ("attempt.denied", "zed", "write registry of platform")
    read = {name: asking(name).get(f"/ml{ALIAS}").status_code for name in ("ci", "bob", "eve", "zed")}
    assert read == {"ci": 200, "bob": 200, "eve": 200, "zed": 403}
    for path in ("/api/2.0/mlflow/webhooks", "/api/4.0/anything"):
        assert asking("root").post(path).status_code == 403
        assert newest(platform) == ("attempt.denied", "root", f"MLflow POST {path}")
    # a program of the platform's own is told by who vouches, and not by a name
    assert asking(OWN, service=True).post(ALIAS, json={}).status_code == 200
    assert asking(OWN, service=True).post("/api/2.0/mlflow/webhooks").status_code == 403
    assert asking(OWN).post(ALIAS, json={}).status_code == 403


def test_graphql_reads_alone(asking: Asking) -> None:
    """Also where a mutation stands beside what is to be executed, or in a fragment's shadow; there is no websocket."""
    read = ["{a}", "query a {a} query b {b}", "query a {...f} fragment f on Query {a}"]
    other = ["mutation {a}", "query a {a} mutation b {b}", "subscription {a}", "fragment f on Query {a}", "", "{a", 3]
    for path in ("/graphql", "/ml/graphql"):
        assert [asking("bob").post(path, json={"query": each}).status_code for each in read] == [200] * 3
        assert [asking("root").post(path, json={"query": each}).status_code for each in other] == [403] * 7
        assert asking("root").get(path).status_code == 403
    with pytest.raises(WebSocketDisconnect), asking("root").websocket_connect("/graphql"):
        pass
