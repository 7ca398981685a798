"""SageMaker's endpoints, as an ``EndpointService``."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from loopline.platform_core.errors import InvalidEnvironment, NotFound, Overloaded
from loopline.resources.aws.client import Reach, make_client
from loopline.resources.aws.failure import cause, client_errors, code, failure
from loopline.resources.managed_endpoints.service import EndpointLook, EndpointService, Phase, Plan

if TYPE_CHECKING:
    from loopline.resources.sagemaker.serving import SageMakerServing

VARIANT = "loopline"
MODEL, CONFIG, TAGS = "model", "config", "tags"
"""The parts of a plan: the requests that make a model and an endpoint configuration, without names, and their tags."""
_INVALID, _QUOTA = "ValidationException", "ResourceLimitExceeded"
_TAKEN, _ABSENT = "already existing", "could not find"
"""How the service's refusals go on if what is made is there already, or what is asked for is not."""
_IN_PROGRESS = re.compile(r"in-progress|in progress|creating|updating|deleting|rolling", re.IGNORECASE)
_PHASES = {
    "InService": Phase.SERVING,
    "Deleting": Phase.ENDING,
    "Failed": Phase.FAILED,
    "OutOfService": Phase.FAILED,
    "UpdateRollbackFailed": Phase.FAILED,
}
_LAID_JUST_NOW = timedelta(hours=1)
"""Whoever deploys lays a plan before the endpoint names it: until then nobody else takes it for one that is old."""


class SageMakerEndpoints(EndpointService):
    """Endpoints of one production variant, each plan a model and an endpoint configuration of one name."""

    def __init__(self, settings: SageMakerServing) -> None:
        self._settings = settings
        where = Reach(settings.region, settings.endpoints.get("sagemaker"), settings.api_patience_seconds)
        self._client = make_client("sagemaker", where, "serving")

    def lay(self, plan: Plan) -> None:
        """Make the model, then the configuration that names it."""
        tags = plan.content[TAGS]
        (variant,) = plan.content[CONFIG]["ProductionVariants"]
        config = {**plan.content[CONFIG], "ProductionVariants": [{**variant, "ModelName": plan.name}]}
        self._made(self._client.create_model, ModelName=plan.name, Tags=tags, **plan.content[MODEL])
        self._made(self._client.create_endpoint_config, EndpointConfigName=plan.name, Tags=tags, **config)

    def look(self, endpoint: str) -> EndpointLook:
        """Describe it."""
        try:
            said = self._call(self._client.describe_endpoint, EndpointName=endpoint)
        except NotFound:
            return EndpointLook(Phase.ABSENT)
        status, why = said["EndpointStatus"], said.get("FailureReason", "")
        words = why if status == "InService" else f"{status}: {why}".rstrip(": ")
        return EndpointLook(_PHASES.get(status, Phase.CHANGING), said.get("EndpointConfigName", ""), words)

    def create(self, endpoint: str, plan: str) -> str:
        """Ask for machines."""
        said = {"EndpointName": endpoint, "EndpointConfigName": plan, "Tags": self._settings.all_tags(endpoint)}
        return self._asked(self._client.create_endpoint, **said)

    def change(self, endpoint: str, plan: str) -> str:
        """Ask for other machines, to which the service leads requests once they answer."""
        kept = {"RetainAllVariantProperties": True} if self._settings.autoscaled else {}
        try:
            return self._asked(self._client.update_endpoint, EndpointName=endpoint, EndpointConfigName=plan, **kept)
        except InvalidEnvironment:
            seen = self.look(endpoint)  # an answer may have been lost of a change that is done by now
            if (seen.phase, seen.plan) == (Phase.SERVING, plan):
                return ""
            raise

    def delete(self, endpoint: str) -> str:
        """Give its machines back."""
        return self._asked(self._client.delete_endpoint, EndpointName=endpoint)

    def sweep(self, endpoint: str, keep: str = "") -> None:
        """Delete configurations and models that have the name of one of the endpoint's plans."""
        own = re.compile(rf"{re.escape(endpoint)}-[0-9a-f]{{12}}")
        before = {"CreationTimeBefore": datetime.now(UTC) - _LAID_JUST_NOW} if keep else {}
        client = self._client
        kinds: list[tuple[str, Callable[..., Any], Callable[..., Any]]] = [
            ("EndpointConfig", client.list_endpoint_configs, client.delete_endpoint_config),
            ("Model", client.list_models, client.delete_model),
        ]
        for kind, listed, delete in kinds:
            found = self._listed(listed, f"{kind}s", NameContains=f"{endpoint}-", **before)
            for name in (one[f"{kind}Name"] for one in found):
                if name != keep and own.fullmatch(name):
                    self._asked(delete, **{f"{kind}Name": name})

    def url(self, endpoint: str) -> str:
        """Return where ``/invocations`` is appended."""
        where = Reach(self._settings.region, self._settings.endpoints.get("sagemaker-runtime"))
        runtime = make_client("sagemaker-runtime", where, "serving")
        try:
            return f"{runtime.meta.endpoint_url}/endpoints/{endpoint}"
        finally:
            runtime.close()

    def close(self) -> None:
        """Let the connections go."""
        self._client.close()

    def _made(self, operation: Callable[..., Any], **members: Any) -> None:
        """Make something that is content by its name: one that is there already is the same."""
        try:
            self._call(operation, **members)
        except InvalidEnvironment as error:
            if _TAKEN not in error.problem:
                raise

    def _asked(self, operation: Callable[..., Any], **members: Any) -> str:
        """Ask for what may have to wait; returns why it has to.

        What is there already, or gone already, is as it was asked for: an answer may have been lost.
        """
        try:
            self._call(operation, **members)
        except NotFound as error:  # a configuration that was made a moment ago may not be seen yet
            return "" if operation.__name__.startswith("delete") else error.problem
        except InvalidEnvironment as error:
            if _TAKEN in error.problem:
                return ""
            if _IN_PROGRESS.search(error.problem):
                return error.problem
            raise
        return ""

    def _listed(self, operation: Callable[..., Any], several: str, **members: Any) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = []
        while True:
            page = self._call(operation, MaxResults=100, **members)
            found += page[several]
            if "NextToken" not in page:
                return found
            members["NextToken"] = page["NextToken"]

    def _call(self, operation: Callable[..., Any], **members: Any) -> Any:
        what = f"serving: {operation.__name__}"
        try:
            return operation(**members)
        except client_errors() as error:
            raise _told(error, what) from cause(error)


def _told(error: Exception, what: str) -> Exception:
    """Tell a refusal of SageMaker's, which has one word for most of them and says the rest in its message."""
    said = str(getattr(error, "response", {}).get("Error", {}).get("Message", error))
    words = f"{what}: {code(error)}: {said}"
    if code(error) == _QUOTA:
        fix = "have the quota of that instance type for endpoints raised, or name another serving.instance_type"
        return Overloaded(words, fix, delay_seconds=300)
    if code(error) == _INVALID and _ABSENT in said.lower():
        return NotFound(words, "deploy the model again")
    if code(error) == _INVALID:
        return InvalidEnvironment(words, "mend serving in the environment file: image, role, instance_type, subnets")
    return failure(error, what)
