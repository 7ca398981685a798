"""The portal on homes with a past: as a client in this process asks it, and as a browser sees it."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import pytest
from fastapi.testclient import TestClient

from loopline.portal.app import create_app
from loopline.resources.polars.engine import PolarsEngine
from loopline.stories.portal_home import PortalHome, portal_home

HOST = "http://127.0.0.1"


@pytest.fixture(scope="session")
def past(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PortalHome]:
    """Make a home that nobody changes."""
    home = portal_home(tmp_path_factory.mktemp("past"))
    yield home
    home.close()


@pytest.fixture
def told(past: PortalHome, tmp_path: Path) -> Iterator[PortalHome]:
    """Give a home to one test, which may change it."""
    home = past.copied(tmp_path / "home")
    home.platform.environment.bindings["engine"] = PolarsEngine()  # type: ignore[index]
    yield home
    home.close()


@pytest.fixture
def client(told: PortalHome) -> TestClient:
    """Ask the portal as a browser without scripts would: it keeps cookies and says where it comes from."""
    headers = {"origin": HOST, "sec-fetch-site": "same-origin"}
    return TestClient(create_app(told.platform, told.teams), HOST, headers=headers, follow_redirects=True)


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
        for _ in range(1000):
            if self._server.started:
                return self
            time.sleep(0.01)
        pytest.fail("the portal did not start")

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
