"""The server's application without a socket, with a model or two."""

from __future__ import annotations

import asyncio
import json
import random
import resource
import struct
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState

from loopline.gateway.gateway import Gateway, Guards
from loopline.gateway.guarded_fast_path import GuardedFastPath
from loopline.platform_core.contracts.serving import DesiredState, Served
from loopline.platform_core.errors import StoreUnavailable
from loopline.platform_core.runtime.answering.inference import Inference, ModelState
from loopline.platform_core.runtime.answering.routes import Route
from loopline.platform_core.runtime.app import App
from loopline.platform_core.runtime.fast_path.connections import Connection
from loopline.platform_core.runtime.fast_path.fast_path import FAST_PATH, FastPath
from loopline.platform_core.runtime.fast_path.turn_batch import TurnBatch
from loopline.platform_core.runtime.metrics import Metrics
from loopline.platform_core.runtime.model import models
from loopline.platform_core.runtime.model.manifest import ViewField
from loopline.platform_core.runtime.prediction_log.log import Record
from loopline.platform_core.runtime.settings.limits import Limits
from loopline.platform_core.runtime.states import write_desired
from loopline.platform_core.runtime.wire.bounds import Bounds
from loopline.platform_core.testing.fakes.online_store import InMemoryOnlineStore
from loopline.platform_core.testing.parts.inference_server import inference_server
from loopline.platform_core.testing.parts.model_packages import ENTITY, Column, Constant, write_package
from loopline.platform_core.testing.parts.ports import free_port

MODEL = "retail.cancellations"
HISTORY = ViewField("retail.history.v1", ENTITY, ["orders", "country"], ttl_days=90)
NOON = 1_298_980_800_000_000
"""2011-03-01T12:00:00Z in µs."""


@dataclass
class Reply:
    """What came back over ASGI."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """Return the message of an error, which has nothing else in it."""
        assert list(self.json) == ["error"]
        return self.json["error"]


@dataclass
class Outcome:
    """What a connection was sent, what was logged meanwhile (without times), and what was counted."""

    sent: bytes
    logged: list[tuple[str, Record]]
    counted: dict[str, Any]


class Wire(asyncio.Transport):
    """A transport that keeps what is sent, and "closed" behind it in the end."""

    def __init__(self) -> None:
        self.sent = bytearray()

    def write(self, data: Any) -> None:
        self.sent += data

    def close(self) -> None:
        if not self.is_closing():
            self.sent += b"closed"

    abort = close

    def is_closing(self) -> bool:
        return self.sent.endswith(b"closed")

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def pause_reading(self) -> None:
        """Go on: all is there."""

    resume_reading = pause_reading

    async def settled(self) -> None:
        """Wait until nothing more is sent."""
        await a_moment()
        while asyncio.all_tasks() - {asyncio.current_task()}:
            await a_moment()
        await a_moment()  # what was answered last goes out at the end of its turn


def in_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Make a test of one that awaits."""

    @wraps(test)
    def run(*args: Any, **given: Any) -> None:
        asyncio.run(test(*args, **given))

    return run


async def ask_port(service: Any, asked: Any, seconds: float = 20.0) -> Any:
    """Send a message to a service on a socket, and return the error that comes of it, None when all is well."""
    import grpc

    from loopline.platform_core.runtime.grpc.messages import SERVICE
    from loopline.platform_core.runtime.grpc.port import GrpcPort

    address = f"127.0.0.1:{free_port()}"
    port = GrpcPort(service, address, Limits())
    await port.open()
    try:
        async with grpc.aio.insecure_channel(address) as channel:
            await channel.unary_unary(f"/{SERVICE}/ModelInfer")(asked.SerializeToString(), timeout=seconds)
    except grpc.aio.AioRpcError as error:
        return error
    finally:
        await port.close()


async def a_moment() -> None:
    """Let the loop take some turns."""
    for _ in range(8):
        await asyncio.sleep(0)  # a turn


def counting(server: Server, path: FastPath) -> FastPath:
    """Count what is taken, and return what takes it."""
    take = path.take

    def counted(*given: Any) -> bool:
        is_taken = take(*given)
        server.taken += is_taken
        return is_taken

    path.take = counted
    return path


class Wiring:
    """A worker's connections, as uvicorn makes them."""

    def __init__(self, server: Server, at_once: bool) -> None:
        """Put them together over the application."""
        self.metrics, self.bounds = Metrics(), Bounds(server.limits)
        app = App(server.inference, lifespan=None, ready=lambda: True, metrics=self.metrics, bounds=self.bounds)
        crowd = TurnBatch(server.inference, self.metrics, server.log_many)
        taking = server.inference, crowd, self.bounds
        guards = server.guards(self.bounds, at_once) if server.guards else None
        if at_once:
            path = GuardedFastPath(*taking, guards) if guards else FastPath(*taking)
            app.state[FAST_PATH] = counting(server, path)
        whole = Gateway(app, *guards) if guards else app
        self._config, self._state, self._found = Config(whole, proxy_headers=False), ServerState(), app.state

    def connect(self) -> tuple[Connection, Wire]:
        connection, wire = Connection(self._config, self._state, self._found), Wire()
        connection.connection_made(wire)
        return connection, wire

    def counted(self) -> dict[str, Any]:
        """Return the counts, without times."""
        counts = self.metrics.counts
        requests = {labels: sum(count.buckets) for labels, count in counts.items()}
        errors = {labels: count.errors for labels, count in counts.items() if count.errors}
        rows = {labels: count.rows for labels, count in counts.items()}
        return {"requests": requests, "errors": errors, "rows": rows, "refused": dict(self.bounds.refused)}


