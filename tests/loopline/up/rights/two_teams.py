"""A real web server of Dagster over two teams' code, with our doors and without them, and who signs in to it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import TickData, TickStatus
from dagster._core.test_utils import create_run_for_test
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster_webserver.webserver import DagsterWebserver
from starlette.testclient import TestClient

from loopline.asset_defs.private.dagster_web_private import GuardedWebserver
from loopline.platform_core import environment
from loopline.platform_core.audit import reading
from loopline.platform_core.audit.entry import AuditEntry
from loopline.platform_core.identity.caller import SCOPE, Caller
from loopline.platform_core.identity.names import OWN
from loopline.platform_core.platform import Platform
from loopline.up.rights.doors import Roles
from loopline.up.rights.entries import ALIVE

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

CODE = """
import dagster as dg

TEAM = "{team}"
customers = dg.DynamicPartitionsDefinition(name="customers")
own = dg.DynamicPartitionsDefinition(name="{team}_only")

@dg.asset(key=[TEAM, "orders"])
def orders(): return 1

@dg.asset(key=["shared"])
def shared(): return 1

@dg.asset(key=[TEAM, "by_customer"], partitions_def=customers)
def by_customer(): return 1

@dg.asset(key=[TEAM, "by_day"], partitions_def=dg.StaticPartitionsDefinition(["mon", "tue"]))
def by_day(): return 1

@dg.asset(key=[TEAM, "own"], partitions_def=own)
def of_own(): return 1

@dg.asset_check(asset=[TEAM, "orders"])
def sound(): return dg.AssetCheckResult(passed=True)

@dg.op
def work(): return 1

@dg.job(tags={{"dagster-k8s/config": "{{}}"}})
def daily(): work()

parted = dg.define_asset_job("parted", selection=dg.AssetSelection.assets([TEAM, "by_day"]))

@dg.sensor(job=daily)
def watch(context): return dg.SkipReason("nothing came to " + TEAM)

@dg.sensor(job=daily)
def reach(context):
    import json
    from loopline.platform_core import environment
    from loopline.platform_core.audit import recording
    from loopline.platform_core.platform import Platform
    runs = [r for r in context.instance.get_runs() if r.remote_job_origin and r.remote_job_origin.location_name != TEAM]
    context.instance.delete_run(runs[0].run_id)
    platform = Platform(environment.read(only=()))
    recording.note(platform.ledger, "attempt.allowed", "bob", subject="said by " + TEAM)
    return dg.SkipReason(json.dumps({{"deleted": runs[0].run_id, "ledger": platform.environment.ledger}}))

@dg.schedule(job=daily, cron_schedule="0 0 * * *")
def nightly(context): return dg.SkipReason("no night at " + TEAM)

defs = dg.Definitions(
    [orders, shared, by_customer, by_day, of_own], asset_checks=[sound], jobs=[daily, parted], sensors=[watch, reach],
    schedules=[nightly],
)
"""
TEAMS = ("corner", "retail")
INSTANCE = "telemetry: {enabled: false}\nnux: {enabled: false}\n"
ROLES = """
groups: {night: [nora]}
teams:
  corner: {owner: [alice, eve], viewer: [vera], operator: [otto], service: [ci]}
  retail: {owner: [bob], viewer: [vera, night]}
platform: {platform_admin: [root], operator: [oncall], auditor: [eve]}
"""
SECRET = "what retail printed"
HEADER = "x-caller"


CALLERS = {
    "zed of the night": Caller("zed", frozenset({"night"}), issuer="https://provider"),
    "the platform": Caller(OWN, service=True),
    "a service called platform": Caller(OWN, service=True, issuer="https://provider"),
    "a person called platform": Caller(OWN),
}


class SignIn:
    """Stands for the sign-in: whoever a header names has signed in, and a session is alive until it is ended."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app
        self.ended: set[str] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = dict(scope.get("headers") or ()).get(HEADER.encode(), b"").decode()
        if name:
            scope[SCOPE] = CALLERS.get(name) or Caller(name)
            scope[ALIVE] = lambda: name not in self.ended
        await self.app(scope, receive, send)


