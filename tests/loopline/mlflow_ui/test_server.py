"""MLflow's own server behind guard, sign-in and roles, asked as people, programs and strangers would."""

from __future__ import annotations

import http.client
import json
import re
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpx
import pytest
import requests
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException
from starlette.testclient import TestClient

from loopline.mlflow_ui.client import OwnAuth
from loopline.mlflow_ui.door import Door
from loopline.platform_core import environment
from loopline.platform_core.identity.caller import SCOPE, Caller
from loopline.platform_core.platform import Platform
from loopline.resources.mlflow.registry import MlflowRegistry
from loopline.sign_in.cookies import SESSION
from loopline.sign_in.own import Own
from loopline.up.rights.policies import Policies
from tests.loopline.mlflow_ui.guarded_server import PASSWORD, Server, running

if TYPE_CHECKING:
    from playwright.sync_api import Browser

MODEL = "retail.cancellations"
READ = "/api/2.0/mlflow/registered-models/get?name=" + MODEL
ALIAS = "/api/2.0/mlflow/registered-models/alias"
AJAX = ALIAS.replace("/api/", "/ajax-api/")
QUERY = "{mlflowSearchModelVersions(input: {}) {modelVersions {name version}}}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Start it, and register two versions of a model as a training at a tracking server does: as a service."""
    with running(tmp_path_factory.mktemp("mlflow ui")) as started:
        with pytest.MonkeyPatch.context() as here:
            here.setenv("MLFLOW_TRACKING_TOKEN", started.words["ci"])
            client = MlflowClient(started.url, started.url)
            client.create_registered_model(MODEL)
            run = client.create_run(client.create_experiment(MODEL)).info
            client.log_metric(run.run_id, "roc_auc", 0.8)
            client.log_text(run.run_id, "a model", "package/model.txt")
            for _ in range(2):
                client.create_model_version(MODEL, f"{run.artifact_uri}/package", run.run_id)
            client.set_registered_model_alias(MODEL, "champion", "1")
        yield started


def champion(server: Server) -> str:
    """Return which version the alias names."""
    answer = server.ask("ana", "GET", f"{ALIAS}?name={MODEL}&alias=champion")
    assert answer.status_code == 200, answer.text
    return str(answer.json()["model_version"]["version"])


def to(version: str) -> dict[str, str]:
    """Ask for the alias to be moved."""
    return {"name": MODEL, "alias": "champion", "version": version}


def test_a_stranger_is_led_to_sign_in_and_comes_back(server: Server) -> None:
    """A browser by the form, and then it is there; a program is told how."""
    with server.browser() as browser:
        led = browser.get("/")
        assert (led.status_code, led.headers["location"]) == (303, "/sign-in")
        form = browser.get("/sign-in")
        word = re.search(r'name="token" value="([^"]+)"', form.text)
        assert word is not None
        given = {"name": "ana", "password": PASSWORD, "token": word[1], "next": "/"}
        assert browser.post("/sign-in", data=given).headers["location"] == "/"
        assert "<title>MLflow" in browser.get("/").text
    told = server.ask("", "GET", READ)
    assert (told.status_code, told.headers["www-authenticate"]) == (401, "Bearer")
    assert "has not signed in" in told.json()["error"]["problem"]
    assert httpx.get(server.url + READ, auth=("ana", PASSWORD)).status_code == 401
    assert [server.ask("", "GET", path).status_code for path in ("/health", "/version")] == [200, 200]


def test_the_page_s_files_are_everybodys_and_nothing_beside_them(server: Server) -> None:
    """A path that only begins as they do is not."""
    page = server.ask("ana", "GET", "/").text
    script = re.search(r'src="(static-files/[^"]+\.js)"', page)
    assert script is not None
    assert server.ask("", "GET", f"/{script[1]}").status_code == 200
    assert sent(server, "GET", "/static-files/../api/2.0/mlflow/experiments/search?max_results=1")[0] == 401
    assert sent(server, "GET", "/static-files/%2e%2e/health")[0] == 401


