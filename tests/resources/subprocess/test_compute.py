"""The compute that starts a process for each task."""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest

from loopline.platform_core.errors import InvalidSpec, TaskFailed, Transient
from loopline.platform_core.testing.compute import FRAGILE, PAIR, SLOW, SMALL, ComputeKit, calls
from loopline.resources.subprocess.compute import SubprocessCompute
from tests.waiting import until


class TestSubprocessCompute(ComputeKit):
    tested_on = "this machine"

    @pytest.fixture
    def compute(self, tmp_path: Path) -> SubprocessCompute:
        """One with its own root."""
        return SubprocessCompute(root=tmp_path / "compute")


@pytest.fixture
def compute(tmp_path: Path) -> SubprocessCompute:
    """One with its own root."""
    return SubprocessCompute(root=tmp_path / "compute")


def _asks(compute: SubprocessCompute, folder: Path) -> None:
    asked = compute.run(SLOW, {"folder": str(folder), "value": 7}, SMALL, "shared")
    assert asked == {"value": 7, "before": 0}


def _asks_elsewhere(compute: SubprocessCompute, folder: Path) -> BaseProcess:
    caller = multiprocessing.get_context("fork").Process(target=_asks, args=(compute, folder))
    caller.start()
    return caller


def test_killed_caller_leaves_the_worker_at_work(compute: SubprocessCompute, tmp_path: Path) -> None:
    """A caller is killed (-9) in mid-task: the next caller gets the result of the very same run."""
    caller = _asks_elsewhere(compute, tmp_path)
    until(lambda: calls(tmp_path), 300)
    caller.kill()
    caller.join()
    _asks(compute, tmp_path)
    assert calls(tmp_path) == 1


def test_two_processes_with_one_key_run_it_once(compute: SubprocessCompute, tmp_path: Path) -> None:
    """Two processes ask at once; one run answers both."""
    caller = _asks_elsewhere(compute, tmp_path)
    _asks(compute, tmp_path)
    caller.join()
    assert (caller.exitcode, calls(tmp_path)) == (0, 1)


def test_killed_worker_is_transient_and_runs_anew(compute: SubprocessCompute, tmp_path: Path) -> None:
    """A worker is killed (-9): the caller may try again, and the key is free."""
    deadly = "loopline.platform_core.testing.compute:killed_once"
    with pytest.raises(Transient, match="was killed"):
        compute.run(deadly, {"folder": str(tmp_path)}, SMALL, "k")
    assert compute.run(deadly, {"folder": str(tmp_path)}, SMALL, "k") == "alive"


def test_failure_shows_the_traceback_and_keeps_the_log(compute: SubprocessCompute, tmp_path: Path) -> None:
    """The error names the line that raised, and the log holds everything."""
    with pytest.raises(TaskFailed) as caught:
        compute.run(FRAGILE, {"folder": str(tmp_path)}, SMALL, "k")
    assert "ValueError: the cup fell" in caught.value.problem
    assert 'raise ValueError("the cup fell")' in caught.value.fix
    assert "the cup fell" in (tmp_path / "compute/k/log.txt").read_text()


def test_threads_of_the_worker_follow_the_requirements(compute: SubprocessCompute) -> None:
    """One core asked, one thread for OpenMP."""
    assert compute.run("os:getenv", {"key": "OMP_NUM_THREADS"}, SMALL, "k") == "1"


def test_arguments_that_are_no_json_are_refused(compute: SubprocessCompute) -> None:
    """A path or NaN among the arguments is named before anything starts."""
    with pytest.raises(InvalidSpec, match="no JSON"):
        compute.run("os:getenv", {"key": Path("x")}, SMALL, "k")
    with pytest.raises(InvalidSpec, match="no JSON"):
        compute.run("os:getenv", {"key": float("nan")}, SMALL, "k")


@pytest.mark.parametrize("task", ["os", "os:no_such_function", "no_such_module:f"])
def test_unknown_task_is_named(compute: SubprocessCompute, task: str) -> None:
    """A task that cannot be imported fails with its name."""
    with pytest.raises(TaskFailed, match=task.partition(":")[0]):
        compute.run(task, {}, SMALL, "k")


def test_a_worker_child_does_not_keep_the_key_locked(compute: SubprocessCompute, tmp_path: Path) -> None:
    """A process that the task leaves behind does not block the next caller."""
    left = compute.run("loopline.platform_core.testing.compute:leave_a_process", {}, SMALL, "k")
    began = time.monotonic()
    assert compute.run("loopline.platform_core.testing.compute:leave_a_process", {}, SMALL, "k") == left
    assert time.monotonic() - began < 50  # the child lives for a minute
    os.kill(left, signal.SIGKILL)


def test_what_a_fallen_gang_has_forked_ends_with_it(compute: SubprocessCompute, tmp_path: Path) -> None:
    """A worker that is ended leaves no process behind which would keep the key locked."""
    args = {"folder": str(tmp_path), "seconds": 60}
    with pytest.raises(TaskFailed, match=r"rank 1 of 2.*one of us fell"):
        compute.run("loopline.platform_core.testing.compute:fork_and_fall", args, PAIR, "k")
    began = time.monotonic()
    left = compute.run("loopline.platform_core.testing.compute:leave_a_process", {}, SMALL, "k")
    os.kill(left, signal.SIGKILL)
    assert time.monotonic() - began < 50  # what was forked would live for a minute
