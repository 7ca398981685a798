"""The portal on homes with a past: as a client in this process asks it, and as a browser sees it."""

from __future__ import annotations

import pickle
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import pytest
from fastapi.testclient import TestClient

from loopline.platform_core.environment import Access
from loopline.platform_core.identity.caller import Caller
from loopline.platform_core.plugins import Installed
from loopline.platform_core.sign_in_settings import SignIn
from loopline.portal.app import create_app
from loopline.portal.links import Links
from loopline.sign_in import cookies
from loopline.sign_in.desk import Desk
from loopline.stories.portal_home import PortalHome, _open, portal_home
from tests.waiting import until

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

HOST = "http://127.0.0.1"
OURS = {"origin": HOST, "sec-fetch-site": "same-origin"}
"""What a browser says that sends a form of the portal's own."""
ISSUER = "http://127.0.0.1:9"
"""Nobody asks it: who has come back from there has a session."""
ROLES = """
groups: {science: [], risk: []}
teams: {shop: {operator: [ada], viewer: [bob]}, bank: {owner: [risk, jo]}}
"""


@pytest.fixture(scope="session")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PortalHome]:
    """Make a home that nobody changes."""
    home = portal_home(tmp_path_factory.mktemp("past"))
    yield home
    home.close()


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PortalHome]:
    """Make a home of many models, which tests only read."""
    home = portal_home(tmp_path_factory.mktemp("fleet"), light=60)
    yield home
    home.close()


@pytest.fixture(scope="session")
def portal(fleet: PortalHome) -> TestClient:
    """Ask the portal of that home, with a Dagster that does not answer."""
    links = Links(dagster="http://127.0.0.1:9", inference="http://127.0.0.1:8")
    return TestClient(create_app(fleet.platform, fleet.teams, links), HOST, raise_server_exceptions=False)


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestClient]:
    """Ask the portal of a home in which nothing ever happened."""
    home = portal_home(tmp_path_factory.mktemp("empty"), rich=False)
    yield TestClient(create_app(home.platform, Installed((), ())), HOST)
    home.close()


@pytest.fixture(scope="session")
def vendors(past: PortalHome) -> bytes:
    """Keep the vendors of that home, with all that they hold: to read them takes a tenth of a deep copy."""
    return pickle.dumps(past.platform.environment.bindings)


@pytest.fixture
def told(past: PortalHome, vendors: bytes, tmp_path: Path) -> Iterator[PortalHome]:
    """Give a home to one test, which may change it."""
    shutil.copytree(past.platform.home, tmp_path / "home")
    registry = past.platform.registry.model_copy(deep=True)  # it has files, and removes its own
    home = PortalHome(_open(tmp_path / "home", pickle.loads(vendors) | {"registry": registry}), past.teams)
    yield home
    home.close()


def browsing(home: PortalHome, teams: Installed | None = None) -> TestClient:
    """Ask the portal of a home as a browser without scripts would: it keeps cookies and says where it comes from."""
    return TestClient(create_app(home.platform, teams or home.teams), HOST, headers=OURS, follow_redirects=True)


@pytest.fixture
def client(told: PortalHome) -> TestClient:
    """Ask the portal of this test's home."""
    return browsing(told)


@pytest.fixture
def page(chromium: Browser) -> Iterator[Page]:
    """Open a window in which any script's error, and any breach of the policy, fails the test."""
    context, said = chromium.new_context(viewport={"width": 1280, "height": 900}), []
    window = context.new_page()
    window.on("pageerror", lambda error: said.append(str(error)))
    window.on("console", lambda told: said.append(told.text) if told.type == "error" else None)
    yield window
    context.close()
    assert [line for line in said if "status of 4" not in line] == []


class Form:
    """An action's form, got and sent as JSON."""

    def __init__(self, client: TestClient, action: str, **asked: str) -> None:
        self.client, self.action = client, action
        answer = client.get(f"/actions/{action}.json", params=asked)
        assert answer.status_code == 200, answer.text
        self.page: dict[str, Any] = answer.json()

    @property
    def fields(self) -> dict[str, str]:
        """Return everything that the form sends, but for name and reason."""
        proposed = {field["name"]: field["value"] for field in self.page["proposal"]["fields"]}
        return {**proposed, "token": self.page["token"], "key": self.page["key"]}

    def send(self, by: str = "ada", reason: str = "the test says so", **more: str) -> Any:
        """Sign it and send it as a program does."""
        sent = {**self.fields, "by": by, "reason": reason, **more}
        return self.client.post(f"/actions/{self.action}", json=sent, headers={"accept": "application/json"})


@pytest.fixture
def form(client: TestClient) -> Callable[..., Form]:
    """Give a function that gets an action's form: ``form("hold", model="team/model")``."""

    def get(action: str, by: TestClient | None = None, **asked: str) -> Form:
        return Form(by or client, action, **asked)

    return get


class Served:
    """The portal of a home, served over HTTP by a thread."""

    def __init__(self, home: PortalHome) -> None:
        import uvicorn

        self.home = home
        app = self.app = create_app(home.platform, home.teams)
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
        self._thread = threading.Thread(target=self._server.run, kwargs={"sockets": [self._socket]}, daemon=True)

    def __enter__(self) -> Self:
        """Wait until it answers."""
        self._thread.start()
        until(lambda: self._server.started)
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._server.should_exit = True
        self._thread.join(30)
        self._socket.close()


@pytest.fixture
def served(told: PortalHome) -> Iterator[Served]:
    """Serve a home of this test's own."""
    with Served(told) as server:
        yield server


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Serve a home that this module's tests only look at."""
    home = portal_home(tmp_path_factory.mktemp("shown"), light=130)
    with Served(home) as server:
        yield server
    home.close()


@pytest.fixture
def asking(told: PortalHome, tmp_path: Path) -> PortalHome:
    """Let the home ask who somebody is, and say who may decide; it is production."""
    roles = tmp_path / "roles.yaml"
    roles.write_text(ROLES)
    said = {"access": Access(roles), "production": True, "sign_in": SignIn(issuer=ISSUER, client_id="portal")}
    told.platform.environment = replace(told.platform.environment, **said)
    return told


@pytest.fixture
def desk(asking: PortalHome) -> Desk:
    """Give what the portal asks."""
    return Desk.of(asking.platform.environment, asking.platform.ledger)


@pytest.fixture
def browser(asking: PortalHome, desk: Desk) -> Callable[..., TestClient]:
    """Give a function that asks the portal as somebody who has signed in."""
    app = create_app(asking.platform, asking.teams)

    def sign_in(name: str, *groups: str, service: bool = False) -> TestClient:
        word = desk.begin(Caller(name, frozenset(groups), service, ISSUER))
        client = TestClient(app, HOST, headers=OURS, follow_redirects=True)
        client.cookies.set(cookies.SESSION, word)
        return client

    return sign_in


def send(client: TestClient, action: str, asked: dict[str, str], **more: str) -> Any:
    """Get an action's form and send it as JSON, with a reason and without a name."""
    form = Form(client, action, **asked)
    sent = {**form.fields, "reason": "the test says so", **more}
    return client.post(f"/actions/{action}", json=sent, headers={"accept": "application/json"})
