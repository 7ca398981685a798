"""Every route of MLflow's server at this version is in our table; what is not is nobody's."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.metadata import entry_points, version
from typing import Any

import pytest
import uvicorn  # noqa: F401 - MLflow looks whether it is a server that imports it

from loopline.mlflow_ui.routes import Need, lines, needed

KNOWN = "3.17.2"
"""The version whose routes the table names."""


def asgi(routes: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield method and path of what MLflow answers by FastAPI; newer ones keep a router whole."""
    for route in routes:
        if hasattr(route, "original_router"):
            yield from asgi(route.original_router.routes, prefix + route.include_context.prefix)
        elif getattr(route, "methods", None):
            yield from ((method, prefix + route.path) for method in route.methods)
        else:
            assert (route.path, type(route).__name__) == ("", "Mount")  # of the other half


def wsgi(rules: Any) -> Iterator[tuple[str, str]]:
    """Yield method and path of what MLflow answers by Flask, as the table writes them."""
    for rule in rules:
        path = re.sub(r"<(\w+)>", r"{\1}", re.sub(r"<path:(\w+)>", r"{\1:path}", rule.rule))
        yield from ((method, path) for method in rule.methods - {"HEAD", "OPTIONS"})


@pytest.fixture(scope="module")
def routes() -> set[tuple[str, str]]:
    """List them from MLflow itself."""
    from mlflow.server import app as flask
    from mlflow.server.fastapi_app import app

    return {*asgi(app.routes), *wsgi(flask.url_map.iter_rules())}


def test_each_route_is_in_the_table(routes: set[tuple[str, str]]) -> None:
    """Whoever upgrades MLflow decides about each that is new."""
    named = {(method, path) for method, path, _ in lines()}
    assert len(routes) > 450
    assert sorted(routes - named) == []


def test_each_line_is_a_route(routes: set[tuple[str, str]]) -> None:
    """Below one of the two roots at least; what MLflow has no more is taken out."""
    if version("mlflow") != KNOWN:
        pytest.skip(f"the table is of {KNOWN}")
    bare = {(method, re.sub(r"^/(ajax-)?api/", "", path)) for method, path in routes}
    named = {(method, re.sub(r"^/(ajax-)?api/", "", path)) for method, path, _ in lines()}
    assert named == bare


def test_no_mutation_of_graphql_is_needed() -> None:
    """All three that there are read or echo, and are refused; a new one changes nothing of that."""
    from mlflow.server.graphql.graphql_schema_extensions import schema

    kind = schema.graphql_schema.mutation_type
    assert kind is not None
    assert set(kind.fields) == {"testMutation", "mlflowSearchRuns", "mlflowSearchDatasets"}


@pytest.mark.parametrize("root", ["/api/2.0/mlflow", "/ajax-api/2.0/mlflow", "/ml/api/2.0/mlflow"])
def test_a_change_needs_the_right_however_it_is_asked(root: str) -> None:
    """By either root, and below a prefix; HEAD is a GET."""
    asked = {
        Need.WRITE: ["POST /registered-models/alias", "DELETE /model-versions/delete", "PATCH /logged-models/m-1"],
        Need.MEMBER: ["GET /registered-models/alias", "HEAD /registered-models/get", "POST /runs/search"],
        Need.CLOSED: ["GET /gateway-proxy", "POST /webhooks", "POST /webhooks/1/test"],
        None: ["PUT /registered-models/alias", "OPTIONS /registered-models/alias", "GET /registered-models/alias/"],
    }
    for need, requests in asked.items():
        for method, path in map(str.split, requests):
            assert needed(method, root + path, "/ml") is need, (method, path)


@pytest.mark.parametrize(
    "path",
    [
        "//api/2.0/mlflow/registered-models/get",
        "/api/2.0/mlflow//registered-models/get",
        "/api/2.0/mlflow/runs/../registered-models/get",
        "/api/2.0/mlflow-artifacts/artifacts/1/../../secret",
        "/api/2.0/mlflow-artifacts/artifacts/./a",
        "/api/2.0/mlflow-artifacts/artifacts/a\\..\\b",
        "/api/2.0/mlflow/registered-models/get\n",
        "/api/2.0/mlflow/registered-models/get\0",
        "/API/2.0/mlflow/registered-models/get",
        "/x/api/2.0/mlflow/registered-models/get",
        "api/2.0/mlflow/registered-models/get",
        "/health/",
        "/signup",
        "/metrics",
        "",
    ],
)
def test_what_might_be_read_as_another_path_is_nobodys(path: str) -> None:
    """Routers differ in what they make of it."""
    assert needed("GET", path) is None


def test_of_several_lines_the_strictest_counts() -> None:
    """A name with slashes may look like another route."""
    path = "/api/3.0/mlflow/mcp-servers/a/versions/1"
    assert needed("GET", path) is Need.MEMBER
    assert needed("DELETE", path) is Need.CLOSED
    assert needed("GET", "/api/3.0/mlflow/gateway/secrets/get") is Need.CLOSED


def test_mlflow_finds_us_by_name() -> None:
    """``mlflow server --app-name loopline`` on a server of one's own."""
    (found,) = entry_points(group="mlflow.app", name="loopline")
    assert found.value == "loopline.mlflow_ui.app:application"
    assert callable(found.load())
