"""Servers on another machine: nothing is shared but an object store. The kit, and what a relay carries through."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from loopline.platform_core.contracts.serving import DesiredState
from loopline.platform_core.errors import StoreUnavailable
from loopline.platform_core.testing.parts.endpoints import ask_over_http, come_to, logged_after, new_model, served
from loopline.platform_core.testing.parts.inference_server import inference_server, shadow_process
from loopline.platform_core.testing.parts.ports import free_port
from loopline.platform_core.testing.serving import ServingKit
from loopline.resources.object_store.serving import ObjectStoreServing
from tests.s3_server import S3Server


@dataclass
class Machine:
    """A machine with an inference server, its shadows and its relay; whoever deploys has no part in its folder."""

    folder: Path
    server: S3Server
    place: str
    name: str = "one"
    kafka: str = ""
    port: int = field(default_factory=free_port)
    grpc_port: int = field(default_factory=free_port)

    @property
    def serving(self) -> ObjectStoreServing:
        """Return the vendor as whoever deploys binds it: he has no folder."""
        return ObjectStoreServing(
            store=self.place,
            storage_options=self.server.options,
            address=f"http://127.0.0.1:{self.port}",
            grpc_address=f"127.0.0.1:{self.grpc_port}",
            **({"kafka_logs": {"bootstrap_servers": self.kafka, "replication": 1}} if self.kafka else {}),
        )

    @property
    def environment(self) -> Path:
        """Write the environment file of the machine."""
        file = self.folder / "environment.yaml"
        options = "".join(f"\n      {name}: {value}" for name, value in self.server.options_in_file.items())
        kafka = f"kafka_logs: {{bootstrap_servers: '{self.kafka}', replication: 1}}" if self.kafka else ""
        file.write_text(f"""
name: machine
bindings:
  serving:
    vendor: object_store
    store: {self.place}
    storage_options:{options}
    address: http://127.0.0.1:{self.port}
    root: "{self.folder}/server"
    port: {self.port}
    grpc_port: {self.grpc_port}
    server: {self.name}
    {kafka}
  online_store: {{vendor: sqlite, path: "{self.folder}/online.db"}}
""")
        return file

    @contextmanager
    def relay(self) -> Iterator[subprocess.Popen[bytes]]:
        """Run the relay until the block ends."""
        command = [
            sys.executable,
            "-m",
            "loopline.relay",
            "--environment",
            str(self.environment),
            "--server",
            self.name,
        ]
        process = subprocess.Popen(command)
        try:
            yield process
        finally:
            process.terminate()
            process.wait(60)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Run all of it; at the end the server goes first, as in a pod whose relay drains."""
        with ExitStack() as stack:
            stack.enter_context(self.relay())
            stack.enter_context(shadow_process(self.environment))
            stack.enter_context(inference_server(self.environment, self.port))
            yield


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory, s3_server: S3Server) -> Iterator[Machine]:
    """Run one machine for the whole module."""
    machine = Machine(tmp_path_factory.mktemp("machine"), s3_server, s3_server.place())
    with machine.running():
        yield machine


class TestObjectStoreServing(ServingKit):
    tested_on = "real server: SeaweedFS"

    @pytest.fixture
    def serving(self, machine: Machine) -> ObjectStoreServing:
        """The vendor far from its servers."""
        return machine.serving


def test_a_machine_serves_what_it_has_while_the_store_is_away(own_s3_server: S3Server, tmp_path: Path) -> None:
    """Nobody is refused, nothing is lost: what was answered meanwhile is read when the store is back."""
    machine = Machine(tmp_path, own_s3_server, own_s3_server.place())
    model, serving = new_model(), machine.serving
    with machine.running():
        come_to(serving, DesiredState(model, 1, served(tmp_path, "1")))
        before = ask_over_http(serving, model, "before", 1.0)
        own_s3_server.stop()
        answers = [ask_over_http(serving, model, f"key-{n}", 1.0) for n in range(50)]
        assert {(answer.status, answer.version) for answer in answers} == {(200, "1")}
        with pytest.raises(StoreUnavailable):
            serving.predictions(model)
        own_s3_server.go_on()
        rows = logged_after(serving, model, None, 51)[0]
        assert sorted(rows["request_id"].to_pylist()) == sorted(one.request_id for one in [before, *answers])
        come_to(serving, DesiredState(model, 2, served(tmp_path, "2")))


