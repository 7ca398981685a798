"""KServe predictors per version that run our own inference server."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from loopline.platform_core.contracts.serving import DesiredState, ObservedState
from loopline.platform_core.contracts.state_store import together
from loopline.resources.kserve.inference_service import around, predictor
from loopline.resources.kserve.per_version import VERSION, part_name
from loopline.resources.object_store.groups import version_place
from loopline.resources.object_store.states import ObjectStates

if TYPE_CHECKING:
    from collections.abc import Sequence

    from loopline.platform_core.contracts.serving import ServerUse
    from loopline.resources.kserve.serving import KServeServing
    from loopline.resources.kubernetes.endpoint_manifests import Manifest


class OwnServer:
    """The parts of models that our server answers for."""

    def __init__(self, serving: KServeServing) -> None:
        self._serving = serving
        self._known: dict[str, ObjectStates] = {}

    def beside(self, group: str) -> list[Manifest]:
        """Return the runtime, if it is ours, and the budget."""
        return around(self._serving, group)

    def ask(self, state: DesiredState) -> None:
        """Leave each version's pods a state of their own, in which it has the role that it has among all."""
        alone = replace(state, candidate=None, percent=0)
        if state.candidate is not None:
            whole = replace(state, stable=state.candidate, percent=100)
            self._states(state.model, state.candidate.version).ask(whole)
        self._states(state.model, state.stable.version).ask(alone)

    def part(self, model: str, version: str) -> Manifest:
        """Return a version's predictor; its pods are ready once they answer for the model.

        KServe wants another storage URI of a predictor that is named otherwise, and lets it be fetched: it is the
        version's state, which is small. The package comes by the relay.
        """
        group, place = self._serving.group(model), self._place(model, version)
        made = predictor(self._serving, group, place)
        answering = f"/v2/models/{model}/ready"
        for probe in ("startupProbe", "readinessProbe"):
            asked = made["model"][probe]
            made["model"][probe] = {**asked, "httpGet": {**asked["httpGet"], "path": answering}}
        uri = f"{self._serving.store.rstrip('/')}/{place}/desired/{model}.json"
        return {
            **made,
            "name": part_name(version),
            "labels": {**made["labels"], VERSION: part_name(version)},
            "containers": [],  # nothing is replayed
            "model": {**made["model"], "storageUri": uri},
        }

    def observed(self, model: str, version: str) -> ObservedState:
        """Put together what a version's pods say; where none says anything, it is nowhere."""
        servers = self._states(model, version).observed(model)
        return together(servers) if servers else ObservedState(None, ready=False)

    def uses(self) -> Sequence[ServerUse]:
        """Return what the pods of versions have used that this process knows."""
        return [use for states in self._known.values() for use in states.uses()]

    def _place(self, model: str, version: str) -> str:
        return version_place(self._serving.group(model), part_name(version))

    def _states(self, model: str, version: str) -> ObjectStates:
        place = self._place(model, version)
        if place not in self._known:
            self._known[place] = ObjectStates(self._serving.below(place), self._serving.seal)
        return self._known[place]
