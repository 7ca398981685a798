"""Endpoints answered by inference servers on other machines: an object store carries states in and logs out."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, PrivateAttr

from loopline.resources.local.serving import LocalServing
from loopline.resources.object_store.logs import ObjectLogs
from loopline.resources.object_store.objects import Objects
from loopline.resources.object_store.states import ObjectStates

if TYPE_CHECKING:
    from loopline.platform_core.contracts.log_store import LogStore
    from loopline.platform_core.contracts.state_store import StateStore


class ObjectStoreServing(LocalServing):
    """Servers that ``python -m loopline.relay`` stands beside, wherever they run.

    ``store`` is a URL with a prefix of this installation's own, such as ``s3://bucket/serving``; ``storage_options`` go
    to the store's client as they are. ``address`` is where callers reach the servers, ``grpc_address`` where they do
    over gRPC (``host:port``; left out: nowhere). In the environment file of a machine with a server, ``root`` is its
    own folder, and ``host`` and ``port`` are where it listens; where none is to run they are left out. The rest
    is as for ``local``.
    """

    log_delay_seconds: ClassVar[float] = 2.0

    root: str = ""
    port: int = 0
    store: str
    storage_options: dict[str, str] = Field(default_factory=dict)
    address: str
    grpc_address: str = ""
    _objects: Objects | None = PrivateAttr(default=None)
    _states: ObjectStates | None = PrivateAttr(default=None)

    @property
    def states(self) -> StateStore:
        """Return where desired states reach the servers; one object, since it knows what it has read."""
        return self.feed

    @property
    def logs(self) -> LogStore:
        """Return where their prediction logs are read."""
        return self.sink

    @property
    def feed(self) -> ObjectStates:
        """Return the servers' side of the states."""
        if self._states is None:
            self._states = ObjectStates(self._at())
        return self._states

    @property
    def sink(self) -> ObjectLogs:
        """Return the servers' side of the logs."""
        return ObjectLogs(self._at())

    def endpoint(self, model: str) -> str:
        """Return the model's URL where callers reach it."""
        return f"{self.address.rstrip('/')}/v2/models/{model}"

    def grpc_endpoint(self, model: str) -> str:
        """Return where callers reach gRPC, if they do."""
        return self.grpc_address or super().grpc_endpoint(model)

    def _at(self) -> Objects:
        if self._objects is None:
            self._objects = Objects(self.store, self.storage_options)
        return self._objects

    def _none_runs(self, what: str) -> str:
        return f"no {what} has told anything below {self.store} for a minute → start one there, with its relay"
