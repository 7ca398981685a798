"""SageMaker's endpoints in the strict fake: models, configurations, statuses, and containers that really answer.

What may go wrong (``{"operation": "endpoint", ...}``): ``reason`` (it, or a change of it, fails so before a container
runs), ``rolls_back`` (a change of it ends as it began, and no reason is told), ``bare`` (it comes to be in service with
no container, for tests that ask none), ``health_seconds`` (how long containers have to answer ``/ping``, instead of a
minute and more), ``delay`` (seconds until its machines are there). The image is taken for one of ours, with our entry
point.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.emulators.endpoint_container import EndpointContainer, Fleets, end_all

Message = dict[str, Any]
BUSY = {"Creating", "Updating", "RollingBack", "Deleting", "SystemUpdating"}
_DID_NOT_ANSWER = (
    "The primary container for production variant {} did not pass the ping health check. Please check CloudWatch logs "
    "for this endpoint."
)


class Refused(Exception):  # noqa: N818 - what the service does
    """The service says no, with a ``ValidationException``."""


@dataclass
class Fleet:
    """The containers of one configuration."""

    config: str
    containers: list[EndpointContainer] = field(default_factory=list)


class Endpoint:
    """One endpoint: it is made, changed and ended by a thread of its own, while requests go to the fleet that is in."""

    def __init__(
        self, said: Message, bring: Callable[[str, float], list[EndpointContainer] | None], how: Message
    ) -> None:
        self.said, self._bring, self.created = said, bring, time.time()
        self.status, self.reason, self.fleet = "Creating", "", Fleet(said["EndpointConfigName"])
        self.modified, self._turn = self.created, 0
        self.gone = threading.Event()
        threading.Thread(target=self._create, args=(how,), daemon=True).start()

    def update(self, config: str, how: Message) -> None:
        """Bring up another fleet; this one answers until that one does."""
        self.status, self.reason = "Updating", ""
        threading.Thread(target=self._update, args=(config, how), daemon=True).start()

    def delete(self) -> None:
        """Give everything back."""
        self.status = "Deleting"

        def gone() -> None:
            end_all(self.fleet.containers)
            self.gone.set()

        threading.Thread(target=gone, daemon=True).start()

    def container(self) -> EndpointContainer | None:
        """Return whose turn it is; None while it is not in service."""
        living = [one for one in self.fleet.containers if one.answers]
        if self.status not in {"InService", "Updating"} or not living:
            return None
        self._turn += 1
        return living[self._turn % len(living)]

    def _create(self, how: Message) -> None:
        found, why = self._brought_up(self.said["EndpointConfigName"], how)
        if self.status == "Creating":
            self.fleet, self.reason = found, why
            self.status, self.modified = "Failed" if why else "InService", time.time()

    def _update(self, config: str, how: Message) -> None:
        found, why = self._brought_up(config, how)
        before, self.reason = self.fleet, why
        if not why and not how.get("rolls_back"):
            self.fleet = found
            time.sleep(how.get("drains", 0.2))  # what the service does: the old one answers on for a moment
            end_all(before.containers)
        self.status, self.modified = "InService", time.time()

    def _brought_up(self, config: str, how: Message) -> tuple[Fleet, str]:
        time.sleep(how.get("delay", 0.1))  # until the machines are there
        if how.get("reason"):
            return Fleet(config), how["reason"]
        if how.get("bare") or how.get("rolls_back"):
            return Fleet(config), ""
        found = self._bring(config, how.get("health_seconds", 120))
        return Fleet(config, found or []), "" if found else _DID_NOT_ANSWER.format("loopline")


class Endpoints:
    """The operations around endpoints."""

    def __init__(self, region: str, account: str, folder: Path, fault: Callable[[str], Message]) -> None:
        self._arn, self._fault = f"arn:aws:sagemaker:{region}:{account}", fault
        self.models: dict[str, Message] = {}
        self.configs: dict[str, Message] = {}
        self.endpoints: dict[str, Endpoint] = {}
        self._fleets = Fleets(folder, "SAGEMAKER_BIND_TO_PORT", self._serving)
        self.operations: dict[str, Callable[[Message], Message]] = {
            "CreateModel": self.create_model,
            "CreateEndpointConfig": self.create_config,
            "CreateEndpoint": self.create,
            "UpdateEndpoint": self.update,
            "DescribeEndpoint": self.describe,
            "DeleteEndpoint": self.delete,
            "DeleteEndpointConfig": lambda said: _deleted(self.configs, said["EndpointConfigName"], "configuration"),
            "DeleteModel": lambda said: _deleted(self.models, said["ModelName"], "model"),
            "ListModels": lambda said: self._listed(self.models, "Model", said),
            "ListEndpointConfigs": lambda said: self._listed(self.configs, "EndpointConfig", said),
        }

    def create_model(self, said: Message) -> Message:
        """Keep what a container is made of; the service checks the sizes that its documentation names."""
        variables = said["PrimaryContainer"].get("Environment", {})
        if sum(len(name) + len(value.encode()) for name, value in variables.items()) > 32 * 1024:
            raise Refused("Environment variables exceed 32 KB")
        _new(self.models, said["ModelName"], said, "model")
        return {"ModelArn": f"{self._arn}:model/{said['ModelName']}"}

    def create_config(self, said: Message) -> Message:
        """Keep what an endpoint is made of."""
        for variant in said["ProductionVariants"]:
            if variant["ModelName"] not in self.models:
                raise Refused(f'Could not find model "{self._arn}:model/{variant["ModelName"]}".')
        _new(self.configs, said["EndpointConfigName"], said, "endpoint configuration")
        return {"EndpointConfigArn": f"{self._arn}:endpoint-config/{said['EndpointConfigName']}"}

    def create(self, said: Message) -> Message:
        """Make an endpoint; a name is free again when its endpoint has gone."""
        name = said["EndpointName"]
        self._forget_gone()
        if name in self.endpoints:
            raise Refused(f'Cannot create already existing endpoint "{self._arn}:endpoint/{name}".')
        self._config(said["EndpointConfigName"])
        self.endpoints[name] = Endpoint(said, self._brought_up, self._fault("endpoint"))
        return {"EndpointArn": f"{self._arn}:endpoint/{name}"}

    def update(self, said: Message) -> Message:
        """Change an endpoint that is in service."""
        endpoint = self._endpoint(said)
        self._config(said["EndpointConfigName"])
        self._refuse_busy(endpoint, said)
        if endpoint.status != "InService":
            raise Refused(f"Cannot update endpoint in status {endpoint.status}")
        if endpoint.fleet.config == said["EndpointConfigName"]:
            raise Refused("Cannot update endpoint to the configuration that it has")
        endpoint.update(said["EndpointConfigName"], self._fault("endpoint"))
        return {"EndpointArn": f"{self._arn}:endpoint/{said['EndpointName']}"}

    def describe(self, said: Message) -> Message:
        """Tell how an endpoint is."""
        endpoint = self._endpoint(said)
        config = self.configs.get(endpoint.fleet.config, {"ProductionVariants": []})
        count = sum(one.answers for one in endpoint.fleet.containers)
        variants = [
            {"VariantName": one["VariantName"], "CurrentInstanceCount": count} for one in config["ProductionVariants"]
        ]
        return {
            "EndpointName": said["EndpointName"],
            "EndpointArn": f"{self._arn}:endpoint/{said['EndpointName']}",
            "EndpointConfigName": endpoint.fleet.config,
            "EndpointStatus": endpoint.status,
            "ProductionVariants": variants,
            "CreationTime": endpoint.created,
            "LastModifiedTime": endpoint.modified,
            **({"FailureReason": endpoint.reason} if endpoint.reason else {}),
        }

    def delete(self, said: Message) -> Message:
        """Let an endpoint end."""
        endpoint = self._endpoint(said)
        self._refuse_busy(endpoint, said)
        endpoint.delete()
        return {}

    def invoked(self, name: str) -> EndpointContainer | None:
        """Return the container to which the next request goes; None where nobody answers."""
        endpoint = self.endpoints.get(name)
        return endpoint.container() if endpoint else None

    def end(self) -> None:
        """End every container."""
        self._fleets.end()
        for endpoint in self.endpoints.values():
            for one in endpoint.fleet.containers:
                one.kill()

    def _brought_up(self, config: str, seconds: float) -> list[EndpointContainer] | None:
        (variant,) = self.configs[config]["ProductionVariants"]
        container = self.models[variant["ModelName"]]["PrimaryContainer"]
        return self._fleets.brought_up(variant["InitialInstanceCount"], container, "/ping", seconds)

    def _serving(self) -> list[EndpointContainer]:
        """Return the containers that are kept up: those that fall are started anew."""
        found = [one for one in [*self.endpoints.values()] if one.status in {"InService", "Updating"}]
        return [one for endpoint in found for one in endpoint.fleet.containers]

    def _endpoint(self, said: Message) -> Endpoint:
        self._forget_gone()
        if said["EndpointName"] not in self.endpoints:
            raise Refused(f'Could not find endpoint "{self._arn}:endpoint/{said["EndpointName"]}".')
        return self.endpoints[said["EndpointName"]]

    def _config(self, name: str) -> Message:
        if name not in self.configs:
            raise Refused(f'Could not find endpoint configuration "{self._arn}:endpoint-config/{name}".')
        return self.configs[name]

    def _refuse_busy(self, endpoint: Endpoint, said: Message) -> None:
        if endpoint.status in BUSY:
            raise Refused(f'Cannot update in-progress endpoint "{self._arn}:endpoint/{said["EndpointName"]}".')

    def _forget_gone(self) -> None:
        for name in [name for name, one in self.endpoints.items() if one.gone.is_set()]:
            del self.endpoints[name]

    def _listed(self, kept: dict[str, Message], kind: str, said: Message) -> Message:
        word = {"Model": "model", "EndpointConfig": "endpoint-config"}[kind]
        before, start = said.get("CreationTimeBefore", float("inf")), int(said.get("NextToken", 0))
        found = [
            name for name, one in kept.items() if said.get("NameContains", "") in name and one["CreationTime"] < before
        ]
        most = said.get("MaxResults", 10)
        page = [
            {f"{kind}Name": one, f"{kind}Arn": f"{self._arn}:{word}/{one}", "CreationTime": kept[one]["CreationTime"]}
            for one in found[start : start + most]
        ]
        more = {"NextToken": str(start + most)} if len(found) > start + most else {}
        return {f"{kind}s": page, **more}


def _new(kept: dict[str, Message], name: str, said: Message, what: str) -> None:
    if name in kept:
        raise Refused(f'Cannot create already existing {what} "{name}".')
    kept[name] = {**said, "CreationTime": time.time()}


def _deleted(kept: dict[str, Message], name: str, what: str) -> Message:
    if kept.pop(name, None) is None:
        raise Refused(f'Could not find {what} "{name}".')
    return {}
