"""What we use of Dagster that is not its public API, in one place; its test names what an upgrade broke."""

import contextlib
import gc
import logging
import multiprocessing
import os
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from multiprocessing import forkserver, resource_tracker, util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
import grpc
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition as AssetJob
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.events import DagsterEvent, StepMaterializationData
from dagster._core.instance.ref import InstanceRef
from dagster._core.instance.utils import RUNLESS_JOB_NAME, RUNLESS_RUN_ID
from dagster._core.launcher import DefaultRunLauncher
from dagster._core.remote_representation.code_location import GrpcServerCodeLocation
from dagster._core.scheduler.instigation import InstigatorState
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.runs.sqlite import sqlite_run_storage
from dagster._core.storage.runs.sqlite.sqlite_run_storage import SqliteRunStorage
from dagster._core.storage.schedules.migration import SCHEDULE_JOBS_SELECTOR_ID
from dagster._core.storage.schedules.schema import InstigatorsTable, JobTable
from dagster._core.storage.schedules.sqlite import sqlite_schedule_storage
from dagster._core.storage.schedules.sqlite.sqlite_schedule_storage import SqliteScheduleStorage
from dagster._core.storage.tags import GRPC_INFO_TAG, PARTITION_NAME_TAG
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.workspace import CodeLocationEntry
from dagster._grpc import server_watcher
from dagster._grpc.client import DagsterGrpcClient
from dagster._grpc.server import DagsterApiServer
from dagster._serdes import serialize_value
from dagster._time import get_current_datetime
from sqlalchemy.pool import QueuePool

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from starlette.middleware import Middleware

__all__ = [
    "PARTITION_NAME_TAG",
    "WARM_TAG",
    "AssetJob",
    "CheckOutcome",
    "Process",
    "ask_servers_seldom",
    "finished_checks",
    "follow_workspace",
    "forget_run",
    "fork_run_workers",
    "keep_channels",
    "keep_connections",
    "keep_engines",
    "keep_instance",
    "keep_questions",
    "location_of",
    "process_of",
    "queue_cheaply",
    "refresh_where_new",
    "report_past",
    "tick_cheaply",
    "trust_tables",
    "wrap_web_server",
]

WARM_TAG = GRPC_INFO_TAG
"""Dagster gives it to each run that is a process beside its code server."""
FOLLOW_SECONDS = 2.0
"""Between two looks at a workspace file."""
FINAL = {"SUCCEEDED", "FAILED"}
ASK_SECONDS, ASK_TIMES = 3.0, 3
"""Between two questions whether a code server is still the same, and how many in vain until it is given up."""
QUESTIONS, SHORT = 16, 2000
"""Texts of questions that a web server keeps read, and of how many characters: the watchdog's, not those of pages."""
PURGE_SECONDS = 600.0
"""Between two looks for ticks of a sensor that are old enough to be forgotten."""
HERE = ("127.0.0.1:", "localhost:", "unix:")
"""Beginnings of addresses of this machine."""
CONNECTIONS = 2
"""Connections to a database that a process keeps open; each may hold 2 MB of it."""
ENGINES = 64
"""Engines that a process keeps: three, and one for each run of which events are read."""


@dataclass(frozen=True)
class CheckOutcome:
    """The newest finished execution of an asset check; ``at`` is when it was evaluated (seconds since 1970).

    Once a person has wiped the asset, ``record_id`` may be one that was given before.
    """

    record_id: int
    passed: bool
    reason: str
    at: float

    @property
    def name(self) -> str:
        """Return what no other execution of the check has, before a wipe or after it."""
        return f"{self.record_id}@{self.at:.6f}"


@dataclass(frozen=True)
class Process:
    """A process of this machine that executes a run, and when it said so (seconds since 1970)."""

    pid: int
    said_at: float


def finished_checks(
    instance: dg.DagsterInstance, keys: Sequence[dg.AssetCheckKey]
) -> dict[dg.AssetCheckKey, CheckOutcome]:
    """Read the newest execution of each check in one query, leaving out those that are still planned.

    A record keeps one id from PLANNED to its final status, so a reader that has seen the planned one must look again.
    """
    records = instance.event_log_storage.get_latest_asset_check_execution_by_key(keys)
    outcomes = {}
    for key, record in records.items():
        evaluation = record.event.asset_check_evaluation if record.event else None
        if record.status.value in FINAL and evaluation is not None:
            reason, at = evaluation.metadata.get("reason"), record.event.timestamp if record.event else 0.0
            outcomes[key] = CheckOutcome(record.id, evaluation.passed, str(reason.value) if reason else "", at)
    return outcomes


