"""Serving on remote machines: an object store carries desired states to the servers, and logs back."""

from __future__ import annotations

import socket
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, PrivateAttr, SecretStr

from loopline.platform_core.runtime.prediction_log.log import Keep
from loopline.resources.kafka.security import KafkaConnection
from loopline.resources.local.serving import LocalServing
from loopline.resources.object_store.logs import ObjectLogs
from loopline.resources.object_store.objects import Objects
from loopline.resources.object_store.seals import Seal
from loopline.resources.object_store.states import ObjectStates

if TYPE_CHECKING:
    from loopline.platform_core.contracts.log_store import LogSink, LogStore
    from loopline.platform_core.contracts.state_store import StateStore
    from loopline.resources.kafka.logs import KafkaLogs


class KafkaLogSettings(KafkaConnection):
    """Prediction logs in Kafka: a topic ``<prefix>.<model>`` each, made with so many replicas.

    With ``acknowledge: kafka`` an answer is given when all replicas in sync have its record, and refused when they do
    not within ``timeout_seconds``; with ``disk`` the relay sends it within a second or so after it. The cluster is
    reached as by the event stream of vendor ``kafka``: ``tls``, ``sasl``, ``options``.
    """

    replication: int = Field(3, ge=1)
    prefix: str = "loopline-log"
    acknowledge: Literal["kafka", "disk"] = "kafka"


class ObjectStoreServing(LocalServing):
    """Servers that ``python -m loopline.relay`` stands beside, wherever they run.

    ``store`` is a URL with a prefix of this installation's own, such as ``s3://bucket/serving``; ``storage_options`` go
    to the store's client as they are. ``address`` is where callers reach the servers, ``grpc_address`` where they do
    over gRPC (``host:port``; left out: nowhere). In the environment file of a machine with a server, ``root`` is its
    own folder, and ``host`` and ``port`` are where it listens; where none is to run they are left out. ``server`` is a
    name that no other has, the machine's if left out. With ``kafka_logs`` prediction logs go to Kafka instead of the
    object store. ``state_key`` signs what servers are asked for, where somebody deploys: the line of a key that
    ``loopline signing init`` made, as a secret. With ``state_signers``, public lines, a server takes nothing that none
    of them signed; ``store`` is then written the same on both sides. The rest is as for ``local``.
    """

    extras: ClassVar[tuple[str, ...]] = ("object-store",)
    log_delay_seconds: ClassVar[float] = 2.0

    root: str = ""
    port: int = 0
    store: str
    storage_options: dict[str, str] = Field(default_factory=dict)
    address: str
    grpc_address: str = ""
    server: str = ""
    kafka_logs: KafkaLogSettings | None = None
    state_key: SecretStr | None = None
    state_signers: tuple[str, ...] = ()
    _kafka: Any = PrivateAttr(default=None)
    _objects: Objects | None = PrivateAttr(default=None)
    _states: ObjectStates | None = PrivateAttr(default=None)

    @property
    def states(self) -> StateStore:
        """Return where desired states reach the servers; one object, since it knows what it has read."""
        return self.feed

    @property
    def logs(self) -> LogStore:
        """Return where their prediction logs are read."""
        return self._log()

    @property
    def feed(self) -> ObjectStates:
        """Return the servers' side of the states."""
        if self._states is None:
            self._states = ObjectStates(self._at(), self.seal)
        return self._states

    @property
    def seal(self) -> Seal:
        """Return who signs what servers are asked for."""
        return Seal(self.state_key.get_secret_value().strip() if self.state_key else "", self.state_signers)

    @property
    def sink(self) -> LogSink:
        """Return the servers' side of the logs."""
        return self._log()

    @property
    def named(self) -> str:
        """Return the name of this machine's server."""
        return self.server or socket.gethostname()

    @property
    def keep(self) -> Keep | None:
        """Return what keeps an answer elsewhere before it is given; None: the disk is enough."""
        if self.kafka_logs is None or self.kafka_logs.acknowledge == "disk":
            return None
        return partial(self._in_kafka(self.kafka_logs).keep, self.named)

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

    def _log(self) -> KafkaLogs | ObjectLogs:
        return self._in_kafka(self.kafka_logs) if self.kafka_logs else ObjectLogs(self._at())

    def _in_kafka(self, said: KafkaLogSettings) -> KafkaLogs:
        from loopline.resources.kafka.event_stream import KafkaEventStream
        from loopline.resources.kafka.logs import KafkaLogs

        if self._kafka is None:
            made = said.model_dump(exclude={"acknowledge", "prefix"})
            self._kafka = KafkaLogs(KafkaEventStream(**made), said.prefix)
        found: KafkaLogs = self._kafka
        return found

    def _none_runs(self, what: str) -> str:
        return f"no {what} has told anything below {self.store} for a minute → start one there, with its relay"
