"""Ways in which somebody may try to get round the doors of Dagster's web server; each says whether it came about.

Unless it says otherwise, alice tries, who owns corner, and what she tries to reach is retail's. Corner comes before
retail, so that of what both define Dagster takes corner's to be meant.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dagster._core.storage.dagster_run import DagsterRunStatus
from dagster._core.test_utils import create_run_for_test
from starlette.websockets import WebSocketDisconnect

from tests.loopline.up.rights.two_teams import HEADER, LAUNCH, SECRET, Web, World, job

Act = Callable[[World, Web], bool]


@dataclass(frozen=True)
class Attempt:
    """One attempt; ``beyond`` says that Dagster's own hooks let it through, though they are asked."""

    name: str
    act: Act
    beyond: bool = False


ATTEMPTS: list[Attempt] = []


def attempt(name: str, beyond: bool = False) -> Callable[[Act], Act]:
    """Take an attempt into the list."""

    def taken(act: Act) -> Act:
        ATTEMPTS.append(Attempt(name, act, beyond))
        return act

    return taken


def mutation(text: str, done: str, beyond: bool = False, who: str = "alice", **variables: Any) -> None:
    """Take a mutation into the list that comes about if its answer is of the type ``done``, or is true for ""."""
    name = text.partition("(")[0].partition("{")[0].strip()

    def act(world: World, web: Web) -> bool:
        given = {key: value(world) if callable(value) else value for key, value in variables.items()}
        declared = ", ".join(f"${key}: {TYPES[key]}" for key in given)
        fields = " {__typename}" if done else ""
        head = f"mutation ({declared}) " if declared else "mutation "
        return came(web.ask(who, f"{head}{{it: {text}{fields}}}", **given), done)

    attempt(f"{who} {name} {len(ATTEMPTS)}", beyond)(act)


TYPES = {
    "run": "String!", "runs": "[String!]!", "params": "ExecutionParams!", "list": "[ExecutionParams!]!",
    "again": "ReexecutionParams!", "backfill": "LaunchBackfillParams!", "id": "String!", "origin": "String!",
    "selector": "String!", "event": "ReportRunlessAssetEventsParams!", "check": "ReportAssetCheckEvaluationsParams!",
}  # fmt: skip


def came(answer: dict[str, Any], done: str) -> bool:
    """Say whether a mutation's answer is the one of what was done."""
    it = (answer.get("data") or {}).get("it")
    return bool(it) and (it["__typename"] == done if done else True) and not answer.get("errors")


def launched(world: World, web: Web, query: str, team: str = "retail", **variables: Any) -> bool:
    """Say whether a run of a team came of a request, whatever was answered."""
    before = world.runs()
    web.ask("alice", query, **variables)
    return any(run.remote_job_origin.location_name == team for run in world.newest(before))


INLINE = (
    'launchRun(executionParams: {selector: {repositoryLocationName: "retail", repositoryName: "__repository__", '
    'jobName: "daily"}, mode: "default", runConfigData: {}}) {__typename}'
)
FRAGMENT = f"fragment F on Mutation {{{INLINE}}}"
SELECTOR = '{repositoryLocationName: "retail", repositoryName: "__repository__", %s}'
SENSOR, SCHEDULE = SELECTOR % 'sensorName: "watch"', SELECTOR % 'scheduleName: "nightly"'
REPOSITORY = '{repositoryLocationName: "%s", repositoryName: "__repository__"}'


# a launch, said in other ways
for name, query in {
    "launch by an alias": f"mutation {{version: {INLINE}}}",
    "launch by a fragment": f"mutation {{...F}} {FRAGMENT}",
    "launch by a fragment in line": f"mutation {{... on Mutation @include(if: true) {{{INLINE}}}}}",
    "launch by its older name": f"mutation {{{INLINE.replace('launchRun', 'launchPipelineExecution')}}}",
    "launch many by aliases": f"mutation {{{' '.join(f'a{n}: {INLINE}' for n in range(2))}}}",
    "launch behind what is allowed": f"mutation {{own: {INLINE.replace('retail', 'corner')} its: {INLINE}}}",
}.items():
    attempt(name)(lambda world, web, query=query: launched(world, web, query))


