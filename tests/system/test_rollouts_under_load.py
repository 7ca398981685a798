"""Rollouts under load: no request fails while versions come and go, and processes are killed.

Nobody can answer what was on the connections of a worker when it is killed. Such a request is
repeated by whoever sent it, which does no harm: a prediction changes nothing.
"""

from __future__ import annotations

import http.client
import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import pytest

from loopline.platform_core.loop import history
from loopline.platform_core.loop.deployments import deployments
from loopline.platform_core.platform import Platform
from loopline.platform_core.testing.parts.inference_server import inference_server
from loopline.platform_core.testing.parts.model_packages import AMOUNT, ENTITY, Constant, write_package
from loopline.platform_core.testing.parts.ports import free_port

CONTROLLER = Path(__file__).with_name("rollout_controller.py")
CONNECTIONS, VERSIONS, LOAD_SECONDS = 8, 26, 35
MODEL = "mill.loads"
WRK = """
local path = "/v2/models/%s/infer"
local n = 0
request = function()
  n = n + 1
  return wrk.format("POST", path, nil, string.format('%s', n, n))
end
delay = function() return 5 end
"""

pytestmark = pytest.mark.timeout(420)


def body(request: object, key: object) -> str:
    """Write a request as JSON."""
    inputs = [
        {"name": ENTITY, "shape": [1], "datatype": "BYTES", "data": [str(key)]},
        {"name": AMOUNT, "shape": [1], "datatype": "FP64", "data": [1.0]},
    ]
    return json.dumps({"id": str(request), "inputs": inputs})


@dataclass
class Wrk:
    """What wrk counted: requests answered, those not answered with 200, and what went wrong on sockets."""

    requests: int
    refused: int
    socket_errors: int


@dataclass
class Caller:
    """Asks one request after another and repeats one whose connection broke: to ask again does no harm."""

    port: int
    answered: int = 0
    repeated: int = 0
    failed: list[str] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Ask until told to stop."""
        while not self.ended.is_set():
            status, said = self._ask(self.answered)
            if status != http.client.OK:
                self.failed.append(f"{status}: {said!r}")
            self.answered += 1

    def _ask(self, number: int) -> tuple[int, bytes]:
        for _ in range(5):
            try:
                return post(self.port, body(f"caller-{number}", number))
            except (OSError, http.client.HTTPException) as error:
                said = repr(error)
                self.repeated += 1
        return 0, said.encode()


def post(port: int, text: str) -> tuple[int, bytes]:
    """Send one request on a connection of its own."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("POST", f"/v2/models/{MODEL}/infer", text)
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


@dataclass
class Site:
    """A home with packages, the real server on it, and the platform as a controller binds it."""

    home: Path
    port: int
    platform: Platform

    def workers(self) -> set[int]:
        """Return the process ids of the workers that live; the name of each ends with it."""
        self.platform.serving.observe(MODEL)
        folders = (self.home / "serving/observed").glob("[!.]*")
        return {int(folder.name.rpartition("-")[2]) for folder in folders}

    def ended(self) -> int:
        """Count promotions and rollbacks."""
        kinds = ["rollout.promoted", "rollout.rolled_back"]
        return len(self.platform.ledger.entries(controller().REF, kinds))

    def generation(self) -> int:
        """Return the generation in the ledger."""
        found = deployments.deployment(self.platform.ledger, controller().REF)
        return found.generation if found else 0

    @contextmanager
    def caller(self) -> Iterator[Caller]:
        """Ask all the time, beside wrk."""
        caller = Caller(self.port)
        thread = threading.Thread(target=caller.run)
        thread.start()
        try:
            yield caller
        finally:
            caller.ended.set()
            thread.join()

    def wrk(self) -> subprocess.Popen[str]:
        """Begin to load the server, until it is told to stop."""
        script = self.home / "load.lua"
        template = body("%d", "%d").replace("'", "")
        script.write_text(WRK.replace("%s", MODEL, 1).replace("%s", template, 1))
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", "-d300s", "--timeout", "20s", "-s", str(script)]
        return subprocess.Popen([*command, f"http://127.0.0.1:{self.port}"], stdout=subprocess.PIPE, text=True)

    def control(self, versions: int) -> subprocess.Popen[bytes]:
        """Start a controller, which dies at the fifth and after the eleventh generation if it has not yet."""
        return subprocess.Popen([sys.executable, CONTROLLER, self.home, *map(str, (self.port, versions, 5, 11))])


