"""Endpoints answered by the inference server on this machine; files carry states in and the prediction log out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from loopline.platform_core.contracts.serving import (
    CANARY,
    GRPC,
    SHADOW,
    DesiredState,
    ObservedState,
    ServerUse,
    Serving,
)
from loopline.platform_core.runtime import states
from loopline.platform_core.runtime.settings.deferred import DeferredSettings
from loopline.platform_core.runtime.settings.gateway import GatewaySettings, Tls
from loopline.platform_core.runtime.settings.limits import Limits

if TYPE_CHECKING:
    import pyarrow as pa

SILENT_SECONDS = 15.0
"""How long a worker may stand still until it counts as one that hangs."""


class LocalServing(Serving):
    """The server that ``python -m loopline.inference_server`` starts on the same ``root``.

    Its shadows are replayed by ``python -m loopline.platform_core.runtime.shadow``, a process of its own.

    ``root`` is the folder of states and logs, on a local disk; ``host`` and ``port`` are where the server listens,
    ``grpc_port`` is where it listens for gRPC (left out: nowhere); ``limits`` say what a
    worker takes on at most, ``deferred`` how many requests may be put off, for how long, and who may be called back.
    """

    can: ClassVar[frozenset[str]] = frozenset({CANARY, GRPC, SHADOW})

    root: str
    port: int
    host: str = "127.0.0.1"
    tls: Tls | None = None
    gateway: GatewaySettings | None = None
    keep_days: float = 7
    grpc_port: int | None = None
    limits: Limits = Limits()
    deferred: DeferredSettings = DeferredSettings()

    def apply(self, state: DesiredState) -> None:
        """Leave the state for the server, which looks every 50 ms."""
        self.require(state.needs)
        states.write_desired(Path(self.root), state)

    def observe(self, model: str) -> ObservedState:
        """Put together what the living workers say: the oldest generation, ready when all are, the first trouble."""
        workers = states.observed(Path(self.root), model, SILENT_SECONDS)
        if not workers:
            return ObservedState(None, ready=False, problem="no server runs → start it with 'loopline up'")
        generations = [worker.generation for worker in workers]
        return ObservedState(
            generation=None if None in generations else min(g for g in generations if g is not None),
            ready=all(worker.ready for worker in workers),
            problem=next((worker.problem for worker in workers if worker.problem), "")
            or self._shadow_problem(model, generations),
        )

    def endpoint(self, model: str) -> str:
        """Return the model's URL on this machine."""
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}/v2/models/{model}"

    def grpc_endpoint(self, model: str) -> str:
        """Return where the server listens for gRPC, if it does."""
        return super().grpc_endpoint(model) if self.grpc_port is None else f"{self.host}:{self.grpc_port}"

    def predictions(self, model: str, after: str | None = None) -> tuple[pa.Table, str]:
        """Read the workers' logs on from the cursor, which holds an offset for each file."""
        from loopline.platform_core.runtime.prediction_log.log_table import read_after

        return read_after(Path(self.root), model, after)

    def end(self, model: str, after: str | None = None) -> str:
        """Look at the ends of the workers' logs alone."""
        from loopline.platform_core.runtime.prediction_log.log_table import end_after

        return end_after(Path(self.root), model, after)

    def forget(self, model: str, cursors: Sequence[str]) -> int:
        """Remove segments that are read and older than ``keep_days``; see ``runtime.retention``."""
        from loopline.platform_core.runtime.retention import trim

        return len(trim(Path(self.root), model, cursors, self.keep_days * 86_400))

    def usage(self) -> Sequence[ServerUse]:
        """Ask the kernel about the living workers; a worker's name ends in its process id."""
        found = (_used(name) for name in sorted(states.living(Path(self.root))))
        return tuple(use for use in found if use is not None)

    def _shadow_problem(self, model: str, generations: Sequence[int | None]) -> str:
        """Say what keeps requests from being replayed; while workers are on their way that is not their trouble."""
        wanted = states.desired(Path(self.root), model)
        if wanted is None or not wanted.replaying or any((each or 0) < wanted.generation for each in generations):
            return ""
        seen = states.observed(Path(self.root) / "shadow", model)
        if not seen:
            return "no shadow process runs → start it with 'loopline up'"
        return next((one.problem for one in seen if one.problem), "")


def _used(worker: str) -> ServerUse | None:
    import time

    import psutil

    try:
        process = psutil.Process(int(worker.rpartition("-")[2]))
        with process.oneshot():
            times, seconds = process.cpu_times(), time.time() - process.create_time()
            return ServerUse(worker, times.user + times.system, process.memory_info().rss / 2**30, seconds)
    except psutil.NoSuchProcess:  # it ended since it was listed
        return None
