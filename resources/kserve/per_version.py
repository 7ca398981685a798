"""KServe canary rollout with a predictor per version: plans each step of an InferenceService.

KServe routes requests to them by weight. It takes away the pods and the Service of a predictor or canary that is named
no more before its route has changed, and changes no route while a pod of the predictor is missing. So nobody goes who
may still be sent requests: a version that is to answer alone is first made a canary that takes all of them, and then
becomes the predictor, whose pods stay; a canary that is to go takes none for a while before it does.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from loopline.resources.kserve.inference_service import API, MODE, SCALER, STRATEGY

if TYPE_CHECKING:
    from loopline.platform_core.contracts.serving import DesiredState
    from loopline.resources.kubernetes.endpoint_manifests import Manifest

ASKED, ARRIVED, SINCE = "loopline.dev/asked", "loopline.dev/arrived", "loopline.dev/routed-since"
_UNSAID = dict.fromkeys((ASKED, ARRIVED, SINCE), "")
"""What predictors say themselves: KServe puts an InferenceService's notes on its pods, where a new one ends them."""
VERSION = "loopline.dev/version"
"""The label of a version's pods."""
_ALL = 100
Part = Callable[[str], "Manifest"]
"""Makes the predictor of a version."""


@dataclass(frozen=True)
class Wanted:
    """What is asked of a model: a generation, who answers, and which share of requests the candidate takes."""

    generation: int
    stable: str
    candidate: str = ""
    percent: int = 0

    @classmethod
    def of(cls, state: DesiredState) -> Wanted:
        """Return what a state asks."""
        candidate = state.candidate.version if state.candidate else ""
        return cls(state.generation, state.stable.version, candidate, state.percent if candidate else 0)

    def to_json(self) -> str:
        """Write it, for an annotation."""
        return json.dumps([self.generation, self.stable, self.candidate, self.percent])


@dataclass(frozen=True)
class Live:
    """An InferenceService as it is."""

    document: dict[str, Any]

    @property
    def wanted(self) -> Wanted:
        """Return what was asked last; of one that was made otherwise, nothing that anybody could not ask for anew."""
        return Wanted(*json.loads(self.annotations[ASKED])) if ASKED in self.annotations else Wanted(-1, "")

    @property
    def annotations(self) -> dict[str, str]:
        """Return what is noted on it."""
        found: dict[str, str] = self.document["metadata"].get("annotations") or {}
        return found

    @property
    def arrived(self) -> int | None:
        """Return the generation to which it came last."""
        noted = self.annotations.get(ARRIVED, "")
        return int(noted) if noted else None

    @property
    def predictor(self) -> dict[str, Any]:
        """Return who answers now."""
        found: dict[str, Any] = self.document["spec"]["predictor"]
        return found

    @property
    def name(self) -> str:
        """Return the predictor's name; none of one whose versions were not apart before."""
        return str(self.predictor.get("name", ""))

    @property
    def canaries(self) -> dict[str, int]:
        """Return the share of each canary by its predictor's name."""
        return {one["predictor"]["name"]: one["trafficPercent"] for one in self.document["spec"].get("canary") or ()}

    @property
    def is_settled(self) -> bool:
        """Say whether KServe has done what the document says: predictor and canaries are ready, and routed to.

        Its ``observedGeneration`` is the Deployment's and says nothing of that; what it says of canaries does, since
        nothing is changed here without one that comes, goes, or takes another share.
        """
        status = self.document.get("status") or {}
        conditions = {one["type"]: one.get("status") for one in status.get("conditions") or ()}
        seen = {one["name"]: one["trafficPercent"] for one in status.get("canaryStatuses") or () if one.get("ready")}
        every = len(status.get("canaryStatuses") or ()) == len(seen)
        return conditions.get("Ready") == "True" and every and seen == self.canaries

    @property
    def routed(self) -> list[str]:
        """Return the canaries that may be sent requests; KServe sends none to one of which no pod is ready."""
        status = self.document.get("status") or {}
        ready = {one["name"] for one in status.get("canaryStatuses") or () if one.get("ready")}
        return [name for name in self.canaries if name in ready]

    @property
    def answers(self) -> bool:
        """Say whether callers are answered, whatever is on its way beside that.

        KServe calls a predictor ready when all of its pods are; one of them is enough to answer.
        """
        status = self.document.get("status") or {}
        ready = any(
            one["type"] == "PredictorReady" and one.get("status") == "True" for one in status.get("conditions") or ()
        )
        return ready or bool((status.get("modelStatus") or {}).get("copies", {}).get("totalCopies"))