def process_of(instance: dg.DagsterInstance, run_id: str) -> Process | None:
    """Return the process in which a run was started; None before that, and where runs are launched elsewhere."""
    if not isinstance(instance.run_launcher, DefaultRunLauncher):
        return None
    for entry in instance.all_logs(run_id, of_type=dg.DagsterEventType.ENGINE_EVENT):
        pid = entry.get_dagster_event().engine_event_data.metadata.get("pid")
        if pid is not None:
            return Process(int(str(pid.value)), entry.timestamp)
    return None


def location_of(run: dg.DagsterRun) -> str | None:
    """Return the value of the tag that names a run's repository and code location; None for a run in process."""
    return run.remote_job_origin.repository_origin.get_label() if run.remote_job_origin else None


def forget_run(instance: dg.DagsterInstance, run_id: str) -> None:
    """Delete a run with its events; on SQLite its own file of events goes too, which Dagster empties but leaves."""
    instance.delete_run(run_id)
    storage = instance.event_log_storage
    if type(storage) is SqliteEventLogStorage:
        for ending in ("", "-wal", "-shm"):
            with contextlib.suppress(OSError):
                Path(storage.path_for_shard(run_id) + ending).unlink(missing_ok=True)


def report_past(instance: dg.DagsterInstance, record: dg.EventLogRecord, made: dg.AssetMaterialization) -> None:
    """Report a materialization at the time and in the run of another; in none, if that run was forgotten."""
    known = instance.has_run(record.run_id)
    job = record.event_log_entry.job_name if known else None
    run_id = record.run_id if known else RUNLESS_RUN_ID
    kind = dg.DagsterEventType.ASSET_MATERIALIZATION.value
    event = DagsterEvent(kind, job_name=job or RUNLESS_JOB_NAME, event_specific_data=StepMaterializationData(made))
    instance.report_dagster_event(event, run_id, timestamp=record.timestamp)


def fork_run_workers() -> None:
    """Let code servers of this process start each run as a fork of a warm process, which this one forks off right now.

    Dagster spawns a fresh interpreter a run, which imports everything again: two to three seconds of CPU. The warm
    process has one thread and opens nothing, so that what is forked from it is as good as new. Call it with everything
    imported that a run needs, and before any thread is started: then both share what was imported, 100 MB of memory.
    """
    context = multiprocessing.get_context("forkserver")
    begin = DagsterApiServer.__init__
    _fork_off_server()

    def begin_warm(self: DagsterApiServer, *args: Any, **kwargs: Any) -> None:
        begin(self, *args, **kwargs)
        assert hasattr(self, "_mp_ctx"), "dagster names the code server's multiprocessing context otherwise now"
        self._mp_ctx = context  # type: ignore[assignment]

    DagsterApiServer.__init__ = begin_warm  # type: ignore[method-assign]


def _fork_off_server() -> None:
    """Start Python's fork server as a fork of this process; elsewhere than on Linux as a program of its own."""
    resource_tracker.ensure_running()
    if sys.platform != "linux":  # a fork that goes on with this process's libraries is no sure thing there
        forkserver.ensure_running()
        return
    gc.freeze()  # the collector leaves alone what both share
    spawn = util.spawnv_passfds
    util.spawnv_passfds = _forked  # type: ignore[assignment]
    try:
        forkserver.ensure_running()
    finally:
        util.spawnv_passfds = spawn


def _forked(_: Any, arguments: Sequence[Any], descriptors: Sequence[int]) -> int:
    """Do in a fork what Python would have a new interpreter do: ``-c`` and a line that starts the fork server."""
    pid = os.fork()
    if pid:
        return pid
    try:
        for descriptor in {int(file.name) for file in Path("/proc/self/fd").iterdir()} - {0, 1, 2, *descriptors}:
            with contextlib.suppress(OSError):
                os.close(descriptor)
        exec(arguments[-1], {})  # noqa: S102 - Python's own line
    except SystemExit:
        pass
    finally:
        os._exit(0)


