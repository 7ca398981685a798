"""Dagster's web server as we start it: other sites' pages do nothing, its own UI and programs do everything."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import httpx
import pytest
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from dagster_graphql import DagsterGraphQLClient
from dagster_webserver.webserver import DagsterWebserver

from loopline.asset_defs.private import dagster_web_private
from loopline.graphql import LAUNCH, Dagster
from loopline.platform_core.errors import StoreUnavailable
from loopline.up.ports import free_port
from loopline.up.rights.entries import Entry
from loopline.up.web_server import guard, web_server

if TYPE_CHECKING:
    from playwright.sync_api import Browser

GARDEN = """
import dagster as dg

@dg.op
def water(): return 1

@dg.job
def watering(): water()

defs = dg.Definitions(jobs=[watering])
"""
INSTANCE = """
telemetry: {enabled: false}
nux: {enabled: false}
run_coordinator: {module: dagster.core.run_coordinator, class: DefaultRunCoordinator}
"""
PARAMS = {
    "selector": {
        "repositoryLocationName": "garden",
        "repositoryName": "__repository__",
        "jobName": "watering",
    },
    "mode": "default",
    "runConfigData": {},
}
MUTATION = (
    'mutation {launchRun(executionParams: {selector: {repositoryLocationName: "garden", '
    'repositoryName: "__repository__", jobName: "watering"}, mode: "default", runConfigData: {}}) {__typename}}'
)


@dataclass(frozen=True)
class Web:
    """A web server of one job, on its own folder."""

    port: int

    @property
    def url(self) -> str:
        """Return its address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def dagster(self) -> Dagster:
        """Return its GraphQL, as the platform asks it."""
        return Dagster(f"{self.url}/graphql")

    def runs(self) -> int:
        """Count the runs that there ever were."""
        return len(self.dagster.runs())


@pytest.fixture(scope="module")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """Start it as ``loopline up`` does."""
    home = tmp_path_factory.mktemp("web")
    home.joinpath("dagster.yaml").write_text(INSTANCE)
    home.joinpath("garden.py").write_text(GARDEN)
    home.joinpath("workspace.yaml").write_text(
        "load_from: [{python_file: {relative_path: garden.py, location_name: garden}}]"
    )
    server = Web(free_port())
    variables = {**os.environ, "DAGSTER_HOME": str(home), "PYTHONWARNINGS": "ignore"}
    command = ("-m", "loopline.up.web_server", "--port", str(server.port), "--workspace", "workspace.yaml")
    with home.joinpath("log").open("wb") as log:
        process = subprocess.Popen((sys.executable, *command), env=variables, cwd=home, stdout=log, stderr=log)
    try:
        wait(server, home / "log")
        yield server
    finally:
        process.terminate()
        process.wait(60)


def wait(server: Web, log: Path, seconds: float = 240) -> None:
    """Wait until the job can be launched."""
    give_up = time.monotonic() + seconds
    while time.monotonic() < give_up:
        try:
            if [one.state for one in server.dagster.locations()] == ["loaded"]:
                return
        except StoreUnavailable:
            pass
        time.sleep(0.5)  # between two looks
    raise AssertionError(log.read_text())


IMAGE = {"accept": "image/avif,image/*", "sec-fetch-site": "cross-site", "sec-fetch-dest": "image"}
FORM = {"content-type": "text/plain", "origin": "http://evil.example", "sec-fetch-site": "cross-site"}


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", IMAGE),
        ("GET", {}),
        ("GET", {"host": "evil.example:3000"}),
        ("POST", FORM),
        ("POST", {"content-type": "text/plain"}),
        ("POST", {"content-type": "application/json", "origin": "http://evil.example"}),
        ("POST", {"content-type": "application/graphql"}),
    ],
)
def test_no_page_launches_a_run(web: Web, method: str, headers: dict[str, str]) -> None:
    """Not by an image, nor by a form, nor by a name of its own: neither the address nor an odd body is executed."""
    before = web.runs()
    for params, body in (({"query": MUTATION}, None), ({}, MUTATION), ({}, f'{{"query": "{MUTATION}"}}')):
        answer = httpx.request(method, f"{web.url}/graphql", params=params, content=body, headers=headers)
        assert answer.status_code == 403 or (method, params) == ("GET", {})
        assert "launchRun" not in answer.text
    assert web.runs() == before


