"""Endpoints as KServe's InferenceServices, whose predictors are our own inference servers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import model_validator

from loopline.platform_core.errors import InvalidEnvironment
from loopline.resources.kserve.inference_service import API, manifests, service_name
from loopline.resources.kubernetes.endpoint_manifests import GRPC_PORT, Manifest
from loopline.resources.kubernetes.pod_serving import PodServing

if TYPE_CHECKING:
    from loopline.platform_core.contracts.serving import DesiredState

_HTTP_PORT = 80
"""The port of every Service that KServe makes."""


class KServeServing(PodServing):
    """An InferenceService for each endpoint group, in KServe's Standard mode, made when its first model is deployed.

    The pods are those of the vendor ``kubernetes``, and so are the settings that both have. Versions are split by
    entity, within the server. KServe makes Deployment, Service, routes and autoscaler: by busy cores, or with
    ``requests_per_pod`` by requests underway, which KEDA asks the ``prometheus`` at that URL for. ``runtime`` names a
    (Cluster)ServingRuntime of the model format ``loopline``; left out, one is written beside the InferenceServices.
    ``address`` is where KServe's gateway has a group, such as ``https://{service}-{namespace}.models.example.com``;
    without, callers reach the predictor's Service inside the cluster. Needs the extra ``kserve``.
    """

    _absent: ClassVar[str] = "install KServe 0.21 or newer, or bind serving to 'kubernetes'"

    runtime: str = ""
    requests_per_pod: int = 0
    prometheus: str = ""

    @model_validator(mode="after")
    def _has_prometheus(self) -> Self:
        if self.requests_per_pod and not self.prometheus:
            raise ValueError("requests_per_pod is set: prometheus must say where KEDA asks for requests underway")
        return self

    def endpoint(self, model: str) -> str:
        """Return the model's URL: at KServe's gateway, else at the predictor's Service inside the cluster."""
        named = {"service": service_name(self.group(model)), "namespace": self.namespace}
        try:
            address = self.address.format(**named)
        except (KeyError, IndexError, ValueError) as error:
            raise InvalidEnvironment(
                f"serving: address {self.address!r} cannot be filled in: {error}", "use {service} and {namespace}"
            ) from error
        scheme = "https" if self.tls else "http"
        return f"{(address or f'{scheme}://{self._inside(model)[0]}').rstrip('/')}/v2/models/{model}"

    def _objects_of(self, state: DesiredState) -> list[Manifest]:
        return manifests(self, self.group(state.model))

    def _inside(self, model: str) -> tuple[str, str]:
        service = f"{service_name(self.group(model))}-predictor.{self.namespace}.svc"
        return f"{service}:{_HTTP_PORT}", f"{service}:{GRPC_PORT}"

    def _waiting(self, group: str) -> str:
        """Ask the pods; where there are none, KServe's own conditions."""
        return super()._waiting(group) or self._conditions(service_name(group))

    def _conditions(self, name: str) -> str:
        link = self._linked()
        resource = link.dynamic.resources.get(api_version=API, kind="InferenceService")
        found = link.found(resource.get, name=name, namespace=self.namespace)
        return _told(name, found.to_dict()) if found is not None else ""


def _told(name: str, service: dict[str, Any]) -> str:
    """Say in KServe's words what keeps an InferenceService from being ready; empty: nothing does."""
    conditions = service.get("status", {}).get("conditions")
    if not conditions:
        return f"KServe has not looked at the InferenceService {name} yet → does its controller run?"
    failed = [one for one in conditions if one.get("status") == "False" and (one.get("message") or one.get("reason"))]
    failure = service["status"].get("modelStatus", {}).get("lastFailureInfo", {}).get("message", "")
    said = [failure] if failure else [f"{one['type']}: {one.get('message') or one['reason']}" for one in failed]
    return f"KServe has no pod of {name}: {said[0]}" if said else ""