def test_who_has_a_role_reads(server: Server) -> None:
    """Whatever role, as in Dagster's pages; whoever has none is told whom to ask."""
    for who in ("ana", "bob", "eve", "ci", "trainer", "root"):
        assert server.ask(who, "GET", READ).json()["registered_model"]["name"] == MODEL, who
    found = server.ask("ana", "POST", "/graphql", json={"query": QUERY}).json()
    assert len(found["data"]["mlflowSearchModelVersions"]["modelVersions"]) == 2
    assert server.ask("ana", "POST", "/ajax-api/2.0/mlflow/runs/search", json={"experiment_ids": ["1"]}).is_success
    for path in (READ, "/"):
        refused = server.ask("zed", "GET", path)
        assert refused.status_code == 403
        assert "zed has no role here" in refused.json()["error"]["problem"]


@pytest.mark.parametrize("who", ["ana", "bob", "trainer", "oncall", "olga", "eve", "zed"])
def test_nobody_goes_around_a_gate(server: Server, who: str) -> None:
    """No role of a team's, nor an operator's or owner's of the platform: it is refused, told why, and written down."""
    for path in (ALIAS, AJAX):
        refused = server.ask(who, "POST", path, json=to("2"))
        error = refused.json()["error"]
        assert (refused.status_code, f"{who} may not write registry" in error["problem"]) == (403, True), error
        assert error["fix"]
    assert champion(server) == "1"
    newest, *_ = server.record("attempt.denied")
    assert (newest.who, newest.subject) == (who, "write registry of platform")


CHANGES = (
    ("DELETE", "/api/2.0/mlflow/model-versions/delete", {"name": MODEL, "version": "1"}),
    ("DELETE", ALIAS, {"name": MODEL, "alias": "champion"}),
    ("POST", "/api/2.0/mlflow/model-versions/set-tag", {"name": MODEL, "version": "1", "key": "a", "value": "b"}),
    ("POST", "/api/2.0/mlflow/model-versions/transition-stage", {"name": MODEL, "version": "2", "stage": "Production"}),
    ("POST", "/api/2.0/mlflow/registered-models/rename", {"name": MODEL, "new_name": "other"}),
    ("POST", "/api/2.0/mlflow/experiments/create", {"name": "mine"}),
    ("PUT", "/api/2.0/mlflow-artifacts/artifacts/1/x/artifacts/package/model.txt", {}),
    ("PUT", "/ajax-api/2.0/mlflow-artifacts/artifacts/1/x/artifacts/package/model.txt", {}),
    ("POST", "/ajax-api/2.0/mlflow/upload-artifact?run_uuid=1&path=a", {}),
    ("POST", "/v1/traces", {}),
    ("POST", "/ajax-api/3.0/mlflow/assistant/message", {}),
    ("PUT", "/ajax-api/3.0/mlflow/assistant/config", {}),
    ("POST", "/gateway/mlflow/v1/chat/completions", {}),
    ("POST", "/ajax-api/2.0/mlflow/gateway-proxy", {}),
    ("POST", "/api/2.0/mlflow/webhooks", {"name": "a", "url": "https://evil.example", "events": []}),
    ("POST", "/ajax-api/3.0/jobs/", {"job_name": "invoke_scorer", "params": {}}),
    ("POST", "/api/3.0/mlflow/mcp-servers", {"name": "a"}),
    ("POST", "/api/3.0/mlflow/scorers/register", {"experiment_id": "1", "name": "a", "serialized_scorer": "{}"}),
    ("POST", "/graphql", {"query": 'mutation {testMutation(inputString: "a") {echo}}'}),
    ("POST", "/graphql", {"query": f"query a {QUERY} mutation b {{testMutation {{echo}}}}", "operationName": "a"}),
    ("POST", "/graphql", {"query": QUERY + "#" + "a" * 300_000}),
    ("POST", "/graphql", {"query": "{" * 20_000}),
    ("POST", "/graphql", {}),
    ("POST", "/api/2.0/mlflow/never-heard-of", {}),
)


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
def test_each_way_to_change_something_is_refused(server: Server, method: str, path: str, body: dict[str, str]) -> None:
    """To who reads; what is closed, to a platform admin and to programs of the platform's own as well."""
    before = len(server.record("attempt.denied"))
    refused = server.ask("ana", method, path, json=body)
    assert refused.status_code == 403
    assert set(refused.json()["error"]) == {"problem", "fix"}
    assert len(server.record("attempt.denied")) == before + 1
    if "may not write registry" not in refused.text:
        assert server.ask("root", method, path, json=body).status_code == 403
        own = Own(Platform(environment.read(server.home / "laptop.yaml", only=())))
        assert httpx.request(method, server.url + path, json=body, headers=own()).status_code == 403


