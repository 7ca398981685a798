"""Serving on Azure Machine Learning, by our inference server in managed online endpoints."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_validator

from loopline.platform_core.contracts.serving import ObservedState
from loopline.platform_core.errors import LooplineError
from loopline.resources.azure_ml.settings import MOST_TAG_CHARS, MOST_TAGS, check_tags, workspace_id
from loopline.resources.managed_endpoints.names import endpoint_name
from loopline.resources.managed_endpoints.service import EndpointService, Plan
from loopline.resources.managed_endpoints.serving import ManagedServing
from loopline.resources.managed_jobs.settings import known_endpoints

if TYPE_CHECKING:
    from loopline.platform_core.contracts.caller import Caller
    from loopline.resources.azure_ml.endpoints import OnlineEndpoints

PORT_VARIABLE = "LOOPLINE_ENDPOINT_PORT"
"""The variable by which a container is told the port that its routes name."""
MOST_NAME_CHARS = 32
_PORT = 8080
_SCORE, _READY, _LIVE = "/predict", "/v2/health/ready", "/v2/health/live"
_PROBE_SECONDS, _PROBE_WAITS_SECONDS = 10, 5
_IDENTITY = (
    r"/subscriptions/[^/]+/resource[gG]roups/[^/]+"
    r"/providers/Microsoft\.ManagedIdentity/userAssignedIdentities/[A-Za-z0-9{}_-]+"
)


def _port() -> int:
    return int(os.environ.get(PORT_VARIABLE, str(_PORT)))


class AzureMLServing(ManagedServing):
    """A managed online endpoint for each endpoint group, made when its first model is deployed, of our image.

    Both versions of a rollout are in each container, which splits by entity; Azure ML's traffic, which splits by
    chance, only leads from one deployment to the next. ``store`` is ``az://container/prefix``, reached by
    ``identity``: the resource id of a managed identity, which may hold ``{team}``; left out, the endpoint has its own.
    ``instances`` of ``instance_type`` run; each is handed ``concurrent_requests`` at once, and has ``request_seconds``
    for an answer. A container has ``starts_seconds`` to bring its models. Callers bring a token of Microsoft Entra
    (``auth: aad_token``) or the endpoint's ``key``; ``private`` lets only a private endpoint of the workspace reach it.
    ``endpoints`` names another URL for ``resource_manager``, ``authority`` and ``own_cloud`` are as for compute.
    """

    extras = ("azure-ml", "object-store")
    invoked: ClassVar[bool] = True
    """Its servers answer to a path that names no model as well."""

    port: int = Field(default_factory=_port)
    subscription: str = Field(min_length=1)
    resource_group: str = Field(min_length=1)
    workspace: str = Field(min_length=1)
    location: str = Field(pattern="^[a-z][a-z0-9]+$")
    identity: str | None = Field(default=None, pattern=f"^{_IDENTITY}$")
    instance_type: str = "Standard_DS3_v2"
    concurrent_requests: int = Field(default=32, ge=1)
    request_seconds: int = Field(default=60, ge=1, le=180)
    starts_seconds: int = Field(default=600, ge=60, le=3600)
    auth: Literal["aad_token", "key"] = "aad_token"
    private: bool = False
    endpoints: Mapping[str, str] = Field(default_factory=dict)
    authority: Path | None = None
    own_cloud: bool = False
    tags: Mapping[str, str] = Field(default_factory=dict, max_length=MOST_TAGS)
    api_patience_seconds: float = 30

    _is_known = field_validator("endpoints")(known_endpoints("resource_manager"))
    _is_tag = field_validator("tags")(check_tags)

    def endpoint_name(self, model: str) -> str:
        """Return a name that no other workspace has: within a region the service knows one endpoint of a name."""
        return endpoint_name(self.name_prefix, self.group(model), MOST_NAME_CHARS, workspace_id(self))

    def observe(self, model: str) -> ObservedState:
        """As the shared half; an endpoint to which nobody is led yet is not ready, whatever its containers say."""
        seen, endpoint = super().observe(model), self.endpoint_name(model)
        try:
            if not seen.ready or self._online().is_led(endpoint):
                return seen
        except LooplineError as error:
            return ObservedState(seen.generation, ready=False, problem=str(error))
        return ObservedState(seen.generation, ready=False, problem=seen.problem or f"{endpoint} has no traffic yet")

    def caller(self, model: str) -> Caller:
        """Return what asks at the scoring URI, as the identity of this process or by the endpoint's key."""
        from loopline.resources.azure_ml.caller import AzureMLCaller

        return AzureMLCaller(self._online(), self.endpoint_name(model), model)

    def _online(self) -> OnlineEndpoints:
        from loopline.resources.azure_ml.endpoints import OnlineEndpoints

        service = self.service
        assert isinstance(service, OnlineEndpoints)
        return service

    def _open(self) -> EndpointService:
        from loopline.resources.azure_ml.endpoints import OnlineEndpoints

        return OnlineEndpoints(self)

    def _plan(self, group: str, model: str, variables: Mapping[str, str]) -> Plan:
        from loopline.resources.azure_ml.endpoints import DEPLOYMENT, ENDPOINT, ENVIRONMENT

        content = {
            ENVIRONMENT: self._environment_version(),
            ENDPOINT: self._endpoint(group, model),
            DEPLOYMENT: self._deployment(group, {**variables, PORT_VARIABLE: str(_PORT)}),
        }
        return Plan(self.endpoint_name(model), {name: one.serialize() for name, one in content.items()})

    def _environment_version(self) -> Any:
        from azure.mgmt.machinelearningservices import models

        routes = {"scoring_route": _SCORE, "readiness_route": _READY, "liveness_route": _LIVE}
        found = {name: models.Route(path=path, port=_PORT) for name, path in routes.items()}
        config = models.InferenceContainerProperties(**found)
        said = models.EnvironmentVersionProperties(image=self.image, os_type="Linux", inference_config=config)
        return models.EnvironmentVersion(properties=said)

    def _endpoint(self, group: str, model: str) -> Any:
        """Write an endpoint without deployments."""
        from azure.mgmt.machinelearningservices import models

        identity = models.ManagedServiceIdentity(type="SystemAssigned")
        if self.identity:
            own = {self._of_team("identity", self.identity, model): models.UserAssignedIdentity()}
            identity = models.ManagedServiceIdentity(type="UserAssigned", user_assigned_identities=own)
        said = models.OnlineEndpointProperties(
            auth_mode="Key" if self.auth == "key" else "AADToken",
            public_network_access="Disabled" if self.private else "Enabled",
        )
        return models.OnlineEndpoint(location=self.location, tags=self._tags(group), identity=identity, properties=said)

    def _deployment(self, group: str, variables: Mapping[str, str]) -> Any:
        from azure.mgmt.machinelearningservices import models

        probe = models.ProbeSettings(
            initial_delay=timedelta(seconds=_PROBE_SECONDS),
            period=timedelta(seconds=_PROBE_SECONDS),
            timeout=timedelta(seconds=_PROBE_WAITS_SECONDS),
            failure_threshold=math.ceil(self.starts_seconds / _PROBE_SECONDS),
            success_threshold=1,
        )
        said = models.ManagedOnlineDeployment(
            environment_variables=dict(variables),
            instance_type=self.instance_type,
            scale_settings=models.DefaultScaleSettings(),
            request_settings=models.OnlineRequestSettings(
                max_concurrent_requests_per_instance=self.concurrent_requests,
                request_timeout=timedelta(seconds=self.request_seconds),
            ),
            liveness_probe=probe,
            readiness_probe=probe,
        )
        sku = models.Sku(name="Default", capacity=self.instances)
        return models.OnlineDeployment(location=self.location, tags=self._tags(group), sku=sku, properties=said)

    def _tags(self, group: str) -> dict[str, str]:
        """Return the environment's tags and our own, by which costs are added up."""
        own = {"loopline-managed-by": "loopline", "loopline-installation": self.name_prefix}
        return {**self.tags, **own, "loopline-endpoint-group": group[:MOST_TAG_CHARS]}
