"""A platform of one model in one process: real vendors, the server's own parts without a socket, its clock set."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

from pydantic import PrivateAttr

from loopline.deferred.requests import Deferred
from loopline.deferred.worker import holding
from loopline.platform_core import turn
from loopline.platform_core.contracts.compute import Compute, Json
from loopline.platform_core.contracts.serving import DesiredState, ObservedState
from loopline.platform_core.environment import Environment
from loopline.platform_core.features.materialization.materialize import materialize
from loopline.platform_core.foundation.clock import ReplayClock
from loopline.platform_core.foundation.names import ModelRef
from loopline.platform_core.ingestion.landing import land
from loopline.platform_core.loop.cycles import cycles
from loopline.platform_core.loop.cycles.cycles import Cycle
from loopline.platform_core.loop.deployments import deployments
from loopline.platform_core.loop.rollouts import rollouts
from loopline.platform_core.monitor.drift import drift
from loopline.platform_core.monitor.quality import predictions, quality_history
from loopline.platform_core.monitor.quality.quality_history import LiveQuality
from loopline.platform_core.platform import Platform
from loopline.platform_core.runtime import shadow_log
from loopline.platform_core.runtime.answering.answers import answered
from loopline.platform_core.runtime.answering.inference import Inference, ModelState
from loopline.platform_core.runtime.answering.routes import Route
from loopline.platform_core.runtime.app import App
from loopline.platform_core.runtime.lifespan import Lifespan
from loopline.platform_core.runtime.prediction_log.log import PredictionLog
from loopline.platform_core.runtime.settings.deferred import DeferredSettings
from loopline.platform_core.runtime.shadow import Shadows
from loopline.platform_core.runtime.states import Worker
from loopline.platform_core.runtime.watcher import Watcher
from loopline.platform_core.runtime.wire.protocol import decode
from loopline.platform_core.specs import (
    Batch,
    BeatsChampion,
    Drift,
    ErrorRate,
    Model,
    Quality,
    Requirements,
    Rollout,
    Team,
)
from loopline.platform_core.testing.engines.engine_tables import at, put_contract
from loopline.platform_core.testing.fakes.event_stream import InMemoryEventStream
from loopline.platform_core.testing.fakes.registry import InMemoryRegistry
from loopline.platform_core.training import training_set
from loopline.platform_core.training.order import Order
from loopline.platform_core.training.task import run
from loopline.resources.delta.lake import DeltaLake
from loopline.resources.folder.event_source import FolderEventSource
from loopline.resources.local.serving import LocalServing
from loopline.resources.polars.engine import PolarsEngine
from loopline.resources.sqlite.online_store import SqliteOnlineStore
from tests.walk.kinds.sample import COLUMNS, KindSample, latest, order, raw_row


class HereServing(LocalServing):
    """The local server's states and logs; who answers is in this process, and told of each state at once."""

    _server: Any = PrivateAttr(default=None)

    def apply(self, state: DesiredState) -> None:
        """Leave the state, and let the server follow it."""
        super().apply(state)
        self._server.follow(state)


class Server:
    """What a worker and the shadow process do, at a call."""

    def __init__(self, root: Path, platform: Platform) -> None:
        self.root, self.store = root, platform.online_store
        self.worker, self.log = Worker(root, "here"), PredictionLog(root, "here")
        self.inference = Inference(platform.online_store, holding(self.log.write), platform.clock)
        beside = Worker(root / "shadow", "beside"), PredictionLog(root, f"{shadow_log.PREFIX}beside")
        self.shadows = Shadows(root, *beside, platform.clock)
        self.runner = asyncio.Runner()

    def follow(self, state: DesiredState) -> None:
        """Load what is wanted."""
        before = self.inference.models.get(state.model, ModelState()).route
        self.inference.models[state.model] = ModelState(Route.build(state, before))
        self.worker.report(state.model, ObservedState(state.generation, ready=True))
        self.shadows.step(Event())

    def ask(self, model: str, body: bytes) -> dict[str, Any]:
        """Answer a request, as bytes on the wire say it."""
        request = decode(body)
        answer = self.runner.run(self.inference.infer(model, request))
        return json.loads(answered(model, request, answer).body)  # type: ignore[no-any-return]

    def put_off(self, model: str, body: bytes) -> tuple[str, dict[str, Any]]:
        """Take a request for which nobody waits, answer it, and have it fetched; gives its id and the answer."""
        return self.runner.run(self._put_off(f"/v2/models/{model}/infer", body))

    async def _put_off(self, path: str, body: bytes) -> tuple[str, dict[str, Any]]:
        lifespan = Lifespan(self.worker, Watcher(self.root, self.worker, self.inference), self.log, self.store)
        app = App(self.inference, lifespan, lambda: True)
        deferred = Deferred(app, self.inference, self.root, DeferredSettings(), lambda: True)
        status, accepted = await said(deferred, "POST", path, body, (b"prefer", b"respond-async"))
        assert (status, accepted["state"]) == (202, "waiting")
        await deferred.open()
        async with asyncio.timeout(120):
            while status == 202:
                await asyncio.sleep(0.005)  # between two looks
                status, answer = await said(deferred, "GET", f"/v2/requests/{accepted['id']}")
        await deferred.close()
        assert status == 200, answer
        return accepted["id"], answer