def sent(world: World, web: Web, method: str = "POST", kind: str | None = None, **said: Any) -> bool:
    """Say whether a run came of what alice sent to GraphQL."""
    before = world.runs()
    headers = {HEADER: "alice"} | ({"content-type": kind} if kind else {})
    web.http.request(method, "/graphql", headers=headers, **said)
    return bool(world.newest(before))


_BY_ADDRESS = {"query": f"mutation {{{INLINE}}}"}
for name, said in {
    "launch as the second operation": {
        "json": {"query": f"query A {{version}} mutation B {{{INLINE}}}", "operationName": "B"}
    },
    "launch by the address, with GET": {"method": "GET", "params": _BY_ADDRESS},
    "launch by the address, with a body of text": {"params": _BY_ADDRESS, "kind": "text/plain"},
    "launch by a body of GraphQL": {"content": f"mutation {{{INLINE}}}", "kind": "application/graphql"},
    "launch with variables that are text": {
        "json": {"query": LAUNCH, "variables": json.dumps({"params": job("retail")})}
    },
}.items():
    attempt(name)(lambda world, web, said=said: sent(world, web, **said))


@attempt("launch a list of which one is the own")
def _list(world: World, web: Web) -> bool:
    query = "mutation ($list: [ExecutionParams!]!) {launchMultipleRuns(executionParamsList: $list) {__typename}}"
    return launched(world, web, query, list=[job("corner"), job("retail")])


for name, path, beyond in (
    ("launch assets by the job of all assets", ["retail", "orders"], False),
    ("launch what both define, where the other's code runs", ["shared"], True),
):
    given = job("retail", "__ASSET_JOB", selector={"assetSelection": [{"path": path}]})
    attempt(name, beyond)(lambda world, web, given=given: launched(world, web, LAUNCH, params=given))


# runs of others, gone on from
mutation("launchRunReexecution(reexecutionParams: $again)", "LaunchRunSuccess",
         again=lambda world: {"parentRunId": world.run("retail"), "strategy": "ALL_STEPS"})  # fmt: skip
mutation("launchPipelineReexecution(executionParams: $params)", "LaunchRunSuccess",
         params=lambda world: related(world, "retail", "retail"))  # fmt: skip
mutation("launchRunReexecution(executionParams: $params)", "LaunchRunSuccess", beyond=True,
         params=lambda world: related(world, "corner", "retail"))  # fmt: skip


def related(world: World, team: str, parent: str) -> dict[str, Any]:
    """Return how a job of a team is launched again after a run of a team."""
    run = world.run(parent)
    return job(team, executionMetadata={"parentRunId": run, "rootRunId": run})


def tagged(key: str, value: Callable[[World], str]) -> None:
    """Take into the list that a run of the own job is given a tag."""

    @attempt(f"launch the own job with the tag {key}", beyond=True)
    def _(world: World, web: Web) -> bool:
        before, given = world.runs(), value(world)
        params = job("corner", executionMetadata={"tags": [{"key": key, "value": given}]})
        web.ask("alice", LAUNCH, params=params)
        return any(run.tags.get(key) == given for run in world.newest(before))


tagged("user", lambda _: "bob")
tagged("dagster/parent_run_id", lambda world: world.run("retail"))
tagged("dagster/backfill", lambda world: world.backfill("retail"))
tagged("dagster/run_key", lambda _: "an arrival of retail's")
tagged("loopline/cycle", lambda _: "a cycle of retail's")
tagged("dagster/sensor_name", lambda _: "watch")
tagged("dagster-k8s/config", lambda _: '{"pod_spec_config": {"service_account_name": "retail"}}')
tagged(".dagster/grpc_info", lambda _: '{"host": "elsewhere"}')


@attempt("launch again under another's name", beyond=True)
def _again_as(world: World, web: Web) -> bool:
    before, own = world.runs(), world.run("corner")
    again = {"parentRunId": own, "strategy": "ALL_STEPS", "extraTags": [{"key": "user", "value": "bob"}]}
    query = "mutation ($again: ReexecutionParams!) {launchRunReexecution(reexecutionParams: $again) {__typename}}"
    web.ask("alice", query, again=again)
    return any(run.tags.get("user") == "bob" for run in world.newest(before))


