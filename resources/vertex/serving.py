"""Serving on Vertex AI, by our inference server."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pydantic import Field, field_validator, model_validator

from loopline.platform_core.errors import InvalidEnvironment
from loopline.resources.managed_endpoints.service import EndpointService, Plan
from loopline.resources.managed_endpoints.serving import ManagedServing
from loopline.resources.managed_jobs.settings import known_endpoints
from loopline.resources.vertex.machine_types import ACCELERATORS, SHIPPED, accelerator
from loopline.resources.vertex.settings import MOST_LABELS, check_labels

if TYPE_CHECKING:
    from loopline.platform_core.contracts.caller import Caller

PORT_VARIABLE = "AIP_HTTP_PORT"
"""The variable by which Vertex AI tells a container its port."""
MOST_VARIABLES = 100
_PORT = 8080
_PREDICT, _HEALTH = "/predict", "/v2/health/ready"


def _port() -> int:
    return int(os.environ.get(PORT_VARIABLE, str(_PORT)))


class VertexServing(ManagedServing):
    """An endpoint of Vertex AI for each endpoint group, made when its first model is deployed: one model, our image.

    Both versions of a rollout are in each container, which splits by entity; Vertex AI's traffic split, which splits by
    chance, only leads from one set of machines to another. ``store`` is ``gs://bucket/prefix``, reached by
    ``service_account``, which may hold ``{team}``. ``instances`` of ``machine_type`` run, and up to ``most_instances``
    while their processors are busy. A container has ``starts_seconds`` to bring its models. ``endpoints`` names other
    URLs for ``vertex`` and ``prediction``, such as those of Private Service Connect.
    """

    extras = ("vertex", "object-store")
    invoked: ClassVar[bool] = True
    """Its servers answer to Vertex AI's path as well."""

    port: int = Field(default_factory=_port)
    python: str = "python"
    location: str = Field(pattern="^[a-z][a-z0-9-]+$")
    project: str | None = None
    service_account: str | None = None
    kms_key: str | None = None
    endpoints: Mapping[str, str] = Field(default_factory=dict)
    machine_type: str = "n1-standard-4"
    most_instances: int | None = Field(default=None, ge=1)
    starts_seconds: int = Field(default=600, ge=60, le=3600)
    labels: Mapping[str, str] = Field(default_factory=dict, max_length=MOST_LABELS)
    api_patience_seconds: float = 30

    _is_known = field_validator("endpoints")(known_endpoints("vertex", "prediction"))
    _is_label = field_validator("labels")(check_labels)

    @model_validator(mode="after")
    def _may_grow(self) -> Self:
        if self.most_instances is not None and self.most_instances < self.instances:
            raise ValueError(f"most_instances {self.most_instances} is less than instances {self.instances}")
        return self

    @property
    def api_url(self) -> str:
        """Return where endpoints are made."""
        return self.endpoints.get("vertex", f"https://{self.location}-aiplatform.googleapis.com")

    @property
    def prediction_url(self) -> str:
        """Return where they are asked."""
        return self.endpoints.get("prediction", self.api_url)

    def all_labels(self) -> dict[str, str]:
        """Return the environment's labels and our own, by which costs are added up."""
        return {**self.labels, "loopline-managed-by": "loopline", "loopline-installation": self.name_prefix}

    def message(self, endpoint: str) -> dict[str, Any]:
        """Write an endpoint without models."""
        return {"display_name": endpoint, "labels": self.all_labels(), **self._encrypted()}

    def caller(self, model: str) -> Caller:
        """Return what asks by ``rawPredict``, as the identity of this process."""
        from loopline.resources.vertex.caller import VertexCaller
        from loopline.resources.vertex.endpoints import VertexEndpoints

        service = self.service
        assert isinstance(service, VertexEndpoints)
        return VertexCaller(service.url(self.endpoint_name(model)), model, service.link.credentials)

    def _open(self) -> EndpointService:
        from loopline.resources.vertex.endpoints import VertexEndpoints

        return VertexEndpoints(self)

    def _plan(self, group: str, model: str, variables: Mapping[str, str]) -> Plan:
        from loopline.resources.vertex.endpoints import DEPLOYED, MODEL

        if len(variables) > MOST_VARIABLES:
            raise InvalidEnvironment(
                f"serving: {len(variables)} variables of {group}; Vertex AI takes {MOST_VARIABLES}",
                "shorten the environment file that serving.environment names, or serving.env",
            )
        deployed: dict[str, Any] = {"dedicated_resources": self._machines()}
        if self.service_account:
            deployed["service_account"] = self._of_team("service_account", self.service_account, model)
        made = {"container_spec": self._container(variables), **self._encrypted()}
        return Plan(self.endpoint_name(model), {MODEL: made, DEPLOYED: deployed})

    def _container(self, variables: Mapping[str, str]) -> dict[str, Any]:
        return {
            "image_uri": self.image,
            "command": [self.python, "-m", "loopline.resources.managed_endpoints.container"],
            "env": [{"name": name, "value": value} for name, value in sorted(variables.items())],
            "ports": [{"container_port": _PORT}],
            "predict_route": _PREDICT,
            "health_route": _HEALTH,
            "deployment_timeout": {"seconds": self.starts_seconds},
        }

    def _machines(self) -> dict[str, Any]:
        machine: dict[str, Any] = {"machine_type": self.machine_type}
        known = SHIPPED.get(self.machine_type)
        if known and known.gpu and (kind := accelerator(self.machine_type, ACCELERATORS)):
            machine |= {"accelerator_type": kind, "accelerator_count": known.gpu}
        most = self.most_instances or self.instances
        return {"machine_spec": machine, "min_replica_count": self.instances, "max_replica_count": most}

    def _encrypted(self) -> dict[str, Any]:
        return {"encryption_spec": {"kms_key_name": self.kms_key}} if self.kms_key else {}
