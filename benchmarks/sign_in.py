"""What it costs a request, and a page of the portal, that somebody has signed in."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from starlette.responses import PlainTextResponse

from benchmarks.page import Promise, Section
from loopline.platform_core.environment import Access
from loopline.platform_core.identity.caller import Caller
from loopline.platform_core.loop.ledger.ledger import Ledger
from loopline.platform_core.policies import lent
from loopline.platform_core.sign_in_settings import SignIn as Settings
from loopline.portal.app import create_app
from loopline.sign_in.cookies import SESSION
from loopline.sign_in.desk import Desk
from loopline.sign_in.middleware import SignIn
from loopline.stories.portal_home import PortalHome, portal_home
from loopline.web_guard import Guard

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message

HOW = """One request to an answer of two letters behind the guard, without a socket: open, and behind the sign-in with a
session's cookie. Of a session is known for two seconds whose it is; "asked anew" has to ask the ledger, on SQLite,
which a browser's request does every two seconds at most. p50 and p99 of all batches; what a session costs is the
difference of the medians. "A portal page" is the list of models, as HTML, of a home with {models} models: open, for who
has signed in, and for an owner where roles are said, whose page has the roles and what waits for the owner besides. Of
pages the figures are CPU of the process, asked in turns, and the ratio is the median of each turn's own."""
BATCH, MOST_US = 200, 50.0
PAGES, MODELS, MOST_RATIO = 4, 50, 1.15
URL = "https://id.example"
SETTINGS = Settings(issuer=URL, client_id="portal")
SESSION_ONLY, WITH_ROLES = "with a session", "with a session and roles"


def compare(quick: bool = False) -> Section:
    """Measure each way in turns of a batch."""
    with TemporaryDirectory() as folder:
        ledger = Ledger.open(f"sqlite:///{Path(folder)}/ledger.db")
        desk = Desk(SETTINGS, ledger)
        word = desk.begin(Caller("ana", frozenset({"science"}), issuer=URL))
        taken = asyncio.run(_taken(_ways(desk, word), 5 if quick else 40))
        ledger.close()
    rows = [[name, _us(statistics.median(found)), _us(_p99(found))] for name, found in taken.items()]
    plain, signed = (statistics.median(taken[name]) for name in ("open", "with a session"))
    promises = [Promise("a session, in a request", signed - plain, MOST_US, " µs")]
    with TemporaryDirectory() as folder:
        pages = asyncio.run(_pages(Path(folder), 6 if quick else 40))
    rows += [
        [f"a portal page, {name}", _us(statistics.median(found)), _us(_p99(found))] for name, found in pages.items()
    ]
    promises += [
        Promise(f"a portal page, {name} / open", _ratio(pages[name], pages["open"]), MOST_RATIO)
        for name in list(pages)[1:]
    ]
    return Section("Requests with a session", HOW.format(models=MODELS), ("request", "p50", "p99"), rows, promises)


async def _pages(folder: Path, turns: int) -> dict[str, list[float]]:
    """Return microseconds of CPU of a page, the mean of each turn."""
    home = portal_home(folder / "open", MODELS)
    homes = {"open": home, SESSION_ONLY: home.copied(folder / "session"), WITH_ROLES: home.copied(folder / "roles")}
    (folder / "roles.yaml").write_text("teams: {shop: {owner: [ana]}}\n")
    said: dict[str, dict[str, Any]] = {
        "open": {},
        SESSION_ONLY: {"sign_in": SETTINGS},
        WITH_ROLES: {"sign_in": SETTINGS, "access": Access(folder / "roles.yaml")},
    }
    apps = {name: _portal(one, said[name]) for name, one in homes.items()}
    taken: dict[str, list[float]] = {name: [] for name in apps}
    for turn in range(turns + 1):
        for name, (app, word) in apps.items():
            begun = time.process_time_ns()
            for _ in range(PAGES):
                await _request(app, word)
            if turn:
                taken[name].append((time.process_time_ns() - begun) / 1_000 / PAGES)
    for one in homes.values():
        one.close()
    return taken


def _portal(home: PortalHome, said: dict[str, Any]) -> tuple[ASGIApp, str]:
    """Return the portal of a home, and the word of a session, "" where nobody signs in."""
    home.platform.environment = replace(home.platform.environment, **said)
    app, word = create_app(home.platform, home.teams), ""
    if "sign_in" in said:
        word = Desk.of(home.platform.environment, home.platform.ledger).begin(Caller("ana", issuer=URL))
    if "access" in said:
        lent.request(home.platform, "ben", "shop/operator", 8, "on call")
    return app, word


def _ratio(found: list[float], plain: list[float]) -> float:
    return statistics.median(one / other for one, other in zip(found, plain, strict=True))


def _ways(desk: Desk, word: str) -> dict[str, Callable[[], Awaitable[None]]]:
    answer = PlainTextResponse("ok")
    plain, signed = Guard(answer), Guard(SignIn(answer, desk))

    def asked_anew() -> Awaitable[None]:
        desk._held.clear()  # noqa: SLF001 - as after two seconds
        return _request(signed, word)

    return {
        "open": lambda: _request(plain, ""),
        "with a session": lambda: _request(signed, word),
        "with a session, asked anew": asked_anew,
    }


async def _request(app: ASGIApp, word: str) -> None:
    headers = [(b"host", b"localhost:8790"), (b"accept", b"text/html"), (b"cookie", f"{SESSION}={word}".encode())]
    scope = {"type": "http", "method": "GET", "path": "/models", "query_string": b"", "headers": headers}
    status: list[int] = []

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            status.append(message["status"])

    async def receive() -> Any:
        return {"type": "http.request"}

    await app({**scope, "scheme": "http", "client": ("127.0.0.1", 1)}, receive, send)
    assert status == [200]


async def _taken(ways: dict[str, Callable[[], Awaitable[None]]], turns: int) -> dict[str, list[float]]:
    """Return microseconds of each request."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(turns + 1):
        for name, ask in ways.items():
            for _ in range(BATCH):
                begun = time.perf_counter_ns()
                await ask()
                if turn:  # the first batch is to grow warm
                    taken[name].append((time.perf_counter_ns() - begun) / 1_000)
    return taken


def _p99(found: list[float]) -> float:
    return sorted(found)[int(len(found) * 0.99)]


def _us(value: float) -> str:
    return f"{value:.0f} µs"