class HereCompute(Compute):
    """Trains where it is called, the team that the world has."""

    _world: Any = PrivateAttr(default=None)

    def run(self, task: str, args: Mapping[str, Json], requirements: Requirements, key: str) -> Json:
        """Train what a cycle has pinned."""
        world, pinned = self._world, training_set.from_json(args["training_set"])
        told = args["cycle"], key, args["drill"] or {}
        return run(Order(world.platform, world.team, world.model, pinned, *told, seconds=args.get("seconds")))


@dataclass
class World:
    """A shop whose application asks about each order as it is placed, an hour after the other."""

    home: Path
    sample: KindSample
    hour: int = 0
    shifted: bool = False
    answers: list[dict[str, Any]] = field(default_factory=list)
    waiting: list[dict[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Bind the vendors."""
        put_contract(self.home / "orders.yaml", **COLUMNS)
        root, home = self.home / "serving", self.home
        serving, compute = HereServing(root=str(root), port=1), HereCompute()
        bindings = {
            "lake": DeltaLake(root=str(home / "lake")),
            "engine": PolarsEngine(),
            "online_store": SqliteOnlineStore(path=str(home / "online.db")),
            "event_source": FolderEventSource(root=str(home / "landing")),
            "event_stream": InMemoryEventStream(),
            "registry": InMemoryRegistry(),
            "serving": serving,
            "compute": compute,
        }
        file = home / "e.yaml"
        file.touch()
        self.platform = Platform(Environment("t", file, bindings, f"sqlite:///{home}/l.db", home / "clock", home))
        self.clock.set(at(self.hour))
        self.server = Server(root, self.platform)
        serving._server, compute._world = self.server, self
        self.model = declared(self.sample)
        self.team = Team("shop", home, (self.model,))
        self.ref = ModelRef("shop", self.model.name)

    @property
    def clock(self) -> ReplayClock:
        """Return the clock that is set."""
        assert isinstance(self.platform.clock, ReplayClock)
        return self.platform.clock

    def trade(self, hours: int, *, asking: bool = True, landing: bool = True, a_file: int = 50) -> None:
        """Let hours pass, each with an order that is asked about.

        After the last one the orders that have not come yet land, in files of so many; without ``landing`` they wait.
        """
        rows = [raw_row(n, shifted=self.shifted) for n in range(self.hour, self.hour + hours)]
        for n, row in enumerate(rows if asking else (), self.hour):
            self.clock.set(at(n))
            self.answers.append(self.server.ask(self.ref.dotted, order_of(n, row)))
        self.server.log.sync()
        self.server.worker.beat()
        self.server.shadows.step(Event())
        self.hour += hours
        self.waiting += rows
        if landing:
            self._land(a_file)

    def _land(self, a_file: int) -> None:
        """Drop the files, each with the time at which it was there, and let them all land."""
        self.clock.set(at(self.hour))
        began = self.hour - len(self.waiting)
        for start in range(began, self.hour, a_file):
            text = io.StringIO()
            writer = csv.DictWriter(text, [*COLUMNS])
            writer.writeheader()
            some = enumerate(self.waiting[start - began :][:a_file], start)
            writer.writerows({"ordered_at": at(n).isoformat(), **row} for n, row in some)
            arrived = at(min(start + a_file, self.hour))
            self.platform.event_source.lay("shop/orders", f"{start:05}.csv", text.getvalue().encode(), arrived)
        self.waiting.clear()
        land(self.platform, self.team, self.model.labels.source)
        for view in self.team.views:
            materialize(self.platform, self.team, view)

    def turned(self, cause: str, drill: Mapping[str, float] | None = None) -> Cycle:
        """Open a cycle, and let it learn, be gated, and begin its rollout."""
        ledger, now = self.platform.ledger, self.clock.now()
        opened = cycles.open_cycle(
            ledger, self.ref, self.model.drift, cause, cause, now, force=True, drill=dict(drill or {})
        )
        one = turn.Turn(self.platform, self.team, self.model, opened)
        turn.pin(one)
        turn.fit(one)
        verdict = turn.gate(one)
        assert verdict.passed, [reading.detail for reading in verdict.failed]
        turn.deploy(one)
        return opened

    def looked(self) -> LiveQuality:
        """Bring the log into the lake, and measure with the labels that have come."""
        predictions.compact(self.platform, self.team, self.model)
        return quality_history.measured(self.platform, self.team, self.model)

    def drifted(self) -> str:
        """Say why there is an alarm."""
        predictions.compact(self.platform, self.team, self.model)
        found = drift.watch(self.platform, self.team, self.model)
        return found.alarm.reason if found.alarm else ""

    def stepped(self) -> str:
        """Judge the rollout that runs; says what was done."""
        record = rollouts.running(self.platform.ledger, self.ref)
        assert record is not None
        return rollouts.step(self.platform, self.model, record.rollout_id, self.clock.now()).action

    def state(self, cycle: Cycle) -> tuple[str, str]:
        """Return how a cycle stands, and why."""
        found = cycles.cycle(self.platform.ledger, cycle.cycle_id)
        return found.state, found.verdict

    @property
    def live(self) -> str:
        """Return the version that is live."""
        found = deployments.deployment(self.platform.ledger, self.ref)
        assert found is not None
        assert found.stable is not None
        return found.stable.version

    def close(self) -> None:
        """Let everything go."""
        self.server.runner.close()
        self.platform.close()


def declared(sample: KindSample) -> Model:
    """Declare the model as a team would."""
    return Model(
        f"a_{sample.target.kind}",
        (latest, order),
        sample.labels,
        sample.fit,
        target=sample.target,
        gates=(sample.gate, BeatsChampion(sample.target.searched, tolerance=1_000.0)),
        rollout=Rollout(percents=(50, 100), bake_minutes=60, min_requests=20, judges=(ErrorRate(0.01), sample.judge)),
        drift=Drift(min_rows=60, alarms=1, windows=1, share=0.5, cooldown_hours=1, daily_budget=9, blocks=False),
        quality=Quality(days=5, min_rows=5),
        batch=Batch(order, date(2020, 1, 1)),
        fairness=sample.fairness,
    )


async def said(app: Any, method: str, path: str, body: bytes = b"", *headers: tuple[bytes, bytes]) -> tuple[int, Any]:
    """Ask an application in this process; gives the status and what its JSON says."""
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "method": method, "path": path, "headers": [*headers], "query_string": b""}
    await app(scope, receive, send)
    return sent[0]["status"], json.loads(sent[1]["body"])


def order_of(n: int, row: Mapping[str, Any]) -> bytes:
    """Write what an application sends of an order."""
    told = {"customer": row["customer"], "size": row["amount"], "article": row["article"]}
    kinds = {int: "INT64", float: "FP64", str: "BYTES"}
    inputs = [
        {"name": name, "shape": [1], "datatype": kinds[type(value)], "data": [value]} for name, value in told.items()
    ]
    return json.dumps({"id": f"o{n}", "parameters": {"event_time": at(n).isoformat()}, "inputs": inputs}).encode()


def day_of(hour: int) -> date:
    """Return the day of an hour."""
    return (datetime(2020, 1, 1, tzinfo=UTC) + timedelta(hours=hour)).date()
