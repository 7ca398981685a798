"""Serving on a managed endpoint service: reconciles a group's endpoint with its plan."""

from __future__ import annotations

import abc
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Self

from pydantic import Field, PrivateAttr, model_validator

from loopline.platform_core.contracts.serving import CANARY, SHADOW, DesiredState, ObservedState
from loopline.platform_core.environment import environment_file
from loopline.platform_core.errors import InvalidEnvironment, LooplineError, Refused
from loopline.platform_core.foundation.one_a_process import OneAProcess
from loopline.resources.managed_endpoints.container import WORKERS_VARIABLE
from loopline.resources.managed_endpoints.environment_text import packed
from loopline.resources.managed_endpoints.names import endpoint_name
from loopline.resources.managed_endpoints.service import EndpointService, Phase, Plan
from loopline.resources.object_store.grouped import GROUP_VARIABLE, GroupedServing, filled
from loopline.resources.object_store.objects import Objects

_HOME = "/tmp/loopline"  # noqa: S108 - the container's own
_PLAN = "endpoint"
"""The object of a group that says by which plan its endpoint is to serve: the one of who deployed last."""
_ASKED = "endpoint-asked"
"""The object of a group that says which plan its endpoint was last asked to change to, since somebody deployed."""
LOOK_SECONDS = 15.0
"""How often the service is asked how an endpoint is that does not answer yet; sensors look every few seconds."""
_ELSEWHERE = {
    "tls": "callers speak to the service, which speaks TLS",
    "gateway": "the service knows who may ask, and hands on no header by which a gateway would",
    "grpc_port": "the service hands on no gRPC",
    "kafka_logs": "logs of a group are pieces of the object store",
}
_AGAIN = "mend that, then deploy again"


@dataclass(frozen=True)
class Way:
    """How far an endpoint has come to a plan: ``settled`` at one, or what it waits for; ``is_stuck`` until we act."""

    words: str = ""
    is_stuck: bool = False
    settled: str = ""


