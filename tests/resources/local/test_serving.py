"""The local vendor with the real server as a process: the kit, swaps under load, and what a kill leaves."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pytest

from loopline.platform_core.contracts.serving import DesiredState
from loopline.platform_core.testing.parts.inference_server import inference_server, shadow_process
from loopline.platform_core.testing.parts.model_packages import AMOUNT, ENTITY
from loopline.platform_core.testing.parts.ports import free_port
from loopline.platform_core.testing.serving import ServingKit, broken, come_to, new_model, served, wait_for
from loopline.resources.local import folders
from loopline.resources.local.serving import LocalServing
from tests.hanging import hang


def environment(folder: Path, port: int, grpc_port: int | None = None) -> Path:
    """Write an environment file with what the server needs."""
    file = folder / "environment.yaml"
    grpc = f", grpc_port: {grpc_port}" if grpc_port else ""
    file.write_text(f"""
name: test
bindings:
  serving: {{vendor: local, root: "{folder}/serving", port: {port}{grpc}}}
  online_store: {{vendor: sqlite, path: "{folder}/online.db"}}
""")
    return file


@dataclass
class Place:
    """A folder with an environment, in which a server can be started again and again."""

    folder: Path
    port: int = field(default_factory=free_port)
    grpc_port: int | None = None

    @property
    def serving(self) -> LocalServing:
        """Return the vendor as whoever deploys binds it."""
        return LocalServing(root=f"{self.folder}/serving", port=self.port, grpc_port=self.grpc_port)

    @contextmanager
    def server(self, workers: int = 1) -> Iterator[int]:
        """Run the server, and give its process id."""
        with inference_server(self.environment, self.port, workers) as process:
            yield process.pid

    @property
    def environment(self) -> Path:
        """Return the environment file of server and shadows."""
        return environment(self.folder, self.port, self.grpc_port)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Run one server, and the process of its shadows, for the whole module."""
    place = Place(tmp_path_factory.mktemp("running"), grpc_port=free_port())
    with place.server(), shadow_process(place.environment):
        yield place


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """Give a place of the test's own."""
    return Place(tmp_path)


class TestLocalServing(ServingKit):
    tested_on = "this machine: our inference server"

    @pytest.fixture
    def serving(self, running: Place) -> LocalServing:
        """The vendor beside its server."""
        return running.serving


class Callers:
    """Threads that ask on connections that stay open, each request with an id of its own."""

    def __init__(self, place: Place, model: str, threads: int = 4) -> None:
        self.place, self.model = place, model
        self.acknowledged: list[str] = []
        self.failed: list[object] = []
        self.versions: set[str] = set()
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(n,)) for n in range(threads)]

    def __enter__(self) -> Self:
        """Begin."""
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._ended.set()
        self.wait()

    def wait(self) -> None:
        """Wait until every caller has stopped."""
        for thread in self._threads:
            thread.join()

    def _run(self, number: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.place.port, timeout=20)
        path, n = f"/v2/models/{self.model}/infer", 0
        try:
            while not self._ended.is_set():
                n += 1
                request_id = f"{number}-{n}"
                connection.request("POST", path, body(request_id))
                reply = connection.getresponse()
                answer = json.load(reply)
                if reply.status == 200:
                    assert answer["outputs"][0]["data"] == [int(answer["model_version"]) / 10], answer
                    self.versions.add(answer["model_version"])
                    self.acknowledged.append(answer["id"])
                else:
                    self.failed.append(answer)
        except (OSError, http.client.HTTPException, ValueError, AssertionError) as error:
            self.failed.append(repr(error))


def body(request_id: str) -> bytes:
    """Make a request."""
    inputs = [
        {"name": ENTITY, "shape": [1], "datatype": "BYTES", "data": [request_id]},
        {"name": AMOUNT, "shape": [1], "datatype": "FP64", "data": [1.0]},
    ]
    return json.dumps({"id": request_id, "inputs": inputs}).encode()


def test_twenty_swaps_under_load_fail_no_request(running: Place, tmp_path: Path) -> None:
    """Stable version, candidate and percent change; each answer's score is its version's, and all are logged once."""
    model, serving = new_model(), running.serving
    versions = [served(tmp_path, str(n)) for n in range(1, 5)]
    come_to(serving, DesiredState(model, 1, versions[0]))
    with Callers(running, model) as callers:
        for generation in range(2, 22):
            stable, candidate = versions[generation % 4], versions[(generation + 1) % 4]
            come_to(serving, DesiredState(model, generation, stable, candidate if generation % 3 else None, 30))
    assert callers.failed == []
    assert callers.versions == {"1", "2", "3", "4"}
    rows, _ = serving.predictions(model)
    assert sorted(rows["request_id"].to_pylist()) == sorted(callers.acknowledged)
    assert len(callers.acknowledged) > 200


