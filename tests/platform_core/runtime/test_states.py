"""States as files: generations only grow, and dead workers say nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from loopline.platform_core.contracts.serving import DesiredState, ObservedState, Served
from loopline.platform_core.errors import ContractBroken
from loopline.platform_core.runtime.states import Worker, desired_folder, observed, read_desired, write_desired

MODEL = "retail.cancellations"


def state(generation):
    """Make a state of a generation."""
    return DesiredState(MODEL, generation, Served(str(generation), Path("/packages/1"), "c"))


def asked(root):
    """Read what is asked for."""
    return read_desired((desired_folder(root) / f"{MODEL}.json").read_bytes())


def test_a_state_comes_back_as_it_was_written(tmp_path):
    """With its candidate, and paths as paths."""
    whole = DesiredState(MODEL, 3, Served("1", Path("/a"), "c1"), Served("2", Path("/b"), "c2"), 25)
    write_desired(tmp_path, whole)
    assert asked(tmp_path) == whole


def test_writers_at_once_leave_the_newest_generation(tmp_path):
    """However the writers overtake each other."""
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: write_desired(tmp_path, state(n)), [7, 3, 20, 11, 19, 1, 15, 2] * 4))
    assert asked(tmp_path).generation == 20


def test_a_torn_state_is_refused(tmp_path):
    """It says what to do."""
    with pytest.raises(ContractBroken, match="deploy the model again"):
        read_desired(b'{"model": "m"')


def test_a_living_worker_is_heard(tmp_path):
    """It speaks for each model, also before it has seen one."""
    worker = Worker(tmp_path, "w")
    worker.report(MODEL, ObservedState(4, ready=True, problem="p"))
    assert observed(tmp_path, MODEL) == [ObservedState(4, ready=True, problem="p")]
    assert observed(tmp_path, "other.model") == [ObservedState(None, ready=False)]  # on its way, which is no trouble
    os.utime(tmp_path / "observed" / "w" / "alive", (1, 1))
    (hung,) = observed(tmp_path, "other.model", silent_seconds=15)
    assert "has not moved for 15 s" in hung.problem
    worker.leave()
    assert observed(tmp_path, MODEL) == []


def test_a_killed_worker_is_not_heard(tmp_path):
    """The kernel lets go of its lock; what it left is removed."""
    code = f"""
import time
from pathlib import Path
from loopline.platform_core.contracts.serving import ObservedState
from loopline.platform_core.runtime.states import Worker
worker = Worker(Path({str(tmp_path)!r}), "w")
worker.report({MODEL!r}, ObservedState(4, ready=True))
print("up", flush=True)
time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline().strip() == "up"
        assert observed(tmp_path, MODEL) == [ObservedState(4, ready=True)]
        os.kill(process.pid, signal.SIGKILL)
    assert observed(tmp_path, MODEL) == []
    assert list((tmp_path / "observed").iterdir()) == []
