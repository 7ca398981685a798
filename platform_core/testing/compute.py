"""Conformance kit of compute vendors.

Subclass ``ComputeKit`` and give the fixture ``compute``; the tasks that it runs stand in this module, so a vendor
must be able to import ``loopline.platform_core.testing.compute`` and see the test's folder.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from loopline.platform_core.contracts.compute import Compute
from loopline.platform_core.errors import LooplineError, TaskFailed, Unsupported
from loopline.platform_core.specs.gang import Gang
from loopline.platform_core.specs.model import Requirements
from loopline.platform_core.testing.parts.expect import claimed, raises

SMALL = Requirements(cpu=1, memory_gb=0.1)
_HERE = "loopline.platform_core.testing.compute"
ECHO, SLOW, FRAGILE, ENDLESS = (f"{_HERE}:{name}" for name in ("echo", "slow", "fragile", "endless"))
LARGE, HUNGRY, TALK = (f"{_HERE}:{name}" for name in ("large", "hungry", "talk"))
MEET, FALL = (f"{_HERE}:{name}" for name in ("meet", "fall"))
TINY = Requirements(cpu=0.2, memory_gb=0.1)
PAIR = Requirements(cpu=0.5, memory_gb=0.1, workers=2)
ENDLESS_SECONDS = 240
FALLEN_SECONDS = 60
"""How long the rest of a gang may take to end."""


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


def meet(folder: str) -> dict[str, Any]:
    """Tell every worker of the gang this one's rank, and return what each of them told this one."""
    _note(Path(folder))
    gang = Gang.here()
    host, port = gang.addresses[gang.rank].rsplit(":", 1)
    with socket.create_server((host, int(port))) as server:
        for address in gang.addresses:
            _send(address, gang.rank)
        heard = [_received(server) for _ in gang.addresses]
    variables = {name: os.environ.get(name) for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")}
    return {"rank": gang.rank, "heard": sorted(heard), "variables": variables, "addresses": gang.addresses}


def _send(address: str, rank: int, seconds: float = 30) -> None:
    host, port = address.rsplit(":", 1)
    until = time.monotonic() + seconds
    while True:
        try:
            with socket.create_connection((host, int(port)), timeout=5) as to:
                return to.sendall(bytes([rank]))
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def _received(server: socket.socket) -> int:
    server.settimeout(30)
    with server.accept()[0] as one:
        return one.recv(1)[0]


def fall(folder: str, how: str, seconds: float) -> str:
    """Let the last worker fall at the first call ("raise", "die"), while the first one takes so long.

    The folder then holds how far the first one has come: a file that is touched now and then.
    """
    gang, here = Gang.here(), Path(folder)
    if gang.rank == gang.size - 1 and _note(here) == 0:
        _until(here.joinpath("at-work").exists)
        if how == "raise":
            raise ValueError("the cup fell")
        os._exit(128 + signal.SIGKILL)  # a container's first process cannot kill itself
    until = time.monotonic() + seconds
    while gang.leads and calls(here) < 2 and time.monotonic() < until:
        here.joinpath("at-work").touch()
        time.sleep(0.05)
    return "whole"


def leave_a_process() -> int:
    """Start a process that lives on for a while and return its id."""
    return subprocess.Popen(["sleep", "60"]).pid


def fork_and_fall(folder: str, seconds: float) -> None:
    """Fork a process that lives on in the first worker, and fall in the others."""
    note = Path(folder) / "forked"
    if Gang.here().leads:
        if (child := os.fork()) == 0:
            time.sleep(seconds)
            os._exit(0)
        note.with_suffix(".part").write_text(str(child))
        note.with_suffix(".part").rename(note)
        time.sleep(seconds)
    _until(note.exists)
    raise ValueError("one of us fell")


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
        with raises(TaskFailed, match="the cup fell"):
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
            with raises(Unsupported):
                compute.run(ECHO, {"folder": str(tmp_path), "value": 6}, too_much, "k6")
        assert calls(tmp_path) == 0

    @claimed("cancel", by="compute")
    def test_7_cancelled_work_ends_and_may_be_done_anew(self, compute: Compute, tmp_path: Path) -> None:
        """Who waits is told long before the task would have ended; a result that is there stays."""
        endless = {"folder": str(tmp_path), "seconds": ENDLESS_SECONDS}
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(compute.run, ENDLESS, endless, SMALL, "k7")
            _until_called(tmp_path)
            compute.cancel("k7")
            with raises(LooplineError):
                waiting.result()
        assert compute.run(ENDLESS, endless | {"seconds": 0}, SMALL, "k7") == 1
        compute.cancel("k7")
        compute.cancel("nobody runs this")
        assert compute.run(ENDLESS, endless | {"seconds": 0}, SMALL, "k7") == 1

    @claimed("cancel", by="compute")
    def test_7_what_is_below_a_key_ends_with_it(self, compute: Compute, tmp_path: Path) -> None:
        """The trials of a search go with it; a key that only begins like it stays at work."""
        keys = ("k7b/1", "k7b/2", "k7bc")
        with ThreadPoolExecutor(len(keys)) as pool:
            folders = [tmp_path / f"of-{number}" for number in range(len(keys))]
            for folder in folders:
                folder.mkdir()
                folder.chmod(0o777)
            args = [{"folder": str(folder), "seconds": ENDLESS_SECONDS} for folder in folders]
            waiting = [
                pool.submit(compute.run, ENDLESS, *one) for one in zip(args, [TINY] * len(keys), keys, strict=True)
            ]
            _until(lambda: all(map(calls, folders)))
            compute.cancel("k7b")
            for one in waiting[:2]:
                with raises(LooplineError):
                    one.result()
            time.sleep(1)
            assert not waiting[2].done()
            compute.cancel("k7bc")
            with raises(LooplineError):
                waiting[2].result()

    def test_8_a_gang_meets_and_its_first_worker_answers(self, compute: Compute, tmp_path: Path) -> None:
        """Each is told who it is and where all are, in the names that others read as well; the key is done then."""
        if "gang" not in compute.can:
            with raises(Unsupported):
                compute.run(MEET, {"folder": str(tmp_path)}, PAIR, "k8")
            return
        met = compute.run(MEET, {"folder": str(tmp_path)}, PAIR, "k8")
        host, port = met["addresses"][0].rsplit(":", 1)
        said = {"RANK": "0", "WORLD_SIZE": "2", "MASTER_ADDR": host, "MASTER_PORT": port}
        assert (met["rank"], met["heard"], met["variables"]) == (0, [0, 1], said)
        assert len(set(met["addresses"])) == PAIR.workers
        assert compute.run(MEET, {"folder": str(tmp_path)}, PAIR, "k8") == met
        assert calls(tmp_path) == PAIR.workers

    @claimed("gang", by="compute")
    def test_8_one_that_raises_ends_the_gang(self, compute: Compute, tmp_path: Path) -> None:
        """Who waits is told at once in the task's own words, nobody works on, and the key runs anew as a whole."""
        told = self._one_falls(compute, tmp_path, "raise")
        assert isinstance(told, TaskFailed)
        assert "the cup fell" in str(told)

    @claimed("gang", by="compute")
    def test_8_one_that_dies_ends_the_gang(self, compute: Compute, tmp_path: Path) -> None:
        """Who waits is told at once, nobody works on, and the key runs anew as a whole."""
        self._one_falls(compute, tmp_path, "die")

    @staticmethod
    def _one_falls(compute: Compute, folder: Path, how: str) -> LooplineError:
        args, key = {"folder": str(folder), "how": how, "seconds": ENDLESS_SECONDS}, f"k8-{how}"
        with raises(LooplineError) as told:
            compute.run(FALL, args, PAIR, key)
        _until(lambda: time.time() - folder.joinpath("at-work").stat().st_mtime > 1, FALLEN_SECONDS)
        assert compute.run(FALL, args, PAIR, key) == "whole"
        error: LooplineError = told.value
        return error

    def test_8_a_gang_without_a_place_for_each_does_not_begin(self, compute: Compute, tmp_path: Path) -> None:
        """One of them would fit, all of them never do."""
        many = Requirements(cpu=0.5, memory_gb=0.1, workers=100_000)
        with raises(Unsupported):
            compute.run(MEET, {"folder": str(tmp_path)}, many, "k8-many")
        assert calls(tmp_path) == 0

    def test_9_what_a_task_was_billed_for_is_told(self, compute: Compute, tmp_path: Path) -> None:
        """Its own second at least, on a machine that has a name; of what has no result nothing."""
        claimed = "billed" in compute.can
        took = compute.run(SLOW if claimed else ECHO, {"folder": str(tmp_path), "value": 9}, SMALL, "k9")
        billed = compute.billed("k9", {"folder": str(tmp_path)})
        if not claimed:
            assert billed is None
            return
        assert took["value"] == 9
        assert billed is not None
        assert billed.seconds >= 1
        assert billed.machine
        assert billed.machines == 1
        assert compute.billed("nobody runs this") is None


def _until_called(folder: Path) -> None:
    _until(lambda: calls(folder))


def _until(holds: Callable[[], Any], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it did not come to that"
        time.sleep(0.02)
