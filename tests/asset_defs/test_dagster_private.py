"""What we use of Dagster that it does not promise to keep: when an upgrade fails, this test says which part it was."""

import ast
import inspect
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import grpc
import psutil
import pytest
import sqlalchemy
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.remote_origin import GrpcServerCodeLocationOrigin, RemoteInstigatorOrigin, RemoteRepositoryOrigin
from dagster._core.run_coordinator import QueuedRunCoordinator
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    SensorInstigatorData,
    TickData,
    TickStatus,
)
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.runs.sqlite import sqlite_run_storage
from dagster._core.storage.schedules.migration import SCHEDULE_JOBS_SELECTOR_ID
from dagster._core.storage.schedules.sqlite import sqlite_schedule_storage
from dagster._core.storage.schedules.sqlite.sqlite_schedule_storage import SqliteScheduleStorage
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon
from dagster._grpc import server_watcher
from dagster._grpc.client import DagsterGrpcClient
from dagster_graphql.schema import create_schema
from dagster_webserver import graphql as webserver_graphql
from graphql import specified_rules
from sqlalchemy import create_engine

import loopline.asset_defs
from loopline.asset_defs import dagster_private
from loopline.asset_defs.dagster_private import (
    PURGE_SECONDS,
    SHORT,
    AssetJob,
    CheckOutcome,
    DagsterApiServer,
    ask_servers_seldom,
    finished_checks,
    keep_channels,
    keep_connections,
    keep_engines,
    keep_instance,
    keep_questions,
    process_of,
    queue_cheaply,
    refresh_where_new,
    tick_cheaply,
    trust_tables,
)
from loopline.up.ports import free_port

ASSET = dg.AssetKey(["tiny", "drift", "one"])
CHECK = dg.AssetCheckKey(ASSET, "drift")
OTHER = dg.AssetCheckKey(dg.AssetKey(["tiny", "drift", "two"]), "drift")