@attempt("ask for a backfill under another's name")
def _backfill_as(world: World, web: Web) -> bool:
    tags = [{"key": "user", "value": "bob"}]
    query = "mutation ($b: LaunchBackfillParams!) {it: launchPartitionBackfill(backfillParams: $b) {__typename}}"
    web.ask("alice", query, b={**of_days("corner"), "tags": tags, "title": "as bob"})
    (newest,) = world.instance.get_backfills(limit=1)
    return newest.tags.get("user") == "bob"


# backfills
def of_days(*teams: str) -> dict[str, Any]:
    """Return how a backfill of teams' days is asked for."""
    return {"assetSelection": [{"path": [team, "by_day"]} for team in teams], "partitionNames": ["mon"]}


_BACKFILL, _BEGUN = "launchPartitionBackfill(backfillParams: $backfill)", "LaunchBackfillSuccess"
mutation(_BACKFILL, _BEGUN, backfill=of_days("retail"))
mutation(_BACKFILL, _BEGUN, backfill=of_days("corner", "retail"))
mutation(_BACKFILL, _BEGUN, backfill={"partitionsByAssets": [{"assetKey": {"path": ["retail", "orders"]}}]})
mutation(_BACKFILL, _BEGUN, beyond=True, backfill={"partitionsByAssets": [{"assetKey": {"path": ["shared"]}}]})
mutation(_BACKFILL, _BEGUN, backfill={
    "selector": {"partitionSetName": "parted_partition_set",
                 "repositorySelector": {"repositoryLocationName": "retail", "repositoryName": "__repository__"}},
    "partitionNames": ["mon"]})  # fmt: skip
mutation(_BACKFILL, _BEGUN, beyond=True, backfill=lambda world: {
    **of_days("corner"), "tags": [{"key": "dagster/parent_run_id", "value": world.run("retail")}]})  # fmt: skip
mutation("cancelPartitionBackfill(backfillId: $id)", "CancelBackfillSuccess", id=lambda w: w.backfill("retail"))
mutation("resumePartitionBackfill(backfillId: $id)", "ResumeBackfillSuccess", id=lambda w: w.backfill("retail"))
mutation("reexecutePartitionBackfill(reexecutionParams: $again)", _BEGUN,
         again=lambda world: {"parentRunId": ended_backfill(world), "strategy": "ALL_STEPS"})  # fmt: skip


def ended_backfill(world: World) -> str:
    """Return a backfill of retail that is over."""
    backfill_id = world.backfill("retail")
    found = world.instance.get_backfill(backfill_id)
    world.instance.update_backfill(found.with_status(type(found.status).COMPLETED_SUCCESS))
    return backfill_id


# runs, ended and deleted
NOW = "terminatePolicy: MARK_AS_CANCELED_IMMEDIATELY"
for each in ("terminateRun", "terminatePipelineExecution"):
    mutation(f"{each}(runId: $run, {NOW})", "TerminateRunSuccess", run=lambda world: world.run("retail"))
for each in ("deleteRun", "deletePipelineRun"):
    mutation(f"{each}(runId: $run)", "DeletePipelineRunSuccess", run=lambda world: world.run("retail"))


@attempt("end runs by a list of which one is the own")
def _end(world: World, web: Web) -> bool:
    own, other = world.run("corner"), world.run("retail")
    query = f"mutation ($runs: [String!]!) {{terminateRuns(runIds: $runs, {NOW}) {{__typename}}}}"
    web.ask("alice", query, runs=[own, other])
    return world.instance.get_run_by_id(other).status == DagsterRunStatus.CANCELED


@attempt("end a run of what both define", beyond=True)
def _end_shared(world: World, web: Web) -> bool:
    run = world.launch("retail", name="__ASSET_JOB", selector={"assetSelection": [{"path": ["shared"]}]})
    query = f"mutation ($run: String!) {{terminateRun(runId: $run, {NOW}) {{__typename}}}}"
    web.ask("alice", query, run=run)
    return world.instance.get_run_by_id(run).status == DagsterRunStatus.CANCELED


