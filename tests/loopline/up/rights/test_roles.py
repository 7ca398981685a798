"""What each role may do in Dagster's pages, how it is told, and what is written down of it."""

from __future__ import annotations

import dagster as dg
import pytest
from dagster._core.storage.tags import REPORTING_USER_TAG

from tests.loopline.up.rights.attempts import INLINE, NOW, came, of_days
from tests.loopline.up.rights.two_teams import BACKFILL, HEADER, LAUNCH, ROLES, World, job

SUCCESS = "LaunchRunSuccess"
PERMISSIONS = """{permissions {permission value disabledReason}
  workspaceOrError {... on Workspace {locationEntries {name permissions {permission value disabledReason}}}}}"""
MAY = {
    "owner": ("alice", {"launch", "wipe", "delete"}),
    "operator": ("otto", {"launch"}),
    "service": ("ci", {"launch"}),
    "viewer": ("vera", set()),
    "auditor": ("eve", set()),
    "platform_admin": ("root", {"launch", "wipe", "delete", "limit"}),
    "operator of the platform": ("oncall", {"launch", "limit"}),
}


@pytest.mark.parametrize("role", MAY)
def test_a_role_may_what_it_may(world: World, role: str) -> None:
    """In the team whose role it is; an auditor nothing, who is an owner as well."""
    who, may = MAY[role]
    web = world.ways["guarded"]
    run, wipe = world.run("corner"), 'wipeAssets(assetPartitionRanges: [{assetKey: {path: ["corner", "own"]}}])'
    asked = {
        "launch": web.ask(who, LAUNCH.replace("launchRun(", "it: launchRun("), params=job("corner")),
        "wipe": web.ask(who, f"mutation {{it: {wipe} {{__typename}}}}"),
        "delete": web.ask(who, f'mutation {{it: deleteRun(runId: "{run}") {{__typename}}}}'),
        "limit": web.ask(who, 'mutation {it: setConcurrencyLimit(concurrencyKey: "gpu", limit: 2)}'),
    }
    done = {"launch": "LaunchRunSuccess", "wipe": "AssetWipeSuccess", "delete": "DeletePipelineRunSuccess", "limit": ""}
    assert {name for name, answer in asked.items() if came(answer, done[name])} == may


def test_everybody_with_a_role_reads_pages_and_runs(world: World) -> None:
    """Of all teams: to hide rows in one instance would be no isolation."""
    run = world.run("retail")
    for who in ("alice", "vera", "eve", "ci", "oncall"):
        assert world.ways["guarded"].get(who, "/runs", headers={"accept": "text/html"}).status_code == 200
        told = world.ways["guarded"].ask(who, f'{{runOrError(runId: "{run}") {{... on Run {{jobName}}}}}}')
        assert told["data"]["runOrError"] == {"jobName": "daily"}
    printed = world.printed("retail")
    for who, may in (("vera", True), ("bob", True), ("eve", True), ("root", True), ("alice", False)):
        answer = world.ways["guarded"].get(who, f"/logs/{printed}/compute_logs/work/out")
        assert answer.status_code == (200 if may else 403), who


def test_buttons_are_grey_with_who_can_grant_it(world: World) -> None:
    """Pages ask for permissions, all and by location."""
    told = world.ways["guarded"].ask("alice", PERMISSIONS)["data"]
    by_location = {
        entry["name"]: {one["permission"]: one for one in entry["permissions"]}
        for entry in told["workspaceOrError"]["locationEntries"]
    }
    assert by_location["corner"]["launch_pipeline_execution"]["value"]
    refused = by_location["retail"]["launch_pipeline_execution"]
    assert not refused["value"]
    assert "alice may not run assets of retail/retail" in refused["disabledReason"]
    assert "granted by a platform admin" in refused["disabledReason"]
    assert "who may now: bob" in refused["disabledReason"]
    everywhere = {one["permission"]: one["value"] for one in told["permissions"]}
    assert not any(everywhere.values())
    told = world.ways["guarded"].ask("root", PERMISSIONS)["data"]
    assert [one["permission"] for one in told["permissions"] if not one["value"]] == ["edit_app_managed_components"]


