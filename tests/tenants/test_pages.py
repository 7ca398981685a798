"""Pages and APIs of one tenant, asked by who is signed in at the other: portal, feature service, Dagster's GraphQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import dagster as dg
import pytest
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import EmptyWorkspaceTarget
from dagster_webserver.webserver import DagsterWebserver
from starlette.testclient import TestClient

from loopline.features_api import app as features
from loopline.gateway import api_keys
from loopline.platform_core.identity import accounts
from loopline.platform_core.identity.caller import Caller
from loopline.platform_core.platform import Platform
from loopline.platform_core.plugins import Installed
from loopline.platform_core.testing.tenant_store import MINE, THEIRS
from loopline.portal import app as portal
from loopline.sign_in import cookies
from loopline.sign_in.desk import Desk
from loopline.sign_in.middleware import SignIn
from tests.tenants.world import World

HOST = "http://127.0.0.1"
OWN = {"origin": HOST, "sec-fetch-site": "same-origin", "accept": "application/json"}
PORTAL = (
    "/", "/models", "/models.json", "/alarms", "/alarms.json", "/audit", "/audit.json", "/cycles",
    "/cycles.json", "/dead-letters", "/features", "/features.json", "/metrics", "/scorecard", "/scorecard.json",
    "/teams", "/teams.json", "/openapi.json",
)  # fmt: skip
FEATURES = ("/features", "/docs", "/openapi.json")
QUERIES = (
    "{version}", "{runsOrError {__typename ... on Runs {results {runId}}}}",
    "{runsFeedOrError(limit: 5, view: ROOTS) {__typename}}",
    "{assetsOrError {__typename}}", "{assetNodes {id}}", "{repositoriesOrError {__typename}}",
    "{workspaceOrError {__typename}}", "{instance {info}}", "{instance {daemonHealth {id}}}",
    "{instance {runQueueConfig {maxConcurrentRuns}}}", "{runTagKeysOrError {__typename}}",
    "{partitionBackfillsOrError {__typename}}", "{locationStatusesOrError {__typename}}", "{canBulkTerminate}",
    "{permissions {permission}}", '{logsForRun(runId: "%s") {__typename}}', '{runOrError(runId: "%s") {__typename}}',
    "{__schema {queryType {name}}}",
)  # fmt: skip
MUTATIONS = (
    'mutation {deletePipelineRun(runId: "%s") {__typename ... on DeletePipelineRunSuccess {runId}}}',
    'mutation {terminateRun(runId: "%s") {__typename}}',
    'mutation {setConcurrencyLimit(concurrencyKey: "k", limit: 1)}',
    'mutation {logTelemetry(action: "a", clientTime: "1", clientId: "c", metadata: "{}") {__typename}}',
)  # fmt: skip


@dg.job
def daily() -> None:
    """Do nothing."""


@dataclass(frozen=True)
class Doors:
    """What a tenant serves, and what one of its people has: a session."""

    apps: dict[str, TestClient]
    session: str
    key: str
    platform: Platform
    instance: dg.DagsterInstance

    def run(self) -> str:
        """Write down a run, and return its id."""
        return self.instance.create_run_for_job(daily).run_id


@pytest.fixture(scope="module")
def doors(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Doors]]:
    """Serve what both have."""
    made, ends = {}, []
    for tenant in (MINE, THEIRS):
        file = world.root / tenant / "home/accounts.yaml"
        accounts.add(file, "ann", "four words of a sentence")
        platform = world.platform(tenant)
        desk = Desk.of(platform.environment, platform.ledger)
        keys = world.root / tenant / "home/keys.json"
        key = api_keys.create(keys, "shop", api_keys.Tenant(models=("*",)))
        folder = tmp_path_factory.mktemp(tenant)
        folder.joinpath("dagster.yaml").write_text("telemetry: {enabled: false}\n")
        instance = dg.DagsterInstance.from_config(str(folder))
        context = WorkspaceProcessContext(instance, EmptyWorkspaceTarget(), version="").__enter__()
        ends += [lambda c=context: c.__exit__(None, None, None), lambda i=instance: i.dispose()]
        dagster = SignIn(DagsterWebserver(context).create_asgi_app(), desk)
        apps = {
            "portal": portal.create_app(platform, Installed((), ())),
            "features": features.create_app(platform, ()),
            "dagster": dagster,
            "keyed": features.create_app(platform, (), keys=keys),
        }
        clients = {
            name: TestClient(app, HOST, headers=OWN, follow_redirects=False, raise_server_exceptions=False)
            for name, app in apps.items()
        }
        made[tenant] = Doors(clients, desk.begin(Caller("ann")), key, platform, instance)
    yield made
    for end in ends:
        end()


Ask = Callable[[dict[str, Doors], str, str], bool]
"""Given whose session is shown and whose server is asked; says whether that answered."""


def by_cookie(app: str, path: str, header: str = "cookie", how: str = f"{cookies.SESSION}={{}}") -> Ask:
    """Ask for a path with a browser's cookie."""

    def ask(doors: dict[str, Doors], whose: str, of: str) -> bool:
        client = doors[of].apps[app]
        client.cookies.clear()
        answer = client.get(path, headers={header: how.format(doors[whose].session)})
        return answer.status_code < 300 or (
            answer.status_code in {303, 307} and "sign-in" not in answer.headers["location"]
        )

    return ask