class ManagedServing(GroupedServing):
    """What vendors share whose servers are a managed service's: how a group's endpoint comes to be, and goes.

    The image runs ``resources.managed_endpoints.container``: server, relay and replay of shadows in one container. The
    environment file travels in its variables, as does ``env``, which whoever may describe the endpoint reads: no
    secret is put there. ``environment`` is that file where whoever deploys has it; left out, it is the one in force.
    """

    can: ClassVar[frozenset[str]] = frozenset({CANARY, SHADOW})
    open_fields: ClassVar[frozenset[str]] = frozenset({"env"})

    root: str = f"{_HOME}/serving"
    host: str = "0.0.0.0"  # noqa: S104 - a container listens where the service finds it
    image: str = Field(max_length=255)
    environment: Path | None = None
    name_prefix: str = Field(default="loopline", pattern=r"^[a-z][a-z0-9]*(-[a-z0-9]+)*$", max_length=16)
    workers: int = Field(default=1, ge=1)
    instances: int = Field(default=1, ge=1)
    env: Mapping[str, str] = Field(default_factory=dict)
    _services: OneAProcess[EndpointService] = PrivateAttr()
    _looks: dict[str, tuple[float, Way]] = PrivateAttr(default_factory=dict)

    def model_post_init(self, context: object) -> None:
        """Connect when first asked."""
        super().model_post_init(context)
        self._services = OneAProcess(self._open)

    @model_validator(mode="after")
    def _offers_no_more(self) -> Self:
        for name, why in _ELSEWHERE.items():
            if getattr(self, name) is not None:
                raise ValueError(f"leave {name} out: {why}")
        return self

    @abc.abstractmethod
    def _open(self) -> EndpointService:
        """Connect to the service."""

    @abc.abstractmethod
    def _plan(self, group: str, model: str, variables: Mapping[str, str]) -> Plan:
        """Say what a group's endpoint is made of, its containers with these variables."""

    @property
    def service(self) -> EndpointService:
        """Return this process's connection; a fork makes its own."""
        return self._services.get()

    def endpoint_name(self, model: str) -> str:
        """Return the service's name of a model's endpoint."""
        return endpoint_name(self.name_prefix, self.group(model))

    def endpoint(self, model: str) -> str:
        """Return where the service hands requests on; what is appended, and how they are signed, is the service's."""
        return self.address or self.service.url(self.endpoint_name(model))

    def apply(self, state: DesiredState) -> None:
        """Leave the state for the servers, then see to it that there are some.

        Raises:
            Overloaded: the account's quota is used up. InvalidEnvironment: the service would never take what is asked.
        """
        plan = self._wanted_plan(state.model)
        super().apply(state)
        self._make(state.model, plan)

    def observe(self, model: str) -> ObservedState:
        """Put together what the servers say; where none answers, what keeps the endpoint from it, or takes it there."""
        seen = super().observe(model)
        answers = seen.generation is not None and seen.ready
        way = self._looked(self.group(model), self.endpoint_name(model), answers=answers)
        if not way.words or (answers and not way.is_stuck):
            return seen
        return ObservedState(seen.generation, seen.ready, problem=way.words)

    def let_go(self, model: str) -> bool:
        """Take a model's state away, and with its group's last model the endpoint and its plans.

        Raises:
            Refused: the service ends no endpoint that it is making or changing.
        """
        group, endpoint = self.group(model), self.endpoint_name(model)
        states, plan = self.group_states(group), self.below(group).read(_PLAN)
        states.drop(model)
        if states.models():
            return True
        self.below(group).delete([_PLAN])  # first: who looks now makes nothing any more
        self._looks.pop(group, None)
        if why := self.service.delete(endpoint):
            if plan:
                self.below(group).write(_PLAN, plan[0])
            raise Refused(f"endpoint {endpoint} does not end: {why}", "ask again when the service is done with it")
        self.below(group).delete([_ASKED])
        self.service.sweep(endpoint)
        for other in states.models():  # deployed meanwhile, by somebody who saw an endpoint that went
            self._make(other, self._wanted_plan(other))
        return True

    def close(self) -> None:
        """Let the connections go; endpoints go on."""
        if (service := self._services.taken()) is not None:
            service.close()

    def _make(self, model: str, plan: Plan) -> None:
        """Make the plan the group's, and take the next step to it."""
        objects, wanted = self.below(self.group(model)), plan.name.encode()
        if (found := objects.read(_PLAN)) is None or found[0] != wanted:
            self.service.lay(plan)
            objects.write(_PLAN, wanted)
        objects.delete([_ASKED])
        self._looks[self.group(model)] = time.monotonic(), self._step(objects, plan.endpoint, plan.name, anew=True)

    def _looked(self, group: str, endpoint: str, *, answers: bool) -> Way:
        """Take the next step to a group's plan, no more often than every quarter of a minute.

        Of an endpoint that answers by the plan that it has come to once, the service is asked no more.
        """
        at, way = self._looks.get(group, (-math.inf, Way()))
        if time.monotonic() - at <= LOOK_SECONDS:
            return way
        try:
            objects = self.below(group)
            plan = objects.read(_PLAN)
            if plan is None:
                way = Way()
            elif not answers or way != Way(settled=plan[0].decode()):
                way = self._step(objects, endpoint, plan[0].decode())
        except LooplineError as error:
            way = Way(str(error), is_stuck=True)
        self._looks[group] = time.monotonic(), way
        return way

    def _step(self, objects: Objects, endpoint: str, plan: str, *, anew: bool = False) -> Way:
        """Do what is next until an endpoint serves by a plan.

        What has failed is tried ``anew`` when somebody deploys, and not whenever it is looked at: machines cost money.
        A change may fail without a word, so it is remembered beside the plan that it was asked for.
        """
        seen, service = self.service.look(endpoint), self.service
        words, is_stuck = f"{endpoint}: {seen.words}", False
        match seen.phase:
            case Phase.SERVING | Phase.READY if seen.plan == plan:
                service.sweep(endpoint, keep=plan)
                return Way(settled=plan)
            case Phase.ABSENT:
                words = service.create(endpoint, plan) or f"{endpoint} is made"
            case Phase.READY:
                words = _changed(service, objects, endpoint, plan)
            case Phase.SERVING if anew or not (seen.words or _was_asked(objects, plan)):
                words = _changed(service, objects, endpoint, plan)
            case Phase.SERVING:
                why = seen.words or "the service says no reason"
                words, is_stuck = f"{endpoint} serves as before, its change has failed: {why} → {_AGAIN}", True
            case Phase.FAILED if anew:
                words = service.delete(endpoint) or f"{endpoint} had failed and is made anew: {seen.words}"
            case Phase.FAILED:
                words, is_stuck = f"{endpoint} has failed: {seen.words} → {_AGAIN}", True
        return Way(words, is_stuck)

    def _wanted_plan(self, model: str) -> Plan:
        variables = {
            **packed(self._environment_text()),
            "HOME": "/tmp",  # noqa: S108 - the container's own
            "LOOPLINE_HOME": _HOME,
            WORKERS_VARIABLE: str(self.workers),
            **self.env,
            GROUP_VARIABLE: self.group(model),
        }
        return self._plan(self.group(model), model, variables)

    def _environment_text(self) -> str:
        file = self.environment or environment_file()
        try:
            return file.read_text(encoding="utf-8")
        except OSError as error:
            raise InvalidEnvironment(
                f"serving: the file that endpoints are to read cannot be read: {error}",
                "set serving.environment to the environment file, or LOOPLINE_ENVIRONMENT",
            ) from error

    def _of_team(self, setting: str, text: str, model: str) -> str:
        """Fill the model's team into a setting."""
        return filled(setting, text, "use {team}, or a plain word", team=model.partition(".")[0])

    def _none_runs(self, what: str) -> str:
        return f"no {what} has told anything below {self.store} for a minute → look at the endpoint's log"


def _changed(service: EndpointService, objects: Objects, endpoint: str, plan: str) -> str:
    """Ask for a change, and remember that it was; returns what is waited for."""
    if why := service.change(endpoint, plan):
        return why
    objects.write(_ASKED, plan.encode())
    return f"{endpoint} is changed, and answers as before until then"


def _was_asked(objects: Objects, plan: str) -> bool:
    found = objects.read(_ASKED)
    return found is not None and found[0] == plan.encode()