def test_a_relay_that_is_killed_goes_on_where_it_was(s3_server: S3Server, tmp_path: Path) -> None:
    """Each answer is there once, also when its note is lost with it; told to stop it sends the rest."""
    machine = Machine(tmp_path, s3_server, s3_server.place())
    model, serving = new_model(), machine.serving
    asked: list[str] = []

    def ask(count: int) -> None:
        asked.extend(ask_over_http(serving, model, f"key-{n}", 1.0).request_id for n in range(count))

    with ExitStack() as stack, inference_server(machine.environment, machine.port):
        with machine.relay() as first:
            come_to(serving, DesiredState(model, 1, served(tmp_path, "1")))
            ask(20)
            logged_after(serving, model, None, 1)
            first.kill()
        ask(20)
        (tmp_path / "server" / "shipped.json").unlink()
        stack.enter_context(machine.relay())
        assert logged_after(serving, model, None, 40)[0].num_rows == 40
        ask(20)
    assert sorted(serving.predictions(model)[0]["request_id"].to_pylist()) == sorted(asked)
    assert serving.observe(model).problem.startswith("no server has told anything")


def test_two_machines_are_one_endpoint(s3_server: S3Server, tmp_path: Path) -> None:
    """It is at a generation when both are, and the log holds what each answered."""
    place = s3_server.place()
    machines = [Machine(tmp_path / name, s3_server, place, name) for name in ("one", "two")]
    model = new_model()
    for machine in machines:
        machine.folder.mkdir()
    with machines[0].running():
        come_to(machines[0].serving, DesiredState(model, 1, served(tmp_path, "1")))
        with machines[1].running():
            come_to(machines[1].serving, DesiredState(model, 2, served(tmp_path, "2")))
            answers = [ask_over_http(machine.serving, model, "k", 1.0) for machine in machines for _ in range(5)]
            assert {answer.version for answer in answers} == {"2"}
            rows = logged_after(machines[0].serving, model, None, 10)[0]
            assert sorted(rows["request_id"].to_pylist()) == sorted(answer.request_id for answer in answers)
            uses = machines[0].serving.usage()
            assert {use.server.partition(".")[0] for use in uses} == {"one", "two"}


def test_a_mistaken_environment_is_told(tmp_path: Path) -> None:
    """A relay beside servers that share a folder with whoever deploys has nothing to carry."""
    file = tmp_path / "environment.yaml"
    file.write_text(f'bindings:\n  serving: {{vendor: local, root: "{tmp_path}", port: 1}}\n')
    command = [sys.executable, "-m", "loopline.relay", "--environment", str(file)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert "need no relay" in ended.stderr
    assert "→ bind serving to 'object_store'" in ended.stderr


def test_no_answer_is_lost_with_its_machine(kafka: str, s3_server: S3Server, tmp_path: Path) -> None:
    """Server and relay are killed (-9) and their disk is gone: each answer that was given is in Kafka, once."""
    machine, model = Machine(tmp_path, s3_server, s3_server.place(), kafka=kafka), new_model()
    serving, answered = machine.serving, []
    with ExitStack() as stack:
        relay = stack.enter_context(machine.relay())
        server = stack.enter_context(inference_server(machine.environment, machine.port))
        come_to(serving, DesiredState(model, 1, served(tmp_path, "1")))
        relay.kill()
        began = time.perf_counter()
        answered += [ask_over_http(serving, model, f"key-{n}", 1.0) for n in range(200)]
        print(f"{(time.perf_counter() - began) / 200 * 1000:.1f} ms a request")  # noqa: T201 - a figure to look at
        os.killpg(server.pid, signal.SIGKILL)
        shutil.rmtree(tmp_path / "server")
    assert {one.status for one in answered} == {200}
    found = serving.predictions(model)[0]["request_id"].to_pylist()
    assert sorted(found) == sorted(one.request_id for one in answered)
