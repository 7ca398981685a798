"""Vertex AI's models and endpoints in the strict fake: operations that take time, traffic, containers that answer.

Paths and messages are those of Google's own clients; of what the service documents are held: names and numbers, labels,
traffic that sums to 100, what may not be deleted or undeployed. What may go wrong, once: of an ``upload`` or a
``deploy`` ``reason`` (its operation fails so), ``delay`` (seconds until its machines are there), ``bare`` (it is
deployed without a container, for tests that ask none), ``health_seconds`` (how long containers have to answer). The
image is taken for one of ours.
"""

from __future__ import annotations

import itertools
import random
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from google.cloud.aiplatform_v1 import types
from google.cloud.aiplatform_v1.services.endpoint_service.transports import rest_base as endpoint_paths
from google.cloud.aiplatform_v1.services.model_service.transports import rest_base as model_paths
from google.longrunning import operations_pb2
from google.protobuf import json_format

from tests.emulators.endpoint_container import EndpointContainer, Fleets, end_all
from tests.emulators.job_service import Message, Refusal

MOST_BYTES = 1_500_000
ANSWERED_BY = "X-Vertex-AI-Deployed-Model-Id"
_RAW = re.compile(r"/v1/(projects/[^/:]+/locations/[^/:]+/endpoints/[^/:]+):rawPredict")
_OPERATIONS = re.compile(
    r"/(?:ui|v1)/(?P<name>projects/[^/:]+/locations/[^/:]+/(?:endpoints|models)/[^/:]+)/operations"
)
_ENDPOINT_ID = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_MODEL_ID = re.compile(r"[a-z_][a-z0-9_-]{0,62}")
_DEPLOYED_ID = re.compile(r"[0-9]{1,10}")
_LABEL, _VALUE = re.compile(r"[a-z][a-z0-9_-]{0,62}"), re.compile(r"[a-z0-9_-]{0,63}")
_FILTER = re.compile(r"labels\.([a-z][a-z0-9_-]*)=([a-z0-9_-]+)")
_ENTRY = ["-m", "loopline.resources.managed_endpoints.container"]
_ENDPOINTS = ("CreateEndpoint", "GetEndpoint", "UpdateEndpoint", "DeleteEndpoint", "DeployModel", "UndeployModel")
_MODELS = ("UploadModel", "GetModel", "ListModels", "DeleteModel")


def routes(base: Any, names: tuple[str, ...]) -> list[tuple[str, str, re.Pattern[str]]]:
    """Read method and path of each operation off a client's own transport."""
    found = []
    for name in names:
        for rule in getattr(base, f"_Base{name}")._get_http_options():
            pattern = re.sub(
                r"\{([\w.]+)=([^}]+)\}",
                lambda part: f"(?P<{part[1].replace('.', '_')}>{part[2].replace('*', '[^/:]+')})",
                rule["uri"],
            )
            found.append((name, rule["method"].upper(), re.compile(pattern)))
    return found


@dataclass
class Endpoint:
    """An endpoint's message, its containers by the number of their deployed model, and those that are on their way."""

    message: Any
    containers: dict[str, list[EndpointContainer]] = field(default_factory=dict)
    coming: set[str] = field(default_factory=set)