def timeless(model: str, record: Record) -> tuple[str, Record]:
    """Take the times out of a record, but for the one that a caller gave."""
    is_now = record.event_time_us == record.asked_at_us
    times = {"latency_ms": 0.0, "logged_at_us": 0, "asked_at_us": 0}
    return model, msgspec.structs.replace(record, **times, **({"event_time_us": 0} if is_now else {}))


@dataclass
class Server:
    """An application with its log and its online store in memory."""

    folder: Path
    store: InMemoryOnlineStore = field(default_factory=InMemoryOnlineStore)
    logged: list[tuple[str, Record]] = field(default_factory=list)
    limits: Limits = field(default_factory=Limits)
    writes: list[list[Record]] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=dict)
    full: bool = False
    taken: int = 0
    guards: Callable[[Bounds, bool], Guards] | None = None
    """Makes what stands before a wiring, over ASGI only or not; None where nothing does."""

    def __post_init__(self) -> None:
        """Put the application together."""
        self.inference = Inference(self.store, lambda model, record: self.logged.append((model, record)))
        self.app = App(self.inference, lifespan=None, ready=lambda: True)

    def log_many(self, model: str, records: list[Record]) -> None:
        """Keep records that were made at once."""
        if self.full:
            raise StoreUnavailable("the disk is full", "free it")
        self.writes.append(records)
        self.logged += [(model, record) for record in records]

    def serve(self, estimator: Any = None, candidate: Any = None, percent: int = 0, **package: Any) -> None:
        """Serve version 1, and version 2 as its candidate; the score says who answered."""
        stable = self.served("1", estimator or Constant(0.1), **package)
        self.route(stable, self.served("2", candidate, **package) if candidate else None, percent)

    def both(self, pieces: Sequence[bytes], together: bool = False) -> tuple[Outcome, Outcome]:
        """Send pieces to one connection, over ASGI only and then as a server would; ``together``: without a pause."""
        plain, at_once = (self._wired(pieces, together, at_once=at_once) for at_once in (False, True))
        return plain, at_once

    def crowd(self, requests: Sequence[bytes], shutdown: bool = False, looks: Sequence[float] = ()) -> list[bytes]:
        """Send requests in one turn of the loop, each on its connection, and return what each was sent."""

        async def run() -> list[bytes]:
            wiring = Wiring(self, at_once=True)
            wires = [wiring.connect() for _ in requests]
            for (connection, _), request in zip(wires, requests, strict=True):
                connection.data_received(request)
            for connection, _ in wires if shutdown else ():
                connection.shutdown()
            for _, wire in wires:
                await wire.settled()
            for now in looks:
                wiring.bounds.look(now)
            self.refused = wiring.bounds.refused
            return [bytes(wire.sent) for _, wire in wires]

        return asyncio.run(run())

    def _wired(self, pieces: Sequence[bytes], together: bool, at_once: bool) -> Outcome:
        random.seed(0)
        before = len(self.logged)

        async def run() -> Outcome:
            wiring = Wiring(self, at_once)
            connection, wire = wiring.connect()
            for piece in pieces:
                if not wire.is_closing():
                    connection.data_received(piece)
                if not together:
                    await a_moment()
            await wire.settled()
            return Outcome(bytes(wire.sent), [timeless(*one) for one in self.logged[before:]], wiring.counted())

        return asyncio.run(run())

    def served(self, version: str, estimator: Any, **package: Any) -> Served:
        """Package a version."""
        folder = self.folder / f"{len(list(self.folder.iterdir()))}"
        return Served(version, write_package(folder, estimator, **package), f"cycle-{version}")

    def route(self, stable: Served, candidate: Served | None = None, percent: int = 0) -> None:
        state = DesiredState(MODEL, 1, stable, candidate, percent)
        self.inference.models[MODEL] = ModelState(Route.build(state, None))

    def know(self, key: str, orders: float | None, country: str | None, event_time_us: int = NOON) -> None:
        """Put an entity's features online."""
        columns = {"orders": pa.array([orders], pa.float64()), "country": pa.array([country], pa.string())}
        time = pa.array([event_time_us], pa.timestamp("us", "UTC"))
        self.store.write(HISTORY.view, ENTITY, pa.table({ENTITY: [key], "event_time": time, **columns}))

    def ask(self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None) -> Reply:
        """Send a request, whose body comes in two pieces."""
        return asyncio.run(self._ask(method, path, body, headers or {}))

    def infer(self, columns: Mapping[str, list[Any]], path: str = "", **more: Any) -> Reply:
        """Ask the model; tensors take their datatypes from the values."""
        return self.post({"inputs": tensors(**columns), **more}, path)

    def post(self, body: Any, path: str = "") -> Reply:
        """Send a body as JSON to the model, or the bytes that it is."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.ask("POST", f"/v2/models/{MODEL}{path}/infer", raw)

    async def _ask(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        half = len(body) // 2
        halves = (body[:half], True), (body[half:], False)
        messages = iter([{"type": "http.request", "body": part, "more_body": more} for part, more in halves])
        sent: list[Any] = []

        async def receive() -> Any:
            return next(messages)

        async def send(message: Any) -> None:
            sent.append(message)

        raw = [(name.lower().encode(), value.encode()) for name, value in headers.items()]
        await self.app({"type": "http", "method": method, "path": path, "headers": raw}, receive, send)
        out = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
        assert int(out["content-length"]) == len(sent[1]["body"])
        return Reply(sent[0]["status"], out, sent[1]["body"])


@contextmanager
def no_room_beyond(size: int) -> Iterator[None]:
    """Let no file grow beyond so many bytes, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@dataclass(frozen=True)
