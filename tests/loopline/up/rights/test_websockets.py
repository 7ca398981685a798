"""A websocket is its person's as long as the session is, and as long as there is a role."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from starlette.websockets import WebSocketDisconnect

from loopline.platform_core.identity.caller import SCOPE, Caller
from loopline.up.rights import entries
from loopline.up.rights.entries import ALIVE, ENDED, Watched
from tests.loopline.up.rights.two_teams import HEADER, ROLES, World


def opened(world: World, who: str = "alice") -> Any:
    """Open one as somebody."""
    return world.ways["guarded"].http.websocket_connect("/graphql", subprotocols=["graphql-ws"], headers={HEADER: who})


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(entries, "ASK_SECONDS", 0.05)


def test_it_ends_with_the_session_while_nothing_comes(world: World) -> None:
    """Within the seconds between two questions."""
    sign_in = world.ways["guarded"].sign_in
    try:
        with opened(world) as socket:
            socket.send_json({"type": "connection_init"})
            assert socket.receive_json()["type"] == "connection_ack"
            sign_in.ended.add("alice")
            with pytest.raises(WebSocketDisconnect) as ended:
                socket.receive_json()
    finally:
        sign_in.ended.discard("alice")
    assert ended.value.code == ENDED


def test_it_ends_with_the_last_role(world: World) -> None:
    """Taken away in the file of roles."""
    file = world.folder / "roles.yaml"
    try:
        with opened(world, "otto") as socket:
            socket.send_json({"type": "connection_init"})
            assert socket.receive_json()["type"] == "connection_ack"
            file.write_text(ROLES.replace("operator: [otto], ", ""))
            with pytest.raises(WebSocketDisconnect) as ended:
                socket.receive_json()
    finally:
        file.write_text(ROLES)
    assert ended.value.code == ENDED


def test_it_stays_open_while_it_may(world: World) -> None:
    """Asked many times."""
    with opened(world) as socket:
        for _ in range(3):
            socket.send_json({"type": "connection_init"})
            assert socket.receive_json()["type"] == "connection_ack"
            asyncio.run(asyncio.sleep(0.1))  # two questions, of which nobody is told


@pytest.mark.parametrize("kind", ["async", "failing"])
def test_a_session_is_asked_in_either_way(kind: str) -> None:
    """What says whether it is may be awaited; where it fails, the session counts as over."""
    sent: list[Any] = []

    async def gone() -> bool:
        return False

    def failing() -> bool:
        raise OSError("no answer")

    async def app(_: Any, receive: Any, __: Any) -> None:
        assert (await receive())["type"] == "websocket.connect"
        assert (await receive()) == {"type": "websocket.disconnect", "code": ENDED}

    async def talk() -> None:
        coming = iter([{"type": "websocket.connect"}, {"type": "websocket.receive", "text": "{}"}])

        async def receive() -> Any:
            return next(coming)

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "websocket", SCOPE: Caller("alice"), ALIVE: gone if kind == "async" else failing}
        await Watched(scope, receive, send, lambda: "").run(app)

    asyncio.run(talk())
    assert [message["code"] for message in sent] == [ENDED]