class Endpoints:
    """The operations around models and endpoints."""

    def __init__(self, folder: Path, fault: Callable[[str], Message]) -> None:
        self._fault, self._lock = fault, threading.RLock()
        self.models: dict[str, Any] = {}
        self.endpoints: dict[str, Endpoint] = {}
        self.doings: dict[str, list[operations_pb2.Operation]] = {}
        self._begun: set[str] = set()
        self._numbers = itertools.count(1)
        self.routes = routes(endpoint_paths._BaseEndpointServiceRestTransport, _ENDPOINTS)
        self.routes += routes(model_paths._BaseModelServiceRestTransport, _MODELS)
        self.routes.append(("ListOperations", "GET", _OPERATIONS))
        self._fleets = Fleets(folder, "AIP_HTTP_PORT", self._containers)

    def do(self, operation: str, said: Message, query: Message, body: bytes) -> Message:
        """Do an operation of a client's."""
        word = re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower()
        with self._lock:
            found: Message = getattr(self, f"_{word}")(said, query, body)
        return found

    def predicted(self, path: str, content_type: str, body: bytes) -> tuple[int, dict[str, str], bytes] | None:
        """Hand a body on, and its content type, to a container of a model that has traffic; None: another path."""
        at = _RAW.fullmatch(path)
        if at is None:
            return None
        if len(body) > MOST_BYTES:
            raise Refusal(400, "INVALID_ARGUMENT", f"The request size exceeds {MOST_BYTES} bytes")
        with self._lock:
            endpoint = self._endpoint(at[1])
            split = dict(endpoint.message.traffic_split)
            if not split:
                raise Refusal(400, "FAILED_PRECONDITION", f"Endpoint {at[1]} doesn't have traffic_split.")
            number = random.choices([*split], [*split.values()])[0]
            living = [one for one in endpoint.containers.get(number, ()) if one.answers]
        if not living:
            raise Refusal(503, "UNAVAILABLE", "The model server is unavailable")
        try:
            status, given, content = random.choice(living).ask("/predict", body, {"Content-Type": content_type})
        except OSError as error:
            raise Refusal(503, "UNAVAILABLE", f"The model server does not answer: {error}") from error
        return status, {"Content-Type": given.get("content-type", ""), ANSWERED_BY: number}, content

    def end(self) -> None:
        """End every container."""
        self._fleets.end()

    def _upload_model(self, said: Message, _: Message, body: bytes) -> Message:
        asked = parsed(types.UploadModelRequest, body)
        name = f"{said['parent']}/models/{asked.model_id}"
        spec = asked.model.container_spec
        _hold(_MODEL_ID.fullmatch(asked.model_id), "model_id must be 1-63 characters of [a-z0-9_-]")
        _hold(name not in {*self.models, *self._begun}, f"Model {name} already exists.", 409, "ALREADY_EXISTS")
        _hold(spec.image_uri and 0 < len(asked.model.display_name) <= 128, "image_uri and display_name must be there")
        _hold(spec.predict_route[:1] == spec.health_route[:1] == "/" and len(spec.ports) == 1, "routes begin with /")
        _hold([*spec.command][1:] == _ENTRY, "this fake runs our image only")
        names = [one.name for one in spec.env]
        _hold(len({*names}) == len(names) <= 100, "environment variables must have unique names, at most 100")
        _hold(not any(one.startswith("AIP_") for one in names), "AIP_ is the service's own")
        _check_labels(asked.model.labels)
        asked.model.name, how = name, self._fault("upload")

        self._begun.add(name)

        def uploaded() -> str:
            self._begun.discard(name)
            if not how.get("reason"):
                asked.model.create_time = datetime.now(UTC)
                self.models[name] = asked.model
            return str(how.get("reason", ""))

        return self._operation(name, types.UploadModelOperationMetadata, uploaded, how.get("delay", 0.05))

    def _get_model(self, said: Message, *_: object) -> Message:
        return to_json(self._shown(said["name"]))

    def _list_models(self, said: Message, query: Message, _: bytes) -> Message:
        at = _FILTER.fullmatch(query.get("filter", ""))
        _hold(at is not None, f"invalid filter: {query.get('filter')}")
        assert at is not None
        found = [one for one, model in self.models.items() if model.labels.get(at[1]) == at[2]]
        page = types.ListModelsResponse(models=[self._shown(one) for one in found if one.startswith(said["parent"])])
        return to_json(page)

    def _delete_model(self, said: Message, *_: object) -> Message:
        self._shown(said["name"])
        used = [d for one in self.endpoints.values() for d in one.message.deployed_models if d.model == said["name"]]
        _hold(not used, f"Model {said['name']} is deployed", code="FAILED_PRECONDITION")
        del self.models[said["name"]]
        return self._operation(said["name"], types.DeleteOperationMetadata, lambda: "", 0)

    def _create_endpoint(self, said: Message, query: Message, body: bytes) -> Message:
        message, own = parsed(types.Endpoint, body), query.get("endpointId", "")
        name = f"{said['parent']}/endpoints/{own}"
        _hold(_ENDPOINT_ID.fullmatch(own), "endpoint_id must be up to 63 characters of [a-z0-9-]")
        _hold(name not in {*self.endpoints, *self._begun}, f"Endpoint {name} already exists.", 409, "ALREADY_EXISTS")
        _hold(0 < len(message.display_name) <= 128 and not message.deployed_models, "display_name, and no models")
        _check_labels(message.labels)
        message.name = name

        self._begun.add(name)

        def made() -> str:
            self._begun.discard(name)
            self.endpoints[name] = Endpoint(message)
            return ""

        return self._operation(name, types.CreateEndpointOperationMetadata, made, 0.05)

    def _get_endpoint(self, said: Message, *_: object) -> Message:
        return to_json(self._endpoint(said["name"]).message)

    def _update_endpoint(self, said: Message, query: Message, body: bytes) -> Message:
        endpoint = self._endpoint(said["endpoint_name"])
        _hold(query.get("updateMask") == "trafficSplit", f"unknown mask {query.get('updateMask')}")
        split = parsed(types.Endpoint, body).traffic_split
        _check_split(split, {one.id for one in endpoint.message.deployed_models})
        endpoint.message.traffic_split = dict(split)
        return to_json(endpoint.message)

    def _deploy_model(self, said: Message, _: Message, body: bytes) -> Message:
        endpoint, asked = self._endpoint(said["endpoint"]), parsed(types.DeployModelRequest, body)
        deployed, how = asked.deployed_model, self._fault("deploy")
        model, there = self._shown(deployed.model), {one.id for one in endpoint.message.deployed_models}
        _hold(_DEPLOYED_ID.fullmatch(deployed.id), "the id must be 1-10 digits")
        taken = deployed.id in there | endpoint.coming
        _hold(not taken, f"DeployedModel {deployed.id} already exists.", code="FAILED_PRECONDITION")
        machines = deployed.dedicated_resources
        _hold(machines.machine_spec.machine_type, "dedicated_resources must be there")
        _hold(1 <= machines.min_replica_count <= machines.max_replica_count, "min_replica_count exceeds the maximum")
        _check_split(asked.traffic_split, there | {"0"})
        endpoint.coming.add(deployed.id)

        def done() -> str:
            why = how.get("reason") or self._brought_up(endpoint, deployed, model.name, how)
            with self._lock:
                endpoint.coming.discard(deployed.id)
                if not why:
                    deployed.create_time = datetime.now(UTC)
                    endpoint.message.deployed_models.append(deployed)
                    split = {(deployed.id if k == "0" else k): v for k, v in asked.traffic_split.items()}
                    endpoint.message.traffic_split = split
            return str(why)

        return self._operation(said["endpoint"], types.DeployModelOperationMetadata, done, how.get("delay", 0.1))

    def _undeploy_model(self, said: Message, _: Message, body: bytes) -> Message:
        endpoint, asked = self._endpoint(said["endpoint"]), parsed(types.UndeployModelRequest, body)
        message = endpoint.message
        there = {one.id: one for one in message.deployed_models}
        one = there.get(asked.deployed_model_id)
        _hold(one, f"DeployedModel {asked.deployed_model_id} not found", 404, "NOT_FOUND")
        last, has_traffic = len(there) == 1, bool(message.traffic_split.get(asked.deployed_model_id))
        _hold(last or not has_traffic, "it has traffic: unassign it first", code="FAILED_PRECONDITION")

        def done() -> str:
            with self._lock:
                left = [each for each in message.deployed_models if each.id != asked.deployed_model_id]
                message.deployed_models = left
                message.traffic_split = {k: v for k, v in message.traffic_split.items() if v and left}
                containers = endpoint.containers.pop(asked.deployed_model_id, [])
            end_all(containers)
            return ""

        return self._operation(said["endpoint"], types.UndeployModelOperationMetadata, done, 0.1)

    def _delete_endpoint(self, said: Message, *_: object) -> Message:
        endpoint = self._endpoint(said["name"])
        busy = endpoint.coming or endpoint.message.deployed_models
        _hold(not busy, "Endpoint has deployed or being-deployed DeployedModel(s).", code="FAILED_PRECONDITION")

        def done() -> str:
            del self.endpoints[said["name"]], self.doings[said["name"]]
            return ""

        return self._operation(said["name"], types.DeleteOperationMetadata, done, 0.1)

    def _list_operations(self, said: Message, *_: object) -> Message:
        page = operations_pb2.ListOperationsResponse(operations=self.doings.get(said["name"], [])[::-1])
        found: Message = json_format.MessageToDict(page)
        return found

    def _operation(self, of: str, kind: Any, work: Callable[[], str], seconds: float) -> Message:
        """Begin an operation that ends after some seconds, and what it does; ``work`` returns why it failed."""
        now = datetime.now(UTC)
        operation = operations_pb2.Operation(name=f"{of}/operations/{next(self._numbers)}")
        operation.metadata.Pack(
            kind.pb(kind(generic_metadata=types.GenericOperationMetadata(create_time=now, update_time=now))),
            "type.googleapis.com/",
        )
        self.doings.setdefault(of, []).append(operation)

        def run() -> None:
            time.sleep(seconds)  # how long the operation takes
            why = work()
            with self._lock:
                if why:
                    operation.error.code, operation.error.message = 9, why
                operation.done = True

        threading.Thread(target=run, daemon=True).start()
        found: Message = json_format.MessageToDict(operation)
        return found

    def _brought_up(self, endpoint: Endpoint, deployed: Any, model: str, how: Message) -> str:
        """Start the containers of a deployed model, and wait until they answer."""
        spec = self.models[model].container_spec
        said = {"Environment": {one.name: one.value for one in spec.env}}
        count = 0 if how.get("bare") else deployed.dedicated_resources.min_replica_count
        found = self._fleets.brought_up(count, said, spec.health_route, how.get("health_seconds", 120))
        if found is None:
            return "Model server never became ready. Please check the container's log."
        endpoint.containers[deployed.id] = found
        return ""

    def _containers(self) -> list[EndpointContainer]:
        return [one for each in [*self.endpoints.values()] for some in [*each.containers.values()] for one in some]

    def _endpoint(self, name: str) -> Endpoint:
        if name not in self.endpoints:
            raise Refusal(404, "NOT_FOUND", f"The Endpoint does not exist: {name}")
        return self.endpoints[name]

    def _shown(self, name: str) -> Any:
        """Return a model as the service tells of it: without what is only an input."""
        if name not in self.models:
            raise Refusal(404, "NOT_FOUND", f"The Model does not exist: {name}")
        found = types.Model(self.models[name])
        del found.container_spec
        return found


def parsed(kind: Any, body: bytes) -> Any:
    """Read a client's message; a member that it does not have is refused."""
    message = kind()
    try:
        json_format.Parse(body or b"{}", kind.pb(message))
    except json_format.ParseError as error:
        raise Refusal(400, "INVALID_ARGUMENT", f"Invalid JSON payload received. {error}") from error
    return message


def to_json(message: Any) -> Message:
    """Write a client's message."""
    found: Message = json_format.MessageToDict(type(message).pb(message), use_integers_for_enums=True)
    return found


def _check_split(split: Any, known: set[str]) -> None:
    _hold(sum(split.values()) == 100, "traffic_split must sum to 100")
    _hold({*split} <= known, f"traffic_split names what is not deployed: {sorted({*split} - known)}")


def _check_labels(labels: Any) -> None:
    _hold(all(_LABEL.fullmatch(k) and _VALUE.fullmatch(v) for k, v in labels.items()), "labels: [a-z0-9_-]")


def _hold(holds: object, words: str, status: int = 400, code: str = "INVALID_ARGUMENT") -> None:
    if not holds:
        raise Refusal(status, code, words)
