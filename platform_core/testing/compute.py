"""Holds a compute vendor to its promises.

Subclass ``ComputeKit`` and give the fixture ``compute``; the tasks that it runs stand in this module, so a vendor
must be able to import ``loopline.platform_core.testing.compute`` and see the test's folder.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from loopline.platform_core.contracts.compute import Compute
from loopline.platform_core.errors import LooplineError, TaskFailed, Unsupported
from loopline.platform_core.specs.model import Requirements

SMALL = Requirements(cpu=1, memory_gb=0.1)
_HERE = "loopline.platform_core.testing.compute"
ECHO, SLOW, FRAGILE, ENDLESS = (f"{_HERE}:{name}" for name in ("echo", "slow", "fragile", "endless"))
LARGE, HUNGRY, TALK = (f"{_HERE}:{name}" for name in ("large", "hungry", "talk"))
ENDLESS_SECONDS = 240


def echo(folder: str, value: Any) -> dict[str, Any]:
    """Note the call and return the value with how many calls there were before."""
    return {"value": value, "before": _note(Path(folder))}


def slow(folder: str, value: Any) -> dict[str, Any]:
    """Do as ``echo`` does, but take a second."""
    before = _note(Path(folder))
    time.sleep(1)
    return {"value": value, "before": before}


def fragile(folder: str) -> str:
    """Raise at the first call and succeed at the second."""
    if _note(Path(folder)) == 0:
        raise ValueError("the cup fell")
    return "whole"


def killed_once(folder: str) -> str:
    """Die without a word at the first call and succeed at the second."""
    if _note(Path(folder)) == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return "alive"


def endless(folder: str, seconds: float) -> int:
    """Note the call and take long; returns how many calls there were before."""
    before = _note(Path(folder))
    time.sleep(seconds)
    return before


def large(size: int) -> str:
    """Return so many characters that no packing makes much smaller."""
    return random.Random(size).randbytes(size // 2 + 1).hex()[:size]


def hungry(gigabytes: float) -> int:
    """Take memory, and use it."""
    return len(b"x" * int(gigabytes * 1e9))


def talk(lines: int, pause_seconds: float) -> int:
    """Write a line now and then."""
    for number in range(lines):
        sys.stderr.write(f"line {number} of {lines}\n")
        sys.stderr.flush()
        time.sleep(pause_seconds)
    return lines


def leave_a_process() -> int:
    """Start a process that lives on for a while and return its id."""
    return subprocess.Popen(["sleep", "60"]).pid


def calls(folder: Path) -> int:
    """Count the calls that were noted."""
    return len(list(folder.glob("call-*")))


def _note(folder: Path) -> int:
    before = calls(folder)
    folder.joinpath(f"call-{time.time_ns()}").touch()
    return before


class ComputeKit:
    """Subclass it, give ``compute``; every test is one promise."""

    def test_1_result_after_a_trip_through_json(self, compute: Compute, tmp_path: Path) -> None:
        """What the function returned comes back as JSON would bring it."""
        value = {"list": [1, 2.5, "ä", None, True], "nested": {"a": []}}
        assert compute.run(ECHO, {"folder": str(tmp_path), "value": value}, SMALL, "k1")["value"] == value

    def test_1_large_result_comes_whole(self, compute: Compute) -> None:
        """A million characters are no matter."""
        assert compute.run(LARGE, {"size": 1_000_000}, SMALL, "k1-large") == large(1_000_000)

    def test_2_same_key_does_not_run_again(self, compute: Compute, tmp_path: Path) -> None:
        """The second call with a key gets the first result; another key gets its own."""
        first = compute.run(ECHO, {"folder": str(tmp_path), "value": 1}, SMALL, "k/2")
        again = compute.run(ECHO, {"folder": str(tmp_path), "value": 1}, SMALL, "k/2")
        assert again == first
        assert calls(tmp_path) == 1
        assert compute.run(ECHO, {"folder": str(tmp_path), "value": 2}, SMALL, "k:2")["value"] == 2

    def test_3_failure_keeps_its_message_and_may_be_repeated(self, compute: Compute, tmp_path: Path) -> None:
        """The task's own words arrive, and a failed key runs anew."""
        with pytest.raises(TaskFailed, match="the cup fell"):
            compute.run(FRAGILE, {"folder": str(tmp_path)}, SMALL, "k3")
        assert compute.run(FRAGILE, {"folder": str(tmp_path)}, SMALL, "k3") == "whole"

    def test_4_death_of_a_caller_loses_nothing(self, compute: Compute, tmp_path: Path) -> None:
        """A caller is killed while its task runs; the next call with the key gets the result."""
        args = {"folder": str(tmp_path), "value": 4}
        caller = multiprocessing.get_context("fork").Process(target=compute.run, args=(SLOW, args, SMALL, "k4"))
        caller.start()
        _until_called(tmp_path)
        caller.kill()
        caller.join()
        result = compute.run(SLOW, args, SMALL, "k4")
        assert result is not None
        assert result["value"] == 4

    def test_5_two_callers_run_it_once(self, compute: Compute, tmp_path: Path) -> None:
        """Two callers with one key at the same time get the result of one run."""
        args = {"folder": str(tmp_path), "value": 5}
        with ThreadPoolExecutor(2) as pool:
            results = list(pool.map(lambda _: compute.run(SLOW, args, SMALL, "k5"), range(2)))
        assert results[0] == results[1]
        assert calls(tmp_path) == 1

    def test_6_what_cannot_be_met_is_refused_before_it_runs(self, compute: Compute, tmp_path: Path) -> None:
        """More than any machine has is refused, and nothing ran."""
        for too_much in (Requirements(cpu=100_000), Requirements(memory_gb=1e9), Requirements(gpu=10_000)):
            with pytest.raises(Unsupported):
                compute.run(ECHO, {"folder": str(tmp_path), "value": 6}, too_much, "k6")
        assert calls(tmp_path) == 0

    def test_7_cancelled_work_ends_and_may_be_done_anew(self, compute: Compute, tmp_path: Path) -> None:
        """Who waits is told long before the task would have ended; a result that is there stays."""
        if "cancel" not in compute.can:
            pytest.skip("the vendor does not cancel")
        endless = {"folder": str(tmp_path), "seconds": ENDLESS_SECONDS}
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(compute.run, ENDLESS, endless, SMALL, "k7")
            _until_called(tmp_path)
            compute.cancel("k7")
            with pytest.raises(LooplineError):
                waiting.result()
        assert compute.run(ENDLESS, endless | {"seconds": 0}, SMALL, "k7") == 1
        compute.cancel("k7")
        compute.cancel("nobody runs this")
        assert compute.run(ENDLESS, endless | {"seconds": 0}, SMALL, "k7") == 1


def _until_called(folder: Path, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while calls(folder) == 0:
        assert time.monotonic() < until, "the task did not start"
        time.sleep(0.02)
