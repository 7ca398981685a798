"""Base of serving vendors whose inference servers run in pods."""

from __future__ import annotations

import abc
import math
import os
import time
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, model_validator

from loopline.platform_core.contracts.serving import DesiredState, ObservedState
from loopline.platform_core.errors import Refused
from loopline.platform_core.foundation.pod_template import PodTemplate
from loopline.resources.kubernetes import group_capacity
from loopline.resources.kubernetes.by_team import TEAM, of_its_team
from loopline.resources.kubernetes.endpoint_manifests import (
    GRPC_PORT,
    HTTP_PORT,
    ROOT,
    labels,
)
from loopline.resources.kubernetes.link import Link, api_message, is_unknown_path
from loopline.resources.kubernetes.names import team_word
from loopline.resources.kubernetes.pod_errors import obstacle
from loopline.resources.object_store.grouped import GroupedServing, filled

_MANAGER = "loopline"
_PROBLEM_SECONDS = 15.0
_GONE_SECONDS = 0.2


class SecretEntries(BaseModel):
    """Those entries of a Secret that become variables, in the named containers of a pod alone if any are named.

    A pod waits for an entry that is not there, unless it is ``optional``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    entries: tuple[str, ...]
    containers: tuple[Literal["server", "relay", "shadow"], ...] = ()
    optional: bool = False


class PodServing(GroupedServing):
    """What vendors share whose servers are pods: settings, states and logs by endpoint group, how the API is asked.

    A vendor says which objects a group is made of, and by which address the group is reached inside the cluster.
    """

    open_fields: ClassVar[frozenset[str]] = frozenset({"env"})

    _absent: ClassVar[str] = "install the definitions of that kind"
    """What to do where the cluster does not know a kind."""

    root: str = ROOT
    port: int = HTTP_PORT
    host: str = "0.0.0.0"  # noqa: S104 - a pod listens where its Service finds it
    grpc_port: int | None = GRPC_PORT
    image: str
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    image_pull_secrets: tuple[str, ...] = ()
    python: str = "python"
    user: int = 1000
    kubeconfig: Path | None = None
    context: str | None = None
    api_patience_seconds: float = 30
    namespace: str = "loopline"
    service_account: str = "default"
    environment_map: str = "loopline-environment"
    environment_from: tuple[str | SecretEntries, ...] = ()
    secrets: Mapping[str, str] = Field(default_factory=dict)
    env: Mapping[str, str] = Field(default_factory=dict)
    replicas: int = 2
    replicas_max: int = 0
    busy_percent: int = 70
    workers: int = 1
    cpu: float = 1
    memory_gb: float = 1
    memory_factor: float = 1
    gpu: int = 0
    gpu_resource: str = "nvidia.com/gpu"
    disk_gb: float = 10
    node_selector: Mapping[str, str] = Field(default_factory=dict)
    tolerations: tuple[Mapping[str, Any], ...] = ()
    priority_class: str | None = None
    pod_template: PodTemplate = PodTemplate()
    _link: Link | None = PrivateAttr(default=None)
    _problems: dict[tuple[object, ...], tuple[float, str]] = PrivateAttr(default_factory=dict)
    _by_team: dict[str, Self] = PrivateAttr(default_factory=dict)
    _of_all: Self | None = PrivateAttr(default=None)

    @model_validator(mode="after")
    def _shares_with_no_other_team(self) -> Self:
        if TEAM in self.namespace and TEAM not in self.endpoint_group:
            raise ValueError(
                f"namespace {self.namespace!r} is each team's own: endpoint_group must hold {TEAM} as well"
            )
        return self

    def of_team(self, model: str) -> Self:
        """Return the serving of a model's team, whose namespace and account are its own; this one, if all share them.

        Raises:
            InvalidEnvironment: ``namespace`` or ``service_account`` holds something else than ``{team}``.
        """
        places = {"namespace": self.namespace, "service_account": self.service_account}
        if not any("{" in place for place in places.values()):
            return self
        team, fix = model.partition(".")[0], "use {team}, or a plain word"
        if team not in self._by_team:
            filled_in = {name: filled(name, place, fix, team=team_word(team)) for name, place in places.items()}
            self._by_team[team] = self._placed(filled_in)
        return self._by_team[team]

    def _placed(self, places: dict[str, str]) -> Self:
        """Return this one at other places: with the same stores, and the same connection to the API."""
        made = self.model_copy(update=places)
        made._of_all, made._by_team = self, {}  # noqa: SLF001 - another one of this class
        return made

    @of_its_team
    def apply(self, state: DesiredState) -> None:
        """Leave the state for the servers, then see to it that there are some."""
        self.require(state.needs, state.model)
        group_capacity.require(self, state)
        super().apply(state)
        self._make(state.model)

    @of_its_team
    def let_go(self, model: str) -> bool:
        """Take a model's state away, and with its group's last model the group's objects.

        Pods end as they always do: they answer until they are routed to no more, and their logs are sent on.

        Raises:
            Refused: this account may not delete them, in the API server's words.
        """
        states = self.group_states(self.group(model))
        states.drop(model)
        others = states.models()
        for kind, name in self._gone_with(model, last=not others):
            self._delete(kind, name)
        for other in states.models() - others:  # deployed meanwhile, by somebody who saw objects that went
            self._make(other)
        return True

    @abc.abstractmethod
    def _gone_with(self, model: str, *, last: bool) -> list[tuple[str, str]]:
        """Return API version and kind (``apps/v1 Deployment``), and name, of what goes with a model."""

    @abc.abstractmethod
    def _make(self, model: str) -> None:
        """Put every object of a model's group."""

    def _delete(self, kind: str, name: str) -> None:
        """Delete an object; one that is not there, or of a kind that the cluster does not know, is no trouble.

        It is gone then: what is applied to one that somebody still holds would go with it.
        """
        from kubernetes.dynamic.exceptions import ResourceNotFoundError

        link = self._linked()
        api, _, word = kind.partition(" ")
        try:
            resource = link.resource(api, word)
            link.call_or_none(resource.delete, name=name, namespace=self.namespace)
            end = time.monotonic() + self.api_patience_seconds
            while (left := link.call_or_none(resource.get, name=name, namespace=self.namespace)) is not None:
                if not left.metadata.deletionTimestamp:  # made anew meanwhile
                    return
                if time.monotonic() > end:
                    raise Refused(
                        f"the {word} {name} in {self.namespace} is deleted, and {left.metadata.finalizers} hold it",
                        "does the controller run that put them there? then ask again",
                    )
                time.sleep(_GONE_SECONDS)
        except ResourceNotFoundError:
            return
        except link.refusal as error:
            raise Refused(
                f"Kubernetes refuses to delete the {word} {name} in {self.namespace}: {api_message(error)}",
                "let this account delete what it makes; then ask again",
            ) from error

    @abc.abstractmethod
    def _inside(self, model: str) -> tuple[str, str]:
        """Return ``host:port`` of a model's group inside the cluster, for HTTP and for gRPC."""

    @of_its_team
    def observe(self, model: str) -> ObservedState:
        """Put together what the servers say; where none says anything, what keeps the pods from it."""
        seen = super().observe(model)
        if seen.generation is not None or seen.ready:
            return seen
        waiting = self.why(self.group(model))
        return ObservedState(None, ready=False, problem=waiting) if waiting else seen

    @of_its_team
    def endpoint(self, model: str) -> str:
        """Return the model's URL: the gateway's, else the Service's inside the cluster."""
        scheme = "https" if self.tls else "http"
        inside = f"{scheme}://{self._inside(model)[0]}"
        return f"{(self.address or inside).rstrip('/')}/v2/models/{model}"

    @of_its_team
    def grpc_endpoint(self, model: str) -> str:
        """Return where callers reach gRPC: what the environment says, else the Service inside the cluster."""
        return self.grpc_address or self._inside(model)[1]

    def close(self) -> None:
        """Let the connections go; pods go on."""
        if self._link is not None:
            self._link.close()
            self._link = None

    def put(self, manifest: dict[str, Any]) -> bool:
        """Apply an object as its only manager, whoever else changed it.

        Returns:
            False if the manifest names a resource version, and that is not the newest.

        Raises:
            Refused: the API server does not take it, in its own words.
        """
        from kubernetes.dynamic.exceptions import ResourceNotFoundError

        link, kind = self._linked(), manifest["kind"]
        try:
            resource = link.resource(manifest["apiVersion"], kind)
            link.call(resource.server_side_apply, body=manifest, field_manager=_MANAGER, force_conflicts=True)
        except ResourceNotFoundError as error:
            raise self._unknown(manifest) from error
        except link.refusal as error:
            if is_unknown_path(error):  # its definition went after this process had seen it
                raise self._unknown(manifest) from error
            if error.status == HTTPStatus.CONFLICT and "resourceVersion" in manifest["metadata"]:
                return False
            name = manifest["metadata"]["name"]
            raise Refused(
                f"Kubernetes refuses the {kind} {name} in {self.namespace}: {api_message(error)}",
                "mend serving in the environment file, or what the cluster lets this account do",
            ) from error
        return True

    def _unknown(self, manifest: dict[str, Any]) -> Refused:
        return Refused(f"this cluster knows no {manifest['kind']} of {manifest['apiVersion']}", self._absent)

    def get_object(self, api: str, kind: str, name: str) -> dict[str, Any] | None:
        """Return an object of the servings' namespace; None: there is none, or the cluster knows no such kind."""
        from kubernetes.dynamic.exceptions import ResourceNotFoundError

        link = self._linked()
        try:
            resource = link.resource(api, kind)
        except ResourceNotFoundError:
            return None
        one = link.call_or_none(resource.get, name=name, namespace=self.namespace)
        return dict(one.to_dict()) if one is not None else None

    def why(self, group: str, more: Mapping[str, str] | None = None) -> str:
        """Say what ``_waiting`` says; of each group it is asked no more often than every quarter of a minute.

        Sensors look every few seconds at every endpoint, and most when none answers: the API server is busy then.
        """
        key = (group, *sorted((more or {}).items()))
        at, said = self._problems.get(key, (-math.inf, ""))
        if time.monotonic() - at > _PROBLEM_SECONDS:
            said = self._waiting(group, more)
            self._problems[key] = time.monotonic(), said
        return said

    def _waiting(self, group: str, more: Mapping[str, str] | None = None) -> str:
        """Say why no pod of a group, with ``more`` labels, has come to answer, in the words of scheduler or kubelet.

        Returns:
            Nothing where nobody says.
        """
        link = self._linked()
        selector = ",".join(f"{name}={value}" for name, value in {**labels(group), **(more or {})}.items())
        pods = link.call(link.core.list_namespaced_pod, self.namespace, label_selector=selector).items
        found = [(pod.metadata.name, why) for pod in pods if (why := obstacle(link, pod))]
        return f"{found[0][0]} does not start: {found[0][1]}" if found else ""

    def _linked(self) -> Link:
        if self._of_all is not None:
            return self._of_all._linked()  # noqa: SLF001 - another one of this class
        if self._link is None or self._link.pid != os.getpid():
            self._link = Link(self)
        return self._link