@dataclass
class Web:
    """One way to the web server."""

    http: TestClient
    sign_in: SignIn

    def ask(self, who: str, query: str, **variables: Any) -> dict[str, Any]:
        """Ask GraphQL as somebody."""
        body = {"query": query, "variables": variables}
        return self.http.post("/graphql", json=body, headers={HEADER: who}).json()

    def get(self, who: str, path: str, **more: Any) -> Any:
        """Get a path as somebody."""
        return self.http.get(path, headers={HEADER: who, **more.pop("headers", {})}, **more)


@dataclass
class World:
    """The instance that both ways lead to; ``guarded`` has our doors, ``bare`` has none, ``hooks`` Dagster's hooks."""

    instance: dg.DagsterInstance
    context: WorkspaceProcessContext
    platform: Platform
    folder: Path
    ways: dict[str, Web] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(1_000_000)))

    def run(self, team: str) -> str:
        """Write down a run of a team that is queued; nothing takes it from there."""
        origin = self._repository(team).get_full_job("daily").get_remote_origin()
        status = dg.DagsterRunStatus.QUEUED
        return create_run_for_test(self.instance, "daily", remote_job_origin=origin, status=status).run_id

    def launch(self, team: str, **more: Any) -> str:
        """Launch a run of a team, as nobody; it is queued with all that belongs to it."""
        found = self.ways["bare"].ask("", LAUNCH, params=job(team, **more))
        return found["data"]["launchRun"]["run"]["runId"]

    def _repository(self, team: str) -> Any:
        return self.context.create_request_context().get_code_location(team).get_repository("__repository__")

    def runs(self) -> set[str]:
        """Return the ids of all runs."""
        return {run.run_id for run in self.instance.get_runs()}

    def newest(self, before: set[str]) -> list[dg.DagsterRun]:
        """Return the runs that were not there before."""
        return [run for run in self.instance.get_runs() if run.run_id not in before]

    def backfill(self, team: str) -> str:
        """Ask for a backfill of a team, as nobody; nothing takes it from there."""
        params = {"assetSelection": [{"path": [team, "by_day"]}], "partitionNames": ["mon"]}
        found = self.ways["bare"].ask("", BACKFILL, params=params)
        return found["data"]["launchPartitionBackfill"]["backfillId"]

    def instigator(self, team: str, kind: str) -> tuple[str, str]:
        """Return both ids of a team's sensor or schedule."""
        repository = self._repository(team)
        found = repository.get_sensor("watch") if kind == "sensor" else repository.get_schedule("nightly")
        return found.get_remote_origin_id(), found.selector_id

    def start(self, team: str, kind: str) -> None:
        """Start a team's sensor or schedule."""
        repository = self._repository(team)
        if kind == "sensor":
            self.instance.start_sensor(repository.get_sensor("watch"))
        else:
            self.instance.start_schedule(repository.get_schedule("nightly"))

    def ticked(self, team: str) -> None:
        """Write down that a team's sensor was asked just now."""
        origin, selector = self.instigator(team, "sensor")
        data = TickData(origin, "watch", InstigatorType.SENSOR, TickStatus.SKIPPED, time.time(), selector_id=selector)
        self.instance.create_tick(data)

    def state(self, team: str, kind: str) -> str:
        """Return whether a team's sensor or schedule runs, as it is stored."""
        found = self.instance.get_instigator_state(*self.instigator(team, kind))
        return found.status.value if found else ""

    def printed(self, team: str) -> str:
        """Return a run of a team that has printed something."""
        run_id = self.run(team)
        path = Path(self.instance.compute_log_manager.get_captured_local_path([run_id, "compute_logs", "work"], "out"))
        path.parent.mkdir(parents=True)
        path.write_text(SECRET)
        return run_id

    def made(self, *key: str) -> int:
        """Count the materializations of an asset that stand."""
        record = self.instance.get_latest_materialization_event(dg.AssetKey(key))
        return 0 if record is None else 1

    def record(self, what: str) -> list[AuditEntry]:
        """Return the audit's entries of a kind, the newest first."""
        with self.platform.ledger.reading() as connection:
            entries, _ = reading.newest(connection, reading.Wanted(), 1000)
        return [entry for _, entry in entries if entry.what == what]


