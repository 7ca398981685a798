"""Everything that Dagster's web server has at this version is in our tables; what is not is nobody's."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from dagster_graphql.schema import create_schema
from dagster_webserver.webserver import DagsterWebserver
from graphql import get_named_type, is_object_type

from loopline.asset_defs.private.dagster_web_private import _PRINTED, PERMISSIONS, STATIC
from loopline.platform_core.policies.question import ACTIONS as KNOWN
from loopline.up.rights import mutations, routes
from loopline.up.rights.mutations import MUTATIONS
from loopline.up.rights.permissions import ACTIONS
from loopline.up.rights.routes import ROUTES
from tests.loopline.up.rights.two_teams import LAUNCH, World, job


def test_each_mutation_is_in_the_table() -> None:
    """Whoever upgrades Dagster decides about each that is new."""
    kind = create_schema().graphql_schema.mutation_type
    assert kind is not None
    assert set(kind.fields) == set(MUTATIONS)
    assert len(MUTATIONS) == 41


def test_each_permission_is_an_action_that_policies_know() -> None:
    """Those that Dagster's own hooks ask for, and those that mutations need."""
    assert set(ACTIONS) == set(PERMISSIONS)
    needed = {need.action for needs in MUTATIONS.values() for need in needs}
    assert needed | set(ACTIONS.values()) <= set(KNOWN)


def test_each_field_that_shows_what_was_printed_is_held() -> None:
    """By the types of what they show."""
    types = create_schema().graphql_schema.type_map.values()
    found = {
        (kind.name, name)
        for kind in types
        if is_object_type(kind)
        for name, field in getattr(kind, "fields", {}).items()
        if get_named_type(field.type).name in {"CapturedLogs", "CapturedLogsMetadata"}
    }
    assert found == {*_PRINTED, ("Run", "capturedLogs")}


def paths(found: Any) -> Iterator[str]:
    """Yield the path of each route."""
    for route in found:
        yield STATIC if (route.name or "").endswith("_static") else route.path


@pytest.mark.parametrize("prefix", ["", "/dagster"])
def test_each_route_is_in_the_table(world: World, prefix: str) -> None:
    """At the root, and below another path."""
    found = DagsterWebserver(world.context, prefix).build_routes()
    inner = found[0].routes if prefix else found
    assert set(paths(inner)) == set(ROUTES)
    assert not prefix or set(paths(found[1:])) == {"/"}


def test_what_is_not_in_a_table_is_nobodys(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not even a platform admin's."""
    web = world.ways["guarded"]
    monkeypatch.setattr(mutations, "MUTATIONS", {})
    before = world.runs()
    told = web.ask("root", LAUNCH, params=job("retail"))["data"]["launchRun"]
    assert told["__typename"] == "UnauthorizedError"
    assert "nobody has said who may launchRun" in told["message"]
    assert world.runs() == before
    routes_known = dict(ROUTES)
    del routes_known["/server_info"]
    monkeypatch.setattr("loopline.up.rights.entries.ROUTES", routes_known)
    refused = web.get("root", "/server_info")
    assert refused.status_code == 403
    assert "/server_info" in refused.json()["error"]["problem"]
    assert routes.ROUTES["/server_info"]
