"""A server as processes, and the load that is put on it: wrk's figures, and what the processes cost meanwhile."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks.turns import ROOT

START_SECONDS = 120.0
SCRIPT = """
local n, all, paths = 0, {}, {%s}
function init(args)
  local i = 0
  for body in io.lines("%s") do
    all[i + 1] = wrk.format("POST", paths[i %% #paths + 1], {["content-type"] = "application/json"%s}, body)
    i = i + 1
  end
end
function request() n = n + 1; return all[n %% #all + 1] end
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format('{"requests": %%d, "us": %%d, "p50": %%d, "p99": %%d, "failed": %%d}\\n', summary.requests,
    summary.duration, latency:percentile(50), latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
"""


class NotAnsweredError(RuntimeError):
    """A server did not answer every request of a load."""


class Cell(NamedTuple):
    """What a load of so many connections found: requests a second, ms, µs of the server's CPU a request."""

    rps: float
    p50_ms: float
    p99_ms: float
    cpu_us: float


class Server(NamedTuple):
    """Processes that listen, and how long they needed to the first answer."""

    process: psutil.Process
    port: int
    start_seconds: float

    @property
    def rss_mb(self) -> float:
        """Return the resident memory of all processes."""
        return sum(process.memory_info().rss for process in _tree(self.process)) / 2**20


@contextmanager
def served(
    command: Sequence[str], port: int, path: str, body: str | None, variables: Mapping[str, str]
) -> Iterator[Server]:
    """Run a server until the block ends; it has answered ``body`` by then, or for None a look at the path."""
    environment = os.environ | {
        "PYTHONPATH": str(ROOT),
        "OMP_NUM_THREADS": "1",
        "PYTHONWARNINGS": "ignore",
        **variables,
    }
    log = Path(environment["BENCH_LOGS"], f"{port}.log")
    began = time.perf_counter()
    with log.open("wb") as out:
        process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=out, stderr=out, start_new_session=True)
    try:
        _wait(process, port, path, body, log)
        yield Server(psutil.Process(process.pid), port, time.perf_counter() - began)
    finally:
        _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Kill a server with its group, and the workers that lead groups of their own."""
    with contextlib.suppress(psutil.NoSuchProcess):  # it died by itself: what it said is the error to show
        for one in reversed(_tree(psutil.Process(process.pid))):
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def loaded(  # noqa: PLR0913, PLR0917 - a load, and who asks
    server: Server, paths: Sequence[str], bodies: Path, connections: int, seconds: int, key: str = ""
) -> Cell:
    """Ask the paths in turns for a while, with an API key if one is given, after a second that is not counted.

    Raises:
        NotAnsweredError: a request was not answered with success, or none was answered at all.
    """
    script = scripted(paths, bodies, key)
    url = f"http://127.0.0.1:{server.port}/"
    wrk(url, script, connections, 1)
    before = _cpu_seconds(server.process)
    found = wrk(url, script, connections, seconds)
    cpu_seconds = _cpu_seconds(server.process) - before
    if found["failed"] or not found["requests"]:
        raise NotAnsweredError(f"{found['failed']} of {found['requests']} requests failed")
    cpu_us = cpu_seconds * 1e6 / found["requests"]
    return Cell(found["requests"] * 1e6 / found["us"], found["p50"] / 1e3, found["p99"] / 1e3, cpu_us)


def scripted(paths: Sequence[str], bodies: Path, key: str = "") -> Path:
    """Write what wrk runs, beside the requests."""
    script, sent = bodies.with_suffix(".lua"), f', ["authorization"] = "Bearer {key}"' if key else ""
    script.write_text(SCRIPT % (", ".join(f'"{path}"' for path in paths), bodies, sent))
    return script


def wrk(url: str, script: Path, connections: int, seconds: int, within: Sequence[str] = ()) -> dict[str, int]:
    """Ask for a while; ``within`` is a command that runs another one elsewhere. Times are µs."""
    program = shutil.which("wrk")
    if program is None:
        raise RuntimeError("wrk is missing: install it, for example 'apt-get install wrk'")
    command = [program, "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "20s", "-s", str(script)]
    done = subprocess.run([*within, *command, url], capture_output=True, text=True, check=False)
    line = next((line for line in done.stdout.splitlines() if line.startswith("{")), None)
    if line is None:
        raise RuntimeError(f"wrk measured nothing: {done.stdout[-500:]} {done.stderr[-500:]}")
    found: dict[str, int] = json.loads(line)
    return found


def _wait(process: subprocess.Popen[bytes], port: int, path: str, body: str | None, log: Path) -> None:
    end, told = time.monotonic() + START_SECONDS, "nothing"
    while time.monotonic() < end and process.poll() is None:
        connection = HTTPConnection("127.0.0.1", port, timeout=20)
        try:
            connection.request("GET" if body is None else "POST", path, body, {"content-type": "application/json"})
            answer = connection.getresponse()
            told = f"{answer.status} {answer.read()[:500]!r}"
            if answer.status == 200:
                return
        except OSError:
            pass
        finally:
            connection.close()
        time.sleep(0.02)
    raise RuntimeError(f"no answer on port {port} ({process.poll()}): {told}\n{log.read_text()[-2000:]}")


def _tree(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def _cpu_seconds(process: psutil.Process) -> float:
    total = 0.0
    for one in _tree(process):
        times = one.cpu_times()
        total += times.user + times.system
    return total