LAUNCH = (
    "mutation ($params: ExecutionParams!) {launchRun(executionParams: $params) "
    "{__typename ... on LaunchRunSuccess {run {runId}} ... on PythonError {message}"
    " ... on UnauthorizedError {message}}}"
)
BACKFILL = (
    "mutation ($params: LaunchBackfillParams!) {launchPartitionBackfill(backfillParams: $params) "
    "{__typename ... on LaunchBackfillSuccess {backfillId} ... on PythonError {message}"
    " ... on UnauthorizedError {message}}}"
)


def job(team: str, name: str = "daily", **more: Any) -> dict[str, Any]:
    """Return how a job of a team is launched."""
    selector = {"repositoryLocationName": team, "repositoryName": "__repository__", "jobName": name}
    selector |= more.pop("selector", {})
    return {"selector": selector, "mode": "default", "runConfigData": {}, **more}


@contextmanager
def world(folder: Path) -> Iterator[World]:
    """Start both teams' code servers, and the web server over them three times."""
    (folder / "dagster.yaml").write_text(INSTANCE)
    for team in TEAMS:
        (folder / f"{team}.py").write_text(CODE.format(team=team))
    targets = [{"python_file": {"relative_path": f"{team}.py", "location_name": team}} for team in TEAMS]
    (folder / "workspace.yaml").write_text(json.dumps({"load_from": targets}))
    (folder / "roles.yaml").write_text(ROLES)
    (folder / "environment.yaml").write_text(
        f"name: test\nledger: sqlite:///{folder}/ledger.db\naccess: {{roles: roles.yaml}}\nbindings: {{}}\n"
    )
    platform = Platform(environment.read(folder / "environment.yaml", only=()))
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv(environment.FILE, str(folder / "environment.yaml"))
        yield from _started(folder, platform)
    platform.close()


def _started(folder: Path, platform: Platform) -> Iterator[World]:
    with (
        dg.DagsterInstance.from_config(str(folder)) as instance,
        WorkspaceProcessContext(instance, WorkspaceFileTarget([str(folder / "workspace.yaml")]), version="") as context,
        ExitStack() as opened,
    ):
        made = World(instance, context, platform, folder)
        for name, server in servers(context, lambda: platform).items():
            sign_in = SignIn(server.create_asgi_app())
            client = opened.enter_context(TestClient(sign_in, raise_server_exceptions=False))
            made.ways[name] = Web(client, sign_in)
        yield made


def servers(context: WorkspaceProcessContext, opened: Callable[[], Platform]) -> Mapping[str, DagsterWebserver]:
    """Return the web server with our doors, without any, and with Dagster's own hooks alone."""

    class Hooks(Roles):
        """What Dagster's own hooks ask is answered, and nothing else is asked or signed."""

        def launcher(self, _: Any) -> str:
            return ""

        def change(self, *_: Any) -> None: ...
        def report(self, *_: Any) -> None: ...
        def read_printed(self, *_: Any) -> None: ...
        def evaluate(self, *_: Any) -> None: ...
        def hides_settings(self, _: Any) -> bool:
            return False

        def entry(self, path: str, app: ASGIApp, things: Any) -> ASGIApp:
            return app

    return {
        "guarded": GuardedWebserver(context, Roles(opened)),
        "bare": DagsterWebserver(context),
        "hooks": GuardedWebserver(context, Hooks(opened)),
    }