def by_bearer(app: str, path: str) -> Ask:
    """Ask for a path with the session as a token."""
    return by_cookie(app, path, "authorization", "Bearer {}")


def by_key(path: str) -> Ask:
    """Ask the feature service with an API key of the endpoint's callers."""

    def ask(doors: dict[str, Doors], whose: str, of: str) -> bool:
        answer = doors[of].apps["keyed"].get(path, headers={"authorization": f"Bearer {doors[whose].key}"})
        return answer.status_code == 200

    return ask


def graphql(query: str) -> Ask:
    """Ask Dagster; of a run the query is about one of whoever is asked."""

    def ask(doors: dict[str, Doors], whose: str, of: str) -> bool:
        asked = query % doors[of].run() if "%s" in query else query
        client = doors[of].apps["dagster"]
        client.cookies.clear()
        headers = {"cookie": f"{cookies.SESSION}={doors[whose].session}"}
        answer = client.post("/graphql", json={"query": asked}, headers=headers)
        return answer.status_code == 200 and answer.json().get("data") is not None

    return ask


def download(path: str) -> Ask:
    """Ask for what Dagster hands out beside GraphQL."""

    def ask(doors: dict[str, Doors], whose: str, of: str) -> bool:
        return by_cookie("dagster", path.format(doors[of].run()))(doors, whose, of)

    return ask


ATTEMPTS: dict[str, Ask] = {
    **{f"portal {path}": by_cookie("portal", path) for path in PORTAL},
    **{f"portal {path} by a token": by_bearer("portal", path) for path in ("/models.json", "/audit.json", "/metrics")},
    **{f"features {path}": by_cookie("features", path) for path in FEATURES},
    **{f"features {path} by a token": by_bearer("features", path) for path in FEATURES},
    **{f"dagster {query}": graphql(query) for query in (*QUERIES, *MUTATIONS)},
    **{f"features {path} by a key": by_key(path) for path in FEATURES},
    "dagster's report of a run": download("/download_debug/{}"),
    "dagster's page": by_cookie("dagster", "/runs"),
    "dagster's page by a token": by_bearer("dagster", "/runs"),
}


@pytest.mark.parametrize("says", ATTEMPTS)
def test_a_session_opens_one_tenants_doors(doors: dict[str, Doors], says: str) -> None:
    """Its own server answers; the other one's does not know it."""
    assert not ATTEMPTS[says](doors, MINE, THEIRS)
    assert ATTEMPTS[says](doors, MINE, MINE)


def test_a_session_is_a_row_of_its_tenants_ledger(doors: dict[str, Doors]) -> None:
    """The other's desk finds nobody by it, whatever it is shown as."""
    desk = Desk.of(doors[THEIRS].platform.environment, doors[THEIRS].platform.ledger)
    assert desk.caller(doors[MINE].session) is None
    own = Desk.of(doors[MINE].platform.environment, doors[MINE].platform.ledger)
    found = own.caller(doors[MINE].session)
    assert found is not None
    assert found.name == "ann"


def test_an_account_of_one_tenant_signs_in_at_no_other(world: World, doors: dict[str, Doors]) -> None:
    """Each has accounts of its own."""
    files: dict[str, Any] = {tenant: doors[tenant].platform.environment.sign_in for tenant in (MINE, THEIRS)}
    assert files[MINE].accounts != files[THEIRS].accounts
    accounts.add(world.root / MINE / "home/accounts.yaml", "bob", "other four words here")
    try:
        assert "bob" not in accounts.read(files[THEIRS].accounts)
        assert "bob" in accounts.read(files[MINE].accounts)
    finally:
        accounts.remove(world.root / MINE / "home/accounts.yaml", "bob")
