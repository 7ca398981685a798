"""Serving on KServe: InferenceServices whose predictors are our own inference servers."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import Field, PrivateAttr, model_validator

from loopline.platform_core.contracts.serving import GRPC, INSTEAD, SPLIT, DesiredState, ObservedState
from loopline.platform_core.errors import Unsupported
from loopline.resources.kserve.inference_service import API, manifests, service_name
from loopline.resources.kserve.own_server import OwnServer
from loopline.resources.kserve.runtimes import ForeignRuntimes, Runtime
from loopline.resources.kserve.versions import Versions
from loopline.resources.kubernetes.by_team import of_its_team
from loopline.resources.kubernetes.endpoint_manifests import BUDGET, GRPC_PORT, object_name
from loopline.resources.kubernetes.pod_serving import PodServing
from loopline.resources.object_store.grouped import filled
from loopline.resources.object_store.groups import VERSIONS, SinkByGroup
from loopline.resources.object_store.logs import ObjectLogs

if TYPE_CHECKING:
    from loopline.platform_core.contracts.log_store import LogSink
    from loopline.platform_core.contracts.serving import ServerUse

_HTTP_PORT = 80
"""The port of every Service that KServe makes."""
_FETCHED = ("s3://", "gs://")
_FAILED = frozenset({"ReconcileFailed", "FailedCreate"})
"""Reasons of a condition that will not mend by waiting: KServe cannot, or the API server takes none of its pods."""
_NO_RUNTIME = "RuntimeNotRecognized"
_LOOKED_AT_SECONDS = 15


class KServeServing(PodServing):
    """An InferenceService for each endpoint group, in KServe's Standard mode, made when its first model is deployed.

    The pods are those of the vendor ``kubernetes``, and so are the settings that both have. Versions are split by
    entity, within the server. KServe makes Deployment, Service, routes and autoscaler: by busy cores, or with
    ``requests_per_pod`` by requests underway, which KEDA asks the ``prometheus`` at that URL for. ``runtime`` names a
    (Cluster)ServingRuntime of the model format ``loopline``; left out, one is written beside the InferenceServices.

    ``apart`` are patterns of models such as ``retail.large`` of which two versions do not fit one pod: each version has
    pods of its own, an InferenceService is the model's alone, and KServe's canary splits requests by chance. A version
    that replaces another one takes all requests for ``settle_seconds`` before the other's pods go. ``runtimes`` names
    models that one of KServe's own runtimes answers for; their versions are apart too, and their requests reach the log
    by way of the ``collector`` at that URL.

    ``namespace`` and ``service_account`` may hold ``{team}``, as there.

    ``address`` is where KServe's gateway has a group, such as ``https://{service}-{namespace}.models.example.com``;
    without, callers reach the predictor's Service inside the cluster.
    """

    extras = ("kserve",)
    _absent: ClassVar[str] = "install KServe 0.21 or newer, or bind serving to 'kubernetes'"

    runtime: str = ""
    requests_per_pod: int = 0
    prometheus: str = ""
    apart: tuple[str, ...] = ()
    settle_seconds: float = 5
    runtimes: Mapping[str, Runtime] = Field(default_factory=dict)
    collector: str = ""
    _own: OwnServer | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _has_prometheus(self) -> Self:
        if self.requests_per_pod and not self.prometheus:
            raise ValueError("requests_per_pod is set: prometheus must say where KEDA asks for requests underway")
        if (self.apart or self.runtimes) and not self.address:
            raise ValueError("versions are apart: address must say where KServe's gateway splits requests")
        if self.runtimes and not self.collector:
            raise ValueError("runtimes is set: collector must be the URL of 'python -m loopline.collector'")
        if (self.apart or self.runtimes) and not self.store.startswith(_FETCHED):
            raise ValueError(
                f"versions are apart: KServe fetches from {', '.join(_FETCHED)}, and store is none of these"
            )
        return self

    @property
    def collected(self) -> LogSink:
        """Return where the collector's logs of KServe's own runtimes go: to each model's group."""
        return SinkByGroup(self.group, lambda group: ObjectLogs(self.below(group)))

    def abilities(self, model: str) -> frozenset[str]:
        """Return less for models whose versions are apart: KServe splits their requests, and nothing is replayed."""
        return frozenset({SPLIT}) if self.is_apart(model) else self.can

    def is_apart(self, model: str) -> bool:
        """Say whether each version of a model has pods of its own."""
        return model in self.runtimes or any(fnmatch.fnmatchcase(model, pattern) for pattern in self.apart)

    def group(self, model: str) -> str:
        """Return the endpoint group of a model; one whose versions are apart shares with nobody."""
        return model if self.is_apart(model) else super().group(model)

    @of_its_team
    def apply(self, state: DesiredState) -> None:
        """Leave the state for the servers, then see to it that there are some."""
        if not self.is_apart(state.model):
            super().apply(state)
            return
        self.require(state.needs, state.model)
        self._versions(state.model).apply(state)

    @of_its_team
    def observe(self, model: str) -> ObservedState:
        """Say what the endpoint is; where versions are apart, take the next step towards what is asked as well."""
        return self._versions(model).observe(model) if self.is_apart(model) else super().observe(model)

    @of_its_team
    def let_go(self, model: str) -> bool:
        """Take a model's InferenceService away, and what its versions had for themselves; KServe ends the rest."""
        super().let_go(model)
        if self.is_apart(model):
            store = self.below(self.group(model))
            if found := [one.key for one in store.listed(VERSIONS)]:
                store.delete(found)
        return True

    @of_its_team
    def grpc_endpoint(self, model: str) -> str:
        """Return where callers reach gRPC.

        Raises:
            Unsupported: the model's versions are apart.
        """
        if self.is_apart(model):
            raise Unsupported(
                f"versions of {model} are apart, and KServe's routes split HTTP alone: it has no gRPC endpoint",
                f"{INSTEAD[GRPC]}, or take {model} out of serving.{'runtimes' if model in self.runtimes else 'apart'}",
            )
        return super().grpc_endpoint(model)

    def usage(self) -> Sequence[ServerUse]:
        """Return what the servers' processes have used."""
        placed: list[KServeServing] = [self, *self._by_team.values()]
        servers = [one._server() for one in placed]  # noqa: SLF001 - each is of this class
        return [*super().usage(), *(use for server in servers for use in server.uses())]

    def waiting(self, model: str, more: Mapping[str, str]) -> str:
        """Say why no pod of a model with those labels has come to answer."""
        return self.why(self.group(model), more)

    @of_its_team
    def endpoint(self, model: str) -> str:
        """Return the model's URL: at KServe's gateway, else at the predictor's Service inside the cluster."""
        named = {"service": service_name(self.group(model)), "namespace": self.namespace}
        address = filled("address", self.address, "use {service} and {namespace}", **named)
        scheme = "https" if self.tls else "http"
        return f"{(address or f'{scheme}://{self._inside(model)[0]}').rstrip('/')}/v2/models/{model}"

    def _make(self, model: str) -> None:
        for one in manifests(self, self.group(model)):
            self.put(one)

    def _gone_with(self, model: str, *, last: bool) -> list[tuple[str, str]]:
        group = self.group(model)
        mine = [(f"{API} InferenceService", service_name(group)), (BUDGET, object_name(group))]
        return mine if last else []

    def _inside(self, model: str) -> tuple[str, str]:
        service = f"{service_name(self.group(model))}-predictor.{self.namespace}.svc"
        return f"{service}:{_HTTP_PORT}", f"{service}:{GRPC_PORT}"

    def _waiting(self, group: str, more: Mapping[str, str] | None = None) -> str:
        """Ask the pods; where they say nothing, KServe's own conditions."""
        return super()._waiting(group, more) or self._conditions(service_name(group))

    def _conditions(self, name: str) -> str:
        found = self.get_object(API, "InferenceService", name)
        return problem_of(name, found, datetime.now(UTC)) if found is not None else ""

    def _placed(self, places: dict[str, str]) -> Self:
        made = super()._placed(places)
        made._own = None  # noqa: SLF001 - another one of this class
        return made

    def _server(self) -> OwnServer:
        if self._own is None:
            self._own = OwnServer(self)
        return self._own

    def _versions(self, model: str) -> Versions:
        return Versions(self, ForeignRuntimes(self) if model in self.runtimes else self._server())


def problem_of(name: str, service: dict[str, Any], now: datetime) -> str:
    """Say in KServe's words what is wrong with an InferenceService; empty: nothing, or it is on its way."""
    status = service.get("status") or {}
    conditions = status.get("conditions")
    if not conditions:
        made_at = datetime.fromisoformat(service["metadata"]["creationTimestamp"])
        late = (now - made_at).total_seconds() > _LOOKED_AT_SECONDS
        return f"KServe has not looked at the InferenceService {name} → does its controller run?" if late else ""
    info = (status.get("modelStatus") or {}).get("lastFailureInfo") or {}
    failure = info.get("message", "")
    if info.get("reason") == _NO_RUNTIME:
        wanted = service["spec"]["predictor"]["model"].get("runtime", "")
        failure = f"{failure}: there is no ServingRuntime or ClusterServingRuntime {wanted!r}"
    failed = [one["message"] for one in conditions if one.get("reason") in _FAILED and one.get("message")]
    said = [*([failure] if failure else []), *failed]
    return f"KServe makes no pod of {name}: {said[0]}" if said else ""