def sent(server: Server, method: str, path: str, who: str = "", body: str = "", **headers: str) -> tuple[int, str]:
    """Send a path as it stands, which clients mend; returns status and answer."""
    connection = http.client.HTTPConnection(urlsplit(server.url).netloc, timeout=60)
    more = {"authorization": f"Bearer {server.words[who]}"} if who else {}
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, {"content-type": "application/json", **more, **given})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


TRICKS = (
    "/" + ALIAS,
    ALIAS.replace("/mlflow/", "//mlflow/"),
    ALIAS.replace("/mlflow/", "/mlflow/runs/../"),
    ALIAS.replace("/mlflow/", "/mlflow/runs/%2e%2e/"),
    ALIAS.replace("/alias", "%2falias"),
    ALIAS.replace("/alias", "/alias/"),
    ALIAS.replace("/alias", "/alias;a=1"),
    ALIAS.replace("/alias", "/ALIAS"),
    ALIAS.replace("/alias", "/alias%00"),
    ALIAS.replace("/alias", "\\alias"),
    "/mlflow" + ALIAS,
    "/health/.." + ALIAS,
    "/health%2f.." + ALIAS,
    "/static-files/.." + ALIAS,
    "/static-files/%2e%2e" + ALIAS,
    "/sign-in/.." + ALIAS,
    f"http://127.0.0.1{ALIAS}",
)


@pytest.mark.parametrize("path", TRICKS)
def test_no_path_is_read_as_another_one(server: Server, path: str) -> None:
    """Neither by a stranger nor by who reads, whatever a router makes of it."""
    body = json.dumps(to("2"))
    for who in ("", "ana"):
        status, text = sent(server, "POST", path, who, body)
        assert status in {303, 401, 403, 404, 405}, (who, status, text)
    assert champion(server) == "1"


def test_no_method_stands_for_another_one(server: Server) -> None:
    """Headers and fields by which some servers take another method; a body beside a GET; GraphQL in an address."""
    body = json.dumps(to("2"))
    for name in ("X_HTTP_Method_Override", "X_HTTP_Method", "X_Method_Override"):
        sent(server, "GET", f"{ALIAS}?name={MODEL}&alias=champion", "ana", body, **{name: "POST"})
        sent(server, "GET", f"{ALIAS}?name={MODEL}&alias=champion&_method=POST", "ana", body, **{name: "DELETE"})
    for name in ("X_Original_URL", "X_Rewrite_URL", "X_Forwarded_Prefix", "X_Forwarded_User", "X_Remote_User"):
        assert sent(server, "POST", "/ajax-api/2.0/mlflow/runs/search", "", "{}", **{name: ALIAS})[0] == 401
    assert champion(server) == "1"
    assert server.ask("ana", "HEAD", "/").status_code == 200
    assert server.ask("", "HEAD", READ).status_code == 401
    assert server.ask("ana", "OPTIONS", ALIAS).status_code == 403
    assert server.ask("root", "GET", "/graphql?query=" + QUERY).status_code == 403
    assert sent(server, "GET", "/graphql", "root", json.dumps({"query": QUERY}))[0] == 403
    as_form = {"authorization": f"Bearer {server.words['ana']}"}
    assert httpx.post(f"{server.url}/graphql", data={"query": QUERY}, headers=as_form).status_code == 403


