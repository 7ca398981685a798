"""Azure ML's managed online endpoints in the strict fake: operations that take time, traffic, containers that answer.

Paths and messages are those of the official client's own models. Held is what the service documents: names, what an
endpoint keeps, traffic that sums to 100 or 0 and names deployments, one operation at a time (409), a deployment with
traffic that is not deleted, answers of containers that are told as 424. What may go wrong, once, of a ``deploy``:
``reason`` (its operation fails so), ``delay`` (seconds until its machines are there), ``bare`` (no container, for tests
that ask none), ``health_seconds`` (how long containers have to answer); of an ``endpoint`` ``reason`` and ``delay``.
The image is taken for one of ours.
"""

from __future__ import annotations

import itertools
import random
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from azure.mgmt.machinelearningservices import models
from azure.mgmt.machinelearningservices.operations import OnlineDeploymentsOperations, OnlineEndpointsOperations

from tests.emulators.arm_messages import parsed
from tests.emulators.endpoint_container import EndpointContainer, Fleets, end_all
from tests.emulators.job_service import Answer, Handed, Message, Refusal

PORT_VARIABLE = "LOOPLINE_ENDPOINT_PORT"
"""What is another port here: a container on Azure has all of them to itself."""
KEY = "the-key-of-"
_MOST_BYTES = 1_500_000
_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9-]{1,30}[a-zA-Z0-9]")
_SCORE = re.compile(r"/endpoints/([^/]+)/score")
_STATUS = re.compile(r"/subscriptions/[^/]+/providers/[^/]+/locations/[^/]+/mfeOperationsStatus/(?P<id>[^/]+)")
_AT_REST = {"Succeeded", "Failed", "Canceled"}
_MOST_REQUEST = timedelta(seconds=180)


def routes() -> Iterator[tuple[str, str, re.Pattern[str]]]:
    """Read the path of each operation off the client itself."""
    endpoints, deployments = OnlineEndpointsOperations, OnlineDeploymentsOperations
    for name, verb, operation in (
        ("GetEndpoint", "GET", endpoints.get),
        ("PutEndpoint", "PUT", endpoints.begin_create_or_update),
        ("DeleteEndpoint", "DELETE", endpoints.begin_delete),
        ("ListKeys", "POST", endpoints.list_keys),
        ("ListDeployments", "GET", deployments.list),
        ("PutDeployment", "PUT", deployments.begin_create_or_update),
        ("DeleteDeployment", "DELETE", deployments.begin_delete),
    ):
        yield name, verb, re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", operation.metadata["url"]))
    yield "GetOperation", "GET", _STATUS


@dataclass
class Deployment:
    """A deployment's message, its state, and its containers."""

    said: Message
    state: str = "Creating"
    created_at: str = field(default_factory=lambda: datetime.now(UTC).isoformat())
    containers: list[EndpointContainer] = field(default_factory=list)


@dataclass
class Endpoint:
    """An endpoint's message, its state, and its deployments by name."""

    said: Message
    state: str = "Creating"
    deployments: dict[str, Deployment] = field(default_factory=dict)

    @property
    def traffic(self) -> dict[str, int]:
        """Return how much of it each deployment has."""
        return dict(self.said["properties"].get("traffic") or {})