@pytest.mark.parametrize("seed", range(3))
def test_a_killed_server_loses_no_answered_request(place: Place, tmp_path: Path, seed: int) -> None:
    """Killed at a random moment under load, its log holds every answer that somebody got; it starts as it was."""
    model, serving = new_model(), place.serving
    serving.apply(DesiredState(model, 7, served(tmp_path, "1"), served(tmp_path, "2"), 40))
    with place.server() as process:
        with Callers(place, model) as callers:
            time.sleep(random.Random(seed).uniform(0.3, 1.0))  # any moment
            os.kill(process, signal.SIGKILL)
            callers.wait()  # each sees its connection end
        assert len(callers.failed) == 4
        logged = serving.predictions(model)[0]["request_id"].to_pylist()
        assert len(callers.acknowledged) > 20
        assert set(callers.acknowledged) <= set(logged)
        assert len(set(logged)) == len(logged)
        # the kernel closes the callers' connections before it lets go of the dead one's lock
        assert wait_for(serving, model, lambda seen: not seen.ready).ready is False
    with place.server():
        seen = serving.observe(model)
        assert (seen.generation, seen.ready, seen.problem) == (7, True, "")
        again = http.client.HTTPConnection("127.0.0.1", place.port, timeout=20)
        again.request("POST", f"/v2/models/{model}/infer", body("after"))
        assert again.getresponse().status == 200
        assert "after" in serving.predictions(model)[0]["request_id"].to_pylist()


def test_two_workers_share_the_port_and_come_to_a_generation_together(place: Place, tmp_path: Path) -> None:
    """A generation is observed when both have it; when the first process is killed, its workers go too."""
    model, serving = new_model(), place.serving
    with place.server(workers=2) as process:
        wait_for(serving, "nobody", lambda _: len(list((tmp_path / "serving/observed").glob("[!.]*"))) == 2)
        come_to(serving, DesiredState(model, 1, served(tmp_path, "1")))
        with Callers(place, model) as callers:
            for generation in range(2, 6):
                come_to(serving, DesiredState(model, generation, served(tmp_path, str(generation))))
        assert callers.failed == []
        assert sorted(serving.predictions(model)[0]["request_id"].to_pylist()) == sorted(callers.acknowledged)
        os.kill(process, signal.SIGKILL)
        wait_for(serving, model, lambda seen: "no server runs" in seen.problem)
        assert "no server runs" in serving.observe(model).problem


def test_what_workers_use_is_told_while_they_live(place: Place) -> None:
    """Two workers have a name, CPU seconds, memory and an age each, which grow; after the end there is none."""
    with place.server(workers=2):
        until = time.monotonic() + 200
        while len(place.serving.usage()) < 2 and time.monotonic() < until:
            time.sleep(0.05)  # between two looks: what is looked at tells nobody
        before = {use.server: use for use in place.serving.usage()}
        time.sleep(0.2)  # what they use grows with time
        after = {use.server: use for use in place.serving.usage()}
    assert set(before) == set(after)
    for name, use in after.items():
        assert use.cpu_seconds >= before[name].cpu_seconds > 0
        assert use.seconds > before[name].seconds > 0
        assert 0.02 < use.memory_gb < 4
    assert place.serving.usage() == ()


def test_a_first_version_that_cannot_be_loaded_is_told(running: Place, tmp_path: Path) -> None:
    """Nothing answers, the endpoint says why, and the next good version is taken."""
    model, serving = new_model(), running.serving
    serving.apply(DesiredState(model, 1, broken(tmp_path, "1")))
    seen = wait_for(serving, model, lambda seen: bool(seen.problem) and "not seen" not in seen.problem)
    assert (seen.generation, seen.ready) == (None, False)
    assert "holds no manifest.json" in seen.problem
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=20)
    connection.request("POST", f"/v2/models/{model}/infer", body("r"))
    reply = connection.getresponse()
    assert (reply.status, "holds no manifest.json" in json.load(reply)["error"]) == (503, True)
    come_to(serving, DesiredState(model, 2, served(tmp_path, "2")))


def test_a_server_that_hangs_is_not_ready(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It lives and holds its lock, but does not move: that is told, until it does again; an idle one is well."""
    monkeypatch.setattr(folders, "SILENT_SECONDS", 2.5)
    model, serving = new_model(), place.serving
    with place.server() as process:
        come_to(serving, DesiredState(model, 1, served(tmp_path, "1")))
        time.sleep(3)  # longer than one that is silent is taken to live
        assert serving.observe(model).ready
        hang(process)
        try:
            seen = wait_for(serving, model, lambda seen: not seen.ready)
            assert "has not moved for 2.5 s" in seen.problem
            assert str(process) in seen.problem
            assert seen.generation == 1
        finally:
            os.kill(process, signal.SIGCONT)
        assert wait_for(serving, model, lambda seen: seen.ready).problem == ""


def test_without_a_server_nothing_is_ready(place: Place, tmp_path: Path) -> None:
    """A state may be asked for before the server runs."""
    place.serving.apply(DesiredState("m", 1, served(tmp_path, "1")))
    seen = place.serving.observe("m")
    assert (seen.generation, seen.ready) == (None, False)
    assert "loopline up" in seen.problem
    assert place.serving.endpoint("m") == f"http://127.0.0.1:{place.port}/v2/models/m"
    assert place.serving.predictions("m")[0].num_rows == 0