def test_an_event_of_an_asset_is_reported_by_programs_only(web: Web) -> None:
    """The REST routes change the same history."""
    report = f"{web.url}/report_asset_materialization/garden/rose"
    assert httpx.post(report, headers=FORM).status_code == 403
    assert httpx.post(report).status_code == 200


def test_programs_launch_runs(web: Web) -> None:
    """Our own client, Dagster's, and whoever sends JSON as curl does: without an origin."""
    before = web.runs()
    assert web.dagster.launch("garden", "watering")
    assert DagsterGraphQLClient("127.0.0.1", port_number=web.port).submit_job_execution("watering", run_config={})
    plain = httpx.post(f"{web.url}/graphql", json={"query": LAUNCH, "variables": {"params": PARAMS}}, timeout=120)
    assert plain.json()["data"]["launchRun"]["__typename"] == "LaunchRunSuccess"
    assert web.runs() == before + 3


def test_the_pages_are_served_and_framed_by_nobody(web: Web) -> None:
    """A link from elsewhere may be followed; a frame would let another site's page steer the person's clicks."""
    followed = httpx.get(web.url, headers={"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"})
    assert followed.status_code == 200
    assert followed.headers["x-frame-options"] == "SAMEORIGIN"
    assert httpx.get(f"{web.url}/graphql", headers={"accept": "text/html"}).status_code == 200


def test_a_person_launches_a_run_in_a_browser(web: Web, chromium: Browser) -> None:
    """The launchpad's button works, and the websocket brings what happens to the run's page as it happens."""
    page, frames, before = chromium.new_page(), [], web.runs()
    refused: list[str] = []
    page.on("response", lambda answer: refused.append(answer.url) if answer.status == 403 else None)
    page.on("websocket", lambda socket: socket.on("framereceived", lambda frame: frames.append(str(frame))))
    page.set_default_timeout(120_000)
    page.goto(f"{web.url}/locations/__repository__@garden/jobs/watering/")
    page.get_by_text("Launchpad").first.click()
    page.get_by_role("button", name="Launch Run").click()
    page.get_by_text("RUN_SUCCESS").first.wait_for()
    assert refused == []
    assert any("water" in frame for frame in frames), "nothing came over the websocket"
    assert web.runs() == before + 1
    page.close()


def test_a_page_of_another_site_opens_no_websocket(web: Web, chromium: Browser) -> None:
    """In a browser that says by itself where the page is from."""
    page = chromium.new_page()
    page.route("http://evil.example/", lambda route: route.fulfill(body="<p>evil", content_type="text/html"))
    page.goto("http://evil.example/")
    opens = """url => new Promise(told => {
      const socket = new WebSocket(url, 'graphql-ws');
      socket.onopen = () => told('open'); socket.onerror = () => told('refused')})"""
    address = f"{web.url}/graphql".replace("http", "ws")
    assert page.evaluate(opens, address) == "refused"
    page.goto(web.url)
    assert page.evaluate(opens, address) == "open"
    page.close()


def test_roles_are_asked_by_the_server_as_we_start_it(tmp_path: Path) -> None:
    """Not only in a test: each route has an entry before it, behind the guard, which is before Dagster's middleware."""
    with (
        dg.DagsterInstance.local_temp(str(tmp_path)) as instance,
        WorkspaceProcessContext(instance, EmptyWorkspaceTarget()) as context,
    ):
        server: Any = web_server(context)
        own = DagsterWebserver(context).build_middleware()
    assert {type(route.app) for route in server.build_routes()} == {Entry}
    assert [each.cls for each in server.build_middleware()] == [guard().cls, *(each.cls for each in own)]
    launch = server._graphene_schema.graphql_schema.mutation_type.fields["launchRun"].resolve
    assert launch.__code__.co_filename == dagster_web_private.__file__