class Endpoints:
    """The operations around endpoints of one workspace, whose environments are known."""

    def __init__(
        self, folder: Path, fault: Callable[[str], Message], environments: Mapping[tuple[str, str], Message]
    ) -> None:
        self._fault, self._environments, self._lock = fault, environments, threading.RLock()
        self._numbers = itertools.count(1)
        self.endpoints: dict[str, Endpoint] = {}
        self.operations: dict[str, Message] = {}
        self.url = self.workspace = ""
        self.names = {name for name, *_ in routes()}
        self._fleets = Fleets(folder, PORT_VARIABLE, self._containers)

    def do(self, operation: str, said: Message, body: bytes) -> Answer:
        """Do an operation of a client's."""
        word = re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower()
        with self._lock:
            found: Answer = getattr(self, f"_{word}")(said, body)
        return found

    def scored(self, path: str, token: str, known: str, content_type: str, body: bytes) -> Handed:
        """Hand a request on to a container of a deployment that has traffic, and tell its answer as Azure ML does."""
        at = _SCORE.fullmatch(path)
        with self._lock:
            if at is None or at[1] not in self.endpoints:
                raise Refusal(404, "NotFound", "no such endpoint")
            endpoint = self.endpoints[at[1]]
            by_key = endpoint.said["properties"]["authMode"] == "Key"
            if token != (f"{KEY}{at[1]}" if by_key else known):
                raise Refusal(401, "Unauthorized", "key_auth_bad_header_format or token is invalid")
            if len(body) > _MOST_BYTES:
                raise Refusal(413, "PayloadTooLarge", "payload too large")
            if not (traffic := {name: part for name, part in endpoint.traffic.items() if part}):
                raise Refusal(404, "NotFound", "no valid deployments to route to")
            name = random.choices([*traffic], [*traffic.values()])[0]
            living = [one for one in endpoint.deployments[name].containers if one.answers]
        if not living:
            raise Refusal(503, "ServiceUnavailable", "no healthy upstream")
        try:
            said = {"Content-Type": content_type}
            status, given, content = random.choice(living).ask(self._path(name, at[1]), body, said)
        except OSError as error:
            raise Refusal(503, "ServiceUnavailable", f"upstream connect error: {error}") from error
        told = {"Content-Type": given.get("content-type", ""), "azureml-model-deployment": name}
        if status == 200:
            return 200, told, content
        why = {"ms-azureml-model-error-reason": "model_error", "ms-azureml-model-error-statuscode": str(status)}
        return 424, {**told, **why}, content

    def end(self) -> None:
        """End every container."""
        self._fleets.end()

    def _get_endpoint(self, said: Message, _: bytes) -> Answer:
        return 200, self._shown(said["endpointName"])

    def _put_endpoint(self, said: Message, body: bytes) -> Answer:
        name, asked = said["endpointName"], parsed(models.OnlineEndpoint, body)
        there, how = self.endpoints.get(name), self._fault("endpoint")
        properties = asked["properties"]
        _hold(_NAME.fullmatch(name), f"Endpoint name {name!r} is invalid: 3 to 32 characters")
        _hold(asked.get("location"), "location must be there")
        _hold(properties["authMode"] in {"Key", "AMLToken", "AADToken"}, "authMode is invalid")
        identity = asked.get("identity") or {}
        own = bool(identity.get("userAssignedIdentities"))
        _hold(own == (identity.get("type") == "UserAssigned"), "identity goes with its type")
        if there is not None:
            self._at_rest(name)
            _hold(identity == there.said.get("identity"), "The identity of an endpoint does not change")
            _hold(properties["authMode"] == there.said["properties"]["authMode"], "authMode does not change")
        known = {} if there is None else there.deployments
        traffic = properties.get("traffic") or {}
        _hold(sum(traffic.values()) in {0, 100}, "Sum of traffic must be 0 or 100")
        good = {one for one, deployment in known.items() if deployment.state == "Succeeded"}
        _hold({*traffic} <= good, f"traffic names no deployment that is there: {sorted({*traffic} - good)}")
        endpoint = there or Endpoint(asked)
        endpoint.state = "Creating" if there is None else "Updating"
        self.endpoints[name] = endpoint

        def done() -> str:
            endpoint.state = "Failed" if how.get("reason") else "Succeeded"
            if not how.get("reason"):
                endpoint.said = asked
            return str(how.get("reason", ""))

        return self._began(201 if there is None else 200, lambda: self._shown(name), done, how.get("delay", 0.05))

    def _delete_endpoint(self, said: Message, _: bytes) -> Answer:
        name = said["endpointName"]
        if name not in self.endpoints:
            return 204, {}
        self._at_rest(name)
        endpoint = self.endpoints[name]
        endpoint.state = "Deleting"

        def done() -> str:
            containers = [one for each in endpoint.deployments.values() for one in each.containers]
            del self.endpoints[name]
            end_all(containers)
            return ""

        return self._began(202, dict, done, 0.05)

    def _list_keys(self, said: Message, _: bytes) -> Answer:
        properties = self._endpoint(said["endpointName"]).said["properties"]
        _hold(properties["authMode"] == "Key", "this endpoint has no keys")
        return 200, {"primaryKey": f"{KEY}{said['endpointName']}", "secondaryKey": "other"}

    def _list_deployments(self, said: Message, _: bytes) -> Answer:
        endpoint = self._endpoint(said["endpointName"])
        return 200, {"value": [_shown(name, one) for name, one in endpoint.deployments.items()]}

    def _put_deployment(self, said: Message, body: bytes) -> Answer:
        endpoint, name = self._endpoint(said["endpointName"]), said["deploymentName"]
        asked, how = parsed(models.OnlineDeployment, body), self._fault("deploy")
        self._at_rest(said["endpointName"])
        environment = self._check_deployment(name, asked)
        there = endpoint.deployments.get(name)
        if there is not None and there.said == asked and there.state == "Succeeded":
            return 200, _shown(name, there)
        deployment = endpoint.deployments[name] = Deployment(asked)

        def done() -> str:
            why = str(how.get("reason") or self._brought_up(deployment, environment, how))
            deployment.state = "Failed" if why else "Succeeded"
            return why

        return self._began(201, lambda: _shown(name, deployment), done, how.get("delay", 0.1))

    def _delete_deployment(self, said: Message, _: bytes) -> Answer:
        endpoint, name = self._endpoint(said["endpointName"]), said["deploymentName"]
        if name not in endpoint.deployments:
            return 204, {}
        self._at_rest(said["endpointName"])
        _hold(not endpoint.traffic.get(name), f"Deployment {name} has traffic: set it to 0 first")
        deployment = endpoint.deployments[name]
        deployment.state = "Deleting"

        def done() -> str:
            del endpoint.deployments[name]
            end_all(deployment.containers)
            return ""

        return self._began(202, dict, done, 0.05)

    def _get_operation(self, said: Message, _: bytes) -> Answer:
        if said["id"] not in self.operations:
            raise Refusal(404, "NotFound", "no such operation")
        return 200, self.operations[said["id"]]

    def _began(self, status: int, shown: Callable[[], Message], work: Callable[[], str], seconds: float) -> Answer:
        """Begin an operation that ends after some seconds, and what it does; ``work`` returns why it failed."""
        own = f"op-{next(self._numbers)}"
        told = self.operations[own] = {"id": own, "status": "InProgress"}

        def run() -> None:
            time.sleep(seconds)  # how long the operation takes
            why = work()
            if why:
                told["error"] = {"code": "DeploymentFailed", "message": why}
            told["status"] = "Failed" if why else "Succeeded"

        threading.Thread(target=run, daemon=True).start()
        subscription = "/".join(self.workspace.split("/")[:3])
        at = f"{self.url}{subscription}/providers/Microsoft.MachineLearningServices/locations/westeurope"
        header = "Location" if status == 202 else "Azure-AsyncOperation"
        return status, shown(), {header: f"{at}/mfeOperationsStatus/{own}?api-version=2023-04-01"}

    def _check_deployment(self, name: str, asked: Message) -> Message:
        """Refuse what the service would; returns the version of the environment that is named."""
        properties = asked["properties"]
        _hold(_NAME.fullmatch(name), f"Deployment name {name!r} is invalid: 3 to 32 characters")
        _hold(asked.get("location"), "location must be there")
        _hold(properties.get("endpointComputeType") == "Managed", "endpointComputeType must be Managed")
        _hold(properties.get("instanceType"), "instanceType must be there")
        _hold((asked.get("sku") or {}).get("capacity", 0) >= 1, "sku.capacity must be 1 or more")
        settings = models.OnlineRequestSettings.deserialize({**properties["requestSettings"]})
        _hold(settings.request_timeout <= _MOST_REQUEST, "requestTimeout exceeds 180 seconds")
        named = str(properties.get("environmentId")).removeprefix(f"{self.workspace}/environments/").split("/versions/")
        _hold((*named,) in self._environments, f"Environment {properties.get('environmentId')} not found")
        found = self._environments[named[0], named[1]]
        _hold(found.get("inferenceConfig"), "an environment of a custom container needs inferenceConfig")
        variables = properties.get("environmentVariables") or {}
        _hold(not any(one.startswith("AZUREML_") for one in variables), "AZUREML_ is the service's own")
        ports = {route["port"] for route in found["inferenceConfig"].values()}
        _hold({variables.get(PORT_VARIABLE)} == {str(port) for port in ports}, "this fake runs our image only")
        return found

    def _brought_up(self, deployment: Deployment, environment: Message, how: Message) -> str:
        """Start the containers of a deployment, and wait until they answer."""
        said = {"Environment": deployment.said["properties"]["environmentVariables"]}
        ready = environment["inferenceConfig"]["readinessRoute"]["path"]
        count = 0 if how.get("bare") else deployment.said["sku"]["capacity"]
        found = self._fleets.brought_up(count, said, ready, how.get("health_seconds", 120))
        if found is None:
            return "ResourceNotReady: User container has crashed or terminated. Please see troubleshooting guide."
        deployment.containers = found
        return ""

    def _path(self, deployment: str, endpoint: str) -> str:
        properties = self.endpoints[endpoint].deployments[deployment].said["properties"]
        name, version = properties["environmentId"].rpartition("/environments/")[2].split("/versions/")
        return str(self._environments[name, version]["inferenceConfig"]["scoringRoute"]["path"])

    def _at_rest(self, name: str) -> None:
        endpoint = self._endpoint(name)
        states = {endpoint.state, *(one.state for one in endpoint.deployments.values())}
        if busy := states - _AT_REST:
            raise Refusal(409, "Conflict", f"Already running method on {name}: it is {sorted(busy)}")

    def _containers(self) -> list[EndpointContainer]:
        found = [one for each in [*self.endpoints.values()] for one in [*each.deployments.values()]]
        return [one for each in found for one in each.containers]

    def _endpoint(self, name: str) -> Endpoint:
        if name not in self.endpoints:
            raise Refusal(404, "ResourceNotFound", f"The Resource 'onlineEndpoints/{name}' was not found.")
        return self.endpoints[name]

    def _shown(self, name: str) -> Message:
        endpoint = self._endpoint(name)
        more = {"provisioningState": endpoint.state, "scoringUri": f"{self.url}/endpoints/{name}/score"}
        return {**endpoint.said, "name": name, "properties": {**endpoint.said["properties"], **more}}


def _shown(name: str, one: Deployment) -> Message:
    properties = {**one.said["properties"], "provisioningState": one.state}
    return {**one.said, "name": name, "systemData": {"createdAt": one.created_at}, "properties": properties}


def _hold(holds: object, words: str, status: int = 400, code: str = "BadArgument") -> None:
    if not holds:
        raise Refusal(status, code, words)
