"""Azure ML's managed online endpoints, as an ``EndpointService``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from loopline.platform_core.errors import InvalidEnvironment, StoreUnavailable
from loopline.resources.azure_ml.endpoint_link import EndpointLink, InTheWay, never
from loopline.resources.azure_ml.request import image_version
from loopline.resources.azure_ml.settings import workspace_id
from loopline.resources.managed_endpoints.service import EndpointLook, EndpointService, Phase, Plan

if TYPE_CHECKING:
    from loopline.resources.azure_ml.serving import AzureMLServing

ENVIRONMENT, ENDPOINT, DEPLOYMENT = "environment", "endpoint", "deployment"
"""The parts of a plan, as the service's messages, without names."""
_OF_IMAGES = "loopline-serving"
_PLANS = "endpoint-plans"
"""The place below ``store`` where plans lie, and beside each the operation by which it was deployed last."""
_OPERATION = ".operation"
_ALL = 100
_GOOD, _BAD = "Succeeded", frozenset({"Failed", "Canceled"})
_LAID_JUST_NOW = timedelta(hours=1)
"""Whoever deploys lays a plan before the endpoint names it: until then nobody else takes it for one that is old."""


class OnlineEndpoints(EndpointService):
    """Endpoints of which one deployment has all the traffic; each plan is a deployment named by its digest.

    The service keeps no deployment that does not run, so that plans lie in the bucket: whoever looks may deploy them.
    """

    def __init__(self, settings: AzureMLServing) -> None:
        self.settings, self.link = settings, EndpointLink(settings)
        self._plans = settings.below(_PLANS)
        self._urls: dict[str, str] = {}
        self._led: set[str] = set()

    def lay(self, plan: Plan) -> None:
        """Write the plan down, and have its image as a version of an environment."""
        found = self._found(plan.endpoint)
        if found is not None:
            self._check_lasting(plan.endpoint, found, plan.content[ENDPOINT])
        self._hold_environment(plan.content[ENVIRONMENT])
        self._plans.write(_key(plan.endpoint, plan.name), json.dumps(plan.content, sort_keys=True).encode())

    def look(self, endpoint: str) -> EndpointLook:
        """Put together who has the traffic, what is going on, and what has failed last."""
        found = self._found(endpoint)
        if found is None:
            return EndpointLook(Phase.ABSENT)
        plan, state = _serving(endpoint, found), _state(found)
        if state == "Deleting":
            return EndpointLook(Phase.ENDING, plan, "it is deleted")
        deployments = self.link.deployments(endpoint)
        for named, one in (("the endpoint", found), *((str(each.name), each) for each in deployments)):
            if _state(one) != _GOOD and _state(one) not in _BAD:
                return EndpointLook(Phase.CHANGING, plan, f"{named} is {_state(one)}")
        why = (self._why(endpoint, endpoint) or f"the endpoint is {state}") if state in _BAD else ""
        return self._at_rest(endpoint, plan, deployments, why)

    def _at_rest(self, endpoint: str, plan: str, deployments: Sequence[Any], why: str) -> EndpointLook:
        """Say how an endpoint is that does nothing; the youngest deployment tells what was wanted last."""
        if not deployments and not why:
            return EndpointLook(Phase.ABSENT)
        newest = max(deployments, key=lambda one: one.system_data.created_at, default=None)
        if newest is not None and _state(newest) in _BAD:
            why = self._failure(endpoint, newest.name)
        if why or newest is None:
            return EndpointLook(Phase.SERVING if plan else Phase.FAILED, plan, why)
        return EndpointLook(Phase.SERVING if _plan(endpoint, newest) == plan else Phase.READY, plan)

    def create(self, endpoint: str, plan: str) -> str:
        """Make the endpoint, then ask for machines."""
        said = self._said(endpoint, plan)
        if said is None:
            return f"plan {plan} is not there yet, or was deleted"
        self._led.discard(endpoint)
        if self._found(endpoint) is None:
            if why := self._put_endpoint(endpoint, said[ENDPOINT], {}):
                return why
            self.link.until(lambda: _state(self._found(endpoint)) in {_GOOD, *_BAD})
            if (state := _state(self._found(endpoint))) != _GOOD:
                return f"{endpoint} is {state}"
        return self._deployed(endpoint, plan, said)

    def change(self, endpoint: str, plan: str) -> str:
        """Make a deployment beside the one that answers; lead the traffic to it once its machines stand ready."""
        said = self._said(endpoint, plan)
        if said is None:
            return f"plan {plan} is not there yet, or was deleted"
        state = _state(self._deployment(endpoint, plan))
        if state == _GOOD:
            return self._put_endpoint(endpoint, said[ENDPOINT], {_name(plan): _ALL})
        if state in _BAD:
            self._drop(endpoint, _name(plan))
            if not self.link.until(lambda: self._deployment(endpoint, plan) is None):
                return f"what has failed of {endpoint} is deleted first"
        return self._deployed(endpoint, plan, said)

    def delete(self, endpoint: str) -> str:
        """Let it end, with its deployments."""
        self._urls.pop(endpoint, None)
        self._led.discard(endpoint)
        try:
            self.link.begin(self.link.azure_ml.online_endpoints.begin_delete, endpoint)
        except InTheWay as why:  # the answer of one that was asked before may have been lost
            return "" if _state(self._found(endpoint)) in {"", "Deleting"} else why.problem
        return ""

    def sweep(self, endpoint: str, keep: str = "") -> None:
        """Give back machines that have no traffic, and delete plans that are old."""
        found = self._found(endpoint)
        if keep and found is not None:
            traffic = found.properties.traffic or {}
            for one in self.link.deployments(endpoint):
                if _plan(endpoint, one) != keep and not traffic.get(one.name) and _state(one) in {_GOOD, *_BAD}:
                    self._drop(endpoint, one.name)
        youngest = datetime.now(UTC) - _LAID_JUST_NOW
        old = [
            one.key
            for one in self._plans.listed(endpoint)
            if not (keep and (one.written_at > youngest or one.key.removesuffix(_OPERATION) == _key(endpoint, keep)))
        ]
        if old:
            self._plans.delete(old)

    def url(self, endpoint: str) -> str:
        """Return the scoring URI; of an endpoint that is not there, the one that it would have."""
        if endpoint not in self._urls:
            found = self._found(endpoint)
            if found is None or not found.properties.scoring_uri:
                return f"https://{endpoint}.{self.settings.location}.inference.ml.azure.com/score"
            self._urls[endpoint] = str(found.properties.scoring_uri)
        return self._urls[endpoint]

    def is_led(self, endpoint: str) -> bool:
        """Say whether callers are led to a deployment; of one of which that was so once, nobody is asked any more."""
        if endpoint not in self._led and (found := self._found(endpoint)) is not None and _serving(endpoint, found):
            self._led.add(endpoint)
        return endpoint in self._led

    def key(self, endpoint: str) -> str:
        """Return the key by which an endpoint is asked."""
        try:
            return str(self.link.ask(self.link.azure_ml.online_endpoints.list_keys, endpoint).primary_key)
        except InTheWay as why:
            raise StoreUnavailable(f"serving: {endpoint} has no keys: {why.problem}", "deploy the model") from why

    def close(self) -> None:
        """Let the connections go."""
        self.link.close()

    def _deployed(self, endpoint: str, plan: str, said: Mapping[str, Any]) -> str:
        """Ask for machines; asked for twice they come once, by the deployment's name."""
        from azure.mgmt.machinelearningservices import models

        wanted = _read(models.OnlineDeployment, said[DEPLOYMENT])
        wanted.properties.environment_id = self._environment_id(said[ENVIRONMENT])
        deployments = self.link.azure_ml.online_deployments
        try:
            operation = self.link.begin(deployments.begin_create_or_update, endpoint, _name(plan), wanted)
        except InTheWay as why:
            return self._so_already(endpoint, plan, why.problem)
        self._plans.write(_key(endpoint, plan) + _OPERATION, operation.encode())
        return ""

    def _put_endpoint(self, endpoint: str, said: Mapping[str, Any], traffic: Mapping[str, int]) -> str:
        """Make an endpoint, or lead its traffic; returns what is in the way."""
        from azure.mgmt.machinelearningservices import models

        wanted = _read(models.OnlineEndpoint, said)
        wanted.properties.traffic = dict(traffic)
        try:
            begin = self.link.azure_ml.online_endpoints.begin_create_or_update
            operation = self.link.begin(begin, endpoint, wanted)
        except InTheWay as why:
            led = next((f"{endpoint}-{name.removeprefix('d-')}" for name in traffic), "")
            return self._so_already(endpoint, led, why.problem)
        self._plans.write(_key(endpoint, endpoint) + _OPERATION, operation.encode())
        return ""

    def _so_already(self, endpoint: str, plan: str, why: str) -> str:
        """Say what is waited for after a refusal, "" where what was asked for is so: an answer may have been lost.

        Raises:
            InvalidEnvironment: nothing is in the way: the service would never do it.
        """
        seen = self.look(endpoint)
        if plan and (seen.plan == plan or (seen.phase is Phase.CHANGING and self._deployment(endpoint, plan))):
            return ""
        if seen.phase in {Phase.CHANGING, Phase.ENDING}:
            return why if plan or seen.phase is Phase.ENDING else ""
        if not plan and self._found(endpoint) is not None:
            return ""
        raise never(f"serving: {endpoint}: {why}")

    def _hold_environment(self, said: Mapping[str, Any]) -> None:
        """Have image and routes as a version of an environment; a version never changes."""
        from azure.mgmt.machinelearningservices import models

        versions, which = self.link.azure_ml.environment_versions, (_OF_IMAGES, _version(said))
        if self.link.found(versions.get, *which) is None:
            try:
                self.link.ask(versions.create_or_update, *which, _read(models.EnvironmentVersion, said))
            except InTheWay as why:  # somebody else may have made it meanwhile
                if self.link.found(versions.get, *which) is None:
                    raise never(f"serving: no environment can be made: {why.problem}") from why

    def _environment_id(self, said: Mapping[str, Any]) -> str:
        return f"{workspace_id(self.settings)}/environments/{_OF_IMAGES}/versions/{_version(said)}"

    def _check_lasting(self, endpoint: str, found: Any, wanted: Mapping[str, Any]) -> None:
        """Refuse to change what an endpoint keeps as long as it is there.

        Raises:
            InvalidEnvironment: its identity, or how it is asked, would change.
        """
        identities = {one.lower() for one in (wanted["identity"].get("userAssignedIdentities") or {})}
        there = {one.lower() for one in ((found.identity and found.identity.user_assigned_identities) or {})}
        auth = wanted["properties"]["authMode"]
        if identities == there and str(found.properties.auth_mode).lower() == auth.lower():
            return
        raise InvalidEnvironment(
            f"serving: {endpoint} is asked by {found.properties.auth_mode} as {sorted(there) or 'its own identity'};"
            " neither changes while it is there",
            "retire its models and deploy them again, or name another serving.endpoint_group",
        )

    def _failure(self, endpoint: str, deployment: str) -> str:
        why = self._why(endpoint, f"{endpoint}-{deployment.removeprefix('d-')}")
        return why or f"deployment {deployment} has failed; see 'az ml online-deployment get-logs -e {endpoint}'"

    def _why(self, endpoint: str, what: str) -> str:
        """Ask why what was begun last of a plan, or of the endpoint itself, has failed; "" where nobody tells."""
        at = self._plans.read(_key(endpoint, what) + _OPERATION)
        return self.link.failure(at[0].decode()) if at else ""

    def _drop(self, endpoint: str, deployment: str) -> None:
        try:
            self.link.begin(self.link.azure_ml.online_deployments.begin_delete, endpoint, deployment)
        except InTheWay:
            return  # it goes already, or something else is done first: the next sweep finds it

    def _found(self, endpoint: str) -> Any | None:
        return self.link.found(self.link.azure_ml.online_endpoints.get, endpoint)

    def _deployment(self, endpoint: str, plan: str) -> Any | None:
        return next((one for one in self.link.deployments(endpoint) if one.name == _name(plan)), None)

    def _said(self, endpoint: str, plan: str) -> Mapping[str, Any] | None:
        found = self._plans.read(_key(endpoint, plan))
        said: Mapping[str, Any] | None = json.loads(found[0]) if found else None
        return said


def _key(endpoint: str, plan: str) -> str:
    return f"{endpoint}/{plan}"


def _name(plan: str) -> str:
    """Name a plan's deployment: an endpoint's name and more would be too long."""
    return f"d-{plan.rpartition('-')[2]}"


def _plan(endpoint: str, deployment: Any) -> str:
    return f"{endpoint}-{str(deployment.name).removeprefix('d-')}"


def _serving(endpoint: str, found: Any) -> str:
    """Return the plan that has all the traffic, "" if none has."""
    traffic: Mapping[str, int] = found.properties.traffic or {}
    return next((f"{endpoint}-{name.removeprefix('d-')}" for name, part in traffic.items() if part == _ALL), "")


def _state(found: Any | None) -> str:
    """Return the state of an endpoint or a deployment; "": it is not there."""
    return "" if found is None else str(found.properties.provisioning_state)


def _version(environment: Mapping[str, Any]) -> str:
    return image_version(json.dumps(environment, sort_keys=True))


def _read(model: Any, said: Mapping[str, Any]) -> Any:
    """Read a message of the client's, which takes out of it what it has read: so of a copy."""
    return model.deserialize(json.loads(json.dumps(said)))
