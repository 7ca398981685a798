"""What it costs that Dagster's pages ask policies: the queries of an asset's page, with our doors and without."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from benchmarks.page import Promise, Section

if TYPE_CHECKING:
    from starlette.testclient import TestClient

HOW = """What Dagster's page of an asset asks: who may what in each of 4 locations, the asset with its newest
materialization and its buttons' permissions, and the state of all assets, 240. All in one process over real code
servers: without the doors, with them where nobody has signed in, and with them for an owner of one team. The figures
are of the process's CPU, which other work on the machine disturbs least; medians, in turns. The ratio of all queries
together is what the promise is about."""
TEAMS = ("corner", "demand", "retail", "vision")
CODE = """
import dagster as dg
def made(n):
    @dg.asset(key=["{team}", f"a{{n}}"])
    def one(): return n
    return one
defs = dg.Definitions([made(n) for n in range(60)])
"""
ROLES = "teams: {retail: {owner: [ana]}, corner: {owner: [ben]}}\nplatform: {platform_admin: [root]}\n"
_PERMISSIONS = "permissions {permission value disabledReason}"
QUERIES = {
    "permissions": f"""{{{_PERMISSIONS} workspaceOrError {{
      ... on Workspace {{locationEntries {{name {_PERMISSIONS}}}}}}}}}""",
    "the asset": """{assetNodeOrError(assetKey: {path: ["retail", "a1"]}) {... on AssetNode {id opNames groupName
      description hasMaterializePermission hasReportRunlessAssetEventPermission assetMaterializations(limit: 1)
      {timestamp} dependencyKeys {path} jobNames repository {name location {name}}}}}""",
    "all assets": """{assetNodes {id assetKey {path} groupName hasMaterializePermission
      hasReportRunlessAssetEventPermission isPartitioned repository {name location {name}}}}""",
}
RATIO, WARM = 1.2, 3


def compare(quick: bool = False) -> Section:
    """Ask each query each way, in turns."""
    with TemporaryDirectory() as folder, _ways(Path(folder)) as ways:
        taken = _taken(ways, 15 if quick else 40)
    names = list(ways)
    rows = [[query, *(f"{statistics.median(taken[way, query]):.1f} ms" for way in names)] for query in QUERIES]
    whole = {way: sum(statistics.median(taken[way, query]) for query in QUERIES) for way in names}
    rows.append(["together", *(f"{whole[way]:.1f} ms" for way in names)])
    promise = Promise("an asset's page as an owner, beside none", whole[names[-1]] / whole[names[0]], RATIO, " times")
    return Section("Dagster's pages behind roles", HOW, ("query", *names), rows, [promise])


def _taken(ways: dict[str, Callable[[str], Any]], turns: int) -> dict[tuple[str, str], list[float]]:
    taken: dict[tuple[str, str], list[float]] = {(way, query): [] for way in ways for query in QUERIES}
    for turn in range(turns + WARM):
        for query, text in QUERIES.items():
            for way, ask in ways.items():
                began = time.process_time()
                answer = ask(text)
                spent = (time.process_time() - began) * 1_000
                assert "errors" not in answer, answer["errors"]
                if turn >= WARM:
                    taken[way, query].append(spent)
    return taken


@contextmanager
def _ways(folder: Path) -> Iterator[dict[str, Callable[[str], Any]]]:
    """Start the code servers, and give each way to ask."""
    import dagster as dg
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._core.workspace.load_target import WorkspaceFileTarget
    from dagster_webserver.webserver import DagsterWebserver
    from starlette.testclient import TestClient

    from loopline.asset_defs.private.dagster_web_private import GuardedWebserver
    from loopline.platform_core import environment
    from loopline.platform_core.platform import Platform
    from loopline.up.rights.doors import Roles

    file = _files(folder)
    target = WorkspaceFileTarget([str(folder / "workspace.yaml")])
    with (
        dg.DagsterInstance.from_config(str(folder)) as instance,
        WorkspaceProcessContext(instance, target, version="") as context,
    ):
        doors = Roles(lambda: Platform(environment.read(file, only=())))
        kinds = (DagsterWebserver(context), GuardedWebserver(context, doors))
        bare, guarded = (TestClient(_signed(one.create_asgi_app())) for one in kinds)
        with bare, guarded:
            yield {
                "without the doors": _asking(bare, ""),
                "nobody signs in": _asking(guarded, ""),
                "an owner": _asking(guarded, "ana"),
            }


def _signed(app: Any) -> Any:
    from loopline.platform_core.identity.caller import SCOPE, Caller

    async def signed(scope: Any, receive: Any, send: Any) -> None:
        name = dict(scope.get("headers") or ()).get(b"x-caller", b"").decode()
        await app({**scope, SCOPE: Caller(name)} if name else scope, receive, send)

    return signed


def _asking(client: TestClient, who: str) -> Callable[[str], Any]:
    return lambda query: client.post("/graphql", json={"query": query}, headers={"x-caller": who}).json()


def _files(folder: Path) -> Path:
    (folder / "dagster.yaml").write_text("telemetry: {enabled: false}\n")
    for team in TEAMS:
        (folder / f"{team}.py").write_text(CODE.format(team=team))
    targets = [{"python_file": {"relative_path": f"{team}.py", "location_name": team}} for team in TEAMS]
    (folder / "workspace.yaml").write_text(json.dumps({"load_from": targets}))
    (folder / "roles.yaml").write_text(ROLES)
    file = folder / "environment.yaml"
    file.write_text(
        f"name: bench\nledger: sqlite:///{folder}/ledger.db\naccess: {{roles: roles.yaml}}\nbindings: {{}}\n"
    )
    return file