@dataclass(frozen=True)
class Plan:
    """What an InferenceService is to be next: its predictor's version (None: who is it), canaries, and notes.

    ``leaving`` are names of canaries that stay a while, without requests.
    """

    predictor: str | None
    canaries: tuple[tuple[str, int], ...]
    notes: dict[str, str]
    leaving: tuple[str, ...] = ()

    @property
    def shares(self) -> dict[str, int]:
        """Return the share of each canary by its predictor's name."""
        return {part_name(version): share for version, share in self.canaries} | dict.fromkeys(self.leaving, 0)


def part_name(version: str) -> str:
    """Turn a version into a predictor's name."""
    return "v" + re.sub(r"[^a-z0-9]+", "-", version.lower()).strip("-")


def planned(live: Live | None, wanted: Wanted, now: float, settle_seconds: float) -> Plan:
    """Say what follows; asked again when something has changed, it comes to what is wanted.

    ``now`` is in seconds. Requests have gone past whoever goes for ``settle_seconds`` before it does: so long gateways
    may need to follow.
    """
    asked = {ASKED: wanted.to_json()}
    if live is not None and live.annotations.get(ARRIVED):
        asked[ARRIVED] = live.annotations[ARRIVED]
    aim = Plan(wanted.stable, ((wanted.candidate, wanted.percent),) if wanted.candidate else (), asked)
    if live is None:
        return aim
    stays = live.name == part_name(wanted.stable)
    canaries = aim.canaries if stays else ((wanted.stable, _ALL),)
    kept = {part_name(version) for version, _ in canaries}
    before = Plan(None, canaries, asked, tuple(name for name in live.routed if name not in kept))
    if stays and not before.leaving:
        return aim
    if not live.is_settled or live.canaries != before.shares:
        return before
    since = float(live.annotations.get(SINCE) or now)
    return aim if now - since >= settle_seconds else replace(before, notes={**asked, SINCE: str(since)})


def is_there(live: Live, wanted: Wanted) -> bool:
    """Say whether an InferenceService is what is wanted, and KServe has done it."""
    canaries = {part_name(wanted.candidate): wanted.percent} if wanted.candidate else {}
    return live.name == part_name(wanted.stable) and live.canaries == canaries and live.is_settled


def document(plan: Plan, live: Live | None, name: str, replicas: int, part: Part) -> Manifest:
    """Return the InferenceService of a plan; the predictor that is there already stays as it is."""
    predictor = live.predictor if live and plan.predictor is None else part(plan.predictor or "")
    stable = {**_quiet(predictor), "deploymentStrategy": STRATEGY, "minReplicas": replicas}
    canaries = [
        {"trafficPercent": percent, "predictor": {**_quiet(part(version)), "minReplicas": _share(replicas, percent)}}
        for version, percent in plan.canaries
    ]
    for one in live.document["spec"].get("canary") or () if live else ():
        if (leaves := one["predictor"])["name"] in plan.leaving:
            pods = min(leaves.get("minReplicas", 1), replicas)
            canaries.append({"trafficPercent": 0, "predictor": {**_quiet(leaves), "minReplicas": pods}})
    spec: dict[str, Any] = {"predictor": stable} | ({"canary": canaries} if canaries else {})
    notes = {MODE: "Standard", SCALER: "none", **plan.notes}
    metadata: dict[str, Any] = {"name": name, "annotations": notes}
    if live is not None:
        metadata["resourceVersion"] = live.document["metadata"]["resourceVersion"]
    return {"apiVersion": API, "kind": "InferenceService", "metadata": metadata, "spec": spec}


def _quiet(predictor: Manifest) -> Manifest:
    """Return a predictor whose pods bear no notes of the InferenceService."""
    return {**predictor, "annotations": {**predictor.get("annotations", {}), **_UNSAID}}


def _share(replicas: int, percent: int) -> int:
    """Return how many pods a canary has: its share, and one at least, since it must be ready to be routed to."""
    return max(1, math.ceil(replicas * percent / _ALL))