def keep_engines() -> None:
    """Let Dagster's SQLite storages in this process make each of their engines once.

    They make one at each question, and with it an empty cache of compiled statements: 1 to 3 ms of CPU, a dozen times a
    tick of a sensor.
    """
    from sqlalchemy import create_engine

    @lru_cache(ENGINES)
    def made(url: str, *options: tuple[str, Any], **connect: Any) -> "Engine":
        return create_engine(url, connect_args=connect, **dict(options))

    def kept(url: str, connect_args: Mapping[str, Any] | None = None, **options: Any) -> "Engine":
        return made(url, *options.items(), **(connect_args or {}))

    for storage in (sqlite_event_log, sqlite_run_storage, sqlite_schedule_storage):
        assert hasattr(storage, "create_engine"), f"{storage.__name__} makes its engines otherwise now"
        storage.create_engine = kept  # type: ignore[attr-defined]


class _KeptPool(QueuePool):
    """Keeps two connections open, and opens more where they are needed; nobody waits for one."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options | {"pool_size": CONNECTIONS, "max_overflow": -1})


def keep_connections() -> None:
    """Let this process keep connections to Dagster's runs and schedules open, behind ``keep_engines``.

    Dagster opens one at each question. Whoever closes a database's last connection writes its journal back and removes
    it, so at rest each question did that as well. What is forked from this process must not use them.
    """
    for storage in (sqlite_run_storage, sqlite_schedule_storage):
        assert hasattr(storage, "NullPool"), f"{storage.__name__} opens its connections otherwise now"
        storage.NullPool = _KeptPool  # type: ignore[attr-defined]


def trust_tables() -> None:
    """Let this process ask the schedules' database no more for tables and indexes that were found there once.

    Dagster asks three times for each state of a sensor that it reads: they were two thirds of what that costs.
    """
    storage = SqliteScheduleStorage
    for name in ("has_instigators_table", "_has_instigators_table", "has_built_index"):
        setattr(storage, name, _true_for_good(getattr(storage, name)))


def tick_cheaply() -> None:
    """Let a tick write a sensor's state as one thing, and seldom look for old ticks, in this process.

    Dagster reads the state before it writes it, and lets an insert fail to find that it is to be an update.
    """
    storage = SqliteScheduleStorage
    update, purge, purged = storage.update_instigator_state, storage.purge_ticks, dict[tuple[str, ...], float]()

    def at_once(self: SqliteScheduleStorage, state: InstigatorState) -> InstigatorState:
        if self.has_instigators_table() and self.has_built_index(SCHEDULE_JOBS_SELECTOR_ID):
            body, at = serialize_value(state), get_current_datetime()
            values: dict[str, Any] = {"status": state.status.value, "update_timestamp": at}
            ours, old = InstigatorsTable.c.selector_id, JobTable.c.job_origin_id
            is_known = InstigatorsTable.update().where(ours == state.selector_id)
            as_before = JobTable.update().where(old == state.instigator_origin_id)
            with self.connect() as connection:
                kind = {"instigator_type": state.instigator_type.value}
                if connection.execute(is_known.values(**values, **kind, instigator_body=body)).rowcount:
                    connection.execute(as_before.values(**values, selector_id=state.selector_id, job_body=body))
                    return state
        return update(self, state)

    storage.update_instigator_state = at_once  # type: ignore[method-assign, assignment]

    def seldom(
        self: SqliteScheduleStorage, origin_id: str, selector_id: str, before: float, tick_statuses: Any = None
    ) -> None:
        what = (self._conn_string, selector_id, *(status.value for status in tick_statuses or ()))
        if time.monotonic() >= purged.get(what, 0.0):
            purged[what] = time.monotonic() + PURGE_SECONDS
            purge(self, origin_id, selector_id, before, tick_statuses)

    storage.purge_ticks = seldom  # type: ignore[method-assign, assignment]


def queue_cheaply() -> None:
    """Let this process read the runs under way only while a run is queued, and nothing while no run changes.

    Dagster reads both lists at each look into the queue, which is every second: a quarter of what the daemon costs at
    rest. Whether anything was written since tells SQLite; of another database the queue alone is read.
    """
    from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import QueuedRunCoordinatorDaemon as Daemon

    own = Daemon._get_runs_to_dequeue  # noqa: SLF001 - Dagster's, as all here
    empty_at: dict[str, int] = {}

    def look(self: Daemon, instance: dg.DagsterInstance, *args: Any, **kwargs: Any) -> list[dg.DagsterRun]:
        place, written = _written(instance)
        if written is not None and empty_at.get(place) == written:
            return []
        if instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.QUEUED]), limit=1):
            return own(self, instance, *args, **kwargs)
        if written is not None:
            empty_at[place] = written
        return []

    Daemon._get_runs_to_dequeue = look  # type: ignore[method-assign]  # noqa: SLF001


def _written(instance: dg.DagsterInstance) -> tuple[str, int | None]:
    """Return where runs are kept, and a number that changes with each write by whomever; None where nobody tells."""
    storage = instance.run_storage
    if type(storage) is not SqliteRunStorage:
        return "", None
    url = storage._conn_string  # noqa: SLF001
    ((number,),) = _looking(url).execute("PRAGMA data_version").fetchall()
    return url, number


@lru_cache(ENGINES)
def _looking(url: str) -> sqlite3.Connection:
    """Open a database to look at; it must stay open, for its number says what others wrote since it was opened."""
    from sqlalchemy import make_url

    return sqlite3.connect(str(make_url(url).database), check_same_thread=False)


def _true_for_good(own: Callable[..., bool]) -> Callable[..., bool]:
    """Ask an object no more once it has said yes; to each name that it is asked about."""

    def asked(self: object, *args: Any) -> bool:
        name = " ".join(("_kept", own.__name__, *(one for one in args if isinstance(one, str))))
        if name not in vars(self) and own(self, *args):
            vars(self)[name] = True
        return name in vars(self)

    return asked


def ask_servers_seldom() -> None:
    """Let this process ask each code server every three seconds whether it is still the same, not every second."""
    for name, value in (("WATCH_INTERVAL", ASK_SECONDS), ("MAX_RECONNECT_ATTEMPTS", ASK_TIMES)):
        assert hasattr(server_watcher, name), f"{name} is called otherwise now"
        setattr(server_watcher, name, value)


def keep_channels() -> None:
    """Let this process keep a channel to each code server of its own machine, until a question finds the server away.

    Dagster opens one, and with it a connection, at each question: two thirds of what asking for a server's id costs.
    Of another machine an address may be another's tomorrow without a word, so there it is as ever.
    """
    own, kept = DagsterGrpcClient._channel, dict[str, Any]()  # noqa: SLF001 - Dagster's, as all here

    @contextlib.contextmanager
    def channel(self: DagsterGrpcClient) -> Iterator[grpc.Channel]:
        place = self._server_address
        if self.use_ssl or not place.startswith(HERE):
            with own(self) as made:
                yield made
            return
        if (one := kept.get(place)) is None:
            made_by = own(self)
            one = kept.setdefault(place, (made_by.__enter__(), made_by))
        # whoever still asks holds it: it is closed behind the last of them
        try:
            yield one[0]
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.UNAVAILABLE and kept.get(place) is one:
                del kept[place]
            raise

    DagsterGrpcClient._channel = channel  # type: ignore[method-assign]  # noqa: SLF001


def refresh_where_new() -> None:
    """Let this process read the definitions of code servers again only where one is another than it was.

    The daemon does so each minute, whatever it has: half a second of CPU a minute, and as much in the servers. Whoever
    began to read when one server was there may have ended with the next, so what was read counts from the second time.
    """
    own, settled = WorkspaceProcessContext.refresh_workspace, dict[str, str]()

    def refresh(self: WorkspaceProcessContext) -> None:
        before = self.get_current_workspace().code_location_entries
        origins = {origin.location_name: origin for origin in self._origins}
        if origins == {name: entry.origin for name, entry in before.items()} and all(
            settled.get(name) == _server_now(entry) for name, entry in before.items()
        ):
            return
        own(self)
        after = self.get_current_workspace().code_location_entries
        servers = {name: _server_of(entry) for name, entry in after.items()}
        known = {name: _server_of(entry) for name, entry in before.items()}
        settled.clear()
        settled.update({name: server for name, server in servers.items() if server and server == known.get(name)})

    WorkspaceProcessContext.refresh_workspace = refresh  # type: ignore[method-assign]


def _server_of(entry: CodeLocationEntry) -> str:
    """Return which process gave a location's definitions; "" where they could not be read, or none did."""
    location = entry.code_location
    return location.server_id if isinstance(location, GrpcServerCodeLocation) and not entry.load_error else ""