def watched(seen: list[Any], passed: bool, reason: str | None = "3 columns") -> dg.JobDefinition:
    """Build a job whose asset looks at its own check before it has a result."""

    @dg.asset(key=ASSET, check_specs=[dg.AssetCheckSpec("drift", asset=ASSET)])
    def drift(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        storage = context.instance.event_log_storage
        seen.append(storage.get_latest_asset_check_execution_by_key([CHECK])[CHECK])
        seen.append(finished_checks(context.instance, [CHECK, OTHER]))
        metadata = {"reason": reason} if reason else {}
        result = dg.AssetCheckResult(check_name="drift", passed=passed, metadata=metadata)
        return dg.MaterializeResult(check_results=[result])

    definitions = dg.Definitions(assets=[drift], jobs=[dg.define_asset_job("watch", [drift])])
    return definitions.resolve_job_def("watch")


@pytest.fixture
def instance() -> Any:
    """Give an instance in memory."""
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def test_a_planned_check_is_not_a_finished_one(instance):
    """While its run is under way a check's record is PLANNED and is left out; the same record then has the result."""
    seen: list[Any] = []
    assert watched(seen, passed=False).execute_in_process(instance=instance).success
    planned, finished = seen
    assert planned.status.value == "PLANNED"
    assert finished == {}
    outcome = finished_checks(instance, [CHECK, OTHER])
    assert outcome == {CHECK: CheckOutcome(planned.id, passed=False, reason="3 columns", at=outcome[CHECK].at)}


def test_a_later_execution_has_a_later_record(instance):
    """Ids grow, by which a sensor knows what it has seen; the newest finished one counts, and may give no reason."""
    watched([], passed=False).execute_in_process(instance=instance)
    first = finished_checks(instance, [CHECK])[CHECK]
    watched([], passed=True, reason=None).execute_in_process(instance=instance)
    second = finished_checks(instance, [CHECK])[CHECK]
    assert second.record_id > first.record_id
    assert (second.passed, second.reason) == (True, "")


def test_a_planned_check_hides_the_finished_one_before_it(instance):
    """While the next look is under way there is no finished one: a sensor waits, and misses nothing."""
    watched([], passed=False).execute_in_process(instance=instance)
    seen: list[Any] = []
    watched(seen, passed=True).execute_in_process(instance=instance)
    assert seen[1] == {}


def test_a_check_that_was_never_executed_has_no_outcome(instance):
    """An unknown key is left out, as is a run that died before its check had a result."""
    assert finished_checks(instance, [CHECK, OTHER]) == {}
    job = watched([], passed=True)
    instance.create_run_for_job(job)
    assert finished_checks(instance, [CHECK]) == {}


def test_checks_reported_from_outside_count_too(instance):
    """A result without a run has a record as well."""
    evaluation = dg.AssetCheckEvaluation(check_name="drift", asset_key=ASSET, passed=False)
    instance.report_runless_asset_event(evaluation)
    assert not finished_checks(instance, [CHECK])[CHECK].passed


def test_a_run_names_its_process():
    """The first engine event with a process id is of the process in which the run began; before that there is none."""
    job = watched([], passed=True)
    with dg.DagsterInstance.local_temp() as instance:
        assert process_of(instance, instance.create_run_for_job(job).run_id) is None
        before = time.time()
        run = job.execute_in_process(instance=instance)
        process = process_of(instance, run.run_id)
    assert process.pid == os.getpid()
    assert before <= process.said_at <= time.time()


def test_a_run_that_is_launched_elsewhere_names_none(instance):
    """Where another launcher than this machine's starts runs, a process id means nothing here."""
    run = watched([], passed=True).execute_in_process(instance=instance)
    assert process_of(instance, run.run_id) is None


def test_an_asset_job_is_of_the_private_type():
    """``define_asset_job`` still returns the type under which ``team_jobs`` names it."""
    assert isinstance(dg.define_asset_job("any", [ASSET]), AssetJob)


def test_a_code_server_starts_runs_by_the_context_that_we_replace():
    """The server keeps one multiprocessing context and makes each run's process by it; see ``fork_run_workers``."""
    source = inspect.getsource(DagsterApiServer)
    assert source.count("self._mp_ctx = multiprocessing.get_context(") == 1
    assert "self._mp_ctx.Process(" in source


def test_no_other_module_uses_what_is_private():
    """``dagster._...`` is imported in one module, one of base classes, and Dagster's own command under another name."""
    folder = Path(loopline.asset_defs.__file__).parent
    found = {
        file.name
        for file in folder.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("dagster.")
    }
    assert found == {
        "dagster_private.py",
        "dagster_web_private.py",
        "dagster_web_things.py",
        "dagster_bases.py",
        "code_server.py",
    }


@pytest.fixture
def ours_again(monkeypatch):
    """Put back after the test what it replaces in Dagster."""
    for storage in (sqlite_event_log, sqlite_run_storage, sqlite_schedule_storage):
        monkeypatch.setattr(storage, "create_engine", storage.create_engine)
        monkeypatch.setattr(storage, "NullPool", storage.NullPool)
    tables = ("has_instigators_table", "_has_instigators_table", "has_built_index")
    for name in (*tables, "purge_ticks", "update_instigator_state"):
        monkeypatch.setattr(SqliteScheduleStorage, name, getattr(SqliteScheduleStorage, name))
    for name in ("WATCH_INTERVAL", "MAX_RECONNECT_ATTEMPTS"):
        monkeypatch.setattr(server_watcher, name, getattr(server_watcher, name))
    monkeypatch.setattr(dg.DagsterInstance, "from_ref", staticmethod(dg.DagsterInstance.from_ref))


@pytest.fixture
def on_disk(tmp_path, ours_again):
    """Give an instance on SQLite, as a laptop has it."""
    with dg.DagsterInstance.local_temp(str(tmp_path)) as made:
        yield made


def test_an_engine_is_made_once_and_shared_by_nothing_else(on_disk, monkeypatch):
    """A question makes no engine when one for the same file was made before; what is asked is answered as ever."""
    keep_engines()
    made = []
    monkeypatch.setattr(sqlalchemy, "create_engine", lambda url, **how: made.append(url) or create_engine(url, **how))
    keep_engines()
    for _ in range(3):
        assert [run.run_id for run in on_disk.get_runs()] == []
        assert on_disk.all_instigator_state() == []
        assert finished_checks(on_disk, [CHECK]) == {}
    assert len(made) == len(set(made)) == 3


def test_an_instance_is_opened_once_and_outlives_its_users(on_disk):
    """Each tick closes what it has opened; the next one, of any thread, gets the same, which still answers."""
    keep_instance()
    ref = on_disk.get_ref()
    with dg.DagsterInstance.from_ref(ref) as first:
        watched([], passed=True).execute_in_process(instance=first)
    with ThreadPoolExecutor(4) as threads:
        others = [*threads.map(dg.DagsterInstance.from_ref, [ref] * 8)]
    assert all(other is first for other in others)
    assert len(first.get_runs()) == 1
    with dg.DagsterInstance.local_temp() as another:
        assert dg.DagsterInstance.from_ref(another.get_ref()) is not first


def ticked(instance, at: float) -> None:
    """Leave a tick of a sensor that was skipped."""
    instance.create_tick(TickData("origin", "sensor", InstigatorType.SENSOR, TickStatus.SKIPPED, at, selector_id="s"))


def test_old_ticks_are_looked_for_now_and_then(on_disk, monkeypatch):
    """The first look forgets them, those right behind it do nothing; when the time has come it is done again."""
    tick_cheaply()
    monkeypatch.setattr(dagster_private, "time", SimpleNamespace(monotonic=lambda: clock[0]))
    clock, skipped = [1000.0], [TickStatus.SKIPPED]
    ticked(on_disk, 5.0)
    for passed, left in ((0.0, 0), (1.0, 1), (PURGE_SECONDS, 0)):
        clock[0] += passed
        on_disk.purge_ticks("origin", "s", 10.0, skipped)
        assert len(on_disk.get_ticks("origin", "s")) == left
        ticked(on_disk, 6.0)


def test_tables_are_listed_until_they_are_there(on_disk, monkeypatch):
    """A storage that has its table or its index once has it for good; one that has not is asked again."""
    trust_tables()
    storage = on_disk.schedule_storage
    listed = []
    real = sqlalchemy.inspect
    monkeypatch.setattr(sqlalchemy, "inspect", lambda what: listed.append(what) or real(what))
    assert [storage.has_instigators_table() for _ in range(5)] == [True] * 5
    assert len(listed) == 1
    assert [storage.has_built_index(SCHEDULE_JOBS_SELECTOR_ID) for _ in range(5)] == [True] * 5
    assert len(listed) == 2
    assert [storage.has_built_index("one to come") for _ in range(2)] == [False] * 2
    storage.mark_index_built("one to come")
    assert storage.has_built_index("one to come")


def asked(monkeypatch) -> list[str]:
    """Keep what the schedules' database is asked from now on."""
    statements: list[str] = []
    real = sqlalchemy.engine.default.DefaultDialect.do_execute

    def do(self, cursor, statement, parameters, context=None):
        statements.append(statement.split()[0])
        return real(self, cursor, statement, parameters, context)

    monkeypatch.setattr(sqlalchemy.engine.default.DefaultDialect, "do_execute", do)
    return statements


def state_of(port: int, cursor: str) -> InstigatorState:
    """Return the state of a sensor of a code server at a port."""
    server = GrpcServerCodeLocationOrigin(host="localhost", port=port, location_name="shops")
    origin = RemoteInstigatorOrigin(RemoteRepositoryOrigin(server, "any"), "sensor")
    data = SensorInstigatorData(cursor=cursor)
    return InstigatorState(origin, InstigatorType.SENSOR, InstigatorStatus.RUNNING, data)


def test_a_sensors_state_is_written_as_one_thing(on_disk, monkeypatch):
    """Two statements write it, none asks before; Dagster finds what is written and of one that is unknown it says so.

    A code server that began again at another port has the same sensors, of which the old table knows nothing.
    """
    trust_tables()
    tick_cheaply()
    with pytest.raises(dg.DagsterInvariantViolationError, match="not present"):
        on_disk.update_instigator_state(state_of(1, "none"))
    on_disk.add_instigator_state(state_of(1, "first"))
    statements = asked(monkeypatch)
    on_disk.update_instigator_state(state_of(1, "second"))
    assert statements == ["UPDATE"] * 2
    stopped = state_of(2, "third").with_status(InstigatorStatus.STOPPED)
    on_disk.update_instigator_state(stopped)
    monkeypatch.undo()
    assert on_disk.get_instigator_state("whose", stopped.selector_id) == stopped
    kind, only = InstigatorType.SENSOR, {InstigatorStatus.STOPPED}
    assert on_disk.all_instigator_state(instigator_type=kind, instigator_statuses=only) == [stopped]


def test_connections_are_kept_and_nobody_waits_for_one(on_disk, monkeypatch):
    """Questions one by one share a connection; more at once than are kept get their own; what others write is seen."""
    keep_engines()
    keep_connections()
    opened = []
    real = sqlite3.connect
    monkeypatch.setattr(sqlite3.dbapi2, "connect", lambda *args, **how: opened.append(args) or real(*args, **how))
    storage, at_once = on_disk.schedule_storage, 8
    for _ in range(5):
        assert on_disk.all_instigator_state() == []
        assert on_disk.get_runs() == []
    assert len(opened) == 2
    barrier = threading.Barrier(at_once)

    def wait_inside(_: int) -> int:
        with storage.connect() as connection:
            barrier.wait(30)
            return connection.execute(sqlalchemy.text("SELECT 1")).scalar()

    with ThreadPoolExecutor(at_once) as threads:
        assert [*threads.map(wait_inside, range(at_once))] == [1] * at_once
    monkeypatch.undo()
    with dg.DagsterInstance.from_ref(on_disk.get_ref()) as other:
        other.add_instigator_state(state_of(1, "of another"))
    assert [one.instigator_data.cursor for one in on_disk.all_instigator_state()] == ["of another"]


def test_a_question_is_read_and_checked_once(monkeypatch):
    """What is wrong stays wrong, another question of the same length is another, and a page's long one is not kept."""
    for name in ("parse", "validate"):
        monkeypatch.setattr(webserver_graphql, name, getattr(webserver_graphql, name))
    read, checked = [], []
    real_parse, real_validate = webserver_graphql.parse, webserver_graphql.validate
    monkeypatch.setattr(webserver_graphql, "parse", lambda text: read.append(text) or real_parse(text))
    monkeypatch.setattr(
        webserver_graphql, "validate", lambda *args, **how: checked.append(args) or real_validate(*args, **how)
    )
    keep_questions()
    schema, rules = create_schema().graphql_schema, [*specified_rules]

    def mistakes(text: str) -> list[str]:
        document = webserver_graphql.parse(text)
        return [one.message for one in webserver_graphql.validate(schema, document, rules=rules)]

    for _ in range(3):
        assert mistakes("{version}") == []
        assert "nothing" in mistakes("{nothing}")[0]
    assert len(read) == len(checked) == 2
    for _ in range(2):
        assert mistakes("{version}" + " " * SHORT) == []
    assert len(read) == len(checked) == 4
    assert webserver_graphql.validate(schema, webserver_graphql.parse("{version}"), rules=[]) == []
    assert len(checked) == 5


@pytest.fixture
def look(monkeypatch):
    """Give what the daemon does at a look into the queue: the ids of the runs that are to begin."""
    name = "_get_runs_to_dequeue"
    monkeypatch.setattr(QueuedRunCoordinatorDaemon, name, getattr(QueuedRunCoordinatorDaemon, name))
    monkeypatch.setattr(dg.DagsterInstance, "run_coordinator", QueuedRunCoordinator())
    queue_cheaply()
    daemon = QueuedRunCoordinatorDaemon(interval_seconds=1)

    def looked(instance):
        return [run.run_id for run in getattr(daemon, name)(instance, instance.get_concurrency_config(), None)]

    return looked


def queued(instance) -> str:
    """Put a run into the queue, as of a code server that nobody asks."""
    server = GrpcServerCodeLocationOrigin(host="localhost", port=1)
    origin = RemoteRepositoryOrigin(server, "any").get_job_origin("watch")
    status = dg.DagsterRunStatus.QUEUED
    return instance.create_run_for_job(watched([], passed=True), status=status, remote_job_origin=origin).run_id


def test_the_queue_is_read_where_something_was_written(on_disk, look, monkeypatch):
    """No look reads a run while none was written since the queue was empty; one that is queued is seen."""
    read = []
    real = type(on_disk).get_runs
    monkeypatch.setattr(type(on_disk), "get_runs", lambda *args, **how: read.append(how) or real(*args, **how))
    assert [look(on_disk) for _ in range(3)] == [[], [], []]
    assert len(read) == 1
    run = queued(on_disk)
    assert [look(on_disk) for _ in range(2)] == [[run], [run]]
    on_disk.delete_run(run)
    on_disk.create_run_for_job(watched([], passed=True), status=dg.DagsterRunStatus.STARTED)
    read.clear()
    assert [look(on_disk) for _ in range(3)] == [[], [], []]
    assert len(read) == 1


def test_a_queue_of_another_database_is_read_at_each_look(instance, look):
    """Only SQLite tells whether something was written."""
    assert look(instance) == []
    assert [queued(instance)] == look(instance)


def test_code_servers_are_asked_seldom(ours_again):
    """Dagster reads both when a watch begins."""
    ask_servers_seldom()
    source = inspect.getsource(server_watcher.watch_grpc_server_thread)
    assert '"watch_interval", WATCH_INTERVAL' in source
    assert "MAX_RECONNECT_ATTEMPTS" in source
    assert server_watcher.WATCH_INTERVAL * server_watcher.MAX_RECONNECT_ATTEMPTS <= 10


SENSORS = """
import dagster as dg

@dg.sensor(job_name="any")
def {name}(context):
    yield dg.SkipReason("never")

defs = dg.Definitions(sensors=[{name}], jobs=[dg.GraphDefinition("any").to_job()])
"""


@contextmanager
def serving(folder: Path, port: int, sensor: str) -> Iterator[None]:
    """Let a code server of one sensor answer at a port."""
    (folder / "sensors.py").write_text(SENSORS.format(name=sensor))
    command = ("-m", "dagster", "api", "grpc", "--python-file", str(folder / "sensors.py"), "--port", str(port))
    with subprocess.Popen([sys.executable, *command]) as server:
        try:
            client = DagsterGrpcClient(port=port, host="localhost")
            wait_until(lambda: client.health_check_query() == "SERVING")
            yield
        finally:
            server.kill()


def wait_until(holds: Callable[[], bool]) -> None:
    """Wait for what comes to hold."""
    give_up = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < give_up
        time.sleep(0.1)  # between two looks


@pytest.mark.filterwarnings("ignore:Error loading repository location")
def test_definitions_are_read_again_where_a_server_is_another(tmp_path, on_disk, monkeypatch):
    """Once the same server gave them twice they stand; a new one's, a dead one and what is new in the file are seen."""
    monkeypatch.setattr(WorkspaceProcessContext, "refresh_workspace", WorkspaceProcessContext.refresh_workspace)
    monkeypatch.setattr(server_watcher, "WATCH_INTERVAL", 600)  # who looks by himself would hide what is looked for
    read = []
    real = WorkspaceProcessContext._load_location
    monkeypatch.setattr(
        WorkspaceProcessContext, "_load_location", lambda *args, **how: read.append(args) or real(*args, **how)
    )
    refresh_where_new()
    file, port = tmp_path / "workspace.yaml", free_port()
    entry = "  - grpc_server: {{host: localhost, port: {}, location_name: {}}}\n"
    file.write_text("load_from:\n" + entry.format(port, "one"))

    def refreshed() -> tuple[int, dict[str, list[str]]]:
        read.clear()
        context.refresh_workspace()
        found = context.get_current_workspace().code_location_entries
        return len(read), {name: sensors(one.code_location) for name, one in found.items()}

    def sensors(location: Any) -> list[str]:
        repositories = location.get_repositories().values() if location else ()
        return [sensor.name for repository in repositories for sensor in repository.get_sensors()]

    with ExitStack() as stack:
        with serving(tmp_path, port, "first"):
            context = stack.enter_context(WorkspaceProcessContext(on_disk, WorkspaceFileTarget([str(file)])))
            assert [refreshed() for _ in range(3)] == [(many, {"one": ["first"]}) for many in (1, 0, 0)]
        assert [refreshed() for _ in range(2)] == [(1, {"one": []})] * 2
        with serving(tmp_path, port, "second"):
            assert [refreshed() for _ in range(3)] == [(many, {"one": ["second"]}) for many in (1, 1, 0)]
            file.write_text(file.read_text() + entry.format(port, "two"))
            both = {"one": ["second"], "two": ["second"]}
            assert [refreshed() for _ in range(3)] == [(many, both) for many in (2, 2, 0)]
            file.write_text("load_from:\n" + entry.format(port, "two"))
            assert refreshed() == (1, {"two": ["second"]})


def test_a_channel_is_kept_until_its_server_is_away(tmp_path, monkeypatch):
    """Questions one by one and at once use one; a dead server is told, its successor answers the first question."""
    monkeypatch.setattr(DagsterGrpcClient, "_channel", DagsterGrpcClient._channel)
    made = []
    real = grpc.insecure_channel
    monkeypatch.setattr(grpc, "insecure_channel", lambda place, **how: made.append(place) or real(place, **how))
    port = free_port()
    client, elsewhere = (DagsterGrpcClient(port=port, host=host) for host in ("127.0.0.1", "0.0.0.0"))
    with serving(tmp_path, port, "first"):
        keep_channels()
        made.clear()
        first = client.get_server_id()
        with ThreadPoolExecutor(4) as threads:
            assert set(threads.map(lambda _: client.get_server_id(), range(8))) == {first}
        assert made == [f"127.0.0.1:{port}"]
        assert [elsewhere.get_server_id() for _ in range(2)] == [first] * 2
        assert made[1:] == [f"0.0.0.0:{port}"] * 2
    for _ in range(2):
        with pytest.raises(DagsterUserCodeUnreachableError):
            client.get_server_id()
    with serving(tmp_path, port, "second"):
        assert client.get_server_id() not in {first, None}


WARM = """
import os, sys, tempfile, time
from loopline.asset_defs import dagster_private
with tempfile.TemporaryFile() as held:
    dagster_private.fork_run_workers()
    from multiprocessing import forkserver, get_context
    def main():
        context = get_context("forkserver")
        pipe, end = context.Pipe()
        worker = context.Process(target=os.write, args=(1, b"answered\\n"))
        worker.start(); worker.join()
        print(forkserver._forkserver._forkserver_pid, os.getpid(), worker.exitcode, flush=True)
        descriptors = os.listdir(f"/proc/{forkserver._forkserver._forkserver_pid}/fd")
        print(any(os.path.realpath(f"/proc/self/fd/{held.fileno()}") == os.path.realpath(
            f"/proc/{forkserver._forkserver._forkserver_pid}/fd/{one}") for one in descriptors), flush=True)
        time.sleep(60)  # until it is killed
    if __name__ == "__main__":
        main()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere Python's own fork server is started")
def test_runs_are_forks_of_a_fork_that_ends_with_its_server(tmp_path):
    """The warm process is our child and holds none of our files; killed as we are, it does not stay behind."""
    script = tmp_path / "server.py"
    script.write_text(WARM)
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == "answered\n"
        warm, own, code = map(int, server.stdout.readline().split())
        assert (own, code) == (server.pid, 0)
        assert psutil.Process(warm).ppid() == server.pid
        assert server.stdout.readline() == "False\n"
        server.kill()
    psutil.wait_procs([process for process in psutil.process_iter() if process.pid == warm], timeout=60)
    assert not psutil.pid_exists(warm)
