"""Vertex AI's endpoints, as an ``EndpointService``."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from loopline.resources.managed_endpoints.service import EndpointLook, EndpointService, Phase, Plan
from loopline.resources.vertex.endpoint_link import EndpointLink, InTheWay, never
from loopline.resources.vertex.operations import Doings

if TYPE_CHECKING:
    from loopline.resources.vertex.serving import VertexServing

MODEL, DEPLOYED = "model", "deployed"
"""The parts of a plan: a model, and how it is deployed, both as the service's messages, without names."""
ENDPOINT = "loopline-endpoint"
"""The label by which an endpoint's models are found."""
_ALL = 100
_ID_DIGITS = 10
"""Of a deployed model's id, which must be a number."""
_ABOUT = "Loopline deploys it with "
_LAID_JUST_NOW = timedelta(hours=1)
"""Whoever deploys lays a plan before the endpoint names it: until then nobody else takes it for one that is old."""


class VertexEndpoints(EndpointService):
    """Endpoints of which one model has all the traffic; each plan is a model of its name.

    How a model is deployed stands in its description, so that whoever looks may deploy it.
    """

    def __init__(self, settings: VertexServing) -> None:
        self._settings, self.link = settings, EndpointLink(settings)

    def lay(self, plan: Plan) -> None:
        """Upload the model, and wait a while until it is there, so that what is wrong with it is told."""
        about = _ABOUT + json.dumps(plan.content[DEPLOYED], sort_keys=True)
        labels = {**self._settings.all_labels(), ENDPOINT: plan.endpoint}
        made = {**plan.content[MODEL], "display_name": plan.name, "description": about, "labels": labels}
        if self._model(plan.name) is not None:
            return
        try:
            upload = self.link.models.upload_model
            self.link.call(upload, parent=self.link.parent, model_id=plan.name, model=made)
        except InTheWay as why:
            if not self._uploads(plan.name).running and self._model(plan.name) is None:  # as ``look`` asks
                raise never(f"serving: no model can be made: {why.problem}") from why
        self.link.until(lambda: self._is_laid(plan.name))

    def look(self, endpoint: str) -> EndpointLook:
        """Put together who has the traffic, what is going on, and what has failed last.

        What is going on is asked first: a change that ends in between has ended, and is not taken for one that failed.
        """
        doings = self._doings(endpoint)
        found = self._found(endpoint)
        if found is None:
            return EndpointLook(Phase.ABSENT)
        plan = _serving(found)
        if doings.ends:
            return EndpointLook(Phase.ENDING, plan, "it is deleted")
        if doings.running:
            return EndpointLook(Phase.CHANGING, plan, f"{doings.running} is not done")
        if plan:
            return EndpointLook(Phase.SERVING, plan, doings.failure)
        return EndpointLook(Phase.FAILED if doings.failure else Phase.ABSENT, "", doings.failure)

    def create(self, endpoint: str, plan: str) -> str:
        """Make the endpoint, then ask for machines."""
        model = self._model(plan)
        if model is None:
            return f"model {plan} is not there yet, or was deleted"
        if self._found(endpoint) is None:
            try:
                create = self.link.endpoints.create_endpoint
                self.link.call(
                    create, parent=self.link.parent, endpoint=self._settings.message(endpoint), endpoint_id=endpoint
                )
            except InTheWay as why:  # it is there by now, or what was lost was only its answer
                if not self._doings(endpoint).running and self._found(endpoint) is None:  # as ``look`` asks
                    raise never(f"serving: no endpoint can be made: {why.problem}") from why
            if not self.link.until(lambda: self._found(endpoint) is not None):
                return f"{endpoint} is not there yet"
        return self._deployed(endpoint, plan, model)

    def change(self, endpoint: str, plan: str) -> str:
        """Deploy another model beside the one that answers, which has the traffic until that one answers."""
        model = self._model(plan)
        if model is None:
            return f"model {plan} is not there yet, or was deleted"
        found = self._found(endpoint)
        if found is not None and any(_plan(one) == plan for one in found.deployed_models):
            return self._led(endpoint, plan)
        return self._deployed(endpoint, plan, model)

    def delete(self, endpoint: str) -> str:
        """Give the machines back, and take the endpoint away once they are gone: that is waited for a while."""
        if self._doings(endpoint).deploys:
            return "a model is being deployed"
        if not self.link.until(lambda: self._is_empty(endpoint)):
            return "its machines are being given back"
        try:
            self.link.call(self.link.endpoints.delete_endpoint, name=self.link.endpoint(endpoint))
        except InTheWay as why:  # the answer of one that was asked before may have been lost
            return "" if self._doings(endpoint).ends or self._found(endpoint) is None else why.problem
        return ""

    def sweep(self, endpoint: str, keep: str = "") -> None:
        """Give back machines that have no traffic, and delete models that have the name of one of the plans."""
        own = re.compile(rf"{re.escape(endpoint)}-[0-9a-f]{{12}}")
        if (found := self._found(endpoint)) is not None:
            for one in found.deployed_models:
                if _plan(one) != keep and not found.traffic_split.get(one.id):
                    self._undeploy(endpoint, one)
        youngest = datetime.now(UTC) - _LAID_JUST_NOW
        for model in self._labelled(endpoint):
            name = model.name.rpartition("/")[2]
            if name != keep and own.fullmatch(name) and not (keep and model.create_time > youngest):
                self._drop(model.name)

    def url(self, endpoint: str) -> str:
        """Return where ``:rawPredict`` is appended."""
        return f"{self._settings.prediction_url}/v1/{self.link.endpoint(endpoint)}"

    def close(self) -> None:
        """Let the connections go."""
        self.link.close()

    def _deployed(self, endpoint: str, plan: str, model: Any) -> str:
        """Ask for machines; the traffic is led to them when they answer. Twice the same is refused by its number."""
        wanted = {**_how(model), "id": _number(plan), "model": model.name, "display_name": plan}
        request = {"endpoint": self.link.endpoint(endpoint), "deployed_model": wanted, "traffic_split": {"0": _ALL}}
        try:
            self.link.call(self.link.endpoints.deploy_model, **request)
        except InTheWay as why:
            return self._so_already(endpoint, plan, why.problem)
        return ""

    def _led(self, endpoint: str, plan: str) -> str:
        """Lead the traffic back to a model that is deployed still."""
        name, split = self.link.endpoint(endpoint), {_number(plan): _ALL}
        try:
            self.link.call(
                self.link.endpoints.update_endpoint,
                endpoint={"name": name, "traffic_split": split},
                update_mask={"paths": ["traffic_split"]},
            )
        except InTheWay as why:
            return self._so_already(endpoint, plan, why.problem)
        return ""

    def _so_already(self, endpoint: str, plan: str, why: str) -> str:
        """Say what is waited for after a refusal, "" where what was asked for is so: an answer may have been lost.

        Raises:
            InvalidEnvironment: nothing is in the way: the service would never do it.
        """
        seen = self.look(endpoint)
        if seen.plan == plan or (seen.phase is Phase.CHANGING and _number(plan) in why):
            return ""
        if seen.phase in {Phase.CHANGING, Phase.ENDING}:
            return why
        raise never(f"serving: {endpoint}: {why}")

    def _is_empty(self, endpoint: str) -> bool:
        """Take one step to an endpoint without machines; says whether it has none."""
        found = self._found(endpoint)
        if found is None or not found.deployed_models:
            return True
        if not self._doings(endpoint).running:
            least = min(found.deployed_models, key=lambda one: found.traffic_split.get(one.id, 0))
            self._undeploy(endpoint, least)
        return False

    def _undeploy(self, endpoint: str, deployed: Any) -> None:
        try:
            undeploy = self.link.endpoints.undeploy_model
            self.link.call(undeploy, endpoint=self.link.endpoint(endpoint), deployed_model_id=deployed.id)
        except InTheWay:
            return  # it goes already, or something else is done first

    def _drop(self, model: str) -> None:
        try:
            self.link.call(self.link.models.delete_model, name=model)
        except InTheWay:
            return  # it is gone; or deployed, until its machines are: the next sweep finds it

    def _is_laid(self, plan: str) -> bool:
        """Say whether a model is there.

        Raises:
            InvalidEnvironment: it could not be made.
        """
        if self._model(plan) is not None:
            return True
        if failure := self._uploads(plan).failure:
            raise never(f"serving: model {plan} could not be made: {failure}")
        return False

    def _uploads(self, plan: str) -> Doings:
        return Doings.of(self.link.operations(self.link.models, self.link.model(plan)))

    def _doings(self, endpoint: str) -> Doings:
        return Doings.of(self.link.operations(self.link.endpoints, self.link.endpoint(endpoint)))

    def _found(self, endpoint: str) -> Any | None:
        return self.link.found(self.link.endpoints.get_endpoint, self.link.endpoint(endpoint))

    def _model(self, plan: str) -> Any | None:
        return self.link.found(self.link.models.get_model, self.link.model(plan))

    def _labelled(self, endpoint: str) -> list[Any]:
        found, token = [], ""
        while True:
            asked = {"parent": self.link.parent, "filter": f"labels.{ENDPOINT}={endpoint}", "page_token": token}
            page = next(self.link.call(self.link.models.list_models, **asked).pages)
            found += page.models
            if not (token := page.next_page_token):
                return found


def _serving(endpoint: Any) -> str:
    """Return the plan that has all the traffic, "" if none has."""
    return next((_plan(one) for one in endpoint.deployed_models if endpoint.traffic_split.get(one.id) == _ALL), "")


def _plan(deployed: Any) -> str:
    return str(deployed.model).rpartition("/")[2]


def _how(model: Any) -> Mapping[str, Any]:
    """Read how a model is deployed."""
    found: Mapping[str, Any] = json.loads(model.description.removeprefix(_ABOUT))
    return found


def _number(plan: str) -> str:
    """Return the number of a plan's deployed model: the same whoever deploys it."""
    return str(int(hashlib.sha256(plan.encode()).hexdigest(), 16) % 10**_ID_DIGITS).zfill(_ID_DIGITS)