def test_another_site_s_page_neither_asks_nor_reads_nor_frames(server: Server) -> None:
    """Also a page of this machine at another port, to which MLflow by itself lets answers be read."""
    near = "http://localhost:1234"
    with server.browser("root") as browser:
        refused = browser.post(AJAX, json=to("2"), headers={"origin": near, "sec-fetch-site": "same-site"})
        assert refused.status_code == 403
        shown = browser.get(READ.replace("/api/", "/ajax-api/"), headers={"origin": near})
        assert shown.status_code == 200
        assert not [name for name in shown.headers if name.startswith("access-control-")]
        assert browser.get("/").headers["x-frame-options"].upper() == "SAMEORIGIN"
        frame = browser.get("/static-files/lib/notebook-trace-renderer/index.html")
        assert frame.headers["x-frame-options"].upper() == "SAMEORIGIN"
        assert browser.get("/", headers={"host": "evil.example"}).status_code == 403
    assert champion(server) == "1"


def test_who_may_write_does_and_it_is_written_down(server: Server) -> None:
    """A service of the platform by MLflow's own client, a platform admin by the page; the record says of what."""
    assert server.ask("ana", "GET", f"{ALIAS}?name={MODEL}&alias=champion").is_success
    subjects = [(each.who, each.subject) for each in server.record("attempt.allowed")]
    whole = f"MLflow POST {ALIAS}: name {MODEL} alias champion version 1"
    assert ("ci", whole) in subjects
    with server.browser("root") as browser:
        moved = browser.post(AJAX, json=to("2"), headers={"origin": server.url, "sec-fetch-site": "same-origin"})
        assert moved.status_code == 200
        assert champion(server) == "2"
        browser.post(AJAX, json=to("1"), headers={"origin": server.url}).raise_for_status()
    newest, *_ = server.record("attempt.allowed")
    assert (newest.who, newest.subject) == ("root", f"MLflow POST {AJAX}: name {MODEL} alias champion version 1")


REFUSED = {"assistant/config", "assistant/providers", "users/current", "gateway-proxy"}
"""Of what MLflow's pages ask by themselves: what is closed, and a route that there is with ``basic-auth`` alone."""


def test_mlflow_s_pages_work_for_who_only_reads(server: Server, chromium: Browser) -> None:
    """A viewer sees model, version and run, whatever is refused to the page."""
    (run,) = server.ask("ana", "POST", "/api/2.0/mlflow/runs/search", json={"experiment_ids": ["1"]}).json()["runs"]
    page = chromium.new_page()
    page.context.add_cookies([{"name": SESSION, "value": server.words["ana"], "url": server.url}])
    refused: set[str] = set()
    page.on("response", lambda answer: refused.add(answer.url.partition("?")[0]) if answer.status == 403 else None)
    for path, shown in {
        f"/#/models/{MODEL}": "champion",
        f"/#/models/{MODEL}/versions/1": "Registered At",
        "/#/experiments": MODEL,
        "/#/experiments/1/runs": run["info"]["run_name"],
    }.items():
        page.goto(server.url + path)
        page.reload()
        page.get_by_text(shown).first.wait_for(timeout=60_000)
    page.close()
    assert {url.partition("/mlflow/")[2] for url in refused} <= REFUSED
    assert refused


