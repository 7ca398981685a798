"""What we use of Dagster that it does not promise to keep: when an upgrade fails, this test says which part it was."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import psutil
import pytest

import loopline.asset_defs
from loopline.asset_defs.private.dagster_private import CheckOutcome, DagsterApiServer, finished_checks

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


def test_a_code_server_starts_runs_by_the_context_that_we_replace():
    """The server keeps one multiprocessing context and makes each run's process by it; see ``fork_run_workers``."""
    source = inspect.getsource(DagsterApiServer)
    assert source.count("self._mp_ctx = multiprocessing.get_context(") == 1
    assert "self._mp_ctx.Process(" in source


def test_no_other_module_uses_what_is_private():
    """``dagster._...`` is imported in one module, one of base classes, and two of the web server."""
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
    }


WARM = """
import os, sys, tempfile, time
from loopline.asset_defs.private import dagster_private
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
