"""Desks with accounts and with providers, and an application behind them."""

from __future__ import annotations

import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.websockets import WebSocket

from loopline.platform_core.audit.entry import AuditEntry, parsed
from loopline.platform_core.audit.tables import audit_entries
from loopline.platform_core.errors import StoreUnavailable
from loopline.platform_core.identity import accounts
from loopline.platform_core.identity.caller import caller_of
from loopline.platform_core.loop.ledger.ledger import Ledger
from loopline.platform_core.sign_in_settings import SignIn as Settings
from loopline.platform_core.testing.parts.ports import free_ports
from loopline.sign_in.desk import Desk
from loopline.sign_in.issuer import Issuer
from loopline.sign_in.middleware import SignIn
from loopline.web_guard import Guard
from tests.loopline.conftest import QUICK
from tests.loopline.sign_in.providers import PAGES, PASSWORD, Light, Running
from tests.waiting import until

SCOPES = "openid profile email"
ISSUER = "https://id.example"
HTML = {"accept": "text/html", "sec-fetch-mode": "navigate"}


@pytest.fixture(scope="session")
def empty_ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the tables once."""
    file = tmp_path_factory.mktemp("ledger") / "ledger.db"
    Ledger.open(f"sqlite:///{file}").close()
    return file


@pytest.fixture
def ledger(empty_ledger: Path, tmp_path: Path) -> Iterator[Ledger]:
    """Open a ledger of one test."""
    shutil.copy(empty_ledger, tmp_path / "ledger.db")
    opened = Ledger.open(f"sqlite:///{tmp_path}/ledger.db")
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def _quickly(quick_hashes: None) -> None:
    """Hash in no time, whichever test it is."""


@pytest.fixture(scope="session")
def account_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make two accounts once."""
    file = tmp_path_factory.mktemp("accounts") / "accounts.yaml"
    with pytest.MonkeyPatch.context() as here:
        here.setattr(accounts, "hasher", lambda: QUICK)
        for name in ("ana", "ben"):
            accounts.add(file, name, PASSWORD)
    return file


@pytest.fixture
def desk(ledger: Ledger, account_file: Path, tmp_path: Path) -> Desk:
    """Ask by accounts."""
    file = tmp_path / "accounts.yaml"
    file.write_bytes(account_file.read_bytes())
    file.chmod(0o600)
    return Desk(Settings(accounts=file), ledger)


class Published(Issuer):
    """An issuer of a URL whose pages are a dictionary; counts how often keys are fetched."""

    def __init__(self, *keys: Any, now: Callable[[], float] = time.time, **said: str) -> None:
        self.time = [0.0]
        super().__init__(ISSUER, now=now, idle=lambda: self.time[0])
        self.keys, self.said = list(keys), {"issuer": ISSUER, "jwks_uri": f"{ISSUER}/jwks", **said}
        self.asked, self.away = 0, False

    def _fetched(self, url: str) -> Any:
        if self.away:
            raise StoreUnavailable("away", "wait")
        if not url.endswith("/jwks"):
            return self.said
        self.asked += 1
        return {"keys": [key.as_dict(private=False) if key.key_type != "oct" else key.as_dict() for key in self.keys]}


@pytest.fixture(scope="session")
def light(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Light]:
    """Run the light provider."""
    provider = Light(tmp_path_factory.mktemp("provider"), *free_ports(2))
    yield provider
    provider.server.end()


def at_provider(ledger: Ledger, provider: Running, **more: Any) -> Desk:
    """Ask by a provider."""
    said = {"client_id": "portal", "audience": "portal", "cli_client_id": "cli", "scopes": SCOPES, **more}
    said["cli_scopes"] = provider.cli_scopes
    return Desk(Settings(issuer=provider.issuer, **said), ledger, lambda: "portal-secret")


async def echo(socket: WebSocket) -> None:
    """Say who it is, then everything back."""
    await socket.accept()
    caller = caller_of(socket.scope)
    await socket.send_text(caller.name if caller else "nobody")
    async for text in socket.iter_text():
        await socket.send_text(text)


def who(request: Request) -> PlainTextResponse:
    """Say who asks."""
    caller = caller_of(request.scope)
    groups = ",".join(sorted(caller.groups)) if caller else ""
    return PlainTextResponse(f"{caller.name} {groups} {caller.service}" if caller else "nobody")


def application(desk: Desk, **how: Any) -> Starlette:
    """Make an application behind guard and desk."""
    routes = [
        WebSocketRoute("/live", echo),
        Route("/{path:path}", who, methods=["GET", "POST"]),
    ]
    around = [Middleware(Guard), Middleware(SignIn, desk=desk, **how)]
    return Starlette(routes=routes, middleware=around)


def pages(desk: Desk, **how: Any) -> TestClient:
    """Ask such an application as the browser that has its page open."""
    return TestClient(application(desk, **how), PAGES, follow_redirects=False)


@contextmanager
def served(desk: Desk, port: int) -> Iterator[None]:
    """Let it be asked over the wire, as a provider does."""
    server = uvicorn.Server(uvicorn.Config(application(desk), port=port, log_level="warning", access_log=False))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def browser(desk: Desk) -> TestClient:
    """Ask as a browser would that has signed in nowhere yet."""
    return pages(desk)


def hidden(page: str, name: str) -> str:
    """Return a hidden field of a form."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, page
    return found[1]


def signed_in(browser: TestClient, name: str = "ana", password: str = PASSWORD, wanted: str = "/") -> Any:
    """Sign in by the form; gives the answer to it."""
    page = browser.get("/sign-in", params={"next": wanted}, headers=HTML)
    given = {"name": name, "password": password, "next": wanted, "token": hidden(page.text, "token")}
    return browser.post("/sign-in", data=given, headers={"origin": PAGES, "sec-fetch-site": "same-origin"})


@pytest.fixture
def told(ledger: Ledger) -> Callable[[], list[AuditEntry]]:
    """Give a function that reads the audit's record."""

    def read() -> list[AuditEntry]:
        with ledger.reading() as connection:
            rows = connection.execute(audit_entries.select().order_by(audit_entries.c.audit_id))
            return [parsed(row.body) for row in rows]

    return read
