"""Reconciles InferenceServices with a predictor per version, one step at each call."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from loopline.platform_core.contracts.serving import DesiredState, ObservedState
from loopline.platform_core.errors import CommitConflict
from loopline.resources.kserve.inference_service import API, service_name
from loopline.resources.kserve.per_version import (
    ARRIVED,
    SINCE,
    VERSION,
    Live,
    Plan,
    Wanted,
    document,
    is_there,
    part_name,
    planned,
)
from loopline.resources.kubernetes.endpoint_manifests import named

if TYPE_CHECKING:
    from loopline.resources.kserve.serving import KServeServing
    from loopline.resources.kubernetes.endpoint_manifests import Manifest

_ATTEMPTS = 10


class Parts(Protocol):
    """Who answers for a version: how it is asked, what KServe makes of it, and what it says itself."""

    def beside(self, group: str) -> list[Manifest]:
        """Return what an InferenceService needs beside it."""

    def ask(self, state: DesiredState) -> None:
        """Leave what the versions of a state need, before their pods are there."""

    def part(self, model: str, version: str) -> Manifest:
        """Return a version's predictor."""

    def observed(self, model: str, version: str) -> ObservedState | None:
        """Return what a version's pods say themselves; None: nothing."""


class Versions:
    """The InferenceServices of a serving whose versions are apart."""

    def __init__(self, serving: KServeServing, parts: Parts) -> None:
        self._serving, self._parts = serving, parts

    def apply(self, state: DesiredState) -> None:
        """Ask for a state, unless a newer one was asked for."""
        wanted = Wanted.of(state)
        live = self._live(state.model)
        if live is not None and live.wanted.generation > wanted.generation:
            return
        self._parts.ask(state)
        for one in self._parts.beside(self._serving.group(state.model)):
            self._serving.put(one)
        self._advance(state.model, wanted)

    def observe(self, model: str) -> ObservedState:
        """Take the next step, if it is time for one, and say how far it has come."""
        live = self._advance(model)
        if live is None or live.wanted.generation < 0:
            return ObservedState(None, ready=False)
        arrived = live.arrived
        there = arrived == live.wanted.generation
        problem = "" if there else self._problem(model, live)
        return ObservedState(arrived, ready=arrived is not None and live.answers, problem=problem)

    def _advance(self, model: str, asked: Wanted | None = None) -> Live | None:
        """Do what follows from how it is now; who asks writes the whole, who looks only what is to change."""
        for _ in range(_ATTEMPTS):
            live = self._live(model)
            if asked is None and (live is None or live.wanted.generation < 0):
                return live
            wanted = asked or (live.wanted if live else None)
            assert wanted is not None
            if live is not None and live.wanted.generation > wanted.generation:
                return live
            plan = self._plan(model, live, wanted)
            if live is not None and asked is None and _stands(plan, live):
                return live
            if self._write(model, plan, live):
                asked = None
        raise CommitConflict(f"the InferenceService of {model} is written by many at once", "look again")

    def _plan(self, model: str, live: Live | None, wanted: Wanted) -> Plan:
        plan = planned(live, wanted, time.time(), self._serving.settle_seconds)
        if live is None or live.wanted != wanted or not is_there(live, wanted):
            return plan
        versions = [wanted.stable, *([wanted.candidate] if wanted.candidate else [])]
        said = [self._parts.observed(model, version) for version in versions]
        if any(one is not None and _is_behind(one, wanted) for one in said):
            return plan
        return replace(plan, notes={**plan.notes, ARRIVED: str(wanted.generation)})

    def _problem(self, model: str, live: Live) -> str:
        """Say what keeps a generation from being there, by its number."""
        wanted = live.wanted
        for version in filter(None, (wanted.candidate, wanted.stable)):
            said = self._parts.observed(model, version)
            words = (said.problem if said else "") or self._serving.waiting(model, {VERSION: part_name(version)})
            if words:
                named = f"generation {wanted.generation}"
                return words if words.startswith(named) else f"{named}: {words}"
        return ""

    def _write(self, model: str, plan: Plan, live: Live | None) -> bool:
        """Write what is next, unless somebody else wrote meanwhile; says whether it was."""

        def part(version: str) -> Manifest:
            return self._parts.part(model, version)

        serving, group = self._serving, self._serving.group(model)
        made = document(plan, live, service_name(group), serving.replicas, part)
        return serving.put(named([made], serving.namespace, group)[0])

    def _live(self, model: str) -> Live | None:
        found = self._serving.get_object(API, "InferenceService", service_name(self._serving.group(model)))
        return Live(found) if found is not None else None


def _is_behind(seen: ObservedState, wanted: Wanted) -> bool:
    return seen.generation is None or seen.generation < wanted.generation


def _stands(plan: Plan, live: Live) -> bool:
    """Say whether an InferenceService is what a plan says."""
    is_predictor = plan.predictor is None or live.name == part_name(plan.predictor)
    notes = {**plan.notes, SINCE: plan.notes.get(SINCE)}  # one from before a version was not ready counts no more
    noted = all(live.annotations.get(name) == text for name, text in notes.items())
    return is_predictor and noted and live.canaries == plan.shares
