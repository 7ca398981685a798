"""Dagster's web server where people sign in: by the portal's session, and for the platform's own programs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from loopline.graphql import Dagster
from loopline.platform_core import environment
from loopline.platform_core.errors import Refused, StoreUnavailable
from loopline.platform_core.identity import accounts
from loopline.platform_core.identity.caller import Caller
from loopline.platform_core.loop.ledger.ledger import Ledger
from loopline.sign_in.cookies import SESSION
from loopline.sign_in.desk import Desk
from loopline.sign_in.own import Own
from loopline.up.ports import free_port
from tests.loopline.up.test_web_server import GARDEN, INSTANCE

if TYPE_CHECKING:
    from playwright.sync_api import Browser

LAPTOP = Path(__file__).parents[3] / "deploy/environments/laptop.yaml"
PASSWORD = "four words of a sentence"


class Web:
    """A web server of one job that asks who somebody is, and the ledger that it asks."""

    def __init__(self, home: Path) -> None:
        home.joinpath("dagster.yaml").write_text(INSTANCE)
        home.joinpath("garden.py").write_text(GARDEN)
        home.joinpath("workspace.yaml").write_text(
            "load_from: [{python_file: {relative_path: garden.py, location_name: garden}}]"
        )
        file = home / "laptop.yaml"
        shutil.copy(LAPTOP, file)
        with file.open("a") as more:
            more.write("\nsign_in: {accounts: accounts.yaml}\n")
        accounts.add(home / "accounts.yaml", "ana", PASSWORD)
        self.home, self.url = home, f"http://127.0.0.1:{free_port()}"
        self.variables = {"DAGSTER_HOME": str(home), "LOOPLINE_ENVIRONMENT": str(file), "LOOPLINE_HOME": str(home)}
        self.ledger = Ledger.open(f"sqlite:///{home}/ledger.db")
        with pytest.MonkeyPatch.context() as here:
            for name, value in self.variables.items():
                here.setenv(name, value)
            self.environment = environment.read(file, only=())
        self.desk = Desk.of(self.environment, self.ledger)
        platform: Any = SimpleNamespace(environment=self.environment, ledger=self.ledger)
        self.dagster = Dagster(f"{self.url}/graphql", headers=Own(platform))

    def start(self) -> subprocess.Popen[bytes]:
        """Start it, as ``loopline up`` does, and wait until the job is there."""
        options = ("--port", self.url.rpartition(":")[2], "--workspace", "workspace.yaml")
        command = ("-m", "loopline.up.web_server", *options)
        with self.home.joinpath("log").open("wb") as log:
            variables = {**os.environ, **self.variables, "PYTHONWARNINGS": "ignore"}
            process = subprocess.Popen((sys.executable, *command), env=variables, cwd=self.home, stdout=log, stderr=log)
        give_up = time.monotonic() + 240
        while time.monotonic() < give_up:
            try:
                if [one.state for one in self.dagster.locations()] == ["loaded"]:
                    return process
            except StoreUnavailable:
                pass
            time.sleep(0.5)  # between two looks
        process.kill()
        raise AssertionError((self.home / "log").read_text())


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """Start it."""
    server = Web(tmp_path_factory.mktemp("web"))
    process = server.start()
    yield server
    process.terminate()
    process.wait(60)
    server.ledger.close()


def test_nobody_asks_without_a_session(web: Web) -> None:
    """Neither pages nor GraphQL nor events; what says that it lives, and the UI's files, are everybody's."""
    stranger = Dagster(f"{web.url}/graphql")
    with pytest.raises(Refused, match="has not signed in"):
        stranger.locations()
    for path in ("/", "/runs", "/logs/1", "/download_debug/1", "/graphql?query={version}"):
        answer = httpx.get(f"{web.url}{path}", headers={"accept": "text/html"})
        assert answer.status_code in {303, 403}, path
        assert httpx.get(f"{web.url}{path}").status_code in {401, 403}
    assert httpx.post(f"{web.url}/report_asset_materialization/garden/rose").status_code == 401
    assert httpx.get(f"{web.url}/server_info").status_code == 200
    answer = httpx.options(f"{web.url}/graphql", headers={"origin": "http://evil.example"})
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_a_session_of_the_portal_s_is_one_here(web: Web) -> None:
    """And ends here when it ends there."""
    word = web.desk.begin(Caller("ana"))
    query = {"query": "{version}"}
    asked = [httpx.post(f"{web.url}/graphql", json=query, cookies={SESSION: word})]
    web.desk.sign_out(word, "")
    time.sleep(2.5)  # for two seconds a server may remember a session, and it tells nobody
    asked.append(httpx.post(f"{web.url}/graphql", json=query, cookies={SESSION: word}))
    assert [one.status_code for one in asked] == [200, 401]


def test_a_person_works_in_dagster_s_pages(web: Web, chromium: Browser) -> None:
    """Signs in, launches a run and sees what happens over the websocket, which closes at the sign-out."""
    page = chromium.new_page()
    page.set_default_timeout(120_000)
    sockets: list[Any] = []
    closed: list[str] = []

    def opened(socket: Any) -> None:
        sockets.append(socket)
        socket.on("close", lambda _: closed.append(socket.url))

    page.on("websocket", opened)
    page.goto(f"{web.url}/locations/__repository__@garden/jobs/watering/")
    page.get_by_label("Name").fill("ana")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Sign in").click()
    page.get_by_text("Launchpad").first.click()
    page.get_by_role("button", name="Launch Run").click()
    page.get_by_text("RUN_SUCCESS").first.wait_for()
    assert sockets
    word = next(one["value"] for one in page.context.cookies() if one["name"] == SESSION)
    web.desk.sign_out(word, "")
    give_up = time.monotonic() + 30
    while len(closed) < len(sockets) and time.monotonic() < give_up:
        page.wait_for_timeout(200)
    assert closed
    page.goto(f"{web.url}/runs")
    assert page.get_by_role("heading", level=1).inner_text() == "Sign in"
    page.close()


def test_helm_s_test_asks_as_a_program_of_the_platform_s_own(web: Web) -> None:
    """It sees the team where people sign in, by the ledger of the environment file; without one it is a stranger."""
    questions = ("--dagster", web.url, "--team", "garden", "--page", f"{web.url}/runs", "--seconds", "0")

    def asked(**variables: str) -> subprocess.CompletedProcess[str]:
        command = (sys.executable, "-m", "loopline.up.answering", *questions)
        return subprocess.run(
            command, env={**os.environ, **variables}, cwd=web.home, capture_output=True, text=True, check=False
        )

    known, stranger = asked(**web.variables), asked(LOOPLINE_ENVIRONMENT="there-is-none.yaml")
    assert known.stdout.splitlines() == ["garden answers", f"{web.url}/runs answers"]
    assert "no heartbeat" in known.stderr  # no daemon runs here
    assert stranger.stdout.splitlines() == [f"{web.url}/runs answers"]
    assert "has not signed in" in stranger.stderr
    assert (known.returncode, stranger.returncode) == (1, 1)