def _server_now(entry: CodeLocationEntry) -> str:
    """Return which process answers for a location now, if it is the one that gave its definitions; else ""."""
    known = _server_of(entry)
    if isinstance(entry.code_location, GrpcServerCodeLocation):
        with contextlib.suppress(DagsterUserCodeUnreachableError):
            if entry.code_location.client.get_server_id(timeout=int(ASK_SECONDS)) == known:
                return known
    return ""


def follow_workspace(file: str) -> None:
    """Let the web server of this process take up code locations that come to stand in its workspace file, or leave it.

    Dagster reads the file at each reload, which only a person asks for; the daemon does so once a minute.
    """
    from dagster_webserver.webserver import DagsterWebserver

    begin = DagsterWebserver.__init__

    def begin_and_follow(self: "DagsterWebserver[Any, Any]", process_context: Any, *args: Any, **kwargs: Any) -> None:
        begin(self, process_context, *args, **kwargs)
        assert hasattr(process_context, "refresh_workspace"), "dagster names its workspace's refresh otherwise now"
        known = Path(file).read_text(encoding="utf-8")
        threading.Thread(target=_follow, args=(file, known, process_context), daemon=True).start()

    DagsterWebserver.__init__ = begin_and_follow  # type: ignore[method-assign]


def _follow(file: str, known: str, context: Any) -> None:
    while True:
        time.sleep(FOLLOW_SECONDS)
        try:
            text = Path(file).read_text(encoding="utf-8")
            if text != known:
                context.refresh_workspace()
                known = text
        except Exception:  # half a file, or a team's server that does not answer: looked at again
            logging.getLogger("loopline").exception("the workspace %s could not be taken up", file)


