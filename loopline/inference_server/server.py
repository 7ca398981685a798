"""Assembles the inference server of an environment file; uvicorn calls ``create`` in each worker."""

from __future__ import annotations

import multiprocessing
import os
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from loopline.deferred.requests import Deferred
from loopline.deferred.worker import holding
from loopline.inference_server import door
from loopline.platform_core import environment
from loopline.platform_core.contracts.base import Vendor
from loopline.platform_core.contracts.online_store import OnlineStore
from loopline.platform_core.contracts.serving import IMAGE_VARIABLE
from loopline.platform_core.errors import InvalidEnvironment
from loopline.platform_core.foundation import clock, logs
from loopline.platform_core.foundation.clock import Clock, WallClock
from loopline.platform_core.quota_settings import Quotas
from loopline.platform_core.runtime.answering.inference import Inference
from loopline.platform_core.runtime.app import App
from loopline.platform_core.runtime.fast_path.fast_path import FAST_PATH, FastPath
from loopline.platform_core.runtime.fast_path.turn_batch import TurnBatch
from loopline.platform_core.runtime.invocations import Invocations
from loopline.platform_core.runtime.lifespan import Beside, Lifespan
from loopline.platform_core.runtime.metrics import Metrics
from loopline.platform_core.runtime.prediction_log import open_files
from loopline.platform_core.runtime.prediction_log.log import Keep, PredictionLog
from loopline.platform_core.runtime.raw_predictions import RawPredictions
from loopline.platform_core.runtime.request_context import noting
from loopline.platform_core.runtime.settings.deferred import DeferredSettings
from loopline.platform_core.runtime.settings.limits import Limits
from loopline.platform_core.runtime.states import Worker
from loopline.platform_core.runtime.triton.usage_counts import UsageCounts, UsageCountsTogether
from loopline.platform_core.runtime.watcher import Watcher
from loopline.platform_core.runtime.wire.bounds import Bounds
from loopline.platform_core.signing.trust import trust_of

if TYPE_CHECKING:
    from loopline.gateway.gateway import Guards
    from loopline.platform_core.foundation.tls import Tls
    from loopline.platform_core.runtime.grpc.port import GrpcPort
    from loopline.platform_core.runtime.prediction_log.log_room import LogRoom
    from loopline.platform_core.runtime.settings.gateway import GatewaySettings
    from loopline.platform_core.runtime.wire.http import Application
    from loopline.platform_core.signing.trust import Trust

SWITCH_SECONDS = 0.0005
"""How long the event loop waits for a thread that computes; Python's own 5 ms would be seen in every answer."""

ALLOWANCES = "allowances"
"""The folder of counts of requests, below the server's root."""
_OPTIONS = ("tls", "gateway", "limits", "grpc_port", "deferred", "keep", "invoked")


@dataclass(frozen=True)
class Settings:
    """Where the server keeps its state, where it listens, where online features come from, and the platform's time.

    ``grpc_port`` is None when gRPC is not wanted. Where it is ``invoked``, it also answers to the paths of clouds'
    services for endpoints. With ``trust`` it loads only packages that are signed by one whom that knows.
    Of ``quotas`` it holds requests and logs.
    """

    root: Path
    host: str
    port: int
    store: OnlineStore
    clock: Clock = field(default_factory=WallClock)
    limits: Limits = field(default_factory=Limits)
    grpc_port: int | None = None
    tls: Tls | None = None
    gateway: GatewaySettings | None = None
    deferred: DeferredSettings = field(default_factory=DeferredSettings)
    keep: Keep | None = None
    invoked: bool = False
    trust: Trust | None = None
    quotas: Quotas = field(default_factory=Quotas)


def settings(file: Path | None = None) -> Settings:
    """Read from an environment file what the server needs: the bindings ``serving`` and ``online_store``.

    Raises:
        InvalidEnvironment: the bound serving vendor runs no server of ours, or a trainer's key is none.
    """
    bound = environment.read(file, only=("serving", "online_store"), alone=True)
    vendor = bound.bindings["serving"]
    try:
        root, host, port = (getattr(vendor, name) for name in ("root", "host", "port"))
    except AttributeError as error:
        raise InvalidEnvironment(
            f"{bound.path}: {type(vendor).__name__} does not say where a server of ours listens ({error})",
            "bind serving to a vendor with root, host and port, such as 'local'",
        ) from error
    if not root or not port:
        raise InvalidEnvironment(
            f"{bound.path}: serving says not in which folder and on which port a server of this machine runs",
            "set serving.root and serving.port",
        )
    store = cast("OnlineStore", bound.bindings["online_store"])
    return Settings(
        Path(root),
        host,
        port,
        store,
        clock.chosen(bound.clock),
        trust=trust_of(bound),
        quotas=bound.quotas,
        **_server_options(vendor),
    )


def _server_options(vendor: Vendor) -> dict[str, Any]:
    """Return who may connect and ask, and how much, as far as the vendor says it."""
    said = {name: getattr(vendor, name, None) for name in _OPTIONS}
    return {name: value for name, value in said.items() if value is not None}


