"""The server's application without a socket, with a model or two."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from platform_core.contracts.serving import DesiredState, Served
from platform_core.runtime.app import App
from platform_core.runtime.inference import Inference, ModelState
from platform_core.runtime.log import Record
from platform_core.runtime.manifest import ViewField
from platform_core.runtime.routes import Route
from platform_core.runtime.states import write_desired
from platform_core.testing.fakes.online_store import InMemoryOnlineStore
from platform_core.testing.inference_server import free_port, inference_server
from platform_core.testing.model_packages import ENTITY, Column, Constant, write_package

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
        """Read the body."""
        return json.loads(self.body)

    @property
    def error(self) -> str:
        """Return the message of an error, which has nothing else in it."""
        assert list(self.json) == ["error"]
        return self.json["error"]


@dataclass
class Server:
    """An application with its log and its online store in memory."""

    folder: Path
    store: InMemoryOnlineStore = field(default_factory=InMemoryOnlineStore)
    logged: list[tuple[str, Record]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Put the application together."""
        self.inference = Inference(self.store, lambda model, record: self.logged.append((model, record)))
        self.app = App(self.inference, lifespan=None, ready=lambda: True)

    def serve(self, estimator: Any = None, candidate: Any = None, percent: int = 0, **package: Any) -> None:
        """Serve version 1, and version 2 as its candidate; the score says who answered."""
        stable = self.served("1", estimator or Constant(0.1), **package)
        self.route(stable, self.served("2", candidate, **package) if candidate else None, percent)

    def served(self, version: str, estimator: Any, **package: Any) -> Served:
        """Package a version."""
        folder = self.folder / f"{len(list(self.folder.iterdir()))}"
        return Served(version, write_package(folder, estimator, **package), f"cycle-{version}")

    def route(self, stable: Served, candidate: Served | None = None, percent: int = 0) -> None:
        """Serve versions."""
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
        return self.post({"inputs": [tensor(name, values) for name, values in columns.items()], **more}, path)

    def post(self, body: Any, path: str = "") -> Reply:
        """Send a body as JSON to the model, or the bytes that it is."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.ask("POST", f"/v2/models/{MODEL}{path}/infer", raw)

    async def _ask(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        half = len(body) // 2
        messages = iter(
            [
                {"type": "http.request", "body": body[:half], "more_body": True},
                {"type": "http.request", "body": body[half:], "more_body": False},
            ]
        )
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


@dataclass(frozen=True)
class Listening:
    """A server process, and where it listens."""

    folder: Path
    port: int
    grpc_port: int
    pid: int


@contextmanager
def listening(folder: Path, served: Mapping[str, Any], settings: str = "", workers: int = 1) -> Iterator[Listening]:
    """Run a real server on both ports with a version 1 of each model named.

    Beside the name stands the estimator, alone or with the features that its requests bring.
    """
    ports = free_port(), free_port()
    file = folder / "environment.yaml"
    file.write_text(f"""
bindings:
  serving: {{vendor: local, root: "{folder}/serving", port: {ports[0]}, grpc_port: {ports[1]}{settings}}}
  online_store: {{vendor: sqlite, path: "{folder}/online.db"}}
""")
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


def tensor(name: str, values: list[Any]) -> dict[str, Any]:
    """Make a JSON tensor of shape [n]."""
    datatype = {int: "INT64", str: "BYTES"}.get(type(values[0]), "FP64")
    return {"name": name, "shape": [len(values)], "datatype": datatype, "data": values}


@pytest.fixture
def server(tmp_path: Path) -> Server:
    """Give a server without a model."""
    folder = tmp_path / "packages"
    folder.mkdir()
    return Server(folder)