def test_a_denial_says_why_and_is_written_down(world: World) -> None:
    """By whom, of what, and why; nothing of it is done."""
    before = len(world.record("attempt.denied"))
    launch = INLINE.replace("{__typename}", "{... on UnauthorizedError {message}}")
    message = world.ways["guarded"].ask("alice", f"mutation {{{launch}}}")["data"]["launchRun"]["message"]
    assert "retail/owner may by policy team-owners-decide" in message
    newest, *_ = found = world.record("attempt.denied")
    assert len(found) == before + 1
    assert (newest.who, newest.subject, newest.outcome) == ("alice", "run assets of retail/retail", "denied")


def test_a_change_is_written_down_with_its_person_and_policy(world: World) -> None:
    """A launch, an end, a report over HTTP; with what allowed it. What is refused is no change."""
    web, before = world.ways["guarded"], len(world.record("attempt.allowed"))
    run = web.ask("alice", LAUNCH, params=job("corner"))["data"]["launchRun"]["run"]["runId"]
    web.ask("alice", f'mutation {{terminateRun(runId: "{run}", {NOW}) {{__typename}}}}')
    assert web.http.post("/report_asset_materialization/corner/orders", headers={HEADER: "alice"}).status_code == 200
    web.ask("alice", LAUNCH, params=job("retail"))
    web.ask("alice", "{version}")
    found = world.record("attempt.allowed")
    told = [(one.who, one.subject, one.policy.partition("@")[0]) for one in found[: len(found) - before]]
    assert told == [
        ("alice", "report_asset_materialization of corner/orders", "team-owners-decide"),
        ("alice", f"terminateRun in corner runId {run}", "team-owners-decide"),
        ("alice", "launchRun in corner", "team-owners-decide"),
    ]


def test_runs_carry_who_launched_them(world: World) -> None:
    """A run, a run again of another's, a backfill, a backfill again; and what is reported, who reported it."""
    web = world.ways["guarded"]
    run = web.ask("alice", LAUNCH, params=job("corner"))["data"]["launchRun"]["run"]["runId"]
    assert world.instance.get_run_by_id(run).tags["user"] == "alice"
    before = world.runs()
    again = {"parentRunId": run, "strategy": "ALL_STEPS"}
    query = "mutation ($again: ReexecutionParams!) {launchRunReexecution(reexecutionParams: $again) {__typename}}"
    web.ask("otto", query, again=again)
    assert [run.tags["user"] for run in world.newest(before)] == ["otto"]
    first = web.ask("alice", BACKFILL, params=of_days("corner"))["data"]["launchPartitionBackfill"]["backfillId"]
    assert world.instance.get_backfill(first).tags["user"] == "alice"
    web.ask("otto", f'mutation {{cancelPartitionBackfill(backfillId: "{first}") {{__typename}}}}')
    found = world.instance.get_backfill(first)
    world.instance.update_backfill(found.with_status(type(found.status).CANCELED))
    query = query.replace("launchRunReexecution", "reexecutePartitionBackfill")
    told = web.ask("otto", query.replace("{reexecute", "{it: reexecute"), again={**again, "parentRunId": first})
    assert came(told, "LaunchBackfillSuccess")
    newest, _ = world.instance.get_backfills(limit=2)
    assert newest.tags["user"] == "otto"
    web.http.post("/report_asset_materialization/corner/orders", headers={HEADER: "alice"})
    event = world.instance.get_latest_materialization_event(dg.AssetKey(["corner", "orders"]))
    assert event.asset_materialization.tags[REPORTING_USER_TAG] == "alice"