def create() -> Application:
    """Make the application of one worker, from the environment file in force; behind a gateway if that says so."""
    sys.setswitchinterval(SWITCH_SECONDS)
    logs.start()
    open_files.take_all()
    return assemble(settings())


def assemble(chosen: Settings) -> Application:
    """Make the application of one worker; its name tells when it started, so that its log files sort by age."""
    worker = Worker(chosen.root, f"{datetime.now(UTC):%Y%m%dT%H%M%S%f}-{os.getpid()}")
    metrics, bounds = Metrics(), Bounds(chosen.limits)
    beside: list[Beside] = [bounds]
    room = _room(chosen, bounds, beside)
    log = PredictionLog(chosen.root, worker.name, keep=chosen.keep, room=room)
    kept = log.write if chosen.gateway is None else noting(log.write)
    inference = Inference(chosen.store, holding(kept), chosen.clock, most_rows=chosen.limits.rows)
    inference.image = os.environ.get(IMAGE_VARIABLE)
    if chosen.quotas.requests_per_second is not None:
        from loopline.gateway.quota import Rate

        inference.admit = Rate(chosen.root / ALLOWANCES, chosen.quotas.requests_per_second, bounds.refused)
    counts = _counts(metrics, chosen.root, worker, beside)
    watcher = Watcher(chosen.root, worker, inference, chosen.trust)

    def ready() -> bool:
        return watcher.ready

    guards = _guards(chosen, bounds)
    if chosen.grpc_port is not None:
        beside.append(_grpc(chosen, inference, counts, ready, guards))
    app = App(inference, Lifespan(worker, watcher, log, chosen.store, beside), ready, metrics, bounds, counts)
    deferred = Deferred(app, inference, chosen.root, chosen.deferred, ready)
    beside.append(deferred)
    whole = _together(deferred, chosen.root, worker)
    batch = TurnBatch(inference, metrics, log.write_many)
    hosts = () if chosen.invoked or (chosen.gateway and chosen.gateway.keys) else door.names(chosen.host)
    plain = door.plain(hosts) if hosts else None
    if guards is None:
        app.state[FAST_PATH] = FastPath(inference, batch, bounds, plain)
        whole = _invoked(whole, inference) if chosen.invoked else whole
    else:
        from loopline.gateway.gateway import Gateway
        from loopline.gateway.guarded_fast_path import GuardedFastPath

        app.state[FAST_PATH] = GuardedFastPath(inference, batch, bounds, guards, plain)
        whole = Gateway(whole, *guards)
    return door.guarded(whole, hosts) if hosts else whole


def _room(chosen: Settings, bounds: Bounds, beside: list[Beside]) -> LogRoom | None:
    """Return what holds the folder's logs to a quota; None where there is none."""
    if chosen.quotas.log_bytes is None:
        return None
    from loopline.platform_core.runtime.prediction_log.log_room import LogRoom

    room = LogRoom(chosen.root / "log", chosen.quotas.log_bytes, bounds.refused)
    beside.append(room)
    return room


def _invoked(app: Application, inference: Inference) -> Application:
    """Answer to SageMaker's paths and to Vertex AI's as well."""
    return Invocations(RawPredictions(app, inference.models), inference.models)


def _is_alone() -> bool:
    return multiprocessing.parent_process() is None


def _counts(metrics: Metrics, root: Path, worker: Worker, beside: list[Beside]) -> UsageCounts:
    if _is_alone():
        return UsageCounts(metrics)
    together = UsageCountsTogether(metrics, root, worker.name)
    beside.append(together)
    return together


def _together(app: Application, root: Path, worker: Worker) -> Application:
    if _is_alone():
        return app
    from loopline.platform_core.runtime.metrics_together import MetricsTogether  # there are several workers

    return MetricsTogether(app, root, worker.name)


def _guards(chosen: Settings, bounds: Bounds) -> Guards | None:
    """Return what stands before every request, over HTTP or gRPC; None where an environment asks for nothing."""
    if chosen.gateway is None:
        return None
    from loopline.gateway import gateway

    return gateway.Guards(*gateway.of(chosen.gateway, chosen.root), bounds.refused)


def _grpc(
    chosen: Settings,
    inference: Inference,
    counts: UsageCounts,
    ready: Callable[[], bool],
    guards: Guards | None,
) -> GrpcPort:
    try:
        from loopline.gateway.grpc_gateway import GrpcGateway
        from loopline.platform_core.runtime.grpc.port import GrpcPort
        from loopline.platform_core.runtime.grpc.service import GrpcService
    except ImportError as error:
        raise InvalidEnvironment(
            f"serving.grpc_port is set, and gRPC is not installed ({error})",
            "install the extra 'grpc', or leave it out",
        ) from error
    service = GrpcService(inference, counts.metrics, ready, GrpcGateway(*guards) if guards else None, counts)
    return GrpcPort(service, f"{chosen.host}:{chosen.grpc_port}", chosen.limits, chosen.tls)
