"""How MLflow's application is put together: what stands around it, and when it does not start."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from loopline.mlflow_ui.app import application, guarded, made
from loopline.platform_core.errors import Refused
from loopline.platform_core.identity.caller import Caller
from loopline.platform_core.platform import Platform
from loopline.sign_in.desk import Desk
from loopline.up.rights.policies import Policies

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send


async def shared(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer as MLflow does: another origin may read it."""
    headers = {"access-control-allow-origin": "http://localhost:1", "access-control-allow-credentials": "true"}
    await PlainTextResponse("MLflow", headers=headers)(scope, receive, send)


def clients(desk: Desk, policies: Policies, prefix: str) -> tuple[TestClient, TestClient]:
    """Return a stranger and ana, who has a role."""
    app = guarded(shared, (desk, policies), prefix)
    known = {"authorization": f"Bearer {desk.begin(Caller('ci', service=True))}"}
    where = "http://localhost:5000"
    return TestClient(app, where), TestClient(app, where, headers=known)


@pytest.mark.parametrize("prefix", ["", "/ml"])
def test_health_version_and_files_are_open_and_nothing_else(platform: Platform, prefix: str) -> None:
    """Below a prefix too."""
    desk = Desk.of(platform.environment, platform.ledger)
    stranger, known = clients(desk, Policies(lambda: platform), prefix)
    for path in ("/health", "/version", "/static-files/a.js"):
        assert stranger.get(f"{prefix}{path}").status_code == 200
    for path in ("/", "/static-files", "/static-files/../api", "/api/2.0/mlflow/runs/get", "/healthy", "/health/x"):
        assert stranger.get(f"{prefix}{path}").status_code == 401, path
    assert stranger.get("/sign-in").status_code == 200
    assert known.get(f"{prefix}/").text == "MLflow"
    assert known.get(f"{prefix}/healthy").status_code == 403


def test_no_other_origin_reads_or_frames_an_answer(platform: Platform) -> None:
    """Where nobody signs in as well."""
    desk = Desk.of(platform.environment, platform.ledger)
    _, known = clients(desk, Policies(lambda: platform), "")
    for client in (known, TestClient(guarded(shared, None), "http://localhost:5000")):
        answer = client.get("/")
        assert answer.text == "MLflow"
        assert not [name for name in answer.headers if name.startswith("access-control-")]
        assert answer.headers["x-frame-options"] == "SAMEORIGIN"
        assert client.get("/", headers={"host": "evil.example"}).status_code == 403
        assert client.post("/", headers={"origin": "http://localhost:1"}).status_code == 403
        assert client.post("/graphql", data={"query": "{a}"}).status_code == 403


def test_only_uvicorn_runs_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others know half of MLflow, and no door that holds both."""
    for server in ("gunicorn", "waitress"):
        monkeypatch.setenv("_MLFLOW_SGI_NAME", server)
        with pytest.raises(Refused, match="where uvicorn runs it"):
            made()
    with pytest.raises(SystemExit) as ended:
        application()
    assert ended.value.code == 3