def test_mlflow_s_own_client_says_why_not(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a token, and with one of somebody who may not."""
    for word, why in ((None, "has not signed in"), (server.words["trainer"], "may not write registry")):
        monkeypatch.delenv("MLFLOW_TRACKING_TOKEN", raising=False)
        if word:
            monkeypatch.setenv("MLFLOW_TRACKING_TOKEN", word)
        with pytest.raises(MlflowException, match=why):
            MlflowClient(server.url, server.url).set_registered_model_alias(MODEL, "champion", "2")
    assert champion(server) == "1"


def test_the_platform_s_own_programs_need_no_token(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has the ledger's database makes a session in it, for this server and for no other."""
    file = server.home / "server.yaml"
    laptop = (server.home / "laptop.yaml").read_text()
    file.write_text(laptop.replace('"sqlite:///${LOOPLINE_HOME}/mlflow.db"', server.url))
    monkeypatch.setenv("LOOPLINE_ENVIRONMENT", str(file))
    monkeypatch.setenv("LOOPLINE_HOME", str(server.home))
    monkeypatch.setenv("MLFLOW_TRACKING_AUTH", "loopline")
    monkeypatch.delenv("MLFLOW_TRACKING_TOKEN", raising=False)
    registry = environment.read(only=("registry",)).bindings["registry"]
    assert isinstance(registry, MlflowRegistry)
    registry.set_alias(MODEL, "challenger", "2")
    found = registry.by_alias(MODEL, "challenger")
    assert found is not None
    assert found.version == "2"
    for url in ("http://127.0.0.1:1/api", f"{server.url[:-1]}/api", "http://evil.example/api"):
        request = requests.Request("GET", url, auth=OwnAuth().get_auth()).prepare()
        assert "authorization" not in request.headers, url


def test_who_has_signed_out_is_out_within_two_seconds(server: Server) -> None:
    """Wherever that was, and a role that is taken is gone at once."""
    word = server.desk.begin(Caller("ana"))
    asked = [httpx.get(server.url + READ, cookies={SESSION: word}).status_code]
    server.desk.sign_out(word, "")
    time.sleep(2.2)  # for two seconds a server may remember a session, and it tells nobody
    asked.append(httpx.get(server.url + READ, cookies={SESSION: word}).status_code)
    assert asked == [200, 401]
    roles = server.home / "roles.yaml"
    before = roles.read_text()
    try:
        roles.write_text(before.replace("viewer: [ana], ", ""))
        assert server.ask("ana", "GET", READ).status_code == 403
    finally:
        roles.write_text(before)
    assert server.ask("ana", "GET", READ).status_code == 200


def test_without_the_door_who_reads_changes(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Mutants: the very application that MLflow serves, without our door and with it; so the tests above can fail."""
    monkeypatch.setenv("_MLFLOW_SERVER_FILE_STORE", f"sqlite:///{server.home}/mlflow.db")
    from mlflow.server.fastapi_app import app

    policies = Policies(lambda: Platform(environment.read(server.home / "laptop.yaml", only=())))
    host = {"host": "localhost"}
    asked = {}
    for name, served in {"bare": app, "held": Door(app, policies)}.items():

        async def known(scope, receive, send, served=served):  # type: ignore[no-untyped-def]
            await served({**scope, SCOPE: Caller("ana")}, receive, send)

        client = TestClient(known, headers=host)
        assert client.get(READ).status_code == 200
        asked[name] = client.post(ALIAS, json=to("2")).status_code
        assert champion(server) == ("2" if name == "bare" else "1"), name
        server.ask("ci", "POST", ALIAS, json=to("1")).raise_for_status()
    assert asked == {"bare": 200, "held": 403}


def test_a_door_without_a_caller_opens_for_nobody(server: Server) -> None:
    """Should somebody leave out the sign-in before it."""
    from mlflow.server.fastapi_app import app

    policies = Policies(lambda: Platform(environment.read(server.home / "laptop.yaml", only=())))
    client = TestClient(Door(app, policies), headers={"host": "localhost"})
    assert client.get(READ).status_code == 403
    assert client.get("/health").status_code == 200