def controller() -> Any:
    """Return the controller's module."""
    if "rollout_controller" not in sys.modules:
        spec = spec_from_file_location("rollout_controller", CONTROLLER)
        assert spec is not None
        assert spec.loader is not None
        sys.modules["rollout_controller"] = module_from_spec(spec)
        spec.loader.exec_module(sys.modules["rollout_controller"])
    return sys.modules["rollout_controller"]


def counted(process: subprocess.Popen[str]) -> Wrk:
    """Let wrk stop, and read what it says."""
    process.send_signal(signal.SIGINT)
    said, _ = process.communicate(timeout=60)
    requests = re.search(r"(\d+) requests in", said)
    assert requests is not None, said
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", said)
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", said)
    return Wrk(int(requests[1]), int(refused[1]) if refused else 0, sum(map(int, errors.groups())) if errors else 0)


def until(condition: Any, seconds: float = 60) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.05)  # between two looks


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Run the server with two workers on versions of which every third says too much; version 1 is live."""
    assert shutil.which("wrk"), "install wrk: scripts/system-packages.sh does"
    home, port = tmp_path_factory.mktemp("load"), free_port()
    file = home / "environment.yaml"
    bindings = f'serving: {{vendor: local, root: "{home}/serving", port: {port}}}'
    file.write_text(f'bindings:\n  {bindings}\n  online_store: {{vendor: sqlite, path: "{home}/online.db"}}\n')
    for number in range(1, 2 * VERSIONS):
        write_package(home / "packages" / MODEL / str(number), Constant(0.5 if number % 3 else 0.95))
    with inference_server(file, port, workers=2):
        opened = controller().platform(home, port)
        site = Site(home, port, opened)
        until(lambda: len(site.workers()) == 2)
        assert site.control(1).wait(60) == 0
        until(lambda: post(port, body("first", 1))[0] == 200)
        yield site
        opened.close()


def test_1_no_request_fails_while_versions_come_and_go_and_controllers_die(site: Site) -> None:
    """Over 20 promotions and rollbacks; a controller dies before it asks, after it asked, and at any moment."""
    deaths = 0
    with site.caller() as caller:
        load, began = site.wrk(), time.monotonic()
        running = site.control(VERSIONS)
        at_any_moment = random.Random(0).randint(20, 30)
        while running.poll() != 0 or time.monotonic() - began < LOAD_SECONDS:
            assert running.poll() in {None, 0, -signal.SIGKILL}
            if running.poll() == -signal.SIGKILL:
                deaths += 1
                running = site.control(VERSIONS)
            if deaths == 2 and site.generation() >= at_any_moment:
                at_any_moment = 10**6
                running.kill()
            time.sleep(0.05)  # between two looks
        took = time.monotonic() - began
        found = counted(load)
    print(f"{found}, {caller.answered} by the caller; {site.ended()} ended, {deaths} deaths, {took:.0f} s")  # noqa: T201
    assert deaths == 3
    assert site.ended() == VERSIONS > 20
    assert (found.refused, found.socket_errors, found.requests > 1_000) == (0, 0, True)
    assert (caller.failed, caller.repeated) == ([], 0)
    agree(site)


def test_2_a_killed_worker_fails_nothing_but_what_was_on_its_connections(site: Site) -> None:
    """Rollouts go on, the other worker answers, a new one comes; whoever repeats a broken request gets an answer."""
    with site.caller() as caller:
        load, running = site.wrk(), site.control(VERSIONS + 12)
        for wanted in (VERSIONS + 3, VERSIONS + 6):
            until(lambda wanted=wanted: site.ended() >= wanted, 120)
            before = site.workers()
            os.kill(max(before), signal.SIGKILL)
            until(lambda before=before: len(site.workers()) == 2 and site.workers() != before)
        assert running.wait(180) == 0
        found = counted(load)
    print(f"{found}, {caller.answered} by the caller, {caller.repeated} repeated")  # noqa: T201
    assert found.refused == 0
    assert found.socket_errors <= 2 * CONNECTIONS
    assert (caller.failed, caller.answered > 100) == ([], True)
    assert site.ended() == VERSIONS + 12
    agree(site)


def agree(site: Site) -> None:
    """Check that ledger, deployment, each worker and the answers tell of the same version and generation."""
    ref = controller().REF
    wanted = deployments.deployment(site.platform.ledger, ref)
    assert wanted is not None
    assert wanted.applied == wanted.generation
    until(lambda: site.platform.serving.observe(MODEL).generation == wanted.generation)
    account = history.live_at(site.platform.ledger, ref, datetime.now(UTC))
    assert (account.generation, account.stable, account.candidate) == (wanted.generation, wanted.stable, None)
    answers = {json.loads(post(site.port, body(f"end-{n}", n))[1])["model_version"] for n in range(50)}
    assert answers == {account.stable.version}