@attempt("delete a run that is of no location")
def _delete_unknown(world: World, web: Web) -> bool:
    run = create_run_for_test(world.instance).run_id
    web.ask("alice", "mutation ($run: String!) {deleteRun(runId: $run) {__typename}}", run=run)
    return not world.instance.has_run(run)


# schedules and sensors
mutation(f"startSensor(sensorSelector: {SENSOR})", "Sensor")
mutation(f"resetSensor(sensorSelector: {SENSOR})", "Sensor")
mutation(f'setSensorCursor(sensorSelector: {SENSOR}, cursor: "9")', "Sensor")
mutation(f'sensorDryRun(selectorData: {SENSOR}, cursor: "9")', "DryRunInstigationTick")
mutation(f"startSchedule(scheduleSelector: {SCHEDULE})", "ScheduleStateResult")
mutation(f"resetSchedule(scheduleSelector: {SCHEDULE})", "ScheduleStateResult")
mutation(f"scheduleDryRun(selectorData: {SCHEDULE}, timestamp: 0)", "DryRunInstigationTick")


def stopped(kind: str, how: str, beyond: bool = False) -> None:
    """Take into the list that retail's sensor or schedule is stopped by ids."""

    @attempt(f"stop a {kind} by {how}" + (", half of it the own" if beyond else ""), beyond)
    def _(world: World, web: Web) -> bool:
        world.start("retail", kind)
        own, other = world.instigator("corner", kind), world.instigator("retail", kind)
        origin, selector = (own[0], other[1]) if beyond else other
        field, names = {
            "sensor": ("stopSensor", ("jobOriginId", "jobSelectorId")),
            "schedule": ("stopRunningSchedule", ("scheduleOriginId", "scheduleSelectorId")),
        }[kind]
        given = {
            "id": f'id: "{origin}::{selector}"',
            "two ids": f'{names[0]}: "{origin}", {names[1]}: "{selector}"',
            "an id for another": f'{names[0]}: "{origin}::{selector}", {names[1]}: "{own[1]}"',
        }[how]
        web.ask("alice", f"mutation {{{field}({given}) {{__typename}}}}")
        return world.state("retail", kind) == "STOPPED"


for kind in ("sensor", "schedule"):
    stopped(kind, "id")
    for how in ("id", "two ids", "an id for another"):
        stopped(kind, how, beyond=True)


@attempt("run a schedule's code by a query", beyond=True)
def _evaluate(_: World, web: Web) -> bool:
    ticks = "futureTicks(limit: 1) {results {evaluationResult {skipReason}}}"
    query = f"{{scheduleOrError(scheduleSelector: {SCHEDULE}) {{... on Schedule {{{ticks}}}}}}}"
    return "no night at retail" in json.dumps(web.ask("vera", query))


@attempt("run a sensor's code by a query", beyond=True)
def _evaluate_sensor(world: World, web: Web) -> bool:
    world.start("retail", "sensor")
    world.ticked("retail")
    tick = "sensorState {nextTick {evaluationResult {skipReason}}}"
    query = f"{{sensorOrError(sensorSelector: {SENSOR}) {{... on Sensor {{{tick}}}}}}}"
    return "nothing came to retail" in json.dumps(web.ask("alice", query))


# what was made
def wiped(name: str, keys: list[list[str]], beyond: bool = False) -> None:
    """Take into the list that the history of assets is wiped, of which the last is the other's."""

    @attempt(name, beyond)
    def _(world: World, web: Web) -> bool:
        for key in keys:
            world.ways["bare"].http.post(f"/report_asset_materialization/{'/'.join(key)}")
        ranges = ", ".join(f"{{assetKey: {{path: {json.dumps(key)}}}}}" for key in keys)
        web.ask("alice", f"mutation {{wipeAssets(assetPartitionRanges: [{ranges}]) {{__typename}}}}")
        return not world.made(*keys[-1])


wiped("wipe an asset", [["retail", "orders"]])
wiped("wipe assets of which one is the own", [["corner", "orders"], ["retail", "orders"]])
wiped("wipe what both define", [["shared"]], beyond=True)
wiped("wipe what is of no location any more", [["gone"]])
mutation("reportRunlessAssetEvents(eventParams: $event)", "ReportRunlessAssetEventsSuccess",
         event={"eventType": "ASSET_MATERIALIZATION", "assetKey": {"path": ["retail", "orders"]}})  # fmt: skip