def keep_instance() -> None:
    """Let this process open an instance of Dagster once, and never close it.

    A code server opens one at each tick of a sensor or schedule, which reads all of Dagster's migrations: 40 ms of CPU.
    """
    opened: list[tuple[InstanceRef, dg.DagsterInstance]] = []
    own, alone = dg.DagsterInstance.from_ref, threading.Lock()

    def kept(ref: InstanceRef) -> dg.DagsterInstance:
        with alone:
            known = next((instance for before, instance in opened if before == ref), None)
            if known is None:
                known = own(ref)
                known.dispose = lambda: None  # type: ignore[method-assign]
                opened.append((ref, known))
            return known

    dg.DagsterInstance.from_ref = staticmethod(kept)  # type: ignore[method-assign, assignment]


def keep_questions() -> None:
    """Let the web server of this process read and check the text of a short question once.

    The watchdog asks the same few all day, and Dagster holds each against all rules of GraphQL before it answers.
    """
    asked: Any = import_module("dagster_webserver.graphql")
    parse, validate = asked.parse, asked.validate
    kept = lru_cache(QUESTIONS)(parse)

    @lru_cache(QUESTIONS)
    def judged(schema: _Same, document: _Same, rules: _Same) -> Any:
        return validate(schema.thing, document.thing, rules=rules.thing)

    def parsed(query: str) -> Any:
        return kept(query) if len(query) <= SHORT else parse(query)

    def validated(schema: Any, document: Any, rules: Any = None) -> Any:
        if document.loc is None or len(document.loc.source.body) > SHORT:
            return validate(schema, document, rules=rules)
        return judged(_Same(schema), _Same(document), _Same(rules))

    asked.parse, asked.validate = parsed, validated


class _Same:
    """Stands for one object and for no other that is like it."""

    def __init__(self, thing: Any) -> None:
        self.thing = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.thing is other.thing

    def __hash__(self) -> int:
        return id(self.thing)


def wrap_web_server(*middleware: "Middleware") -> None:
    """Let Dagster's web server of this process stand behind middleware, the first outermost; websockets as well."""
    from dagster_webserver.webserver import DagsterWebserver

    own = DagsterWebserver.build_middleware

    def build(self: DagsterWebserver[Any, Any]) -> "list[Middleware]":
        return [*middleware, *own(self)]

    DagsterWebserver.build_middleware = build  # type: ignore[method-assign]
