"""Private Dagster APIs that we use; a test names what an upgrade broke."""

import contextlib
import gc
import multiprocessing
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import forkserver, resource_tracker, util
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._grpc.server import DagsterApiServer

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition as AssetJob  # noqa: TC004

__all__ = [
    "WARM_TAG",
    "AssetJob",
    "CheckOutcome",
    "finished_checks",
    "forget_run",
    "fork_run_workers",
    "location_of",
]

WARM_TAG = ".dagster/grpc_info"
"""Dagster gives it to each run that is a process beside its code server."""
FINAL = {"SUCCEEDED", "FAILED"}


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