mutation("reportAssetCheckEvaluations(eventParams: $check)", "ReportAssetCheckEvaluationsSuccess",
         check={"assetKey": {"path": ["retail", "orders"]}, "checkName": "sound", "passed": True})  # fmt: skip


def reported(
    name: str, path: str, body: dict[str, Any] | None = None, who: str = "alice", beyond: bool = False
) -> None:
    """Take into the list that an event is reported over HTTP."""

    @attempt(name, beyond)
    def _(_: World, web: Web) -> bool:
        return web.http.post(path, json=body, headers={HEADER: who}).status_code == 200


_MADE = "/report_asset_materialization"
reported("report by the address", f"{_MADE}/retail/orders", {})
reported("report by the body", f"{_MADE}/", {"asset_key": ["retail", "orders"]})
reported("report by a parameter", f'{_MADE}/?asset_key=["retail","orders"]', {})
reported("report by an address in other words", f"{_MADE}/%72etail%2Forders", {})
reported("report what both define", f"{_MADE}/shared", {}, beyond=True)
reported("report a check", "/report_asset_check/retail/orders", {"check_name": "sound", "passed": True})
reported("report an observation", "/report_asset_observation/retail/orders", {})
reported("report as one who looks", f"{_MADE}/retail/orders", {}, who="vera")
reported("report as an operator", f"{_MADE}/corner/orders", {}, who="otto")
_ADD = "addDynamicPartition(repositorySelector: %s, partitionsDefName: %s, partitionKey: $id)"


def unique(world: World) -> str:
    """Return a partition that there is not yet."""
    return f"new {next(world.numbers)}"


mutation(_ADD % (REPOSITORY % "retail", '"retail_only"'), "AddDynamicPartitionSuccess", id=unique)
mutation(_ADD % (REPOSITORY % "corner", '"customers"'), "AddDynamicPartitionSuccess", beyond=True, id=unique)


@attempt("delete partitions that both know, as the own", beyond=True)
def _delete_partition(world: World, web: Web) -> bool:
    world.instance.add_dynamic_partitions("customers", ["ana"])
    query = "mutation {deleteDynamicPartitions(repositorySelector: %s, partitionsDefName: %s, partitionKeys: %s) %s}"
    web.ask("alice", query % (REPOSITORY % "corner", '"customers"', '["ana"]', "{__typename}"))
    return "ana" not in world.instance.get_dynamic_partitions("customers")


# the whole instance, and what Dagster asks nothing about
mutation('setConcurrencyLimit(concurrencyKey: "gpu", limit: 0)', "")
mutation('deleteConcurrencyLimit(concurrencyKey: "gpu")', "")
mutation('freeConcurrencySlots(runId: "x")', "")
mutation('freeConcurrencySlotsForRun(runId: "x")', "")
mutation("setAutoMaterializePaused(paused: true)", "")
mutation("setNuxSeen", "", beyond=True, who="vera")
mutation(
    'logTelemetry(action: "a", clientTime: "0", clientId: "c", metadata: "{}")', "LogTelemetrySuccess", beyond=True
)

# roles of the own team that do not suffice
mutation("launchRun(executionParams: $params)", "LaunchRunSuccess", who="vera", params=job("corner"))
mutation("launchRun(executionParams: $params)", "LaunchRunSuccess", who="eve", params=job("corner"))
mutation("launchRun(executionParams: $params)", "LaunchRunSuccess", who="zed", params=job("corner"))
mutation("deleteRun(runId: $run)", "DeletePipelineRunSuccess", who="otto", run=lambda world: world.run("corner"))
mutation(f"terminateRun(runId: $run, {NOW})", "TerminateRunSuccess", who="ci", run=lambda world: world.run("corner"))


# what is read
def read(name: str, ask: Callable[[World, Web, str], str], beyond: bool = True) -> None:
    """Take into the list that what a run of retail printed is read."""

    @attempt(name, beyond)
    def _(world: World, web: Web) -> bool:
        return SECRET in ask(world, web, world.printed("retail"))


