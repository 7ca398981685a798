"""Serving on Amazon SageMaker AI, by our inference server."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field, field_validator

from loopline.platform_core.errors import InvalidEnvironment
from loopline.resources.managed_endpoints.service import EndpointService, Plan
from loopline.resources.managed_endpoints.serving import ManagedServing
from loopline.resources.managed_jobs.settings import known_endpoints
from loopline.resources.sagemaker.settings import MOST_TAGS, check_tags, tag_value

if TYPE_CHECKING:
    from loopline.platform_core.contracts.caller import Caller

PORT_VARIABLE = "SAGEMAKER_BIND_TO_PORT"
"""The variable by which SageMaker names another port than 8080."""
MOST_VARIABLES, MOST_VARIABLE_CHARS, MOST_CHARS = 100, 1024, 32_768
"""What the service takes of a container's variables: how many, and characters of each and of all, names included."""
_ANSWER_SECONDS = 70
"""A container has 60 s for an answer, which the service waits for."""
_METRICS_SECONDS = (0, 10, 30, 60, 120, 180, 240, 300)


def _port() -> int:
    return int(os.environ.get(PORT_VARIABLE, "8080"))


class SageMakerServing(ManagedServing):
    """A real-time endpoint for each endpoint group, made when its first model is deployed: one variant, our image.

    Both versions of a rollout are in each container, which splits by entity; SageMaker's variants with weights, that
    split by chance, are not used. ``store`` is ``s3://bucket/prefix``, reached by ``role``, which may hold ``{team}``.
    ``instances`` of ``instance_type`` run; where a policy of Application Auto Scaling changes their number it is
    ``autoscaled``. A container has ``starts_seconds`` to bring its models. ``metrics_seconds`` (10, 30, 60 …) lets
    SageMaker publish the server's ``/metrics`` in CloudWatch. ``endpoints`` names other endpoints for ``sagemaker`` and
    ``sagemaker-runtime``, such as those of a VPC.
    """

    extras = ("aws",)
    invoked: ClassVar[bool] = True
    """Its servers answer to SageMaker's paths as well."""

    port: int = Field(default_factory=_port)
    role: str
    region: str | None = None
    endpoints: Mapping[str, str] = Field(default_factory=dict)
    instance_type: str = "ml.m5.large"
    autoscaled: bool = False
    starts_seconds: int = Field(default=600, ge=60, le=3600)
    volume_kms_key: str | None = None
    subnets: tuple[str, ...] = Field(default=(), max_length=16)
    security_groups: tuple[str, ...] = Field(default=(), max_length=5)
    metrics_seconds: int = 0
    tags: Mapping[str, str] = Field(default_factory=dict, max_length=MOST_TAGS)
    api_patience_seconds: float = 30

    _is_known = field_validator("endpoints")(known_endpoints("sagemaker", "sagemaker-runtime"))

    @field_validator("metrics_seconds")
    @classmethod
    def _is_published(cls, value: int) -> int:
        if value not in _METRICS_SECONDS:
            raise ValueError(f"SageMaker publishes every {', '.join(map(str, _METRICS_SECONDS[1:]))} seconds; 0: never")
        return value

    _is_tag = field_validator("tags")(check_tags)

    def all_tags(self, endpoint: str) -> list[dict[str, str]]:
        """Return the environment's tags and our own, by which costs are added up."""
        said = {**self.tags, "loopline:endpoint": tag_value(endpoint), "loopline:managed-by": "loopline"}
        return [{"Key": name, "Value": value} for name, value in said.items()]

    def caller(self, model: str) -> Caller:
        """Return what asks by ``InvokeEndpoint``, as the identity of this process."""
        from loopline.resources.aws.client import Reach
        from loopline.resources.sagemaker.caller import SageMakerCaller

        where = Reach(self.region, self.endpoints.get("sagemaker-runtime"), _ANSWER_SECONDS, tries=1)
        return SageMakerCaller(self.endpoint_name(model), model, where)

    def _open(self) -> EndpointService:
        from loopline.resources.sagemaker.endpoints import SageMakerEndpoints

        return SageMakerEndpoints(self)

    def _plan(self, group: str, model: str, variables: Mapping[str, str]) -> Plan:
        from loopline.resources.sagemaker.endpoints import CONFIG, MODEL, TAGS

        _fits(group, variables)
        endpoint = self.endpoint_name(model)
        container = {"Image": self.image, "Environment": dict(variables)}
        found = {"ExecutionRoleArn": self._of_team("role", self.role, model), "PrimaryContainer": container}
        if self.subnets:
            found["VpcConfig"] = {"Subnets": [*self.subnets], "SecurityGroupIds": [*self.security_groups]}
        return Plan(endpoint, {MODEL: found, CONFIG: self._config(), TAGS: self.all_tags(endpoint)})

    def _config(self) -> dict[str, Any]:
        from loopline.resources.sagemaker.endpoints import VARIANT

        variant = {
            "VariantName": VARIANT,
            "InitialInstanceCount": self.instances,
            "InstanceType": self.instance_type,
            "ContainerStartupHealthCheckTimeoutInSeconds": self.starts_seconds,
        }
        found: dict[str, Any] = {"ProductionVariants": [variant]}
        if self.volume_kms_key:
            found["KmsKeyId"] = self.volume_kms_key
        if self.metrics_seconds:
            published = {"EnableDetailedObservability": True, "MetricPublishFrequencyInSeconds": self.metrics_seconds}
            found["MetricsConfig"] = published
        return found


def _fits(group: str, variables: Mapping[str, str]) -> None:
    """Refuse variables that the service would not take.

    Raises:
        InvalidEnvironment: there are too many, or they are too long.
    """
    fix = "shorten the environment file that serving.environment names, or serving.env"
    long = [name for name, value in variables.items() if len(value.encode()) > MOST_VARIABLE_CHARS]
    size = sum(len(name) + len(value.encode()) for name, value in variables.items())
    if long:
        raise InvalidEnvironment(f"serving: {long[0]} of {group} exceeds {MOST_VARIABLE_CHARS} bytes", fix)
    if len(variables) > MOST_VARIABLES or size > MOST_CHARS:
        raise InvalidEnvironment(
            f"serving: {len(variables)} variables of {group} hold {size} bytes; SageMaker takes {MOST_VARIABLES} "
            f"variables and {MOST_CHARS} bytes",
            fix,
        )