def test_a_page_launches_with_its_own_tags(world: World) -> None:
    """Such as Dagster's pages send: of a partition, of priority, and what the job has by its definition."""
    tags = {"dagster/priority": "3", "dagster/from_ui": "true", "dagster-k8s/config": "{}", "team": "corner"}
    given = [{"key": key, "value": value} for key, value in tags.items()]
    told = world.ways["guarded"].ask("alice", LAUNCH, params=job("corner", executionMetadata={"tags": given}))
    assert told["data"]["launchRun"]["__typename"] == SUCCESS, told


def test_roles_count_as_the_file_says_now(world: World) -> None:
    """A role given is there at the next request, one taken away is gone; a file that is broken lets nobody."""
    web, file = world.ways["guarded"], world.folder / "roles.yaml"

    def answer() -> str:
        return web.ask("zoe", LAUNCH, params=job("retail")).get("data", {}).get("launchRun", {}).get("__typename", "")

    try:
        assert answer() == ""
        file.write_text(ROLES.replace("[bob]", "[bob, zoe]"))
        assert answer() == "LaunchRunSuccess"
        file.write_text("teams: {retail: {boss: [zoe]}}")
        assert answer() == ""
        assert "unknown 'boss'" in web.get("root", "/server_info").json()["error"]["problem"]
    finally:
        file.write_text(ROLES)
    assert answer() == ""


def test_where_nobody_signs_in_everything_stays(world: World) -> None:
    """Whoever asks without a caller is asked nothing, and nothing is written."""
    before = len(world.record("attempt.allowed"))
    told = world.ways["guarded"].ask("", LAUNCH, params=job("retail"))
    assert told["data"]["launchRun"]["__typename"] == SUCCESS
    run = world.instance.get_run_by_id(told["data"]["launchRun"]["run"]["runId"])
    assert "user" not in run.tags
    assert len(world.record("attempt.allowed")) == before


def test_groups_of_a_provider_count(world: World) -> None:
    """Whoever the provider says to be in a group of the file has its roles, and nobody by the name alone."""
    web = world.ways["guarded"]
    assert web.get("zed of the night", "/server_info").status_code == 200
    assert web.get("zed", "/server_info").status_code == 403
    assert web.ask("zed of the night", LAUNCH, params=job("retail"))["data"]["launchRun"]["__typename"] != SUCCESS


def test_the_platform_s_own_programs_are_let_through(world: World) -> None:
    """They stand in no file of roles; nobody is one by name."""
    web = world.ways["guarded"]
    assert web.ask("the platform", LAUNCH, params=job("retail"))["data"]["launchRun"]["__typename"] == SUCCESS
    for claimed in ("a service called platform", "a person called platform"):
        assert web.get(claimed, "/server_info").status_code == 403
        assert "data" not in web.ask(claimed, LAUNCH, params=job("retail"))


def test_a_change_that_cannot_be_written_down_is_not_made(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The record comes first."""

    def fails(*_: object, **__: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("loopline.platform_core.audit.recording.note", fails)
    before = world.runs()
    assert "no space left" in str(world.ways["guarded"].ask("alice", LAUNCH, params=job("corner")))
    assert world.runs() == before


def test_a_location_that_is_not_there_is_the_platform_s(world: World) -> None:
    """Whoever names one is told so; what was sent fills no record."""
    query = "mutation ($id: String!) {reloadRepositoryLocation(repositoryLocationName: $id) {__typename}}"
    for name in ("gone", "x" * 100_000):
        told = world.ways["guarded"].ask("alice", query, id=name)["data"]["reloadRepositoryLocation"]["__typename"]
        assert told == "UnauthorizedError"
        told = world.ways["guarded"].ask("root", query, id=name)["data"]["reloadRepositoryLocation"]["__typename"]
        assert told == "RepositoryLocationNotFound"
    newest, *_ = world.record("attempt.denied")
    assert newest.subject == "reload code of platform/loopline"
    assert all(len(entry.body()) < 2_000 for entry in world.record("attempt.allowed"))
