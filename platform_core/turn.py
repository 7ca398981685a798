"""One turn of the loop, step by step; each step is idempotent by its cycle, so a crashed run is simply run again."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from loopline.platform_core.errors import NotFound
from loopline.platform_core.features.outdated import refuse_outdated
from loopline.platform_core.foundation import tracing
from loopline.platform_core.foundation.names import ModelRef, raw_table
from loopline.platform_core.loop import causes, gates, rollouts
from loopline.platform_core.loop.entry_kinds import PINNED, REGISTERED
from loopline.platform_core.loop.ledger import Entry
from loopline.platform_core.specs.gates import Evidence, Segment
from loopline.platform_core.training import training_set

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from datetime import datetime

    from loopline.platform_core.foundation.tracing import Spanned
    from loopline.platform_core.loop.cycles import Cycle
    from loopline.platform_core.loop.gates import Verdict
    from loopline.platform_core.loop.rollouts import RolloutRecord
    from loopline.platform_core.platform import Platform
    from loopline.platform_core.specs import Model, Team
    from loopline.platform_core.training.training_set import TrainingSet

TRAIN = "loopline.platform_core.training.task:train"


@dataclass(frozen=True)
class Turn:
    """A cycle of a model of a team: what every step needs to know."""

    platform: Platform
    team: Team
    model: Model
    cycle: Cycle

    @property
    def ref(self) -> ModelRef:
        """Return the model's reference."""
        return ModelRef(self.team.name, self.model.name)

    def span(self, name: str, **attributes: Any) -> AbstractContextManager[Spanned]:
        """Trace a step in the cycle's trace."""
        named = {"team": self.team.name, "model": self.model.name} | attributes
        return tracing.span(name, cycle=self.cycle.cycle_id, **named)


def pin(turn: Turn) -> TrainingSet:
    """Build the cycle's training set of what is known now, or return the one that it has."""
    earlier = _recorded(turn, PINNED)
    if earlier is not None:
        return training_set.from_json(earlier)
    with turn.span("training set") as spanned:
        pinned = training_set.build(turn.platform, turn.team, turn.model, turn.platform.clock.now())
        spanned.note(training_set=pinned.training_set_id, rows=pinned.rows, as_of=pinned.as_of.isoformat())
        spanned.link(_landings(turn, pinned))
        return training_set.from_json(_record(turn, PINNED, training_set.to_json(pinned)))


def fit(turn: Turn) -> Mapping[str, Any]:
    """Train where the environment computes, and register the version; returns what ``training.task.train`` does."""
    earlier = _recorded(turn, REGISTERED)
    if earlier is not None:
        return earlier
    with turn.span("model") as spanned:
        fitted = _trained(turn)
        spanned.note(version=str(fitted["version"]))
        return _record(turn, REGISTERED, fitted, version=str(fitted["version"]))


def _landings(turn: Turn, pinned: TrainingSet) -> list[str]:
    """Find the landings whose rows may be in the set: of the labels up to the pinned version, of the views' all."""
    team = turn.team.name
    every = {raw_table(team, view.source.name): (-1, sys.maxsize) for view in turn.model.features}
    return causes.landings(turn.platform, team, every | {name: (-1, found) for name, found in pinned.tables.items()})


def _trained(turn: Turn) -> dict[str, Any]:
    fitted: dict[str, Any] = turn.platform.compute.run(
        TRAIN,
        {
            "environment": str(turn.platform.environment.path),
            "team": turn.team.name,
            "model": turn.model.name,
            "training_set": _required(turn, PINNED, "training set"),
            "cycle": turn.cycle.cycle_id,
            "key": turn.cycle.cycle_id,
            "drill": turn.cycle.drill or None,
            **tracing.here(),
        },
        turn.model.compute,
        turn.cycle.cycle_id,
    )
    return fitted


def gate(turn: Turn) -> Verdict:
    """Judge the cycle's version by the model's gates and write the verdict down; overrides given before count."""
    fitted = _required(turn, REGISTERED, "registered version")
    version, now = str(fitted["version"]), turn.platform.clock.now()
    with turn.span("gates", version=version) as spanned:
        verdict = gates.judge(turn.model, _evidence(fitted))
        gates.record_verdict(turn.platform.ledger, turn.ref, turn.cycle.cycle_id, version, verdict, now)
        known = gates.verdict_of(turn.platform.ledger, turn.ref, version) or verdict
        spanned.note(passed=known.passed, failed=[reading.gate for reading in known.failed])
        return known


def deploy(turn: Turn) -> RolloutRecord:
    """Start the rollout of the cycle's version; refused unless its own verdict passed or was overridden."""
    version = str(_required(turn, REGISTERED, "registered version")["version"])
    now = turn.platform.clock.now()
    with turn.span("deployment", version=version) as spanned:
        record = start_rollout(turn.platform, turn.ref, turn.model, version, turn.cycle.cycle_id, now)
        spanned.note(rollout=record.rollout_id, state=record.state)
        return record


def start_rollout(  # noqa: PLR0913, PLR0917 - as ``rollouts.start``
    platform: Platform, ref: ModelRef, model: Model, version: str, cycle: str, now: datetime
) -> RolloutRecord:
    """Start a version's rollout, refused also if features that it learnt from were retired or changed since.

    Raises:
        Refused, NotFound, Unsupported: as ``rollouts.start``.
    """
    return rollouts.start(platform, ref, model, version, cycle, now, admit=refuse_outdated)


def _evidence(fitted: Mapping[str, Any]) -> Evidence:
    segments = {
        column: {value: Segment(**segment) for value, segment in groups.items()}
        for column, groups in fitted["segments"].items()
    }
    return Evidence(fitted["metrics"], fitted["champion_metrics"], segments)


def _record(turn: Turn, kind: str, details: Mapping[str, Any], version: str = "") -> dict[str, Any]:
    """Write a step down and return what counts: of two runs of a cycle at once, what the first one wrote."""
    now = turn.platform.clock.now()
    entry = Entry(kind, now, *turn.ref, turn.cycle.cycle_id, version, details=details)
    turn.platform.ledger.record(entry, once=f"{kind}:{turn.cycle.cycle_id}")
    return _required(turn, kind, kind)


def _recorded(turn: Turn, kind: str) -> dict[str, Any] | None:
    found = turn.platform.ledger.entries(ref=turn.ref, kinds=[kind])
    return next((dict(e.details) for e in reversed(found) if e.cycle == turn.cycle.cycle_id), None)


def _required(turn: Turn, kind: str, what: str) -> dict[str, Any]:
    found = _recorded(turn, kind)
    if found is None:
        raise NotFound(f"cycle {turn.cycle.cycle_id} has no {what} yet", "materialize the assets before it in one run")
    return found