class Listening:
    """A server process, and where it listens."""

    folder: Path
    port: int
    grpc_port: int
    pid: int


def environment_of(folder: Path, port: int, grpc_port: int, settings: str = "") -> Path:
    """Write the file of a server's environment."""
    file = folder / "environment.yaml"
    file.write_text(f"""
bindings:
  serving: {{vendor: local, root: "{folder}/serving", port: {port}, grpc_port: {grpc_port}{settings}}}
  online_store: {{vendor: sqlite, path: "{folder}/online.db"}}
""")
    return file


@contextmanager
def listening(folder: Path, served: Mapping[str, Any], settings: str = "", workers: int = 1) -> Iterator[Listening]:
    """Run a real server on both ports with a version 1 of each model named.

    Beside the name stands the estimator, alone or with the features that its requests bring.
    """
    ports = free_port(), free_port()
    file = environment_of(folder, *ports, settings)
    for model, what in served.items():
        estimator, requested = what if isinstance(what, tuple) else (what, ["amount"])
        package = write_package(folder / model, estimator, requested=requested)
        write_desired(folder / "serving", DesiredState(model, 1, Served("1", package, "c-1")))
    with inference_server(file, ports[0], workers) as process:
        yield Listening(folder, *ports, process.pid)


@pytest.fixture(scope="session")
def start() -> Callable[..., AbstractContextManager[Listening]]:
    """Give the function that runs a real server."""
    return listening


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    """Run a server with one model, whose probability is the amount."""
    with listening(tmp_path_factory.mktemp("running"), {MODEL: Column(0)}) as server:
        yield server


@pytest.fixture
def refused_start(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[Path], str]:
    """Give a function that starts the command with an environment that is wrong, and returns what it says."""
    from loopline.inference_server.__main__ import main

    def start(file: Path) -> str:
        monkeypatch.setattr("sys.argv", ["", "--environment", str(file)])
        for name in ("LOOPLINE_ENVIRONMENT", "OMP_NUM_THREADS"):
            monkeypatch.setenv(name, "1")  # what it sets itself is taken back
        assert main() == 2
        return capsys.readouterr().err

    return start


def tensor(name: str, values: list[Any]) -> dict[str, Any]:
    """Make a JSON tensor of shape [n]."""
    datatype = {int: "INT64", str: "BYTES"}.get(type(values[0]), "FP64")
    return {"name": name, "shape": [len(values)], "datatype": datatype, "data": values}


def tensors(**columns: list[Any]) -> list[dict[str, Any]]:
    """Make the JSON tensors of a request."""
    return [tensor(name, values) for name, values in columns.items()]


def grpc_request(columns: Mapping[str, Sequence[Any]], raw: bool = False) -> Any:
    """Make a request of texts and numbers as a message, whose contents are typed or ``raw`` bytes."""
    from loopline.platform_core.runtime.grpc.messages import message

    asked = message("ModelInferRequest")(model_name=MODEL, id="r")
    for name, values in columns.items():
        texts = [value.encode() for value in values if isinstance(value, str)]
        tensor = asked.inputs.add(name=name, datatype="BYTES" if texts else "FP64", shape=[len(values)])
        if raw:
            packed = b"".join(len(text).to_bytes(4, "little") + text for text in texts)
            asked.raw_input_contents.append(packed or struct.pack(f"<{len(values)}d", *values))
        elif texts:
            tensor.contents.bytes_contents.extend(texts)
        else:
            tensor.contents.fp64_contents.extend(values)
    return asked


@pytest.fixture
def untimed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let models answer up to 256 rows in the loop, however busy the machine is while they are loaded."""
    monkeypatch.setattr(models, "_timed", lambda loaded: loaded)


@pytest.fixture
def server(tmp_path: Path) -> Server:
    """Give a server without a model."""
    folder = tmp_path / "packages"
    folder.mkdir()
    return Server(folder)