KEY = '["%s", "compute_logs", "work"]'
_LOG = "{capturedLogs(logKey: [%s]) {stdout}}"
read("read a log by its address", lambda _, web, run: web.get("alice", f"/logs/{run}/compute_logs/work/out").text)
read(
    "read a log by a detour",
    lambda world, web, run: (
        web.get("alice", f"/logs/{world.run('corner')}%2F..%2F{run}%2Fcompute_logs%2Fwork%2Fout").text
    ),
)


def printed(query: str) -> Callable[[World, Web, str], str]:
    """Return what asks for what the run RUN printed, beside the own run OWN."""

    def ask(world: World, web: Web, run: str) -> str:
        own = world.run("corner") if "OWN" in query else ""
        return json.dumps(web.ask("alice", query.replace("OWN", own).replace("RUN", run)))

    return ask


for name, query in {
    "read a log by its key": _LOG % '"RUN", "compute_logs", "work"',
    "read a log by a key with a detour": _LOG % '"OWN", "..", "RUN", "compute_logs", "work"',
    "read a log by a key of one part": _LOG % '"RUN/compute_logs/work"',
    "read a log by its run": '{runOrError(runId: "RUN") {... on Run {capturedLogs(fileKey: "work") {stdout}}}}',
    "read a log by a run in a list": (
        '{runsOrError(limit: 1) {... on Runs {results {capturedLogs(fileKey: "work") {stdout}}}}}'
    ),
}.items():
    read(name, printed(query))
read(
    "follow a log over a websocket",
    lambda _, web, run: followed(web, "alice", f"capturedLogs(logKey: {KEY % run}) {{stdout}}"),
)


def followed(web: Web, who: str, field: str, meanwhile: Callable[[], object] = str) -> str:
    """Return the first that comes of a subscription, before which something happens; why it was refused, if it was."""
    try:
        with web.http.websocket_connect("/graphql", subprotocols=["graphql-ws"], headers={HEADER: who}) as socket:
            socket.send_json({"type": "connection_init"})
            socket.receive_json()
            meanwhile()
            socket.send_json({"type": "start", "id": "1", "payload": {"query": f"subscription {{{field}}}"}})
            return json.dumps(socket.receive_json())
    except WebSocketDisconnect as error:
        return f"{error.code} {error.reason}"


@attempt("download all about a run", beyond=True)
def _debug(world: World, web: Web) -> bool:
    run = world.launch("retail")
    return web.get("alice", f"/download_debug/{run}").status_code == 200


@attempt("learn where a log lies", beyond=True)
def _where(world: World, web: Web) -> bool:
    run = world.printed("retail")
    query = f"{{capturedLogsMetadata(logKey: {KEY % run}) {{stdoutLocation}}}}"
    return run in json.dumps((web.ask("alice", query).get("data") or {}).get("capturedLogsMetadata"))


_SEEN: dict[str, Act] = {
    "read the instance's settings": lambda _, web: bool(
        web.ask("alice", "{instance {info}}")["data"]["instance"]["info"]
    ),
    "open a page without a role": lambda _, web: (
        web.get("zed", "/runs", headers={"accept": "text/html"}).status_code == 200
    ),
    "ask without a role": lambda world, web: (
        world.run("retail") in json.dumps(web.ask("zed", "{runsOrError {... on Runs {results {runId}}}}"))
    ),
    "ask what there is to ask, without a role": lambda _, web: (
        "launchRun" in json.dumps(web.ask("zed", "{__schema {mutationType {fields {name}}}}"))
    ),
}
for name, act in _SEEN.items():
    attempt(name, beyond=True)(act)


def events(run: str) -> str:
    """Return how the events of a run are followed."""
    return f'pipelineRunLogs(runId: "{run}") {{... on PipelineRunLogsSubscriptionSuccess {{run {{runId}}}}}}'


@attempt("follow a run over a websocket, without a role", beyond=True)
def _follow(world: World, web: Web) -> bool:
    run = world.run("retail")
    return run in followed(web, "zed", events(run))


@attempt("go on with a websocket after the sign-out", beyond=True)
def _signed_out(world: World, web: Web) -> bool:
    run = world.run("corner")
    try:
        return run in followed(web, "alice", events(run), lambda: web.sign_in.ended.add("alice"))
    finally:
        web.sign_in.ended.discard("alice")
