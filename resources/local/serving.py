"""Serving on this machine: desired states and prediction logs are files in a shared folder."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from loopline.platform_core.contracts.log_store import LogStore
from loopline.platform_core.contracts.serving import (
    CANARY,
    GRPC,
    SHADOW,
    DesiredState,
    ObservedState,
    ServerUse,
    Serving,
)
from loopline.platform_core.contracts.state_store import StateStore, together
from loopline.platform_core.foundation.files import bytes_below
from loopline.platform_core.foundation.tls import Tls
from loopline.platform_core.runtime.settings.deferred import DeferredSettings
from loopline.platform_core.runtime.settings.gateway import GatewaySettings
from loopline.platform_core.runtime.settings.limits import Limits
from loopline.resources.local.folders import FolderLogs, FolderStates

if TYPE_CHECKING:
    import pyarrow as pa


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

    @property
    def states(self) -> StateStore:
        """Return where desired states reach the servers."""
        return FolderStates(Path(self.root))

    @property
    def logs(self) -> LogStore:
        """Return where their prediction logs are read."""
        return FolderLogs(Path(self.root))

    def apply(self, state: DesiredState) -> None:
        """Leave the state for the servers."""
        self.require(state.needs, state.model)
        self.states.ask(state)

    def observe(self, model: str) -> ObservedState:
        """Put together what the living servers say, and what keeps requests from being replayed."""
        servers = self.states.observed(model)
        if not servers:
            return ObservedState(None, ready=False, problem=self._none_runs("server"))
        seen = together(servers)
        return seen if seen.problem else replace(seen, problem=self._shadow_problem(model, seen.generation))

    def endpoint(self, model: str) -> str:
        """Return the model's URL on this machine."""
        return f"{'https' if self.tls else 'http'}://{self.host}:{self.port}/v2/models/{model}"

    def grpc_endpoint(self, model: str) -> str:
        """Return where the server listens for gRPC, if it does."""
        return super().grpc_endpoint(model) if self.grpc_port is None else f"{self.host}:{self.grpc_port}"

    def predictions(self, model: str, after: str | None = None) -> tuple[pa.Table, str]:
        """Read the servers' logs on from the cursor."""
        return self.logs.read(model, after)

    def end(self, model: str, after: str | None = None) -> str:
        """Look at the ends of the servers' logs alone."""
        return self.logs.end(model, after)

    def forget(self, model: str, cursors: Sequence[str]) -> int:
        """Let go of what is read and older than ``keep_days``."""
        return self.logs.forget(model, cursors, self.keep_days * 86_400)

    def erase(self, model: str, keys: Collection[str]) -> int:
        """Take rows out of the servers' logs."""
        return self.logs.erase(model, keys)

    def kept_bytes(self) -> int:
        """Add up the folder: packages, states and logs."""
        return bytes_below(Path(self.root))

    def usage(self) -> Sequence[ServerUse]:
        """Return what the servers' processes have used."""
        return tuple(self.states.uses())

    def _shadow_problem(self, model: str, generation: int | None) -> str:
        """Say what keeps requests from being replayed; while servers are on their way that is not their trouble."""
        wanted = self.states.wanted(model)
        if wanted is None or not wanted.replaying or (generation or 0) < wanted.generation:
            return ""
        seen = self.states.shadows(model)
        return next((one.problem for one in seen if one.problem), "") if seen else self._none_runs("shadow process")

    def _none_runs(self, what: str) -> str:
        return f"no {what} runs → start it with 'loopline up'"
